//! Writes `seeds/` anew with the real encoders: `cargo run --release --example write_seeds` in `fuzz/`.

use std::fs;
use std::path::Path;

use ml_ops::{Axis, Direction, Link, Owner, Program, ProgramError, Rounding, Trees};
use mpc_core::bits::BitTensor;
use mpc_core::checkpoint::Checkpoint;
use mpc_core::conv::ConvShape;
use mpc_core::fixed::FracBits;
use mpc_core::ring::Z64;
use mpc_core::transcript::{Close, Entry, Outcome};
use mpc_core::windows::Sliding;
use ndarray::{Array2, arr1};
use protocols::prep::{Bilinear, Comparison, Demand, Item, MaskPart, Part, Product, Question};
use protocols::reuse::matrices;
use protocols::tree::TreeChoice;
use subrosa_fuzz::foundation::{log_key, signed_heads};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let programs = [
        scorecard()?,
        elementwise()?,
        comparisons()?,
        shapes()?,
        ranks()?,
        products()?,
        steps()?,
        reports()?,
    ];
    let mut seeds = party_node::fuzzing::seeds(&programs[0].demand().encode());
    let names = [
        "valid-scorecard",
        "valid-elementwise",
        "valid-comparisons",
        "valid-shapes",
        "valid-ranks",
        "valid-products",
        "valid-steps",
        "valid-reports",
    ];
    for (name, program) in names.into_iter().zip(&programs) {
        seeds.push(("program", name, program.encode()));
        seeds.push(("program_run", name, program.encode()));
        seeds.push(("demand", name, program.demand().encode()));
    }
    seeds.push(("demand", "valid-masks", masks().encode()));
    let aborted = Close {
        session: mpc_core::tag::SessionId([9; 32]),
        outcome: Outcome::aborted("peer_lost", Some(mpc_core::channel::Peer::Dealer), "no word for 1500 ms"),
        rounds: 3,
        bytes_sent: 99,
    };
    seeds.push(("log_entry", "valid-aborted", Entry::Close(aborted).encode()));
    seeds.extend(checkpoints());
    seeds.extend(proofs());
    seeds.extend(bits());
    seeds.extend(texts());
    seeds.extend(subrosa_fuzz::heads::seeds());
    for (target, name, bytes) in seeds {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(target);
        fs::create_dir_all(&dir)?;
        fs::write(dir.join(name), bytes)?;
    }
    Ok(())
}

/// Dense layer and sigmoid with secret weights, as in the demo.
fn scorecard() -> Result<Program, ProgramError> {
    let mut p = Program::builder("scorecard", FracBits::DEFAULT, &["bank", "bureau"]);
    let x = p.input("bank.features", Owner(0), [2, 2], 16.0)?;
    let y = p.input("bureau.features", Owner(1), [2, 1], 16.0)?;
    let w = p.weights("weights", Owner(0), [3, 1], 8.0)?;
    let b = p.weights("bias", Owner(0), [1], 8.0)?;
    let all = p.concat(&[x, y], Axis(1))?;
    let logits = p.dense(all, w, b)?;
    let scores = p.sigmoid(logits)?;
    p.output("scores", scores, &[0])?;
    p.build()
}

fn elementwise() -> Result<Program, ProgramError> {
    let mut p = Program::builder("elementwise", FracBits::DEFAULT, &["a", "b", "c"]);
    let x = p.input("x", Owner(0), [2, 3], 8.0)?;
    let y = p.input("y", Owner(2), [2, 3], 8.0)?;
    let row = p.constant(&arr1(&[0.5, -1.25, 2.0]).into_dyn())?;
    let sum = p.add(x, row)?;
    let difference = p.sub(sum, y)?;
    let product = p.mul(difference, y)?;
    let square = p.square(product)?;
    let small = p.scale(square, 0.3)?;
    let negative = p.neg(small)?;
    let mean = p.mean(negative, Axis(0))?;
    p.output("mean", mean, &[0, 1, 2])?;
    p.build()
}

fn comparisons() -> Result<Program, ProgramError> {
    let mut p = Program::builder("comparisons", FracBits::DEFAULT, &["a", "b"]);
    let x = p.input("x", Owner(0), [3], 8.0)?;
    let y = p.input("y", Owner(1), [3], 8.0)?;
    let less = p.less(x, y)?;
    let greater = p.greater_equal(x, y)?;
    let chosen = p.select(less, x, y)?;
    let relu = p.relu(chosen)?;
    let clamped = p.clamp(relu, -2.0, 2.5)?;
    let narrow = p.assume_range(clamped, 4.0)?;
    let votes = p.add(less, greater)?;
    p.output("chosen", narrow, &[0])?;
    p.output("votes", votes, &[1])?;
    p.build()
}

fn shapes() -> Result<Program, ProgramError> {
    let mut p = Program::builder("shapes", FracBits::DEFAULT, &["a", "b"]);
    let x = p.input("x", Owner(0), [2, 3], 8.0)?;
    let table = p.constant(&Array2::from_shape_fn((3, 2), |(i, j)| (i + j) as f64).into_dyn())?;
    let product = p.matmul(x, table)?;
    let t = p.transpose(product)?;
    let wide = p.concat(&[t, product], Axis(1))?;
    let part = p.slice(wide, Axis(1), 1..3)?;
    let flat = p.reshape(part, [4])?;
    let total = p.sum(flat, Axis(0))?;
    p.output("total", total, &[1])?;
    p.build()
}

/// Everything that chooses by comparisons, with settings of its own.
fn ranks() -> Result<Program, ProgramError> {
    let mut p = Program::builder("ranks", FracBits::DEFAULT, &["a", "b"]);
    p.rounding(Rounding::Exact).trees(Trees::For(Link::WAN));
    let x = p.input("x", Owner(0), [3, 2], 8.0)?;
    let y = p.input("y", Owner(1), [3, 2], 8.0)?;
    let (same, sign) = (p.equal(x, y)?, p.sign(x)?);
    let product = p.mul(same, sign)?;
    let size = p.abs(product)?;
    let low = p.minimum(x, y)?;
    let square = p.square(low)?;
    let relu = p.relu(square)?;
    let hot = p.argmax_one_hot(relu, Axis(0))?;
    let place = p.argmin(size, Axis(0))?;
    let (top, beside) = p.top_k_with(hot, y, 2, Axis(0), Direction::Descending)?;
    let sorted = p.sort(beside, Axis(1), Direction::Ascending)?;
    p.output("top", top, &[0])?;
    p.output("place", place, &[0])?;
    p.output("sorted", sorted, &[1])?;
    p.build()
}

/// A matrix that is opened once for products with a part of it, its transpose and the whole, and a fused truncation.
fn products() -> Result<Program, ProgramError> {
    let mut p = Program::builder("products", FracBits::DEFAULT, &["a", "b"]);
    let x = p.input("x", Owner(0), [3, 3], 4.0)?;
    let y = p.input("y", Owner(1), [3, 1], 4.0)?;
    let first = p.matmul(x, y)?;
    let rows = p.slice(x, Axis(0), 1..3)?;
    let t = p.transpose(rows)?;
    let second = p.matmul(t, rows)?;
    let third = p.matmul(second, x)?;
    let kept = p.relu(first)?;
    p.output("kept", kept, &[0])?;
    p.output("third", third, &[1])?;
    p.build()
}

/// A loop through batches of a matrix that is opened once, with a history and a value that is kept.
fn steps() -> Result<Program, ProgramError> {
    let mut p = Program::builder("steps", FracBits::DEFAULT, &["a", "b"]);
    let x = p.input("x", Owner(0), [4, 2], 2.0)?;
    let w = p.weights("w", Owner(1), [2, 1], 2.0)?;
    let mut seen = None;
    let left = p.repeat(4, &[(w, 4.0)], |p, w| {
        let rows = p.batch(x, 2)?;
        let z = p.matmul(rows, w[0])?;
        let positive = p.relu(z)?;
        seen = Some(positive);
        let gradient = p.gradients(&[(positive, positive)], w)?[0].expect("it depends on w");
        Ok(vec![p.weighted_sum(&[(w[0], 1.0), (gradient, -0.125)])?])
    })?;
    let history = p.history(seen.expect("built above"), 2)?;
    p.output("history", history, &[1])?;
    p.keep("w2", left[0])?;
    p.build()
}

/// A loop that reports two of its values to different parties while it runs.
fn reports() -> Result<Program, ProgramError> {
    let mut p = Program::builder("reports", FracBits::DEFAULT, &["a", "b"]);
    let x = p.input("x", Owner(0), [2], 2.0)?;
    let left = p.repeat(4, &[(x, 2.0)], |p, x| {
        let square = p.square(x[0])?;
        p.report("squares", square, 2, 0.5, &[1])?;
        let next = p.scale(x[0], -0.5)?;
        p.report("each", next, 1, 1.0, &[0, 1])?;
        Ok(vec![next])
    })?;
    p.output("left", left[0], &[0])?;
    p.build()
}

/// A tensor that is opened once and used in products of every kind, and comparisons of every kind.
fn masks() -> Demand {
    let whole = Part::whole(&[4, 3]).expect("few axes");
    let given = |part, product| Item::Given { part: MaskPart { mask: 1, part }, product };
    let column = whole.slice(1, 2, 3).broadcast(&[4, 5]).expect("a column that repeats");
    let kernel =
        ConvShape::new([2, 1, 6, 5], [1, 1, 4, 3], Sliding::by(1).padded(1), 1).expect("sizes that fit");
    let tree = TreeChoice::DEFAULT;
    let sign = Comparison::in_ring(Question::Sign, 5, tree);
    Demand {
        items: vec![
            Item::Square { len: 2 },
            Item::Mask { len: 12 },
            given(whole, matrices([4, 3, 2])),
            given(whole.slice(0, 1, 3).transpose(), matrices([3, 2, 1])),
            given(whole.slice(1, 2, 3), Product::of_right(Bilinear::Matmuls { count: 2, dims: [7, 2, 1] })),
            given(column, Product::of_left(Bilinear::Elements { len: 20 })),
            given(whole.every(0, 3, -1, 4), Product::of_right(Bilinear::Conv(kernel))),
            Item::Comparison(Comparison { truncation: 16, thresholds: 2, ..sign }),
            Item::Comparison(Comparison { product: true, payloads: 3, ..sign }),
            Item::Comparison(Comparison::new(Question::Bits, 5, tree)),
            Item::Comparison(Comparison::in_ring(Question::SignAndEqual, 5, tree)),
            Item::Comparison(Comparison::in_ring(Question::Quotient { bits: 16 }, 5, tree)),
        ],
    }
}

type Seed = (&'static str, &'static str, Vec<u8>);

fn checkpoints() -> Vec<Seed> {
    let names = ["valid-0", "valid-1", "valid-7", "valid-255", "valid-256", "valid-70000", "valid-max"];
    let signed = signed_heads().into_iter().map(|h| h.sign(&log_key()).to_string());
    let mut seeds: Vec<Seed> =
        names.into_iter().zip(signed).map(|(n, text)| ("checkpoint", n, text.into_bytes())).collect();
    // Two signature lines, the second by another name.
    let other =
        Checkpoint::new("bureau", 7, signed_heads()[2].root()).expect("a valid name").sign(&log_key());
    let two = format!("{}{}\n", signed_heads().swap_remove(2).sign(&log_key()), other.signatures()[0]);
    seeds.push(("checkpoint", "valid-cosigned", two.into_bytes()));
    seeds
}

fn proofs() -> Vec<Seed> {
    let flip = |head: [u8; 4]| [&head[..], &[0; 39], &[1]].concat();
    let wild = |head: [u8; 4]| [&head[..], &[3; 96], &[0xff; 8]].concat();
    vec![
        ("proof", "valid-inclusion", vec![10, 3, 0, 0]),
        ("proof", "valid-consistency", vec![10, 3, 7, 1]),
        ("proof", "valid-large", vec![127, 99, 64, 0]),
        ("proof", "flipped-inclusion", flip([12, 11, 0, 0])),
        ("proof", "flipped-consistency", flip([12, 0, 6, 1])),
        ("proof", "wild-inclusion", wild([6, 2, 3, 2])),
        ("proof", "wild-consistency", wild([6, 2, 3, 3])),
    ]
}

fn bits() -> Vec<Seed> {
    let packed = |lanes: u8, len: u16| {
        let values: Vec<Z64> =
            (0..u64::from(len)).map(|i| Z64(i.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
        let mut out = [&[lanes][..], &len.to_le_bytes()].concat();
        BitTensor::slice_of(&values, lanes.into()).pack_into(&mut out);
        out
    };
    vec![
        ("bits", "valid-odd", packed(3, 5)),
        ("bits", "valid-word", packed(2, 64)),
        ("bits", "valid-wide", packed(64, 3)),
        ("bits", "valid-long", packed(7, 129)),
        ("bits", "valid-empty", packed(4, 0)),
    ]
}

fn texts() -> Vec<Seed> {
    let key = |seed: u8| {
        let key = ed25519_dalek::SigningKey::from_bytes(&[seed; 32]).verifying_key();
        party_node::identity::PublicKey::from_bytes(key.as_bytes()).expect("a public key").to_string()
    };
    let parties = format!(
        "[[party]]\nname = \"bank\"\naddress = \"127.0.0.1:7401\"\npublic_key = \"{}\"\n\n\
         [[party]]\nname = \"bureau\"\naddress = \"bureau.example:7402\"\npublic_key = \"{}\"\n\n",
        key(1),
        key(2)
    );
    let head =
        "key = \"node.key\"\nlisten = \"127.0.0.1:7401\"\nconnect_timeout_ms = 5000\nlink = \"lan\"\n\n";
    let party = format!(
        "name = \"bank\"\n{head}{parties}[dealer]\nname = \"dealer\"\naddress = \"[::1]:7409\"\npublic_key = \"{}\"\n\n\
         [log]\ndir = \"log\"\n\n[job]\nprogram = \"p.sbr\"\npreprocessing = \"dealer\"\n\n\
         [inputs.\"bank.features\"]\nfile = \"bank.csv\"\nkey_column = \"id\"\ncolumns = [\"income\", \"debt\"]\n\
         missing = \"mean\"\nstandardise = {{ income = {{ mean = 2000, standard_deviation = 500.5 }} }}\n\n\
         [inputs.weights]\nkind = \"weights\"\nfile = \"w.csv\"\nnames = [\"bank.income\"]\n\n\
         [outputs.scores]\nfile = \"scores.csv\"\n\n\
         [scorecard]\noutput = \"scores\"\nbase_points = 600\nbase_odds = 50\npoints_to_double_odds = 20\n\
         approve_from = 620\ndecline_below = 580\n",
        key(3)
    );
    let codes = party
        .replacen("[\"income\", \"debt\"]", "[\"income\", \"job\", \"a b\"]", 1)
        .replacen(
            "missing = \"mean\"",
            "one_hot = { job = [\"A171\", \"A172\", \"NA\"], \"a b\" = [\"=\"] }\nmissing = \"mean\"",
            1,
        )
        .replacen("{ income =", "{ \"job=A171\" =", 1)
        + "outcomes = { file = \"bank.csv\", key_column = \"id\", column = \"class\", good = \"1\", bad = \"2\" }\n";
    let twice = codes.replacen("\"A172\"", "\"A171\"", 1);
    let dealer = format!("name = \"dealer\"\n{head}{parties}[log]\ndir = \"log\"\n");
    let table = "id,income,other,debt\nc-1,2000.5,x,1\nc-2,NA,y,0\n\"c,3\",-3e3,\"z\"\"z\",1\n";
    let with = |mode: u8, text: &str| [&[mode][..], text.as_bytes()].concat();
    vec![
        ("config", "valid-party", party.into_bytes()),
        ("config", "valid-codes", codes.into_bytes()),
        ("config", "refused-codes", twice.into_bytes()),
        ("config", "valid-dealer", dealer.into_bytes()),
        ("csv", "valid-mean", with(0, table)),
        ("csv", "valid-value-batch", with(0x80, table)),
        ("csv", "valid-plain", with(1, "id,income,debt\na,1,0\nb,2,1\n")),
        ("csv", "refused-missing", with(1, table)),
        ("csv", "valid-codes", with(0x40, "id,income,debt\na,1,0\nb,2,\"a b\"\nc,3,\n")),
        ("csv", "valid-codes-batch", with(0xc0, "debt,id,income\nNA,a,\n1,b,2\n1,c,5\n")),
        ("csv", "refused-code", with(0x41, "id,income,debt\na,1,0\nb,2,A11\n")),
        ("weights", "valid-two", b"name,weight\nbias,-1.5\nbank.income,0.25\n".to_vec()),
        ("weights", "valid-codes", b"name,weight\nbias,0\nbank.income,1\nbank.job=A171,-0.5\n".to_vec()),
        ("weights", "valid-extra", b"note,weight,name\n,1e-3,other\nx,2,bias\ny,3,bank.income\n".to_vec()),
    ]
}
