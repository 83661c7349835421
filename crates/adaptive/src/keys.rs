//! Stable 64-bit names of items and skills.
//!
//! States refer to items and skills by a hash of their identifiers, so that they survive any change
//! of the catalogue. Among n identifiers two collide with probability about n²/2⁶⁵: 3 in 10⁸ for
//! a million. A collision would merge the statistics of two items and nothing else.

use std::hash::{BuildHasherDefault, Hasher};

use quizmentor_core::{QuestionId, SkillId};
use serde::{Deserialize, Serialize};

/// FNV-1a with the finaliser of MurmurHash3; fixed for ever, because it is stored.
pub(crate) fn hash_text(text: &str) -> u64 {
    let fnv = text
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325, |h: u64, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    mix(fnv)
}

/// Spreads every bit of `x` over the result (the finaliser of MurmurHash3).
pub(crate) fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    x = (x ^ (x >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    x ^ (x >> 33)
}

macro_rules! key {
    ($(#[$doc:meta])* $name:ident, $id:ty) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(#[serde(with = "postcard::fixint::le")] pub u64);

        impl $name {
            /// The key of the identifier `text`.
            #[must_use]
            pub fn of(text: &str) -> Self {
                Self(hash_text(text))
            }
        }

        impl From<&$id> for $name {
            fn from(id: &$id) -> Self {
                Self::of(id.as_str())
            }
        }
    };
}

key!(
    /// Key of an item: a hash of its [`QuestionId`].
    ItemKey,
    QuestionId
);
key!(
    /// Key of a skill: a hash of its [`SkillId`].
    SkillKey,
    SkillId
);

/// Takes a key as its own hash.
#[derive(Default)]
pub(crate) struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &b in bytes {
            self.0 = mix(self.0 ^ u64::from(b));
        }
    }

    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }
}

/// A map by key, without hashing the hash.
pub(crate) type KeyMap<K, V> = std::collections::HashMap<K, V, BuildHasherDefault<KeyHasher>>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_never_change() {
        assert_eq!(ItemKey::of("bio-001").0, hash_text("bio-001"));
        assert_eq!(hash_text(""), mix(0xcbf2_9ce4_8422_2325));
        assert_ne!(ItemKey::of("a").0, ItemKey::of("b").0);
    }
}
