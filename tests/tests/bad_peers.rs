//! Nodes that do not find each other or do not agree: both sides say so in time, with whom it is about, and no output
//! is written.
#![allow(clippy::unwrap_used, reason = "a test: a panic is how it fails")]

use std::time::Duration;

use subrosa_tests::process::listing;
use subrosa_tests::refusal::refused;
use subrosa_tests::{Cluster, Refusal, files, finish_all};

const SUBROSA: &str = env!("CARGO_BIN_EXE_subrosa-under-test");
const ROWS: usize = 24;

fn cluster() -> Cluster {
    Cluster::new(SUBROSA, 2, ROWS)
}

#[test]
fn a_port_in_use_is_named() {
    let cluster = cluster();
    let text = std::fs::read_to_string(cluster.config("bank")).unwrap();
    let listen = text.lines().find_map(|l| l.strip_prefix("listen = ")).unwrap().trim_matches('"').to_owned();
    let _taken = std::net::UdpSocket::bind(&listen).unwrap();
    for command in ["check", "run"] {
        let refusal = refused(&cluster, &[command, "--config", &cluster.config("bank")]);
        assert_eq!((refusal.exit, refusal.code.as_str()), (2, "port_in_use"));
        refusal.says(&["cannot listen on", &listen, "in use"]);
    }
    cluster.edit("bank/bank.toml", |text| {
        text.replace(&format!("listen = \"{listen}\""), "listen = \"192.0.2.1:9\"")
    });
    let refusal = refused(&cluster, &["run", "--config", &cluster.config("bank")]);
    assert_eq!(refusal.exit, 2);
    refusal.says(&["cannot listen on 192.0.2.1:9"]);
}

/// Runs both parties (the bank in JSON and the bureau in text) and expects both to fail alike.
fn both_are_refused(cluster: &Cluster, within_ms: u64) -> [Refusal; 2] {
    let _dealer = cluster.start("dealer");
    let parties = vec![cluster.start("bank"), cluster.start_with("bureau", false)];
    let ended = finish_all(parties, Duration::from_millis(within_ms));
    assert!(!cluster.scores().exists(), "an output after a failed check: {}", listing(&ended));
    [ended[0].refusal(), ended[1].text_refusal()]
}

#[test]
fn peers_that_never_come_are_named() {
    let cluster = Cluster::new(SUBROSA, 3, ROWS);
    cluster.connect_timeout(700);
    for json in [true, false] {
        let _dealer = cluster.start("dealer");
        let parties = ["bank", "bureau"].map(|p| cluster.start_with(p, json));
        for ended in finish_all(parties.into(), Duration::from_millis(700 + 2_000)) {
            let refusal = if json { ended.refusal() } else { ended.text_refusal() };
            assert_eq!(refusal.exit, 1);
            refusal.says(&["telecom (at 127.0.0.1:", "did not come within 700 ms"]);
        }
    }
    let parties = ["bank", "bureau", "telecom"].map(|p| cluster.start(p));
    for ended in finish_all(parties.into(), Duration::from_millis(700 + 2_000)) {
        assert_eq!(ended.refusal().exit, 1);
        ended.refusal().says(&["dealer (at 127.0.0.1:", "did not come within 700 ms"]);
    }
}

#[test]
fn ids_that_differ_between_parties_stop_both() {
    for (row, id) in [(3, "C9999999"), (0, " "), (ROWS - 1, "C0000000")] {
        let cluster = cluster();
        let (header, mut rows) = files::read_csv(&cluster.path("bureau/bureau.csv"));
        if id == " " {
            rows.swap(3, 4);
        } else {
            rows[row][0] = id.to_owned();
        }
        files::write_csv(&cluster.path("bureau/bureau.csv"), &header, &rows);
        for (refusal, peer) in both_are_refused(&cluster, 8_000).iter().zip(["bureau", "bank"]) {
            assert_eq!(refusal.exit, 1, "{refusal:?}");
            refusal.says(&["row ids differ", peer]);
            assert!(
                !refusal.message.contains(id.trim()) || id == " ",
                "an id is shown to the other side: {refusal:?}"
            );
        }
    }
}

#[test]
fn row_counts_that_differ_from_the_program_stop_their_owner() {
    let cluster = cluster();
    cluster.connect_timeout(1_500);
    cluster.edit("bureau/bureau.csv", |text| text.lines().take(ROWS).map(|l| format!("{l}\n")).collect());
    let [bank, bureau] = both_are_refused(&cluster, 4_000);
    assert_eq!(bureau.exit, 2, "{bureau:?}");
    bureau.says(&["bureau.csv", "must have shape [24, 4]", "23 rows and 4 columns"]);
    assert_eq!((bank.exit, bank.code.as_str()), (1, "peer_absent"), "{bank:?}");
    bank.says(&["bureau (at 127.0.0.1:", "did not come within 1500 ms"]);
}

#[test]
fn another_program_at_one_party_stops_both() {
    let cluster = cluster();
    let other = Cluster::new(SUBROSA, 2, ROWS + 1);
    let digest = |c: &Cluster| {
        let plan = c.subrosa(&["plan", "--json", "--config", &c.config("bureau")]).succeeded().json();
        plan["digest"].as_str().unwrap()[..8].to_owned()
    };
    let (banks, bureaus) = (digest(&cluster), digest(&other));
    for file in ["scorecard.sbr", "bureau.csv"] {
        std::fs::copy(other.path("bureau").join(file), cluster.path("bureau").join(file)).unwrap();
    }
    let [bank, bureau] = both_are_refused(&cluster, 8_000);
    bank.says(&["bureau", "another program", &format!("ours is {banks}"), &format!("theirs is {bureaus}")]);
    bureau.says(&["bank", "another program", &format!("ours is {bureaus}"), &format!("theirs is {banks}")]);
    assert_eq!([bank.exit, bureau.exit], [1, 1]);
}

#[test]
fn a_stranger_in_place_of_a_peer_is_named() {
    let cluster = cluster();
    cluster.connect_timeout(2_500);
    // The bureau and the dealer agree on a new key of the bureau, but the bank pins the old one.
    let (old, new) = (cluster.path("bureau/bureau.pub"), cluster.path("new.pub"));
    let _made = cluster.subrosa(&["keygen", &cluster.text_path("new.key")]).succeeded();
    let [pinned, presented] = [old, new].map(|f| std::fs::read_to_string(f).unwrap().trim().to_owned());
    std::fs::rename(cluster.path("new.key"), cluster.path("bureau/bureau.key")).unwrap();
    for config in ["bureau/bureau.toml", "dealer/dealer.toml"] {
        cluster.replace(config, &pinned, &presented);
    }
    let [bank, bureau] = both_are_refused(&cluster, 2_500 + 2_000);
    assert_eq!((bank.exit, bank.code.as_str()), (1, "wrong_key"), "{bank:?}");
    bank.says(&["bureau", &pinned[..20], &presented[..20]]);
    assert_eq!(bureau.exit, 1);
    bureau.says(&["key", &presented[..20]]);
}
