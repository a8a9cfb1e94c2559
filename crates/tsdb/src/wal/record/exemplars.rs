//! Records of exemplars.
//!
//! ```text
//! exemplars := 4 | id0 u64 | t0 i64 | (id-id0 varint | t-t0 varint | value f64 | labels)*
//! ```

use model::{Exemplar, Labels, Timestamp};

use super::{BadRecord, EXEMPLARS, next_entry, put_labels, take_labels};
use crate::codec::{Decoder, put_varint};
use crate::log::{LogSeries, LoggedExemplar};

#[derive(Debug)]
pub(crate) struct ExemplarsRecord<'a> {
    rest: Decoder<'a>,
    first_id: u64,
    first_time: i64,
}

impl<'a> ExemplarsRecord<'a> {
    pub(super) fn new(mut rest: Decoder<'a>) -> Result<Self, BadRecord> {
        if rest.is_empty() {
            return Ok(Self { rest, first_id: 0, first_time: 0 });
        }
        let first_id = rest.u64().ok_or(BadRecord)?;
        let first_time = rest.i64().ok_or(BadRecord)?;
        Ok(Self { rest, first_id, first_time })
    }

    fn entry(&mut self) -> Option<LoggedExemplar> {
        let id = self.first_id.wrapping_add_signed(self.rest.varint()?);
        let time = self.first_time.wrapping_add(self.rest.varint()?);
        let value = f64::from_bits(self.rest.u64()?);
        let labels = Labels::from_sorted(take_labels(&mut self.rest)?);
        let exemplar = Exemplar { labels, value, timestamp: Timestamp::from_millis(time) };
        Some(LoggedExemplar { series: LogSeries(id), exemplar })
    }
}

impl Iterator for ExemplarsRecord<'_> {
    type Item = Result<LoggedExemplar, BadRecord>;

    fn next(&mut self) -> Option<Self::Item> {
        next_entry(self.rest.is_empty(), || self.entry())
    }
}

/// A record of exemplars, being put together.
#[derive(Debug, Default)]
pub(crate) struct ExemplarsBuilder {
    bytes: Vec<u8>,
    first: Option<(LogSeries, Timestamp)>,
}

impl ExemplarsBuilder {
    pub(crate) fn push(&mut self, series: LogSeries, exemplar: &Exemplar) {
        let (first_series, first_time) = *self.first.get_or_insert_with(|| {
            self.bytes.push(EXEMPLARS);
            self.bytes.extend(series.0.to_be_bytes());
            self.bytes.extend(exemplar.timestamp.as_millis().to_be_bytes());
            (series, exemplar.timestamp)
        });
        let time = exemplar.timestamp.as_millis();
        put_varint(&mut self.bytes, series.0.wrapping_sub(first_series.0).cast_signed());
        put_varint(&mut self.bytes, time.wrapping_sub(first_time.as_millis()));
        self.bytes.extend(exemplar.value.to_bits().to_be_bytes());
        put_labels(&mut self.bytes, exemplar.labels.iter());
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.first = None;
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::{btree_map, vec};
    use proptest::prelude::*;

    use super::*;
    use crate::wal::record::Record;

    proptest! {
        #[test]
        fn a_record_holds_the_exemplars_that_were_put_in(
            given in vec((any::<(u64, i64, u64)>(), btree_map("[a-zé]{1,3}", ".{1,9}", 0..4)), 1..20),
        ) {
            let logged = |((id, time, bits), labels): ((u64, i64, u64), _)| LoggedExemplar {
                series: LogSeries(id),
                exemplar: Exemplar {
                    labels: Labels::from_iter::<std::collections::BTreeMap<String, String>>(labels),
                    value: f64::from_bits(bits >> 2), // no NaN: it does not equal itself
                    timestamp: Timestamp::from_millis(time),
                },
            };
            let given: Vec<LoggedExemplar> = given.into_iter().map(logged).collect();
            let mut builder = ExemplarsBuilder::default();
            given.iter().for_each(|one| builder.push(one.series, &one.exemplar));
            let Ok(Record::Exemplars(record)) = Record::parse(builder.bytes()) else { panic!() };
            prop_assert_eq!(record.collect::<Result<Vec<_>, _>>().unwrap(), given);
        }
    }
}
