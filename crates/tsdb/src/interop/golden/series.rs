//! Series of histograms that differ in what they try of the encodings.

use model::histogram::{Bucket, CounterReset, FloatHistogram, IntegerHistogram};
use model::{Histogram, STALE_NAN};

/// What each series has at a step.
pub(super) const SERIES: [fn(u64) -> Histogram; 14] = [
    growing,
    restarting,
    swinging,
    |step| if step % 10 < 8 { growing(step) } else { growing(step).to_stale() },
    reshaped,
    enormous,
    |step| if step % 20 < 10 { growing(step) } else { halved(&growing(step)) },
    wild,
    hinted,
    |step| {
        if step % 12 < 6 { growing(step) } else { with_hint(growing(step), CounterReset::Gauge) }
    },
    |step| halved(&growing(step + 1)),
    |step| halved(&restarting(step + 1)),
    |step| halved(&reshaped(step + 1)),
    vanishing,
];

/// A counter on both sides of zero, with further buckets every now and then.
fn growing(step: u64) -> Histogram {
    let reached = 1 + step as i32 / 7;
    let counts: Vec<u64> = (1..=reached as u64).map(|bucket| bucket * step).collect();
    let mut positive = buckets(-1, &counts);
    positive.retain(|bucket| bucket.index % 4 != 3);
    counted(IntegerHistogram {
        schema: 3,
        zero_threshold: 2f64.powi(-128),
        zero_count: step / 3,
        sum: step as f64 * 1.3,
        positive,
        negative: buckets(40 - reached, &counts),
        ..IntegerHistogram::default()
    })
}

fn restarting(step: u64) -> Histogram {
    growing(1 + step % 13)
}

/// A gauge whose buckets come and go.
fn swinging(step: u64) -> Histogram {
    let counts = [step * 7 % 5, 3, step % 4];
    counted(IntegerHistogram {
        counter_reset: CounterReset::Gauge,
        positive: buckets(step as i32 % 6 - 3, &counts),
        negative: buckets(step as i32 % 2, &counts[..step as usize % 3]),
        sum: step as f64,
        ..IntegerHistogram::default()
    })
}

/// The same with fractional counts of any size.
fn wild(step: u64) -> Histogram {
    let Histogram::Float(mut gauge) = halved(&swinging(step)) else { unreachable!() };
    let counts = gauge.positive.iter_mut().chain(&mut gauge.negative);
    counts.for_each(|bucket| bucket.count *= 1.1f64.powi(step as i32));
    gauge.count = f64::MAX;
    Histogram::Float(gauge)
}

fn reshaped(step: u64) -> Histogram {
    let Histogram::Integer(mut histogram) = growing(step) else { unreachable!() };
    histogram.schema = [-4, 0, 8][step as usize / 5 % 3];
    let thresholds = [0.0, 0.001, 2f64.powi(-243), 2f64.powi(-244), 1024.0, 2048.0];
    histogram.zero_threshold = thresholds[step as usize / 9 % thresholds.len()];
    Histogram::Integer(histogram)
}

fn enormous(step: u64) -> Histogram {
    let bucket = |index, power| Bucket { index, count: (step + 1).pow(power) };
    counted(IntegerHistogram {
        positive: vec![bucket(-1_000_000, 1), bucket(-300, 5), bucket(0, 9), bucket(1 << 30, 10)],
        sum: (step as f64).exp(),
        ..IntegerHistogram::default()
    })
}

fn hinted(step: u64) -> Histogram {
    match step {
        20 => with_hint(growing(step), CounterReset::Reset),
        40 => with_hint(growing(step), CounterReset::NotReset),
        _ => growing(step),
    }
}

/// Fractional counts, and staleness markers with something left in them.
fn vanishing(step: u64) -> Histogram {
    match halved(&growing(step + 1)) {
        Histogram::Float(seen) if step % 10 >= 8 => {
            Histogram::Float(FloatHistogram { sum: STALE_NAN, ..seen })
        }
        seen => seen,
    }
}

fn with_hint(mut histogram: Histogram, hint: CounterReset) -> Histogram {
    histogram.set_counter_reset(hint);
    histogram
}

fn halved(histogram: &Histogram) -> Histogram {
    let mut half = histogram.to_float();
    half.scale(0.5);
    Histogram::Float(FloatHistogram { sum: histogram.sum(), ..half })
}

fn counted(mut histogram: IntegerHistogram) -> Histogram {
    let counts = histogram.positive.iter().chain(&histogram.negative).map(|bucket| bucket.count);
    histogram.count = histogram.zero_count + counts.sum::<u64>();
    Histogram::Integer(histogram)
}

/// The buckets from `first` on.
fn buckets(first: i32, counts: &[u64]) -> Vec<Bucket<u64>> {
    (first..).zip(counts).map(|(index, &count)| Bucket { index, count }).collect()
}
