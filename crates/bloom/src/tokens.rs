//! Text to word pieces.

use tokenizers::{Tokenizer, TruncationParams};

/// A text as the encoder reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tokens {
    /// At least one, at most `max_tokens`, each below `vocabulary`.
    pub(crate) ids: Box<[u32]>,
    /// Whether the text went on.
    pub(crate) truncated: bool,
}

/// A tokenizer with its limits enforced.
#[derive(Debug)]
pub(crate) struct TextTokenizer(Tokenizer);

impl TextTokenizer {
    /// Reads `tokenizer.json`; the error says what is wrong with it.
    pub(crate) fn new(file: &[u8], vocabulary: usize, max_tokens: usize) -> Result<Self, String> {
        let problem = |error: tokenizers::Error| error.to_string();
        let mut tokenizer = Tokenizer::from_bytes(file).map_err(problem)?;
        if tokenizer.get_vocab(true).values().any(|&id| id as usize >= vocabulary) {
            return Err(format!("holds ids beyond the {vocabulary} of the configuration"));
        }
        let truncation = TruncationParams { max_length: max_tokens, ..Default::default() };
        tokenizer.with_padding(None).with_truncation(Some(truncation)).map_err(problem)?;
        let tokenizer = Self(tokenizer);
        for sample in ["", "\u{E000}"] {
            if tokenizer.try_encode(sample).map_err(problem)?.ids.is_empty() {
                return Err("gives no tokens for some texts".into());
            }
        }
        Ok(tokenizer)
    }

    pub(crate) fn encode(&self, text: &str) -> Tokens {
        self.try_encode(text).expect("word pieces have a token for what they do not know")
    }

    fn try_encode(&self, text: &str) -> Result<Tokens, tokenizers::Error> {
        let encoding = self.0.encode_fast(text, true)?;
        let truncated = !encoding.get_overflowing().is_empty();
        Ok(Tokens { ids: encoding.get_ids().into(), truncated })
    }
}
