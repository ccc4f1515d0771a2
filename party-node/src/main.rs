//! The `subrosa` binary.

mod allocator;

fn main() -> std::process::ExitCode {
    allocator::keep_freed_memory();
    party_node::main()
}
