//! Gradients at random points and along random directions, against differences.

use std::collections::BTreeMap;

use ml_ops::{Owner, Program, ProgramBuilder, ProgramError, Value, reference};
use mpc_core::fixed::FracBits;
use ndarray::ArrayD;

pub(crate) type Inputs = BTreeMap<String, ArrayD<f64>>;

pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % n
    }

    /// From −1 to 1.
    pub(crate) fn unit(&mut self) -> f64 {
        self.below(1 << 30) as f64 / f64::from(1 << 29) - 1.0
    }

    pub(crate) fn array(&mut self, shape: &[usize]) -> ArrayD<f64> {
        ArrayD::from_shape_simple_fn(shape, || self.unit())
    }
}

/// A function of some inputs, and the derivatives of Σ seed·function, where there are some.
pub(crate) struct Slopes {
    value: Program,
    gradient: Option<Program>,
}

impl Slopes {
    pub(crate) fn of(
        shapes: &[Vec<usize>],
        max_abs: f64,
        build: impl Fn(&mut ProgramBuilder, &[Value]) -> Result<Value, ProgramError>,
    ) -> Result<Self, ProgramError> {
        let begin = || {
            let mut p = Program::builder("slopes", FracBits::DEFAULT, &["a", "b"]);
            let input = |(i, shape): (usize, &Vec<usize>)| {
                p.input(&format!("x{i}"), Owner(0), shape.clone(), max_abs)
            };
            let inputs: Vec<Value> = shapes.iter().enumerate().map(input).collect::<Result<_, _>>()?;
            let value = build(&mut p, &inputs)?;
            Ok::<_, ProgramError>((p, inputs, value))
        };
        let (mut p, _, value) = begin()?;
        p.output("value", value, &[0])?;
        let of_value = p.build()?;
        let (mut p, inputs, value) = begin()?;
        let shape = p.fact(value)?.shape.clone();
        let seed = p.input("seed", Owner(1), shape, 1.0)?;
        let found = p.gradients(&[(value, seed)], &inputs)?;
        let mut any = false;
        for (i, d) in found.iter().enumerate() {
            if let Some(d) = *d {
                any = true;
                p.output(&format!("d{i}"), d, &[0])?;
            }
        }
        Ok(Self { value: of_value, gradient: if any { Some(p.build()?) } else { None } })
    }

    pub(crate) fn value(&self) -> &Program {
        &self.value
    }

    /// Whether gradients are the limits of differences, at a random point and along random directions; `None` where the function
    /// has a corner nearby.
    pub(crate) fn agree(&self, random: &mut Random) -> Option<Result<(), String>> {
        let gradient = self.gradient.as_ref()?;
        let shape_of = |p: &Program, name: &str| {
            p.inputs().find(|i| i.name == name).map(|i| i.shape.dims().to_vec()).unwrap()
        };
        let names: Vec<String> = self.value.inputs().map(|i| i.name.to_owned()).collect();
        let mut point: Inputs =
            names.iter().map(|n| (n.clone(), random.array(&shape_of(&self.value, n)))).collect();
        let seed = random.array(&shape_of(gradient, "seed"));
        let loss = |at: &Inputs| (&reference::float(&self.value, at).unwrap()["value"] * &seed).sum();
        point.insert("seed".to_owned(), seed.clone());
        reference::check_ranges(gradient, &point).unwrap();
        let found = reference::float(gradient, &point).unwrap();
        point.remove("seed");
        for _ in 0..3 {
            let direction: Inputs = point.iter().map(|(n, v)| (n.clone(), random.array(v.shape()))).collect();
            let slope = |h: f64| {
                let moved = |h: f64| point.iter().map(|(n, v)| (n.clone(), v + &direction[n] * h)).collect();
                (loss(&moved(h)) - loss(&moved(-h))) / (2.0 * h)
            };
            let (wide, narrow) = (slope(2e-5), slope(5e-6));
            let limit = 1e-5 * (1.0 + narrow.abs());
            if (wide - narrow).abs() > limit {
                return None;
            }
            let along = |(i, name): (usize, &String)| {
                found.get(&format!("d{i}")).map_or(0.0, |d| (d * &direction[name]).sum())
            };
            let got: f64 = names.iter().enumerate().map(along).sum();
            if (got - narrow).abs() > 3.0 * limit {
                return Some(Err(format!("{narrow} by differences, {got} by the gradient\n{gradient}")));
            }
        }
        Some(Ok(()))
    }
}
