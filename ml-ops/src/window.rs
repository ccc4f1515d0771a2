//! Programs that are run a window of rows at a time, so that memory is bounded by the window and not by the rows.
//!
//! A program is **row-wise** if no operation mixes the rows of the data: then its rows fall into windows of equal length (and a
//! shorter last one), and each is computed by the same program with fewer rows. All windows are computed one after the other, and
//! all outputs leave together at the end. Results, and what is computed for each row, are the same as without windows; the rounds
//! multiply by the number of windows, and what depends on weights alone is computed for each of them.
//!
//! **Security**: window i enters every node under iteration i, so its pads are its own (`Session::enter` refuses a place that was
//! entered before), and it consumes items of correlated randomness of its own. The length of a window is a part of the program,
//! known to everybody.

use crate::error::ProgramError;
use crate::op::{InputKind, NodeId, Op};
use crate::program::{Node, Program};
use crate::shape::Shape;

/// Windows of one length.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Windows {
    /// What is computed for each.
    pub(crate) program: Program,
    /// How many there are.
    pub(crate) count: usize,
}

impl Program {
    /// The programs that a run of this one consists of, with how often each is run, in order: itself unless it has more rows than
    /// its window.
    pub(crate) fn windows(&self) -> Vec<(&Self, usize)> {
        match &self.windows[..] {
            [] => vec![(self, 1)],
            all => all.iter().map(|w| (&w.program, w.count)).collect(),
        }
    }

    /// Rows of data in a window that is computed at a time, where rows are computed in windows at all.
    #[must_use]
    pub fn window_rows(&self) -> Option<usize> {
        self.settings.window_rows.map(|rows| rows as usize)
    }

    /// Rows of the data of a program that is run in windows.
    #[must_use]
    pub const fn rows(&self) -> Option<usize> {
        self.rows
    }

    /// Whether the node has a row for every row of the data, in a program that is run in windows.
    #[must_use]
    pub fn has_rows(&self, node: NodeId) -> bool {
        self.row_wise.get(node as usize).is_some_and(|&rows| rows)
    }

    /// Finds the rows of a program that has a window, and the programs of its windows.
    pub(crate) fn cut(mut self) -> Result<Self, ProgramError> {
        let Some(window) = self.settings.window_rows.map(|rows| rows as usize) else { return Ok(self) };
        if let Some(l) = self.loops.first() {
            return Err(
                self.not_row_wise(l.first, "a program with a loop has no window: its batches are that")
            );
        }
        let first = (0..).zip(&self.nodes).find(|(_, n)| is_data(&n.op));
        let Some((node, rows)) = first.map(|(i, n)| (i, n.fact.shape.dims().first().copied())) else {
            return Err(self.not_row_wise(0, "a program with a window has data in rows"));
        };
        let Some(rows) = rows else { return Err(self.not_row_wise(node, "data in windows has rows")) };
        if window == 0 {
            return Err(self.not_row_wise(node, "a window has at least one row"));
        }
        self.row_wise = self.find_rows(rows)?;
        self.rows = Some(rows);
        if rows > window {
            let [full, rest] = [rows / window, rows % window];
            self.windows.push(Windows { program: self.with_rows(window)?, count: full });
            if rest > 0 {
                self.windows.push(Windows { program: self.with_rows(rest)?, count: 1 });
            }
        }
        Ok(self)
    }

    /// Which nodes have a row for every row of the data.
    fn find_rows(&self, rows: usize) -> Result<Vec<bool>, ProgramError> {
        let mut has: Vec<bool> = Vec::with_capacity(self.nodes.len());
        for (node, n) in (0..).zip(&self.nodes) {
            let one = self.keeps_rows(n, rows, |x| has[x as usize]);
            has.push(one.map_err(|what| self.not_row_wise(node, what))?);
        }
        let output = self.outputs.iter().find(|o| !has[o.node as usize]);
        let what = "an output has a row for every row of the data";
        output.map_or(Ok(has), |o| Err(self.not_row_wise(o.node, what)))
    }

    /// Whether a node has the rows of the data, given which of its operands do; an error if it mixes them.
    fn keeps_rows(&self, n: &Node, rows: usize, has: impl Fn(NodeId) -> bool) -> Result<bool, &'static str> {
        let in_front =
            |shape: &Shape, what| if shape.dims().first() == Some(&rows) { Ok(true) } else { Err(what) };
        if let Op::Input { kind: InputKind::Data, shape, .. } = &n.op {
            return in_front(shape, "all data has the same number of rows");
        }
        let operands = n.op.operands();
        if !operands.iter().any(|&x| has(x)) {
            return Ok(false);
        }
        // Rows meet rows, or what is the same for all of them.
        let fits = |&x: &NodeId| {
            let (dims, rank) = (self.fact(x).shape.dims(), n.fact.shape.rank());
            if has(x) { dims.len() == rank } else { dims.len() < rank || dims[0] == 1 }
        };
        let refused = match &n.op {
            // Lists of products, one or some for every row, which stand along a leading axis of the result.
            Op::MatMul(..) if n.fact.shape.rank() > 2 => {
                if operands.iter().all(fits) {
                    return Ok(true);
                }
                "the other operand is not the same for every row"
            }
            Op::MatMul(_, w) | Op::Dense { w, .. } if has(*w) => {
                "the right factor of a product has no rows of data"
            }
            Op::Dense { b, .. } if has(*b) => "a bias has no rows of data",
            Op::Conv { w, .. } if has(*w) => "the kernel of a convolution has no rows of data",
            Op::Conv { bias: Some(b), .. } if has(*b) => "a bias has no rows of data",
            Op::MatMul(..) | Op::Dense { .. } | Op::Conv { .. } | Op::Unfold { .. } => return Ok(true),
            Op::Permute { axes, .. } if axes[0] == 0 => return Ok(true),
            Op::Permute { .. } => "this moves them to another axis",
            Op::Pad { before, after, .. } if before[0] == 0 && after[0] == 0 => return Ok(true),
            Op::Pad { .. } => "this adds to them",
            Op::Transpose(_) => "this turns them into columns",
            Op::Reshape { shape, .. } => return in_front(shape, "they stay along the first axis"),
            Op::Concat { xs, .. } if !xs.iter().all(|&x| has(x)) => "this joins data to what has no rows",
            Op::Split { .. } if n.fact.shape.rank() == 1 => "the two sides are joined along them",
            // With a payload, both are joined along a new first axis.
            Op::Sort { payload: Some(_), .. } => "the result of this has them along another axis",
            Op::Sum { axis, .. }
            | Op::Mean { axis, .. }
            | Op::Slice { axis, .. }
            | Op::Gather { axis, .. }
            | Op::Extreme { axis, .. }
            | Op::Concat { axis, .. }
            | Op::Sort { axis, .. } => {
                if *axis > 0 {
                    return Ok(true);
                }
                "this works along them"
            }
            // Elementwise: rows of data meet rows of data, or what is repeated for every row.
            _ => {
                if operands.iter().all(fits) {
                    return Ok(true);
                }
                "the other operand is not the same for every row"
            }
        };
        Err(refused)
    }

    /// The same program for another number of rows.
    fn with_rows(&self, rows: usize) -> Result<Self, ProgramError> {
        let mut window = Self::empty(self.name.clone(), self.frac, self.parties.clone());
        window.settings = self.settings;
        window.settings.window_rows = None;
        for (node, n) in (0..).zip(&self.nodes) {
            let mut op = n.op.clone();
            if let Op::Input { shape, .. } | Op::Reshape { shape, .. } = &mut op
                && self.has_rows(node)
            {
                *shape = shape.with_axis(0, rows);
            }
            window.push(op)?;
        }
        window.outputs.clone_from(&self.outputs);
        window.row_wise.clone_from(&self.row_wise);
        window.rows = Some(rows);
        Ok(window)
    }

    fn not_row_wise(&self, node: NodeId, what: &'static str) -> ProgramError {
        let op = self.nodes.get(node as usize).map_or("program", |n| n.op.name());
        ProgramError::NotRowWise { node, op, what }
    }
}

const fn is_data(op: &Op) -> bool {
    matches!(op, Op::Input { kind: InputKind::Data, .. })
}
