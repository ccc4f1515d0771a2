//! Convolutions, windows and choices of elements of random shapes.

use ml_ops::{Axis, Outside, ProgramBuilder, ProgramError, Sliding, Value};

use super::slopes::{Random, Slopes};

fn sliding(random: &mut Random) -> Sliding {
    let mut number = |least: usize, n: usize| least + random.below(n);
    Sliding {
        stride: [number(1, 4), number(1, 3)],
        dilation: [number(1, 3), number(1, 2)],
        padding: [[number(0, 4), number(0, 3)], [number(0, 3), number(0, 4)]],
    }
}

/// Tries random shapes until so many fit.
fn all_agree(
    times: usize,
    seed: u64,
    mut one: impl FnMut(&mut Random) -> Option<(String, Result<Slopes, ProgramError>)>,
) {
    let (mut random, mut fitted, mut corners) = (Random(seed), 0, 0);
    while fitted < times {
        let Some((what, slopes)) = one(&mut random) else { continue };
        let slopes = match slopes {
            Ok(slopes) => slopes,
            // Windows that are larger than the image, or beside it.
            Err(ProgramError::Shapes { .. } | ProgramError::Parameter { .. }) => continue,
            Err(e) => panic!("{what}: {e}"),
        };
        fitted += 1;
        match slopes.agree(&mut random) {
            None => corners += 1,
            Some(agree) => agree.unwrap_or_else(|e| panic!("{what}: {e}")),
        }
    }
    assert!(corners * 20 < times, "{corners} of {times} are at a corner");
}

#[test]
fn convolutions_of_any_steps_and_groups() {
    let mut kinds = [0; 4];
    all_agree(300, 3, |random| {
        let sliding = sliding(random);
        let mut number = |n: usize| 1 + random.below(n);
        let (images, groups, channels, filters) = (number(2), number(3), number(2), number(2));
        let image = vec![images, groups * channels, number(7), number(7)];
        let kernel = vec![groups * filters, channels, number(3), number(4)];
        let (shapes, has_bias) = (vec![image, kernel.clone(), vec![kernel[0]]], number(2) == 1);
        let slopes = Slopes::of(&shapes, 2.0, |p, x| {
            p.conv2d_grouped(x[0], x[1], has_bias.then_some(x[2]), sliding, groups)
        });
        if slopes.is_ok() {
            kinds[0] += usize::from(groups > 1);
            kinds[1] += usize::from(sliding.stride != [1, 1]);
            kinds[2] += usize::from(sliding.dilation != [1, 1]);
            kinds[3] += usize::from(sliding.padding[0][0] > (kernel[2] - 1) * sliding.dilation[0]);
        }
        Some((format!("{shapes:?} {sliding:?} {groups}"), slopes))
    });
    assert!(kinds.iter().all(|&n| n > 30), "{kinds:?}");
}

#[test]
fn windows_that_overlap_or_leave_gaps() {
    all_agree(300, 5, |random| {
        let (sliding, which) = (sliding(random), random.below(4));
        let mut number = |n: usize| 1 + random.below(n);
        let window = [number(3), number(4)];
        let shape = vec![number(2), number(3), number(7), number(7)];
        let build = |p: &mut ProgramBuilder, x: &[Value]| match which {
            0 => p.max_pool2d(x[0], window, sliding),
            1 => p.average_pool2d(x[0], window, sliding, true),
            2 => p.average_pool2d(x[0], window, sliding, false),
            _ => p.unfold(x[0], window, sliding, Outside::Nearest),
        };
        let slopes = Slopes::of(std::slice::from_ref(&shape), 2.0, build);
        Some((format!("{which} {shape:?} {window:?} {sliding:?}"), slopes))
    });
}

#[test]
fn elements_that_move() {
    all_agree(300, 7, |random| {
        let mut number = |n: usize| 1 + random.below(n);
        let shape = vec![number(4), number(4), number(4)];
        let axis = random.below(3);
        let indices: Vec<usize> = (0..1 + random.below(7)).map(|_| random.below(shape[axis])).collect();
        let [before, after] = [0, 1].map(|_| vec![random.below(3), random.below(2), random.below(3)]);
        let start = random.below(shape[axis]);
        let end = start + 1 + random.below(shape[axis] - start);
        let which = random.below(7);
        let build = |p: &mut ProgramBuilder, x: &[Value]| {
            let moved = match which {
                0 => p.gather(x[0], Axis(axis), &indices),
                1 => p.pad(x[0], &before, &after, 1.5),
                2 => p.slice(x[0], Axis(axis), start..end),
                3 => p.permute(x[0], &[axis, (axis + 2) % 3, (axis + 1) % 3]),
                4 => p.concat(&[x[0], x[1], x[0]], Axis(axis)),
                5 => p.sum(x[0], Axis(axis)),
                _ => p.mean(x[1], Axis(axis)),
            }?;
            p.square(moved)
        };
        let slopes = Slopes::of(&[shape.clone(), shape.clone()], 2.0, build);
        Some((format!("{which} {shape:?} {axis} {indices:?}"), slopes))
    });
}
