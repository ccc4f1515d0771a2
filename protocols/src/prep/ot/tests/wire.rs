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
        (&[Item::Triple { len: 20 }], ["b60adc726495c032", "a5f690b11f1bcfcb"]),
        (&[Item::Square { len: 20 }], ["b55d472e809fb6d9", "40c88d301374662c"]),
        (&[Item::Dot { len: 20, terms: 2 }], ["65c0b0cf47e8de9c", "7b68abfd4424bcb0"]),
        (
            &[Item::Matmul { m: 2, k: 3, n: 4 }, Item::Matmul { m: 4, k: 3, n: 2 }],
            ["a2d19d6d5ca8a0bc", "0a11a6fd8418dac4"],
        ),
        (&[Item::Mask { len: 12 }, given], ["9c6bcd34d245110b", "1398b0935e482aad"]),
        (&[Item::Truncation { len: 20, bits: 16 }], ["1dc9db25f55e617a", "ed18b21f81e7c0b6"]),
        (&[Item::DaBits { len: 20 }], ["40e523482dcb092c", "802f1eb4232231d2"]),
        (
            &[
                Item::Comparison(Comparison { thresholds: 2, truncation: 16, powers: true, ..sign }),
                Item::Comparison(Comparison { payloads: 1, product: true, ..sign }),
                Item::Comparison(Comparison { question: Question::Quotient { bits: 16 }, ..sign }),
            ],
            ["2ec7bf6d6a2c49ba", "78d426f34559d9b7"],
        ),
    ];
    let all = cases.map(|(items, want)| ([2, 3].map(|n| digest(n, items)), want));
    assert!(all.iter().all(|(got, want)| got == want), "{:#?}", all.map(|(got, _)| got));
}
