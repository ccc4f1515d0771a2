//! Rates, printed; no matter of pass or fail.

use std::time::Instant;

use super::*;

/// Processor time of this thread, where the system tells; else the time on the wall.
fn thread_seconds(start: Instant) -> f64 {
    let busy = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let busy = busy.and_then(|line| line.split(' ').next()?.parse::<f64>().ok());
    busy.map_or_else(|| start.elapsed().as_secs_f64(), |nanoseconds| nanoseconds / 1e9)
}

/// COTs per second of processor time: at a party that sends, one that receives, and ones that do both, in calls of 2^20 COTs;
/// the best call and the median one.
#[test]
#[ignore = "a measurement"]
fn speed() {
    const CALLS: usize = 41;
    const COUNT: usize = 1 << 20;
    let start = Instant::now();
    let [b10, b11, b13] = [Parameters::B10, Parameters::B11, Parameters::B13];
    for (set, checks) in [(b10, false), (b11, false), (b13, false), (b13, true)] {
        for (what, ways) in [("one way", [true, false]), ("both ways", [true, true])] {
            let rates = run(2, |mut lane| {
                let me = lane.me();
                let ferret = Ferret::new(set, seed(me), Ideal { given: 0 });
                let mut ferret = if checks { ferret.checked() } else { ferret };
                ferret.extend(&mut lane, &PerParty::from_fn(2, |_| None)).unwrap();
                let [sends, receives] = if me.index() == 0 { ways } else { [ways[1], ways[0]] };
                let [sent, received] = [sends, receives].map(|does| if does { COUNT } else { 0 });
                let counts = PerParty::from_fn(2, |p| (p != me).then_some(CotCount { sent, received }));
                let mut rates: Vec<f64> = (0..CALLS)
                    .map(|_| {
                        let before = thread_seconds(start);
                        drop(ferret.extend(&mut lane, &counts).unwrap());
                        (sent + received) as f64 / (thread_seconds(start) - before) / 1e6
                    })
                    .collect();
                rates.sort_by(f64::total_cmp);
                format!("{:.0} (median {:.0})", rates[CALLS - 1], rates[CALLS / 2])
            });
            let what = if checks { format!("{what}, checked") } else { what.into() };
            println!("{set:?}, {what}: {} M COT/s", rates.join(" and "));
        }
    }
}
