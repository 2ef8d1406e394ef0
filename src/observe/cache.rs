//! Outputs of check Jobs that were read already: an ended Job prints nothing more, so they are never outdated.

use std::collections::VecDeque;

use super::outputs::Declared;
use crate::plan::observed::Output;

/// Reports kept in memory, by the bytes of the reports they were read from: eight of the largest, or thousands of usual
/// ones. One that falls out is only read again.
const CACHE_BYTES: usize = 64 * 1024 * 1024;

/// A Job by UID, and the format its output is read by.
pub(super) type Key = (String, Declared);

/// Outputs by Job and format, the longest unused first.
#[derive(Debug, Default)]
pub(super) struct Cache {
    entries: VecDeque<(Key, Output, usize)>,
    bytes: usize,
}

impl Cache {
    pub(super) fn get(&mut self, key: &Key) -> Option<Output> {
        let at = self.entries.iter().position(|(found, _, _)| found == key)?;
        let entry = self.entries.remove(at)?;
        let output = entry.1.clone();
        self.entries.push_back(entry);
        Some(output)
    }

    pub(super) fn put(&mut self, key: Key, output: Output, size: usize) {
        // What is kept beside the report's content, so that a thousand empty ones count for something too.
        let size = size + 1024;
        self.bytes += size;
        self.entries.push_back((key, output, size));
        while self.bytes > CACHE_BYTES && self.entries.len() > 1 {
            let Some((_, _, size)) = self.entries.pop_front() else { break };
            self.bytes -= size;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_unused_output_is_forgotten_first() {
        let mut cache = Cache::default();
        let key = |job: &str| (job.to_owned(), Declared::Unknown);
        let output = || Output::Unusable(String::new());
        cache.put(key("a"), output(), CACHE_BYTES / 2);
        cache.put(key("b"), output(), CACHE_BYTES / 4);
        assert!(cache.get(&key("a")).is_some());
        cache.put(key("c"), output(), CACHE_BYTES / 3);
        assert!(cache.get(&key("b")).is_none());
        assert!(cache.get(&key("a")).is_some() && cache.get(&key("c")).is_some());
        assert!(cache.bytes <= CACHE_BYTES);
    }
}
