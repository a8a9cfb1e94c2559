//! Commits that wait for the disk.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

fn waiting_for_the_disk() -> (TempDir, Options) {
    let (dir, mut options) = fresh();
    options.sync_before_ack = true;
    options.out_of_order_window = Duration::from_secs(3600);
    (dir, options)
}

fn before_each_sync(db: &Db, act: impl Fn() -> io::Result<()> + Send + Sync + 'static) {
    *db.durable.fault.lock() = Some(Box::new(act));
}

/// SYNC-1.
#[test]
fn a_commit_is_acknowledged_when_the_disk_has_it() {
    let (_dir, options) = waiting_for_the_disk();
    let db = open(&options);
    append(&db, &[("a", at(2, 1.0))]).unwrap();
    let refused: [&[_]; 2] = [&[("a", at(3, 1.0))], &[("a", at(1, 1.0))]];
    before_each_sync(&db, || Err(io::Error::other("no disk")));
    for batch in refused {
        assert!(append(&db, batch).unwrap_err().is_retryable());
        assert!(append(&db, batch).is_err(), "nor is what is stored already");
    }
    assert_eq!(db.metrics.log_write_errors.get(), 4);
    before_each_sync(&db, || Ok(()));
    for batch in refused {
        assert_eq!(append(&db, batch).unwrap().samples, 1);
    }
    let expect = contents_of(&[("a", at(1, 1.0)), ("a", at(2, 1.0)), ("a", at(3, 1.0))]);
    assert_eq!(contents(&db), expect);
    drop(db);
    assert_eq!(contents(&open(&options)), expect);
}

#[test]
fn commits_share_syncs_and_go_on_meanwhile() {
    const WRITERS: usize = 8;
    const COMMITS: usize = 25;
    let (_dir, options) = waiting_for_the_disk();
    let db = open(&options);
    let syncs = Arc::new(AtomicUsize::new(0));
    let (counter, weak) = (Arc::clone(&syncs), Arc::downgrade(&db));
    before_each_sync(&db, move || {
        counter.fetch_add(1, Ordering::Relaxed);
        std::thread::sleep(Duration::from_millis(2));
        let db = weak.upgrade().unwrap();
        assert!(db.committer.try_lock_for(Duration::from_secs(10)).is_some());
        Ok(())
    });
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let db = &db;
            scope.spawn(move || {
                for i in 0..COMMITS {
                    append(db, &[(&writer.to_string(), at(i as i64, 1.0))]).unwrap();
                }
            });
        }
    });
    let syncs = syncs.load(Ordering::Relaxed);
    assert!(syncs <= WRITERS * COMMITS / 2, "{syncs} syncs");
    drop(db);
    let found = contents(&open(&options));
    assert_eq!(found.values().map(Vec::len).collect::<Vec<_>>(), [COMMITS; WRITERS]);
}
