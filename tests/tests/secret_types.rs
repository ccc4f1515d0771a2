//! No type that holds a secret is forgotten: every struct and enum of the crates with a field of a secret kind stands in
//! a `secret_types!` list, which refuses to compile a `Debug`, a comparison or a serialisation, or below with a reason.
#![allow(clippy::unwrap_used, reason = "a test: a panic is how it fails")]

use std::collections::{BTreeMap, BTreeSet};

use subrosa_tests::files;

const CRATES: [&str; 4] = ["mpc-core", "protocols", "ml-ops", "party-node"];

/// What a field is made of that holds keys, shares, masks, or a party's own values.
const KINDS: [&str; 35] = [
    "Seed",
    "SecretBytes",
    "LogKey",
    "Prg",
    "Aes128",
    "AesCtr",
    "Tensor",
    "BitTensor",
    "Additive",
    "XorBits",
    "Zeroizing",
    "SigningKey",
    "Identity",
    "CertifiedKey",
    "PeerKeys",
    "Exported",
    "DealerLink",
    "PairwiseSeeds",
    "Transcript",
    "EncodedInputs",
    "LocalInputs",
    "LocalValue",
    "Features",
    "PreparedValues",
    "RowNames",
    "Cells",
    "Spool",
    "Applicant",
    "Bytes",
    "S",
    "B",
    "Sharing",
    "Blind",
    "Opening",
    "LogStore",
];

/// Types that have such a field and may be printed or compared all the same.
const EXCEPTIONS: [(&str, &str); 15] = [
    ("Op", "its tensors are constants of the program, which all parties know"),
    ("FixedKey", "its key follows from what everybody knows"),
    ("Code", "its places follow from what everybody knows"),
    ("AttributeProto", "a part of a model's file, which the import of its owner alone reads"),
    ("TensorProto", "the same"),
    ("Files", "files beside a model, which the import of its owner alone reads"),
    ("Owner", "it lends a tensor's bytes and has no other use; in the builder, it is an index"),
    // These have a variant or an option that is called like a kind.
    ("AttributeType", "a number of the format"),
    ("DataError", "it names files"),
    ("First", "the seed of first weights, which everybody knows"),
    ("InputKind", "a word of a configuration"),
    ("InputSource", "it names files"),
    ("Message", "a kind of message of the format"),
    ("Options", "it says whose columns the features are"),
    ("TreeError", "it says how many there are"),
];

/// Definitions by name: what stands between the name and the end of the item.
fn definitions(source: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut lines = source.lines();
    while let Some(line) = lines.next() {
        if line.starts_with("#[cfg(test)]") && lines.clone().next().is_some_and(|l| l.starts_with("mod ")) {
            break;
        }
        let words: Vec<&str> = line.split(|c: char| !(c.is_alphanumeric() || c == '_')).collect();
        let Some(at) = words.iter().position(|w| ["struct", "enum"].contains(w)) else { continue };
        if line.trim_start().starts_with("//")
            || !words[..at].iter().all(|w| ["", "pub", "crate", "super"].contains(w))
        {
            continue;
        }
        let mut body = line.to_owned();
        if !line.trim_end().ends_with(';') {
            let indent = line.len() - line.trim_start().len();
            for line in lines.by_ref() {
                body.push('\n');
                body.push_str(line.split("//").next().unwrap_or_default());
                if line.len() - line.trim_start().len() <= indent && line.trim_start().starts_with(['}', ')'])
                {
                    break;
                }
            }
        }
        found.insert(words[at + 1].to_owned(), body);
    }
    found
}

/// The names in the file's lists.
fn listed(source: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let code: String =
        source.lines().filter(|l| !l.trim_start().starts_with("//")).flat_map(|l| [l, "\n"]).collect();
    for list in code.split("secret_types!(").skip(1) {
        let list = list.split(");").next().unwrap_or_default();
        let list = list.split_once(';').map_or(list, |(_, types)| types);
        let mut depth = 0_i32;
        let types = list.split(|c| {
            depth += i32::from(c == '<') - i32::from(c == '>');
            c == ',' && depth == 0
        });
        names
            .extend(types.filter_map(|t| t.trim().split('<').next()?.rsplit("::").next().map(str::to_owned)));
    }
    names
}

#[test]
fn every_type_with_a_secret_in_it_is_listed() {
    let (mut holders, mut names) = (BTreeMap::new(), BTreeSet::new());
    for name in CRATES {
        for file in files::all_files(&files::workspace().join(name).join("src")) {
            let path = file.display().to_string();
            let not_in_the_product = ["/tests", "_tests", "/fuzzing", "/hostile", "/privacy"];
            if not_in_the_product.iter().any(|part| path.contains(part)) {
                continue;
            }
            let source = std::fs::read_to_string(&file).unwrap();
            names.extend(listed(&source));
            for (name, body) in definitions(&source) {
                let fields = body.split_once(['{', '(']).map_or("", |(_, fields)| fields);
                let words = fields.split(|c: char| !(c.is_alphanumeric() || c == '_'));
                let kinds: Vec<String> = words.filter(|w| KINDS.contains(w)).map(str::to_owned).collect();
                if !kinds.is_empty() {
                    holders.insert(name, (path.clone(), kinds));
                }
            }
        }
    }
    assert!(holders.len() > 50, "the sources are not read as they are written: {}", holders.len());
    for (name, reason) in EXCEPTIONS {
        assert!(holders.remove(name).is_some(), "{name} is no longer an exception: {reason}");
    }
    let forgotten: Vec<_> = holders.iter().filter(|(name, _)| !names.contains(*name)).collect();
    assert!(forgotten.is_empty(), "not in a list: {forgotten:#?}");
}
