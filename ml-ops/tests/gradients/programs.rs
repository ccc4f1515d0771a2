//! Random programs, and a block of a transformer.

use ml_ops::{Attention, Axis, Linear, ProgramBuilder, ProgramError, Value};

use super::slopes::{Random, Slopes};

/// One more operation on 4×4 matrices.
fn step(p: &mut ProgramBuilder, random: &mut Random, all: &[Value]) -> Result<Value, ProgramError> {
    let [a, b] = [0, 1].map(|_| all[random.below(all.len())]);
    let axis = Axis(random.below(2));
    match random.below(30) {
        0 => p.add(a, b),
        1 => p.sub(a, b),
        2 => p.mul(a, b),
        3 => p.square(a),
        4 => p.matmul(a, b),
        5 => {
            let bias = p.sum(b, axis)?;
            p.dense(a, b, bias)
        }
        6 => p.scale(a, random.unit() + 1.5),
        7 => p.weighted_sum(&[(a, 0.75), (b, -1.5)]),
        8 => p.transpose(a),
        9 => p.minimum(a, b),
        10 => p.maximum(a, b),
        11 => p.abs(a),
        12 => p.relu(a),
        13 => p.clamp(a, -0.5, 0.75),
        14 => {
            let row = p.max(a, axis)?;
            p.mul(row, b)
        }
        15 => {
            let bit = p.less(a, b)?;
            p.select(bit, b, a)
        }
        16 => p.gather(a, axis, &[3, 0, 0, 2]),
        17 => {
            let (top, bottom) = (p.slice(a, axis, 1..3)?, p.slice(b, axis, 0..2)?);
            p.concat(&[top, bottom], axis)
        }
        18 => p.softmax(a, axis),
        19 => p.log_softmax(a, axis),
        20 => {
            let (scale, shift) = (p.mean(a, axis)?, p.mean(b, axis)?);
            p.layer_norm(a, scale, shift, 0.125)
        }
        21 => p.gelu(a),
        22 => p.silu(a),
        23 => p.softplus(a),
        24 => p.elu(a, 1.25),
        25 => p.tanh(a),
        26 => {
            let size = p.square(a)?;
            let size = p.add_public(size, 0.5)?;
            let part = p.divide(b, size, 0.5..)?;
            p.erf(part)
        }
        27 => {
            let size = p.softplus(a)?;
            let size = p.add_public(size, 0.25)?;
            let (root, log) = (p.sqrt(size)?, p.log(size, 0.25..)?);
            p.mul(root, log)
        }
        28 => {
            let size = p.abs(a)?;
            let size = p.add_public(size, 0.5)?;
            let (x, y) = (p.rsqrt(size, 0.5..)?, p.reciprocal(size, 0.5..)?);
            p.sub(x, y)
        }
        _ => {
            let low = p.tanh(a)?;
            p.exp(low, 1.0)
        }
    }
}

#[test]
fn gradients_of_random_programs() {
    let mut random = Random(41);
    let (mut built, mut corners) = (0, 0);
    while built < 300 {
        let start = random.0;
        let steps = 2 + random.below(5);
        let slopes = Slopes::of(&[vec![4, 4], vec![4, 4]], 1.5, |p, x| {
            let (mut random, mut all) = (Random(start ^ 77), x.to_vec());
            for _ in 0..steps {
                all.push(step(p, &mut random, &all)?);
            }
            Ok(all[all.len() - 1])
        });
        let slopes = match slopes {
            Ok(slopes) => slopes,
            Err(
                ProgramError::Overflow { .. }
                | ProgramError::FactorPrecision { .. }
                | ProgramError::Parameter { .. },
            ) => {
                continue;
            }
            Err(e) => panic!("{e}"),
        };
        built += 1;
        match slopes.agree(&mut random) {
            None => corners += 1,
            Some(agree) => agree.unwrap_or_else(|e| panic!("{e}\n{}", slopes.value())),
        }
    }
    assert!(corners < 20, "{corners} of {built} are at a corner");
}

#[test]
fn a_block_of_a_transformer_is_differentiated() {
    let (width, hidden) = (4, 6);
    let square = || [vec![width, width], vec![width]];
    let mut shapes = vec![vec![2, 3, width]];
    shapes.extend([square(), square(), square(), square()].concat());
    shapes.extend([
        vec![width],
        vec![width],
        vec![width, hidden],
        vec![hidden],
        vec![hidden, width],
        vec![width],
    ]);
    let slopes = Slopes::of(&shapes, 2.0, |p, v| {
        let linear = |i: usize| Linear { weights: v[i], bias: v[i + 1] };
        let layer = Attention {
            heads: 2,
            query: linear(1),
            key: linear(3),
            value: linear(5),
            output: linear(7),
            mask: None,
            promised: Some(32.0),
        };
        let seen = p.multi_head_attention(v[0], &layer)?;
        let x = p.add(v[0], seen)?;
        let x = p.assume_range(x, 32.0)?;
        // One over the deviation may be large, and seldom is.
        p.assume_gradient(x, 64.0)?;
        let x = p.layer_norm(x, v[9], v[10], 0.03125)?;
        p.assume_gradient(x, 32.0)?;
        let h = p.dense(x, v[11], v[12])?;
        let h = p.gelu(h)?;
        p.dense(h, v[13], v[14])
    })
    .unwrap();
    let mut random = Random(43);
    for _ in 0..10 {
        slopes.agree(&mut random).expect("nothing has a corner").unwrap();
    }
}
