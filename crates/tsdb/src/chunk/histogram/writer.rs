//! Writes chunks of histograms of one kind.

use model::histogram::{CounterReset, NativeHistogram};
use model::{Timestamp, is_stale};

use super::layout::Layout;
use super::numbers::{Encoded, Numbers};
use super::samples::Reader;
use super::{HISTOGRAMS_MAX, reset_bits};
use crate::chunk::bits::BitWriter;

#[derive(Debug)]
pub(super) struct Writer<N: Encoded> {
    out: BitWriter,
    counter_reset: CounterReset,
    layout: Layout,
    numbers: Numbers<N>,
}

impl<N: Encoded> Writer<N> {
    /// `previous`: the chunk of the same kind before this one, and the last histogram there.
    pub(super) fn new(
        at: Timestamp,
        first: &NativeHistogram<N>,
        previous: Option<(&Self, &NativeHistogram<N>)>,
    ) -> Self {
        let counter_reset = match (first.counter_reset, previous) {
            (known @ (CounterReset::Gauge | CounterReset::Reset), _) => known,
            (_, Some((chunk, last))) => match chunk.follows(first, last) {
                Ok(()) => CounterReset::NotReset,
                Err(found) => found,
            },
            (_, None) => CounterReset::Unknown,
        };
        if is_stale(first.sum) {
            let marker = NativeHistogram { sum: first.sum, ..NativeHistogram::default() };
            return Self::start(counter_reset, Layout::of(&marker), at, &marker);
        }
        Self::start(counter_reset, Layout::of(first), at, first)
    }

    fn start(
        counter_reset: CounterReset,
        layout: Layout,
        at: Timestamp,
        first: &NativeHistogram<N>,
    ) -> Self {
        let mut out = BitWriter::after(vec![0, 1, reset_bits(counter_reset)]);
        layout.put(&mut out);
        let numbers = Numbers::put_first(&mut out, &layout, at, first);
        Self { out, counter_reset, layout, numbers }
    }

    /// `last`: what was pushed last.
    pub(super) fn push(
        &mut self,
        at: Timestamp,
        new: &NativeHistogram<N>,
        last: &NativeHistogram<N>,
    ) -> bool {
        if self.len() == HISTOGRAMS_MAX || self.follows(new, last).is_err() {
            return false;
        }
        if !is_stale(new.sum)
            && let Some(layout) = self.layout.widened(new)
        {
            self.recode(layout);
        }
        self.append(at, new);
        true
    }

    /// The chunk's bytes.
    pub(super) const fn out(&self) -> &BitWriter {
        &self.out
    }

    pub(super) fn len(&self) -> usize {
        usize::from(u16::from_be_bytes([self.out.bytes[0], self.out.bytes[1]]))
    }

    fn append(&mut self, at: Timestamp, histogram: &NativeHistogram<N>) {
        let count = self.len() as u16 + 1;
        self.numbers.put(&mut self.out, &self.layout, at, histogram);
        self.out.bytes[..2].copy_from_slice(&count.to_be_bytes());
    }

    /// Writes all histograms anew.
    fn recode(&mut self, layout: Layout) {
        let bytes = self.out.to_bytes();
        let mut old = Reader::new(&bytes).expect("it was written here");
        let mut next = || old.next().expect("it was written here");
        let (at, first) = next().expect("a chunk has a histogram at least");
        *self = Self::start(self.counter_reset, layout, at, &first);
        while let Some((at, histogram)) = next() {
            self.append(at, &histogram);
        }
    }

    /// Whether `new` can be in this chunk, after `last`; otherwise what is known of a counter reset
    /// between the two.
    fn follows(
        &self,
        new: &NativeHistogram<N>,
        last: &NativeHistogram<N>,
    ) -> Result<(), CounterReset> {
        let is_gauge = new.counter_reset == CounterReset::Gauge;
        if is_gauge != (self.counter_reset == CounterReset::Gauge) {
            return Err(CounterReset::Unknown);
        }
        if new.counter_reset == CounterReset::Reset {
            return Err(CounterReset::Reset);
        }
        if is_stale(new.sum) {
            return Ok(());
        }
        if is_stale(last.sum) {
            return Err(CounterReset::Unknown);
        }
        if !is_gauge && new.count < last.count {
            return Err(CounterReset::Reset);
        }
        if new.schema != last.schema || new.zero_threshold != last.zero_threshold {
            return Err(CounterReset::Unknown);
        }
        let has_fallen = new.zero_count < last.zero_count || new.has_fallen_since(last);
        if new.custom_bounds != last.custom_bounds || (!is_gauge && has_fallen) {
            return Err(CounterReset::Reset);
        }
        Ok(())
    }
}
