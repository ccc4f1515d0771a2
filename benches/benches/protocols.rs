//! Whole protocols between two parties and a dealer in one process: computation without a network.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use mpc_core::fixed::FracBits;
use mpc_core::ring::Z64;
use mpc_core::share::Additive;
use mpc_core::tensor::Tensor;
use protocols::compare::less_than_zero;
use protocols::error::ProtocolError;
use protocols::matmul::matmul;
use protocols::mul::mul;
use protocols::piecewise::{evaluate, tables};
use protocols::relu::relu;
use protocols::session::Session;
use protocols::tree::TreeChoice;
use protocols::trial;
use protocols::truncate::{Rounding, truncate};

type Shares = Additive<Z64>;

fn bench(
    c: &mut Criterion,
    name: &str,
    shape: &[usize],
    protocol: impl Fn(&mut Session<Shares>, &Shares) -> Result<Shares, ProtocolError> + Send + Sync,
) {
    let mut group = c.benchmark_group("two parties and dealer in one process");
    group.sample_size(10);
    group.throughput(Throughput::Elements(shape.iter().product::<usize>() as u64));
    let x = Additive::from_share(Tensor::filled(shape, Z64(1 << 20)));
    group.bench_function(name, |b| {
        b.iter(|| trial::run::<Z64, _>(2, [7; 32], |cx| protocol(cx, &x).map(drop)));
    });
    group.finish();
}

fn protocols(c: &mut Criterion) {
    bench(c, "mul 1M", &[1_000_000], |cx, x| mul(cx, x, x));
    bench(c, "truncate 1M", &[1_000_000], |cx, x| truncate(cx, x, 16));
    bench(c, "less than zero 100k", &[100_000], |cx, x| less_than_zero(cx, x, TreeChoice::DEFAULT));
    bench(c, "relu 100k", &[100_000], |cx, x| relu(cx, x, TreeChoice::DEFAULT));
    let table = tables::sigmoid();
    let layout = table.layout(FracBits::DEFAULT, 1 << 20).expect("small arguments");
    bench(c, "sigmoid 100k", &[100_000], |cx, x| {
        evaluate(cx, x, &table, layout, Rounding::Dithered, TreeChoice::DEFAULT)
    });
    bench(c, "matmul 256", &[256, 256], |cx, x| matmul(cx, x, x));
}

criterion_group!(benches, protocols);
criterion_main!(benches);
