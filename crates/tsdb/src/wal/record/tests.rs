use model::Labels;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn logged((id, time, bits): (u64, i64, u64)) -> LoggedSample {
    let sample = Sample { timestamp: Timestamp::from_millis(time), value: f64::from_bits(bits) };
    LoggedSample { series: LogSeries(id), sample }
}

proptest! {
    #[test]
    fn a_samples_record_holds_what_was_put_in(samples in vec(any::<(u64, i64, u64)>(), 1..50)) {
        let samples: Vec<_> = samples.into_iter().map(logged).collect();
        let mut builder = RecordBuilder::new();
        samples.iter().for_each(|&sample| builder.sample(sample));
        let Ok(Record::Samples(record)) = Record::parse(builder.bytes()) else { panic!() };
        prop_assert_eq!(record.collect::<Result<Vec<_>, _>>().unwrap(), samples);
    }

    #[test]
    fn a_series_record_holds_what_was_put_in(
        sets in vec((any::<u64>(), prop::collection::btree_map("[a-zé]{1,3}", ".{1,9}", 0..5)), 1..5),
    ) {
        let mut builder = RecordBuilder::new();
        let sets: Vec<(LogSeries, Labels)> =
            sets.into_iter().map(|(id, pairs)| (LogSeries(id), pairs.into_iter().collect())).collect();
        sets.iter().for_each(|(id, labels)| builder.series(*id, labels.iter()));
        let sets: Vec<_> = sets.iter().map(|(id, labels)| (*id, labels.iter().collect())).collect();
        let Ok(Record::Series(record)) = Record::parse(builder.bytes()) else { panic!() };
        prop_assert_eq!(record.collect::<Result<Vec<_>, _>>().unwrap(), sets);
    }

    #[test]
    fn a_metadata_record_holds_what_was_put_in(
        id: u64, family: Option<String>, help: String, unit: String, code in 0u64..8,
    ) {
        let metadata = Metadata { metric_type: MetricType::from_number(code), help, unit };
        let logged = LoggedMetadata { series: LogSeries(id), family, metadata };
        let mut builder = RecordBuilder::new();
        builder.metadata(&logged);
        let Ok(Record::Metadata(mut record)) = Record::parse(builder.bytes()) else { panic!() };
        prop_assert_eq!(record.next(), Some(Ok(logged)));
        prop_assert_eq!(record.next(), None);
    }

    #[test]
    fn any_bytes_parse_or_are_refused(kind in 0u8..12, mut bytes: Vec<u8>) {
        bytes.insert(0, kind);
        match Record::parse(&bytes) {
            Ok(Record::Series(record)) => drop(record.take_while(Result::is_ok).count()),
            Ok(Record::Samples(record)) => drop(record.take_while(Result::is_ok).count()),
            Ok(Record::Metadata(record)) => drop(record.take_while(Result::is_ok).count()),
            Ok(Record::Exemplars(record)) => drop(record.take_while(Result::is_ok).count()),
            Ok(Record::Histograms(record)) => drop(record.take_while(Result::is_ok).count()),
            Ok(Record::Tombstones(record)) => drop(record.take_while(Result::is_ok).count()),
            Ok(Record::Other(_)) | Err(BadRecord) => {}
        }
    }
}

#[test]
fn labels_of_a_foreign_writer_are_put_in_order() {
    let labels = b"\x04\x01b\x013\x01b\x011\x01c\x00\x01a\x012";
    let bytes = [&[SERIES][..], &7u64.to_be_bytes(), labels].concat();
    let Ok(Record::Series(mut record)) = Record::parse(&bytes) else { panic!() };
    let (id, labels) = record.next().unwrap().unwrap();
    assert_eq!((id, labels), (LogSeries(7), vec![("a", "2"), ("b", "1")]));
}

/// POINTS-1, POINTS-2.
#[test]
fn more_points_than_a_record_takes_are_in_order_in_several() {
    let sample = |i: u64| logged((i % 3, i as i64 * 1_000_003, i));
    let mut records = points::PointRecords::default();
    for i in 0..300_000 {
        let LoggedSample { series, sample } = sample(i);
        records.push(series, &sample.into());
    }
    let sizes: Vec<_> = records.records().map(<[u8]>::len).collect();
    assert!(sizes.iter().all(|&bytes| bytes < points::RECORD_BYTES + 64), "{sizes:?}");
    let samples = records.records().flat_map(|record| match Record::parse(record).unwrap() {
        Record::Samples(entries) => entries.map(Result::unwrap).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    });
    assert!(samples.eq((0..300_000).map(sample)));
}
