//! The buckets of a histogram as disk and wire have them: spans of neighbouring indexes, and the counts
//! of all spans one after the other; whole counts as differences, each to the one before it.
//!
//! - Source: Prometheus `model/histogram/generic.go`, `checkHistogramSpans`.

use super::Bucket;

/// Neighbouring buckets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// The first span begins at this index, others so many indexes after the end of the one before.
    pub offset: i32,
    pub length: u32,
}

/// Spans and counts do not make sense together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadBuckets {
    #[error("histogram has a span whose offset is negative: {0}")]
    Offset(i32),
    #[error("histogram has buckets beyond what an index can be")]
    Range,
    #[error("histogram's spans need {needed} buckets, it has {given}")]
    Mismatch { needed: u64, given: usize },
    #[error("histogram has a bucket with a negative count: {0}")]
    Negative(i64),
}

/// The fewest spans of `indexes`, which rise.
pub fn spans(indexes: impl IntoIterator<Item = i32>) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    let mut end = 0;
    for index in indexes.into_iter().map(i64::from) {
        match spans.last_mut() {
            Some(span) if index == end => span.length += 1,
            _ => {
                let mut offset = index - end;
                while offset > i64::from(i32::MAX) {
                    spans.push(Span { offset: i32::MAX, length: 0 });
                    offset -= i64::from(i32::MAX);
                }
                spans.push(Span { offset: offset as i32, length: 1 });
            }
        }
        end = index + 1;
    }
    spans
}

/// How many buckets are in `spans`.
pub fn length(spans: &[Span]) -> u64 {
    spans.iter().map(|span| u64::from(span.length)).sum()
}

/// The indexes in `spans`, of which there must be `count`: nothing else bounds what is allocated.
pub fn indexes(spans: &[Span], count: usize) -> Result<Vec<i32>, BadBuckets> {
    let needed = length(spans);
    if needed != count as u64 {
        return Err(BadBuckets::Mismatch { needed, given: count });
    }
    let mut indexes = Vec::with_capacity(count);
    let mut end = 0;
    for (at, span) in spans.iter().enumerate() {
        if at > 0 && span.offset < 0 {
            return Err(BadBuckets::Offset(span.offset));
        }
        let start = end + i64::from(span.offset);
        end = start + i64::from(span.length);
        if span.length > 0 {
            let first = i32::try_from(start).map_err(|_| BadBuckets::Range)?;
            let last = i32::try_from(end - 1).map_err(|_| BadBuckets::Range)?;
            indexes.extend(first..=last);
        }
    }
    Ok(indexes)
}

pub fn buckets<N: Copy>(spans: &[Span], counts: &[N]) -> Result<Vec<Bucket<N>>, BadBuckets> {
    let indexes = indexes(spans, counts.len())?.into_iter();
    Ok(indexes.zip(counts).map(|(index, &count)| Bucket { index, count }).collect())
}

pub fn buckets_of_deltas(spans: &[Span], deltas: &[i64]) -> Result<Vec<Bucket<u64>>, BadBuckets> {
    let mut buckets = Vec::with_capacity(deltas.len());
    let mut count = 0i64;
    for (index, &delta) in indexes(spans, deltas.len())?.into_iter().zip(deltas) {
        count = count.wrapping_add(delta);
        let count = u64::try_from(count).map_err(|_| BadBuckets::Negative(count))?;
        buckets.push(Bucket { index, count });
    }
    Ok(buckets)
}

/// Each count as the difference to the one before it.
pub fn deltas(buckets: &[Bucket<u64>]) -> impl ExactSizeIterator<Item = i64> + '_ {
    let mut before = 0;
    buckets.iter().map(move |bucket| {
        let delta = bucket.count.wrapping_sub(before).cast_signed();
        before = bucket.count;
        delta
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::collection::{btree_map, vec};
    use proptest::prelude::*;

    use super::*;

    fn span((offset, length): (i32, u32)) -> Span {
        Span { offset, length }
    }

    /// Sparse and dense, up to the last index there is.
    fn counts() -> impl Strategy<Value = BTreeMap<i32, u64>> {
        let index = prop_oneof![-9..9i32, any::<i32>(), Just(i32::MIN), Just(i32::MAX)];
        btree_map(index, 0..=i64::MAX.cast_unsigned(), 0..20)
    }

    #[test]
    fn neighbours_share_a_span() {
        #[track_caller]
        fn check(indexes: &[i32], expect: &[(i32, u32)]) {
            let expect: Vec<Span> = expect.iter().copied().map(span).collect();
            assert_eq!(spans(indexes.iter().copied()), expect, "{indexes:?}");
        }
        check(&[], &[]);
        check(&[0], &[(0, 1)]);
        check(&[-3, -2, -1, 0, 2, 5, 6], &[(-3, 4), (1, 1), (2, 2)]);
        check(&[i32::MIN, i32::MAX], &[(i32::MIN, 1), (i32::MAX, 0), (i32::MAX, 1)]);
    }

    #[test]
    fn spans_that_make_no_sense_are_refused() {
        #[track_caller]
        fn check(spans: &[(i32, u32)], deltas: &[i64], expect: BadBuckets) {
            let spans: Vec<Span> = spans.iter().copied().map(span).collect();
            assert_eq!(buckets_of_deltas(&spans, deltas), Err(expect), "{spans:?}");
        }
        check(&[(0, 2), (-1, 1)], &[1, 1, 1], BadBuckets::Offset(-1));
        check(&[(i32::MAX, 2)], &[1, 1], BadBuckets::Range);
        check(&[(i32::MAX, 0), (i32::MAX, 1)], &[1], BadBuckets::Range);
        check(&[(0, 2)], &[1], BadBuckets::Mismatch { needed: 2, given: 1 });
        check(&[(0, u32::MAX), (0, u32::MAX)], &[], {
            BadBuckets::Mismatch { needed: 2 * u64::from(u32::MAX), given: 0 }
        });
        check(&[(0, 2)], &[1, -2], BadBuckets::Negative(-1));
        check(&[(0, 2)], &[1, i64::MAX], BadBuckets::Negative(i64::MIN));
    }

    proptest! {
        #[test]
        fn buckets_survive_being_written_as_spans(counts in counts()) {
            let whole: Vec<Bucket<u64>> =
                counts.iter().map(|(&index, &count)| Bucket { index, count }).collect();
            let spans = spans(counts.keys().copied());
            let deltas: Vec<i64> = deltas(&whole).collect();
            prop_assert_eq!(buckets_of_deltas(&spans, &deltas), Ok(whole.clone()));
            let plain: Vec<u64> = counts.values().copied().collect();
            prop_assert_eq!(buckets(&spans, &plain), Ok(whole));
        }

        #[test]
        fn indexes_rise_whatever_the_spans(
            spans in vec((-5..5i32, 0..5u32).prop_map(span), 0..9),
        ) {
            if let Ok(indexes) = indexes(&spans, length(&spans) as usize) {
                prop_assert!(indexes.is_sorted_by(|a, b| a < b));
            }
        }
    }
}
