//! Trees as a program computes them: comparisons of the form ±x ≤ t with t on the grid of fixed point, and branches by them.

use super::{MAX_TREE_NODES, Test, Tree, TreeEnsemble, TreeError, TreeNode};

/// One comparison: ±x\[feature\] ≤ limit.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) struct Column {
    pub(super) feature: usize,
    pub(super) negated: bool,
    /// In units of the features' scale.
    pub(super) limit: i64,
}

/// A node of a tree whose tests are comparisons.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Flat {
    Branch {
        /// What must hold to go to `yes`.
        first: Column,
        /// What must hold too, if anything.
        second: Option<Column>,
        yes: usize,
        no: usize,
    },
    /// The weights of the leaf with this position in the tree as its owner has it.
    Leaf(usize),
}

/// The grid that features are on.
#[derive(Copy, Clone, Debug)]
pub(super) struct Grid {
    pub(super) scale: u32,
    /// Largest magnitude of a feature, in units.
    pub(super) bound: i64,
}

impl Grid {
    /// The limit t for which x ≤ t holds for the same multiples x as x ≤ at does, or x < at. A number of the model is rounded as
    /// features are when they enter a program; integers are not.
    fn limit(self, at: f64, strict: bool) -> i64 {
        let units = at * 2f64.powi(self.scale as i32);
        let units = if self.scale == 0 { units } else { units.round_ties_even() };
        let units = if strict { units.ceil() - 1.0 } else { units.floor() };
        // Beyond the features' bound all limits mean the same: always, or never.
        units.clamp((-self.bound - 1) as f64, self.bound as f64) as i64
    }

    fn branch(self, feature: usize, test: Test, at: f64, [yes, no]: [usize; 2]) -> Flat {
        let below = |strict| Column { feature, negated: false, limit: self.limit(at, strict) };
        let one = |first, yes, no| Flat::Branch { first, second: None, yes, no };
        // x > l is −x ≤ −l − 1.
        let above = Column { negated: true, limit: -self.limit(at, true) - 1, ..below(true) };
        let both = |yes, no| Flat::Branch { first: below(false), second: Some(above), yes, no };
        match test {
            Test::LessEqual => one(below(false), yes, no),
            Test::Less => one(below(true), yes, no),
            Test::Greater => one(below(false), no, yes),
            Test::GreaterEqual => one(below(true), no, yes),
            Test::Equal => both(yes, no),
            Test::NotEqual => both(no, yes),
        }
    }
}

/// Compares what there is with what is always so, so that both sides may be the same.
const ALWAYS: Column = Column { feature: 0, negated: false, limit: 0 };

impl TreeEnsemble {
    /// All trees, each with at least one branch.
    pub(super) fn flat(&self, grid: Grid) -> Vec<Vec<Flat>> {
        let node = |at: usize, n: &TreeNode| match n {
            TreeNode::Leaf(_) => Flat::Leaf(at),
            &TreeNode::Branch { feature, test, threshold, yes, no } => {
                grid.branch(feature, test, threshold, [yes, no])
            }
        };
        let tree = |t: &Tree| match &t.nodes[0] {
            TreeNode::Leaf(_) => stump(0),
            TreeNode::Branch { .. } => t.nodes.iter().enumerate().map(|(i, n)| node(i, n)).collect(),
        };
        self.trees.iter().map(tree).collect()
    }
}

/// A tree of one leaf, under a branch.
fn stump(leaf: usize) -> Vec<Flat> {
    vec![Flat::Branch { first: ALWAYS, second: None, yes: 1, no: 2 }, Flat::Leaf(leaf), Flat::Leaf(leaf)]
}

/// All trees made complete and equally deep, with one comparison per branch: their shapes say nothing but the depth.
pub(super) fn complete(trees: &[Vec<Flat>]) -> Result<Vec<Vec<Flat>>, TreeError> {
    let too_large =
        |got| TreeError::Size { what: "nodes after padding to complete trees", got, max: MAX_TREE_NODES };
    let (mut split, mut room) = (vec![], MAX_TREE_NODES);
    for tree in trees {
        let tree = Splitter::split(tree, room).ok_or_else(|| too_large(usize::MAX))?;
        room -= tree.len();
        split.push(tree);
    }
    let depth = split.iter().map(|t| depth(t)).max().unwrap_or(1);
    let nodes = u32::try_from(depth + 1).ok().and_then(|d| 1usize.checked_shl(d)).unwrap_or(usize::MAX);
    match nodes.saturating_mul(split.len()) {
        got if got > MAX_TREE_NODES => Err(too_large(got)),
        _ => Ok(split.iter().map(|t| padded(t, depth)).collect()),
    }
}

/// Most branches between the root and a leaf.
fn depth(tree: &[Flat]) -> usize {
    let (mut deepest, mut ahead) = (0, vec![(0, 0)]);
    while let Some((at, depth)) = ahead.pop() {
        deepest = deepest.max(depth);
        if let Flat::Branch { yes, no, .. } = tree[at] {
            ahead.extend([(yes, depth + 1), (no, depth + 1)]);
        }
    }
    deepest
}

/// Replaces a branch that takes two comparisons by two branches, the other side of both being the same.
struct Splitter<'a> {
    tree: &'a [Flat],
    out: Vec<Flat>,
    room: usize,
}

impl Splitter<'_> {
    /// `None` if there are more nodes than room for them.
    fn split(tree: &[Flat], room: usize) -> Option<Vec<Flat>> {
        let mut all = Splitter { tree, out: vec![], room };
        all.copy(0)?;
        Some(all.out)
    }

    /// Appends the part below a node; where it is. Recursion is as deep as the tree, twice at most.
    fn copy(&mut self, at: usize) -> Option<usize> {
        let place = self.out.len();
        if place >= self.room {
            return None;
        }
        self.out.push(self.tree[at].clone());
        if let Flat::Branch { first, second, yes, no } = self.tree[at] {
            let yes = match second {
                None => self.copy(yes)?,
                Some(second) => {
                    let below = self.out.len();
                    if below >= self.room {
                        return None;
                    }
                    self.out.push(Flat::Leaf(0));
                    let (yes, no) = (self.copy(yes)?, self.copy(no)?);
                    self.out[below] = Flat::Branch { first: second, second: None, yes, no };
                    below
                }
            };
            let no = self.copy(no)?;
            self.out[place] = Flat::Branch { first, second: None, yes, no };
        }
        Some(place)
    }
}

/// The tree with every leaf at the same depth, in level order.
fn padded(tree: &[Flat], depth: usize) -> Vec<Flat> {
    let mut out = vec![];
    let mut level = vec![0];
    for d in 0..=depth {
        let first = (1usize << (d + 1)) - 1;
        let mut next = vec![];
        for (i, at) in level.into_iter().enumerate() {
            let [yes, no] = [first + 2 * i, first + 2 * i + 1];
            match tree[at] {
                Flat::Branch { first, second, yes: y, no: n } => {
                    out.push(Flat::Branch { first, second, yes, no });
                    next.extend([y, n]);
                }
                Flat::Leaf(leaf) if d == depth => out.push(Flat::Leaf(leaf)),
                Flat::Leaf(_) => {
                    out.push(Flat::Branch { first: ALWAYS, second: None, yes, no });
                    next.extend([at, at]);
                }
            }
        }
        level = next;
    }
    out
}

/// Where everything is when all trees are walked level by level at once.
#[derive(Debug)]
pub(super) struct Outline {
    /// One comparison per branch, in the order of the branches; then the second ones of those that have two.
    pub(super) columns: Vec<Column>,
    /// Which branches have a second comparison.
    pub(super) doubled: Vec<usize>,
    pub(super) levels: Vec<Level>,
    /// Tree and position of every leaf, in the order in which the levels reach them.
    pub(super) leaves: Vec<(usize, usize)>,
}

/// The branches at one distance from the roots. Their sides are numbered: all first ones, then all second ones.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Level {
    pub(super) branches: usize,
    /// The sides that are branches again, in the order of the next level.
    pub(super) onward: Vec<usize>,
    /// The sides that are leaves.
    pub(super) ends: Vec<usize>,
}

impl Outline {
    pub(super) fn of(trees: &[Vec<Flat>]) -> Self {
        let mut all = Self { columns: vec![], doubled: vec![], levels: vec![], leaves: vec![] };
        let (mut seconds, mut here) = (vec![], (0..trees.len()).map(|t| (t, 0)).collect::<Vec<_>>());
        while !here.is_empty() {
            let mut sides = [vec![], vec![]];
            for &(tree, at) in &here {
                let Flat::Branch { first, second, yes, no } = trees[tree][at] else {
                    unreachable!("a level has branches alone")
                };
                if let Some(second) = second {
                    all.doubled.push(all.columns.len());
                    seconds.push(second);
                }
                all.columns.push(first);
                sides[0].push((tree, yes));
                sides[1].push((tree, no));
            }
            let mut level = Level { branches: here.len(), onward: vec![], ends: vec![] };
            let mut next = vec![];
            for (side, (tree, at)) in sides.concat().into_iter().enumerate() {
                match trees[tree][at] {
                    Flat::Leaf(leaf) => {
                        level.ends.push(side);
                        all.leaves.push((tree, leaf));
                    }
                    Flat::Branch { .. } => {
                        level.onward.push(side);
                        next.push((tree, at));
                    }
                }
            }
            all.levels.push(level);
            here = next;
        }
        all.columns.append(&mut seconds);
        all
    }

    /// Number of branches.
    pub(super) fn branches(&self) -> usize {
        self.columns.len() - self.doubled.len()
    }
}
