//! Ring products, bit transposition, keystream. Products count multiplications of ring elements ("Gelem/s" is GMAC/s), the
//! transposition counts bytes of values. The portable path is measured beside the dispatched one.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use mpc_core::kernels::{
    AesCtr, LeafStreams, bit_slice_u64, expand_bits_u64, gf128_dot, matmul_acc_portable, matmul_acc_u64,
    transpose_128,
};

/// Odd, well mixed words; the kernels take the same time for all values.
fn words(len: usize) -> Vec<u64> {
    (1..=len as u64).map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1).collect()
}

type Matmul = fn(&[u64], &[u64], &mut [u64], usize, usize, usize);

fn products(c: &mut Criterion, group: &str, matmul: Matmul, shapes: &[(usize, usize, usize)]) {
    let mut group = c.benchmark_group(group);
    group.sample_size(10);
    for &(m, k, n) in shapes {
        let (a, b, mut out) = (words(m * k), words(k * n), words(m * n));
        group.throughput(Throughput::Elements((m * k * n) as u64));
        group.bench_function(BenchmarkId::from_parameter(format!("{m}x{k}x{n}")), |bencher| {
            bencher.iter(|| matmul(black_box(&a), black_box(&b), &mut out, m, k, n));
        });
    }
    group.finish();
}

fn matmul(c: &mut Criterion) {
    let cubes = [(128, 128, 128), (256, 256, 256), (512, 512, 512), (1024, 1024, 1024)];
    products(c, "matmul u64, cubes", matmul_acc_u64, &cubes);
    let layers = [(128, 784, 128), (128, 128, 10)];
    products(c, "matmul u64, layers", matmul_acc_u64, &layers);
    let thin = [(60_000, 784, 10), (10_000, 32, 1), (1, 784, 128), (8, 784, 128)];
    products(c, "matmul u64, thin", matmul_acc_u64, &thin);
    let small = [(4, 4, 4), (16, 16, 16), (32, 32, 32)];
    products(c, "matmul u64, small", matmul_acc_u64, &small);
    products(c, "matmul u64, portable path", matmul_acc_portable, &[(256, 256, 256), (10_000, 32, 1)]);
}

fn bits(c: &mut Criterion) {
    const VALUES: usize = 100_000;
    let lane_words = VALUES.div_ceil(64);
    let (values, mut lanes) = (words(VALUES), words(64 * lane_words));
    let mut group = c.benchmark_group("bit transposition");
    group.throughput(Throughput::Bytes(VALUES as u64 * 8));
    group.bench_function("slice 100k x 64 bits", |bencher| {
        bencher.iter(|| bit_slice_u64(black_box(&values), &mut lanes, lane_words, 64));
    });
    let mut expanded = words(VALUES);
    group.bench_function("expand one lane to 100k", |bencher| {
        bencher.iter(|| expand_bits_u64(black_box(&lanes[..lane_words]), &mut expanded));
    });
    group.finish();
}

/// A tile of correlated OTs: what the streams of one tree add up to, 128 rows to blocks, the hash of a row.
fn extension(c: &mut Criterion) {
    const COLUMNS: usize = 8192;
    const STRIDE: usize = COLUMNS / 64 + 8;
    let (mut rows, mut scratch) = (words(128 * STRIDE), vec![]);
    let mut group = c.benchmark_group("OT extension, 8192 columns");
    group.throughput(Throughput::Elements(COLUMNS as u64));
    let mut blocks = vec![0; COLUMNS];
    group.bench_function("transpose", |bencher| {
        bencher.iter(|| transpose_128(black_box(&rows), STRIDE, &mut blocks));
    });
    group.bench_function("hash one row", |bencher| {
        bencher.iter(|| gf128_dot(black_box(&blocks[..COLUMNS / 128]), &rows[..COLUMNS / 64]));
    });
    for bits in [1, 2, 4, 8] {
        let leaves: Vec<_> = (0..1 << bits).map(|y| [y as u8; 32]).collect();
        let mut streams = LeafStreams::new(bits, &leaves, false);
        let mut total = words(COLUMNS / 64);
        group.bench_function(format!("all trees of {bits} bits"), |bencher| {
            bencher.iter(|| {
                for _ in 0..128 / bits {
                    streams.next(&mut scratch, &mut rows, STRIDE, &mut total);
                }
            });
        });
    }
    group.finish();
}

fn randomness(c: &mut Criterion) {
    let mut group = c.benchmark_group("keystream");
    for kib in [64, 65_536] {
        let mut out = vec![0u8; kib << 10];
        let mut stream = AesCtr::new(&[7; 32]);
        group.throughput(Throughput::Bytes(out.len() as u64));
        group.bench_function(BenchmarkId::from_parameter(format!("{kib} KiB")), |bencher| {
            bencher.iter(|| stream.fill(black_box(&mut out)));
        });
    }
    group.finish();
}

criterion_group!(benches, extension, matmul, bits, randomness);
criterion_main!(benches);
