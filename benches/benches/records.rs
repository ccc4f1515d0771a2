//! The Merkle log and the frames on the wire. Elements are entries or proofs, bytes are payload.

use std::hint::black_box;

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use mpc_core::merkle::consistency_proof;
use mpc_core::merkle::{
    Frontier, TreeHash, inclusion_proof, leaf_hash, root, verify_consistency, verify_inclusion,
};
use party_node::fuzzing::{frame, frames};

/// About the size of a batch entry between three parties.
const ENTRY_BYTES: usize = 320;
const ENTRIES: usize = 1 << 16;

fn merkle(c: &mut Criterion) {
    let entry = [7; ENTRY_BYTES];
    let leaves: Vec<TreeHash> = (0..ENTRIES).map(|i| leaf_hash(&i.to_le_bytes())).collect();
    let mut group = c.benchmark_group("merkle log");
    group.throughput(Throughput::Elements(1));
    group.bench_function("hash an entry and add it", |bencher| {
        let mut tree = Frontier::new();
        bencher.iter(|| tree.push(leaf_hash(black_box(&entry))));
    });
    group.bench_function("root of the frontier", |bencher| {
        let mut tree = Frontier::new();
        leaves[1..].iter().for_each(|&leaf| tree.push(leaf));
        bencher.iter(|| black_box(&tree).root());
    });
    let (whole, half) = (root(&leaves), root(&leaves[..ENTRIES / 2 + 1]));
    let proof = inclusion_proof(&leaves, 12_345).expect("an entry");
    group.bench_function("verify an entry among 65,536", |bencher| {
        let size = ENTRIES as u64;
        bencher.iter(|| {
            verify_inclusion(black_box(leaves[12_345]), 12_345, size, &proof, whole).expect("genuine")
        });
    });
    let (old, new) = (ENTRIES as u64 / 2 + 1, ENTRIES as u64);
    let proof = consistency_proof(&leaves, ENTRIES / 2 + 1).expect("a prefix");
    group.bench_function("verify growth to 65,536", |bencher| {
        bencher.iter(|| verify_consistency(old, half, new, whole, black_box(&proof)).expect("genuine"));
    });
    group.throughput(Throughput::Elements(ENTRIES as u64));
    group.sample_size(10);
    group.bench_function("root of 65,536 entries", |bencher| bencher.iter(|| root(black_box(&leaves))));
    group.finish();
}

fn framing(c: &mut Criterion) {
    let mut group = c.benchmark_group("frames");
    for bytes in [64, 16 << 10, 8 << 20] {
        let message = Bytes::from(vec![9; bytes]);
        group.throughput(Throughput::Bytes(bytes as u64));
        group.bench_function(BenchmarkId::new("cut", bytes), |bencher| {
            bencher.iter(|| frames(black_box(&message)));
        });
        let stream = frames(&message).concat();
        group.bench_function(BenchmarkId::new("read headers", bytes), |bencher| {
            bencher.iter(|| assert!(frame(black_box(&stream))));
        });
    }
    group.finish();
}

criterion_group!(benches, merkle, framing);
criterion_main!(benches);
