//! Batches with many samples that come late.

use std::time::Instant;

use super::*;

fn with_window() -> (TempDir, Options) {
    let (dir, mut options) = fresh();
    options.out_of_order_window = Duration::from_secs(2 * 3600);
    (dir, options)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_batch_stores_what_its_samples_would_one_by_one(
        batches in prop::collection::vec(
            prop::collection::vec((0..150i64, 0..2i64), 1..200), 1..4),
    ) {
        let (_dir, options) = with_window();
        let (_other_dir, other_options) = with_window();
        let (db, one_by_one) = (open(&options), open(&other_options));
        for batch in batches {
            let samples: Vec<_> =
                batch.iter().map(|&(time, value)| ("a", at(time, value as f64))).collect();
            let reasons = |appended: Appended| {
                let rejected = appended.rejected.into_iter();
                rejected.map(|rejected| (rejected.timestamp, rejected.reason)).collect::<Vec<_>>()
            };
            let found = reasons(append(&db, &samples).unwrap());
            let expect: Vec<_> = samples
                .iter()
                .flat_map(|&sample| reasons(append(&one_by_one, &[sample]).unwrap()))
                .collect();
            prop_assert_eq!(found, expect);
            prop_assert_eq!(contents(&db), contents(&one_by_one));
        }
        drop(db);
        prop_assert_eq!(contents(&open(&options)), contents(&one_by_one));
    }
}

#[test]
fn late_batches_of_one_series_take_time_in_proportion() {
    const SAMPLES: i64 = 100_000;
    let (_dir, options) = with_window();
    let db = open(&options);
    append(&db, &[("a", at(2 * HOUR, 1.0))]).unwrap();
    let began = Instant::now();
    for shift in [0, 1, 1] {
        let samples: Vec<_> =
            (0..SAMPLES).map(|i| ("a", at(i * 7919 % SAMPLES * 2 + shift, 0.0))).collect();
        let appended = append(&db, &samples).unwrap();
        assert_eq!((appended.samples, appended.rejected.len()), (SAMPLES as u64, 0));
    }
    let took = began.elapsed();
    assert!(took < Duration::from_secs(20), "{took:?}");
    assert_eq!(db.metrics.repeated.get(), SAMPLES as u64);
    let before = contents(&db);
    drop(db);
    let began = Instant::now();
    assert_eq!(contents(&open(&options)), before);
    let took = began.elapsed();
    assert!(took < Duration::from_secs(20), "replayed in {took:?}");
}
