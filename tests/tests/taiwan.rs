//! Real data through `--data`: 30,000 card holders, split between a guest that knows the outcomes and a host. The
//! weights are fitted here in plaintext; the joint scores must be the plaintext scores.
#![allow(clippy::unwrap_used, reason = "a test: a panic is how it fails")]

use std::path::Path;

use subrosa_tests::people::{each_config_names_its_own_files_only, real_data};
use subrosa_tests::{People, files};

const SUBROSA: &str = env!("CARGO_BIN_EXE_subrosa-under-test");
const GUEST: &str = "default_credit_hetero_guest.csv";
const HOST: &str = "default_credit_hetero_host.csv";

/// Both halves joined.
fn join(folder: &Path) -> People {
    let (guest_header, guest) = files::read_csv(&folder.join(GUEST));
    let (host_header, host) = files::read_csv(&folder.join(HOST));
    assert_eq!((guest_header[0].as_str(), guest_header[1].as_str()), ("id", "y"));
    assert_eq!((host_header[0].as_str(), guest.len()), ("id", host.len()));
    let names = guest_header[2..].iter().map(|c| format!("guest.{c}"));
    let names = names.chain(host_header[1..].iter().map(|c| format!("host.{c}"))).collect();
    let number = |cell: &String| cell.parse::<f64>().unwrap();
    let rows = guest.iter().zip(&host).map(|(g, h)| {
        assert_eq!(g[0], h[0], "both files list the same people in the same order");
        g[2..].iter().chain(&h[1..]).map(number).chain([1.0]).collect()
    });
    People {
        key: "id",
        names,
        rows: rows.collect(),
        bad: guest.iter().map(|g| number(&g[1])).collect(),
        ids: guest.into_iter().map(|mut g| g.swap_remove(0)).collect(),
    }
}

fn prepare(source: &Path, people: &People, weights: &[f64], to: &Path) {
    std::fs::copy(source.join(GUEST), to.join("guest.csv")).unwrap();
    std::fs::copy(source.join(HOST), to.join("host.csv")).unwrap();
    people.write_weights(weights, &to.join("weights.csv"));
    let description = "weights = \"weights.csv\"\n\n\
        [[party]]\nname = \"guest\"\nfile = \"guest.csv\"\nkey = \"id\"\nlabel = \"y\"\n\n\
        [[party]]\nname = \"host\"\nfile = \"host.csv\"\nkey = \"id\"\n";
    std::fs::write(to.join("demo.toml"), description).unwrap();
}

#[test]
fn joint_scores_of_30000_card_holders_are_the_plaintext_scores() {
    let Some(source) = real_data("taiwan") else { return };
    let people = join(&source);
    assert_eq!((people.rows.len(), people.names.len()), (30_000, 23));
    let weights = people.fit();

    let dir = tempfile::tempdir().unwrap();
    let (data, keep) = (dir.path().join("data"), dir.path().join("kept"));
    std::fs::create_dir(&data).unwrap();
    prepare(&source, &people, &weights, &data);
    let out = people.score_jointly(SUBROSA, &["guest", "host"], &weights, &data, &keep);
    assert!((out - 0.714).abs() < 0.003, "held-out AUC {out}, a plaintext library reaches 0.7140");

    each_config_names_its_own_files_only(
        &keep,
        &[
            ("guest", &["guest.csv", "weights.csv"], &["host.csv"]),
            ("host", &["host.csv"], &["guest.csv", "weights.csv", "scores.csv", "outcomes"]),
            ("dealer", &[], &["guest.csv", "host.csv", "weights.csv", "scores.csv"]),
        ],
    );
}
