//! A window on its way over the samples of a series.

use std::ops::Range;

use model::{Labels, Timestamp};
use storage::Columns;

use super::super::growth::Gathered;
use super::super::sliding::Sliding;
use super::super::{Evaluated, Evaluation, Grid, Series};
use super::{Window, Windows};
use crate::annotations::Annotations;

/// Bounds are looked at before every series, this often within one, and at every window of more samples
/// than this.
const STEPS_BETWEEN_CHECKS: usize = 64;
const LONG_WINDOW: usize = 4096;

impl Evaluation<'_> {
    /// As [`Evaluation::slide`] where that need not look at whole windows.
    pub(super) fn slide_on(
        &self,
        sliding: Sliding,
        windows: &Windows<'_>,
        grid: &Grid,
        columns: &Columns,
        series: &mut Series,
    ) -> Evaluated<()> {
        let (mut floats, mut outcome) = (0..0, Ok(()));
        let ranges = grid.times().enumerate().map_while(|(step, now)| {
            outcome = self.check_between_windows(step, floats.len());
            let end = windows.timing.reference(now);
            let start = end.saturating_sub(windows.range);
            advance(&mut floats, columns.len(), start, end, |at| columns.timestamps[at]);
            outcome.is_ok().then(|| floats.clone())
        });
        let quantiles = windows.parameters.first().map(Vec::as_slice);
        sliding.run(columns, quantiles, ranges, |step, value| series.column.set_float(step, value));
        outcome
    }

    /// For what needs of each window no more than its ends.
    pub(super) fn gather(
        &self,
        windows: &Windows<'_>,
        grid: &Grid,
        (columns, resets): (&Columns, &[usize]),
        gathered: &mut Gathered,
    ) -> Evaluated<()> {
        gathered.clear();
        let (mut floats, mut falls) = (0..0, 0..0);
        for (step, now) in grid.times().enumerate() {
            self.check_between_windows(step, 0)?;
            let end = windows.timing.reference(now);
            let start = end.saturating_sub(windows.range);
            advance(&mut floats, columns.len(), start, end, |at| columns.timestamps[at]);
            advance_resets(&mut falls, resets, &floats);
            gathered.add(step, (start, end), columns, floats.clone(), &resets[falls.clone()]);
        }
        Ok(())
    }

    pub(super) fn slide(
        &self,
        windows: &Windows<'_>,
        grid: &Grid,
        (columns, resets, labels): (&Columns, &[usize], &Labels),
        series: &mut Series,
        annotations: &mut Annotations,
    ) -> Evaluated<()> {
        let position = windows.call.args[0].position();
        let mut parameters = vec![0.0; windows.parameters.len()];
        let (mut floats, mut histograms, mut falls) = (0..0, 0..0, 0..0);
        for (step, now) in grid.times().enumerate() {
            self.check_between_windows(step, floats.len() + histograms.len())?;
            let end = windows.timing.reference(now);
            let start = end.saturating_sub(windows.range);
            let (after, until) = self.extended(windows.extension, start, end);
            advance(&mut floats, columns.len(), after, until, |at| columns.timestamps[at]);
            let count = columns.histograms.len();
            advance(&mut histograms, count, after, until, |at| columns.histograms[at].0);
            if floats.is_empty() && histograms.is_empty() {
                continue;
            }
            advance_resets(&mut falls, resets, &floats);
            for (parameter, values) in parameters.iter_mut().zip(&windows.parameters) {
                *parameter = values[step];
            }
            let window = Window {
                times: &columns.timestamps[floats.clone()],
                values: &columns.values[floats.clone()],
                histograms: &columns.histograms[histograms.clone()],
                starts: part(&columns.starts, &floats),
                histogram_starts: part(&columns.histogram_starts, &histograms),
                resets: &resets[falls.clone()],
                skipped: floats.start,
                start,
                end,
                now,
                extension: windows.extension,
                parameters: &parameters,
                labels,
                position,
            };
            series.column.set(step, (windows.function.apply)(&window, annotations)?);
        }
        Ok(())
    }

    /// `length`: of the window that was dealt with last.
    fn check_between_windows(&self, step: usize, length: usize) -> Evaluated<()> {
        let is_due = step % STEPS_BETWEEN_CHECKS == STEPS_BETWEEN_CHECKS - 1;
        if is_due || length > LONG_WINDOW { self.limits.check() } else { Ok(()) }
    }
}

/// The part of a column that may be missing.
fn part<'a, T>(items: &'a [T], range: &Range<usize>) -> &'a [T] {
    items.get(range.clone()).unwrap_or_default()
}

/// Whether the start of a sample says that its counter was reset after the sample before.
///
/// A start at the very time of that sample says so of samples that each count anew, but not where
/// the first start of a counter is just not known: then that sample has none. A start that is not
/// before its own sample says nothing.
#[inline]
pub(in crate::eval) fn starts_anew(
    starts: &[Timestamp],
    index: usize,
    time: impl Fn(usize) -> Timestamp,
) -> bool {
    if starts.is_empty() {
        return false;
    }
    let Some(before) = index.checked_sub(1) else { return false };
    let known = |index: usize| {
        let start = starts.get(index).copied();
        start.filter(|start| *start != Timestamp::EPOCH && *start < time(index))
    };
    let (Some(start), previous) = (known(index), time(before)) else { return false };
    start > previous || (start == previous && known(before).is_some())
}

/// The samples before which a counter was reset.
pub(super) fn find_resets(columns: &Columns, resets: &mut Vec<usize>) {
    let Columns { timestamps, values, starts, .. } = columns;
    for (index, pair) in (1..).zip(values.windows(2)) {
        if pair[1] < pair[0] || starts_anew(starts, index, |at| timestamps[at]) {
            resets.push(index);
        }
    }
}

/// Moves `falls` on to the resets between two samples of `window`.
fn advance_resets(falls: &mut Range<usize>, resets: &[usize], window: &Range<usize>) {
    while falls.start < resets.len() && resets[falls.start] <= window.start {
        falls.start += 1;
    }
    falls.end = falls.end.max(falls.start);
    while falls.end < resets.len() && resets[falls.end] < window.end {
        falls.end += 1;
    }
}

/// Moves `range` on to the samples after `after` and up to `until`.
fn advance(
    range: &mut Range<usize>,
    count: usize,
    after: i64,
    until: i64,
    time: impl Fn(usize) -> Timestamp,
) {
    while range.end < count && time(range.end).as_millis() <= until {
        range.end += 1;
    }
    while range.start < range.end && time(range.start).as_millis() <= after {
        range.start += 1;
    }
}
