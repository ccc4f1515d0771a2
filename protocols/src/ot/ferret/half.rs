//! One direction with one peer, at the sender or at the receiver.

use bytes::{Buf, Bytes};
use mpc_core::fixed_key::{Block, FixedKey};
use mpc_core::kernels::xor_at;
use mpc_core::party::PartyId;
use mpc_core::prg::{Prg, Seed};
use mpc_core::tag::SessionId;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::check::{CHECK_COTS, Check};
use super::parameters::{Parameters, Stock};
use crate::ot::extension::Delta;
use crate::ot::ggm;
use crate::ot::lpn::Code;

/// Grows the trees of one side: [`Sender`] or [`Receiver`].
pub(super) trait Side {
    /// What passes from the sender to the receiver.
    type Wire;

    /// Grows the next tree, whose levels `cots` carry over. The lowest bit of a leaf is 1 where it is noisy, at the receiver.
    /// What passes is also shown to the transcript.
    fn grow(
        &mut self,
        cots: &[Block],
        wire: &mut Self::Wire,
        transcript: &mut blake3::Hasher,
        leaves: &mut [Block],
    );
}

/// The permutations of one direction's trees, one for each.
pub(super) struct TreeKeys {
    session: SessionId,
    ends: [PartyId; 2],
    /// Number of the next tree; the set of parameters is in the upper half, as both may be in use.
    next: u64,
}

impl TreeKeys {
    /// From the sender to the receiver.
    pub(super) const fn new(set: Parameters, session: SessionId, ends: [PartyId; 2]) -> Self {
        Self { session, ends, next: (set.leaves() as u64) << 32 }
    }

    fn next(&mut self) -> FixedKey {
        let [from, to] = self.ends;
        let key = FixedKey::derived("tree", &self.session, from, to, self.next.into());
        self.next += 1;
        key
    }
}

/// Who holds Δ.
pub(super) struct Sender {
    keys: TreeKeys,
    delta: Delta,
    roots: Prg,
}

impl Sender {
    pub(super) fn new(delta: Delta, roots: Prg, keys: TreeKeys) -> Self {
        assert_eq!(*delta & 1, 1, "invariant: the lowest bit of Δ is set");
        Self { keys, delta, roots }
    }

    pub(super) fn delta(&self) -> Block {
        *self.delta
    }
}

impl Side for Sender {
    type Wire = Vec<u8>;

    fn grow(
        &mut self,
        cots: &[Block],
        wire: &mut Vec<u8>,
        transcript: &mut blake3::Hasher,
        leaves: &mut [Block],
    ) {
        let from = wire.len();
        let mut root = Zeroizing::new([0; 16]);
        self.roots.fill(&mut *root);
        let mut sums = Zeroizing::new(vec![0; cots.len()]);
        ggm::grow(&self.keys.next(), *self.delta, Block::from_le_bytes(*root), leaves, &mut sums);
        for (sum, q) in sums.iter().zip(cots) {
            wire.extend_from_slice(&(sum ^ q).to_le_bytes());
        }
        transcript.update(&wire[from..]);
        leaves.iter_mut().for_each(|leaf| *leaf &= !1);
    }
}

/// Who holds the bits.
pub(super) struct Receiver {
    keys: TreeKeys,
}

impl Receiver {
    pub(super) const fn new(keys: TreeKeys) -> Self {
        Self { keys }
    }
}

impl Side for Receiver {
    type Wire = Bytes;

    fn grow(
        &mut self,
        cots: &[Block],
        wire: &mut Bytes,
        transcript: &mut blake3::Hasher,
        leaves: &mut [Block],
    ) {
        let mut corrections = wire.split_to(size_of_val(cots));
        transcript.update(&corrections);
        // t and the correction give the sum of the left nodes if c is 0, of the right ones if it is 1; the hole is on the
        // other side.
        let sums = Zeroizing::new(cots.iter().map(|t| corrections.get_u128_le() ^ t).collect::<Vec<Block>>());
        let mut hole = cots.iter().rev().fold(0, |hole, t| hole << 1 | (*t as u32 & 1 ^ 1));
        ggm::grow_punctured(&self.keys.next(), hole, &sums, leaves);
        leaves.iter_mut().for_each(|leaf| *leaf &= !1);
        xor_at(leaves, hole as usize, 1);
        hole.zeroize();
    }
}

/// What one direction goes on from.
pub(super) struct Half<S> {
    set: Parameters,
    pub(super) side: S,
    /// The secret vector, then the COTs that carry trees over.
    seed: Zeroizing<Vec<Block>>,
    code: Code,
    /// Names the code of a batch.
    name: blake3::Hasher,
    batch: u64,
    stock: Stock,
    /// The last tree; what is not given out of it is at its end.
    spare: Zeroizing<Vec<Block>>,
    /// COTs given out so far.
    given: u64,
    /// Of the session, the direction, and all corrections so far.
    transcript: blake3::Hasher,
    check: Option<Check>,
    /// For the next check, once the one of this call has passed.
    masks: Option<Zeroizing<Vec<Block>>>,
}

mpc_core::secret_types!(Sender, Receiver, Half<Sender>, Half<Receiver>);

impl<S: Side> Half<S> {
    /// Begins with `seed`, [`Parameters::seed_cots`] COTs with the receiver's bit in the lowest place of its blocks and zero
    /// there in the sender's; if [`CHECK_COTS`] more follow, there are checks. `direction` are the numbers of sender and
    /// receiver.
    pub(super) fn new(
        set: Parameters,
        side: S,
        mut seed: Zeroizing<Vec<Block>>,
        session: &SessionId,
        direction: [u8; 2],
    ) -> Self {
        let masks = Zeroizing::new(seed.split_off(set.seed_cots()));
        let check = (!masks.is_empty()).then(|| Check::new(masks, set.leaves()));
        let mut name = blake3::Hasher::new_derive_key("subrosa ferret code v1");
        name.update(&session.0).update(&direction).update(&set.tag().to_bytes());
        let code = Code::new(&code_key(&name, 0));
        let mut transcript = name.clone();
        transcript.update(b"corrections");
        Self {
            set,
            side,
            seed,
            code,
            name,
            batch: 0,
            stock: Stock::default(),
            spare: Zeroizing::new(Vec::new()),
            given: 0,
            transcript,
            check,
            masks: None,
        }
    }

    pub(super) const fn stock(&self) -> Stock {
        self.stock
    }

    /// How many trees the next `count` COTs take.
    pub(super) fn trees(&self, count: usize) -> usize {
        { self.stock }.take(self.set, self.demand(count))
    }

    /// Whether the next `count` COTs end with a check.
    pub(super) const fn is_checked(&self, count: usize) -> bool {
        self.stock.is_checked(count, self.check.is_some())
    }

    const fn demand(&self, count: usize) -> usize {
        if self.is_checked(count) { count + CHECK_COTS } else { count }
    }

    /// The next `count` COTs, and the number of the first of them. If [`Self::is_checked`] said so, they are worth nothing
    /// until [`Self::finish_check`].
    pub(super) fn take(&mut self, count: usize, wire: &mut S::Wire) -> (Vec<Block>, u64) {
        let (first, demand) = (self.given, self.demand(count));
        self.given += count as u64;
        let mut out = self.stretch(demand, wire);
        if demand > count {
            self.masks = Some(Zeroizing::new(out.split_off(count)));
        }
        (out, first)
    }

    /// The check that is due, and the transcript it is about.
    pub(super) fn due_check(&self) -> Option<(&Check, &blake3::Hasher)> {
        self.masks.as_ref()?;
        Some((self.check.as_ref()?, &self.transcript))
    }

    /// Goes on after a check that passed.
    pub(super) fn finish_check(&mut self) {
        if let (Some(check), Some(masks)) = (&mut self.check, self.masks.take()) {
            check.renew(masks);
        }
    }

    fn stretch(&mut self, count: usize, wire: &mut S::Wire) -> Vec<Block> {
        let mut out = Vec::with_capacity(count);
        while out.len() < count {
            if self.stock.spare > 0 {
                let from = self.spare.len() - self.stock.spare;
                let taken = self.stock.spare.min(count - out.len());
                out.extend_from_slice(&self.spare[from..from + taken]);
                self.spare[from..from + taken].zeroize();
                self.stock.spare -= taken;
                continue;
            }
            if self.stock.tree == self.set.given_trees() {
                self.renew(wire);
            }
            let leaves = self.set.leaves();
            if count - out.len() >= leaves {
                let from = out.len();
                out.resize(from + leaves, 0);
                self.grow(self.stock.tree, wire, &mut out[from..]);
            } else {
                let mut spare = std::mem::take(&mut self.spare);
                spare.resize(leaves, 0);
                self.grow(self.stock.tree, wire, &mut spare);
                self.spare = spare;
                self.stock.spare = leaves;
            }
            self.stock.tree += 1;
        }
        out
    }

    /// Grows the kept trees, and begins the next batch with them.
    fn renew(&mut self, wire: &mut S::Wire) {
        let set = self.set;
        let mut seed = Zeroizing::new(vec![0; set.kept_trees() * set.leaves()]);
        for (tree, leaves) in (set.given_trees()..).zip(seed.chunks_exact_mut(set.leaves())) {
            self.grow(tree, wire, leaves);
        }
        let (seed, rest) = seed.split_at_mut(set.seed_cots());
        self.seed.copy_from_slice(seed);
        rest.zeroize();
        self.batch += 1;
        self.code = Code::new(&code_key(&self.name, self.batch));
        self.stock.tree = 0;
    }

    fn grow(&mut self, tree: usize, wire: &mut S::Wire, leaves: &mut [Block]) {
        let (base, carriers) = self.seed.split_at(self.set.base());
        let depth = self.set.depth();
        self.side.grow(&carriers[tree * depth..][..depth], wire, &mut self.transcript, leaves);
        if let Some(check) = &mut self.check {
            check.fold(&self.transcript, leaves);
        }
        self.code.add(base, leaves);
    }
}

/// Blocks, Δ and streams wipe themselves. Hashers hold nothing secret, but room that was never written, in which there may be
/// anything that was on the stack.
impl<S> Drop for Half<S> {
    fn drop(&mut self) {
        self.name.zeroize();
        self.transcript.zeroize();
    }
}

impl<S> ZeroizeOnDrop for Half<S> {}

fn code_key(name: &blake3::Hasher, batch: u64) -> [u8; 32] {
    name.clone().update(&batch.to_le_bytes()).finalize().into()
}

/// The stream of roots of the trees for a peer.
pub(super) fn roots(set: Parameters, seed: &Seed, session: &SessionId, peer: usize) -> Prg {
    Prg::new(seed, session, set.tag(), "ferret/roots", peer as u32)
}
