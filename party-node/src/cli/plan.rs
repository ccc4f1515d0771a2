//! `subrosa plan`: what a program will cost, before anything connects.

use std::fmt::Write as _;
use std::path::Path;

use ml_ops::{Estimate, Plan};

use protocols::prep::Provider;

use crate::config::{Config, Link, Net, Offline, OfflineArgs};
use crate::error::CliError;
use crate::job::inputs::{load_program, read_program};
use crate::job::report::security_line;
use crate::output::{Format, Table, bytes, count};

pub(super) fn run(
    program: Option<&Path>,
    config: Option<&Path>,
    text: bool,
    (args, net): (OfflineArgs, Option<Net>),
    format: Format,
) -> Result<(), CliError> {
    let (program, otherwise, its_net) = match (program, config) {
        (Some(path), _) => (read_program(path)?, Offline::DEALER, Net::from(Link::Loopback)),
        (None, Some(path)) => {
            let config = Config::load(path)?;
            (load_program(&config)?, config.offline, config.node.net)
        }
        (None, None) => return Err(CliError::setup("usage", "expected a program file or --config FILE")),
    };
    let provider = args.or(otherwise)?.provider(&program, net.unwrap_or(its_net));
    let plan = program.plan_for(provider);
    format.print(&plan, || {
        let listing = if text { format!("{program}\n") } else { String::new() };
        listing + &render(&plan, provider)
    })
}

/// More than this, and a plan without a dealer warns.
const MANY_OFFLINE_BYTES: u64 = 2_000_000_000;
/// Above this id stand the steps at a program's end, which are no nodes of it.
const FIRST_RESERVED_ID: u32 = 0xffff_fff0;

/// Who brings what, and what everybody knows: whether a model is private is seen here.
fn who_brings(plan: &Plan) -> String {
    let mut owners: Vec<(&str, &str, Vec<&str>, usize)> = vec![];
    for input in &plan.inputs {
        let numbers: usize = input.shape.iter().product();
        match owners.iter_mut().find(|(owner, kind, ..)| *owner == input.owner && *kind == input.kind) {
            Some((_, _, names, n)) => {
                names.push(&input.name);
                *n += numbers;
            }
            None => owners.push((&input.owner, input.kind, vec![&input.name], numbers)),
        }
    }
    let mut out = String::from("\n");
    for (owner, kind, names, n) in owners {
        let shown = if names.len() > 6 {
            format!("{} and {} more", names[..5].join(", "), names.len() - 5)
        } else {
            names.join(", ")
        };
        let _infallible =
            writeln!(out, "  {owner} alone knows {} numbers of {kind}: {shown}", count(n as u64));
    }
    if plan.public_numbers > 0 {
        let _infallible =
            writeln!(out, "  everybody knows {} numbers of the program", count(plan.public_numbers));
    }
    out
}

fn render(plan: &Plan, provider: Provider) -> String {
    let mut out = format!("`{}` for {} parties, digest {}\n\n", plan.program, plan.parties, plan.digest);
    let mut table =
        Table::new(&[">node", "op", ">rounds", ">online bytes", ">offline bytes", "correlated randomness"]);
    for op in plan.ops.iter().filter(|op| op.rounds > 0 || !op.correlations.is_empty()) {
        let kinds: Vec<String> =
            op.correlations.iter().map(|c| format!("{} {}", count(c.count as u64), c.kind)).collect();
        let id = if op.id < FIRST_RESERVED_ID { op.id.to_string() } else { "end".into() };
        table.row([
            id,
            op.op.to_owned(),
            op.rounds.to_string(),
            count(op.online_bytes_per_party),
            count(op.offline_bytes_per_party),
            kinds.join(", "),
        ]);
    }
    table.row([
        String::new(),
        "in all".to_owned(),
        plan.rounds.to_string(),
        count(plan.online_bytes_per_party),
        count(plan.offline_bytes_per_party),
    ]);
    out.push_str(&table.render(2));
    out.push_str(&who_brings(plan));
    if let Some(extension) = plan.cot_extension {
        let (cots, rounds) = (count(plan.cots_per_party), plan.offline_rounds);
        let _infallible = write!(
            out,
            "\n  offline, by oblivious transfer: {cots} transfers per party by {extension}, {rounds} rounds"
        );
        if plan.offline_bytes_per_party > MANY_OFFLINE_BYTES {
            let _infallible =
                write!(out, "\n  that is much: products of large matrices are dear without a dealer");
        }
        out.push('\n');
    }
    let time =
        |e: Estimate| format!("{:.2} s online, {:.2} s offline", e.online_ms / 1e3, e.offline_ms / 1e3);
    let _infallible = write!(
        out,
        "\n  bytes are those of the busiest party; nodes without rounds are local\n  memory   about {}\n  \
         loopback about {}\n  lan      about {}\n  wan      about {}\n  security {}\n",
        bytes(plan.memory_bytes),
        time(plan.estimates.loopback),
        time(plan.estimates.lan),
        time(plan.estimates.wan),
        security_line(plan.parties, provider)
    );
    out
}
