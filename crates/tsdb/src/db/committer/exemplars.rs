//! The exemplars of a batch: decided about, logged and kept beside its samples (COMMIT-1, COMMIT-2).

use std::mem;

use model::{Exemplar, Labels};
use storage::{AppendError, Appended, ExemplarDropReason};

use super::{Rules, is_unlogged};
use crate::head::exemplars::Verdict;
use crate::head::{Head, Place};
use crate::metrics::Metrics;
use crate::wal::record::RecordBuilder;

/// An exemplar as it was given to an appender.
#[derive(Debug)]
pub(in crate::db) struct PendingExemplar {
    pub(in crate::db) place: Place,
    pub(in crate::db) exemplar: Exemplar,
}

#[derive(Debug, Default)]
pub(super) struct ExemplarPlan {
    /// Those to be kept, of each series in order.
    planned: Vec<(Labels, Vec<Exemplar>)>,
    record: RecordBuilder,
    new: u64,
    repeated: u64,
    dropped: Vec<ExemplarDropReason>,
}

impl ExemplarPlan {
    /// Decides about each of `given`, and adds to `unlogged` the series that the log does not know yet.
    pub(super) fn check(
        &mut self,
        head: &Head,
        rules: Rules,
        given: &mut [PendingExemplar],
        unlogged: &mut Vec<Place>,
    ) -> Result<(), AppendError> {
        self.planned.clear();
        self.record.clear();
        (self.new, self.repeated) = (0, 0);
        self.dropped.clear();
        if given.is_empty() {
            return Ok(());
        }
        given.sort_by_key(|pending| (pending.place.slot, pending.place.generation));
        let index = head.index.read();
        let kept = head.exemplars.read();
        for group in given.chunk_by(|a, b| a.place == b.place) {
            let place = group[0].place;
            let unknown = || AppendError::UnknownSeries(place.into());
            let labels = index.labels(place).ok_or_else(unknown)?;
            let number = index.number(place).ok_or_else(unknown)?;
            let mut planned = Vec::new();
            for PendingExemplar { exemplar, .. } in group {
                let verdict = match kept.check(&labels, &planned, exemplar) {
                    Verdict::New if exemplar.timestamp > rules.valid_until => {
                        Verdict::Dropped(ExemplarDropReason::OutOfBounds)
                    }
                    verdict => verdict,
                };
                match verdict {
                    Verdict::New => {
                        self.new += 1;
                        self.record.exemplar(number, exemplar);
                        planned.push(exemplar.clone());
                    }
                    Verdict::Repeated => self.repeated += 1,
                    Verdict::Dropped(reason) => self.dropped.push(reason),
                }
            }
            if !planned.is_empty() {
                unlogged.extend(is_unlogged(head, place).then_some(place));
                self.planned.push((labels, planned));
            }
        }
        Ok(())
    }

    /// What is to be logged, where there is anything.
    pub(super) fn record(&self) -> Option<&[u8]> {
        (!self.record.is_empty()).then(|| self.record.bytes())
    }

    pub(super) fn apply(&mut self, head: &Head) {
        if self.planned.is_empty() {
            return;
        }
        let mut kept = head.exemplars.write();
        for (labels, planned) in self.planned.drain(..) {
            planned.into_iter().for_each(|exemplar| kept.push(&labels, exemplar));
        }
    }

    /// The number of those that the log did not have.
    pub(super) fn new_exemplars(&self) -> u64 {
        self.new
    }

    /// Tells the writer and the metrics what became of them.
    pub(super) fn account(&mut self, metrics: &Metrics, appended: &mut Appended) {
        appended.exemplars = self.new + self.repeated;
        appended.exemplars_dropped = mem::take(&mut self.dropped);
        metrics.exemplars_appended.inc_by(appended.exemplars);
        for &reason in &appended.exemplars_dropped {
            metrics.exemplar_dropped(reason).inc();
        }
    }
}
