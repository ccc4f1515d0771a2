//! Tensors that are opened once for several products.

use ml_ops::{
    Axis, Op, Owner, Plan, Program, ProgramBuilder, ProgramError, Rounding, Sliding, Value, reference,
    run_local,
};
use mpc_core::fixed::FracBits;
use mpc_core::party::PartyId;
use ndarray::{Array2, ArrayD, arr1};
use proptest::prelude::*;

use crate::{Build, Tolerance, program};

/// All elements of some values.
fn joined(p: &mut ProgramBuilder, parts: &[Value]) -> Result<Value, ProgramError> {
    let mut flat = vec![];
    for &part in parts {
        let len = p.fact(part)?.shape.elements();
        flat.push(p.reshape(part, [len])?);
    }
    p.concat(&flat, Axis(0))
}

/// Products that share a factor.
pub(super) fn cases() -> Vec<(&'static str, Tolerance, Build)> {
    use Tolerance::{Exact, Unit};
    vec![
        ("a left factor of two products", Unit, |p, x, y| {
            let t = p.transpose(x)?;
            let (a, b) = (p.matmul(t, y)?, p.matmul(t, x)?);
            p.concat(&[a, b], Axis(0))
        }),
        ("a right factor of two products", Unit, |p, x, y| {
            let t = p.transpose(x)?;
            let (u, v) = (p.slice(t, Axis(0), 0..1)?, p.slice(t, Axis(0), 1..3)?);
            let (a, b) = (p.matmul(u, y)?, p.matmul(v, y)?);
            p.concat(&[a, b], Axis(0))
        }),
        ("left and right of two products", Unit, |p, x, y| {
            let t = p.transpose(y)?;
            let (a, b) = (p.matmul(x, t)?, p.matmul(t, x)?);
            let (a, b) = (p.reshape(a, [25])?, p.reshape(b, [9])?);
            p.concat(&[a, b], Axis(0))
        }),
        ("batches of rows and their transposes", Unit, |p, x, y| {
            let t = p.transpose(y)?;
            let mut parts = vec![];
            for rows in [0..3, 2..5] {
                let batch = p.slice(x, Axis(0), rows)?;
                let batch = p.assume_range(batch, 17.0)?;
                let z = p.matmul(batch, t)?;
                let errors = p.slice(y, Axis(0), 1..4)?;
                let back = p.transpose(batch)?;
                let gradient = p.matmul(back, errors)?;
                let (z, gradient) = (p.reshape(z, [15])?, p.reshape(gradient, [9])?);
                parts.extend([z, gradient]);
            }
            p.concat(&parts, Axis(0))
        }),
        ("parts of parts of a product with itself", Unit, |p, x, _| {
            let t = p.transpose(x)?;
            let part = p.slice(t, Axis(0), 1..3)?;
            let (a, b) = (p.matmul(part, x)?, p.matmul(t, x)?);
            p.concat(&[a, b], Axis(0))
        }),
        ("images by two kernels, and once more turned around", Unit, |p, x, y| {
            let part = p.slice(x, Axis(0), 0..4)?;
            let images = p.reshape(part, [2, 1, 2, 3])?;
            let wide = p.slice(y, Axis(0), 0..2)?;
            let wide = p.reshape(wide, [2, 1, 1, 3])?;
            let tall = p.slice(y, Axis(0), 2..4)?;
            let tall = p.reshape(tall, [1, 1, 2, 3])?;
            let turned = p.gather(images, Axis(3), &[2, 1, 0])?;
            let a = p.conv2d(images, wide, None, Sliding::by(1).padded(1))?;
            let b = p.conv2d(images, tall, None, Sliding::by(1))?;
            let c = p.conv2d(turned, tall, None, Sliding::by(2).padded(1))?;
            joined(p, &[a, b, c])
        }),
        ("a kernel by batches of images, and as images of a gradient", Unit, |p, x, y| {
            let part = p.slice(y, Axis(0), 0..4)?;
            let kernel = p.reshape(part, [2, 2, 1, 3])?;
            let bias = p.constant(&arr1(&[0.5, -1.0]).into_dyn())?;
            let mut parts = vec![];
            for rows in [0..2, 3..5] {
                let batch = p.slice(x, Axis(0), rows)?;
                let batch = p.reshape(batch, [1, 2, 1, 3])?;
                parts.push(p.conv2d(batch, kernel, Some(bias), Sliding::by(1).padded(1))?);
            }
            let swapped = p.permute(kernel, &[1, 0, 2, 3])?;
            let errors = p.slice(x, Axis(0), 0..2)?;
            let errors = p.reshape(errors, [1, 2, 1, 3])?;
            parts.push(p.conv2d(swapped, errors, None, Sliding::by(1))?);
            let back = p.gather(swapped, Axis(3), &[2, 1, 0])?;
            let gradient = p.reshape(errors, [1, 2, 1, 3])?;
            parts.push(p.conv2d(gradient, back, None, Sliding::by(1).padded(2))?);
            joined(p, &parts)
        }),
        ("lists of products with one factor", Unit, |p, x, y| {
            let lists = [x, y].map(|v| {
                let part = p.slice(v, Axis(0), 0..4)?;
                p.reshape(part, [2, 2, 3])
            });
            let [a, b] = lists;
            let (a, b) = (a?, b?);
            let turned = p.permute(b, &[0, 2, 1])?;
            let row = p.slice(b, Axis(1), 1..2)?;
            let row = p.permute(row, &[0, 2, 1])?;
            let (u, v) = (p.matmul(a, turned)?, p.matmul(a, row)?);
            let left = p.permute(a, &[0, 2, 1])?;
            let w = p.matmul(left, b)?;
            let one = p.slice(x, Axis(0), 4..5)?;
            let z = p.matmul(one, turned)?;
            joined(p, &[u, v, w, z])
        }),
        ("elements by several others", Unit, |p, x, y| {
            let (negative, shifted) = (p.neg(y)?, p.add_public(y, 1.5)?);
            let [a, b] = [p.mul(x, negative)?, p.mul(shifted, x)?];
            let part = p.slice(x, Axis(1), 1..3)?;
            let (turned, other) = (p.transpose(part)?, p.slice(y, Axis(1), 0..2)?);
            let other = p.transpose(other)?;
            let c = p.mul(turned, other)?;
            joined(p, &[a, b, c])
        }),
        ("rows and columns that repeat", Unit, |p, x, y| {
            let (row, column) = (p.slice(y, Axis(0), 2..3)?, p.slice(y, Axis(1), 1..2)?);
            let [a, b, c] = [p.mul(x, row)?, p.mul(column, x)?, p.mul(column, row)?];
            joined(p, &[a, b, c])
        }),
        ("one bit chooses several times", Exact, |p, x, y| {
            let (column, other) = (p.slice(x, Axis(1), 0..1)?, p.slice(y, Axis(1), 0..1)?);
            let bit = p.less(column, other)?;
            let a = p.select(bit, x, y)?;
            let b = p.select(bit, y, column)?;
            let c = p.split(x, bit)?;
            joined(p, &[a, b, c])
        }),
        ("dense layers with shared weights", Unit, |p, x, y| {
            let w = p.transpose(y)?;
            let bias = p.number(-1.5)?;
            let (a, b) = (p.dense(x, w, bias)?, p.dense(y, w, bias)?);
            p.concat(&[a, b], Axis(0))
        }),
    ]
}

/// Elements that all products open at every party, if each opens its factors anew.
fn anew(program: &Program) -> u64 {
    let elements = |x: u32| program.fact(x).shape.elements() as u64;
    let both = |a: u32, b: u32| program.fact(a).is_secret() && program.fact(b).is_secret();
    let of = |(node, op): (u32, &Op)| match *op {
        Op::MatMul(a, b) | Op::Dense { x: a, w: b, .. } | Op::Conv { x: a, w: b, .. } if both(a, b) => {
            elements(a) + elements(b)
        }
        Op::Mul(a, b) if both(a, b) => 2 * elements(node),
        Op::Select { .. } => 2 * elements(node),
        _ => 0,
    };
    (0..).zip(program.nodes()).map(|(node, n)| of((node, &n.op))).sum()
}

/// Elements that all products open at every party, as planned without truncations.
fn opened(program: &Program, plan: &Plan) -> u64 {
    let others = plan.parties as u64 - 1;
    let truncated = |o: &ml_ops::PlannedOp| o.correlations.iter().any(|c| c.kind == "truncation_tuple");
    let kinds = ["matmul", "dense", "conv2d", "mul", "select"];
    let products = plan.ops.iter().filter(|o| kinds.contains(&o.op));
    products
        .map(|o| {
            let last = if truncated(o) { program.fact(o.id).shape.elements() as u64 } else { 0 };
            o.online_bytes_per_party / (8 * others) - last
        })
        .sum()
}

#[test]
fn a_factor_of_several_products_is_opened_once_in_the_round_of_the_first() {
    let build: Build = |p, x, y| {
        let t = p.transpose(y)?;
        let mut parts = vec![];
        for row in 0..3 {
            let row = p.slice(t, Axis(0), row..row + 1)?;
            parts.push(p.matmul(row, x)?);
        }
        p.concat(&parts, Axis(0))
    };
    let program = program(3, 16, build).unwrap();
    let plan = program.plan();
    let products: Vec<_> = plan.ops.iter().filter(|o| o.op == "matmul").collect();
    // x has 15 elements and a row of yᵀ has 5; each product ends with a truncation of 3.
    let bytes = |o: &ml_ops::PlannedOp| o.online_bytes_per_party / (8 * 2);
    assert_eq!(products.iter().map(|o| bytes(o)).collect::<Vec<_>>(), [15 + 5 + 3, 5 + 3, 5 + 3]);
    assert_eq!(products.iter().map(|o| o.rounds).collect::<Vec<_>>(), [2, 2, 2]);
    assert_eq!(products.iter().map(|o| o.reused_factor).collect::<Vec<_>>(), [Some(0); 3]);
    assert_eq!(products.iter().map(|o| o.opens_reused_factor).collect::<Vec<_>>(), [true, false, false]);
    let kinds = |i: usize| products[i].correlations.iter().map(|c| c.kind).collect::<Vec<_>>();
    assert_eq!(kinds(0), ["reusable_mask", "masked_matmul_pair", "truncation_tuple"]);
    assert_eq!(kinds(2), ["masked_matmul_pair", "truncation_tuple"]);
    // What the dealer sends does not change: a product of 3 elements and a truncation of 16 bits.
    assert!(products.iter().all(|o| o.offline_bytes_per_party == 3 * 8 + 3 * (8 + 2)));
    let text = plan.to_string();
    assert!(text.contains("opens %0") && text.contains("uses opened %0"), "{text}");
    assert_eq!(serde_json::to_value(&plan).unwrap()["ops"][products[1].id as usize]["reused_factor"], 0);
}

#[test]
fn what_would_not_be_less_is_opened_anew() {
    let cases: [(&str, Build, &[u32]); 6] = [
        (
            "one product",
            |p, x, y| {
                let t = p.transpose(y)?;
                p.matmul(x, t)
            },
            &[],
        ),
        (
            "two halves",
            |p, x, y| {
                let t = p.transpose(y)?;
                let (a, b) = (p.slice(x, Axis(0), 0..2)?, p.slice(x, Axis(0), 2..5)?);
                let (u, v) = (p.slice(t, Axis(1), 0..2)?, p.slice(t, Axis(1), 2..4)?);
                let (a, b) = (p.matmul(a, u)?, p.matmul(b, v)?);
                p.concat(&[a, b], Axis(0))
            },
            &[],
        ),
        (
            "a product with itself",
            |p, x, _| {
                let t = p.transpose(x)?;
                p.matmul(t, x)
            },
            &[],
        ),
        (
            "elementwise products",
            |p, x, y| {
                let (a, b) = (p.mul(x, y)?, p.square(x)?);
                p.add(a, b)
            },
            &[],
        ),
        (
            "a public factor",
            |p, x, _| {
                let k = p.constant(&Array2::from_elem((3, 2), 0.5).into_dyn())?;
                let (a, b) = (p.matmul(x, k)?, p.matmul(x, k)?);
                p.add(a, b)
            },
            &[],
        ),
        (
            "both factors are used twice, and the larger one is opened once",
            |p, x, y| {
                let t = p.transpose(y)?;
                let column = p.slice(t, Axis(1), 0..1)?;
                let column = p.add_public(column, 1.0)?;
                let (a, b) = (p.matmul(x, column)?, p.matmul(x, column)?);
                p.add(a, b)
            },
            &[0, 0],
        ),
    ];
    for (name, build, expected) in cases {
        let plan = program(2, 16, build).unwrap().plan();
        let reused: Vec<u32> = plan.ops.iter().filter_map(|o| o.reused_factor).collect();
        assert_eq!(reused, expected, "{name}");
    }
}

/// A program of products of parts of two tensors.
fn products(
    choices: &[(u8, u8, u8, u8)],
    parties: usize,
    rounding: Rounding,
) -> Result<Program, ProgramError> {
    let names = &["a", "b", "c", "d", "e"][..parties];
    let mut p = Program::builder("products", FracBits::DEFAULT, names);
    p.rounding(rounding);
    let mut values = vec![p.input("x", Owner(0), [4, 4], 2.0)?, p.input("y", Owner(1), [4, 2], 2.0)?];
    let bit = p.less(values[1], values[1])?;
    for &(kind, i, j, cut) in choices {
        let (a, b) = (values[usize::from(i) % values.len()], values[usize::from(j) % values.len()]);
        let dims = |p: &ProgramBuilder, v| Ok::<_, ProgramError>(p.fact(v)?.shape.dims().to_vec());
        let left = dims(&p, a)?;
        let axis = usize::from(cut) % left.len();
        // What does not fit is not built.
        let made = match kind % 10 {
            0 => {
                let order: Vec<usize> = (0..left.len()).map(|i| (i + axis) % left.len()).collect();
                p.permute(a, &order)
            }
            1 => p.slice(a, Axis(axis), usize::from(cut / 2) % left[axis]..left[axis]),
            2 => {
                let back: Vec<usize> = (0..left[axis]).rev().collect();
                p.gather(a, Axis(axis), &back)
            }
            3 => {
                let elements = left.iter().product::<usize>();
                let n = [1, 2, 4][usize::from(cut) % 3];
                let halves = if elements % n == 0 { vec![n, 1, elements / n] } else { vec![elements, 1] };
                p.reshape(a, halves)
            }
            4 => {
                let images = |p: &mut ProgramBuilder, v: Value, channels: usize| {
                    let elements = p.fact(v)?.shape.elements();
                    p.reshape(v, [elements / 2 / channels, channels, 1, 2])
                };
                let channels = 1 + usize::from(cut) % 2;
                let images = (images(&mut p, a, channels), images(&mut p, b, channels));
                match images {
                    (Ok(a), Ok(b)) => p.conv2d(a, b, None, Sliding::by(1).padded(usize::from(cut / 2) % 2)),
                    (Err(e), _) | (_, Err(e)) => Err(e),
                }
            }
            5 | 6 => p.mul(a, b),
            7 => p.select(bit, a, b),
            _ => p.matmul(a, b),
        };
        let Ok(v) = made else { continue };
        if p.fact(v)?.shape.elements() > 64 {
            continue;
        }
        // Far above all values, and so that bounds do not add up.
        values.push(p.assume_range(v, 64.0)?);
    }
    for (i, &v) in values.iter().enumerate() {
        p.output(&format!("v{i}"), v, &[parties - 1])?;
    }
    p.build()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn products_of_any_parts_are_right_and_never_open_more(
        choices in proptest::collection::vec(any::<(u8, u8, u8, u8)>(), 1..32),
        parties in 2usize..=3,
    ) {
        let program = products(&choices, parties, Rounding::Exact).unwrap();
        let table = |rows, columns, k: usize| -> ArrayD<f64> {
            Array2::from_shape_fn((rows, columns), |(i, j)| ((i * k + j * 5) % 7) as f64 / 8.0 - 0.375).into_dyn()
        };
        let inputs = [("x".to_owned(), table(4, 4, 3)), ("y".to_owned(), table(4, 2, 2))].into();
        let runs = run_local(&program, &inputs, [9; 32]).unwrap();
        prop_assert_eq!(&runs[parties - 1].outputs, &reference::fixed(&program, &inputs).unwrap());
        let plan = program.plan();
        program.demand().check().unwrap();
        for (party, run) in PartyId::all(parties).zip(&runs) {
            plan.check(party, &run.measured).unwrap();
        }
        // The same with dithered truncations, whose bytes are easy to take off.
        let dithered = products(&choices, parties, Rounding::Dithered).unwrap();
        let (plan, most) = (dithered.plan(), anew(&dithered));
        let reuses = plan.ops.iter().any(|o| o.reused_factor.is_some());
        let opened = opened(&dithered, &plan);
        prop_assert!(if reuses { opened < most } else { opened == most }, "{} of {}", opened, most);
    }
}
