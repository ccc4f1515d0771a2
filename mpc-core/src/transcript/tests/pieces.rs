//! Messages that pass in pieces have the digests of whole ones.

use std::ops::Range;

use super::*;
use crate::channel::{Broadcast, PIECE_UNIT_BYTES};

/// Hands over what comes in the smallest pieces, and fails after the first of them once its good rounds are used up.
struct InPieces {
    inner: LocalChannel,
    good_rounds: usize,
}

impl Channel for InPieces {
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
        self.inner.exchange(tag, send, expect)
    }
    fn exchange_pieces(
        &mut self,
        tag: Tag,
        send: PerParty<Option<Bytes>>,
        expect: PerParty<Option<usize>>,
        take: &mut dyn FnMut(PartyId, &[u8]),
    ) -> Result<(), ChannelError> {
        let received = self.exchange(tag, send, expect)?;
        for (from, message) in received.iter() {
            for piece in message.iter().flat_map(|m| m.chunks(PIECE_UNIT_BYTES)) {
                take(from, piece);
                if self.good_rounds == 0 {
                    return Err(ChannelError::Malformed { peer: Peer::Party(from), what: "a test" });
                }
            }
        }
        self.good_rounds -= 1;
        Ok(())
    }
}

/// The same byte over and over, and how much came.
struct Same(u8, usize);

impl Broadcast for Same {
    fn make(&mut self, range: Range<usize>) -> Bytes {
        Bytes::from(vec![self.0; range.len()])
    }
    fn take(&mut self, _from: PartyId, piece: &[u8]) {
        self.1 += piece.len();
    }
}

enum Way {
    Exchange,
    ExchangePieces,
    Broadcast,
}

#[test]
fn pieces_are_digested_as_the_message_and_a_failed_round_is_not() {
    const LENGTHS: [usize; 3] = [20, 0, 8];
    let me = PartyId::new(1);
    let batch_of_two_rounds = |way: Way| {
        let [other, own] = <[LocalChannel; 2]>::try_from(network(2)).unwrap_or_else(|_| unreachable!());
        let peer = thread::spawn(move || {
            let mut other = other;
            (0..).zip(LENGTHS).try_for_each(|(r, length)| round(&mut other, r, length))
        });
        let (sink, entries) = channel();
        let own = InPieces { inner: own, good_rounds: 2 };
        let mut recorder = Recorder::new(own, SESSION, 0, keys(me, 2), Box::new(sink));
        for (r, length) in (0..).zip(LENGTHS) {
            let message = PerParty::from_fn(2, |p| (p != me).then(|| Bytes::from(vec![r as u8; length])));
            let expect = PerParty::from_fn(2, |p| (p != me).then_some(length));
            match way {
                Way::ExchangePieces => {
                    let mut got = Vec::new();
                    let take = &mut |_: PartyId, piece: &[u8]| got.extend_from_slice(piece);
                    let done = recorder.exchange_pieces(tag(r), message, expect, take);
                    assert_eq!((done.is_ok(), got.len()), (r < 2, length), "round {r}");
                }
                Way::Broadcast => {
                    let mut same = Same(r as u8, 0);
                    let done = recorder.broadcast(tag(r), length, &mut same);
                    assert_eq!((done.is_ok(), same.1), (r < 2, length), "round {r}");
                }
                Way::Exchange if r < 2 => drop(recorder.exchange(tag(r), message, expect).unwrap()),
                Way::Exchange => {}
            }
        }
        let traffic = recorder.total_traffic();
        recorder.finish();
        assert_eq!((recorder.rounds(), traffic), (2, Traffic { sent: 20, received: 20 }));
        drop(recorder);
        // Whether its last round succeeds depends on who ends first.
        let _ = peer.join().unwrap();
        entries.into_iter().next().map(|entry| entry.encode())
    };
    let expected = batch_of_two_rounds(Way::Exchange);
    assert!(expected.is_some());
    assert_eq!(batch_of_two_rounds(Way::ExchangePieces), expected);
    assert_eq!(batch_of_two_rounds(Way::Broadcast), expected);
}
