//! Nodes in one process, over real QUIC on loopback, for the tests of the network.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part, as if it were a library")]

use std::net::SocketAddr;
use std::sync::{Arc, Barrier, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use party_node::identity::Identity;
use party_node::net::{
    ConnectOptions, Connected, Listener, Member, NetError, RowOrder, SecretBytes, connect,
};

use mpc_core::party::{PartyId, PerParty};
use mpc_core::tag::Tag;

pub const NAMES: [&str; 5] = ["bank", "bureau", "telecom", "insurer", "grocer"];
/// Nothing in these tests takes longer than this unless it hangs.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub fn localhost() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

pub fn tag(node: u32, round: u32) -> Tag {
    Tag { lane: 0, node, iteration: 0, round }
}

/// Party `i` of an `n`-party session: identity, bound socket and options, to be changed by a test before it connects.
pub struct Node {
    pub identity: Arc<Identity>,
    pub listener: Listener,
    pub options: ConnectOptions,
    pub rows: Option<fn(&SecretBytes) -> [u8; 32]>,
}

impl Node {
    pub fn connect(self) -> Result<Connected, NetError> {
        let rows = self.rows;
        let digest = rows.map(|f| move |key: &SecretBytes| Ok(f(key)));
        let digest = digest.as_ref().map(|f| f as RowOrder<'_>);
        connect(&self.identity, self.listener, self.options, digest)
    }
}

pub fn nodes(n: usize) -> Vec<Node> {
    let parts: Vec<(Identity, Listener)> =
        (0..n).map(|_| (Identity::generate().unwrap(), Listener::bind(localhost()).unwrap())).collect();
    let members: Vec<Member> = parts
        .iter()
        .zip(NAMES)
        .map(|((identity, listener), name)| member(name, identity, listener.address()))
        .collect();
    parts
        .into_iter()
        .enumerate()
        .map(|(i, (identity, listener))| {
            let mut options = ConnectOptions::new(PartyId::new(i), members.clone());
            options.connect_timeout_ms = 20_000;
            Node { identity: Arc::new(identity), listener, options, rows: None }
        })
        .collect()
}

pub fn member(name: &str, identity: &Identity, address: SocketAddr) -> Member {
    Member { name: name.into(), address: address.to_string(), key: identity.public_key() }
}

/// Runs `f` on a thread and gives a result that can be waited for with a deadline.
pub struct Running<T> {
    result: mpsc::Receiver<T>,
    thread: JoinHandle<()>,
}

pub fn spawn<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> Running<T> {
    let (tell, result) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        // The test may have given up.
        let _ = tell.send(f());
    });
    Running { result, thread }
}

impl<T> Running<T> {
    pub fn join(self) -> T {
        self.join_within(PATIENCE)
    }

    pub fn join_within(self, limit: Duration) -> T {
        match self.result.recv_timeout(limit) {
            Ok(value) => {
                self.thread.join().unwrap();
                value
            }
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("no result within {limit:?}"),
            Err(mpsc::RecvTimeoutError::Disconnected) => match self.thread.join() {
                Err(panic) => std::panic::resume_unwind(panic),
                Ok(()) => panic!("the thread ended without a result"),
            },
        }
    }
}

/// Connects all nodes at once.
pub fn connect_all(nodes: Vec<Node>) -> Vec<Result<Connected, NetError>> {
    let running: Vec<_> = nodes.into_iter().map(|node| spawn(move || node.connect())).collect();
    running.into_iter().map(Running::join).collect()
}

/// Connects all nodes and, once all are connected, runs `f` on each in a thread of its own.
pub fn run_all<T: Send + 'static>(
    nodes: Vec<Node>,
    f: impl Fn(Connected) -> T + Send + Sync + 'static,
) -> Vec<T> {
    let f = Arc::new(f);
    let all_connected = Arc::new(Barrier::new(nodes.len()));
    let running: Vec<_> = nodes
        .into_iter()
        .map(|node| {
            let (f, all_connected) = (f.clone(), all_connected.clone());
            spawn(move || {
                let session = node.connect().unwrap_or_else(|e| panic!("{e}"));
                all_connected.wait();
                f(session)
            })
        })
        .collect();
    running.into_iter().map(Running::join).collect()
}

/// The same for every other party, nothing for oneself.
pub fn to_others<T: Clone>(me: PartyId, n: usize, value: T) -> PerParty<Option<T>> {
    PerParty::from_fn(n, |p| (p != me).then(|| value.clone()))
}

pub fn error_of<T>(result: Result<T, NetError>) -> NetError {
    match result {
        Ok(_) => panic!("expected an error"),
        Err(error) => error,
    }
}

pub fn within<T>(limit: Duration, f: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let value = f();
    assert!(start.elapsed() < limit, "took {:?}, allowed {limit:?}", start.elapsed());
    value
}
