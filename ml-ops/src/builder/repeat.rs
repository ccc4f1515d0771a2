//! Loops, and what they take and leave.

use super::{ProgramBuilder, Value, bound_units};
use crate::error::ProgramError;
use crate::op::{NodeId, Op};
use crate::repeat::Repeat;

impl ProgramBuilder {
    /// Computes what `body` builds `times` times, one after the other. Every carried value begins with an initial one, has a largest
    /// magnitude that it keeps in all iterations, and takes what `body` returns for it into the next; the result has what the last
    /// iteration leaves. Loops are not nested: epochs times batches make one loop ([`ProgramBuilder::batch`]).
    ///
    /// The magnitude is proven where inference finds no larger one for what the body returns, and else a promise, as that of
    /// [`ProgramBuilder::assume_range`]; [`ProgramBuilder::clamp`] makes it a fact, for four rounds in every iteration.
    ///
    /// ```
    /// use ml_ops::{Owner, Program};
    /// use mpc_core::fixed::FracBits;
    /// let mut p = Program::builder("halved ten times", FracBits::DEFAULT, &["a", "b"]);
    /// let x = p.input("x", Owner(0), [3], 8.0)?;
    /// let halved = p.repeat(10, &[(x, 8.0)], |p, carried| Ok(vec![p.scale(carried[0], 0.5)?]))?;
    /// p.output("y", halved[0], &[1])?;
    /// // A truncation in every iteration; two rounds for the output.
    /// assert_eq!(p.build()?.plan().rounds, 10 + 2);
    /// # Ok::<(), ml_ops::ProgramError>(())
    /// ```
    ///
    /// # Errors
    /// A loop inside a loop; initial values beyond their magnitude; another number or other shapes of values than are carried; and
    /// what `body` fails with, after which nothing can be built.
    pub fn repeat(
        &mut self,
        times: u32,
        carried: &[(Value, f64)],
        body: impl FnOnce(&mut Self, &[Value]) -> Result<Vec<Value>, ProgramError>,
    ) -> Result<Vec<Value>, ProgramError> {
        let first = self.program.nodes.len() as NodeId;
        let refused = |what| Err(ProgramError::Loop { first, what });
        if self.program.loops.last().is_some_and(|l| l.end == NodeId::MAX) {
            return refused("a loop is not inside another; epochs times batches make one");
        }
        if times == 0 {
            return refused("a loop has at least one iteration");
        }
        self.program.loops.push(Repeat::new(first, NodeId::MAX, times));
        let mut carries = vec![];
        for &(initial, max_abs) in carried {
            self.check("carry", &[initial])?;
            let bound = bound_units("carry", max_abs, self.program.frac.bits())?;
            carries.push(self.push("carry", &[initial], |v| Op::Carry { initial: v[0], bound })?);
        }
        let next = body(self, &carries)?;
        if next.len() != carries.len() {
            return refused("a body returns a value for every carried one");
        }
        let end = self.program.nodes.len() as NodeId;
        if let Some(l) = self.program.loops.last_mut() {
            l.end = end;
        }
        if end == first {
            return refused("a body has an operation");
        }
        let after = |(&carry, &next): (&Value, &Value)| {
            self.push("carried", &[carry, next], |v| Op::Carried { carry: v[0], next: v[1] })
        };
        carries.iter().zip(&next).map(after).collect()
    }

    /// In a loop: `rows` rows of a value from before it, others in every iteration: all rows in every epoch, in order
    /// ([`crate::Batches`]). A tensor whose batches are factors of products is opened once for all of them, in the first
    /// iteration, where that is less.
    ///
    /// # Errors
    /// Outside of a loop; a value of the loop; no rows, or more than there are.
    pub fn batch(&mut self, x: Value, rows: usize) -> Result<Value, ProgramError> {
        self.push("batch", &[x], |v| Op::Batch { x: v[0], rows })
    }

    /// In a loop: declares an output that leaves while the loop runs. After every `every` iterations, the recipients learn the sum of a
    /// value over them, times a public number. Two rounds each time; what it reveals is said in `report`.
    ///
    /// ```
    /// use ml_ops::{Owner, Program};
    /// use mpc_core::fixed::FracBits;
    /// let mut p = Program::builder("halved ten times", FracBits::DEFAULT, &["a", "b"]);
    /// let x = p.input("x", Owner(0), [], 8.0)?;
    /// let halved = p.repeat(10, &[(x, 8.0)], |p, carried| {
    ///     // Party 1 sees the means of iterations 1 to 5 and 6 to 10.
    ///     p.report("mean", carried[0], 5, 0.2, &[1])?;
    ///     Ok(vec![p.scale(carried[0], 0.5)?])
    /// })?;
    /// p.output("y", halved[0], &[0])?;
    /// let program = p.build()?;
    /// assert!(program.to_string().ends_with("output \"mean\" = %2 to \"b\", after every 5 iterations\noutput \"y\" = %4 to \"a\"\n"));
    /// assert_eq!(program.plan().rounds, 10 + 2 * 2 + 2);
    /// # Ok::<(), ml_ops::ProgramError>(())
    /// ```
    ///
    /// # Errors
    /// Outside of a loop, or a value from before it; a number of iterations that the loop has not several times; a factor that is
    /// not finite, or zero; recipients as for [`ProgramBuilder::output`].
    pub fn report(
        &mut self,
        name: &str,
        x: Value,
        every: u32,
        factor: f64,
        recipients: &[usize],
    ) -> Result<(), ProgramError> {
        let node = self.push("report", &[x], |v| Op::Report { x: v[0], every: every as usize, factor })?;
        self.output(name, node, recipients)
    }

    /// After a loop: the values of one of its nodes, added up over `every` iterations at a time, along a new first axis. Local.
    ///
    /// # Errors
    /// A value that no loop computed, or a number of iterations that the loop has not several times.
    pub fn history(&mut self, x: Value, every: u32) -> Result<Value, ProgramError> {
        self.push("history", &[x], |v| Op::History { x: v[0], every: every as usize })
    }
}
