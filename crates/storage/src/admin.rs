//! What operators ask of the database beside data.

use std::io;

use model::{Matcher, TimeRange};

use crate::QueryError;

/// Implemented by the database. Calls wait for one another and for compactions, which may take
/// minutes: keep them off async threads.
pub trait Admin: Send + Sync {
    /// Deletes the samples within `range` of the series that meet all matchers of any one set. What is
    /// appended later stays, whatever its time. A call that failed may have deleted a part.
    fn delete(&self, matcher_sets: &[Vec<Matcher>], range: TimeRange) -> Result<(), AdminError>;

    /// Takes what was deleted off the disk, by writing what holds it anew.
    fn clean_tombstones(&self) -> Result<(), AdminError>;

    /// Copies everything stored, or, where not `with_head`, what is in blocks, to where a database can
    /// be opened on it. `name` is a plain file name that is not taken yet.
    fn snapshot(&self, name: &str, with_head: bool) -> Result<(), AdminError>;
}

#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    #[error(transparent)]
    Read(#[from] QueryError),
    #[error("{action}")]
    Write { action: &'static str, source: io::Error },
}

impl AdminError {
    /// For `map_err`: what was being done when writing failed.
    pub fn while_doing(action: &'static str) -> impl Fn(io::Error) -> Self {
        move |source| Self::Write { action, source }
    }
}
