//! The stated limits of what authors and learners may send.

/// Longest stem in bytes.
pub const STEM: usize = 8_000;
/// Longest option, accepted answer or matching text in bytes.
pub const OPTION: usize = 2_000;
/// Longest feedback or explanation in bytes.
pub const FEEDBACK: usize = 4_000;
/// Longest title in bytes.
pub const TITLE: usize = 200;
/// Most options, accepted answers or pairs in a question.
pub const OPTIONS: usize = 26;
/// Most tags of a question.
pub const TAGS: usize = 32;
/// Longest tag in bytes.
pub const TAG: usize = 100;
/// Longest text that a learner may answer with, in bytes.
pub const RESPONSE: usize = 4_000;
/// Questions after which a test ends.
pub const TEST_LENGTH: usize = 30;
/// Longest text to classify, in bytes.
pub const CLASSIFY_TEXT: usize = 10_000;
/// Most texts to classify in one request.
pub const CLASSIFY_BATCH: usize = 64;
/// Largest request body in bytes, but for imports.
pub const BODY: usize = 1024 * 1024;
/// Largest import in bytes.
pub const IMPORT: usize = 4 * 1024 * 1024;
