//! Room for recursion over deep trees.

use std::{io, panic, thread};

/// Only reserved; what is not used takes no memory.
const STACK_BYTES: usize = 256 << 20;

/// Runs `work` on a stack of its own, which is large enough for every tree that can be parsed. An
/// error if no thread can be started.
pub(crate) fn with_deep_stack<T: Send>(work: impl FnOnce() -> T + Send) -> io::Result<T> {
    thread::scope(|scope| {
        let thread = thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, work)?;
        Ok(thread.join().unwrap_or_else(|panic| panic::resume_unwind(panic)))
    })
}
