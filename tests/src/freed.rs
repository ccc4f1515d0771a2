//! An allocator that reads what it is given back: memory that is freed with a secret still in it is found, whoever frees it
//! and however the secret got there.
//!
//! A test program installs it (`#[global_allocator] static ALLOCATOR: Freed = Freed;`) and then [`watch`]es a piece of work.
//! What it cannot see is the stack, and memory of libraries that bring their own allocator.
#![allow(
    unsafe_code,
    reason = "an allocator is an unsafe trait, and looks at memory that nobody owns any more"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::backtrace::Backtrace;
use std::cell::Cell;
use std::fmt;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Mutex, PoisonError};

/// The system's allocator, which looks at every block before it is freed.
pub struct Freed;

/// Eight bytes of a secret in a block that was freed.
#[derive(Clone)]
pub struct Finding {
    /// The bytes, as a little-endian number.
    pub word: u64,
    /// Size of the block.
    pub block_bytes: usize,
    trace: String,
}

/// What is looked for. The filter answers most looks with one bit.
struct Watched {
    /// Under the [`VEIL`].
    words: Vec<u64>,
    filter: Vec<u64>,
}

/// What the words that are looked for are XORed with: sorting and looking leave words on the stack, from where they come into
/// blocks that are written with gaps, and are found there.
const VEIL: u64 = 0x6a09_e667_f3bc_c908;

const FILTER_BITS: usize = 1 << 20;
const FINDINGS_MAX: usize = 8;

static WATCHED: AtomicPtr<Watched> = AtomicPtr::new(ptr::null_mut());
static FINDINGS: Mutex<Vec<Finding>> = Mutex::new(Vec::new());
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

thread_local! {
    /// Whether this thread is reporting, which allocates and frees itself.
    static REPORTING: Cell<bool> = const { Cell::new(false) };
}

impl Watched {
    fn bit(word: u64) -> usize {
        (word.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 44) as usize % FILTER_BITS
    }

    fn new(mut words: Vec<u64>) -> Self {
        words.iter_mut().for_each(|word| *word ^= VEIL);
        words.sort_unstable();
        words.dedup();
        let mut filter = vec![0; FILTER_BITS / 64];
        for &veiled in &words {
            let bit = Self::bit(veiled);
            filter[bit / 64] |= 1 << (bit % 64);
        }
        Self { words, filter }
    }

    fn holds(&self, word: u64) -> bool {
        let veiled = word ^ VEIL;
        let bit = Self::bit(veiled);
        self.filter[bit / 64] >> (bit % 64) & 1 == 1 && self.words.binary_search(&veiled).is_ok()
    }
}

// SAFETY: every call goes to the system's allocator as it came. Growing in place is left to the trait's own `realloc`, which
// allocates, copies and frees, so that every block that is left behind is looked at.
unsafe impl GlobalAlloc for Freed {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // Zeroed, so that nothing is found that an earlier owner of the memory left there.
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: a block is readable until it is given to the system; `Watched` is never freed.
        unsafe {
            if let Some(watched) = WATCHED.load(Ordering::Acquire).as_ref() {
                look(watched, block, layout.size());
            }
            System.dealloc(block, layout);
        }
    }
}

/// # Safety
/// `block` must be readable for `size` bytes.
unsafe fn look(watched: &Watched, block: *const u8, size: usize) {
    for at in 0..(size + 1).saturating_sub(size_of::<u64>()) {
        // SAFETY: the eight bytes are within the block. Some may never have been written; a volatile read takes what is there.
        let word = unsafe { block.add(at).cast::<[u8; 8]>().read_volatile() };
        let word = u64::from_le_bytes(word);
        if watched.holds(word) {
            return report(word, size);
        }
    }
}

fn report(word: u64, block_bytes: usize) {
    let busy = REPORTING.try_with(|r| r.replace(true)).unwrap_or(true);
    if busy {
        return;
    }
    let mut findings = FINDINGS.lock().unwrap_or_else(PoisonError::into_inner);
    if findings.len() < FINDINGS_MAX {
        let trace = Backtrace::force_capture().to_string();
        findings.push(Finding { word, block_bytes, trace });
    }
    drop(findings);
    let _ending = REPORTING.try_with(|r| r.set(false));
}

/// Runs `work` and gives what it freed of `secrets` (see [`words`]), in any thread. One call at a time; what others free
/// meanwhile is looked at too.
pub fn watch<T>(secrets: &[u64], work: impl FnOnce() -> T) -> (T, Vec<Finding>) {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    FINDINGS.lock().unwrap_or_else(PoisonError::into_inner).clear();
    // Never freed: a thread of an earlier call may still be looking.
    let watched = Box::leak(Box::new(Watched::new(secrets.to_vec())));
    WATCHED.store(watched, Ordering::Release);
    let value = work();
    WATCHED.store(ptr::null_mut(), Ordering::Release);
    (value, std::mem::take(&mut FINDINGS.lock().unwrap_or_else(PoisonError::into_inner)))
}

/// As [`watch`], and panics if anything was found.
pub fn watch_clean<T>(what: &str, secrets: &[u64], work: impl FnOnce() -> T) -> T {
    assert!(!secrets.is_empty(), "{what}: nothing to look for");
    let (value, findings) = watch(secrets, work);
    assert!(findings.is_empty(), "{what}: freed with a secret in it: {findings:#?}");
    value
}

/// Every eight bytes in a row of a secret.
#[must_use]
pub fn words(secret: &[u8]) -> Vec<u64> {
    let word = |w: &[u8]| u64::from_le_bytes(std::array::from_fn(|i| w[i]));
    secret.windows(8).map(word).filter(|&w| is_distinct(w)).collect()
}

/// Numbers of a tensor, without those that occur by chance.
#[must_use]
pub fn numbers(values: impl IntoIterator<Item = u64>) -> Vec<u64> {
    values.into_iter().filter(|&w| is_distinct(w)).collect()
}

/// Whether eight bytes are unlikely to be something else, such as a small number or a pointer.
fn is_distinct(word: u64) -> bool {
    let bytes = word.to_le_bytes();
    let repeated = |b: u8| bytes.iter().filter(|&&x| x == b).count();
    repeated(0) < 3 && repeated(0xff) < 3 && bytes.iter().all(|&b| repeated(b) < 4)
}

impl fmt::Debug for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:#018x} in a block of {} bytes, freed at", self.word, self.block_bytes)?;
        // Frames of this project; a frame is two lines.
        let lines: Vec<&str> = self.trace.lines().collect();
        let ours = |l: &str| l.contains("/src/") && !l.contains("/rustc/") && !l.contains("freed.rs");
        let frames = lines.windows(2).filter(|w| w[1].trim_start().starts_with("at ") && ours(w[1]));
        frames.take(12).try_for_each(|w| writeln!(f, "  {}\n    {}", w[0].trim(), w[1].trim()))
    }
}
