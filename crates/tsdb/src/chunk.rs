//! Chunks: runs of samples of one series, compressed.

mod bits;
pub(crate) mod xor;

pub(crate) use xor::{XorChunk, XorSamples};
