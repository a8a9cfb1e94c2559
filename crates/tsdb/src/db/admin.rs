//! What operators ask for.

use model::{Matcher, TimeRange};
use storage::{Admin, AdminError};

use super::Db;

impl Admin for Db {
    fn delete(&self, matcher_sets: &[Vec<Matcher>], range: TimeRange) -> Result<(), AdminError> {
        self.delete_series(matcher_sets, range)
    }

    fn clean_tombstones(&self) -> Result<(), AdminError> {
        self.clean_blocks()
    }

    fn snapshot(&self, name: &str, with_head: bool) -> Result<(), AdminError> {
        self.snapshot_to(name, with_head)
    }
}
