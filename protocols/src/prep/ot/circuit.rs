//! Products of bits in levels, by the factor that they share.

use std::collections::BTreeMap;
use std::ops::Range;

/// `lane[out] = lane[operand] ∧ lane[choice]`, where `choice` is no product.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) struct Gate {
    pub(super) choice: usize,
    pub(super) operand: usize,
    pub(super) out: usize,
}

/// Gates by the factor that they share, with the round in which each has its operand.
pub(super) struct Circuit {
    /// Lanes that are choices.
    pub(super) choices: Vec<usize>,
    /// For each of them, where its products begin among all; and the number of all.
    pub(super) first: Vec<usize>,
    /// All products, those of a choice together.
    pub(super) gates: Vec<Gate>,
    /// Products of each level.
    pub(super) levels: Vec<Vec<usize>>,
}

impl Circuit {
    /// The gates must come in an order in which every operand stands before its use.
    pub(super) fn new(gates: &[Gate]) -> Self {
        let mut level: BTreeMap<usize, usize> = BTreeMap::new();
        let mut of_choice: BTreeMap<usize, Vec<Gate>> = BTreeMap::new();
        for gate in gates {
            level.insert(gate.out, level.get(&gate.operand).map_or(0, |l| l + 1));
            of_choice.entry(gate.choice).or_default().push(*gate);
        }
        let choices = of_choice.keys().copied().collect();
        let (mut first, mut gates) = (vec![0], vec![]);
        for products in of_choice.into_values() {
            gates.extend(products);
            first.push(gates.len());
        }
        let mut levels = vec![vec![]; level.values().max().map_or(0, |l| l + 1)];
        for (place, gate) in gates.iter().enumerate() {
            levels[level[&gate.out]].push(place);
        }
        Self { choices, first, gates, levels }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.gates.is_empty()
    }

    /// Elements that are evaluated at a time, so that there are so many products at most, if 64 elements have no more.
    pub(super) fn slices(&self, len: usize, products: usize) -> impl Iterator<Item = Range<usize>> + use<> {
        let step = (products / self.gates.len().max(1)).max(64) / 64 * 64;
        (0..len).step_by(step).map(move |start| start..len.min(start + step))
    }

    /// Choices and elements whose COTs are made at a time, if there are `chunk` of these.
    pub(super) fn chunks(&self, len: usize, chunk: usize) -> impl Iterator<Item = [Range<usize>; 2]> + use<> {
        let lanes = self.choices.len();
        let (rows, columns) = (chunk.checked_div(len).unwrap_or(lanes).max(1), chunk.min(len));
        (0..lanes).step_by(rows).flat_map(move |row| {
            let lanes = row..lanes.min(row + rows);
            (0..len).step_by(columns.max(1)).map(move |c| [lanes.clone(), c..len.min(c + columns)])
        })
    }
}
