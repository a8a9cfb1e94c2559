//! The wall clock of this crate's sockets; everything below them is told the time.

use std::time::{SystemTime, UNIX_EPOCH};

use model::{Timestamp, time};

pub(crate) fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(time::millis(since_epoch))
}
