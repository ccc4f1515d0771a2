//! A model in an ONNX file is imported and run by two nodes, as docs/import.md describes.
#![allow(clippy::unwrap_used, reason = "a test: a panic is how it fails")]

use std::path::Path;

use subrosa_tests::process::{DEADLINE, listing};
use subrosa_tests::{Ended, Random, Running, files, finish_all, page};

const SUBROSA: &str = env!("CARGO_BIN_EXE_subrosa-under-test");
const PAGE: &str = "docs/import.md";

/// What the commands of the page need, in a folder of its own and on free ports.
fn checkout() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let from = files::workspace();
    for folder in ["configs/import", "configs/import/data"] {
        std::fs::create_dir_all(dir.path().join(folder)).unwrap();
    }
    for file in ["client.toml", "server.toml", "data/client.csv"] {
        let file = Path::new("configs/import").join(file);
        std::fs::copy(from.join(&file), dir.path().join(&file)).unwrap();
    }
    std::fs::create_dir_all(dir.path().join("tests/models")).unwrap();
    for model in ["logistic_binary.onnx", "torch_transformer_script.onnx", "torch_lenet_script.onnx"] {
        let model = Path::new("tests/models").join(model);
        std::fs::copy(from.join(&model), dir.path().join(&model)).unwrap();
    }
    files::move_to_free_ports(
        &["client", "server"].map(|n| dir.path().join(format!("configs/import/{n}.toml"))),
    );
    dir
}

fn start(dir: &Path, args: &[String]) -> Running {
    page::start(SUBROSA, dir, args)
}

fn run(dir: &Path, args: &[String]) -> Ended {
    page::run(SUBROSA, dir, args)
}

#[test]
fn an_imported_model_runs_as_the_page_describes() {
    let dir = checkout();
    let mut random = Random::seeded("import");
    let (runs, before): (Vec<_>, Vec<_>) =
        page::commands(&files::workspace().join(PAGE)).into_iter().partition(|c| c[0] == "run");
    assert!(before.iter().any(|c| c[0] == "import") && before.iter().any(|c| c[0] == "plan"), "{before:?}");
    let mut planned = None;
    for command in &before {
        let done = run(dir.path(), command).succeeded();
        let report = done.json();
        if command[0] == "plan" && planned.is_none() {
            // Whose the parameters are is seen before anything runs.
            let weights: Vec<_> =
                report["inputs"].as_array().unwrap().iter().filter(|i| i["kind"] == "weights").collect();
            assert!(!weights.is_empty() && weights.iter().all(|i| i["owner"] == "server"), "{report}");
            planned = Some(report);
        }
    }
    let mut starts = runs;
    assert_eq!(starts.len(), 2, "two parties: {starts:?}");
    random.shuffle(&mut starts);
    let ended = finish_all(starts.iter().map(|c| start(dir.path(), c)).collect(), DEADLINE);
    assert!(ended.iter().all(|p| p.code == Some(0)), "{}", listing(&ended));
    let planned = planned.unwrap();
    assert!(ended.iter().all(|e| e.json()["rounds"] == planned["rounds"]), "{planned}");

    let results = |name: &str| {
        let (_, rows) = files::read_csv(&dir.path().join(format!("configs/import/results/{name}.csv")));
        let numbers = |row: &Vec<String>| row.iter().filter_map(|c| c.parse().ok()).collect::<Vec<f64>>();
        rows.iter().map(numbers).collect::<Vec<_>>()
    };
    let expected = files::workspace().join("tests/models/logistic_binary.safetensors");
    let expected = std::fs::read(expected).unwrap();
    let labels = tensor(&expected, "out.label");
    let probabilities = tensor(&expected, "out.probabilities");
    assert_eq!(results("label").concat(), labels);
    let got = results("probabilities").concat();
    assert_eq!(got.len(), probabilities.len());
    let worst = got.iter().zip(&probabilities).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(worst < 1e-3, "off by {worst}");
    // The client has no file of the model, and the weights are their owner's to read.
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let file = dir.path().join("configs/import/model/logistic_binary.safetensors");
        assert_eq!(std::fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

/// The numbers of a tensor in a file of those.
fn tensor(bytes: &[u8], name: &str) -> Vec<f64> {
    let header_end = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: serde_json::Value = serde_json::from_slice(&bytes[8..header_end]).unwrap();
    let [from, to] = [0, 1].map(|i| header_end + header[name]["data_offsets"][i].as_u64().unwrap() as usize);
    let integers = header[name]["dtype"] == "I64";
    let number = |b: &[u8; 8]| if integers { i64::from_le_bytes(*b) as f64 } else { f64::from_le_bytes(*b) };
    bytes[from..to].as_chunks::<8>().0.iter().map(number).collect()
}

#[test]
fn what_cannot_be_imported_is_said_in_one_line_with_what_could() {
    let dir = checkout();
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let refused = |line: &str| run(dir.path(), &words(line)).refusal();
    let model = std::fs::read(dir.path().join("tests/models/torch_lenet_script.onnx")).unwrap();
    // The same model with an operator that nobody has.
    let text = b"MaxPool";
    let at = |bytes: &[u8]| bytes.windows(text.len()).position(|w| w == text);
    let mut odd = model.clone();
    while let Some(i) = at(&odd) {
        odd[i..i + text.len()].copy_from_slice(b"OddPool");
    }
    std::fs::write(dir.path().join("odd.onnx"), &odd).unwrap();
    let refusal = refused("import odd.onnx");
    assert_eq!((refusal.exit, refusal.code.as_str()), (2, "bad_model"));
    refusal.says(&["OddPool (nodes ", "no such operator here"]);
    assert!(refusal.hint.unwrap().contains("supported operators: Abs, Add"));
    for (line, code, expected) in [
        ("import nothing.onnx", "file_missing", "nothing.onnx"),
        ("import configs/import/client.toml", "bad_model", "not an ONNX model"),
        ("import tests/models/logistic_binary.onnx --weights public", "usage", "client alone"),
        (
            "import tests/models/logistic_binary.onnx --data-owner a=0..3",
            "bad_import",
            "nobody brings the columns 3..30",
        ),
        ("import tests/models/logistic_binary.onnx --range 0", "usage", "expected a number above 0"),
        ("import tests/models/logistic_binary.onnx --weights public --model-owner b", "usage", "no owner"),
    ] {
        let refusal = refused(line);
        assert_eq!((refusal.exit, refusal.code.as_str()), (2, code), "{line}: {}", refusal.message);
        assert!(refusal.message.contains(expected), "{line}: {}", refusal.message);
    }
}

#[test]
fn comparisons_are_suited_to_the_network_that_is_named() {
    let dir = checkout();
    let rounds = |more: &[&str]| {
        let args = ["import", "tests/models/torch_lenet_script.onnx", "--range", "4", "--out", "model"];
        let args: Vec<String> = args.iter().chain(more).map(|&a| a.to_owned()).collect();
        let _imported = run(dir.path(), &args).succeeded();
        let plan =
            run(dir.path(), &["plan".into(), "model/torch_lenet_script.sbr".into()]).succeeded().json();
        plan["rounds"].as_u64().unwrap()
    };
    let [usual, few] = [&[][..], &["--net", "wan"]].map(rounds);
    assert!(few < usual, "{few} rounds for a slow network, {usual} otherwise");
}
