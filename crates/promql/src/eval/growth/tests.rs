use model::{Labels, Sample};
use proptest::collection::vec;
use proptest::prelude::*;

use super::super::column::Point;
use super::super::counters::FUNCTIONS;
use super::super::window::Window;
use super::*;
use crate::annotations::Annotations;
use crate::ast::Extension;
use crate::position::Position;

fn columns(samples: &[(i64, f64)]) -> Columns {
    let (mut columns, mut now) = (Columns::default(), 0);
    for &(gap, value) in samples {
        now += gap;
        columns.push(Sample { timestamp: Timestamp::from_millis(now), value });
    }
    columns
}

/// What the function makes of one window on its own.
fn alone(
    function: &str,
    (start, end): (i64, i64),
    columns: &Columns,
    window: Range<usize>,
    resets: &[usize],
) -> Option<f64> {
    let function = FUNCTIONS.iter().find(|known| known.name == function).expect("is known");
    let window = Window {
        times: &columns.timestamps[window.clone()],
        values: &columns.values[window.clone()],
        histograms: &[],
        starts: &[],
        histogram_starts: &[],
        resets,
        skipped: window.start,
        start,
        end,
        now: end,
        extension: Extension::None,
        parameters: &[],
        labels: &Labels::empty(),
        position: Position::default(),
    };
    match (function.apply)(&window, &mut Annotations::default()).expect("has no bounds") {
        Some(Point::Float(value)) => Some(value),
        Some(Point::Histogram(_)) => panic!("made of numbers"),
        None => None,
    }
}

fn value() -> impl Strategy<Value = f64> {
    prop_oneof![
        8 => (0..1000u32).prop_map(|value| f64::from(value) / 7.0),
        1 => any::<f64>(),
        1 => prop::sample::select(vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, 0.0, -5.0]),
    ]
}

proptest! {
    #[test]
    fn all_at_once_is_each_alone_to_the_bit(
        samples in vec((1..40_000i64, value()), 0..40),
        range in 1..400_000i64,
        step in 1..60_000i64,
        first in -50_000..200_000i64,
    ) {
        let columns = columns(&samples);
        let falls = (1..columns.len()).filter(|&at| columns.values[at] < columns.values[at - 1]);
        let falls: Vec<usize> = falls.collect();
        let at = |time: i64| columns.timestamps.partition_point(|t| t.as_millis() <= time);
        for function in ["rate", "increase", "delta"] {
            let (mut gathered, mut expect, mut found) = (Gathered::default(), vec![], vec![]);
            for number in 0..20 {
                let end = first + step * number as i64;
                let (times, window) = ((end - range, end), at(end - range)..at(end));
                let inside = |reset: &&usize| window.contains(reset) && **reset > window.start;
                let resets: Vec<usize> = falls.iter().filter(inside).copied().collect();
                let resets = if function == "delta" { &[][..] } else { &resets };
                gathered.add(number, times, &columns, window.clone(), resets);
                let alone = alone(function, times, &columns, window, resets);
                expect.extend(alone.map(|value| (number, value.to_bits())));
            }
            let growth = Growth::of(function).expect("is one");
            gathered.finish(growth, range, |number, value| found.push((number, value.to_bits())));
            let is_nan = |bits: u64| f64::from_bits(bits).is_nan();
            let same = |a: &(usize, u64), b: &(usize, u64)| {
                a.0 == b.0 && (a.1 == b.1 || (is_nan(a.1) && is_nan(b.1)))
            };
            prop_assert_eq!(found.len(), expect.len());
            prop_assert!(found.iter().zip(&expect).all(|(a, b)| same(a, b)), "{found:?} {expect:?}");
        }
    }
}
