//! A real process that is killed by SIGKILL at every step of a store, in the middle of writes too.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{env, io, process, thread};

use super::*;

/// After so many steps the process dies.
pub(crate) const AFTER: &str = "SUBROSA_TEST_STORE_DIES_AFTER";
/// If set, it dies with half of a write done.
pub(crate) const TORN: &str = "SUBROSA_TEST_STORE_DIES_TORN";
const FOLDER: &str = "SUBROSA_TEST_STORE_FOLDER";

static DONE: AtomicUsize = AtomicUsize::new(0);

/// A step of a store; the last one of this process if it was told so.
pub(in crate::store) fn step(half: impl FnOnce()) {
    let Some(limit) = env::var_os(AFTER) else { return };
    let limit: usize = limit.to_str().unwrap().parse().unwrap();
    if DONE.fetch_add(1, Ordering::SeqCst) < limit {
        return;
    }
    if env::var_os(TORN).is_some() {
        half();
    }
    let _ = Command::new("kill").args(["-KILL", &process::id().to_string()]).status();
    loop {
        thread::park();
    }
}

/// Not a test by itself: what the killed process does. It says everything that it may rely on from then on.
#[test]
fn child() {
    let Some(folder) = env::var_os(FOLDER).map(PathBuf::from) else { return };
    let tell = |what: String| {
        let mut out = io::stdout().lock();
        writeln!(out, "\ndid {what}").and_then(|()| out.flush()).unwrap();
    };
    let mut store = Store::open(&folder).unwrap();
    make(&mut store, S, purpose(1), 4).unwrap();
    tell("make".into());
    let take = |store: &mut Store, copy| {
        let mut taken = store.spend(&S, copy).unwrap().unwrap();
        tell(format!("spend {copy}"));
        assert_eq!(read(&mut taken), content(&S, copy));
    };
    take(&mut store, 0);
    take(&mut store, 2);
    drop(store);
    let mut store = Store::open(&folder).unwrap();
    make(&mut store, T, purpose(2), 1).unwrap();
    take(&mut store, 3);
    store.destroy(&T).unwrap();
    tell("destroy".into());
}

/// Runs the child in a folder until it dies after so many steps; what it said, and whether it died.
fn run(folder: &Path, after: usize, torn: bool) -> (Vec<String>, bool) {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", "store::tests::killed::child", "--nocapture", "--test-threads=1"]);
    command.env(FOLDER, folder).env(AFTER, after.to_string()).stdin(Stdio::null());
    if torn {
        command.env(TORN, "1");
    }
    let ended = command.output().unwrap();
    let died = std::os::unix::process::ExitStatusExt::signal(&ended.status) == Some(9);
    assert!(died || ended.status.success(), "{ended:?}");
    let said = String::from_utf8(ended.stdout).unwrap();
    (said.lines().filter_map(|l| l.strip_prefix("did ")).map(str::to_owned).collect(), died)
}

/// All that must hold after a death.
fn survives(folder: &Path, said: &[String], when: &str) {
    let did = |what: &str| said.iter().any(|s| s == what);
    let spent = [3, 2, 0].into_iter().find(|copy| did(&format!("spend {copy}")));
    let mut store = Store::open(folder).unwrap_or_else(|e| panic!("{when}: {e}"));
    let ours = cursor(&store);
    let next = spent.map_or(0, |copy| copy + 1);
    match ours {
        Some((cursor, copies)) => assert!(copies == 4 && cursor >= next, "{when}: {ours:?}, spent {spent:?}"),
        None => assert!(!did("make") || spent >= Some(2), "{when}: what was made is gone"),
    }
    assert!(!did("destroy") || store.offers(&purpose(2)).is_empty(), "{when}: what was destroyed is there");
    // Nothing is left of what is spent or was not kept.
    let left = ours.map_or(0, |(cursor, copies)| copies - cursor) as usize + store.offers(&purpose(2)).len();
    assert_eq!(files(folder).len(), 1 + left, "{when}");
    for copy in 0..4 {
        let taken = store.spend(&S, copy);
        match ours {
            Some((cursor, _)) if copy >= cursor => {
                assert_eq!(read(&mut taken.unwrap().unwrap()), content(&S, copy), "{when}");
            }
            _ => assert!(taken.is_err(), "{when}: copy {copy} was given out"),
        }
    }
    // It goes on.
    make(&mut store, SessionId([7; 32]), purpose(1), 1).unwrap();
    assert!(store.spend(&SessionId([7; 32]), 0).unwrap().is_ok(), "{when}");
}

#[test]
fn killed_at_any_step_nothing_is_spent_twice_and_nothing_is_lost() {
    for torn in [false, true] {
        let mut deaths = 0;
        for after in 0.. {
            let dir = tempfile::tempdir().unwrap();
            let folder = dir.path().join("store");
            let (said, died) = run(&folder, after, torn);
            survives(&folder, &said, &format!("killed after {after} steps, torn: {torn}, said {said:?}"));
            if !died {
                assert_eq!(said.len(), 5);
                break;
            }
            deaths += 1;
        }
        println!("died {deaths} times, torn: {torn}");
        assert!(deaths > 60, "{deaths}");
    }
}
