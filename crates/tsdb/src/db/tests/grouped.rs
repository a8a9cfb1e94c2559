//! Series by groups, whose samples stay in the head until they are read.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use storage::{Append, Columns, Grouping, Query, Selection, SeriesSet};

use super::{HOUR, Labels, TimeRange, append, at, fresh, labels, open, read};

fn select(db: &super::Db, grouping: Grouping) -> Box<dyn SeriesSet> {
    let mut selection = Selection::new(TimeRange::ALL, Vec::new());
    selection.hints.grouping = Some(grouping);
    selection.hints.only_groups = true;
    db.select(&selection).unwrap()
}

#[test]
fn series_fall_into_the_groups_that_their_labels_say() {
    let (_dir, options) = fresh();
    let db = open(&options);
    let series: Vec<Labels> = (0..60)
        .map(|n| {
            let region = format!("r{}", n % 3);
            let region = if n % 5 == 0 { "" } else { region.as_str() };
            let (pod, zone) = (format!("p{n}"), format!("z{}", n % 2));
            let pairs = [("__name__", "m"), ("pod", &pod), ("region", region), ("zone", &zone)];
            pairs.into_iter().collect()
        })
        .collect();
    let mut batch = db.appender();
    for (n, labels) in series.iter().enumerate() {
        let series = batch.series(labels, None).unwrap();
        batch.sample(series, at(1, n as f64)).unwrap();
    }
    batch.commit().unwrap();
    let check = |grouping: Grouping, groups: usize| {
        let set = select(&db, grouping.clone());
        assert_eq!(set.groups().unwrap().labels.len(), groups, "{grouping:?}");
        for index in 0..set.len() {
            let mut columns = Columns::default();
            set.read(index, &mut columns).unwrap();
            let labels = &series[columns.values[0] as usize];
            assert_eq!(set.labels(index), grouping.labels(labels), "{grouping:?} of {labels}");
        }
        assert_eq!(set.len(), series.len(), "{grouping:?}");
    };
    let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    check(Grouping::By(names(&[])), 1);
    check(Grouping::By(names(&["region"])), 4);
    check(Grouping::By(names(&["zone", "nothing", "region", "zone"])), 8);
    check(Grouping::By(names(&["__name__"])), 1);
    check(Grouping::By(names(&["pod"])), 60);
    check(Grouping::Without(names(&["pod"])), 8);
    check(Grouping::Without(names(&["pod", "zone", "region"])), 1);
    check(Grouping::Without(names(&[])), 60);
}

/// QUERY-1.
#[test]
fn what_is_appended_later_does_not_show() {
    let (_dir, options) = fresh();
    let db = open(&options);
    append(&db, &[("a", at(1, 1.0)), ("b", at(1, 1.0))]).unwrap();
    let set = select(&db, Grouping::By(vec!["__name__".to_owned(), "series".to_owned()]));
    append(&db, &[("a", at(2, 2.0)), ("c", at(2, 2.0))]).unwrap();
    let before = [(labels("a"), vec![at(1, 1.0)]), (labels("b"), vec![at(1, 1.0)])];
    assert_eq!(read(&*set), before.into());
}

/// READERS-1.
#[test]
fn what_goes_into_a_block_stays_for_whoever_reads_it() {
    let (_dir, options) = fresh();
    let db = open(&options);
    append(&db, &[("a", at(1, 1.0))]).unwrap();
    append(&db, &[("b", at(4 * HOUR, 2.0))]).unwrap();
    let set = select(&db, Grouping::By(vec!["__name__".to_owned(), "series".to_owned()]));
    let is_done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            db.maintain().unwrap();
            is_done.store(true, Ordering::SeqCst);
        });
        while db.blocks.all().is_empty() {
            thread::sleep(Duration::from_millis(1));
        }
        thread::sleep(Duration::from_millis(20));
        assert!(!is_done.load(Ordering::SeqCst));
        let all = [(labels("a"), vec![at(1, 1.0)]), (labels("b"), vec![at(4 * HOUR, 2.0)])];
        assert_eq!(read(&*set), all.into());
        drop(set);
    });
    assert_eq!(super::contents(&db).len(), 2);
}
