//! What the builder infers and what it refuses, with the messages that users see.

mod layers;
mod operands;
mod ranges;
mod whole;

use ml_ops::{Axis, Direction, Outside, Owner, Program, ProgramBuilder, Sliding, Value};
use mpc_core::fixed::FracBits;
use ndarray::arr2;

fn builder() -> ProgramBuilder {
    Program::builder("test", FracBits::DEFAULT, &["a", "b"])
}

fn input(p: &mut ProgramBuilder, name: &str, shape: &[usize], max_abs: f64) -> Value {
    p.input(name, Owner(0), shape, max_abs).expect("a plain input")
}

#[test]
fn facts_follow_the_operations() {
    let mut p = builder();
    let x = input(&mut p, "x", &[4, 3], 10.0);
    let w = input(&mut p, "w", &[3, 2], 2.0);
    let row = input(&mut p, "row", &[3], 5.0);
    let list = input(&mut p, "list", &[2, 4, 3], 5.0);
    let image = input(&mut p, "image", &[1, 2, 3, 3], 5.0);
    let kernel = input(&mut p, "kernel", &[3, 2, 2, 2], 3.0);
    let less = p.less(x, row).unwrap();
    let integers = p.constant(&arr2(&[[1.0, -2.0, 3.0]]).into_dyn()).unwrap();
    let made = [
        (x, "[4, 3]", 16, 10.0, false),
        (p.add(x, row).unwrap(), "[4, 3]", 16, 15.0, false),
        (p.sub(row, x).unwrap(), "[4, 3]", 16, 15.0, false),
        (p.mul(x, row).unwrap(), "[4, 3]", 16, 50.0, false),
        (p.square(x).unwrap(), "[4, 3]", 16, 100.0, false),
        (p.matmul(x, w).unwrap(), "[4, 2]", 16, 60.0, false),
        (less, "[4, 3]", 0, 1.0, true),
        (p.mul(less, x).unwrap(), "[4, 3]", 16, 10.0, false),
        (p.mul(less, less).unwrap(), "[4, 3]", 0, 1.0, true),
        (p.select(less, x, row).unwrap(), "[4, 3]", 16, 10.0, false),
        (p.sum(less, Axis(1)).unwrap(), "[4]", 0, 3.0, false),
        (p.mean(x, Axis(1)).unwrap(), "[4]", 16, 10.0, false),
        (p.mean(x, Axis(0)).unwrap(), "[3]", 16, 10.0, false),
        (p.clamp(x, -1.0, 2.5).unwrap(), "[4, 3]", 16, 2.5, false),
        // No element is above 10.
        (p.clamp(x, 20.0, 30.0).unwrap(), "[4, 3]", 16, 20.0, false),
        (p.clamp(x, -30.0, 30.0).unwrap(), "[4, 3]", 16, 10.0, false),
        (p.assume_range(x, 3.0).unwrap(), "[4, 3]", 16, 3.0, false),
        (p.transpose(x).unwrap(), "[3, 4]", 16, 10.0, false),
        (p.permute(x, &[1, 0]).unwrap(), "[3, 4]", 16, 10.0, false),
        (p.pad(x, &[1, 0], &[0, 2], -12.5).unwrap(), "[5, 5]", 16, 12.5, false),
        (p.pad(less, &[1, 0], &[0, 2], 1.0).unwrap(), "[5, 5]", 0, 1.0, true),
        (p.pad(less, &[1, 0], &[0, 2], -2.0).unwrap(), "[5, 5]", 0, 2.0, false),
        (p.pad(less, &[1, 0], &[0, 2], 0.5).unwrap(), "[5, 5]", 16, 1.0, false),
        (p.matmul(list, w).unwrap(), "[2, 4, 2]", 16, 30.0, false),
        // Two channels of 2×2 and three times as large weights.
        (p.conv2d(image, kernel, None, Sliding::by(1)).unwrap(), "[1, 3, 2, 2]", 16, 8.0 * 5.0 * 3.0, false),
        (
            p.conv2d(image, kernel, Some(row), Sliding::by(2).padded(1)).unwrap(),
            "[1, 3, 2, 2]",
            16,
            125.0,
            false,
        ),
        (p.unfold(image, [2, 1], Sliding::by(1), Outside::Zero).unwrap(), "[1, 2, 2, 2, 3]", 16, 5.0, false),
        (p.max_pool2d(image, [2, 2], Sliding::by(1)).unwrap(), "[1, 2, 2, 2]", 16, 5.0, false),
        (p.average_pool2d(image, [2, 2], Sliding::by(1), true).unwrap(), "[1, 2, 2, 2]", 16, 5.0, false),
        (p.global_average_pool(image).unwrap(), "[1, 2]", 16, 5.0 + 1.0 / 65536.0, false),
        (p.global_max_pool(image).unwrap(), "[1, 2]", 16, 5.0, false),
        (p.flatten(image, Axis(2)).unwrap(), "[2, 9]", 16, 5.0, false),
        (p.slice(x, Axis(1), 1..3).unwrap(), "[4, 2]", 16, 10.0, false),
        (p.reshape(x, [12]).unwrap(), "[12]", 16, 10.0, false),
        (p.concat(&[x, less], Axis(0)).unwrap(), "[8, 3]", 16, 10.0, false),
        (p.scale(x, -3.0).unwrap(), "[4, 3]", 16, 30.0, false),
        (p.mul(x, integers).unwrap(), "[4, 3]", 16, 30.0, false),
        (p.neg(less).unwrap(), "[4, 3]", 0, 1.0, false),
        (p.relu(x).unwrap(), "[4, 3]", 16, 10.0, false),
        (p.equal(x, row).unwrap(), "[4, 3]", 0, 1.0, true),
        (p.not_equal(less, integers).unwrap(), "[4, 3]", 0, 1.0, true),
        (p.minimum(x, row).unwrap(), "[4, 3]", 16, 10.0, false),
        (p.maximum(row, less).unwrap(), "[4, 3]", 16, 5.0, false),
        (p.maximum(less, less).unwrap(), "[4, 3]", 0, 1.0, true),
        (p.abs(x).unwrap(), "[4, 3]", 16, 10.0, false),
        (p.sign(x).unwrap(), "[4, 3]", 0, 1.0, false),
        (p.max(x, Axis(0)).unwrap(), "[3]", 16, 10.0, false),
        (p.min(less, Axis(1)).unwrap(), "[4]", 0, 1.0, true),
        (p.argmax(x, Axis(0)).unwrap(), "[3]", 0, 3.0, false),
        (p.argmin(w, Axis(1)).unwrap(), "[3]", 0, 1.0, true),
        (p.argmax_one_hot(x, Axis(1)).unwrap(), "[4, 3]", 0, 1.0, true),
        (p.sort(x, Axis(1), Direction::Ascending).unwrap(), "[4, 3]", 16, 10.0, false),
        (p.top_k(less, 2, Axis(0), Direction::Descending).unwrap(), "[2, 3]", 0, 1.0, true),
        (p.top_k_with(x, less, 2, Axis(0), Direction::Descending).unwrap().1, "[2, 3]", 16, 10.0, false),
    ];
    for (v, shape, scale, max_abs, bit) in made {
        let f = p.fact(v).unwrap();
        assert_eq!((&*f.shape.to_string(), f.scale, f.max_abs(), f.bit), (shape, scale, max_abs, bit));
    }
}
