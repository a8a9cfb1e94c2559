//! Records of deletions.

use model::{TimeRange, Timestamp};

use super::{BadRecord, RecordBuilder, TOMBSTONES, next_entry};
use crate::codec::{Decoder, put_varint};
use crate::log::LogSeries;

#[derive(Debug)]
pub(crate) struct TombstonesRecord<'a>(pub(super) Decoder<'a>);

impl TombstonesRecord<'_> {
    fn entry(&mut self) -> Option<(LogSeries, TimeRange)> {
        let id = LogSeries(self.0.u64()?);
        let start = Timestamp::from_millis(self.0.varint()?);
        Some((id, TimeRange::new(start, Timestamp::from_millis(self.0.varint()?))))
    }
}

impl Iterator for TombstonesRecord<'_> {
    type Item = Result<(LogSeries, TimeRange), BadRecord>;

    fn next(&mut self) -> Option<Self::Item> {
        next_entry(self.0.is_empty(), || self.entry())
    }
}

impl RecordBuilder {
    pub(crate) fn tombstone(&mut self, id: LogSeries, range: TimeRange) {
        self.start(TOMBSTONES);
        self.bytes.extend(id.0.to_be_bytes());
        put_varint(&mut self.bytes, range.start.as_millis());
        put_varint(&mut self.bytes, range.end.as_millis());
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::wal::record::Record;

    proptest! {
        #[test]
        fn deletions_decode_to_what_was_encoded(deletions in vec(any::<(u64, i64, i64)>(), 1..20)) {
            let at = Timestamp::from_millis;
            let deletions: Vec<(LogSeries, TimeRange)> = deletions
                .into_iter()
                .map(|(id, start, end)| (LogSeries(id), TimeRange::new(at(start), at(end))))
                .collect();
            let mut record = RecordBuilder::new();
            deletions.iter().for_each(|&(id, range)| record.tombstone(id, range));
            let Ok(Record::Tombstones(entries)) = Record::parse(record.bytes()) else {
                panic!("not a record of deletions")
            };
            prop_assert_eq!(entries.collect::<Result<Vec<_>, _>>(), Ok(deletions));
        }
    }
}
