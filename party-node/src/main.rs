//! The `subrosa` binary.

fn main() -> std::process::ExitCode {
    party_node::main()
}
