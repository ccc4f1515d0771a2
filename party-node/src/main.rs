//! The `subrosa` binary.

/// Tensors of megabytes come and go in every operation. The system's allocator gives such memory back at once and takes
/// it again page by page, which cost a third of the time of a product of a million numbers (`docs/performance.md`).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    party_node::main()
}
