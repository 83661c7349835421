//! Classifications of texts that were seen lately, within a bound of memory.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use lru::LruCache;

use crate::Classification;

/// Memory that an entry takes besides its text: the classification, and the list and the table
/// that hold it.
const ENTRY: usize = 320;

/// The least recently used texts are forgotten first.
#[derive(Debug)]
pub(crate) struct Cache {
    entries: Mutex<Entries>,
    most_bytes: usize,
    hits: AtomicU64,
    misses: AtomicU64,
}

#[derive(Debug)]
struct Entries {
    by_text: LruCache<Box<str>, Classification>,
    bytes: usize,
}

impl Cache {
    pub(crate) fn new(most_bytes: usize) -> Self {
        let entries = Entries { by_text: LruCache::unbounded(), bytes: 0 };
        Self {
            entries: Mutex::new(entries),
            most_bytes,
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        }
    }

    /// The classification of each text, if it is known.
    pub(crate) fn get(&self, texts: &[impl AsRef<str>]) -> Vec<Option<Classification>> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let found: Vec<_> =
            texts.iter().map(|text| entries.by_text.get(text.as_ref()).cloned()).collect();
        drop(entries);
        let hits = found.iter().flatten().count();
        self.hits.fetch_add(hits as u64, Ordering::Relaxed);
        self.misses.fetch_add((found.len() - hits) as u64, Ordering::Relaxed);
        found
    }

    pub(crate) fn put(&self, text: &str, classification: &Classification) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let known = entries.by_text.put(text.into(), classification.clone()).is_some();
        entries.bytes += if known { 0 } else { text.len() + ENTRY };
        while entries.bytes > self.most_bytes {
            let Some((text, _)) = entries.by_text.pop_lru() else { break };
            entries.bytes -= text.len() + ENTRY;
        }
    }

    /// Texts that were found and texts that were not, since the start.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.hits.load(Ordering::Relaxed), self.misses.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use quizmentor_core::Level;

    use super::*;
    use crate::{Language, Verdict};

    fn classification(top: Level) -> Classification {
        Classification {
            verdict: Verdict::Question,
            top,
            unsure: false,
            levels: vec![top],
            probabilities: [0.5; 6].into(),
            language: Language { code: "eng".into(), confidence: 1.0, known: true },
            truncated: false,
        }
    }

    #[test]
    fn the_texts_used_last_stay_within_the_bound() {
        let cache = Cache::new(3 * (ENTRY + 1));
        for text in ["a", "b", "c"] {
            cache.put(text, &classification(Level::Apply));
        }
        assert!(cache.get(&["a"])[0].is_some());
        cache.put("d", &classification(Level::Create));
        let found = cache.get(&["a", "b", "c", "d"]);
        assert_eq!(
            found.iter().map(Option::is_some).collect::<Vec<_>>(),
            [true, false, true, true]
        );
        assert_eq!(found[3], Some(classification(Level::Create)));
        assert_eq!(cache.counts(), (4, 1));
    }

    #[test]
    fn a_text_put_again_counts_once() {
        let cache = Cache::new(2 * (ENTRY + 1));
        for _ in 0..5 {
            cache.put("a", &classification(Level::Apply));
        }
        cache.put("b", &classification(Level::Apply));
        assert!(cache.get(&["a", "b"]).iter().all(Option::is_some));
    }

    #[test]
    fn what_is_larger_than_the_bound_is_not_kept() {
        let cache = Cache::new(ENTRY);
        cache.put("a text", &classification(Level::Apply));
        assert_eq!(cache.get(&["a text"]), [None]);
    }
}
