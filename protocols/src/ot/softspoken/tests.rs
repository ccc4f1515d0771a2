//! Receivers that cheat and prove it as best they can: caught at the rate that the module states. One pair without a network
//! and with base keys from a hash, so that there may be many runs.

use mpc_core::tag::SessionId;
use proptest::prelude::*;

use super::check::Check;
use super::streams::{STRIDE, Streams};
use super::*;

const FIELDS: [FieldBits; 4] = [FieldBits::One, FieldBits::Two, FieldBits::Four, FieldBits::Eight];
const COUNT: usize = 300;

/// A sender and what a receiver has against it.
struct Duel {
    forest: Forest,
    delta: Block,
    sent: Vec<[Block; 2]>,
    received: Vec<Block>,
}

impl Duel {
    fn new(field: FieldBits, number: u32) -> Self {
        let mut bytes = vec![0; 16 * 257];
        blake3::Hasher::new().update(&number.to_le_bytes()).finalize_xof().fill(&mut bytes);
        let blocks: Vec<_> = bytes.as_chunks().0.iter().map(|b| Block::from_le_bytes(*b)).collect();
        let delta = blocks[256] | 1;
        let sent = blocks[..256].as_chunks().0.to_vec();
        let received = (0..128).map(|i| sent[i][1 - (delta >> i & 1) as usize]).collect();
        let (planter, holder) = (PartyId::new(0), PartyId::new(1));
        let (session, security) = (SessionId([3; 32]), Security::MaliciousReceiver);
        Self { forest: Forest { session, planter, holder, field, security }, delta, sent, received }
    }

    fn element(&self, tree: usize) -> Block {
        let k = self.forest.field.bits();
        self.delta >> (tree * k) & ((1 << k) - 1)
    }

    fn sender(&self, message: &[u8]) -> Option<Sender> {
        Sender::new(&self.forest, self.delta, &self.received, message)
    }

    /// The first batch of a receiver that adds `errors(tree, column)` to its corrections and proves the result for its own u.
    fn cheat(&self, errors: impl Fn(usize, usize) -> bool) -> (Vec<u8>, Vec<u8>) {
        let field = self.forest.field;
        let (leaves, trees) = self.forest.plant(&self.sent);
        let (mut streams, mut tile) = (Streams::new(field, &leaves, false), Tile::new());
        let columns = Batch::new(COUNT, true).columns;
        let words = columns / 64;
        let u = streams.next(0, words, &mut tile).0.to_vec();
        let mut message = vec![];
        for tree in 1..field.trees() {
            for (w, (x, u)) in streams.next(tree, words, &mut tile).0.iter().zip(&u).enumerate() {
                let error = (0..64).fold(0, |e, i| e | u64::from(errors(tree, 64 * w + i)) << i);
                message.extend((x ^ u ^ error).to_le_bytes());
            }
        }
        let mut check = Check::new(&self.forest.digest(&trees).unwrap(), 0);
        check.draw(&message, columns / ROWS, true);
        check.add_rows(&tile.rows);
        check.add_choices(&u);
        message.extend(check.proof());
        (trees, message)
    }

    /// Whether the cheater's batch passes.
    fn passes(&self, errors: impl Fn(usize, usize) -> bool) -> bool {
        let (trees, message) = self.cheat(errors);
        self.sender(&trees).unwrap().extend(COUNT, &mut Tile::new(), &message).is_some()
    }
}

/// An error in the corrections of tree j is the guess Δ_j = 0.
#[test]
fn a_tree_that_does_not_agree_is_a_guess_of_its_part_of_delta() {
    const RUNS: u32 = 400;
    for field in FIELDS {
        let mut passed = 0;
        for number in 0..RUNS {
            let duel = Duel::new(field, number);
            let (tree, column) = (1 + number as usize * 7 % (field.trees() - 1), number as usize % COUNT);
            let passes = duel.passes(|t, c| (t, c) == (tree, column));
            assert_eq!(passes, duel.element(tree) == 0, "{field:?}, run {number}");
            passed += u32::from(passes);
        }
        // Within five standard deviations of 2^−k.
        let rate = 0.5f64.powi(field.bits() as i32);
        let (mean, deviation) = (f64::from(RUNS) * rate, (f64::from(RUNS) * rate * (1.0 - rate)).sqrt());
        assert!(
            (f64::from(passed) - mean).abs() < 5.0 * deviation,
            "{passed} of {RUNS} passed with {field:?}"
        );
    }
}

/// Two guesses at once are both to be right, whether they are of equal errors or not.
#[test]
fn guesses_multiply() {
    for number in 0..300 {
        let duel = Duel::new(FieldBits::One, number);
        let passes = duel.passes(|t, c| (t == 5 && c == 7) || (t == 90 && c == 7 + number as usize % 2));
        assert_eq!(passes, duel.element(5) == 0 && duel.element(90) == 0, "run {number}");
    }
}

/// Errors in all trees but the first are a guess of nearly all of Δ.
#[test]
fn one_tree_against_all_others_is_caught() {
    for (field, number) in FIELDS.into_iter().flat_map(|f| (0..50).map(move |n| (f, n))) {
        assert!(!Duel::new(field, number).passes(|_, c| c == 4), "{field:?}, run {number}");
    }
}

/// The columns that only the check uses are not exempt.
#[test]
fn errors_in_the_mask_are_caught() {
    for number in 0..100 {
        let duel = Duel::new(FieldBits::Two, number);
        assert_eq!(duel.passes(|t, c| t == 9 && c == 384 + number as usize), duel.element(9) == 0);
    }
}

#[test]
fn the_honest_pass_and_their_cots_are_right() {
    for (field, number) in FIELDS.into_iter().flat_map(|f| (0..100).map(move |n| (f, n))) {
        let duel = Duel::new(field, number);
        assert!(duel.passes(|_, _| false));
        let (mut receiver, trees) = Receiver::new(&duel.forest, &duel.sent);
        let mut sender = duel.sender(&trees).unwrap();
        let (received, message) = receiver.extend(COUNT, &mut Tile::new());
        let sent = sender.extend(COUNT, &mut Tile::new(), &message).unwrap();
        for i in 0..COUNT {
            let c = Block::from(received.choices[i / 64] >> (i % 64) & 1);
            assert_eq!(sent.q[i] ^ (*sent.delta & c.wrapping_neg()), received.t[i]);
        }
    }
}

/// A planter that garbles the sum of one side guesses that the holder does not read it.
#[test]
fn a_garbled_sum_is_a_guess_of_a_bit_of_delta() {
    for field in [FieldBits::Two, FieldBits::Four, FieldBits::Eight] {
        let mut passed = 0;
        for number in 0..200 {
            let duel = Duel::new(field, number);
            let (_, mut trees) = duel.forest.plant(&duel.sent);
            let (tree, level, side) = (number as usize % field.trees(), 2, number as usize / 7 % 2);
            let per_tree = (trees.len() - 32) / field.trees();
            trees[tree * per_tree + 16 * side + 3] ^= 0x10;
            let path = duel.element(tree) >> (field.bits() - level) & 1;
            let passes = duel.sender(&trees).is_some();
            assert_eq!(passes, path == side as Block, "{field:?}, run {number}: the other side is read");
            passed += u32::from(passes);
        }
        assert!((65..=135).contains(&passed), "{passed} of 200 passed with {field:?}");
    }
}

#[test]
fn garbled_proofs_of_leaves_are_caught() {
    for (field, number) in FIELDS.into_iter().zip(0..) {
        let duel = Duel::new(field, number);
        let (_, trees) = duel.forest.plant(&duel.sent);
        let per_tree = (trees.len() - 32) / field.trees();
        for at in [per_tree - 1, 2 * per_tree - 32, trees.len() - 1, trees.len() - 32] {
            let mut garbled = trees.clone();
            garbled[at] ^= 1;
            assert!(duel.sender(&garbled).is_none(), "{field:?}, byte {at}");
        }
        assert!(duel.sender(&trees).is_some());
    }
}

/// The holder's leaves are the planter's at label ⊕ Δ_j, but for number 0.
#[test]
fn all_leaves_but_one_are_shared() {
    for (field, number) in FIELDS.into_iter().zip(0..) {
        let duel = Duel::new(field, number);
        let (all, message) = duel.forest.plant(&duel.sent);
        let punctured = duel.forest.puncture(duel.delta, &duel.received, &message).unwrap();
        let size = 1 << field.bits();
        for (i, leaf) in punctured.iter().enumerate() {
            let (tree, z) = (i / size, i % size);
            let planted = &all[tree * size + (z ^ duel.element(tree) as usize)];
            assert_eq!(leaf == planted, z != 0, "{field:?}, tree {tree}, leaf {z}");
        }
    }
}

/// No stream is read twice: the tiles of a batch cut its columns without gap or overlap.
#[test]
fn tiles_cover_a_batch_once() {
    for (count, checked) in
        [0, 1, 128, 8064, 8192, 8193, 30_000].into_iter().flat_map(|c| [(c, false), (c, true)])
    {
        let batch = Batch::new(count, checked);
        let (mut columns, mut kept) = (0, 0);
        for (tile, cots, last) in batch.tiles() {
            assert_eq!((tile.start, cots.start), (columns, columns.min(count)));
            assert!(tile.len() <= TILE && tile.len().is_multiple_of(ROWS) && tile.len() / 64 <= STRIDE);
            (columns, kept) = (tile.end, cots.end);
            assert_eq!(last, columns == batch.columns);
        }
        assert_eq!((columns, kept), (batch.columns, count));
        let masked = if checked && count > 0 { ROWS } else { 0 };
        assert_eq!(columns, count.next_multiple_of(ROWS) + masked);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// A message of the right length, which is all that the channel sees to, is refused and harms nobody.
    #[test]
    fn arbitrary_messages_are_refused(seed: [u8; 32], field in proptest::sample::select(&FIELDS[..]), count in 1usize..2000) {
        let mut noise = vec![0; 1 << 17];
        blake3::Hasher::new_keyed(&seed).finalize_xof().fill(&mut noise);
        let duel = Duel::new(field, 1);
        let bytes = tree::message_bytes(field, Security::MaliciousReceiver);
        prop_assert!(duel.sender(&noise[..bytes]).is_none());
        let (_, trees) = duel.forest.plant(&duel.sent);
        let mut sender = duel.sender(&trees).unwrap();
        let bytes = batch_bytes(field, Security::MaliciousReceiver, count) as usize;
        prop_assert!(sender.extend(count, &mut Tile::new(), &noise[..bytes]).is_none());
    }
}
