//! Records of exemplars.
//!
//! ```text
//! exemplars := 4 | id0 u64 | t0 i64 | (id-id0 varint | t-t0 varint | value f64 | labels)*
//! ```

use model::{Exemplar, Labels};

use super::positions::Positions;
use super::{BadRecord, EXEMPLARS, RecordBuilder, next_entry, put_labels, take_labels};
use crate::log::{LogSeries, LoggedExemplar};

#[derive(Debug)]
pub(crate) struct ExemplarsRecord<'a>(pub(super) Positions<'a>);

impl ExemplarsRecord<'_> {
    fn entry(&mut self) -> Option<LoggedExemplar> {
        let (series, timestamp) = self.0.take()?;
        let value = f64::from_bits(self.0.rest.u64()?);
        let labels = Labels::from_sorted(take_labels(&mut self.0.rest)?);
        Some(LoggedExemplar { series, exemplar: Exemplar { labels, value, timestamp } })
    }
}

impl Iterator for ExemplarsRecord<'_> {
    type Item = Result<LoggedExemplar, BadRecord>;

    fn next(&mut self) -> Option<Self::Item> {
        next_entry(self.0.rest.is_empty(), || self.entry())
    }
}

impl RecordBuilder {
    pub(crate) fn exemplar(&mut self, series: LogSeries, exemplar: &Exemplar) {
        self.start(EXEMPLARS);
        self.position(series, exemplar.timestamp);
        self.bytes.extend(exemplar.value.to_bits().to_be_bytes());
        put_labels(&mut self.bytes, exemplar.labels.iter());
    }
}

#[cfg(test)]
mod tests {
    use model::Timestamp;
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
            let mut builder = RecordBuilder::new();
            given.iter().for_each(|one| builder.exemplar(one.series, &one.exemplar));
            let Ok(Record::Exemplars(record)) = Record::parse(builder.bytes()) else { panic!() };
            prop_assert_eq!(record.collect::<Result<Vec<_>, _>>().unwrap(), given);
        }
    }
}
