//! What is sent, to the bit: a change of any message shows here.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use mpc_core::channel::{Channel, ChannelError};
use mpc_core::local::{self, LocalChannel};
use mpc_core::party::{PartyId, PerParty};
use mpc_core::prg::Seed;
use mpc_core::ring::Z64;
use mpc_core::tag::Tag;

use super::{CHUNK, Ideal, SESSION, run};
use crate::ot::lane::OtLane;
use crate::prep::components::Components;
use crate::prep::ot::OtPrep;
use crate::prep::{Comparison, Item, MaskPart, Part, Question};
use crate::reuse::matrices;
use crate::tree::TreeChoice;

/// Hashes what a party sends.
struct Hashing {
    inner: LocalChannel,
    sent: Arc<Mutex<blake3::Hasher>>,
}

impl Channel for Hashing {
    fn me(&self) -> PartyId {
        self.inner.me()
    }

    fn parties(&self) -> usize {
        self.inner.parties()
    }

    fn exchange(
        &mut self,
        tag: Tag,
        send: PerParty<Option<Bytes>>,
        expect: PerParty<Option<usize>>,
    ) -> Result<PerParty<Option<Bytes>>, ChannelError> {
        let mut sent = self.sent.lock().unwrap();
        for (to, message) in send.iter() {
            let message = message.as_deref().unwrap_or_default();
            sent.update(&tag.to_bytes())
                .update(&[to.index() as u8])
                .update(&(message.len() as u64).to_le_bytes());
            sent.update(message);
        }
        drop(sent);
        self.inner.exchange(tag, send, expect)
    }
}

/// The first bytes of the hash of all that the parties send, one after the other.
fn digest(n: usize, items: &[Item]) -> String {
    let hashers: Vec<_> = (0..n).map(|_| Arc::new(Mutex::new(blake3::Hasher::new()))).collect();
    let source = |(inner, sent): (LocalChannel, &Arc<Mutex<blake3::Hasher>>)| {
        let own = Seed::new([inner.me().index() as u8; 32]);
        let lane = OtLane::new(Box::new(Hashing { inner, sent: Arc::clone(sent) }), SESSION);
        OtPrep::<Z64>::new(lane, Box::new(Ideal::new(21, n)), CHUNK, own, None)
    };
    let sources = local::network(n).into_iter().zip(&hashers).map(source).collect();
    run(sources, |mut source| items.iter().for_each(|item| drop(source.draw(*item).unwrap())));
    let all = hashers.iter().fold(blake3::Hasher::new(), |mut all, party| {
        all.update(party.lock().unwrap().finalize().as_bytes());
        all
    });
    all.finalize().to_hex()[..16].to_owned()
}

#[test]
fn messages_are_those_that_were_written_down() {
    let sign = Comparison::in_ring(Question::Sign, 20, TreeChoice::DEFAULT);
    let part = Part::whole(&[3, 4]).unwrap().slice(0, 1, 3).transpose();
    let given = Item::Given { part: MaskPart { mask: 0, part }, product: matrices([4, 2, 5]) };
    let cases: [(&[Item], [&str; 2]); 8] = [
        (&[Item::Triple { len: 20 }], ["fcea0d8a8934b186", "41a6ba1796fbbcad"]),
        (&[Item::Square { len: 20 }], ["21103dd60fd05046", "ad49bafb9c1773ce"]),
        (&[Item::Dot { len: 20, terms: 2 }], ["372df24702af4fb0", "09c1980afdbe13ed"]),
        (
            &[Item::Matmul { m: 2, k: 3, n: 4 }, Item::Matmul { m: 4, k: 3, n: 2 }],
            ["86f37241f4f1755d", "8f2e2faf33c01339"],
        ),
        (&[Item::Mask { len: 12 }, given], ["2f92c85d4e6e408b", "7f9105c5c28d9116"]),
        (&[Item::Truncation { len: 20, bits: 16 }], ["47256d5bb7c365a1", "db8bd7e0635573e1"]),
        (&[Item::DaBits { len: 20 }], ["dc52765fb89be4ad", "b7ea345921175f5e"]),
        (
            &[
                Item::Comparison(Comparison { thresholds: 2, truncation: 16, powers: true, ..sign }),
                Item::Comparison(Comparison { payloads: 1, product: true, ..sign }),
                Item::Comparison(Comparison { question: Question::Quotient { bits: 16 }, ..sign }),
            ],
            ["828395816f425108", "4588e7a0b276c0ca"],
        ),
    ];
    let all = cases.map(|(items, want)| ([2, 3].map(|n| digest(n, items)), want));
    assert!(all.iter().all(|(got, want)| got == want), "{:#?}", all.map(|(got, _)| got));
}
