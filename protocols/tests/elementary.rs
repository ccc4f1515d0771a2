//! eˣ, ln x, 1/x, √x and 1/√x: the plain tables at a million random arguments and on dense grids, the protocol against them,
//! with costs, and what holds outside the ranges.

mod common;

use common::{PARTIES, run, tensor, words};
use mpc_core::ring::{Ring, Z64};
use mpc_core::share::Additive;
use protocols::elementary::{Elementary, Kind};
use protocols::quartic::{NoTable, Table, cost, evaluate};
use protocols::tree::TreeChoice;
use protocols::truncate::Rounding;

const TREE: TreeChoice = TreeChoice::DEFAULT;

/// A function for real limits.
fn function(kind: Kind, frac: u32, lowest: f64, highest: f64, bound: f64) -> Elementary {
    let units = |v: f64| (v * 2f64.powi(frac as i32)).round() as i64;
    Elementary {
        kind,
        lowest: units(lowest),
        highest: units(highest),
        bound: units(bound) as u64,
        frac,
        result: frac,
        terms: 1,
    }
}

/// The functions that are tested, at 16 bits after the point.
fn functions() -> Vec<Elementary> {
    let f = |kind, lowest, highest, bound| function(kind, 16, lowest, highest, bound);
    vec![
        f(Kind::Exp, 0.0, 10.0, 16.0),
        f(Kind::Exp, 0.0, 0.0, 32.0),
        f(Kind::Exp, 0.0, 4.0, 4.0),
        f(Kind::Exp, 0.0, 20.0, 1000.0),
        Elementary { terms: 10, ..f(Kind::Exp, 0.0, 0.0, 32.0) },
        Elementary { terms: 1000, ..f(Kind::Exp, 0.0, 0.0, 32.0) },
        f(Kind::Log, 1.0, 10.0, 10.0),
        f(Kind::Log, 1.0 / 4096.0, 1e4, 1e4),
        f(Kind::Log, 1.0 / 65536.0, 1e6, 1e6),
        f(Kind::Reciprocal, 1.0, 10.0, 10.0),
        f(Kind::Reciprocal, 1.0, 1000.0, 1000.0),
        f(Kind::Reciprocal, 1.0 / 128.0, 1e4, 2e4),
        f(Kind::Sqrt, 0.0, 16.0, 16.0),
        f(Kind::Sqrt, 0.0, 1e5, 1e5),
        f(Kind::Rsqrt, 1.0 / 4096.0, 100.0, 1e6),
        f(Kind::Rsqrt, 0.5, 1e4, 1e4),
    ]
}

/// Largest error of the given results over the stated one.
fn worst(function: &Elementary, results: impl IntoIterator<Item = (i64, i64)>) -> f64 {
    let (unit, result) = (2f64.powi(-(function.frac as i32)), 2f64.powi(-(function.result as i32)));
    let exact = |x: f64| match function.kind {
        Kind::Exp => x.exp(),
        Kind::Log => x.ln(),
        Kind::Reciprocal => 1.0 / x,
        Kind::Sqrt => x.sqrt(),
        Kind::Rsqrt => 1.0 / x.sqrt(),
    };
    let errors = results.into_iter().map(|(x, y)| {
        let value = exact(x as f64 * unit);
        (y as f64 * result - value).abs() / function.error(value)
    });
    errors.fold(0.0, f64::max)
}

/// Both ends of the range, where it starts to matter that they are ends, and numbers in between: spread evenly, or by size.
fn arguments(function: &Elementary, count: usize) -> Vec<i64> {
    let [from, to] = function.range();
    let ends = [from, from + 1, to - 1, to];
    let evenly = |word: u64| from + ((u128::from(word) * (to - from + 1) as u128) >> 64) as i64;
    let by_size = |word: u64| {
        let least = (from.max(1) as f64).ln();
        (least + ((to.max(2) as f64).ln() - least) * (word as f64 / 2f64.powi(64))).exp() as i64
    };
    let random = words(31, count).into_iter().enumerate();
    let random = random.map(|(i, word)| if i % 2 == 0 { evenly(word) } else { by_size(word) });
    ends.into_iter().chain(random).map(|x| x.clamp(from, to)).collect()
}

#[test]
fn a_million_random_arguments_are_within_the_stated_error() {
    for function in functions() {
        let table = function.table().unwrap();
        let all = arguments(&function, 1_000_000).into_iter().map(|x| (x, table.plain(x)));
        let worst = worst(&function, all);
        println!("{function:?}: {} thresholds, cuts {:?}, {worst}", table.thresholds().len(), table.cuts());
        assert!(worst <= 1.0, "{function:?}: {worst} of the stated error");
    }
}

#[test]
fn every_argument_of_a_narrow_range() {
    for function in [
        function(Kind::Exp, 16, 0.0, 0.0, 32.0),
        function(Kind::Reciprocal, 16, 1.0, 10.0, 10.0),
        function(Kind::Log, 16, 1.0, 10.0, 10.0),
        function(Kind::Sqrt, 16, 0.0, 16.0, 16.0),
        function(Kind::Rsqrt, 16, 1.0 / 4096.0, 16.0, 16.0),
    ] {
        let table = function.table().unwrap();
        let [from, to] = function.range();
        let worst = worst(&function, (from..=to).map(|x| (x, table.plain(x))));
        assert!(worst <= 1.0, "{function:?}: {worst} of the stated error");
    }
}

#[test]
fn every_scale() {
    for frac in [8, 12, 20, 24] {
        for (kind, lowest, highest) in [
            (Kind::Exp, 0.0, 4.0),
            (Kind::Exp, 0.0, 0.0),
            (Kind::Log, 1.0 / 64.0, 1000.0),
            (Kind::Reciprocal, 1.0 / 16.0, 1000.0),
            (Kind::Sqrt, 0.0, 1000.0),
            (Kind::Rsqrt, 1.0 / 64.0, 1000.0),
        ] {
            let function = function(kind, frac, lowest, highest, 1000.0);
            let table = function.table().unwrap();
            let all = arguments(&function, 50_000).into_iter().map(|x| (x, table.plain(x)));
            let worst = worst(&function, all);
            println!(
                "{function:?}: {} thresholds, cuts {:?}, {worst}",
                table.thresholds().len(),
                table.cuts()
            );
            assert!(worst <= 1.0, "{function:?}: {worst} of the stated error");
        }
    }
}

/// The protocol's results.
fn secure(n: usize, label: u64, table: &Table, rounding: Rounding, x: &[i64]) -> Vec<i64> {
    let x = tensor::<Z64>(x.iter().map(|&x| x as u64));
    let cost = cost::<Additive<Z64>>(n, x.len(), table, rounding, TREE);
    let y =
        run(n, label, std::slice::from_ref(&x), &cost, |cx, s| evaluate(cx, &s[0], table, rounding, TREE));
    y.as_slice().iter().map(|y| y.to_i64()).collect()
}

#[test]
fn the_protocol_is_within_the_stated_error_and_exact_where_it_rounds_down() {
    for (label, function) in (0..).zip(functions()) {
        let table = function.table().unwrap();
        let x = arguments(&function, 4000);
        let n = PARTIES[label as usize % 3];
        let dithered = secure(n, 100 + label, &table, Rounding::Dithered, &x);
        let worst = worst(&function, x.iter().copied().zip(dithered.iter().copied()));
        println!("{function:?}: {worst}");
        assert!(worst <= 1.0, "{function:?}: {worst} of the stated error");
        assert!(dithered.iter().all(|y| y.unsigned_abs() <= table.bound()), "{function:?}");
        let exact = secure(n, 200 + label, &table, Rounding::Exact, &x[..500]);
        let plain: Vec<i64> = x[..500].iter().map(|&x| table.plain(x)).collect();
        assert_eq!(exact, plain, "{function:?}");
    }
}

#[test]
fn a_dense_grid() {
    // Every eighth argument of e^x between −10 and 0, with 2 parties: 81,921 of them.
    let function = function(Kind::Exp, 16, 0.0, 0.0, 32.0);
    let table = function.table().unwrap();
    let [from, _] = function.range();
    let x: Vec<i64> = (from..=0).step_by(8).collect();
    let y = secure(2, 7, &table, Rounding::Dithered, &x);
    let worst = worst(&function, x.iter().copied().zip(y));
    assert!(worst <= 1.0, "{worst} of the stated error");
}

#[test]
fn outside_its_range_a_function_stays_at_the_ends() {
    let units = |v: f64| (v * 65536.0).round() as i64;
    let far = [i64::from(i32::MIN), -70000, -1, 0];
    for n in PARTIES {
        for rounding in [Rounding::Dithered, Rounding::Exact] {
            let at = |kind, lowest, highest, x: &[i64]| {
                let function = function(kind, 16, lowest, highest, 1e6);
                secure(n, 40, &function.table().unwrap(), rounding, x)
            };
            let near = |y: Vec<i64>, value: f64| {
                assert!(y.iter().all(|y| (y - units(value)).abs() <= 1), "{y:?} and {value}");
            };
            assert_eq!(at(Kind::Exp, 0.0, 2.0, &[units(-9.71), units(-11.0), units(-1e6)]), [0; 3]);
            near(at(Kind::Exp, 0.0, 2.0, &[units(2.0), units(2.5), units(1e6)]), 2f64.exp());
            near(at(Kind::Log, 0.5, 100.0, &far), 0.5f64.ln());
            near(at(Kind::Log, 0.5, 100.0, &[units(100.0), units(101.0), units(1e6)]), 100f64.ln());
            near(at(Kind::Reciprocal, 0.25, 100.0, &far), 4.0);
            near(at(Kind::Reciprocal, 0.25, 100.0, &[units(100.0), units(1e6)]), 0.01);
            assert_eq!(at(Kind::Sqrt, 0.0, 100.0, &far), [0; 4]);
            near(at(Kind::Sqrt, 0.0, 100.0, &[units(100.0), units(1e6)]), 10.0);
            near(at(Kind::Rsqrt, 0.25, 100.0, &far), 2.0);
            near(at(Kind::Rsqrt, 0.25, 100.0, &[units(100.0), units(1e6)]), 0.1);
        }
    }
}

#[test]
fn costs_are_those_of_the_formulas() {
    let bits = |function: &Elementary, rounding| {
        let cost = cost::<Additive<Z64>>(2, 4096, &function.table().unwrap(), rounding, TREE);
        (cost.rounds, cost.max_sent_bytes() * 8 / 4096)
    };
    let exp = function(Kind::Exp, 16, 0.0, 0.0, 32.0);
    assert_eq!(exp.table().unwrap().thresholds().len(), 5);
    assert_eq!(bits(&exp, Rounding::Dithered), (8, 64 + 34 * 5 + 4 * 64));
    // A piece of its own: nothing is compared.
    let near_zero = function(Kind::Exp, 16, 0.0, 1.0, 0.5);
    assert_eq!(near_zero.table().unwrap().thresholds(), []);
    assert_eq!(bits(&near_zero, Rounding::Dithered), (5, 5 * 64));
    let wide = functions()[0];
    let term = Elementary { terms: 10, ..exp };
    assert_eq!((term.table().unwrap().thresholds().len(), bits(&term, Rounding::Dithered).0), (7, 9));
    assert_eq!(wide.table().unwrap().thresholds().len(), 13);
    assert_eq!(bits(&wide, Rounding::Dithered), (9, 64 + 34 * 13 + 5 * 64));
    // Floors of 45 and 44 bits instead of truncations, four rounds each.
    assert_eq!(bits(&exp, Rounding::Exact).0, 14);
    assert_eq!(bits(&wide, Rounding::Exact).0, 18);
    let near = secure(3, 60, &near_zero.table().unwrap(), Rounding::Dithered, &[-32768, -1, 0, 1, 32768]);
    assert!(worst(&near_zero, [-32768, -1, 0, 1, 32768].into_iter().zip(near)) <= 1.0);
}

#[test]
fn ranges_that_take_too_much_are_refused() {
    let table = |kind, lowest, highest, bound| function(kind, 16, lowest, highest, bound).table().map(drop);
    assert_eq!(table(Kind::Log, 4.0, 2.0, 8.0), Err(NoTable::Empty));
    assert_eq!(table(Kind::Exp, 0.0, 20.0, 64.0), Ok(()));
    assert_eq!(table(Kind::Exp, 0.0, 21.0, 64.0), Err(NoTable::TooLarge));
    assert_eq!(table(Kind::Reciprocal, 1.0 / 65536.0, 1e9, 1e9), Err(NoTable::TooManyPieces));
    assert_eq!(table(Kind::Log, 1.0 / 65536.0, 1e9, 1e9), Err(NoTable::TooLarge));
    assert_eq!(table(Kind::Log, 1.0 / 65536.0, 1e7, 1e7), Ok(()));
}
