//! Starts the nodes of a demo as separate processes and watches all of them: if one ends with an error, the others are
//! ended too, and the error that started it is shown.

use std::ffi::OsString;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use crate::error::{CliError, Fault};
use crate::job;

/// After one node failed, the others have this long to notice it themselves (they do so within 2 s).
const GRACE: Duration = Duration::from_secs(3);

/// A node to start: its name and the arguments of `subrosa`.
#[derive(Debug)]
pub struct Node {
    /// Name in messages.
    pub name: String,
    /// Arguments.
    pub args: Vec<OsString>,
}

/// The program of this process, to be started again.
///
/// # Errors
/// If the system does not tell.
pub fn executable() -> Result<PathBuf, CliError> {
    std::env::current_exe()
        .map_err(|e| CliError::outcome("process", format_args!("cannot find the running executable: {e}")))
}

/// A folder that is removed with the value.
///
/// # Errors
/// If it cannot be made.
pub fn temporary_folder(prefix: &str) -> Result<tempfile::TempDir, CliError> {
    tempfile::Builder::new()
        .prefix(prefix)
        .tempdir()
        .map_err(|e| CliError::outcome("file_error", format_args!("cannot make a temporary folder: {e}")))
}

/// Processes that do not outlive this value.
struct Children(Vec<Child>);

impl Drop for Children {
    fn drop(&mut self) {
        for child in &mut self.0 {
            // Both fail only for a process that has ended already.
            let _ended = child.kill();
            let _ended = child.wait();
        }
    }
}

/// What one process left behind.
struct Ended {
    index: usize,
    stdout: String,
    stderr: String,
}

/// Runs all nodes to their end and gives the JSON object that each printed, in the order of `nodes`.
///
/// # Errors
/// The error of the node that failed first and was not merely told of another's failure, prefixed by its name.
pub fn run_all(program: &Path, nodes: &[Node]) -> Result<Vec<serde_json::Value>, CliError> {
    let mut children = Children(Vec::new());
    let (sender, ended) = channel();
    for (index, node) in nodes.iter().enumerate() {
        let mut child = Command::new(program)
            .args(&node.args)
            .arg("--json")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|e| CliError::file("start", program, &e))?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        children.0.push(child);
        let sender = sender.clone();
        std::thread::spawn(move || {
            let errors = std::thread::spawn(move || read_all(stderr));
            let stdout = read_all(stdout);
            let stderr = errors.join().unwrap_or_default();
            // The receiver is gone only when the demo has given up.
            let _given_up = sender.send(Ended { index, stdout, stderr });
        });
    }
    drop(sender);

    let mut results: Vec<Option<serde_json::Value>> = nodes.iter().map(|_| None).collect();
    let mut failures: Vec<(usize, CliError)> = Vec::new();
    let mut open = nodes.len();
    let mut until: Option<Instant> = None;
    while open > 0 {
        let next = match until {
            None => ended.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(at) => ended.recv_timeout(at.saturating_duration_since(Instant::now())),
        };
        let Ok(end) = next else { break };
        open -= 1;
        match outcome(&mut children.0[end.index], &end) {
            Ok(value) => results[end.index] = Some(value),
            Err(error) => {
                // A node with a bad file never met the others: they have nothing to add.
                let grace = if error.fault() == Fault::Setup { Duration::ZERO } else { GRACE };
                until = Some(until.unwrap_or_else(|| Instant::now() + grace));
                failures.push((end.index, error));
            }
        }
    }
    if !failures.is_empty() {
        return Err(first_cause(nodes, failures));
    }
    results
        .into_iter()
        .collect::<Option<Vec<_>>>()
        .ok_or_else(|| CliError::outcome("internal", "a node of the demo ended without a result"))
}

fn read_all(pipe: Option<impl Read>) -> String {
    let mut bytes = Vec::new();
    if let Some(mut pipe) = pipe {
        // A pipe that breaks has been read as far as it goes; the exit code says the rest.
        let _broken = pipe.read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn outcome(child: &mut Child, end: &Ended) -> Result<serde_json::Value, CliError> {
    let status = child.wait().map_err(|e| CliError::outcome("process", e))?;
    let value: Option<serde_json::Value> = serde_json::from_str(&end.stdout).ok();
    if status.success() {
        return value.ok_or_else(|| CliError::outcome("process", "it ended without printing its result"));
    }
    let fault = if status.code() == Some(2) { Fault::Setup } else { Fault::Outcome };
    Err(CliError::from_json(&end.stdout, fault).unwrap_or_else(|| {
        let said = end.stderr.lines().last().unwrap_or("nothing");
        CliError::outcome("process", format_args!("it ended with {status} and said: {said}"))
    }))
}

/// Of several failures, the one nearest to the cause; of equally near ones the first.
fn first_cause(nodes: &[Node], failures: Vec<(usize, CliError)>) -> CliError {
    let nearest = failures.iter().min_by_key(|(_, e)| job::distance_from_cause(e.code()));
    let Some((index, error)) = nearest else {
        return CliError::outcome("internal", "a node of the demo ended without a result");
    };
    let message = format!("{}: {}", nodes[*index].name, error.message());
    let named = match error.fault() {
        Fault::Setup => CliError::setup(error.code(), message),
        Fault::Outcome => CliError::outcome(error.code(), message),
    };
    match error.hint() {
        Some(hint) => named.with_hint(hint),
        None => named,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(name: &str, script: &str) -> Node {
        // The extra argument `--json` becomes $0 of the script and does no harm.
        Node { name: name.into(), args: vec!["-c".into(), script.into()] }
    }

    #[test]
    fn results_come_in_the_order_of_the_nodes() {
        let nodes = [shell("a", "read x; echo '{\"n\": 1}'"), shell("b", "echo '{\"n\": 2}'")];
        let results = run_all(Path::new("sh"), &nodes).unwrap();
        assert_eq!((results[0]["n"].as_u64(), results[1]["n"].as_u64()), (Some(1), Some(2)));
    }

    #[test]
    fn one_failure_ends_all_and_is_named() {
        let failing = "echo '{\"error\": {\"code\": \"unknown_column\", \"message\": \"no column\", \"hint\": \"h\"}}'; exit 2";
        let began = Instant::now();
        let error = run_all(Path::new("sh"), &[shell("bank", "exec sleep 600"), shell("bureau", failing)])
            .unwrap_err();
        assert!(began.elapsed() < Duration::from_secs(60));
        assert_eq!((error.code(), error.message()), ("unknown_column", "bureau: no column"));
        assert_eq!((error.hint(), error.fault()), (Some("h"), Fault::Setup));
    }

    #[test]
    fn the_cause_is_shown_not_its_echo() {
        let echo = "echo '{\"error\": {\"code\": \"peer_lost\", \"message\": \"lost telecom\", \"hint\": null}}'; exit 1";
        let cause = "echo 'out of memory' >&2; kill -9 $$";
        let error = run_all(Path::new("sh"), &[shell("bank", echo), shell("telecom", cause)]).unwrap_err();
        assert!(error.message().starts_with("telecom: it ended with signal: 9"), "{error}");
        assert!(error.message().ends_with("said: out of memory"), "{error}");
    }
}
