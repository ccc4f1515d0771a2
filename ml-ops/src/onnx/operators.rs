//! What each operator becomes.

mod activation;
mod arithmetic;
mod attention;
mod branch;
mod compare;
mod creation;
mod division;
mod gather;
mod images;
mod label;
mod linear;
mod quotient;
mod reduce;
mod resize;
mod scaling;
mod shape;
mod support_vectors;
mod trees;
mod whole;

use super::registry::Operator;

/// The tables of operators.
pub(super) const TABLES: &[&[Operator]] = &[
    activation::TABLE,
    arithmetic::TABLE,
    attention::TABLE,
    branch::TABLE,
    compare::TABLE,
    creation::TABLE,
    division::TABLE,
    gather::TABLE,
    images::TABLE,
    label::TABLE,
    linear::TABLE,
    quotient::TABLE,
    reduce::TABLE,
    resize::TABLE,
    scaling::TABLE,
    shape::TABLE,
    support_vectors::TABLE,
    trees::TABLE,
    whole::TABLE,
];
