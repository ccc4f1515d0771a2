//! What is not imported, and how that is said.

use ml_ops::onnx::{ColumnRange, Features, ImportError, Model, Options, import, supported};
use ndarray::ArrayD;

use crate::files::{Case, Trial, folder};

/// The bytes of one field of a message.
fn field(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![tag << 3 | 2];
    let mut len = body.len();
    while len >= 0x80 {
        bytes.push(len as u8 | 0x80);
        len >>= 7;
    }
    bytes.push(len as u8);
    bytes.extend(body);
    bytes
}

fn number(tag: u8, value: u8) -> Vec<u8> {
    vec![tag << 3, value]
}

/// A node of one input and output.
fn node(op: &str, name: &str, [input, output]: [&str; 2], attributes: &[Vec<u8>]) -> Vec<u8> {
    let mut body =
        [field(1, input.as_bytes()), field(2, output.as_bytes()), field(3, name.as_bytes())].concat();
    body.extend(field(4, op.as_bytes()));
    attributes.iter().for_each(|a| body.extend(field(5, a)));
    field(1, &body)
}

/// An attribute that is a text.
fn text(name: &str, value: &str) -> Vec<u8> {
    [field(1, name.as_bytes()), field(4, value.as_bytes()), vec![0xa0, 0x01, 3]].concat()
}

/// An attribute that is an integer.
fn integer(name: &str, value: u8) -> Vec<u8> {
    [field(1, name.as_bytes()), number(3, value), vec![0xa0, 0x01, 2]].concat()
}

/// A model of these nodes, from `x` \[2, 3\] to `y`.
fn model(nodes: &[Vec<u8>]) -> Model {
    let dim = |n: u8| field(1, &number(1, n));
    let tensor = [number(1, 1), field(2, &[dim(2), dim(3)].concat())].concat();
    let info = |name: &str| [field(1, name.as_bytes()), field(2, &field(1, &tensor))].concat();
    let graph = [nodes.concat(), field(11, &info("x")), field(12, &info("y"))].concat();
    Model::decode([field(7, &graph), field(8, &number(2, 17))].concat()).unwrap()
}

fn refused(nodes: &[Vec<u8>]) -> ImportError {
    import(&model(nodes), &Options::new("model", &["a", "b"])).expect_err("a refusal")
}

#[test]
fn all_unsupported_operators_are_named_at_once_with_what_is_wrong_elsewhere() {
    let error = refused(&[
        node("Frobnicate", "first", ["x", "a"], &[]),
        node("Relu", "fine", ["a", "b"], &[]),
        node("LSTM", "recurrent", ["b", "c"], &[]),
        node("Frobnicate", "again", ["c", "d"], &[]),
        node("MaxPool", "pool", ["d", "e"], &[text("auto_pad", "SIDEWAYS")]),
        node("ArgMax", "which", ["x", "f"], &[integer("select_last_index", 1)]),
        node("Relu", "odd", ["f", "g"], &[integer("slope", 1)]),
        node("Sum", "all", ["g", "h"], &[]),
        // Not used by any output: of no concern.
        node("Unused", "unused", ["x", "u"], &[]),
        node("Concat", "end", ["e", "y"], &[integer("axis", 0)]),
    ]);
    let text = error.to_string();
    assert!(error.names_operators());
    for expected in [
        "Frobnicate (nodes \"first\", \"again\"): no such operator here",
        "LSTM (node \"recurrent\"): no such operator here",
        "MaxPool (node \"pool\"): auto_pad = SIDEWAYS is not supported",
    ] {
        assert!(text.contains(expected), "{text}");
    }
    assert!(!text.contains("unused") && !text.contains("\"fine\""), "{text}");
    let error = refused(&[
        node("ArgMax", "which", ["x", "f"], &[integer("select_last_index", 1)]),
        node("Relu", "odd", ["f", "y"], &[integer("slope", 1)]),
    ]);
    let text = error.to_string();
    assert!(!error.names_operators());
    assert!(text.starts_with("2 nodes cannot be imported"), "{text}");
    assert!(text.contains("select_last_index = 1 is not supported, only 0"), "{text}");
    assert!(text.contains("Relu (node \"odd\"): attribute `slope` is not supported"), "{text}");
}

#[test]
fn operands_that_depend_on_the_inputs_are_named_with_their_node() {
    let text = refused(&[node("Floor", "down", ["x", "y"], &[])]).to_string();
    assert!(text.contains("Floor (node \"down\")") && text.contains("depends on the inputs"), "{text}");
    let text = refused(&[node("Relu", "r", ["nowhere", "y"], &[])]).to_string();
    assert!(text.contains("nowhere"), "{text}");
    let looped = [
        node("Relu", "r", ["b", "a"], &[]),
        node("Relu", "s", ["a", "b"], &[]),
        node("Sum", "t", ["b", "y"], &[]),
    ];
    assert!(matches!(refused(&looped), ImportError::Malformed(_)));
    let twice = [node("Relu", "r", ["x", "y"], &[]), node("Relu", "s", ["x", "y"], &[])];
    assert!(matches!(refused(&twice), ImportError::Malformed(_)));
}

#[test]
fn what_could_overflow_names_the_node_of_the_model() {
    let squares: Vec<_> = (0..6)
        .map(|i| {
            let (from, to) = (
                if i == 0 { "x".into() } else { format!("v{i}") },
                if i == 5 { "y".into() } else { format!("v{}", i + 1) },
            );
            let mut body =
                [field(1, from.as_bytes()), field(1, from.as_bytes()), field(2, to.as_bytes())].concat();
            body.extend([field(3, format!("square{i}").as_bytes()), field(4, b"Mul")].concat());
            field(1, &body)
        })
        .collect();
    let text = refused(&squares).to_string();
    assert!(text.contains("Mul (node \"square") && text.contains("promised range"), "{text}");
    let mut options = Options::new("model", &["a", "b"]);
    options.assume = Some(1000.0);
    assert!(import(&model(&squares), &options).is_ok());
}

/// A constant vector of integers.
fn integers(name: &str, values: &[i64]) -> Vec<u8> {
    let raw: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    let tensor = [number(1, values.len() as u8), number(2, 7), field(9, &raw)].concat();
    let value = [field(1, b"value"), field(5, &tensor), vec![0xa0, 0x01, 4]].concat();
    let body = [field(2, name.as_bytes()), field(4, b"Constant"), field(5, &value)].concat();
    field(1, &body)
}

#[test]
fn nothing_is_repeated_of_an_empty_axis_and_no_pad_is_beyond_all_numbers() {
    let pad = |mode: &str, of: &str| {
        let operands = [field(1, of.as_bytes()), field(1, b"pads"), field(2, b"y")].concat();
        field(1, &[operands, field(4, b"Pad"), field(5, &text("mode", mode))].concat())
    };
    for mode in ["edge", "wrap", "reflect"] {
        for (values, pads) in [(&[][..], [1, 0]), (&[1, 2], [-i64::MAX, i64::MAX]), (&[1, 2], [i64::MIN, 0])]
        {
            let text = refused(&[integers("a", values), integers("pads", &pads), pad(mode, "a")]).to_string();
            assert!(text.contains("pad"), "{mode} {values:?} by {pads:?}: {text}");
        }
    }
}

#[test]
fn a_split_makes_what_has_a_name() {
    let outputs = [field(1, b"x"), field(1, b"lengths"), field(2, b"y")].concat();
    let axis = field(5, &integer("axis", 1));
    let split = field(1, &[outputs, field(4, b"Split"), axis].concat());
    let options = Options::new("model", &["a", "b"]);
    assert!(import(&model(&[integers("lengths", &[2, 1, 0, 0]), split]), &options).is_ok());
}

fn range(input: Option<&str>, columns: std::ops::Range<usize>) -> ColumnRange {
    ColumnRange { input: input.map(str::to_owned), columns: Some(columns), max_abs: 1.0 }
}

#[test]
fn integers_are_not_divided_as_if_they_had_fractions() {
    let quotient = |of: &str| {
        let operands = [field(1, of.as_bytes()), field(1, of.as_bytes()), field(2, b"y")].concat();
        field(1, &[operands, field(3, b"quotient"), field(4, b"Div")].concat())
    };
    let text = refused(&[node("Cast", "whole", ["x", "a"], &[integer("to", 7)]), quotient("a")]).to_string();
    assert!(text.contains("Div (node \"quotient\"): a quotient of integers loses its fraction"), "{text}");
    let nodes = [
        node("Cast", "whole", ["x", "a"], &[integer("to", 7)]),
        node("Cast", "real", ["a", "b"], &[integer("to", 1)]),
        quotient("b"),
    ];
    let mut options = Options::new("model", &["a", "b"]);
    options.max_abs = 8.0;
    assert!(import(&model(&nodes), &options).is_ok());
    // What would be compared with hundreds of integers is not cut off.
    let text = refused(&nodes).to_string();
    assert!(text.contains("Cast (node \"whole\")") && text.contains("only up to 64"), "{text}");
}

#[test]
fn patterns_are_not_misled_by_nodes_without_outputs() {
    let two = |op: &str, a: &str, b: &str, output: &[u8]| {
        let operands = [field(1, a.as_bytes()), field(1, b.as_bytes()), output.to_vec()].concat();
        field(1, &[operands, field(4, op.as_bytes())].concat())
    };
    // √2 and 1, in the order of a GELU that breaks off.
    let constant = |name: &str, value: f32| {
        let of = [field(1, b"value_float"), vec![0x15], value.to_le_bytes().to_vec(), vec![0xa0, 0x01, 1]]
            .concat();
        field(1, &[field(2, name.as_bytes()), field(4, b"Constant"), field(5, &of)].concat())
    };
    let start = [constant("k", 2f32.sqrt()), two("Div", "x", "k", &field(2, b"a"))];
    let bare = field(1, &[field(1, b"a"), field(4, b"Erf")].concat());
    let end = node("Relu", "r", ["x", "y"], &[]);
    let nodes = [start.concat(), bare, end.clone()];
    assert!(import(&model(&nodes), &Options::new("model", &["a", "b"])).is_ok());
    let erf = node("Erf", "e", ["a", "b"], &[]);
    let nodes = [start.concat(), constant("one", 1.0), erf, two("Add", "b", "one", &[]), end];
    assert!(import(&model(&nodes), &Options::new("model", &["a", "b"])).is_ok());
}

#[test]
fn options_that_do_not_fit_the_model_are_refused() {
    let case = Case::load("logistic_binary");
    let options = |change: fn(&mut Options)| {
        let mut options = Options::new("model", &["a", "b", "c"]);
        change(&mut options);
        import(&case.model, &options).map(drop).map_err(|e| e.to_string())
    };
    assert_eq!(options(|_| ()), Ok(()));
    for (change, expected) in [
        (
            (|o| o.outputs = vec!["nothing".into()]) as fn(&mut Options),
            "the model has no output `nothing`; it has `label`",
        ),
        (|o| o.features[0].input = Some("z".into()), "the model has no input `z`; it has `X`"),
        (|o| o.features[0].columns = Some(0..7), "nobody brings the columns 7..30"),
        (|o| o.features[0].columns = Some(3..30), "expected a part from 0"),
        (|o| o.features[0].columns = Some(0..31), "at most to 30"),
        (|o| o.features.clear(), "nobody brings the model's input `X`"),
        (|o| o.ranges = vec![range(Some("z"), 0..1)], "a range is given for input `z`; the model has `X`"),
        (|o| o.ranges = vec![range(None, 29..31)], "columns 29..31 of input `X`, which has 30"),
    ] {
        let error = options(change).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
    let fixed = Case::load("operators/gemm_no_bias");
    let mut options = Options::new("model", &["a", "b"]);
    options.batch = Some(100);
    let error = import(&fixed.model, &options).unwrap_err().to_string();
    assert!(error.contains("a batch of 100 was asked for, but the model fixes"), "{error}");
}

#[test]
fn columns_are_divided_among_owners() {
    let trial = Trial::of("logistic_binary", 1e-3).by(3).with(|o| {
        let part = |owner, columns, max_abs| Features { input: None, owner, columns: Some(columns), max_abs };
        o.features = vec![part(2, 25..30, None), part(0, 0..10, Some(16.0)), part(1, 10..25, None)];
    });
    trial.run();
    let case = Case::load("logistic_binary");
    let imported = import(&case.model, &trial.options(&case, ml_ops::onnx::Parameters::Public)).unwrap();
    let names: Vec<_> = imported.program.inputs().map(|i| (i.name.to_owned(), i.owner.index())).collect();
    assert_eq!(names, [("bank.X".into(), 0), ("bureau.X".into(), 1), ("telecom.X".into(), 2)]);
}

#[test]
fn private_parameters_are_no_part_of_the_program() {
    let case = Case::load("torch_mlp_script");
    let mut options =
        Trial::of("torch_mlp_script", 1.0).options(&case, ml_ops::onnx::Parameters::Private { owner: 1 });
    let one = import(&case.model, &options).unwrap();
    let text = one.program.to_string();
    assert!(
        text.contains("weights \"0.weight\" of \"bureau\"")
            && text.contains("weights \"0.bias\" of \"bureau\""),
        "{text}"
    );
    assert_eq!(one.program.plan().public_numbers, 0);
    let known: usize = one.parameters.values().map(ArrayD::len).sum();
    assert_eq!(known, 20 * 32 + 32 + 32 * 16 + 16 + 16 * 4 + 4);
    // Nothing but powers of two tells of them.
    for input in one.program.inputs().filter(|i| i.owner.index() == 1) {
        assert_eq!(input.max_abs.log2().fract(), 0.0, "{}", input.name);
    }
    options.parameters = ml_ops::onnx::Parameters::Public;
    let plan = import(&case.model, &options).unwrap().program.plan();
    assert!(plan.public_numbers >= known as u64 && plan.inputs.iter().all(|i| i.kind == "data"));
}

#[test]
fn files_beside_the_model_stay_in_its_folder() {
    let from = folder().join("operators/gemm_no_bias.onnx");
    assert!(Model::load(from).is_ok());
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("model");
    std::fs::create_dir(&home).unwrap();
    std::fs::write(dir.path().join("secret"), [0; 24]).unwrap();
    std::fs::write(home.join("data"), [0; 24]).unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink(dir.path().join("secret"), home.join("link")).unwrap();
    let load = |location: &str, offset: &str| {
        let entry = |k: &str, v: &str| field(13, &[field(1, k.as_bytes()), field(2, v.as_bytes())].concat());
        let mut tensor = [number(1, 2), number(1, 3), number(2, 1), field(8, b"w")].concat();
        tensor.extend([entry("location", location), entry("offset", offset), number(14, 1)].concat());
        let graph = field(5, &tensor);
        std::fs::write(home.join("model.onnx"), field(7, &graph)).unwrap();
        Model::load(home.join("model.onnx")).map(drop).map_err(|e| e.to_string())
    };
    assert_eq!(load("data", "0"), Ok(()));
    for (location, offset, expected) in [
        ("../secret", "0", "below the model's folder"),
        ("/etc/hostname", "0", "below the model's folder"),
        ("link", "0", "leads out of the model's folder"),
        ("nothing", "0", "nothing"),
        ("data", "8", "its shape has 6 elements, its data 4"),
        ("data", "99", "the file ends before the tensor does"),
        ("data", "-1", "its offset is no number"),
    ] {
        let error = load(location, offset).unwrap_err();
        assert!(error.contains(expected), "{location}: {error}");
    }
}

#[test]
fn the_supported_operators_are_those_of_the_documentation() {
    let list = supported();
    assert!(list.windows(2).all(|w| w[0] < w[1]), "sorted, each once");
    let page = std::fs::read_to_string(folder().join("../../docs/import.md")).unwrap();
    let missing: Vec<_> = list.iter().filter(|o| !page.contains(&format!("`{o}`"))).collect();
    assert!(missing.is_empty(), "docs/import.md lacks {missing:?}");
}
