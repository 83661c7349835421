//! Text to word pieces.

use tokenizers::{Tokenizer, TruncationParams};

use crate::{Error, artifact::Artifact};

/// A text as the encoder reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tokens {
    /// At least one, at most `max_tokens`, each below `vocabulary`.
    pub(crate) ids: Box<[u32]>,
    /// Whether the text went on.
    pub(crate) truncated: bool,
}

/// The artifact's tokenizer, with its limits enforced.
#[derive(Debug)]
pub(crate) struct TextTokenizer(Tokenizer);

impl TextTokenizer {
    pub(crate) fn new(artifact: &Artifact) -> Result<Self, Error> {
        let problem = |error: tokenizers::Error| artifact.tokenizer_problem(error.to_string());
        let config = &artifact.config.encoder;
        let mut tokenizer = Tokenizer::from_bytes((*artifact.tokenizer).as_ref()).map_err(problem)?;
        let vocabulary = tokenizer.get_vocab(true);
        if vocabulary.values().any(|&id| id as usize >= config.vocabulary) {
            return Err(artifact.tokenizer_problem(format!(
                "holds ids beyond the {} of the configuration",
                config.vocabulary
            )));
        }
        let truncation = TruncationParams { max_length: config.max_tokens, ..Default::default() };
        tokenizer.with_padding(None).with_truncation(Some(truncation)).map_err(problem)?;
        let tokenizer = Self(tokenizer);
        for sample in ["", "\u{E000}"] {
            if tokenizer.try_encode(sample).map_err(problem)?.ids.is_empty() {
                return Err(artifact.tokenizer_problem("gives no tokens for some texts"));
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
