//! Reading an artifact: `config.json`, `tokenizer.json`, `student.safetensors`,
//! `model.safetensors`, `words.safetensors`, and `SHA256SUMS` where it is present. The format is
//! described in models/training/FORMAT.md.

use std::{
    collections::BTreeSet,
    fs,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

use quizmentor_core::Level;
use safetensors::{Dtype, SafeTensors, tensor::Metadata};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::{
    Error,
    kernel::{MOST_INPUTS, Mapped, Matrix, Norm},
    tokens::TextTokenizer,
};

const FORMAT: u32 = 3;
const CONFIG: &str = "config.json";
const TOKENIZER: &str = "tokenizer.json";
const STUDENT: &str = "student.safetensors";
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
    pub(crate) student: StudentConfig,
    pub(crate) phrases: PhrasesConfig,
    /// Names of the labelling conventions, one a head.
    pub(crate) heads: Vec<String>,
    pub(crate) calibration: Calibration,
    /// Levels from this probability on count as present.
    pub(crate) threshold: f32,
    /// Least certainty with which the student answers alone.
    pub(crate) stop: f64,
    /// The level is left open if no probability reaches this.
    pub(crate) abstain: f32,
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

/// Shape of the student.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct StudentConfig {
    pub(crate) dimensions: usize,
    pub(crate) filters: usize,
    /// Tokens that a filter sees.
    pub(crate) width: usize,
    pub(crate) hidden: usize,
}

/// Which phrases are known.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct PhrasesConfig {
    /// The heads whose conventions they are of.
    pub(crate) heads: Vec<String>,
    /// Most word pieces of one.
    pub(crate) longest: usize,
}

/// Last step to probabilities, by which networks have read the text.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Calibration {
    pub(crate) student: Scaling,
    pub(crate) both: Joint,
}

/// `σ(scale · logit + bias)`, by level.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Scaling {
    pub(crate) scale: [f64; 6],
    pub(crate) bias: [f64; 6],
}

/// `σ(encoder · logit + student · logit + bias)`, by level.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Joint {
    pub(crate) encoder: [f64; 6],
    pub(crate) student: [f64; 6],
    pub(crate) bias: [f64; 6],
}

impl Config {
    /// What keeps the engine from running such a model, if anything.
    fn problem(&self) -> Option<String> {
        let encoder = &self.encoder;
        let Calibration { student, both } = &self.calibration;
        let calibration = [&student.scale, &student.bias, &both.encoder, &both.student, &both.bias];
        if self.format != FORMAT {
            Some(format!("format {}; this version reads format {FORMAT}", self.format))
        } else if self.levels != Level::ALL {
            Some("levels must be the six of the taxonomy in order".into())
        } else if self.sizes().contains(&0) {
            Some("sizes and the number of heads must not be 0".into())
        } else if !encoder.hidden.is_multiple_of(encoder.attention_heads) {
            Some(format!(
                "hidden {} is no multiple of attention_heads {}",
                encoder.hidden, encoder.attention_heads
            ))
        } else if BTreeSet::from_iter(self.phrase_heads()).len() < self.phrases.heads.len() {
            Some(format!("phrases of {:?}, which must be heads, each once", self.phrases.heads))
        } else if self.student.width.is_multiple_of(2) {
            Some(format!("width {}; it must be odd", self.student.width))
        } else if encoder.max_tokens < 3 {
            Some(format!("max_tokens {}; at least 3 are needed", encoder.max_tokens))
        } else if encoder.activation != "gelu_erf" {
            Some(format!("activation {:?}; only gelu_erf is known", encoder.activation))
        } else if !(encoder.layer_norm_eps > 0.0
            && calibration.into_iter().flatten().all(|value| value.is_finite())
            && self.stop.is_finite())
        {
            Some("layer_norm_eps must be over 0, calibration and stop finite".into())
        } else if !(0.0..=1.0).contains(&self.threshold) {
            Some(format!("threshold {}; must be 0 to 1", self.threshold))
        } else if !(0.0..=1.0).contains(&self.abstain) {
            Some(format!("abstain {}; must be 0 to 1", self.abstain))
        } else {
            None
        }
    }

    /// The heads that have phrases, by number.
    pub(crate) fn phrase_heads(&self) -> Vec<usize> {
        let number = |name| self.heads.iter().position(|head| head == name);
        self.phrases.heads.iter().filter_map(number).collect()
    }

    fn sizes(&self) -> [usize; 11] {
        let (encoder, student) = (&self.encoder, &self.student);
        [
            encoder.layers,
            encoder.hidden,
            encoder.attention_heads,
            encoder.intermediate,
            encoder.vocabulary,
            student.dimensions,
            student.filters,
            student.width,
            student.hidden,
            self.phrases.longest,
            self.heads.len(),
        ]
    }
}

/// The files of an artifact, checked against their sums.
pub(crate) struct Artifact {
    dir: PathBuf,
    pub(crate) config: Config,
    tokenizer: Arc<Mapped>,
    pub(crate) student: Tensors,
    /// Encoder and heads.
    pub(crate) encoder: Tensors,
    /// The vectors of the word pieces, for search.
    pub(crate) words: Tensors,
}

impl Artifact {
    pub(crate) fn read(dir: &Path) -> Result<Self, Error> {
        let sums = Sums::read(dir)?;
        let bytes = read(dir, CONFIG, &sums)?;
        let config: Config = serde_json::from_slice((*bytes).as_ref())
            .map_err(|error| problem(dir, CONFIG, error.to_string()))?;
        if let Some(found) = config.problem() {
            return Err(problem(dir, CONFIG, found));
        }
        Ok(Self {
            config,
            tokenizer: read(dir, TOKENIZER, &sums)?,
            student: Tensors::read(dir, STUDENT, &sums)?,
            encoder: Tensors::read(dir, WEIGHTS, &sums)?,
            words: Tensors::read(dir, WORDS, &sums)?,
            dir: dir.to_owned(),
        })
    }

    /// The files that are used on and on.
    pub(crate) fn files(&self) -> [Arc<Mapped>; 3] {
        [&self.student, &self.encoder, &self.words].map(|tensors| Arc::clone(&tensors.bytes))
    }

    pub(crate) fn tokenizer(&self) -> Result<TextTokenizer, Error> {
        let EncoderConfig { vocabulary, max_tokens, .. } = self.config.encoder;
        TextTokenizer::new((*self.tokenizer).as_ref(), vocabulary, max_tokens)
            .map_err(|found| problem(&self.dir, TOKENIZER, found))
    }
}

/// The tensors of a file, checked one by one as they are taken.
pub(crate) struct Tensors {
    file: PathBuf,
    bytes: Arc<Mapped>,
    tensors: Metadata,
    /// Where the values begin.
    start: usize,
}

/// A matrix of one byte a value with one scale a row: `(byte − 128) · scale[row]`.
#[derive(Debug)]
pub(crate) struct QuantizedRows {
    file: Arc<Mapped>,
    place: Range<usize>,
    scale: Vec<f32>,
    columns: usize,
}

impl QuantizedRows {
    pub(crate) fn row(&self, row: usize) -> impl Iterator<Item = f32> {
        let scale = self.scale[row];
        let bytes = &(*self.file).as_ref()[self.place.clone()];
        let bytes = &bytes[row * self.columns..(row + 1) * self.columns];
        bytes.iter().map(move |&byte| (f32::from(byte) - ZERO_POINT) * scale)
    }

    pub(crate) fn columns(&self) -> usize {
        self.columns
    }

    /// All rows as floats, row-major.
    pub(crate) fn dequantized(&self) -> Vec<f32> {
        let mut values = Vec::with_capacity(self.place.len());
        for row in 0..self.scale.len() {
            values.extend(self.row(row));
        }
        values
    }
}

impl Tensors {
    fn read(dir: &Path, file: &str, sums: &Sums) -> Result<Self, Error> {
        let bytes = read(dir, file, sums)?;
        let (header, tensors) = SafeTensors::read_metadata((*bytes).as_ref())
            .map_err(|error| problem(dir, file, error.to_string()))?;
        // The header's length is stored in 8 bytes before it.
        Ok(Self { file: dir.join(file), bytes, tensors, start: 8 + header })
    }

    /// A float tensor of the given shape, row-major, all values finite.
    pub(crate) fn floats(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, Error> {
        let place = self.place(name, Dtype::F32, shape)?;
        let values: Vec<f32> = self
            .bytes(&place)
            .chunks_exact(4)
            .map(|value| f32::from_le_bytes([value[0], value[1], value[2], value[3]]))
            .collect();
        if values.iter().all(|value| value.is_finite()) {
            Ok(values)
        } else {
            Err(self.problem(name, "holds values that are not finite"))
        }
    }

    /// A list of whole numbers of 32 bits, each greater than the one before.
    pub(crate) fn ascending(&self, name: &str) -> Result<Vec<u32>, Error> {
        let length = self.tensors.info(name).and_then(|tensor| tensor.shape.first().copied());
        let place = self.place(name, Dtype::U32, &[length.unwrap_or(0)])?;
        let (values, _) = self.bytes(&place).as_chunks();
        let values: Vec<u32> = values.iter().copied().map(u32::from_le_bytes).collect();
        if values.is_sorted_by(|one, next| one < next) {
            Ok(values)
        } else {
            Err(self.problem(name, "is not ascending"))
        }
    }

    /// Number of columns of the matrix `{name}.weight`, at least 1.
    pub(crate) fn columns(&self, name: &str) -> Result<usize, Error> {
        let name = format!("{name}.weight");
        match self.tensors.info(&name).map(|tensor| tensor.shape.as_slice()) {
            Some(&[_, columns]) if columns > 0 => Ok(columns),
            Some(_) => Err(self.problem(&name, "is no matrix")),
            None => Err(self.problem(&name, "is missing")),
        }
    }

    /// The pair `{name}.weight` and `{name}.scale`.
    pub(crate) fn quantized(
        &self,
        name: &str,
        rows: usize,
        columns: usize,
    ) -> Result<QuantizedRows, Error> {
        let place = self.place(&format!("{name}.weight"), Dtype::U8, &[rows, columns])?;
        let scale = self.floats(&format!("{name}.scale"), &[rows])?;
        Ok(QuantizedRows { file: Arc::clone(&self.bytes), place, scale, columns })
    }

    /// The linear layer `{name}.weight`, `{name}.scale` and `{name}.bias`, packed for products.
    pub(crate) fn matrix(
        &self,
        name: &str,
        outputs: usize,
        inputs: usize,
    ) -> Result<Matrix, Error> {
        let weights = format!("{name}.weight");
        let place = self.place(&weights, Dtype::U8, &[outputs, inputs])?;
        if inputs > MOST_INPUTS {
            return Err(self.problem(&weights, &format!("has over {MOST_INPUTS} columns")));
        }
        let scale = self.floats(&format!("{name}.scale"), &[outputs])?;
        let bias = self.floats(&format!("{name}.bias"), &[outputs])?;
        let weights = self.bytes(&place).iter().map(|byte| (byte ^ 0x80) as i8);
        Ok(Matrix::new(weights, inputs, &scale, &bias))
    }

    /// The layer norm `{name}.weight` and `{name}.bias`.
    pub(crate) fn norm(&self, name: &str, width: usize, epsilon: f32) -> Result<Norm, Error> {
        Ok(Norm {
            weight: self.floats(&format!("{name}.weight"), &[width])?,
            bias: self.floats(&format!("{name}.bias"), &[width])?,
            epsilon,
        })
    }

    fn bytes(&self, place: &Range<usize>) -> &[u8] {
        &(*self.bytes).as_ref()[place.clone()]
    }

    /// Where in the file the values of a tensor are.
    fn place(&self, name: &str, dtype: Dtype, shape: &[usize]) -> Result<Range<usize>, Error> {
        let Some(tensor) = self.tensors.info(name) else {
            return Err(self.problem(name, "is missing"));
        };
        if tensor.dtype != dtype || tensor.shape != shape {
            let found = (tensor.dtype, &tensor.shape);
            return Err(self.problem(name, &format!("is {found:?}, not {:?}", (dtype, shape))));
        }
        let (start, end) = tensor.data_offsets;
        Ok(self.start + start..self.start + end)
    }

    pub(crate) fn problem(&self, name: &str, what: &str) -> Error {
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

fn read(dir: &Path, file: &str, sums: &Sums) -> Result<Arc<Mapped>, Error> {
    let path = dir.join(file);
    let mapped = Mapped::open(&path).map_err(|source| Error::Read { path, source })?;
    if sums.fit(file, mapped.as_ref()) {
        Ok(Arc::new(mapped))
    } else {
        Err(problem(dir, file, format!("is not the file that {SUMS} describes")))
    }
}

fn problem(dir: &Path, file: &str, problem: impl Into<String>) -> Error {
    Error::Artifact { path: dir.join(file), problem: problem.into() }
}
