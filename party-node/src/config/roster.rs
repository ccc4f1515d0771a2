//! The parties of a session as the configuration names them, checked for contradictions.

use std::ops::Range;

use mpc_core::party::{MAX_PARTIES, PartyId};
use toml::Spanned;

use super::file::PeerEntry;
use super::place::{Source, read_text};
use crate::error::CliError;
use crate::identity::PublicKey;

/// A party or the dealer, as pinned in the configuration.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Name in messages and logs.
    pub name: String,
    /// `host:port` where it listens. Empty where nobody dials it (parties in a dealer's configuration).
    pub address: String,
    /// Its pinned key.
    pub public_key: PublicKey,
}

/// The computing parties in roster order; the order is part of what all parties agree on.
#[derive(Clone, Debug)]
pub struct Roster {
    parties: Vec<Peer>,
}

impl Roster {
    /// The parties in order.
    #[must_use]
    pub fn parties(&self) -> &[Peer] {
        &self.parties
    }

    /// How many there are, 2 to [`MAX_PARTIES`].
    #[must_use]
    pub fn len(&self) -> usize {
        self.parties.len()
    }

    /// Never true: a roster has at least two parties.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.parties.is_empty()
    }

    /// The index of the party with this name.
    #[must_use]
    pub fn position(&self, name: &str) -> Option<PartyId> {
        self.parties.iter().position(|p| p.name == name).map(PartyId::new)
    }

    /// Names in order.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.parties.iter().map(|p| p.name.clone()).collect()
    }
}

/// Whether the entries must say where to dial.
#[derive(Copy, Clone, PartialEq, Eq)]
pub(super) enum Addresses {
    Required,
    Unused,
}

/// A checked peer and the places it was read from.
pub(super) struct Placed {
    peer: Peer,
    name_span: Range<usize>,
    address_span: Range<usize>,
    key_span: Range<usize>,
}

/// Checks the `[[party]]` entries and the dealer against each other.
pub(super) fn check(
    source: &Source,
    entries: Vec<Spanned<PeerEntry>>,
    dealer: Option<Spanned<PeerEntry>>,
    addresses: Addresses,
) -> Result<(Roster, Option<Peer>), CliError> {
    let count = entries.len();
    if !(2..=MAX_PARTIES).contains(&count) {
        let span = entries.get(MAX_PARTIES).map(Spanned::span);
        return Err(source.error(
            "party_count",
            span,
            format_args!("expected 2 to {MAX_PARTIES} [[party]] entries, got {count}"),
        ));
    }
    let mut placed: Vec<Placed> = Vec::new();
    for entry in entries {
        let next = peer(source, entry, addresses)?;
        refuse_repeats(source, &placed, &next, "party")?;
        placed.push(next);
    }
    let dealer = dealer.map(|d| peer(source, d, Addresses::Required)).transpose()?;
    if let Some(dealer) = &dealer {
        refuse_repeats(source, &placed, dealer, "the dealer")?;
    }
    let parties = placed.into_iter().map(|p| p.peer).collect();
    Ok((Roster { parties }, dealer.map(|d| d.peer)))
}

fn peer(source: &Source, entry: Spanned<PeerEntry>, addresses: Addresses) -> Result<Placed, CliError> {
    let whole = entry.span();
    let entry = entry.into_inner();
    let name = check_name(source, &entry.name)?;
    let (address, address_span) = match (&entry.address, addresses) {
        (Some(address), _) => {
            check_address(source, address)?;
            (address.get_ref().clone(), address.span())
        }
        (None, Addresses::Unused) => (String::new(), whole.clone()),
        (None, Addresses::Required) => {
            return Err(source.error(
                "config_value",
                Some(whole),
                format_args!("`{name}` has no address; expected address = \"host:port\""),
            ));
        }
    };
    let (public_key, key_span) = public_key(source, &entry, &name, whole)?;
    let name_span = entry.name.span();
    Ok(Placed { peer: Peer { name, address, public_key }, name_span, address_span, key_span })
}

/// No public key's file is larger.
const MAX_KEY_BYTES: u64 = 4096;

/// The pinned key, written in the entry or in the `.pub` file it names.
fn public_key(
    source: &Source,
    entry: &PeerEntry,
    name: &str,
    whole: Range<usize>,
) -> Result<(PublicKey, Range<usize>), CliError> {
    let (text, span, place) = match (&entry.public_key, &entry.public_key_file) {
        (Some(key), None) => (key.get_ref().clone(), key.span(), String::new()),
        (None, Some(file)) => {
            let path = source.resolve(file.get_ref());
            let unreadable = |what: &dyn std::fmt::Display| {
                let what = format!("cannot read the public key of `{name}`, {}: {what}", path.display());
                source
                    .error("key_unreadable", Some(file.span()), what)
                    .with_hint("make a key pair with `subrosa keygen FILE.key`; it writes FILE.pub beside it")
            };
            let text = read_text(&path, MAX_KEY_BYTES)
                .map_err(|e| unreadable(&e))?
                .ok_or_else(|| unreadable(&format_args!("more than {MAX_KEY_BYTES} bytes")))?;
            (text.trim().to_owned(), file.span(), format!(" in {}", path.display()))
        }
        (None, None) | (Some(_), Some(_)) => {
            return Err(source.error(
                "config_value",
                Some(whole),
                format_args!("`{name}`: expected either public_key or public_key_file"),
            ));
        }
    };
    let key = text.parse::<PublicKey>().map_err(|e| {
        let what = format_args!("public key of `{name}`{place}: {e}");
        // The line is not shown: what is no public key may be the private one.
        source
            .error("bad_public_key", Some(span.clone()), what)
            .with_hint("`subrosa keygen FILE.key` printed it, and wrote it to FILE.pub")
    })?;
    Ok((key, span))
}

fn refuse_repeats(source: &Source, before: &[Placed], next: &Placed, what: &str) -> Result<(), CliError> {
    let new = &next.peer;
    for old in before {
        let old = &old.peer;
        if old.name == new.name {
            let message = format!("{what} `{}` is named twice", new.name);
            return Err(source.error("duplicate_party", Some(next.name_span.clone()), message));
        }
        if old.public_key == new.public_key {
            let message =
                format!("`{}` and `{}` have the same public key {}", old.name, new.name, new.public_key);
            return Err(source.error("duplicate_party", Some(next.key_span.clone()), message));
        }
        if !new.address.is_empty() && old.address == new.address {
            let message = format!("`{}` and `{}` have the same address {}", old.name, new.name, new.address);
            return Err(source.error("duplicate_party", Some(next.address_span.clone()), message));
        }
    }
    Ok(())
}

/// Names go into messages, logs and file names: short, printable, without separators.
pub(crate) fn check_name(source: &Source, name: &Spanned<String>) -> Result<String, CliError> {
    let text = name.get_ref();
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if text.is_empty() || text.len() > 40 || !text.chars().all(fine) {
        return Err(source.error(
            "config_value",
            Some(name.span()),
            format_args!("expected a name of 1 to 40 letters, digits, `-`, `_` or `.`, got `{text}`"),
        ));
    }
    Ok(text.clone())
}

fn check_address(source: &Source, address: &Spanned<String>) -> Result<(), CliError> {
    let text = address.get_ref();
    let fine = text.rsplit_once(':').is_some_and(|(host, port)| {
        !host.is_empty()
            && port.parse::<u16>().is_ok_and(|p| p != 0)
            && (!host.contains(':') || text.parse::<std::net::SocketAddr>().is_ok())
    });
    if fine {
        return Ok(());
    }
    let message = format!("expected an address as host:port (port 1 to 65535), got `{text}`");
    Err(source.error("config_value", Some(address.span()), message))
}
