//! Series named by a hash of the bytes by which their sender names them.
//!
//! Two senders who write the same labels in different bytes get two keys of one series. Nobody
//! outside can make two series' keys collide: the hash is keyed with bytes that die with the process.

use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};

use storage::SeriesKey;
use xxhash_rust::xxh3::xxh3_128_with_secret;

/// What keys are hashed with.
#[derive(Clone)]
pub struct KeySecret([u8; 192]);

impl KeySecret {
    /// From the operating system's randomness.
    pub fn random() -> Self {
        let mut secret = [0; 192];
        for word in secret.chunks_exact_mut(8) {
            word.copy_from_slice(&RandomState::new().build_hasher().finish().to_le_bytes());
        }
        Self(secret)
    }

    #[inline]
    pub(super) fn hash(&self, bytes: &[u8]) -> u128 {
        xxh3_128_with_secret(bytes, &self.0)
    }

    #[inline]
    pub(super) fn key(&self, bytes: &[u8]) -> SeriesKey {
        SeriesKey(self.hash(bytes))
    }
}

impl fmt::Debug for KeySecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeySecret(…)")
    }
}
