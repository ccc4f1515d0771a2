//! Joint computations as static graphs.
//!
//! A [`Program`] says who brings which tensors, what is computed on them and who receives the results. It is built by
//! a typed API ([`ProgramBuilder`]), which infers shape, scale, visibility and magnitude of every node and refuses what
//! cannot be computed safely; it has a canonical encoding, whose digest the parties compare before they start.
//! [`Program::plan`] tells exactly what it will cost, [`run`] executes it as one party of a session, and [`run_local`]
//! tries it out with all parties in one process. [`reference`](mod@reference) computes the same in the clear.
//!
//! | module | job |
//! |---|---|
//! | `builder`, `infer`, `factor`, `function`, `op`, `fact`, `shape` | the graph and what is known about it |
//! | `settings` | how a program's truncations round, the shape of its comparisons, its window |
//! | [`layers`] | parameters of layers, in the clear |
//! | `unused` | leaving out what no output depends on |
//! | `codec`, `text` | canonical bytes and readable text |
//! | `lower`, `plan`, `estimate` | protocol steps of every node, their exact cost, memory and time |
//! | `kept` | values that stay in shares for a later session |
//! | `repeat` | loops with mini-batches |
//! | `report` | what leaves while a loop runs |
//! | `window` | running a program a window of rows at a time |
//! | `exec`, `local`, `walk` | running a program on shares |
//! | [`reference`](mod@reference) | floating point and exact fixed point, as oracles |
//! | [`training`] | losses, optimisers, and the loop that fits parameters |
//! | [`models`] | ready-made programs |
//! | [`onnx`] | programs from trained models in ONNX files |

mod batch;
mod builder;
mod codec;
mod error;
mod estimate;
mod exec;
mod fact;
mod factor;
mod function;
mod infer;
mod kept;
pub mod layers;
mod local;
mod lower;
pub mod models;
pub mod onnx;
mod op;
mod plan;
mod program;
pub mod reference;
mod repeat;
mod report;
mod settings;
mod shape;
mod text;
pub mod training;
mod unused;
mod walk;
mod window;

pub use builder::{Attention, Linear, Owner, ProgramBuilder, Value};
pub use error::ProgramError;
pub use estimate::{Estimate, Estimates};
pub use exec::{
    Ahead, EncodedInputs, Execution, InputError, Iteration, Place, Progress, RowSource, RunError, Shareable,
    StepCost, encode_inputs, run, run_encoded, run_windows,
};
pub use fact::{Fact, Visibility};
pub use function::Function;
pub use kept::{KeptError, KeptShare, Origin, SharedSpec};
pub use local::{run_local, run_local_with};
pub use mpc_core::windows::{Outside, Sliding};
/// An axis of a tensor, from 0.
pub use ndarray::Axis;
pub use op::{Direction, Extreme, InputKind, NodeId, Op, Winner};
pub use plan::{Correlation, Plan, PlanMismatch, PlannedInput, PlannedOp};
pub use program::{InputSpec, MAX_NAME_BYTES, MAX_NODES, Node, Output, Program};
pub use protocols::tree::{Link, TreeChoice};
pub use repeat::{Batches, Repeat};
pub use report::{Report, Reported};
pub use settings::{Rounding, Trees};
pub use shape::Shape;
