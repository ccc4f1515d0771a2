//! Working memory for packed operands. Packed operands are shares and masks, so the memory is wiped before it is kept
//! for the thread's next product or freed, also when the product panics.

use std::cell::Cell;
use std::mem;

use zeroize::optimization_barrier;

thread_local! {
    /// The wiped buffer of the last product on this thread. Its size is bounded by the blocking of the kernels.
    static KEPT: Cell<Vec<u64>> = const { Cell::new(Vec::new()) };
}

/// Words per cache line, to which the memory is aligned.
const LINE: usize = 8;

pub(super) struct Scratch {
    buffer: Vec<u64>,
    start: usize,
    len: usize,
}

impl Scratch {
    /// `len` words, all zero, on a cache line boundary.
    pub(super) fn zeroed(len: usize) -> Self {
        let mut buffer = KEPT.try_with(Cell::take).unwrap_or_default();
        if buffer.len() < len + LINE {
            buffer = vec![0; len + LINE];
        }
        // The offset may be unknown (`usize::MAX`) in theory; alignment is only for speed.
        let start = buffer.as_ptr().align_offset(LINE * size_of::<u64>()).min(LINE);
        Self { buffer, start, len }
    }

    pub(super) fn words(&mut self) -> &mut [u64] {
        &mut self.buffer[self.start..][..self.len]
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let used = self.words();
        used.fill(0);
        // The barrier makes the zeros observable, so the fill cannot be dropped as a dead store.
        optimization_barrier(used);
        let buffer = mem::take(&mut self.buffer);
        // While the thread is being torn down there is nothing to keep it in, and it is freed.
        let _ = KEPT.try_with(|kept| kept.set(buffer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_wiped_before_it_is_kept() {
        let mut scratch = Scratch::zeroed(100);
        scratch.words().fill(u64::MAX);
        drop(scratch);
        let kept = KEPT.take();
        assert!(kept.len() >= 100, "the buffer is kept for the next product");
        assert!(kept.iter().all(|&word| word == 0));
    }

    #[test]
    fn two_at_once_are_apart_and_zero() {
        let mut outer = Scratch::zeroed(10);
        outer.words().fill(3);
        let mut inner = Scratch::zeroed(20);
        assert_eq!(inner.words(), [0; 20]);
        assert_eq!(outer.words(), [3; 10]);
    }
}
