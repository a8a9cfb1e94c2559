//! What few series have beside samples: native histograms and exemplars. A walk over a series counts
//! them, and only where there are some is the series walked once more, to read them.

use std::sync::Arc;

use model::{Exemplar, Histogram, Timestamp};

use crate::receive::exemplar;
use crate::receive::histogram::{BadHistogram, Fields};
use crate::receive::labels::InvalidLabels;
use crate::receive::v2::Symbols;
use crate::wire::{Malformed, Reader};

/// The histograms of a request take no more memory than this for each of its bytes. Honest ones take
/// less: a bucket takes 16 bytes, and is sent in at least one.
const MEMORY_PER_BYTE: usize = 24;

/// Those of one series. Reuse it for its buffers.
#[derive(Debug)]
pub(super) struct Extras {
    pub(super) histograms: Vec<(Timestamp, Arc<Histogram>)>,
    pub(super) bad_histograms: Vec<BadHistogram>,
    pub(super) exemplars: Vec<Exemplar>,
    /// Exemplars whose labels are not valid.
    pub(super) bad_exemplars: usize,
    fields: Fields,
    memory_left: usize,
}

impl Extras {
    pub(super) fn of_request(bytes: usize) -> Self {
        Self {
            histograms: Vec::new(),
            bad_histograms: Vec::new(),
            exemplars: Vec::new(),
            bad_exemplars: 0,
            fields: Fields::default(),
            memory_left: bytes.saturating_mul(MEMORY_PER_BYTE),
        }
    }

    pub(super) fn read_v1(&mut self, mut series: Reader<'_>) -> Result<(), Malformed> {
        self.clear();
        while let Some(field) = series.field()? {
            match field.number {
                3 => self.add_exemplar(exemplar::read_v1(field.message()?)?),
                4 => self.add_histogram(field.message()?)?,
                _ => {}
            }
        }
        Ok(())
    }

    pub(super) fn read_v2(
        &mut self,
        mut series: Reader<'_>,
        symbols: &Symbols<'_>,
    ) -> Result<(), Malformed> {
        self.clear();
        while let Some(field) = series.field()? {
            match field.number {
                3 => self.add_histogram(field.message()?)?,
                4 => self.add_exemplar(exemplar::read_v2(field.message()?, symbols)?),
                _ => {}
            }
        }
        Ok(())
    }

    pub(super) fn clear(&mut self) {
        self.histograms.clear();
        self.bad_histograms.clear();
        self.exemplars.clear();
        self.bad_exemplars = 0;
    }

    /// Whether there is nothing to be stored.
    pub(super) fn is_empty(&self) -> bool {
        self.histograms.is_empty() && self.exemplars.is_empty()
    }

    fn add_histogram(&mut self, message: Reader<'_>) -> Result<(), Malformed> {
        self.fields.read(message)?;
        let left = self.memory_left.checked_sub(self.fields.bytes());
        let what = "histograms of too few bytes each";
        self.memory_left = left.ok_or(Malformed { offset: message.offset(), what })?;
        match self.fields.histogram() {
            Ok(histogram) => {
                self.histograms.push((self.fields.timestamp(), Arc::new(histogram)));
            }
            Err(why) => self.bad_histograms.push(why),
        }
        Ok(())
    }

    fn add_exemplar(&mut self, read: Result<Exemplar, InvalidLabels>) {
        match read {
            Ok(exemplar) => self.exemplars.push(exemplar),
            Err(_) => self.bad_exemplars += 1,
        }
    }
}
