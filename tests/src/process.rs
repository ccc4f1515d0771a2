//! Processes of the program under test: started, watched with deadlines, killed when forgotten.

use std::fmt;
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::Value;

/// A wait that takes longer than this has failed, whatever the machine does besides.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// A process under way.
pub struct Running {
    name: String,
    child: Child,
    said: Receiver<Said>,
    heard: Option<Said>,
}

/// Standard output, standard error, and when both were closed.
type Said = (String, String, Instant);

/// A process that has ended.
#[derive(Debug, Clone)]
pub struct Ended {
    /// Name in messages.
    pub name: String,
    /// Exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// All of its standard output.
    pub stdout: String,
    /// All of its standard error.
    pub stderr: String,
    /// When its pipes closed, which the system does as it ends.
    pub at: Instant,
}

/// An error as the program shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Exit code.
    pub exit: i32,
    /// Stable code for scripts; empty where only the text was asked for.
    pub code: String,
    /// The one line.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Running {
    /// Starts the program.
    #[must_use]
    pub fn start(program: &str, name: &str, args: &[&str]) -> Self {
        Self::from_command(name, Command::new(program).args(args))
    }

    /// Starts a command with its output captured.
    pub fn from_command(name: &str, command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("cannot start {name}: {e}"));
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let (tell, said) = channel();
        std::thread::spawn(move || {
            let errors = std::thread::spawn(move || read_all(stderr));
            let stdout = read_all(stdout);
            let stderr = errors.join().unwrap_or_default();
            // The receiver is gone when a test has failed already.
            let _failed = tell.send((stdout, stderr, Instant::now()));
        });
        Self { name: name.to_owned(), child, said, heard: None }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Ends it as a crash would (SIGKILL) and says when that was. No-op for a process that has ended.
    pub fn kill(&mut self) -> Instant {
        // Fails only for a process that has ended already.
        let _ended = self.child.kill();
        Instant::now()
    }

    /// Whether it ends before `moment`. Waits no longer than that.
    pub fn ends_before(&mut self, moment: Instant) -> bool {
        if self.heard.is_none() {
            self.heard = self.said.recv_timeout(moment.saturating_duration_since(Instant::now())).ok();
        }
        self.heard.is_some()
    }

    /// Sends another signal, such as `INT` or `STOP`.
    pub fn signal(&self, signal: &str) {
        let id = self.child.id();
        let status = Command::new("sh").args(["-c", &format!("kill -{signal} {id}")]).status();
        assert!(status.is_ok_and(|s| s.success()), "cannot send {signal} to {}", self.name);
    }

    /// Waits until it has ended, at most until `by`; then panics with what it said.
    #[must_use]
    pub fn finish(mut self, by: Instant) -> Ended {
        match self.ended(by) {
            Ok(ended) => ended,
            Err(ended) => panic!("still running at its deadline, killed by the test: {ended}"),
        }
    }

    fn ended(&mut self, by: Instant) -> Result<Ended, Ended> {
        let late = !self.ends_before(by);
        let (stdout, stderr, at) = self.heard.take().unwrap_or_else(|| {
            self.kill();
            let lost = || (String::new(), "(its output is lost)".to_owned(), Instant::now());
            self.said.recv_timeout(DEADLINE).unwrap_or_else(|_| lost())
        });
        let code = self.child.wait().ok().and_then(|status| status.code());
        let ended = Ended { name: self.name.clone(), code, stdout, stderr, at };
        if late { Err(ended) } else { Ok(ended) }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
        // Fails only if it was waited for already.
        let _ended = self.child.wait();
    }
}

/// Waits for all processes; if one is still running after `within`, panics with what all of them said.
#[must_use]
pub fn finish_all(processes: Vec<Running>, within: Duration) -> Vec<Ended> {
    let by = Instant::now() + within;
    let mut all = Vec::new();
    let mut late = Vec::new();
    for mut process in processes {
        match process.ended(by) {
            Ok(ended) => all.push(ended),
            Err(ended) => {
                late.push(ended.name.clone());
                all.push(ended);
            }
        }
    }
    assert!(late.is_empty(), "still running after {within:?}: {}\n{}", late.join(", "), listing(&all));
    all
}

/// Runs the program to its end.
#[must_use]
pub fn run(program: &str, args: &[&str]) -> Ended {
    Running::start(program, &args.join(" "), args).finish(Instant::now() + DEADLINE)
}

/// What several processes said, for a failure message.
#[must_use]
pub fn listing(ended: &[Ended]) -> String {
    ended.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

impl Ended {
    /// The exit code 0, or panics.
    #[must_use]
    pub fn succeeded(self) -> Self {
        assert_eq!(self.code, Some(0), "{self}");
        self
    }

    /// The one JSON object on standard output.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("no JSON object ({e}): {self}"))
    }

    /// What it complained about under `--json`: exactly one error object on standard output, nothing else.
    #[must_use]
    pub fn refusal(&self) -> Refusal {
        self.must_not_have_crashed();
        let value = self.json();
        let keys: Vec<&String> = value.as_object().into_iter().flatten().map(|(key, _)| key).collect();
        assert_eq!(keys, ["error"], "{self}");
        assert_eq!(value["error"].as_object().map(serde_json::Map::len), Some(3), "{self}");
        let text = |field: &str| value["error"][field].as_str().map(str::to_owned);
        self.checked(text("code"), text("message"), text("hint"))
    }

    /// What it complained about in text: one line on standard error and at most one hint, nothing on standard output.
    #[must_use]
    pub fn text_refusal(&self) -> Refusal {
        self.must_not_have_crashed();
        assert_eq!(self.stdout, "", "an error belongs on standard error: {self}");
        let mut lines = self.stderr.lines();
        let message = lines.next().and_then(|l| l.strip_prefix("error: ")).map(str::to_owned);
        let hint = lines.next().map(|l| match l.strip_prefix("hint: ") {
            Some(hint) => hint.to_owned(),
            None => panic!("the second line is no hint: {self}"),
        });
        assert_eq!(lines.next(), None, "more than two lines: {self}");
        self.checked(Some(String::new()), message, hint)
    }

    fn checked(&self, code: Option<String>, message: Option<String>, hint: Option<String>) -> Refusal {
        let (Some(exit @ (1 | 2)), Some(code), Some(message)) = (self.code, code, message) else {
            panic!("expected exit code 1 or 2, a code and a message: {self}")
        };
        assert!(!message.is_empty() && message.lines().count() == 1, "expected one line: {self}");
        assert!(message.chars().count() <= 600, "too long for one clear line: {self}");
        Refusal { exit, code, message, hint }
    }

    fn must_not_have_crashed(&self) {
        for sign in ["panicked", "backtrace", "BACKTRACE", "internal error", "thread '"] {
            let clean = !self.stdout.contains(sign) && !self.stderr.contains(sign);
            assert!(clean, "`{sign}` in what it said: {self}");
        }
    }
}

impl Refusal {
    /// Panics unless the message contains every one of `parts`.
    pub fn says(&self, parts: &[&str]) {
        for part in parts {
            assert!(self.message.contains(part), "`{part}` is missing in: {self:?}");
        }
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, code, stdout, stderr, .. } = self;
        write!(f, "\n--- {name} ended with {code:?}\nstdout: {stdout}\nstderr: {stderr}\n---")
    }
}

fn read_all(pipe: Option<impl Read>) -> String {
    let mut bytes = Vec::new();
    if let Some(mut pipe) = pipe {
        // A pipe that breaks has been read as far as it goes; the exit code says the rest.
        let _broken = pipe.read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
