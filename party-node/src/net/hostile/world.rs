//! Three parties and a dealer, one of them hostile.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Once, OnceLock, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use mpc_core::party::{PartyId, PerParty};

use super::act::{Said, Script, Stage};
use super::dealer::{self, MalloryDealer};
use super::honest::{self, DEMAND, Ending};
use super::party::{self, Mallory};
use crate::identity::Identity;
use crate::net::dealer_server::DealerOptions;
use crate::net::options::{ConnectOptions, Member};
use crate::net::runtime::NetThread;
use crate::net::transport::Listener;

/// The hostile node's name; the honest ones are called otherwise.
pub(super) const MALLORY: &str = "mallory";
/// No honest node takes longer, whatever it waits for.
const HANG: Duration = Duration::from_secs(40);
const NAMES: [&str; 4] = ["alice", "bob", "carol", "dora"];

/// Which node is hostile.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Party(usize),
    Dealer,
}

/// See the module.
pub(super) struct World {
    pub(super) hostile: Role,
    pub(super) connect_timeout_ms: u64,
    pub(super) receive_timeout_ms: u64,
    /// How long parties may wait for each other at the dealer.
    pub(super) dealer_timeout_ms: u64,
    /// The nonce that a hostile party tells each party.
    pub(super) nonces: fn(PartyId) -> [u8; 32],
    /// Whether a hostile party 0 reads the dealer's corrections.
    pub(super) takes_corrections: bool,
    /// Changes what a hostile party brings to the session.
    pub(super) brings: fn(&mut ConnectOptions),
}

impl World {
    /// With deadlines that nothing but a silent node reaches.
    pub(super) fn new(hostile: Role) -> Self {
        Self {
            hostile,
            connect_timeout_ms: 10_000,
            receive_timeout_ms: 10_000,
            dealer_timeout_ms: 60_000,
            nonces: |_| [0x4d; 32],
            takes_corrections: true,
            brings: |_| (),
        }
    }

    /// With deadlines short enough to wait for, long enough for everyone to meet on a busy machine.
    pub(super) fn hurried(hostile: Role) -> Self {
        Self { connect_timeout_ms: 2_500, receive_timeout_ms: 1_000, ..Self::new(hostile) }
    }

    /// How long an honest node may take in a hurried world: it may have to wait for everyone to come, then for everyone to
    /// agree, then for a message.
    pub(super) fn patience(&self) -> Option<Duration> {
        const GRACE_MS: u64 = 3_000;
        let hurried = self.connect_timeout_ms < 10_000;
        let waits = self.connect_timeout_ms + GRACE_MS + self.receive_timeout_ms;
        hurried.then(|| Duration::from_millis(waits) + Duration::from_secs(2))
    }

    /// Runs a session in which the hostile node follows `script`: how it ended for each honest node, parties first, and
    /// what the hostile node should have said.
    pub(super) fn run(&self, script: Script) -> (Vec<Ending>, Vec<Said>) {
        count_panics();
        // The same nodes in all sessions, so that what was said in one can be said again in another.
        static IDENTITIES: OnceLock<[Identity; 4]> = OnceLock::new();
        let identities = IDENTITIES.get_or_init(|| std::array::from_fn(|_| Identity::generate().unwrap()));
        let bind = |identity| (identity, Listener::bind(([127, 0, 0, 1], 0).into()).unwrap());
        let seats: Vec<(&'static Identity, Listener)> = identities.iter().map(bind).collect();
        let hostile = match self.hostile {
            Role::Party(i) => i,
            Role::Dealer => 3,
        };
        let mut members: Vec<Member> = seats
            .iter()
            .zip(NAMES)
            .enumerate()
            .map(|(i, ((identity, listener), name))| Member {
                name: if i == hostile { MALLORY } else { name }.into(),
                address: listener.address().to_string(),
                key: identity.public_key(),
            })
            .collect();
        let dealer = members.pop().unwrap();
        let said = Arc::default();
        let over = Arc::new(AtomicBool::new(false));
        let mut villain = None;
        let mut nodes: Vec<Node> = Vec::new();
        for (i, (identity, listener)) in seats.into_iter().enumerate() {
            if i == 3 && i == hostile {
                let mallory = MalloryDealer { identity, parties: members.clone() };
                villain =
                    Some(Villain::start(script.clone(), &said, |s| dealer::serve(mallory, listener, s)));
            } else if i == 3 {
                let mut options = DealerOptions::new(members.clone());
                options.session_timeout_ms = self.dealer_timeout_ms;
                let over = over.clone();
                let timeout_ms = self.receive_timeout_ms;
                nodes.push(spawn(move || honest::deal(identity, listener, options, timeout_ms, &over)));
            } else {
                let mut options = ConnectOptions::new(PartyId::new(i), members.clone());
                options.dealer = Some(dealer.clone());
                options.demand = DEMAND.to_vec();
                options.connect_timeout_ms = self.connect_timeout_ms;
                options.receive_timeout_ms = self.receive_timeout_ms;
                if i != hostile {
                    nodes.push(spawn(move || Some(honest::party(identity, listener, options))));
                    continue;
                }
                (self.brings)(&mut options);
                let (nonces, takes_corrections) = (PerParty::from_fn(3, self.nonces), self.takes_corrections);
                let mallory = Mallory { identity, options, nonces, takes_corrections };
                villain = Some(Villain::start(script.clone(), &said, |s| party::play(mallory, listener, s)));
            }
        }
        let join = |node: Node| {
            node.recv_timeout(HANG).unwrap_or_else(|e| panic!("an honest node panicked or hangs: {e}"))
        };
        let dealer = (hostile != 3).then(|| nodes.pop().unwrap());
        let mut endings: Vec<Ending> = nodes.into_iter().filter_map(join).collect();
        over.store(true, Ordering::Relaxed);
        endings.extend(dealer.and_then(join));
        drop(villain);
        let said = std::mem::take(&mut *said.lock().unwrap());
        (endings, said)
    }
}

/// An honest node under way: how it ends.
type Node = mpsc::Receiver<Option<Ending>>;

fn spawn(node: impl FnOnce() -> Option<Ending> + Send + 'static) -> Node {
    let (tell, ending) = mpsc::channel();
    std::thread::spawn(move || {
        // The test may have given up.
        let _ = tell.send(node());
    });
    ending
}

/// A hostile node on a thread of its own, until it vanishes or the test is over.
struct Villain {
    stop: mpsc::Sender<()>,
    thread: Option<JoinHandle<()>>,
}

impl Villain {
    fn start<F>(script: Script, said: &Arc<Mutex<Vec<Said>>>, act: impl FnOnce(Stage) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (stop, stopped) = mpsc::channel();
        let net = NetThread::start().unwrap();
        net.handle().spawn(act(Stage { script, vanish: stop.clone(), said: said.clone() }));
        let thread = std::thread::spawn(move || {
            // All tasks end with the runtime: nothing is said any more, and no connection is closed.
            let _ = stopped.recv();
            drop(net);
        });
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Villain {
    fn drop(&mut self) {
        let _ = self.stop.send(());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

static PANICS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// From now on a panic on a network thread is remembered: its runtime would swallow it.
fn count_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if std::thread::current().name() == Some("subrosa-net") {
                PANICS.lock().unwrap_or_else(PoisonError::into_inner).push(info.to_string());
            }
            usual(info);
        }));
    });
}

/// Panics on network threads so far, of all tests in this process.
pub(super) fn panics() -> Vec<String> {
    PANICS.lock().unwrap_or_else(PoisonError::into_inner).clone()
}
