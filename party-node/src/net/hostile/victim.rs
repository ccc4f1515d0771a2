//! Honest nodes in a process of their own, which say at the end how much memory they came to hold.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use mpc_core::party::PartyId;

use super::honest::{DEMAND, rows, trade_words};
use crate::identity::Identity;
use crate::net::dealer_server::{DealerOptions, DealerServer};
use crate::net::options::{ConnectOptions, Member};
use crate::net::session::connect;
use crate::net::transport::Listener;

const MODE: &str = "HOSTILE_MODE";
const KEY: &str = "HOSTILE_KEY";
const PARTIES: &str = "HOSTILE_PARTIES";
const DEALER: &str = "HOSTILE_DEALER";
const UP: &str = "the victim listens on ";
const PEAK: &str = "the victim's peak grew by KiB ";
/// How long a victim lets things happen to it.
const ENDURES: Duration = Duration::from_millis(2_500);

/// What the node is doing while it is flooded.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Doing {
    /// Party 1 waits for a third party that never comes.
    Meeting,
    /// A party has met all and computes; it reads nothing.
    Computing,
    /// A dealer waits for parties.
    Dealing,
}

/// A running victim.
pub(super) struct Victim {
    child: Child,
    lines: mpsc::Receiver<String>,
    _dir: tempfile::TempDir,
}

impl Victim {
    /// Starts the node that holds `identity`; where it listens.
    pub(super) fn start(
        doing: Doing,
        identity: &Identity,
        parties: &[Member],
        dealer: Option<&Member>,
    ) -> (Self, String) {
        let dir = tempfile::tempdir().unwrap();
        let key = dir.path().join("victim.key");
        identity.save(&key).unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "net::hostile::victim::victim", "--nocapture"])
            .env(MODE, format!("{doing:?}"))
            .env(KEY, &key)
            .env(PARTIES, to_env(parties))
            .env(DEALER, to_env(dealer.map_or(&[], std::slice::from_ref)))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = child.stdout.take().unwrap();
        let (tell, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if tell.send(line).is_err() {
                    return;
                }
            }
        });
        let mut victim = Self { child, lines, _dir: dir };
        let address = victim.hear(UP);
        (victim, address)
    }

    /// By how many bytes its peak grew, once it has ended.
    pub(super) fn growth_bytes(mut self) -> u64 {
        let kib: u64 = self.hear(PEAK).parse().unwrap();
        assert!(self.child.wait().unwrap().success(), "the victim came to a good end");
        kib << 10
    }

    fn hear(&mut self, what: &str) -> String {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(left).expect("the victim says what it should");
            if let Some((_, rest)) = line.split_once(what) {
                return rest.trim().to_owned();
            }
        }
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn to_env(members: &[Member]) -> String {
    let lines: Vec<String> = members.iter().map(|m| format!("{}|{}|{}", m.name, m.address, m.key)).collect();
    lines.join(" ")
}

fn from_env(variable: &str) -> Vec<Member> {
    let parse = |line: &str| {
        let [name, address, key]: [&str; 3] = line.split('|').collect::<Vec<_>>().try_into().unwrap();
        Member { name: name.into(), address: address.into(), key: key.parse().unwrap() }
    };
    std::env::var(variable).unwrap().split_whitespace().map(parse).collect()
}

/// The most memory that this process ever held.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

/// The process itself, started by [`Victim::start`].
#[test]
#[ignore = "a part of other tests"]
fn victim() {
    let identity = Identity::load(Path::new(&std::env::var(KEY).unwrap())).unwrap();
    let listener = Listener::bind(([127, 0, 0, 1], 0).into()).unwrap();
    let parties = from_env(PARTIES);
    let me = parties.iter().position(|m| m.key == identity.public_key()).map(PartyId::new);
    let options = |me| {
        let mut options = ConnectOptions::new(me, parties.clone());
        options.dealer = from_env(DEALER).pop();
        options.demand = DEMAND.to_vec();
        options
    };
    println!("{UP}{}", listener.address());
    let before = match std::env::var(MODE).unwrap().as_str() {
        "Meeting" => {
            let before = peak_kib();
            let mut options = options(me.unwrap());
            options.connect_timeout_ms = ENDURES.as_millis() as u64;
            assert!(connect(&identity, listener, options, Some(&rows)).is_err(), "carol never comes");
            before
        }
        "Computing" => {
            let session = connect(&identity, listener, options(me.unwrap()), Some(&rows)).unwrap();
            trade_words(session.handle.controls(), ENDURES).unwrap();
            let before = peak_kib();
            let failure = session.handle.wait_failure(ENDURES);
            assert!(failure.is_none(), "what is not read ends nothing: {failure:?}");
            before
        }
        _ => {
            let before = peak_kib();
            let mut options = DealerOptions::new(parties);
            options.session_timeout_ms = 60_000;
            let server = DealerServer::bind(&identity, listener, options).unwrap();
            let until = Instant::now() + ENDURES;
            while let Some(left) = until.checked_duration_since(Instant::now()) {
                assert!(!matches!(server.accept_session(Some(left)), Ok(Some(_))), "no session comes about");
            }
            before
        }
    };
    println!("{PEAK}{}", peak_kib() - before);
}
