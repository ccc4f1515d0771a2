//! How fast oblivious transfer is: `cargo test --release -p protocols --test ot_rates -- --ignored --nocapture`. Times are of one
//! thread's processor (where the system tells), beside the wall's.

mod ot_common;

use std::time::{Duration, Instant};

use mpc_core::party::PerParty;
use ot_common::{FIELDS, P0, P1, channels, run, seed_of};
use protocols::ot::base::base_ots;
use protocols::ot::extension::{CotCount, Extension};
use protocols::ot::softspoken::{Security, SoftSpoken};
use zeroize::Zeroizing;

/// Time that this thread has had on a processor.
fn thread_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let ns = stat.split(' ').next().and_then(|ns| ns.parse().ok()).unwrap_or(0);
    Duration::from_nanos(ns)
}

/// Processor and wall time of `work`.
fn timed<T>(work: impl FnOnce() -> T) -> (Duration, Duration, T) {
    let (cpu, wall) = (thread_time(), Instant::now());
    let result = work();
    (thread_time() - cpu, wall.elapsed(), result)
}

#[test]
#[ignore = "a measurement"]
fn base_transfers() {
    const TIMES: u32 = 20;
    let times = run(channels(2), |lane| {
        let seed = seed_of(lane.me(), 1);
        let choices = PerParty::from_fn(2, |_| Zeroizing::new(0x1234_5678_9abc_def0_u128 * 0x1_0000_0001));
        timed(|| (0..TIMES).for_each(|_| _ = base_ots(lane, &choices, &seed).unwrap()))
    });
    for (cpu, wall, ()) in times {
        println!(
            "128 base OTs in both directions: {:?} of processor, {:?} of wall",
            cpu / TIMES,
            wall / TIMES
        );
    }
}

#[test]
#[ignore = "a measurement"]
fn cots() {
    const COUNT: usize = 1 << 20;
    for security in [Security::SemiHonest, Security::MaliciousReceiver] {
        for (field, batches) in FIELDS.into_iter().zip([20, 20, 20, 5]) {
            let times = run(channels(2), |lane| {
                let (me, peer) = if lane.me() == P0 { (P0, P1) } else { (P1, P0) };
                let mut extension = SoftSpoken::new(field, security, seed_of(me, 1));
                let mut extend = |count: usize| {
                    let one_way = if me == P0 { (count, 0) } else { (0, count) };
                    let counts = CotCount { sent: one_way.0, received: one_way.1 };
                    extension.extend(lane, &PerParty::from_fn(2, |p| (p == peer).then_some(counts))).unwrap();
                };
                extend(1);
                timed(|| (0..batches).for_each(|_| extend(COUNT)))
            });
            let rates: Vec<_> = ["sender", "receiver"]
                .iter()
                .zip(times)
                .map(|(who, (cpu, wall, ()))| {
                    let rate = |t: Duration| (COUNT * batches) as f64 / t.as_secs_f64() / 1e6;
                    format!("{who} {:.0} M/s of processor, {:.0} of wall", rate(cpu), rate(wall))
                })
                .collect();
            println!("{field:?}, {security:?}: {}", rates.join("; "));
        }
    }
}
