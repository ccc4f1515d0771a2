//! Sorting networks for any number of elements: Batcher's merge exchange for all of them, a tournament of sorted lists for
//! the first few.
//!
//! Merge exchange: Knuth, *The Art of Computer Programming* 3, 5.2.2, Algorithm M. For the first k, groups of g ≥ k places (a
//! power of two) are sorted, and then pairs of lists become one of the same length: place i of the one against place g−1−i of the
//! other leaves the first g of both in a bitonic order, which log₂ g stages sort (Batcher, AFIPS 1968). With k = 1 this is a plain
//! tournament. Of the two networks the one with fewer stages is taken, and what no result depends on is left out.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

/// A comparator: afterwards the first place holds the one that belongs in front.
pub(super) type Comparator = (usize, usize);

/// Stages of comparators on disjoint places, after which the first `keep` of `n` places hold what belongs there.
pub(super) fn stages(n: usize, keep: usize) -> Vec<Vec<Comparator>> {
    let sorted = arranged(n, keep, &merge_exchange(n));
    if keep.next_power_of_two() >= n {
        return sorted;
    }
    let size = |s: &Vec<Vec<Comparator>>| (s.len(), s.iter().map(Vec::len).sum::<usize>());
    let first = arranged(n, keep, &tournament(n, keep));
    if size(&first) < size(&sorted) { first } else { sorted }
}

/// Comparators of every stage. Making a large network takes a while and a plan asks many times, so the last few answers are
/// kept.
pub(super) fn stage_sizes(n: usize, keep: usize) -> Arc<[usize]> {
    const KEPT: usize = 64;
    type Made = Mutex<HashMap<(usize, usize), Arc<[usize]>>>;
    static MADE: LazyLock<Made> = LazyLock::new(Default::default);
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    if made.len() >= KEPT && !made.contains_key(&(n, keep)) {
        made.clear();
    }
    let new = || stages(n, keep).iter().map(Vec::len).collect();
    Arc::clone(made.entry((n, keep)).or_insert_with(new))
}

/// The comparators that the first `keep` places depend on, every one as early as its places are free.
fn arranged(n: usize, keep: usize, comparators: &[Comparator]) -> Vec<Vec<Comparator>> {
    let mut needed: Vec<bool> = (0..n).map(|place| place < keep).collect();
    let mut kept = vec![];
    for &(a, b) in comparators.iter().rev() {
        if needed[a] || needed[b] {
            (needed[a], needed[b]) = (true, true);
            kept.push((a, b));
        }
    }
    let mut free_from = vec![0; n];
    let mut stages: Vec<Vec<Comparator>> = vec![];
    for (a, b) in kept.into_iter().rev() {
        let stage = free_from[a].max(free_from[b]);
        (free_from[a], free_from[b]) = (stage + 1, stage + 1);
        if stage == stages.len() {
            stages.push(vec![]);
        }
        stages[stage].push((a, b));
    }
    stages
}

/// Sorted groups, merged in pairs of neighbours of which the first half stays. A group that is short, the last one, counts as
/// if it ended with elements that belong behind all others.
fn tournament(n: usize, keep: usize) -> Vec<Comparator> {
    let group = keep.next_power_of_two();
    let starts: Vec<usize> = (0..n).step_by(group).collect();
    let within = |start: usize| {
        merge_exchange(group.min(n - start)).into_iter().map(move |(a, b)| (start + a, start + b))
    };
    let mut out: Vec<Comparator> = starts.iter().flat_map(|&start| within(start)).collect();
    let mut lists = starts;
    while lists.len() > 1 {
        for pair in lists.chunks_exact(2) {
            let (first, second) = (pair[0], pair[1]);
            let opposite = (0..group).map(|i| (first + i, second + group - 1 - i));
            out.extend(opposite.filter(|&(_, b)| b < n));
            let distances = std::iter::successors(Some(group / 2), |d| Some(d / 2)).take_while(|&d| d > 0);
            for d in distances {
                out.extend((0..group).filter(|i| i & d == 0).map(|i| (first + i, first + i + d)));
            }
        }
        lists = lists.into_iter().step_by(2).collect();
    }
    out
}

/// Sorts everything.
fn merge_exchange(n: usize) -> Vec<Comparator> {
    let mut out = vec![];
    if n < 2 {
        return out;
    }
    let top = n.next_power_of_two() / 2;
    let mut p = top;
    while p > 0 {
        let (mut q, mut r, mut d) = (top, 0, p);
        loop {
            out.extend((0..n - d).filter(|i| i & p == r).map(|i| (i, i + d)));
            if q == p {
                break;
            }
            (d, q, r) = (q - p, q / 2, p);
        }
        p /= 2;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_network_sorts_zeros_and_ones() {
        // A network that sorts all of these sorts everything (Knuth, 5.3.4, Theorem Z).
        for n in 0..=12 {
            for keep in 0..=n {
                let stages = stages(n, keep);
                for stage in &stages {
                    let mut places: Vec<usize> = stage.iter().flat_map(|&(a, b)| [a, b]).collect();
                    places.sort_unstable();
                    places.dedup();
                    assert_eq!(places.len(), 2 * stage.len(), "places of a stage are disjoint");
                }
                for input in 0u32..1 << n {
                    let mut v = input;
                    for &(a, b) in stages.iter().flatten() {
                        if v >> a & 1 > v >> b & 1 {
                            v ^= 1 << a | 1 << b;
                        }
                    }
                    let zeros = n - input.count_ones() as usize;
                    let want = |place: usize| u32::from(place >= zeros);
                    assert!((0..keep).all(|p| v >> p & 1 == want(p)), "n = {n}, first {keep}: {input:b}");
                }
            }
        }
    }

    #[test]
    fn the_first_one_takes_a_tournament() {
        for n in 1usize..100 {
            let stages = stages(n, 1);
            assert_eq!(stages.iter().map(Vec::len).sum::<usize>(), n - 1);
            assert_eq!(stages.len(), n.next_power_of_two().ilog2() as usize);
        }
        let first = |n: usize, keep: usize| {
            let stages = stages(n, keep);
            (stages.len(), stages.iter().map(Vec::len).sum::<usize>())
        };
        assert_eq!((first(16, 16), first(64, 64)), ((10, 63), (21, 543)));
        assert_eq!((first(64, 4), first(1000, 10)), ((15, 200), (40, 6888)));
    }
}
