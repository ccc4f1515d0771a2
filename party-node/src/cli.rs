//! The command line: parses flags, calls one module per command, prints what comes back.
//!
//! Exit codes: 0 success; 1 the computation failed or a check did not hold; 2 wrong usage or configuration.

mod bench;
mod check;
mod demo;
mod feature_range;
mod import;
mod keygen;
mod log;
mod parties;
mod plan;
mod prepare;
mod prove;
mod run;
mod sections;
mod train;

pub(crate) use keygen::{from_identity, make as make_key};

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Parser, Subcommand};

use crate::bench::workload::Workload;
use crate::config::{Net, OfflineArgs};
use crate::error::CliError;
use crate::identity::{is_marked_private, may_hold_key};
use crate::output::{Format, write_stdout};
use crate::signals::survive_file_size_limit;
use crate::store::MAX_COPIES;

/// Joint computation on data that its owners do not show each other.
#[derive(Parser)]
#[command(name = "subrosa", version, about, disable_help_subcommand = true, max_term_width = 110)]
struct Cli {
    /// Print one JSON object instead of text (errors too)
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make an identity: a private key file and the public key beside it
    Keygen {
        /// Private key files to create; FILE.key gets its public key in FILE.pub
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Check a configuration and everything that can be known before peers are up
    Check {
        /// The node's TOML file, a party's or a dealer's
        #[arg(long)]
        config: PathBuf,
    },
    /// Connect as one party, run the program of the configuration, write the outputs, exit
    Run {
        /// The party's TOML file
        #[arg(long)]
        config: PathBuf,
        /// Slow this node's link down to that of another network, for trials: lan, wan, or DELAY/RATE
        #[arg(long)]
        net: Option<Net>,
    },
    /// Make correlated randomness ahead, together with all other parties, and keep it for later runs
    Prepare {
        /// The party's TOML file; its [job] names the store
        #[arg(long)]
        config: PathBuf,
        /// Make it for this program instead of the one that the configuration names
        #[arg(long = "for", value_name = "PROGRAM")]
        program: Option<PathBuf>,
        /// For how many runs, the same at all parties
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_COPIES)))]
        times: u32,
        /// Slow this node's link down to that of another network, for trials: lan, wan, or DELAY/RATE
        #[arg(long)]
        net: Option<Net>,
    },
    /// Serve as the dealer of correlated randomness
    Node {
        /// The dealer's TOML file
        #[arg(long)]
        config: PathBuf,
        /// End after one session
        #[arg(long)]
        once: bool,
        /// Slow this node's link down to that of another network, for trials: lan, wan, or DELAY/RATE
        #[arg(long)]
        net: Option<Net>,
    },
    /// Rounds, bytes, memory, correlated randomness and estimated time of a program
    Plan {
        /// A program file
        #[arg(required_unless_present = "config", conflicts_with = "config")]
        program: Option<PathBuf>,
        /// Take the program that this configuration names
        #[arg(long)]
        config: Option<PathBuf>,
        /// Print the program as text too
        #[arg(long)]
        text: bool,
        #[command(flatten)]
        offline: OfflineArgs,
        /// The network that is planned for, as for `run`; it decides how transfers are extended
        #[arg(long)]
        net: Option<Net>,
    },
    /// Make a program from a trained model in an ONNX file
    Import(Box<import::ImportArgs>),
    /// Make the program of a joint training, and the one that scores rows with the model
    #[command(after_help = train::EXAMPLE)]
    Train(Box<train::TrainArgs>),
    /// Check and read nodes' logs offline
    Log {
        #[command(subcommand)]
        command: LogCommand,
    },
    /// Time one workload as real processes over QUIC on this machine
    Bench(BenchArgs),
    /// A node of a bench
    #[command(hide = true)]
    BenchNode {
        /// Folder of the bench
        dir: PathBuf,
        /// Place in its list of nodes
        index: usize,
    },
    /// The whole story on this machine, as separate processes
    Demo {
        #[command(subcommand)]
        command: DemoCommand,
    },
}

#[derive(Subcommand)]
enum LogCommand {
    /// Check signatures, tree and entries of one or several logs, and that they agree with each other
    Verify(log::VerifyArgs),
    /// Print a log's entries, one line each
    Show {
        /// Log folder
        dir: PathBuf,
    },
    /// Prove to somebody without the log that an entry is in it, or that it only grew
    Prove {
        /// Log folder
        dir: PathBuf,
        #[command(flatten)]
        claim: prove::Claim,
    },
    /// Check a proof with the log's public key alone
    CheckProof(prove::CheckArgs),
}

#[derive(Subcommand)]
enum DemoCommand {
    /// Bank, bureau, telecom and dealer score loan applicants together
    LoanScoring(DemoArgs),
}

/// Flags of `demo loan-scoring`.
#[derive(clap::Args)]
struct DemoArgs {
    /// Computing parties, 2 to 5
    #[arg(long, value_parser = clap::value_parser!(u8).range(2..=5), conflicts_with = "data")]
    parties: Option<u8>,
    /// Applicants to score
    #[arg(long, value_parser = clap::value_parser!(u32).range(20..=1_000_000), conflicts_with = "data")]
    rows: Option<u32>,
    /// Use the files in DIR (one CSV per party, weights, demo.toml) instead of made-up applicants
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    #[command(flatten)]
    offline: OfflineArgs,
    /// The network between them: loopback, lan (0.5ms/1gbit), wan (40ms/100mbit), or DELAY/RATE; DELAY is one way
    #[arg(long, default_value = "loopback")]
    net: Net,
    /// Keep keys, configurations, data, scores and logs in DIR (new or empty)
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

/// Flags of `bench`.
#[derive(clap::Args)]
struct BenchArgs {
    /// What to compute
    workload: Workload,
    /// Elements, side of the matrices, rows or batch
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=20_000_000))]
    n: Option<u32>,
    /// Columns (lr-infer, lr-train, tree)
    #[arg(long, value_parser = clap::value_parser!(u32).range(2..=10_000))]
    columns: Option<u32>,
    /// Products in the plain ring, without truncation (mul)
    #[arg(long)]
    raw: bool,
    /// Computing parties
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(2..=5))]
    parties: u8,
    #[command(flatten)]
    offline: OfflineArgs,
    /// Security model
    #[arg(long, value_enum, default_value = "semi-honest")]
    security: SemiHonest,
    /// The network between them: loopback, lan (0.5ms/1gbit), wan (40ms/100mbit), or DELAY/RATE; DELAY is one way
    #[arg(long, default_value = "loopback")]
    net: Net,
    /// Counted repetitions
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    repeat: u32,
}

/// The one security model that there is.
#[derive(Copy, Clone, clap::ValueEnum)]
enum SemiHonest {
    SemiHonest,
}

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    survive_file_size_limit();
    let args: Vec<OsString> = std::env::args_os().collect();
    let format = if args.iter().any(|a| a == "--json") { Format::Json } else { Format::Text };
    std::panic::set_hook(Box::new(|_| {})); // reported below, in one line
    std::panic::catch_unwind(|| run(&args, format)).unwrap_or_else(|cause| {
        let what = cause
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| cause.downcast_ref::<&str>().copied())
            .unwrap_or("unknown cause");
        let error = CliError::outcome("internal", format_args!("internal error: {what}"))
            .with_hint("this is a defect of subrosa; please report it with the command that led here");
        format.fail(&error)
    })
}

fn run(args: &[OsString], format: Format) -> ExitCode {
    if let Err(error) = refuse_keys(args) {
        return format.fail(&error);
    }
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(e) if matches!(e.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            return match write_stdout(&e.render().to_string()) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => format.fail(&error),
            };
        }
        Err(e) => return format.fail(&usage_error(&e)),
    };
    let format = if cli.json { Format::Json } else { Format::Text };
    let done = match cli.command {
        Command::Keygen { files } => keygen::run(&files, format),
        Command::Check { config } => check::run(&config, format),
        Command::Run { config, net } => run::party(&config, net, format),
        Command::Prepare { config, program, times, net } => {
            prepare::run(&config, program, times, net, format)
        }
        Command::Node { config, once, net } => run::dealer(&config, once, net, format),
        Command::Plan { program, config, text, offline, net } => {
            plan::run(program.as_deref(), config.as_deref(), text, (offline, net), format)
        }
        Command::Import(args) => import::run(&args, format),
        Command::Train(args) => train::run(&args, format),
        // What is wrong with logs is the result, not an error: it is printed like one that holds.
        Command::Log { command: LogCommand::Verify(args) } => {
            return log::verify(&args, format).unwrap_or_else(|error| format.fail(&error));
        }
        Command::Log { command: LogCommand::Show { dir } } => log::show(&dir, format),
        Command::Log { command: LogCommand::Prove { dir, claim } } => prove::prove(&dir, &claim, format),
        Command::Log { command: LogCommand::CheckProof(args) } => prove::check(&args, format),
        Command::Bench(args) => bench::bench(&args, format),
        Command::BenchNode { dir, index } => bench::node(&dir, index, format),
        Command::Demo { command: DemoCommand::LoanScoring(args) } => demo::loan_scoring(args, format),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => format.fail(&error),
    }
}

/// No argument is ever a private key, and most arguments are repeated by somebody: by the parser, in a message about a
/// file, as the name of a file that is made. So one that may be a key is refused before anybody sees it.
fn refuse_keys(args: &[OsString]) -> Result<(), CliError> {
    let may_be_key = |arg: &OsString| {
        let arg = arg.to_string_lossy();
        may_hold_key(&arg) && (is_marked_private(&arg) || !is_path(&arg))
    };
    let Some(at) = args.iter().skip(1).position(may_be_key) else { return Ok(()) };
    Err(CliError::setup(
        "usage",
        format_args!("argument {} may be a private key, so it is not shown and nothing was done", at + 1),
    )
    .with_hint(
        "a private key is only ever named by its file, and a public one begins with `ed25519:`; what stood on a \
         command line is in the shell's history",
    ))
}

/// Whether an argument names what is there, or what could be: long paths can look like base64, and remembered heads and
/// cosigned checkpoints are called by a key or a session in hexadecimal.
fn is_path(arg: &str) -> bool {
    let path = match arg.split_once('=') {
        Some((flag, value)) if flag.starts_with("--") => Path::new(value),
        _ => Path::new(arg),
    };
    let digit = |b: &u8| b.is_ascii_digit() || (b'a'..=b'f').contains(b);
    let name = path.as_os_str().as_encoded_bytes();
    let is_head = name.get(..64).is_some_and(|name| name.iter().all(digit)) && path.exists();
    // Base64 can begin with a slash; below the root there are few names that it could hit.
    let folder = path.parent().filter(|f| *f != Path::new("/") && *f != Path::new(""));
    is_head || folder.is_some_and(Path::is_dir)
}

/// What clap says about wrong flags, as one line.
fn usage_error(error: &clap::Error) -> CliError {
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return CliError::setup("usage", "a command is missing").with_hint("see `subrosa --help`");
    }
    let text = error.render().to_string();
    let mut message: Vec<&str> = Vec::new();
    let mut hint = "see `subrosa --help`".to_owned();
    for line in text.lines().map(str::trim).filter(|l| !l.is_empty()) {
        if let Some(usage) = line.strip_prefix("Usage: ") {
            hint = format!("usage: {usage}");
        } else if line.starts_with("tip: ") || line.starts_with("For more information") {
            continue;
        } else {
            message.push(line.strip_prefix("error: ").unwrap_or(line));
        }
    }
    CliError::setup("usage", message.join(" ")).with_hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    fn refused(args: &[&str]) -> CliError {
        match Cli::try_parse_from(args) {
            Ok(_) => panic!("{args:?} must be refused"),
            Err(e) => usage_error(&e),
        }
    }

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn wrong_flags_are_one_line_with_exit_code_2() {
        for (args, expected) in [
            (&["subrosa", "dance"][..], "unrecognized subcommand 'dance'"),
            (
                &["subrosa", "run"][..],
                "the following required arguments were not provided: --config <CONFIG>",
            ),
            (&["subrosa", "demo", "loan-scoring", "--parties", "6"][..], "6 is not in 2..=5"),
            (
                &["subrosa", "demo", "loan-scoring", "--rows", "many"][..],
                "invalid value 'many' for '--rows <ROWS>'",
            ),
            (&["subrosa", "plan"][..], "required arguments were not provided"),
            (&["subrosa"][..], "a command is missing"),
            (&["subrosa", "log"][..], "a command is missing"),
        ] {
            let error = refused(args);
            assert!(error.message().contains(expected), "{args:?}: {error}");
            assert_eq!(error.message().lines().count(), 1);
            assert_eq!((error.code(), error.exit_code()), ("usage", ExitCode::from(2)));
            assert!(error.hint().is_some());
        }
    }

    #[test]
    fn a_path_is_no_key_though_it_may_look_like_one() {
        let refused = |arg: &str| refuse_keys(&[OsString::from("subrosa"), arg.into()]).is_err();
        // As long as a key in base64, and of its characters; tests run in the folder that has `src`.
        for (folder, is_there) in [("src", true), ("Src", false)] {
            let looks = format!("{folder}/A1{}A", "a".repeat(36));
            assert!(may_hold_key(&looks));
            assert_eq!(refused(&looks), !is_there, "{looks}");
            assert_eq!(refused(&format!("--config={looks}")), !is_there, "{looks}");
        }
        assert!(refused(&"0b".repeat(32)), "there is no such file");
    }

    #[test]
    fn json_is_understood_before_and_after_the_command() {
        for args in [["subrosa", "--json", "plan", "x"], ["subrosa", "plan", "x", "--json"]] {
            assert!(Cli::try_parse_from(args).is_ok_and(|cli| cli.json));
        }
    }
}
