//! Any text becomes word pieces: at least one, not too many, all of them known.

#![no_main]

#[path = "../../crates/bloom/src/tokens.rs"]
mod tokens;

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tokens::TextTokenizer;

const FILE: &[u8] = include_bytes!("../../models/bloom/tokenizer.json");
const VOCABULARY: usize = 27_950;
const MOST: usize = 128;

static TOKENIZER: LazyLock<TextTokenizer> =
    LazyLock::new(|| TextTokenizer::new(FILE, VOCABULARY, MOST).expect("the model's own"));

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let tokens = TOKENIZER.encode(&text);
    assert!((1..=MOST).contains(&tokens.ids.len()));
    assert!(tokens.ids.iter().all(|&id| (id as usize) < VOCABULARY));
    assert_eq!(tokens, TOKENIZER.encode(&text));
});
