//! Reading an artifact: `config.json`, `tokenizer.json`, `model.safetensors`, `words.safetensors`,
//! and `SHA256SUMS` where it is present.

use std::{
    fs,
    path::{Path, PathBuf},
};

use quizmentor_core::Level;
use safetensors::{Dtype, SafeTensors};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::Error;

const FORMAT: u32 = 1;
const CONFIG: &str = "config.json";
const TOKENIZER: &str = "tokenizer.json";
const WEIGHTS: &str = "model.safetensors";
const WORDS: &str = "words.safetensors";
const SUMS: &str = "SHA256SUMS";
/// The stored byte that stands for a weight of 0.
const ZERO_POINT: f32 = 128.0;

/// `config.json`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Config {
    pub(crate) format: u32,
    pub(crate) version: String,
    pub(crate) levels: Vec<Level>,
    pub(crate) encoder: EncoderConfig,
    /// Names of the labelling conventions, one a head.
    pub(crate) heads: Vec<String>,
    pub(crate) calibration: Calibration,
    pub(crate) threshold: f32,
}

/// Shape of the encoder.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct EncoderConfig {
    pub(crate) layers: usize,
    pub(crate) hidden: usize,
    pub(crate) attention_heads: usize,
    pub(crate) intermediate: usize,
    pub(crate) vocabulary: usize,
    pub(crate) max_tokens: usize,
    pub(crate) layer_norm_eps: f64,
    pub(crate) activation: String,
}

/// Last step on the mixture of the heads, by level.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Calibration {
    pub(crate) scale: [f64; 6],
    pub(crate) bias: [f64; 6],
}

impl Config {
    /// What keeps the engine from running such a model, if anything.
    fn problem(&self) -> Option<String> {
        let encoder = &self.encoder;
        let sizes = [
            encoder.layers,
            encoder.hidden,
            encoder.attention_heads,
            encoder.intermediate,
            encoder.vocabulary,
            self.heads.len(),
        ];
        let calibration = self.calibration.scale.iter().chain(&self.calibration.bias);
        if self.format != FORMAT {
            Some(format!("format {}; this version reads format {FORMAT}", self.format))
        } else if self.levels != Level::ALL {
            Some("levels must be the six of the taxonomy in order".into())
        } else if sizes.contains(&0) {
            Some(
                "layers, hidden, attention_heads, intermediate, vocabulary and heads must not be 0"
                    .into(),
            )
        } else if !encoder.hidden.is_multiple_of(encoder.attention_heads) {
            Some(format!(
                "hidden {} is no multiple of attention_heads {}",
                encoder.hidden, encoder.attention_heads
            ))
        } else if encoder.max_tokens < 3 {
            Some(format!("max_tokens {}; at least 3 are needed", encoder.max_tokens))
        } else if encoder.activation != "gelu_erf" {
            Some(format!("activation {:?}; only gelu_erf is known", encoder.activation))
        } else if !(encoder.layer_norm_eps > 0.0 && calibration.copied().all(f64::is_finite)) {
            Some("layer_norm_eps must be over 0 and calibration finite".into())
        } else if !(0.0..=1.0).contains(&self.threshold) {
            Some(format!("threshold {}; must be 0 to 1", self.threshold))
        } else {
            None
        }
    }
}

/// The files of an artifact, read and checked against their sums.
pub(crate) struct Artifact {
    dir: PathBuf,
    pub(crate) config: Config,
    pub(crate) tokenizer: Vec<u8>,
    weights: Vec<u8>,
    words: Vec<u8>,
}

impl Artifact {
    pub(crate) fn read(dir: &Path) -> Result<Self, Error> {
        let sums = Sums::read(dir)?;
        let bytes = read(dir, CONFIG, &sums)?;
        let config: Config = serde_json::from_slice(&bytes)
            .map_err(|error| problem(dir, CONFIG, error.to_string()))?;
        if let Some(found) = config.problem() {
            return Err(problem(dir, CONFIG, found));
        }
        Ok(Self {
            config,
            tokenizer: read(dir, TOKENIZER, &sums)?,
            weights: read(dir, WEIGHTS, &sums)?,
            words: read(dir, WORDS, &sums)?,
            dir: dir.to_owned(),
        })
    }

    /// The tensors of encoder, heads and gate.
    pub(crate) fn tensors(&self) -> Result<Tensors<'_>, Error> {
        self.tensors_of(WEIGHTS, &self.weights)
    }

    /// The vectors of the word pieces.
    pub(crate) fn words(&self) -> Result<Tensors<'_>, Error> {
        self.tensors_of(WORDS, &self.words)
    }

    fn tensors_of<'a>(&self, name: &str, bytes: &'a [u8]) -> Result<Tensors<'a>, Error> {
        match SafeTensors::deserialize(bytes) {
            Ok(tensors) => Ok(Tensors { file: self.dir.join(name), tensors }),
            Err(error) => Err(problem(&self.dir, name, error.to_string())),
        }
    }

    pub(crate) fn tokenizer_problem(&self, found: impl Into<String>) -> Error {
        problem(&self.dir, TOKENIZER, found)
    }
}

/// The tensors of a file, checked one by one as they are taken.
pub(crate) struct Tensors<'a> {
    file: PathBuf,
    tensors: SafeTensors<'a>,
}

/// A matrix of one byte a value with one scale a row: `(byte − 128) · scale[row]`.
#[derive(Debug)]
pub(crate) struct QuantizedRows {
    bytes: Vec<u8>,
    scale: Vec<f32>,
    columns: usize,
}

impl QuantizedRows {
    pub(crate) fn row(&self, row: usize) -> impl Iterator<Item = f32> {
        let scale = self.scale[row];
        let bytes = &self.bytes[row * self.columns..(row + 1) * self.columns];
        bytes.iter().map(move |&byte| (f32::from(byte) - ZERO_POINT) * scale)
    }

    pub(crate) fn columns(&self) -> usize {
        self.columns
    }

    /// All rows as floats, row-major.
    pub(crate) fn dequantized(&self) -> Vec<f32> {
        let mut values = Vec::with_capacity(self.bytes.len());
        for row in 0..self.scale.len() {
            values.extend(self.row(row));
        }
        values
    }
}

impl Tensors<'_> {
    /// A float tensor of the given shape, row-major, all values finite.
    pub(crate) fn floats(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, Error> {
        let bytes = self.bytes(name, Dtype::F32, shape)?;
        let values: Vec<f32> = bytes
            .chunks_exact(4)
            .map(|value| f32::from_le_bytes([value[0], value[1], value[2], value[3]]))
            .collect();
        if values.iter().all(|value| value.is_finite()) {
            Ok(values)
        } else {
            Err(self.problem(name, "holds values that are not finite"))
        }
    }

    /// Number of columns of the matrix `{name}.weight`, at least 1.
    pub(crate) fn columns(&self, name: &str) -> Result<usize, Error> {
        let name = format!("{name}.weight");
        match self.tensors.tensor(&name).map(|tensor| tensor.shape().to_vec()).as_deref() {
            Ok(&[_, columns]) if columns > 0 => Ok(columns),
            Ok(_) => Err(self.problem(&name, "is no matrix")),
            Err(_) => Err(self.problem(&name, "is missing")),
        }
    }

    /// The pair `{name}.weight` and `{name}.scale`.
    pub(crate) fn quantized(
        &self,
        name: &str,
        rows: usize,
        columns: usize,
    ) -> Result<QuantizedRows, Error> {
        let bytes = self.bytes(&format!("{name}.weight"), Dtype::U8, &[rows, columns])?.to_vec();
        let scale = self.floats(&format!("{name}.scale"), &[rows])?;
        Ok(QuantizedRows { bytes, scale, columns })
    }

    fn bytes(&self, name: &str, dtype: Dtype, shape: &[usize]) -> Result<&[u8], Error> {
        let Ok(tensor) = self.tensors.tensor(name) else {
            return Err(self.problem(name, "is missing"));
        };
        if tensor.dtype() != dtype || tensor.shape() != shape {
            let found = (tensor.dtype(), tensor.shape());
            return Err(self.problem(name, &format!("is {found:?}, not {:?}", (dtype, shape))));
        }
        Ok(tensor.data())
    }

    fn problem(&self, name: &str, what: &str) -> Error {
        Error::Artifact { path: self.file.clone(), problem: format!("tensor {name} {what}") }
    }
}

/// Lines of `SHA256SUMS`: hexadecimal sum, white space, file name.
struct Sums(Option<String>);

impl Sums {
    fn read(dir: &Path) -> Result<Self, Error> {
        let path = dir.join(SUMS);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Self(Some(text))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self(None)),
            Err(source) => Err(Error::Read { path, source }),
        }
    }

    /// Whether `bytes` are what the sums say of `file`; true if there are no sums at all.
    fn fit(&self, file: &str, bytes: &[u8]) -> bool {
        let Some(lines) = &self.0 else { return true };
        let sum: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        lines.lines().filter_map(|line| line.split_once(char::is_whitespace)).any(
            |(stated, name)| {
                name.trim_start_matches([' ', '*']) == file && stated.eq_ignore_ascii_case(&sum)
            },
        )
    }
}

fn read(dir: &Path, file: &str, sums: &Sums) -> Result<Vec<u8>, Error> {
    let path = dir.join(file);
    let bytes = fs::read(&path).map_err(|source| Error::Read { path, source })?;
    if sums.fit(file, &bytes) {
        Ok(bytes)
    } else {
        Err(problem(dir, file, format!("is not the file that {SUMS} describes")))
    }
}

fn problem(dir: &Path, file: &str, problem: impl Into<String>) -> Error {
    Error::Artifact { path: dir.join(file), problem: problem.into() }
}
