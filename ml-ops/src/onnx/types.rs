//! Which values have an integer type. A quotient of integers is one, which the quotient of the numbers is not.

use super::graph::Node;
use super::proto::tensor_proto::DataType;

/// Whether output `i` of a node has an integer type, from whether its operands have.
pub(super) fn is_integer(node: &Node, i: usize, operand: impl Fn(usize) -> bool) -> bool {
    match (node.domain.as_str(), node.op.as_str()) {
        ("", "Cast") => {
            let to = node.int("to", 0).ok().and_then(|to| DataType::try_from(to as i32).ok());
            let reals = [DataType::Float, DataType::Double, DataType::Float16, DataType::Bfloat16];
            // The first versions name the type, and none of what they cast to is divided.
            to.is_some_and(|to| !reals.contains(&to) && to != DataType::Bool && to != DataType::String)
        }
        ("", "CastLike" | "Where") => operand(1),
        ("", "Shape" | "Size" | "NonZero" | "ArgMax" | "ArgMin") => true,
        ("", "TopK") if i == 1 => true,
        ("", _) => operand(0),
        (_, "ArrayFeatureExtractor" | "Imputer" | "ZipMap") => operand(0),
        (_, "LabelEncoder") => node.has("values_int64s"),
        (_, "TreeEnsembleClassifier" | "LinearClassifier" | "SVMClassifier") => {
            i == 0 && !node.has("classlabels_strings")
        }
        _ => false,
    }
}
