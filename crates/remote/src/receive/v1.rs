//! Remote write 1.0, walked in place: no message is built and no label decoded for a series that is
//! known already.
//!
//! A series' labels lie side by side in what every sender writes, so the bytes of that section name
//! the series. Where a sender mixes them with other fields, they are gathered first; that is slower
//! and means the same.
//!
//! - WALK-1: walking a message gives what prost gives for it. (Text that is not UTF-8 is no malformed
//!   message here, as in Go: it makes its one series invalid.)
//! - Schema: `proto/prometheus/remote.proto`.

use std::ops::Range;

use model::{Metadata, MetricType, Sample, Timestamp};

use crate::receive::labels::RawPair;
use crate::wire::{Malformed, Reader};

/// The number of a series' label fields.
const LABEL: u32 = 1;

/// What stands at the top of a request.
#[derive(Clone, Copy, Debug)]
pub(super) enum Item<'a> {
    Series(Reader<'a>),
    Metadata(Reader<'a>),
}

/// The next series or metadata of a request.
pub(super) fn next<'a>(request: &mut Reader<'a>) -> Result<Option<Item<'a>>, Malformed> {
    while let Some(field) = request.field()? {
        match field.number {
            1 => return Ok(Some(Item::Series(field.message()?))),
            3 => return Ok(Some(Item::Metadata(field.message()?))),
            _ => {}
        }
    }
    Ok(None)
}

/// What a series of either version holds beside its labels.
#[derive(Debug, Default)]
pub(super) struct Contents {
    pub(super) samples: Vec<Sample>,
    /// Whether there are histograms or exemplars.
    pub(super) has_extras: bool,
}

impl Contents {
    pub(super) fn clear(&mut self) {
        self.samples.clear();
        self.has_extras = false;
    }
}

/// One series of a request, its labels not decoded yet. Reuse it for its buffers.
#[derive(Debug, Default)]
pub(super) struct Series<'a> {
    pub(super) message: Reader<'a>,
    pub(super) contents: Contents,
    /// Where in `message` the labels lie, if they lie side by side.
    section: Range<usize>,
    /// The labels, if they do not.
    gathered: Vec<u8>,
}

impl<'a> Series<'a> {
    /// Reads what [`Item::Series`] holds over what was here before.
    pub(super) fn read(&mut self, message: Reader<'a>) -> Result<(), Malformed> {
        self.message = message;
        self.contents.clear();
        self.gathered.clear();
        let mut reader = message;
        reader.skip_short(LABEL);
        let (mut section, mut in_one_piece) = (0..reader.position(), true);
        let mut start = reader.position();
        while let Some(field) = reader.field()? {
            match field.number {
                LABEL => {
                    field.message()?;
                    in_one_piece &= section.is_empty() || section.end == start;
                    let first = if section.is_empty() { start } else { section.start };
                    section = first..reader.position();
                }
                2 => self.contents.samples.push(sample(field.message()?)?),
                3 | 4 => self.contents.has_extras = true,
                _ => {}
            }
            start = reader.position();
        }
        self.section = section;
        if in_one_piece { Ok(()) } else { self.gather() }
    }

    /// The labels: fields of one number, and nothing else.
    pub(super) fn label_section(&self) -> Reader<'_> {
        if self.gathered.is_empty() {
            self.message.part(self.section.clone())
        } else {
            Reader::at_offset(&self.gathered, self.message.offset())
        }
    }

    fn gather(&mut self) -> Result<(), Malformed> {
        let (mut reader, mut start) = (self.message, 0);
        while let Some(field) = reader.field()? {
            if field.number == LABEL {
                self.gathered.extend_from_slice(&self.message.bytes()[start..reader.position()]);
            }
            start = reader.position();
        }
        Ok(())
    }
}

/// The same in both versions, but for a start timestamp in 2.0, which is not kept yet.
#[inline]
pub(super) fn sample(mut message: Reader<'_>) -> Result<Sample, Malformed> {
    let mut sample = Sample { timestamp: Timestamp::EPOCH, value: 0.0 };
    while let Some(field) = message.field()? {
        match field.number {
            1 => sample.value = field.double()?,
            2 => sample.timestamp = Timestamp::from_millis(field.varint()? as i64),
            _ => {}
        }
    }
    Ok(sample)
}

/// The pairs of a label section.
pub(super) fn label_pairs<'a>(
    mut section: Reader<'a>,
    pairs: &mut Vec<RawPair<'a>>,
) -> Result<(), Malformed> {
    while let Some(field) = section.field()? {
        pairs.push(label(field.message()?)?);
    }
    Ok(())
}

pub(super) fn label(mut message: Reader<'_>) -> Result<RawPair<'_>, Malformed> {
    let (mut name, mut value): RawPair<'_> = (b"", b"");
    while let Some(field) = message.field()? {
        match field.number {
            1 => name = field.bytes()?,
            2 => value = field.bytes()?,
            _ => {}
        }
    }
    Ok((name, value))
}

/// A family's name and what is said of it. Its text is taken as it is, bad UTF-8 replaced.
pub(super) fn metadata(mut message: Reader<'_>) -> Result<(String, Metadata), Malformed> {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    let (mut family, mut metadata) = (String::new(), Metadata::default());
    while let Some(field) = message.field()? {
        match field.number {
            1 => metadata.metric_type = MetricType::from_number(field.varint()?),
            2 => family = text(field.bytes()?),
            4 => metadata.help = text(field.bytes()?),
            5 => metadata.unit = text(field.bytes()?),
            _ => {}
        }
    }
    Ok((family, metadata))
}
