//! Who reads the head series by series, and so for longer than a snapshot is open.
//!
//! - READERS-1: what a reader may still come to leaves the head only when the reader is gone: whoever
//!   takes out what a block has waits for those that began before the block was listed.

use std::collections::BTreeSet;
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};

use super::Head;

#[derive(Debug, Default)]
pub(crate) struct Readers {
    state: Mutex<State>,
    ended: Condvar,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    open: BTreeSet<u64>,
}

impl Readers {
    /// Waits until everyone is gone who has begun by now.
    pub(crate) fn wait(&self) {
        let mut state = self.state.lock();
        let next = state.next;
        while state.open.first().is_some_and(|&first| first < next) {
            self.ended.wait(&mut state);
        }
    }
}

/// One who reads, until it is dropped.
#[derive(Debug)]
pub(crate) struct Reader {
    pub(crate) head: Arc<Head>,
    number: u64,
}

impl Reader {
    pub(crate) fn begin(head: &Arc<Head>) -> Self {
        let mut state = head.readers.state.lock();
        let number = state.next;
        state.next += 1;
        state.open.insert(number);
        Self { head: Arc::clone(head), number }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let readers = &self.head.readers;
        readers.state.lock().open.remove(&self.number);
        readers.ended.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_leaves_waits_for_those_who_began_before() {
        let head = Arc::new(Head::new(0));
        let before = Reader::begin(&head);
        let waited = AtomicBool::new(false);
        thread::scope(|scope| {
            let waiter = scope.spawn(|| {
                head.readers.wait();
                waited.store(true, Ordering::SeqCst);
            });
            thread::sleep(Duration::from_millis(50));
            assert!(!waited.load(Ordering::SeqCst));
            let after = Reader::begin(&head);
            drop(before);
            waiter.join().unwrap();
            drop(after);
        });
        head.readers.wait();
    }
}
