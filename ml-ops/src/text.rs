//! The readable text form: one line per node, for people who approve a program.
//!
//! The form is complete in what matters for approval (owners, recipients, promises of ranges) and abbreviates only
//! large constants, which it identifies by a digest.

use std::fmt;

use mpc_core::hex::hex;
use mpc_core::ring::Ring;
use mpc_core::ring::Z64;
use mpc_core::tensor::Tensor;
use mpc_core::windows::{Outside, Sliding};
use sha2::{Digest, Sha256};

use crate::function::divisor;
use crate::op::{Direction, NodeId, Op};
use crate::program::Program;
use crate::settings::Rounding;

/// Constants up to this many elements are printed in full.
const SHOWN_ELEMENTS: usize = 8;

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "program \"{}\"", self.name)?;
        let parties =
            self.parties.iter().enumerate().map(|(i, p)| format!("{i} \"{p}\"")).collect::<Vec<_>>();
        writeln!(f, "parties {}", parties.join(", "))?;
        writeln!(f, "fraction bits {}", self.frac.bits())?;
        let rounding = match self.rounding() {
            Rounding::Dithered => "dithered",
            Rounding::Exact => "exact",
        };
        writeln!(f, "rounding {rounding}")?;
        writeln!(f, "trees {}", self.trees())?;
        if let Some(rows) = self.window_rows() {
            writeln!(f, "window {rows} rows")?;
        }
        writeln!(f, "sha256 {}", self.digest_hex())?;
        let left: Vec<_> =
            (0..self.nodes.len()).map(|i| format!("%{i} = {}", self.describe(i as NodeId))).collect();
        let shapes: Vec<_> = self.nodes.iter().map(|n| n.fact.shape.to_string()).collect();
        let widest = |texts: &[String]| texts.iter().map(|t| t.chars().count()).max().unwrap_or(0);
        let (left_width, shape_width) = (widest(&left).min(60), widest(&shapes));
        for (((id, node), left), shape) in (0..).zip(&self.nodes).zip(&left).zip(&shapes) {
            let fact = &node.fact;
            if let Some(l) = self.loops.iter().find(|l| l.first == id) {
                let per_epoch = self.iterations_per_epoch(l);
                write!(f, "repeat {} times", l.times)?;
                if per_epoch < l.times {
                    write!(f, ", {per_epoch} of them an epoch")?;
                }
                writeln!(f, ", to %{}", l.end - 1)?;
            }
            write!(f, "{left:left_width$}  {shape:shape_width$}  scale {:2}  ", fact.scale)?;
            if fact.bit { writeln!(f, "bit") } else { writeln!(f, "|x| <= {}", Real(fact.max_abs())) }?;
        }
        for o in &self.outputs {
            let to: Vec<_> =
                o.recipients.iter().map(|p| format!("\"{}\"", self.parties[p.index()])).collect();
            if to.is_empty() {
                writeln!(f, "keep \"{}\" = %{} in shares", o.name, o.node)?;
                continue;
            }
            let when = self.report(o.node).map_or_else(String::new, |r| match r.every {
                1 => ", in every iteration".to_owned(),
                every => format!(", after every {every} iterations"),
            });
            writeln!(f, "output \"{}\" = %{} to {}{when}", o.name, o.node, to.join(", "))?;
        }
        Ok(())
    }
}

impl Program {
    /// Operation, operands and parameters.
    fn describe(&self, id: NodeId) -> String {
        let op = &self.nodes[id as usize].op;
        let mut text = op.name().to_owned();
        for x in op.operands() {
            text += &format!(" %{x}");
        }
        let unit = 2f64.powi(-(self.frac.bits() as i32));
        text + &match op {
            Op::Input { name, owner, .. } => format!(" \"{name}\" of \"{}\"", self.parties[*owner]),
            Op::Shared { name, .. } => format!(" \"{name}\" of an earlier session"),
            Op::Constant { scale, values } => format!(" {}", constant(values, *scale)),
            Op::Sum { axis, .. }
            | Op::Mean { axis, .. }
            | Op::Concat { axis, .. }
            | Op::Extreme { axis, .. } => format!(" axis {axis}"),
            Op::Sort { axis, direction, keep, .. } => {
                let first = match direction {
                    Direction::Ascending => "smallest",
                    Direction::Descending => "largest",
                };
                format!(" axis {axis}, {first} {keep} first")
            }
            Op::Scale { k, .. } => format!(" by {}", factor(*k)),
            Op::Slice { axis, start, end, .. } => format!(" axis {axis} at {start}..{end}"),
            Op::Gather { axis, indices, .. } => format!(" axis {axis} at {}", list(indices)),
            Op::Clamp { lo, hi, .. } => {
                format!(" to {} .. {}", Real(*lo as f64 * unit), Real(*hi as f64 * unit))
            }
            Op::Conv { sliding: s, groups, .. } => {
                let groups = if *groups > 1 { format!(", {groups} groups") } else { String::new() };
                sliding(s) + &groups
            }
            Op::Unfold { window: [height, width], sliding: s, outside, .. } => {
                let padded = s.padding != [[0; 2]; 2];
                let nearest = if padded && *outside == Outside::Nearest { " of the nearest" } else { "" };
                format!(" {height}x{width}{}{nearest}", sliding(s))
            }
            Op::Permute { axes, .. } => format!(" to axes {}", numbers(axes)),
            Op::Pad { before, after, value, .. } => {
                let value = Real(*value as f64 * unit);
                format!(" by {} before and {} after, {value}", numbers(before), numbers(after))
            }
            Op::Function { function, .. } => function.parameters(),
            Op::Divide { lowest, highest, .. } => divisor(*lowest, *highest).text(),
            Op::AssumeRange { .. } => " (promised, not checked)".to_owned(),
            Op::Carry { .. } => {
                let next = self.loops.iter().flat_map(|l| &l.carried).find(|(c, _)| *c == id);
                let next = next.map_or_else(String::new, |(_, next)| format!(", then %{next}"));
                let how = if self.is_proven(id) { "" } else { " (range promised, not checked)" };
                format!("{next}{how}")
            }
            Op::Batch { rows, .. } => format!(" of {rows} rows"),
            Op::History { every, .. } => format!(", sums of {every} iterations"),
            Op::Report { every: 1, factor: by, .. } => format!(", by {}", factor(*by)),
            Op::Report { every, factor: by, .. } => {
                format!(", sums of {every} iterations by {}", factor(*by))
            }
            Op::WeightedSum { ks, .. } => {
                let ks: Vec<_> = ks.iter().map(|&k| factor(k)).collect();
                format!(" by {}", ks.join(" "))
            }
            _ => String::new(),
        }
    }
}

/// In full: the shortest digits that are this number and no other.
fn factor(k: f64) -> String {
    if (1e-4..1e9).contains(&k.abs()) { k.to_string() } else { format!("{k:e}") }
}

/// What is not usual about how windows lie.
fn sliding(s: &Sliding) -> String {
    let mut text = String::new();
    let [[above, below], [left, right]] = s.padding;
    for (what, [down, across]) in [("stride", s.stride), ("dilation", s.dilation)] {
        if [down, across] != [1; 2] {
            text += &format!(" {what} {down} {across}");
        }
    }
    if s.padding != [[0; 2]; 2] {
        text += &format!(" padding {above} {below} {left} {right}");
    }
    text
}

fn numbers(list: &[usize]) -> String {
    list.iter().map(usize::to_string).collect::<Vec<_>>().join(" ")
}

fn constant(values: &Tensor<Z64>, scale: u32) -> String {
    let unit = 2f64.powi(-(scale as i32));
    if values.len() <= SHOWN_ELEMENTS {
        let shown: Vec<_> =
            values.as_slice().iter().map(|v| Real(v.to_i64() as f64 * unit).to_string()).collect();
        return shown.join(" ");
    }
    let digest = Sha256::digest(values.to_bytes());
    format!("sha256:{}…", hex(&digest[..8]))
}

fn list(indices: &[u32]) -> String {
    if indices.len() <= SHOWN_ELEMENTS {
        return indices.iter().map(u32::to_string).collect::<Vec<_>>().join(" ");
    }
    let bytes: Vec<u8> = indices.iter().flat_map(|i| i.to_le_bytes()).collect();
    format!("{} indices, sha256:{}…", indices.len(), hex(&Sha256::digest(bytes)[..8]))
}

/// A number as people read it: plain where that is short, scientific where it is not.
struct Real(f64);

impl fmt::Display for Real {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let x = self.0;
        if x == 0.0 || (1e-4..1e9).contains(&x.abs()) {
            let text = format!("{x:.6}");
            f.write_str(text.trim_end_matches('0').trim_end_matches('.'))
        } else {
            write!(f, "{x:.4e}")
        }
    }
}
