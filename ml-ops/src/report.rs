//! Reports: what named parties learn while a loop runs, such as the loss of every epoch.
//!
//! [`Op::Report`] adds up a value of a loop's body over so many iterations, and the output that names it ([`Output`]) says who
//! learns the sum. That is a part of the program and of its text: who does not want it does not agree to the program.
//!
//! **What it reveals**: one sum for every so many iterations, to its recipients. The loss of an epoch is a function of everybody's
//! data and of the parameters as they were in its steps, so k epochs reveal k numbers more than the model does; of few rows,
//! of batches that are reported singly, or together with a model that the same party receives, that can be much. A
//! recipient also has them if the session fails later, which no other output is.
//!
//! **Security**: every report is an output of its own ([`protocols::output`]): the parties compare what was opened so far, and then
//! each sends its share of the sum to the recipients alone, re-randomised by a fresh sharing of zero. So a recipient's view is
//! simulated from the sums, and everybody else sees the comparison's digests, which follow from what they have seen already. Pads repeat
//! nowhere: the comparison is entered under the number of places entered so far, the shares of zero under the number of
//! rounds, and both only grow. The shares that go on in the loop are others than those that left.
//!
//! **Cost**: two rounds for each, 32 bytes to every other party and 8 per element to every recipient.

use std::collections::BTreeMap;

use mpc_core::fixed::decode;
use mpc_core::ring::Z64;
use mpc_core::tensor::Tensor;
use ndarray::{ArrayD, IxDyn};
use protocols::cost::Cost;
use protocols::output;

use crate::error::ProgramError;
use crate::op::{NodeId, Op};
use crate::plan::Planned;
use crate::program::{Output, Program};
use crate::repeat::At;

/// Most reports of a program.
pub(crate) const MAX_REPORTS: usize = 64;

/// How an output leaves that is opened while a loop runs.
#[derive(Copy, Clone, PartialEq, Debug)]
pub struct Report {
    /// Iterations whose values are added up.
    pub every: u32,
    /// How often that is in all.
    pub times: u32,
    /// By what recipients multiply the sum.
    pub factor: f64,
}

/// A report that is made in an iteration.
pub(crate) struct Due<'a> {
    pub(crate) output: &'a Output,
    /// Which one it is, from 0.
    pub(crate) number: u32,
    pub(crate) report: Report,
}

/// One report as it is made.
#[derive(Copy, Clone)]
pub struct Reported<'a> {
    /// The output's name.
    pub name: &'a str,
    /// Which report it is, from 0.
    pub number: u32,
    /// Reports in all.
    pub of: u32,
    /// What was opened, where this party is a recipient.
    pub values: Option<&'a ArrayD<f64>>,
}

/// Does not show what was opened.
impl std::fmt::Debug for Reported<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("Reported");
        shown.field("name", &self.name).field("number", &self.number).field("of", &self.of);
        shown.field("shape", &self.values.map(ArrayD::shape)).finish_non_exhaustive()
    }
}

impl Program {
    /// How a node's value is reported, if the node is a report: an output of that name leaves while the loop runs.
    #[must_use]
    pub fn report(&self, node: NodeId) -> Option<Report> {
        let Op::Report { every, factor, .. } = self.nodes.get(node as usize)?.op else { return None };
        let every = every as u32;
        Some(Report { every, times: self.times(node) / every, factor })
    }

    /// The outputs that leave at the end, in order.
    pub(crate) fn last_outputs(&self) -> impl Iterator<Item = &Output> {
        self.outputs.iter().filter(|o| self.report(o.node).is_none())
    }

    /// The report that is made at a place.
    pub(crate) fn due(&self, at: At) -> Option<Due<'_>> {
        let report = self.report(at.node)?;
        let after = at.iteration + 1;
        if !after.is_multiple_of(report.every) {
            return None;
        }
        let output = self.outputs.iter().find(|o| o.node == at.node)?;
        Some(Due { output, number: after / report.every - 1, report })
    }

    /// What one report of a node costs.
    pub(crate) fn report_cost(&self, node: NodeId) -> Cost {
        let n = self.parties.len();
        let of = |o: &Output| {
            let elements =
                self.fact(node).shape.elements() / self.report(node).map_or(1, |r| r.times as usize);
            output::confirm_cost(n).then(output::cost::<Planned>(n, &[(elements, &o.recipients)]))
        };
        self.outputs.iter().find(|o| o.node == node).map_or_else(|| Cost::none(n), of)
    }

    /// Checks that every report is an output, and one only.
    pub(crate) fn check_reports(&self) -> Result<(), ProgramError> {
        let mut outputs = BTreeMap::<NodeId, usize>::new();
        for o in &self.outputs {
            *outputs.entry(o.node).or_default() += 1;
        }
        let reports = (0..).zip(&self.nodes).filter(|(_, n)| matches!(n.op, Op::Report { .. }));
        for (i, (node, n)) in reports.enumerate() {
            let refused = |what| Err(ProgramError::Parameter { node, op: n.op.name(), what });
            if i == MAX_REPORTS {
                return refused("a program has at most 64 reports");
            }
            if outputs.get(&node) != Some(&1) {
                return refused("a report is one output");
            }
        }
        Ok(())
    }
}

/// What reports have said so far, by output.
#[derive(Default)]
pub(crate) struct Series(BTreeMap<String, Vec<f64>>);

impl Series {
    /// Takes what a report says from the sum, and gives it.
    pub(crate) fn push(&mut self, due: &Due<'_>, sum: &ArrayD<f64>) -> ArrayD<f64> {
        let values = sum * due.report.factor;
        self.0.entry(due.output.name.clone()).or_default().extend(&values);
        values
    }

    /// As [`Series::push`], from ring elements.
    pub(crate) fn push_ring(&mut self, program: &Program, due: &Due<'_>, sum: &Tensor<Z64>) -> ArrayD<f64> {
        self.push(due, &decode(sum, program.fact(due.output.node).scale))
    }

    /// Every report's values, with those of one report after those of another along a new first axis.
    pub(crate) fn finish(mut self, program: &Program) -> impl Iterator<Item = (String, ArrayD<f64>)> {
        program.outputs.iter().filter_map(move |o| {
            let (name, values) = self.0.remove_entry(&o.name)?;
            let shape = IxDyn(program.fact(o.node).shape.dims());
            let whole = "invariant: every report was made, each of its operand's shape";
            Some((name, ArrayD::from_shape_vec(shape, values).expect(whole)))
        })
    }
}
