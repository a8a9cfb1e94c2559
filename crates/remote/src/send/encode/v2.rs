//! Remote write 2.0: a message holds every text once, and series refer to texts by number.

use model::{Point, SampleValue};
use rustc_hash::FxHashMap;
use tsdb::LogItem;

use super::{histogram, runs};
use crate::send::queue::Entry;
use crate::send::series::{Described, Forwarded, SentLabels};
use crate::send::symbols::{Symbol, Table};
use crate::wire::{put_bytes, put_double, put_int64, put_length, put_varint};

/// Writes one message after another. Numbering the texts of one costs no hashing: they have numbers
/// already, those of the destination.
#[derive(Debug, Default)]
pub(in crate::send) struct Writer {
    /// Where a symbol stands in the message of this number.
    places: Vec<Place>,
    message: u32,
    texts: Texts,
    series: Vec<u8>,
    refs: Vec<u8>,
    fields: Vec<u8>,
    item: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Place {
    message: u32,
    number: u32,
}

/// The texts of one message, written already. The first one is empty.
#[derive(Debug, Default)]
struct Texts {
    written: Vec<u8>,
    count: u32,
    /// Texts that are not the destination's: exemplars' labels differ each time.
    others: FxHashMap<Box<str>, u32>,
}

impl Texts {
    fn begin(&mut self) {
        self.written.clear();
        self.others.clear();
        self.count = 0;
        self.add("");
    }

    fn add(&mut self, text: &str) -> u32 {
        put_bytes(&mut self.written, 4, text.as_bytes());
        self.count += 1;
        self.count - 1
    }

    fn other(&mut self, text: &str) -> u32 {
        match self.others.get(text) {
            Some(number) => *number,
            None => {
                let number = self.add(text);
                self.others.insert(text.into(), number);
                number
            }
        }
    }
}

impl Writer {
    /// Appends a `Request`.
    pub(in crate::send) fn write_request(
        &mut self,
        out: &mut Vec<u8>,
        entries: &[Entry],
        symbols: &Table,
    ) {
        self.begin(symbols);
        for run in runs(entries) {
            self.fields.clear();
            self.put_labels(&run[0].series, symbols);
            for entry in run {
                self.item.clear();
                let number = self.put_item(&entry.item, symbols);
                put_bytes(&mut self.fields, number, &self.item);
            }
            if let Some(described) = run[0].series.metric.take_due() {
                self.put_metadata(described, symbols);
            }
            put_bytes(&mut self.series, 5, &self.fields);
        }
        out.extend_from_slice(&self.texts.written);
        out.extend_from_slice(&self.series);
    }

    fn begin(&mut self, symbols: &Table) {
        self.message = self.message.wrapping_add(1);
        if self.message == 0 {
            self.places.clear(); // numbers come again
            self.message = 1;
        }
        self.places.resize(symbols.len(), Place::default());
        self.texts.begin();
        self.series.clear();
    }

    /// The number of a text in the message.
    fn refer(&mut self, symbol: Symbol, symbols: &Table) -> u32 {
        let place = &mut self.places[symbol.index()];
        if place.message != self.message {
            let text = symbols.text(symbol);
            let number = if text.is_empty() { 0 } else { self.texts.add(text) };
            *place = Place { message: self.message, number };
        }
        place.number
    }

    fn put_labels(&mut self, series: &Forwarded, symbols: &Table) {
        let SentLabels::Symbols(pairs) = &series.labels else {
            unreachable!("labels are only ever written for 1.0 once no more 2.0 is sent")
        };
        self.refs.clear();
        for &symbol in pairs.as_flattened() {
            let number = self.refer(symbol, symbols);
            put_varint(&mut self.refs, number.into());
        }
        put_bytes(&mut self.fields, 1, &self.refs);
    }

    /// As in 1.0, but for the labels of exemplars and the number of the field.
    fn put_item(&mut self, item: &LogItem, symbols: &Table) -> u8 {
        let out = &mut self.item;
        match item {
            LogItem::Point(Point { timestamp, value: SampleValue::Float(value) }) => {
                put_double(out, 1, *value);
                put_int64(out, 2, timestamp.as_millis());
                2
            }
            LogItem::Point(Point { timestamp, value: SampleValue::Histogram(histogram) }) => {
                histogram::put(out, *timestamp, histogram);
                3
            }
            LogItem::Exemplar(exemplar) => {
                self.refs.clear();
                for text in exemplar.labels.iter().flat_map(|(name, value)| [name, value]) {
                    let number = match symbols.find(text) {
                        Some(symbol) => self.refer(symbol, symbols),
                        None => self.texts.other(text),
                    };
                    put_varint(&mut self.refs, number.into());
                }
                let out = &mut self.item;
                put_bytes(out, 1, &self.refs);
                put_double(out, 2, exemplar.value);
                put_int64(out, 3, exemplar.timestamp.as_millis());
                4
            }
        }
    }

    fn put_metadata(&mut self, described: Described, symbols: &Table) {
        let [help, unit] =
            [described.help, described.unit].map(|symbol| self.refer(symbol, symbols));
        self.item.clear();
        for (field, number) in [(1, described.metric_type.into()), (3, help), (4, unit)] {
            if number != 0 {
                put_int64(&mut self.item, field, number.into());
            }
        }
        put_length(&mut self.fields, 5, self.item.len());
        self.fields.extend_from_slice(&self.item);
    }
}
