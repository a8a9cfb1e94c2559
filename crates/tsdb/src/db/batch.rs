//! One batch on its way into the database.

use std::mem;
use std::sync::Arc;

use model::{Exemplar, Histogram, Labels, Metadata, Point, Sample, SampleValue, Timestamp};
use storage::{AppendError, Appended, Appender, SeriesKey, SeriesRef};

use super::Db;
use super::committer::exemplars::PendingExemplar;
use super::committer::{Given, Pending};
use crate::head::Place;
use crate::head::index::Entered;
use crate::head::keys::Cursor;

#[derive(Debug)]
pub(super) struct Batch<'db> {
    db: &'db Db,
    samples: Vec<Pending>,
    exemplars: Vec<PendingExemplar>,
    metadata: Vec<(String, Metadata)>,
    /// Keys that are new, to be remembered all at once.
    learnt: Vec<(SeriesKey, SeriesRef)>,
    cursor: Cursor,
    /// Whether the last series asked for by labels was new: new ones come in crowds.
    last_was_new: bool,
}

impl<'db> Batch<'db> {
    pub(super) fn new(db: &'db Db) -> Self {
        let samples = db.spare_batches.lock().pop().unwrap_or_default();
        Self {
            db,
            samples,
            exemplars: Vec::new(),
            metadata: Vec::new(),
            learnt: Vec::new(),
            cursor: Cursor::default(),
            last_was_new: false,
        }
    }

    fn remember_learnt(&mut self) {
        if !self.learnt.is_empty() {
            self.db.head.remember(self.learnt.drain(..));
        }
    }

    #[inline]
    fn place(&self, series: SeriesRef) -> Result<Place, AppendError> {
        let place = Place::from(series);
        if self.db.head.contains(place) {
            Ok(place)
        } else {
            Err(AppendError::UnknownSeries(series))
        }
    }

    #[inline]
    fn add(&mut self, series: SeriesRef, point: Point) -> Result<(), AppendError> {
        let place = self.place(series)?;
        let given = self.samples.len() as u32;
        self.samples.push(Pending { place, given, point });
        Ok(())
    }
}

impl Appender for Batch<'_> {
    fn lookup(&mut self, keys: &[SeriesKey], found: &mut Vec<Option<SeriesRef>>) {
        self.remember_learnt();
        self.db.head.keys.find(keys, &mut self.cursor, found);
        for series in found {
            *series = series.filter(|&series| self.db.head.contains(series.into()));
        }
    }

    fn series(
        &mut self,
        labels: &Labels,
        key: Option<SeriesKey>,
    ) -> Result<SeriesRef, AppendError> {
        if labels.is_empty() {
            return Err(AppendError::NoLabels);
        }
        let Entered { place, new_number } = self.db.head.series(labels, !self.last_was_new);
        self.last_was_new = new_number.is_some();
        self.learnt.extend(key.map(|key| (key, place.into())));
        Ok(place.into())
    }

    fn sample(&mut self, series: SeriesRef, sample: Sample) -> Result<(), AppendError> {
        self.add(series, sample.into())
    }

    fn histogram(
        &mut self,
        series: SeriesRef,
        at: Timestamp,
        histogram: Arc<Histogram>,
    ) -> Result<(), AppendError> {
        self.add(series, Point { timestamp: at, value: SampleValue::Histogram(histogram) })
    }

    fn exemplar(&mut self, series: SeriesRef, exemplar: Exemplar) -> Result<(), AppendError> {
        let place = self.place(series)?;
        self.exemplars.push(PendingExemplar { place, exemplar });
        Ok(())
    }

    fn metadata(&mut self, family: &str, metadata: &Metadata) -> Result<(), AppendError> {
        if !self.db.head.metadata.lock().is_settled(family, metadata) {
            self.metadata.push((family.to_owned(), metadata.clone()));
        }
        Ok(())
    }

    fn commit(mut self: Box<Self>) -> Result<Appended, AppendError> {
        self.db.commit(Given {
            samples: &mut self.samples,
            exemplars: &mut self.exemplars,
            metadata: &self.metadata,
        })
    }
}

/// Spare lists that are larger than this are let go.
const SPARE_SAMPLES_MAX: usize = 1 << 16;
const SPARES_MAX: usize = 16;

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        self.remember_learnt();
        let mut spare = mem::take(&mut self.samples);
        spare.clear();
        let mut spares = self.db.spare_batches.lock();
        if spares.len() < SPARES_MAX && spare.capacity() <= SPARE_SAMPLES_MAX {
            spares.push(spare);
        }
    }
}
