use super::*;

mod codes;

/// Public keys of fresh identities.
fn keys(n: usize) -> Vec<String> {
    (0..n).map(|_| crate::identity::Identity::generate().unwrap().public_key().to_string()).collect()
}

struct Files {
    dir: tempfile::TempDir,
    keys: Vec<String>,
}

impl Files {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), keys: keys(4) }
    }

    /// A valid configuration of the bank; tests damage it.
    fn bank(&self) -> String {
        let k = &self.keys;
        format!(
            r#"name = "bank"
key = "bank.key"
listen = "127.0.0.1:7401"
connect_timeout_ms = 5000

[[party]]
name = "bank"
address = "127.0.0.1:7401"
public_key = "{}"

[[party]]
name = "bureau"
address = "bureau.example:7402"
public_key = "{}"

[dealer]
name = "dealer"
address = "[::1]:7409"
public_key = "{}"

[log]
dir = "log"

[job]
program = "scorecard.sbr"
preprocessing = "dealer"

[inputs."bank.features"]
file = "bank.csv"
key_column = "id"
columns = ["income", "debt"]
missing = "mean"
standardise = {{ income = {{ mean = 2000, standard_deviation = 500.5 }} }}

[inputs.weights]
kind = "weights"
file = "weights.csv"
names = ["bank.income", "bank.debt"]

[outputs.probability]
file = "out/scores.csv"

[scorecard]
output = "probability"
base_points = 600
base_odds = 20
points_to_double_odds = 20
approve_from = 580
decline_below = 540
outcomes = {{ file = "bank.csv", key_column = "id", column = "bad" }}
"#,
            k[0], k[1], k[2]
        )
    }

    fn load(&self, text: &str) -> Result<Config, CliError> {
        let path = self.dir.path().join("bank.toml");
        std::fs::write(&path, text).unwrap();
        Config::load(&path)
    }

    /// The message about a damaged configuration, without the folder.
    fn refused(&self, from: &str, to: &str) -> (String, String) {
        let valid = self.bank();
        assert!(valid.contains(from), "the test damages text that is not there: {from}");
        let error = self.load(&valid.replacen(from, to, 1)).expect_err("this configuration must be refused");
        let folder = format!("{}/", self.dir.path().display());
        assert_eq!(error.message().lines().count(), 1);
        assert_eq!(error.exit_code(), std::process::ExitCode::from(2));
        (error.code().to_owned(), error.message().replace(&folder, ""))
    }
}

#[test]
fn a_valid_configuration_is_read_whole() {
    let files = Files::new();
    let config = files.load(&files.bank()).unwrap();
    let folder = files.dir.path();
    assert_eq!((config.me, config.node.name.as_str()), (PartyId::new(0), "bank"));
    assert_eq!(config.node.key, folder.join("bank.key"));
    assert_eq!((config.node.connect_timeout_ms, config.node.receive_timeout_ms), (5_000, 30_000));
    assert_eq!(config.node.net, Link::Loopback.into());
    assert_eq!(config.node.roster.names(), ["bank", "bureau"]);
    assert_eq!(config.dealer.unwrap().name, "dealer");
    let Some(InputSource::Table(table)) = config.inputs.get("bank.features") else { panic!("no table") };
    assert_eq!(table.columns, ["income", "debt"]);
    assert_eq!(table.missing, crate::data::Missing::Mean);
    let crate::data::Standardise::Given(given) = &table.standardise else { panic!("not given") };
    assert_eq!(given["income"].standard_deviation, 500.5);
    let weights = InputSource::Weights {
        file: folder.join("weights.csv"),
        names: vec!["bank.income".into(), "bank.debt".into()],
    };
    assert_eq!(config.inputs["weights"], weights);
    assert_eq!(config.outputs["probability"], folder.join("out/scores.csv"));
    let scorecard = config.scorecard.unwrap();
    assert_eq!(scorecard.card.approve_from, 580.0);
    let outcomes = scorecard.outcomes.unwrap();
    assert_eq!((outcomes.column.as_str(), outcomes.coding), ("bad", crate::data::OutcomeCoding::Numbers));
}

#[test]
fn figures_are_written_by_one_run_and_read_by_another() {
    let files = Files::new();
    let folder = files.dir.path();
    let valid = files.bank();
    let line = valid.lines().find(|l| l.starts_with("standardise = {")).unwrap().to_owned();
    let with = |to: &str| files.load(&valid.replacen(&line, to, 1));
    let config = with("standardise = true\nwrite_figures = \"figures.csv\"").unwrap();
    assert_eq!(config.figures["bank.features"], folder.join("figures.csv"));
    let config = with("standardise = \"figures.csv\"").unwrap();
    assert!(config.figures.is_empty());
    let InputSource::Table(table) = &config.inputs["bank.features"] else { panic!("no table") };
    assert_eq!(table.standardise, crate::data::Standardise::Figures(folder.join("figures.csv")));
    for to in ["standardise = false\nwrite_figures = \"f.csv\"", "write_figures = \"f.csv\""] {
        let error = with(to).expect_err("these figures must be refused");
        assert_eq!(error.code(), "config_value");
        assert!(
            error.message().contains("`write_figures` goes with a table and standardise = true"),
            "{error}"
        );
    }
    let units = valid.replacen("out/scores.csv\"", "out/scores.csv\"\nunits = \"labels.csv\"", 1);
    assert_eq!(files.load(&units).unwrap().units["probability"], folder.join("labels.csv"));
}

#[test]
fn syntax_and_unknown_fields_point_into_the_file() {
    let files = Files::new();
    let (code, text) = files.refused("listen = ", "lisen = ");
    assert_eq!(code, "config_syntax");
    assert!(text.starts_with("bank.toml:3:1: unknown field `lisen`, expected one of "), "{text}");
    let (_, text) = files.refused("program = ", "colour = 1\nprogram = ");
    assert!(text.starts_with("bank.toml:25:1: unknown field `colour`"), "{text}");
    let (_, text) = files.refused("name = \"bank\"", "name = \"bank");
    assert!(text.starts_with("bank.toml:1:"), "{text}");
    let (_, text) = files.refused("connect_timeout_ms = 5000", "connect_timeout_ms = \"soon\"");
    assert!(text.starts_with("bank.toml:4:22: invalid type: string \"soon\""), "{text}");
    let (_, text) = files.refused("[log]\ndir = \"log\"\n", "");
    assert!(text.ends_with("missing field `log`"), "{text}");
    let (_, text) = files.refused("preprocessing = \"dealer\"", "preprocessing = \"magic\"");
    assert!(text.contains("unknown variant `magic`, expected `dealer`"), "{text}");
}

#[test]
fn the_hint_shows_the_line() {
    let files = Files::new();
    let error = files.load(&files.bank().replacen("listen = ", "lisen = ", 1)).unwrap_err();
    assert_eq!(error.hint(), Some("line 3 is `lisen = \"127.0.0.1:7401\"`"));
}

#[test]
fn parties_must_differ_and_include_this_node() {
    let files = Files::new();
    let (code, text) = files.refused("name = \"bureau\"", "name = \"bank\"");
    assert_eq!(
        (code.as_str(), text.as_str()),
        ("duplicate_party", "bank.toml:12:8: party `bank` is named twice")
    );
    let (code, text) = files.refused(&files.keys[1].clone(), &files.keys[0].clone());
    assert_eq!(code, "duplicate_party");
    assert!(
        text.starts_with("bank.toml:14:14: `bank` and `bureau` have the same public key ed25519:"),
        "{text}"
    );
    let (code, text) = files.refused("bureau.example:7402", "127.0.0.1:7401");
    assert_eq!(code, "duplicate_party");
    assert_eq!(text, "bank.toml:13:11: `bank` and `bureau` have the same address 127.0.0.1:7401");
    let (code, text) = files.refused(&files.keys[2].clone(), &files.keys[1].clone());
    assert_eq!(code, "duplicate_party");
    assert!(text.contains("`bureau` and `dealer` have the same public key"), "{text}");
    let (code, text) = files.refused("name = \"bank\"", "name = \"banque\"");
    assert_eq!(code, "not_in_roster");
    assert_eq!(text, "bank.toml:1:8: `banque` is not among the [[party]] entries (bank, bureau)");
}

#[test]
fn two_to_five_parties() {
    let files = Files::new();
    let valid = files.bank();
    let from = valid.find("[[party]]\nname = \"bureau\"").unwrap();
    let to = valid.find("[dealer]").unwrap();
    let (code, text) = files.refused(&valid[from..to], "");
    assert_eq!(code, "party_count");
    assert!(text.ends_with("expected 2 to 5 [[party]] entries, got 1"), "{text}");
    let more: String = keys(4)
        .iter()
        .enumerate()
        .map(|(i, k)| {
            format!("[[party]]\nname = \"p{i}\"\naddress = \"h:{}\"\npublic_key = \"{k}\"\n", i + 1)
        })
        .collect();
    let (_, text) = files.refused("[dealer]", &format!("{more}[dealer]"));
    assert!(text.ends_with("expected 2 to 5 [[party]] entries, got 6"), "{text}");
}

#[test]
fn addresses_and_timeouts_are_checked() {
    let files = Files::new();
    for bad in ["bureau.example", "bureau.example:0", "bureau.example:99999", ":7402", "::1:7402"] {
        let (code, text) = files.refused("bureau.example:7402", bad);
        assert_eq!(code, "config_value");
        let expected =
            format!("bank.toml:13:11: expected an address as host:port (port 1 to 65535), got `{bad}`");
        assert_eq!(text, expected);
    }
    let (_, text) = files.refused("listen = \"127.0.0.1:7401\"", "listen = \"localhost\"");
    assert!(text.starts_with("bank.toml:3:10: expected listen as IP:port"), "{text}");
    let (_, text) = files.refused("connect_timeout_ms = 5000", "connect_timeout_ms = 5");
    assert_eq!(text, "bank.toml:4:22: expected 100 to 3600000 milliseconds, got 5");
    let (_, text) = files.refused("address = \"bureau.example:7402\"\n", "");
    assert!(text.contains("`bureau` has no address"), "{text}");
}

#[test]
fn public_keys_are_inline_or_in_a_file() {
    let files = Files::new();
    let inline = format!("public_key = \"{}\"", files.keys[1]);
    let (code, text) = files.refused(&inline, "public_key = \"ed25519:AAAA\"");
    assert_eq!(code, "bad_public_key");
    assert!(text.starts_with("bank.toml:14:14: public key of `bureau`: "), "{text}");
    let (code, text) = files.refused(&inline, "public_key_file = \"bureau.pub\"");
    assert_eq!(code, "key_unreadable");
    assert!(
        text.starts_with("bank.toml:14:19: cannot read the public key of `bureau`, bureau.pub: "),
        "{text}"
    );
    let (_, text) = files.refused(&inline, "");
    assert!(text.contains("`bureau`: expected either public_key or public_key_file"), "{text}");
    std::fs::write(files.dir.path().join("bureau.pub"), format!("{}\n", files.keys[3])).unwrap();
    let config = files.load(&files.bank().replacen(&inline, "public_key_file = \"bureau.pub\"", 1)).unwrap();
    assert_eq!(config.node.roster.parties()[1].public_key.to_string(), files.keys[3]);
}

#[test]
fn a_private_key_in_the_wrong_place_is_not_repeated() {
    let files = Files::new();
    let identity = crate::identity::Identity::generate().unwrap();
    let file = files.dir.path().join("bureau.key");
    identity.save(&file).unwrap();
    let pem = std::fs::read_to_string(&file).unwrap();
    let base64 = pem.lines().nth(1).unwrap();
    let valid = files.bank();
    let inline = format!("public_key = \"{}\"", files.keys[1]);
    for (from, to, code) in [
        ("key = \"bank.key\"", format!("key = \"{base64}\""), "config_value"),
        ("key = \"bank.key\"", format!("key = \"\"\"\n{pem}\"\"\""), "config_value"),
        ("key = \"bank.key\"", base64.to_owned(), "config_syntax"),
        ("key = \"bank.key\"", format!("{base64} = 1"), "config_syntax"),
        ("connect_timeout_ms = 5000", format!("connect_timeout_ms = \"{base64}\""), "config_syntax"),
        ("127.0.0.1:7401", base64.to_owned(), "config_value"),
        (&inline, format!("public_key = \"{base64}\""), "bad_public_key"),
        (&inline, format!("public_key = \"ed25519:{}\"", &base64[21..]), "bad_public_key"),
        (&inline, "public_key_file = \"bureau.key\"".to_owned(), "bad_public_key"),
    ] {
        assert!(valid.contains(from));
        let error = files.load(&valid.replacen(from, &to, 1)).expect_err("a key in the wrong place");
        assert_eq!(error.code(), code, "{to}: {error:?}");
        let said = error.to_json();
        // Not even a part: no eight characters in a row.
        let parts = base64.as_bytes()[21..].windows(8).filter(|part| part.is_ascii());
        for part in parts {
            assert!(!said.contains(std::str::from_utf8(part).unwrap()), "{to}: {said}");
        }
    }
    let error = Config::load(&file).unwrap_err().to_json();
    assert!(!error.contains("PRIVATE") && !error.contains(base64), "{error}");
}

#[test]
fn inputs_are_tables_or_weights() {
    let files = Files::new();
    let cases = [
        ("missing = \"mean\"", "missing = \"median\"", "expected missing = \"mean\", \"refuse\" or a number"),
        ("missing = \"mean\"", "missing = nan", "expected missing = \"mean\", \"refuse\" or a number"),
        ("columns = [\"income\", \"debt\"]", "columns = []", "columns is empty"),
        (
            "columns = [\"income\", \"debt\"]",
            "columns = [\"income\", \"income\"]",
            "columns names `income` twice",
        ),
        (
            "columns = [\"income\", \"debt\"]",
            "columns = [\"debt\"]",
            "standardise names `income`, which is not",
        ),
        (
            "standard_deviation = 500.5",
            "standard_deviation = 0",
            "a positive standard_deviation, got 2000 and 0",
        ),
        ("mean = 2000", "median = 2000", "unknown field `median`"),
        ("key_column = \"id\"\n", "", "input `bank.features`: expected `key_column` and `columns`"),
        ("kind = \"weights\"\n", "", "`names` belongs to kind = \"weights\""),
        ("names = [\"bank.income\", \"bank.debt\"]", "", "kind = \"weights\" needs `names`"),
    ];
    for (from, to, expected) in cases {
        let (_, text) = files.refused(from, to);
        assert!(text.contains(expected), "{to}: {text}");
    }
}

#[test]
fn scorecards_make_sense() {
    let files = Files::new();
    let cases = [
        ("base_odds = 20", "base_odds = 0", "base_odds must be positive, got 0"),
        ("decline_below = 540", "decline_below = 590", "decline_below (590) is above approve_from (580)"),
        ("output = \"probability\"", "output = \"p\"", "output `p` has no [outputs.p] section"),
        ("base_points = 600", "base_points = inf", "points must be finite"),
    ];
    for (from, to, expected) in cases {
        let (code, text) = files.refused(from, to);
        assert_eq!(code, "config_value");
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn what_is_written_takes_no_other_files_place() {
    let files = Files::new();
    for (to, over) in [
        ("file = \"bank.csv\"", "the output `probability` would be written over the input `bank.features`"),
        ("file = \"./weights.csv\"", "written over the input `weights`"),
        ("file = \"bank.key\"", "written over the key"),
        ("file = \"scorecard.sbr\"", "written over the program"),
        (
            "file = \"a.csv\"\n\n[outputs.z]\nfile = \"a.csv\"",
            "the output `z` would be written over the output `probability`",
        ),
    ] {
        let (code, text) = files.refused("file = \"out/scores.csv\"", to);
        assert!(code == "file_taken" && text.contains(over), "{to}: {code}: {text}");
    }
}

#[test]
fn files_that_cannot_be_read() {
    let files = Files::new();
    let error = Config::load(&files.dir.path().join("absent.toml")).unwrap_err();
    assert_eq!(error.code(), "file_missing");
    assert!(error.message().starts_with("cannot read configuration "), "{error}");
    let big = files.dir.path().join("big.toml");
    std::fs::write(&big, "#".repeat((1 << 20) + 1)).unwrap();
    assert_eq!(Config::load(&big).unwrap_err().code(), "config_too_large");
}

#[test]
fn a_dealer_needs_no_addresses_and_is_no_party() {
    let files = Files::new();
    let text = format!(
        "name = \"dealer\"\nkey = \"d.key\"\nlisten = \"0.0.0.0:7409\"\n[log]\ndir = \"log\"\n\
         [[party]]\nname = \"bank\"\npublic_key = \"{}\"\n[[party]]\nname = \"bureau\"\npublic_key = \"{}\"\n",
        files.keys[0], files.keys[1]
    );
    let path = files.dir.path().join("dealer.toml");
    std::fs::write(&path, &text).unwrap();
    assert_eq!(DealerConfig::load(&path).unwrap().node.roster.len(), 2);
    assert!(matches!(AnyConfig::load(&path), Ok(AnyConfig::Dealer(_))));
    std::fs::write(&path, text.replacen("\"dealer\"", "\"bank\"", 1)).unwrap();
    assert_eq!(DealerConfig::load(&path).unwrap_err().code(), "duplicate_party");
}

/// Of a device or a pipe the system says that it has no bytes.
#[cfg(unix)]
#[test]
fn no_more_is_read_of_a_file_than_a_configuration_can_have() {
    let error = Config::load(Path::new("/dev/zero")).unwrap_err();
    assert_eq!(error.code(), "config_too_large", "{error}");
    let files = Files::new();
    let inline = format!("public_key = \"{}\"", files.keys[1]);
    let (code, text) = files.refused(&inline, "public_key_file = \"/dev/zero\"");
    assert_eq!(code, "key_unreadable");
    assert!(text.contains("more than 4096 bytes"), "{text}");
}

#[test]
fn a_store_belongs_to_parties_that_make_their_own_randomness() {
    let files = Files::new();
    let (code, text) =
        files.refused("preprocessing = \"dealer\"\n", "preprocessing = \"dealer\"\nstore = \"ahead\"\n");
    assert_eq!(code, "config_value");
    assert!(text.contains("`store` belongs to preprocessing = \"ot\""), "{text}");
    assert_eq!(files.load(&files.bank()).unwrap().store, None);
    let bank = files.bank();
    let (before, rest) = bank.split_once("[dealer]").unwrap();
    let (_, after) = rest.split_once("[log]").unwrap();
    let without = format!("{before}[log]{after}").replace("\"dealer\"\n", "\"ot\"\nstore = \"ahead\"\n");
    assert_eq!(files.load(&without).unwrap().store, Some(files.dir.path().join("ahead")));
}
