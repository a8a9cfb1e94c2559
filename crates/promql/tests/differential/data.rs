//! The series that both sides are asked about: counters that reset, gauges, gaps, ends, histograms.

use model::{Labels, STALE_NAN};

/// Milliseconds; whole minutes.
pub(crate) const START: i64 = 1_700_000_040_000;
pub(crate) const END: i64 = START + 3_600_000;

/// Data begin an hour before the times that are asked about.
const FIRST: i64 = START - 3_600_000;
const INTERVAL: i64 = 15_000;

pub(crate) type Samples = Vec<(i64, f64)>;

pub(crate) fn series() -> Vec<(Labels, Samples)> {
    let mut random = fastrand::Rng::with_seed(7);
    let mut all = Vec::new();
    let instances = ["a", "b", "c", "d"];
    for (number, instance) in instances.into_iter().enumerate() {
        let job = if number % 2 == 0 { "x" } else { "y" };
        for code in ["200", "404", "500"] {
            let labels = format!("requests_total,job={job},instance={instance},code={code}");
            let mut value = 0.0;
            let samples = sampled(&mut random, number as i64, |random, _| {
                if random.f64() < 0.01 {
                    value = 0.0; // a restart
                }
                value += random.u32(0..50) as f64;
                (random.f64() > 0.02).then_some(value)
            });
            all.push((parse(&labels), samples));
        }
        let labels = format!("gauge,job={job},instance={instance}");
        let samples = sampled(&mut random, number as i64, |random, index| {
            Some((index as f64 / 20.0).sin() * 40.0 + 50.0 + random.f64())
        });
        all.push((parse(&labels), samples));
        let labels = format!("up,job={job},instance={instance}");
        let samples = sampled(&mut random, number as i64, |random, _| {
            Some(if random.f64() < 0.1 { 0.0 } else { 1.0 })
        });
        all.push((parse(&labels), samples));
        let labels = format!("build_info,instance={instance},version=v{}", number / 2);
        all.push((parse(&labels), sampled(&mut random, 3, |_, _| Some(1.0))));
        histogram(&mut random, &mut all, instance);
    }
    let mut counter = 0.0;
    let other = sampled(&mut random, 5, |random, _| {
        counter += random.f64();
        Some(counter)
    });
    all.push((parse("other_total,job=x,instance=a,code=200"), other));
    // Ends twice, once with a staleness marker.
    let gone = sampled(&mut random, 6, |_, index| match index {
        240..320 => Some(index as f64),
        320 => Some(STALE_NAN),
        350..400 => Some(index as f64),
        _ => None,
    });
    all.push((parse("gone,job=x"), gone));
    for (name, values) in [("one", [f64::NAN, 1.0]), ("two", [3.0, f64::INFINITY])] {
        let samples = sampled(&mut random, 7, |_, index| Some(values[index as usize / 40 % 2]));
        all.push((parse(&format!("nans,case={name}")), samples));
        let samples = sampled(&mut random, 8, |_, _| Some(1e308));
        all.push((parse(&format!("huge,case={name}")), samples));
    }
    let returned = sampled(&mut random, 9, |random, index| match index % 60 {
        40 => Some(STALE_NAN),
        41..60 => None,
        _ => Some(index as f64 + random.f64()),
    });
    all.push((parse("returned,job=x,instance=a"), returned));
    for shard in 0..8 {
        let labels = format!("sparse,shard={shard},instance={}", instances[shard % 4]);
        let samples = sampled(&mut random, 11, |random, index| {
            let is_there = index % (4 * (shard as i64 + 1)) == 0;
            is_there.then(|| 100.0 * random.f64() - 50.0)
        });
        all.push((parse(&labels), samples));
    }
    let aligned = (FIRST..END).step_by(INTERVAL as usize).map(|time| (time, 1.0)).collect();
    all.push((parse("aligned,job=x"), aligned));
    all
}

fn histogram(random: &mut fastrand::Rng, all: &mut Vec<(Labels, Samples)>, instance: &str) {
    const BOUNDS: [&str; 5] = ["0.1", "0.5", "1", "5", "+Inf"];
    let mut counts = [0.0; BOUNDS.len()];
    let mut buckets = vec![Samples::new(); BOUNDS.len()];
    for index in 0..(END - FIRST) / INTERVAL {
        let time = FIRST + index * INTERVAL + 377;
        let mut total = 0.0;
        for (count, samples) in counts.iter_mut().zip(&mut buckets) {
            total += random.u32(0..9) as f64;
            *count += total;
            samples.push((time, *count));
        }
    }
    for (bound, samples) in BOUNDS.into_iter().zip(buckets) {
        let labels = format!("latency_seconds_bucket,instance={instance},le={bound}");
        all.push((parse(&labels), samples));
    }
}

/// Samples never fall on a whole second.
fn sampled(
    random: &mut fastrand::Rng,
    shift: i64,
    mut value: impl FnMut(&mut fastrand::Rng, i64) -> Option<f64>,
) -> Samples {
    let mut samples = Samples::new();
    for index in 0..(END - FIRST) / INTERVAL {
        let jitter = random.i64(1..60);
        if let Some(value) = value(random, index) {
            samples.push((FIRST + index * INTERVAL + shift * 100 + jitter, value));
        }
    }
    samples
}

fn parse(text: &str) -> Labels {
    let (name, labels) = text.split_once(',').expect("a name and labels");
    let pairs = labels.split(',').map(|label| label.split_once('=').expect("name=value"));
    pairs.chain([("__name__", name)]).collect()
}
