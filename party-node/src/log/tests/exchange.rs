//! Nodes exchange heads after a session, over no network: every message is encoded and decoded on its way.

use std::fs;
use std::path::{Path, PathBuf};

use mpc_core::channel::Peer;
use mpc_core::checkpoint::{Checkpoint, CosignatureReply, Growth, Offer, OfferedLeaf, Seen};
use mpc_core::merkle::TreeHash;
use mpc_core::party::PartyId;
use mpc_core::tag::SessionId;
use mpc_core::transcript::{Close, Entry, Outcome, SessionOpen};
use tempfile::TempDir;

use super::super::files::{Disk, Files};
use super::super::{
    LogError, LogHandle, LogWriter, WitnessError, WitnessStore, accept_growth, answer_offer, check_reply,
    render, verify,
};
use super::session::{NAMES, Plan, key_of};
use super::verifier::{assert_ok, copy, temp};

const TIME_S: u64 = 1_700_000_000;

struct Node {
    name: &'static str,
    dir: PathBuf,
    writer: LogWriter,
    store: WitnessStore,
}

impl Node {
    fn open(root: &Path, party: usize) -> Self {
        let name = NAMES[party];
        let dir = root.join(name);
        let writer = LogWriter::open(&dir, name, key_of(name)).unwrap();
        let store = WitnessStore::open(&WitnessStore::folder(&dir)).unwrap();
        Self { name, dir, writer, store }
    }

    fn handle(&self) -> LogHandle {
        self.writer.handle()
    }
}

fn nodes(root: &TempDir, n: usize) -> Vec<Node> {
    (0..n).map(|p| Node::open(root.path(), p)).collect()
}

fn opened(plan: &Plan, party: usize) -> SessionOpen {
    let Entry::SessionOpen(open) = plan.open(Peer::Party(PartyId::new(party))) else { panic!("open") };
    open
}

fn close(session: SessionId) -> Entry {
    Entry::Close(Close { session, outcome: Outcome::Completed, rounds: 0, bytes_sent: 0 })
}

/// A session without rounds, up to its close.
fn run(nodes: &[Node], number: u8) -> Plan {
    let plan = Plan { number, ..Plan::new(nodes.len(), 0) };
    for (p, node) in nodes.iter().enumerate() {
        node.handle().append(&Entry::SessionOpen(opened(&plan, p))).unwrap();
        node.handle().append(&close(plan.session())).unwrap();
    }
    plan
}

/// `from` is shown to `to`; gives the offer and the answer.
fn show(
    plan: &Plan,
    nodes: &mut [Node],
    from: usize,
    to: usize,
) -> (Offer, Result<CosignatureReply, WitnessError>) {
    let members = opened(plan, to).parties;
    let seen = Seen::decode(&nodes[to].store.seen(&members[from]).unwrap().encode()).unwrap();
    let shown = nodes[from].handle().snapshot(plan.session()).unwrap();
    shown.check(&seen).unwrap();
    let offer = Offer::decode(&shown.offer(&seen).encode()).unwrap();
    let own = nodes[to].handle().snapshot(plan.session()).unwrap();
    let name = nodes[to].name;
    let by = (name, &key_of(name), TIME_S);
    let reply = answer_offer(&mut nodes[to].store, &members[from], &offer, &own, by);
    (offer, reply.map(|r| CosignatureReply::decode(&r.encode()).unwrap()))
}

/// Everyone cosigns everyone.
fn exchange(plan: &Plan, nodes: &mut [Node]) {
    for from in 0..nodes.len() {
        let open = opened(plan, from);
        let mut cosigned = None;
        for to in (0..nodes.len()).filter(|&to| to != from) {
            let (offer, reply) = show(plan, nodes, from, to);
            let line = check_reply(&open.parties[to], &offer.growth.head, &reply.unwrap()).unwrap();
            let note = cosigned.take().unwrap_or(offer.growth.head);
            cosigned = Some(note.with_signature(line).unwrap());
        }
        nodes[from].handle().keep_cosigned(&open, cosigned.unwrap()).unwrap();
    }
}

#[test]
fn three_nodes_cosign_each_other_session_after_session_and_across_restarts() {
    let root = temp();
    for number in 1..=3 {
        let mut nodes = nodes(&root, 3);
        let plan = run(&nodes, number);
        exchange(&plan, &mut nodes);
        let dirs: Vec<_> = nodes.iter().map(|n| n.dir.clone()).collect();
        drop(nodes);
        let report = verify(&dirs, &[]);
        assert_ok(&report);
        assert!(report.notes.is_empty(), "{}", render(&report));
        assert_eq!(report.logs[1].witnesses, ["bank", "telecom"]);
        assert_eq!(report.logs[1].size, 3 * u64::from(number));
    }
}

#[test]
fn a_log_put_back_is_refused_by_its_peers_and_learns_it_with_both_heads() {
    let root = temp();
    let mut all = nodes(&root, 2);
    let old = root.path().join("old");
    exchange(&run(&all, 1), &mut all);
    drop(all);
    copy(&root.path().join("bank"), &old);
    let mut all = nodes(&root, 2);
    exchange(&run(&all, 2), &mut all);
    let newest = all[0].handle().flush().unwrap();
    drop(all);
    fs::remove_dir_all(root.path().join("bank")).unwrap();
    copy(&old, &root.path().join("bank"));

    let mut all = nodes(&root, 2);
    let plan = run(&all, 3);
    let member = opened(&plan, 1).parties[0].clone();
    let before = all[1].store.seen(&member).unwrap();
    // Bank's log has as many entries as bureau saw of it, or fewer: its own node notices first.
    let put_back = all[0].handle().snapshot(plan.session()).unwrap();
    let error = put_back.check(&before).unwrap_err();
    assert!(
        matches!(
            &error,
            LogError::Refused { reason, .. } if reason.is_at_variance()
        ),
        "{error}"
    );
    let seen_root = before.0.as_ref().unwrap().checkpoint().root().to_string();
    assert!(error.to_string().contains(&seen_root), "{error}");
    // A bank that hides it is refused by bureau, before a session and after one.
    let own = all[1].handle().snapshot(plan.session()).unwrap();
    let by = ("bureau", &key_of("bureau"), TIME_S);
    let shown_root = put_back.head().checkpoint().root().to_string();
    for (offer, growth) in [&Seen(None), &before].map(|seen| (put_back.offer(seen), put_back.growth(seen))) {
        let after = answer_offer(&mut all[1].store, &member, &offer, &own, by).unwrap_err();
        for error in [after, accept_growth(&mut all[1].store, &member, &growth).unwrap_err()] {
            let text = error.to_string();
            assert!(
                text.contains("bank") && text.contains(&seen_root) && text.contains(&shown_root),
                "{text}"
            );
        }
    }
    // Once, however often it is shown.
    let kept: Vec<_> = all[1].store.refused_heads(&member).filter(|path| path.exists()).collect();
    assert_eq!(kept.len(), 1);
    assert_eq!(fs::read_to_string(&kept[0]).unwrap(), put_back.head().to_string());
    assert!(newest.checkpoint().size() > before.0.as_ref().unwrap().checkpoint().size());
    assert_eq!(all[1].store.seen(&member).unwrap(), before, "a refused head was remembered");
}

#[test]
fn a_session_told_differently_is_not_cosigned() {
    let root = temp();
    let mut all = nodes(&root, 2);
    let plan = Plan::new(2, 0);
    for (p, node) in all.iter().enumerate() {
        node.handle().append(&Entry::SessionOpen(opened(&plan, p))).unwrap();
    }
    let member = opened(&plan, 1).parties[0].clone();
    let snapshot = |all: &[Node], p: usize| all[p].handle().snapshot(plan.session()).unwrap();
    let answer = |all: &mut [Node]| {
        let (theirs, own) = (snapshot(all, 0).offer(&Seen(None)), snapshot(all, 1));
        let by = ("bureau", &key_of("bureau"), TIME_S);
        answer_offer(&mut all[1].store, &member, &theirs, &own, by)
    };
    let error = answer(&mut all).unwrap_err().to_string();
    assert!(error.contains("not closed"), "{error}");
    // Bank claims rounds that bureau knows nothing of.
    let digests = mpc_core::transcript::PeerDigests {
        peer: Peer::Party(PartyId::new(1)),
        sent: [1; 32],
        received: [2; 32],
        sent_bytes: 3,
        received_bytes: 4,
    };
    let batch = mpc_core::transcript::Batch {
        session: plan.session(),
        lane: 0,
        index: 0,
        first_round: 0,
        last_round: 0,
        peers: vec![digests],
    };
    all[0].handle().append(&Entry::Batch(batch)).unwrap();
    let close_bank = Close { session: plan.session(), outcome: Outcome::Completed, rounds: 1, bytes_sent: 3 };
    all[0].handle().append(&Entry::Close(close_bank)).unwrap();
    all[1].handle().append(&close(plan.session())).unwrap();
    let error = answer(&mut all).unwrap_err().to_string();
    assert!(error.contains("bank") && error.contains("is missing in"), "{error}");
    assert_eq!(all[1].store.seen(&member).unwrap(), Seen(None));
    // A reply over another head does not become a line.
    let head = snapshot(&all, 1).head().clone();
    let wrong = CosignatureReply { time_s: TIME_S, signature: [7; 64] };
    assert!(check_reply(&member, &head, &wrong).is_err());
}

#[test]
fn cosignatures_are_kept_once_after_the_close_and_only_if_they_verify() {
    let root = temp();
    let all = nodes(&root, 2);
    let plan = Plan::new(2, 0);
    let (handle, open) = (all[0].handle(), opened(&plan, 0));
    handle.append(&Entry::SessionOpen(open.clone())).unwrap();
    let cosigned = |handle: &LogHandle, signer: &str| {
        let head = handle.flush().unwrap();
        let line = head.checkpoint().cosign(signer, &key_of(signer), TIME_S).unwrap();
        head.with_signature(line).unwrap()
    };
    let early = handle.keep_cosigned(&open, cosigned(&handle, "bureau"));
    assert!(matches!(early, Err(LogError::SessionNotOpen { .. })));
    handle.append(&close(plan.session())).unwrap();
    let foreign = handle.keep_cosigned(&open, cosigned(&handle, "grocer"));
    assert!(matches!(foreign, Err(LogError::NotCosigned { .. })));
    let bare = handle.keep_cosigned(&open, handle.flush().unwrap());
    assert!(matches!(bare, Err(LogError::NotCosigned { .. })));
    assert_eq!(handle.keep_cosigned(&open, cosigned(&handle, "bureau")).unwrap().checkpoint().size(), 3);
    let again = handle.keep_cosigned(&open, cosigned(&handle, "bureau"));
    assert!(matches!(again, Err(LogError::SessionNotOpen { .. })));
    handle.check().unwrap();
    drop(all);
    assert_ok(&verify(&[root.path().join("bank")], &[]));
}

#[test]
fn refused_heads_are_kept_and_never_replaced() {
    let root = temp();
    let mut all = nodes(&root, 2);
    exchange(&run(&all, 1), &mut all);
    let member = opened(&run(&all, 2), 1).parties[0].clone();
    let size = all[1].store.seen(&member).unwrap().0.unwrap().checkpoint().size();
    let signed = |size, root: u8| Checkpoint::new("bank", size, TreeHash([root; 32])).unwrap();
    let mut show = |head: Checkpoint| {
        let head = head.sign(&key_of("bank"));
        let growth = Growth { head, seen_size: size, consistency: Vec::new() };
        accept_growth(&mut all[1].store, &member, &growth).unwrap_err()
    };
    // A fork, then older heads and heads without a proof, more than are kept.
    show(signed(size, 1));
    (0..20).for_each(|n| drop(show(signed(n, 2))));
    let kept: Vec<_> = all[1].store.refused_heads(&member).map(|p| fs::read_to_string(p).unwrap()).collect();
    assert_eq!(kept.len(), 8);
    assert_eq!(kept[0], signed(size, 1).sign(&key_of("bank")).to_string());
}

#[test]
fn a_head_of_another_name_or_without_growth_or_with_something_hidden_is_not_taken() {
    let root = temp();
    let mut all = nodes(&root, 2);
    let plan = run(&all, 1);
    let member = opened(&plan, 1).parties[0].clone();
    let snapshot = |all: &[Node], p: usize| all[p].handle().snapshot(plan.session()).unwrap();
    let by = ("bureau", &key_of("bureau"), TIME_S);
    // Bank's key signs a head of a log that it calls another's.
    let mut growth = snapshot(&all, 0).growth(&Seen(None));
    let head = growth.head.checkpoint();
    growth.head = Checkpoint::new("telecom", head.size(), head.root()).unwrap().sign(&key_of("bank"));
    let error = accept_growth(&mut all[1].store, &member, &growth).unwrap_err().to_string();
    assert!(error.contains("log of telecom, expected bank"), "{error}");
    let own = snapshot(&all, 1);
    let mut offer = snapshot(&all, 0).offer(&Seen(None));
    let hidden = offer.leaves.clone();
    offer.leaves[1] = match &offer.leaves[1] {
        OfferedLeaf::Entry(bytes) => OfferedLeaf::Hash(mpc_core::merkle::leaf_hash(bytes)),
        OfferedLeaf::Hash(_) => panic!("an entry of the session"),
    };
    let error = answer_offer(&mut all[1].store, &member, &offer, &own, by).unwrap_err().to_string();
    assert!(error.contains("is not shown"), "{error}");
    offer.leaves = hidden;
    offer.growth.head = growth.head;
    let error = answer_offer(&mut all[1].store, &member, &offer, &own, by).unwrap_err().to_string();
    assert!(error.contains("log of telecom, expected bank"), "{error}");
    assert_eq!(all[1].store.seen(&member).unwrap(), Seen(None));

    exchange(&plan, &mut all);
    let seen = all[1].store.seen(&member).unwrap();
    let same = Growth { head: seen.0.clone().unwrap(), ..snapshot(&all, 0).growth(&seen) };
    let same = Growth { consistency: Vec::new(), ..same };
    let error = accept_growth(&mut all[1].store, &member, &same).unwrap_err().to_string();
    assert!(error.contains("it still has"), "{error}");
}

#[test]
fn a_session_that_completed_here_is_not_cosigned_as_aborted() {
    let root = temp();
    let mut all = nodes(&root, 2);
    let plan = Plan::new(2, 0);
    for (p, node) in all.iter().enumerate() {
        node.handle().append(&Entry::SessionOpen(opened(&plan, p))).unwrap();
    }
    let outcome = Outcome::aborted("peer_lost", None, "or so it says");
    let aborted = Close { session: plan.session(), outcome, rounds: 0, bytes_sent: 0 };
    all[0].handle().append(&Entry::Close(aborted)).unwrap();
    all[1].handle().append(&close(plan.session())).unwrap();
    let (_, reply) = show(&plan, &mut all, 0, 1);
    let error = reply.unwrap_err().to_string();
    assert!(error.contains("completed here"), "{error}");
}

#[test]
fn a_damaged_memory_is_refused() {
    let root = temp();
    let mut all = nodes(&root, 2);
    let plan = run(&all, 1);
    exchange(&plan, &mut all);
    let member = opened(&plan, 1).parties[0].clone();
    let folder = WitnessStore::folder(&all[1].dir);
    let files: Vec<_> = fs::read_dir(&folder).unwrap().map(|f| f.unwrap().path()).collect();
    assert_eq!(files.len(), 1);
    let text = fs::read(&files[0]).unwrap();
    for i in 0..text.len() {
        let mut bad = text.clone();
        bad[i] ^= 1 << (i % 8);
        fs::write(&files[0], &bad).unwrap();
        assert!(matches!(all[1].store.seen(&member), Err(LogError::MemoryDamaged { .. })), "byte {i}");
        fs::write(&files[0], &text[..i]).unwrap();
        assert!(matches!(all[1].store.seen(&member), Err(LogError::MemoryDamaged { .. })), "cut at {i}");
    }
    fs::write(&files[0], &text).unwrap();
    assert!(all[1].store.seen(&member).unwrap().0.is_some());
}

/// Fails at one operation.
struct FailsAt(usize);

impl FailsAt {
    fn step(&mut self, run: impl FnOnce() -> std::io::Result<()>) -> std::io::Result<()> {
        self.0 = self.0.wrapping_sub(1);
        if self.0 == usize::MAX { Err(std::io::Error::other("crashed")) } else { run() }
    }
}

impl Files for FailsAt {
    fn write_synced(&mut self, path: &Path, content: &[u8]) -> std::io::Result<()> {
        self.step(|| Disk.write_synced(path, content))
    }
    fn rename(&mut self, from: &Path, to: &Path) -> std::io::Result<()> {
        self.step(|| Disk.rename(from, to))
    }
    fn sync_dir(&mut self, path: &Path) -> std::io::Result<()> {
        self.step(|| Disk.sync_dir(path))
    }
    fn create_dir(&mut self, path: &Path) -> std::io::Result<()> {
        self.step(|| Disk.create_dir(path))
    }
    fn remove_file(&mut self, path: &Path) -> std::io::Result<()> {
        self.step(|| Disk.remove_file(path))
    }
    fn remove_dir(&mut self, path: &Path) -> std::io::Result<()> {
        self.step(|| Disk.remove_dir(path))
    }
}

#[test]
fn no_cosignature_leaves_before_its_head_is_remembered() {
    for operation in 0..3 {
        let root = temp();
        let mut all = nodes(&root, 2);
        let plan = run(&all, 1);
        let member = opened(&plan, 1).parties[0].clone();
        let folder = WitnessStore::folder(&all[1].dir);
        // One synchronisation when the folder is opened.
        all[1].store = WitnessStore::open_with(&folder, Box::new(FailsAt(1 + operation))).unwrap();
        let (_, reply) = show(&plan, &mut all, 0, 1);
        assert!(matches!(reply, Err(WitnessError::Memory(_))), "signed though operation {operation} failed");
        all[1].store = WitnessStore::open(&folder).unwrap();
        let (offer, reply) = show(&plan, &mut all, 0, 1);
        assert!(reply.is_ok());
        assert_eq!(all[1].store.seen(&member).unwrap(), Seen(Some(offer.growth.head)));
    }
}
