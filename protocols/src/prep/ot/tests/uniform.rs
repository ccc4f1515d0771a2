//! Every party's share of every component is uniform.

use mpc_core::ring::{Ring, Z64};

use super::items::{comparisons, kinds};
use super::{CHUNK, shares};
use crate::prep::Item;
use crate::prep::item::Holding;
use crate::prep::relation::Value;
use crate::tree::TreeChoice;

/// χ² of bytes, 255 degrees of freedom, against a bound at eight standard deviations: what is uniform never comes near it,
/// and the values are the same in every run.
fn is_uniform(bytes: &[u8]) -> bool {
    let mut seen = [0u32; 256];
    bytes.iter().for_each(|&b| seen[usize::from(b)] += 1);
    let expected = bytes.len() as f64 / 256.0;
    seen.iter().map(|&s| (f64::from(s) - expected).powi(2) / expected).sum::<f64>()
        < 255.0 + 8.0 * 510f64.sqrt()
}

/// Each byte of the numbers for itself, or of a few low bits those, and each lane.
fn check(item: &Item, place: usize, value: &Value<Z64>, holding: Holding) {
    match (value, holding) {
        (Value::Ring(t), Holding::RingLow { bits, .. }) if bits < 64 => {
            for from in (0..bits / 8).map(|byte| 8 * byte) {
                let bytes: Vec<u8> = t.as_slice().iter().map(|v| (v.to_u64() >> from) as u8).collect();
                assert!(is_uniform(&bytes), "{item:?}, component {place}, bits from {from}");
            }
        }
        (Value::Ring(t), _) => {
            for byte in 0..8 {
                let bytes: Vec<u8> = t.as_slice().iter().map(|v| v.to_u64().to_le_bytes()[byte]).collect();
                assert!(is_uniform(&bytes), "{item:?}, component {place}, byte {byte}");
            }
        }
        (Value::Bits(b), _) => {
            for lane in 0..b.lanes() {
                let bytes: &[u8] = bytemuck::cast_slice(b.lane(lane));
                assert!(is_uniform(&bytes[..b.len() / 8]), "{item:?}, component {place}, lane {lane}");
            }
        }
    }
}

#[test]
fn every_share_of_every_component_is_uniform() {
    const LEN: usize = 8_000;
    for n in [2, 3] {
        let large = |item: &Item| item.count() == LEN;
        let items: Vec<_> = [kinds(LEN), comparisons(LEN, TreeChoice::DEFAULT, 16)].concat();
        let matrices = [Item::Matmul { m: 70, k: 50, n: 90 }, Item::Matmul { m: 90, k: 50, n: 70 }];
        let angles = Item::Angles { len: LEN, bits: 24, multiples: 2 };
        for item in items.into_iter().filter(large).chain(matrices).chain([angles]) {
            for shares in shares::<Z64>(n, 11, CHUNK, &[item]) {
                for (place, (value, component)) in shares[0].iter().zip(item.components::<Z64>()).enumerate()
                {
                    check(&item, place, value, component.holding);
                }
            }
        }
    }
}

#[test]
fn the_measure_tells_what_is_not_uniform() {
    let biased: Vec<u8> = (0..20_000u32)
        .map(|i| (i.wrapping_mul(0x9e37_79b9) >> 24) as u8 & 0xfe | u8::from(i % 8 == 0))
        .collect();
    assert!(!is_uniform(&biased));
}
