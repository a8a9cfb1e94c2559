//! Which series an entry is about, and when: differences to the first entry of the record.

use model::Timestamp;

use super::{BadRecord, RecordBuilder};
use crate::codec::{Decoder, put_varint};
use crate::log::LogSeries;

/// Reads entries that begin with their position.
#[derive(Debug)]
pub(super) struct Positions<'a> {
    pub(super) rest: Decoder<'a>,
    first_id: u64,
    first_time: i64,
}

impl<'a> Positions<'a> {
    pub(super) fn new(mut rest: Decoder<'a>) -> Result<Self, BadRecord> {
        if rest.is_empty() {
            return Ok(Self { rest, first_id: 0, first_time: 0 });
        }
        let first_id = rest.u64().ok_or(BadRecord)?;
        let first_time = rest.i64().ok_or(BadRecord)?;
        Ok(Self { rest, first_id, first_time })
    }

    pub(super) fn take(&mut self) -> Option<(LogSeries, Timestamp)> {
        let id = self.first_id.wrapping_add_signed(self.rest.varint()?);
        let time = self.first_time.wrapping_add(self.rest.varint()?);
        Some((LogSeries(id), Timestamp::from_millis(time)))
    }
}

impl RecordBuilder {
    /// Begins an entry, and with the first one the record.
    #[inline]
    pub(super) fn position(&mut self, series: LogSeries, at: Timestamp) {
        let (first_series, first_time) = *self.first.get_or_insert_with(|| {
            self.bytes.extend(series.0.to_be_bytes());
            self.bytes.extend(at.as_millis().to_be_bytes());
            (series, at)
        });
        put_varint(&mut self.bytes, series.0.wrapping_sub(first_series.0).cast_signed());
        put_varint(&mut self.bytes, at.as_millis().wrapping_sub(first_time.as_millis()));
    }
}
