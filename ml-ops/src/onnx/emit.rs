//! Writing values into the program: products with parameters, affine maps, and constants or weights as operands.

use std::collections::{BTreeMap, HashMap, HashSet};

use ndarray::{ArrayD, IxDyn};

use super::columns::{Columns, largest};
use super::constant::{Kind, Known, Numbers, shaped};
use super::error::Problem;
use super::fold::{finite, max_abs};
use super::options::{Options, Parameters};
use super::value::{Affine, Form, Lazy, Linear, Secret, Val};
use crate::builder::{Owner, ProgramBuilder, Value};
use crate::fact::Fact;
use crate::program::MAX_NAME_BYTES;

/// Most bits that public parameters have after the point.
const MAX_SHIFT: i32 = 28;
/// Fewest bits that parameters may have after the point; with fewer, results would be wrong without notice.
const MIN_SHIFT: i32 = 8;
/// log2 of what a product may reach, with room for rounding up.
const ROOM: f64 = 61.9;
/// Less room than this is none, however large the numbers are.
const LEAST_ROOM: f64 = -1000.0;
/// log2 of the error that rounded private parameters may bring into one product, roughly.
const PRIVATE_ERROR_BITS: f64 = 9.0;
/// The error that parameters of 2^−f may bring into a product with integers.
const INTEGER_ERROR: f64 = 1.0 / 8192.0;
/// How far rounded operands may move a product before users are told.
const MOVED: f64 = 1.0 / 64.0;
/// Most notes to users.
const MAX_NOTES: usize = 100;
/// A mask of attention that is this far below zero means minus infinity.
const MASKED: f64 = -1e8;

/// Translates the nodes of one model.
pub(super) struct Importer<'a> {
    pub(super) p: ProgramBuilder,
    pub(super) options: &'a Options,
    /// Values by their names in the model.
    pub(super) values: HashMap<String, Val>,
    /// How often each value is used.
    pub(super) uses: HashMap<String, usize>,
    /// Private parameters, by the program's names.
    pub(super) parameters: BTreeMap<String, ArrayD<f64>>,
    pub(super) names: HashSet<String>,
    /// Elements that constants may still have.
    pub(super) left: usize,
    /// The node that is being translated.
    pub(super) node: usize,
    /// The node that an error is really about.
    pub(super) blamed: Option<usize>,
    /// Values that depend on the inputs and have an integer type.
    pub(super) integers: HashSet<String>,
    /// What is known about values by column, where that is more than about all of them.
    pub(super) columns: HashMap<Value, Columns>,
    /// Values whose columns were made alike.
    pub(super) even: HashMap<Value, Value>,
    /// What users should know about nodes, by their numbers.
    pub(super) notes: Vec<(usize, String)>,
    /// Elements that constants may still take together, copies among them.
    pub(super) held: usize,
    /// Elements of constants that nodes may still read.
    pub(super) read: usize,
    /// Nodes that come next, in place of one that was just translated.
    pub(super) queued: Vec<super::graph::Node>,
}

impl Importer<'_> {
    /// The node of the program that holds the value; it is written now if it was held back.
    pub(super) fn force(&mut self, s: &Secret) -> Result<Value, Problem> {
        let (from, emitted) = match s.state() {
            Lazy::Ready(value) => return Ok(value),
            Lazy::Linear(linear) => (linear.from, self.linear(&linear)),
            Lazy::Affine(affine) => (affine.from, self.affine(&affine)),
            Lazy::Relu { of, from } => {
                let x = self.force(&of)?;
                let y = self.p.relu(x)?;
                self.same_columns(x, y)?;
                (from, Ok(y))
            }
            Lazy::Not { of, from } => {
                let one = self.p.number(1.0)?;
                (from, self.p.sub(one, of).map_err(Problem::from))
            }
            Lazy::Whole { of, from } => (from, self.whole(of)),
        };
        let value = emitted.inspect_err(|_| self.blamed = self.blamed.or(Some(from)))?;
        *s.lazy.borrow_mut() = Lazy::Ready(value);
        Ok(value)
    }

    pub(super) fn fact(&self, x: Value) -> Result<Fact, Problem> {
        Ok(self.p.fact(x)?.clone())
    }

    /// An operand of an elementwise operation: constants become constants of the program or private weights.
    pub(super) fn operand(&mut self, x: &Val) -> Result<Value, Problem> {
        match x {
            Val::Secret(s) => self.force(s),
            Val::Known(Known::Numbers(n)) => {
                if self.is_parameter(n) {
                    let name = n.name.clone().unwrap_or_else(|| self.own_name("constant"));
                    return self.weights(&name, &n.values, max_abs(&n.values));
                }
                self.constant(&n.values)
            }
            Val::Known(Known::Texts(_)) => Err("texts are no operands".into()),
        }
    }

    /// Whether a constant belongs to the model's owner: those with axes do, single numbers are the architecture's.
    pub(super) fn is_parameter(&self, n: &Numbers) -> bool {
        n.name.is_some() && n.kind == Kind::Real && n.values.ndim() > 0 && self.owner().is_some()
    }

    pub(super) const fn owner(&self) -> Option<Owner> {
        match self.options.parameters {
            Parameters::Public => None,
            Parameters::Private { owner } => Some(Owner(owner)),
        }
    }

    /// A public tensor, rounded to the program's fraction bits.
    pub(super) fn constant(&mut self, values: &ArrayD<f64>) -> Result<Value, Problem> {
        finite(values)?;
        let unit = self.unit();
        Ok(self.p.constant(&values.map(|v| (v / unit).round_ties_even() * unit))?)
    }

    /// Private parameters; their bound is the next power of two, whatever they are below it.
    fn weights(&mut self, name: &str, values: &ArrayD<f64>, bound: f64) -> Result<Value, Problem> {
        let Some(owner) = self.owner() else { return self.constant(values) };
        finite(values)?;
        let name = self.free_name(name);
        let bound = power_of_two(bound.max(self.unit()));
        let value = self.p.weights(&name, owner, values.shape(), bound)?;
        self.parameters.insert(name, values.clone());
        Ok(value)
    }

    /// A name for parameters that have none in the model.
    pub(super) fn own_name(&self, what: &str) -> String {
        format!("node{}.{what}", self.node)
    }

    /// A name of the program that is not taken and has nothing in it that names may not have.
    pub(super) fn free_name(&mut self, wanted: &str) -> String {
        let plain = |c: char| c.is_ascii_graphic() && c != '"' && c != '\\';
        let mut name: String = wanted.chars().map(|c| if plain(c) { c } else { '_' }).collect();
        name.truncate(MAX_NAME_BYTES - 8);
        if name.is_empty() {
            name.push('_');
        }
        let mut free = name.clone();
        let mut number = 1;
        while !self.names.insert(free.clone()) {
            // Many of one name must not be tried one after the other.
            number = if number < 9 { number + 1 } else { number.max(self.names.len()) + 1 };
            free = format!("{name}.{number}");
        }
        free
    }

    pub(super) fn unit(&self) -> f64 {
        2f64.powi(-(self.options.frac.bits() as i32))
    }

    /// A constant that stands for minus infinity where it masks what a softmax sees, as a number that does the same.
    pub(super) fn unmasked(&mut self, mask: &Numbers, x: Value) -> Result<Numbers, Problem> {
        if mask.values.iter().all(|&v| v > MASKED) {
            return Ok(mask.clone());
        }
        let far = -(2.0 * self.fact(x)?.max_abs() + 64.0);
        Ok(Numbers { values: mask.values.map(|&v| if v > MASKED { v } else { far }), ..mask.clone() })
    }

    fn linear(&mut self, l: &Linear) -> Result<Value, Problem> {
        finite(&l.w)?;
        l.b.as_ref().map_or(Ok(()), finite)?;
        let even = self.evened_linear(l)?;
        let l = even.as_ref().unwrap_or(l);
        let fact = self.fact(l.x)?;
        let terms = terms(&l.form, &l.w) as f64;
        let (w_max, b_max) = (max_abs(&l.w), l.b.as_ref().map_or(0.0, max_abs));
        // log2 of the product and the bias in units, with parameters as they are.
        let at_zero = (fact.bound as f64 * terms * w_max + b_max / self.unit()).max(1.0).log2();
        let room = (ROOM - at_zero).floor().clamp(LEAST_ROOM, f64::from(MAX_SHIFT)) as i32;
        let private = self.owner().is_some();
        let (y, factor) = if private {
            let frac = self.options.frac.bits() as i32;
            let wanted = (fact.max_abs() * terms.sqrt()).log2() + PRIVATE_ERROR_BITS;
            let extra = (wanted.ceil() as i32 - frac - 1).max(0);
            // Both factors have their bounds rounded up to powers of two, and the parameters have 2^−f.
            let extra = extra.min(self.enough(room - frac - 2, MIN_SHIFT - frac, &fact)?.max(0));
            let factor = 2f64.powi(extra);
            let w = self.weights(&l.name, &l.w.map(|v| v * factor), w_max * factor)?;
            let b =
                l.b.as_ref()
                    .map(|b| self.weights(&bias_name(&l.name), &b.map(|v| v * factor), b_max * factor));
            let y = self.product(&l.form, l.x, w, b.transpose()?)?;
            (if extra > 0 { self.p.scale(y, 1.0 / factor)? } else { y }, factor / self.unit())
        } else if l.w.iter().all(|v| v.fract() == 0.0) {
            let w = self.p.constant(&l.w)?;
            let y = self.product(&l.form, l.x, w, None)?;
            (self.with_bias(l, y, 1.0)?, f64::INFINITY)
        } else if fact.scale == 0 && self.is_precise(fact.max_abs() * terms.sqrt()) {
            // The product of integers and fractions needs no truncation.
            let w = self.constant(&l.w)?;
            let y = self.product(&l.form, l.x, w, None)?;
            (self.with_bias(l, y, 1.0)?, 1.0 / self.unit())
        } else {
            let shift = self.enough(room, MIN_SHIFT, &fact)?;
            let factor = 2f64.powi(shift);
            let w = self.p.constant(&l.w.map(|v| (v * factor).round_ties_even()))?;
            let y = self.product(&l.form, l.x, w, None)?;
            let y = self.with_bias(l, y, factor)?;
            (if shift > 0 { self.p.scale(y, 1.0 / factor)? } else { y }, factor)
        };
        let norm = largest_sum(&l.form, &l.w);
        let moved = 0.5 * self.unit() * norm;
        if fact.scale > 0 && moved > MOVED {
            let (at, node) = (l.from, self.node);
            self.node = at;
            self.note(format!(
                "its weights are so large that operands, which are rounded to {:.1e}, may move a result by {moved:.1e}; scale \
                 features or weights",
                self.unit()
            ));
            self.node = node;
        }
        let (norm, bias) = if private { (power_of_two(norm), power_of_two(b_max)) } else { (norm, b_max) };
        let loss = 0.5 / factor * terms * fact.max_abs() + 4.0 * self.unit();
        let mut bound = norm * fact.max_abs() + bias + loss;
        let reach = self.reach_of_linear(l, factor)?;
        let columns = reach.as_deref().map(largest);
        match columns {
            // What is known of private parameters already is all that follows without columns.
            Some(by_column) if private && self.columns.contains_key(&l.x) => {
                bound = bound.min(power_of_two(by_column));
            }
            Some(by_column) if !private => bound = bound.min(by_column),
            _ => {}
        }
        let y = self.promised(y, bound)?;
        let y = self.p.reshape(y, &l.shape[..])?;
        if let Some(reach) = reach.filter(|_| !private) {
            self.know_columns(y, reach, false)?;
        }
        Ok(y)
    }

    fn product(&mut self, form: &Form, x: Value, w: Value, b: Option<Value>) -> Result<Value, Problem> {
        Ok(match (*form, b) {
            (Form::Dense, None) => self.p.matmul(x, w)?,
            (Form::Dense, Some(b)) => self.p.dense(x, w, b)?,
            (Form::Conv { sliding, groups }, b) => self.p.conv2d_grouped(x, w, b, sliding, groups)?,
        })
    }

    /// With a public bias, along the axis of the channels.
    fn with_bias(&mut self, l: &Linear, y: Value, factor: f64) -> Result<Value, Problem> {
        let Some(b) = &l.b else { return Ok(y) };
        let shape = match l.form {
            Form::Dense => vec![b.len()],
            Form::Conv { .. } => vec![b.len(), 1, 1],
        };
        let b = self.constant(&shaped(&shape, b.iter().map(|v| v * factor).collect()))?;
        Ok(self.p.add(y, b)?)
    }

    fn affine(&mut self, a: &Affine) -> Result<Value, Problem> {
        let even = self.evened_affine(a)?;
        let a = even.as_ref().unwrap_or(a);
        let fact = self.fact(a.x)?;
        let owned = a.parameters && self.owner().is_some();
        let mut y = a.x;
        // How much larger than the factors are the numbers that they become.
        let mut precision = f64::INFINITY;
        if let Some(m) = &a.m {
            finite(m)?;
            precision = 1.0 / self.unit();
            let first = m.first().copied().unwrap_or(1.0);
            let uniform = m.iter().all(|&v| v == first);
            let m_max = max_abs(m);
            let room = (ROOM - (fact.bound as f64 * m_max).max(1.0).log2()).floor();
            let room = room.clamp(LEAST_ROOM, f64::from(MAX_SHIFT)) as i32;
            if owned {
                let frac = self.options.frac.bits() as i32;
                let wanted = fact.max_abs().log2() + PRIVATE_ERROR_BITS + 3.0;
                let extra = (wanted.ceil() as i32 - frac - 1).max(0);
                let extra = extra.min(self.enough(room - frac - 2, MIN_SHIFT - frac, &fact)?.max(0));
                let factor = 2f64.powi(extra);
                precision *= factor;
                let w = self.weights(&a.name, &m.map(|v| v * factor), m_max * factor)?;
                y = self.p.mul(y, w)?;
                if extra > 0 {
                    y = self.p.scale(y, 1.0 / factor)?;
                }
            } else if uniform {
                if first == -1.0 {
                    y = self.p.neg(y)?;
                } else if first != 1.0 {
                    y = self.p.scale(y, first)?;
                }
            } else if m.iter().all(|v| v.fract() == 0.0)
                || (fact.scale == 0 && self.is_precise(fact.max_abs()))
            {
                let m = self.constant(m)?;
                y = self.p.mul(y, m)?;
            } else {
                let shift = self.enough(room, MIN_SHIFT, &fact)?;
                let factor = 2f64.powi(shift);
                precision = factor;
                let m = self.p.constant(&m.map(|v| (v * factor).round_ties_even()))?;
                y = self.p.mul(y, m)?;
                y = self.p.scale(y, 1.0 / factor)?;
            }
        }
        if let Some(add) = &a.a {
            let add = if owned {
                let name = if a.m.is_some() { bias_name(&a.name) } else { a.name.clone() };
                self.weights(&name, add, max_abs(add))?
            } else {
                self.constant(add)?
            };
            y = self.p.add(y, add)?;
        }
        if self.fact(y)?.shape.dims() != a.shape {
            let zeros = self.p.constant(&ArrayD::zeros(IxDyn(&a.shape)))?;
            y = self.p.add(y, zeros)?;
        }
        let y = self.bounded_affine(a, y, precision)?;
        self.assumed(y)
    }

    /// Remembers what a user should know about this node.
    pub(super) fn note(&mut self, what: String) {
        let note = (self.node, what);
        if !self.notes.contains(&note) && self.notes.len() < MAX_NOTES {
            self.notes.push(note);
        }
    }

    /// Whether parameters of 2^−f are precise enough beside operands of this magnitude.
    fn is_precise(&self, max_abs: f64) -> bool {
        0.5 * self.unit() * max_abs <= INTEGER_ERROR
    }

    /// Checks that parameters keep enough bits.
    fn enough(&self, room: i32, least: i32, fact: &Fact) -> Result<i32, Problem> {
        if room >= least {
            return Ok(room);
        }
        Err(format!(
            "operands of magnitudes up to {:.3e} leave no room for parameters that are precise enough; a smaller range of the \
             inputs, or a promised range, helps",
            fact.max_abs()
        )
        .into())
    }

    /// Tells a proven bound where it is well below the inferred one.
    pub(super) fn promised(&mut self, y: Value, bound: f64) -> Result<Value, Problem> {
        let inferred = self.fact(y)?.max_abs();
        let bound = if self.owner().is_some() { bound } else { bound.min(inferred) };
        let y = if bound < 0.5 * inferred && bound > 0.0 { self.p.assume_range(y, bound)? } else { y };
        self.assumed(y)
    }

    /// Applies the promise of the options.
    pub(super) fn assumed(&mut self, y: Value) -> Result<Value, Problem> {
        match self.options.assume {
            Some(most) if self.fact(y)?.max_abs() > most => Ok(self.p.assume_range(y, most)?),
            _ => Ok(y),
        }
    }

    /// Axes in another order.
    pub(super) fn transposed(&mut self, x: Value, order: &[usize]) -> Result<Value, Problem> {
        Ok(if order == [1, 0] { self.p.transpose(x)? } else { self.p.permute(x, order)? })
    }
}

/// Products that are added up in one element of the result.
fn terms(form: &Form, w: &ArrayD<f64>) -> usize {
    match form {
        Form::Dense => w.shape()[0],
        Form::Conv { .. } => w.shape()[1..].iter().product(),
    }
}

/// The largest sum of magnitudes over what is added up in one element of the result.
fn largest_sum(form: &Form, w: &ArrayD<f64>) -> f64 {
    let axis = ndarray::Axis(form.weight_channel_axis(w.ndim()));
    w.axis_iter(axis).map(|column| column.iter().map(|v| v.abs()).sum()).fold(0.0, f64::max)
}

/// The power of two that is not below x.
pub(super) fn power_of_two(x: f64) -> f64 {
    if x > 0.0 { 2f64.powf(x.log2().ceil()) } else { 0.0 }
}

fn bias_name(weights: &str) -> String {
    match weights.strip_suffix("weight") {
        Some(front) => format!("{front}bias"),
        None => format!("{weights}.bias"),
    }
}
