//! A random model of two small layers, and the same mathematics written plainly in `f64`.

use std::{collections::HashMap, fs, path::Path};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use safetensors::{Dtype, tensor::TensorView};
use serde_json::{Value, json};

pub(crate) const HIDDEN: usize = 16;
const HEADS: usize = 3;
const ATTENTION_HEADS: usize = 2;
const INTERMEDIATE: usize = 24;
const LAYERS: usize = 2;
const STUDENT_DIMENSIONS: usize = 6;
const FILTERS: usize = 10;
const STUDENT_HIDDEN: usize = 9;
/// The phrases that are known.
const PHRASES: [&[usize]; 5] = [&[5], &[7, 8], &[19], &[3], &[17, 3]];
/// The heads that they are of.
const PHRASE_HEADS: [usize; 2] = [2, 0];
pub(crate) const MAX_TOKENS: usize = 12;
/// Length of a word piece's vector for search.
pub(crate) const DIMENSIONS: usize = 5;
const EPS: f64 = 1e-12;
const WORDS: [&str; 20] = [
    "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "what", "is", "the", "capital", "of", "france",
    "compare", "cell", "##s", "and", "virus", "##es", "?", ".", "design",
];

/// A quantised matrix or a float tensor by name, as stored.
pub(crate) struct TinyModel {
    tensors: HashMap<String, (Vec<usize>, Stored)>,
    pub(crate) config: Value,
}

enum Stored {
    Bytes(Vec<u8>),
    Keys(Vec<u32>),
    Floats(Vec<f32>),
}

impl TinyModel {
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut model = Self { tensors: HashMap::new(), config: config() };
        model.matrix(&mut rng, "embeddings.word", WORDS.len(), HIDDEN);
        model.matrix(&mut rng, "words", WORDS.len(), DIMENSIONS);
        model.floats(&mut rng, "embeddings.position", &[MAX_TOKENS, HIDDEN], 0.0);
        model.norm(&mut rng, "embeddings.norm");
        for layer in 0..LAYERS {
            for (part, rows, columns) in [
                ("qkv", 3 * HIDDEN, HIDDEN),
                ("attention_output", HIDDEN, HIDDEN),
                ("up", INTERMEDIATE, HIDDEN),
                ("down", HIDDEN, INTERMEDIATE),
            ] {
                let name = format!("layers.{layer}.{part}");
                model.matrix(&mut rng, &name, rows, columns);
                model.floats(&mut rng, &format!("{name}.bias"), &[rows], 0.0);
            }
            model.norm(&mut rng, &format!("layers.{layer}.attention_norm"));
            model.norm(&mut rng, &format!("layers.{layer}.output_norm"));
        }
        model.floats(&mut rng, "heads.weight", &[HEADS, 6, HIDDEN], 0.0);
        model.floats(&mut rng, "heads.bias", &[HEADS, 6], 0.0);
        model.student(&mut rng);
        model
    }

    fn student(&mut self, rng: &mut ChaCha8Rng) {
        let features = STUDENT_DIMENSIONS + FILTERS;
        self.matrix(rng, "student/embeddings", WORDS.len(), STUDENT_DIMENSIONS);
        self.floats(rng, "student/importance", &[WORDS.len()], 0.0);
        self.floats(rng, "student/norm.weight", &[features], 1.0);
        self.floats(rng, "student/norm.bias", &[features], 0.0);
        for (name, rows, columns) in [
            ("student/convolution", FILTERS, 3 * STUDENT_DIMENSIONS),
            ("student/hidden", STUDENT_HIDDEN, features),
            ("student/output", 6, STUDENT_HIDDEN),
            ("student/route", HEADS, STUDENT_HIDDEN),
        ] {
            self.matrix(rng, name, rows, columns);
            self.floats(rng, &format!("{name}.bias"), &[rows], 0.0);
        }
        self.matrix(rng, "student/phrases", 6 * PHRASE_HEADS.len(), PHRASES.len());
        self.floats(rng, "student/phrases.bias", &[6 * PHRASE_HEADS.len()], 0.0);
        self.phrase_keys(keys());
    }

    /// Puts the keys of the phrases in another order.
    pub(crate) fn reverse_phrases(&mut self) {
        self.phrase_keys(keys().into_iter().rev().collect());
    }

    fn phrase_keys(&mut self, keys: Vec<u32>) {
        let keys = (vec![keys.len()], Stored::Keys(keys));
        self.tensors.insert("student/phrases.keys".into(), keys);
    }

    fn matrix(&mut self, rng: &mut ChaCha8Rng, name: &str, rows: usize, columns: usize) {
        let bytes = (0..rows * columns).map(|_| rng.random_range(1..=255)).collect();
        self.tensors.insert(format!("{name}.weight"), (vec![rows, columns], Stored::Bytes(bytes)));
        let scale = (0..rows).map(|_| rng.random_range(0.002..0.006)).collect();
        self.tensors.insert(format!("{name}.scale"), (vec![rows], Stored::Floats(scale)));
    }

    fn floats(&mut self, rng: &mut ChaCha8Rng, name: &str, shape: &[usize], centre: f32) {
        let count = shape.iter().product();
        let values = (0..count).map(|_| centre + rng.random_range(-0.5..0.5)).collect();
        self.tensors.insert(name.to_owned(), (shape.to_vec(), Stored::Floats(values)));
    }

    fn norm(&mut self, rng: &mut ChaCha8Rng, name: &str) {
        self.floats(rng, &format!("{name}.weight"), &[HIDDEN], 1.0);
        self.floats(rng, &format!("{name}.bias"), &[HIDDEN], 0.0);
    }

    /// Takes a tensor out, for artifacts that lack it.
    pub(crate) fn remove(&mut self, name: &str) {
        self.tensors.remove(name).unwrap();
    }

    /// Puts a float tensor of another shape in place.
    pub(crate) fn reshape(&mut self, name: &str, shape: &[usize]) {
        self.reshape_to(name, shape, 0.5);
    }

    /// The same with a value of one's own.
    pub(crate) fn reshape_to(&mut self, name: &str, shape: &[usize], value: f32) {
        let values = vec![value; shape.iter().product()];
        self.tensors.insert(name.to_owned(), (shape.to_vec(), Stored::Floats(values)));
    }

    /// Writes the artifact's five files.
    pub(crate) fn write(&self, dir: &Path) {
        let encoded: HashMap<&str, (Dtype, &[usize], Vec<u8>)> = self
            .tensors
            .iter()
            .map(|(name, (shape, stored))| {
                let (dtype, bytes) = match stored {
                    Stored::Bytes(bytes) => (Dtype::U8, bytes.clone()),
                    Stored::Keys(keys) => {
                        (Dtype::U32, keys.iter().flat_map(|key| key.to_le_bytes()).collect())
                    }
                    Stored::Floats(values) => {
                        (Dtype::F32, values.iter().flat_map(|value| value.to_le_bytes()).collect())
                    }
                };
                (name.as_str(), (dtype, shape.as_slice(), bytes))
            })
            .collect();
        for file in ["student", "model", "words"] {
            let wanted = encoded.iter().filter(|(name, _)| file_of(name) == file);
            let views = wanted.map(|(name, (dtype, shape, bytes))| {
                let name = name.trim_start_matches("student/");
                (name, TensorView::new(*dtype, shape.to_vec(), bytes).unwrap())
            });
            let path = dir.join(format!("{file}.safetensors"));
            fs::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
        }
        fs::write(dir.join("tokenizer.json"), tokenizer().to_string()).unwrap();
        fs::write(dir.join("config.json"), self.config.to_string()).unwrap();
    }

    /// Sum of the search vectors of `ids` at length 1.
    pub(crate) fn embedding(&self, ids: &[usize]) -> Vec<f64> {
        let words = self.get("words.weight");
        let sum: Vec<f64> = (0..DIMENSIONS)
            .map(|column| ids.iter().map(|id| words[id * DIMENSIONS + column]).sum())
            .collect();
        let norm = sum.iter().map(|x| x * x).sum::<f64>().sqrt();
        sum.iter().map(|x| x / norm).collect()
    }

    fn get(&self, name: &str) -> Vec<f64> {
        match &self.tensors[name].1 {
            Stored::Floats(values) => values.iter().map(|&value| f64::from(value)).collect(),
            Stored::Bytes(bytes) => {
                let columns = self.tensors[name].0[1];
                let scale = self.get(&name.replace("weight", "scale"));
                let value =
                    |(i, &byte): (usize, &u8)| (f64::from(byte) - 128.0) * scale[i / columns];
                bytes.iter().enumerate().map(value).collect()
            }
            Stored::Keys(_) => unreachable!("keys are no values"),
        }
    }

    fn linear(&self, name: &str, x: &[f64]) -> Vec<f64> {
        let (weight, bias) =
            (self.get(&format!("{name}.weight")), self.get(&format!("{name}.bias")));
        weight.chunks(x.len()).zip(bias).map(|(row, b)| dot(row, x) + b).collect()
    }

    fn layer_norm(&self, name: &str, epsilon: f64, x: &[f64]) -> Vec<f64> {
        let (weight, bias) =
            (self.get(&format!("{name}.weight")), self.get(&format!("{name}.bias")));
        let mean = x.iter().sum::<f64>() / x.len() as f64;
        let variance = x.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / x.len() as f64;
        let unit = x.iter().map(|v| (v - mean) / (variance + epsilon).sqrt());
        unit.zip(weight.iter().zip(&bias)).map(|(v, (w, b))| v * w + b).collect()
    }

    /// Pooled vector of a sequence of ids.
    fn pooled(&self, ids: &[usize]) -> Vec<f64> {
        let (words, positions) =
            (self.get("embeddings.word.weight"), self.get("embeddings.position"));
        let row =
            |matrix: &[f64], index: usize| matrix[index * HIDDEN..(index + 1) * HIDDEN].to_vec();
        let mut x: Vec<Vec<f64>> = ids
            .iter()
            .enumerate()
            .map(|(at, &id)| {
                self.layer_norm(
                    "embeddings.norm",
                    EPS,
                    &add(&row(&words, id), &row(&positions, at)),
                )
            })
            .collect();
        for layer in 0..LAYERS {
            x = self.layer(layer, &x);
        }
        (0..HIDDEN).map(|d| x.iter().map(|token| token[d]).sum::<f64>() / x.len() as f64).collect()
    }

    fn layer(&self, layer: usize, x: &[Vec<f64>]) -> Vec<Vec<f64>> {
        let name = |part: &str| format!("layers.{layer}.{part}");
        let qkv: Vec<Vec<f64>> = x.iter().map(|token| self.linear(&name("qkv"), token)).collect();
        let size = HIDDEN / ATTENTION_HEADS;
        let part = |token: usize, which: usize, head: usize| {
            let start = which * HIDDEN + head * size;
            &qkv[token][start..start + size]
        };
        let token = |at: usize| {
            let mut attended = Vec::new();
            for head in 0..ATTENTION_HEADS {
                let scores = (0..x.len()).map(|other| dot(part(at, 0, head), part(other, 1, head)));
                let weights =
                    softmax(&scores.map(|s| s / (size as f64).sqrt()).collect::<Vec<_>>());
                attended.extend((0..size).map(|d| {
                    weights.iter().enumerate().map(|(o, w)| w * part(o, 2, head)[d]).sum::<f64>()
                }));
            }
            let attended = self.linear(&name("attention_output"), &attended);
            let x = self.layer_norm(&name("attention_norm"), EPS, &add(&x[at], &attended));
            let up: Vec<f64> = self.linear(&name("up"), &x).into_iter().map(gelu).collect();
            self.layer_norm(&name("output_norm"), EPS, &add(&x, &self.linear(&name("down"), &up)))
        };
        (0..x.len()).map(token).collect()
    }

    /// The student's hidden layer.
    fn impression(&self, ids: &[usize]) -> Vec<f64> {
        let embeddings = self.get("student/embeddings.weight");
        let row = |at: usize| -> &[f64] {
            let inside = (1..=ids.len()).contains(&at);
            if !inside {
                return &[0.0; STUDENT_DIMENSIONS];
            }
            &embeddings[ids[at - 1] * STUDENT_DIMENSIONS..][..STUDENT_DIMENSIONS]
        };
        let importance = self.get("student/importance");
        let weights: Vec<f64> = ids.iter().map(|&id| importance[id].exp()).collect();
        let total: f64 = weights.iter().sum();
        let mean = (0..STUDENT_DIMENSIONS)
            .map(|d| weights.iter().zip(1..).map(|(w, at)| w * row(at)[d]).sum::<f64>() / total);
        let mut features: Vec<f64> = mean.collect();
        let mut peak = vec![0.0_f64; FILTERS];
        for at in 1..=ids.len() {
            let window = [row(at - 1), row(at), row(at + 1)].concat();
            let found = self.linear("student/convolution", &window);
            peak.iter_mut().zip(found).for_each(|(peak, x)| *peak = peak.max(x));
        }
        features.extend(peak);
        let features = self.layer_norm("student/norm", 1e-5, &features);
        self.linear("student/hidden", &features).into_iter().map(|x| x.max(0.0)).collect()
    }

    fn calibration(&self, stage: &str, part: &str, level: usize) -> f64 {
        self.config["calibration"][stage][part][level].as_f64().unwrap()
    }

    /// How much each head is to be heard.
    fn route(&self, ids: &[usize]) -> Vec<f64> {
        softmax(&self.linear("student/route", &self.impression(ids)))
    }

    /// What the student and the phrases say.
    fn logits(&self, ids: &[usize]) -> Vec<f64> {
        let known = |phrase: &&[usize]| ids.windows(phrase.len()).any(|run| run == *phrase);
        let known: Vec<u32> = PHRASES.into_iter().filter(known).map(key).collect();
        let share = 1.0 / (known.len().max(1) as f64).sqrt();
        let found: Vec<f64> =
            keys().into_iter().map(|key| if known.contains(&key) { share } else { 0.0 }).collect();
        let (said, route) = (self.linear("student/phrases", &found), self.route(ids));
        let mut logits = self.linear("student/output", &self.impression(ids));
        for (said, head) in said.chunks(6).zip(PHRASE_HEADS) {
            logits.iter_mut().zip(said).for_each(|(logit, said)| *logit += route[head] * said);
        }
        logits
    }

    /// Calibrated probabilities of the student alone.
    pub(crate) fn first(&self, ids: &[usize]) -> Vec<f64> {
        let logits = self.logits(ids);
        let level = |(level, logit): (usize, f64)| {
            let scale = self.calibration("student", "scale", level);
            sigmoid(scale * logit + self.calibration("student", "bias", level))
        };
        logits.into_iter().enumerate().map(level).collect()
    }

    /// Calibrated probabilities of both networks.
    pub(crate) fn second(&self, ids: &[usize]) -> Vec<f64> {
        let (weight, bias) = (self.get("heads.weight"), self.get("heads.bias"));
        let (pooled, route, logits) = (self.pooled(ids), self.route(ids), self.logits(ids));
        let level = |level: usize| {
            let z = |head: usize| {
                let row = head * 6 + level;
                dot(&weight[row * HIDDEN..(row + 1) * HIDDEN], &pooled) + bias[row]
            };
            let mixture: f64 = (0..HEADS).map(|head| route[head] * sigmoid(z(head))).sum();
            let calibration = |part: &str| self.calibration("both", part, level);
            sigmoid(
                calibration("encoder") * (mixture / (1.0 - mixture)).ln()
                    + calibration("student") * logits[level]
                    + calibration("bias"),
            )
        };
        (0..6).map(level).collect()
    }

    /// How certain the student is.
    pub(crate) fn certainty(&self, ids: &[usize]) -> f64 {
        let probabilities = self.first(ids);
        let greatest = probabilities.iter().copied().fold(0.0, f64::max);
        let margins = probabilities.iter().map(|p| (2.0 * p - 1.0).abs());
        margins.fold(2.0 * greatest - 1.0, f64::min).max(0.0)
    }
}

/// Which file holds a tensor.
fn file_of(name: &str) -> &'static str {
    match name {
        _ if name.starts_with("student/") => "student",
        _ if name.starts_with("words.") => "words",
        _ => "model",
    }
}

/// FNV-1a over whole ids.
fn key(phrase: &[usize]) -> u32 {
    let step = |key: u32, &id: &usize| (key ^ id as u32).wrapping_mul(16_777_619);
    phrase.iter().fold(2_166_136_261, step)
}

/// The keys of all phrases, as stored.
fn keys() -> Vec<u32> {
    let mut keys = PHRASES.map(key).to_vec();
    keys.sort_unstable();
    keys
}

fn config() -> Value {
    json!({
        "format": 3,
        "version": "tiny-1",
        "levels": ["remember", "understand", "apply", "analyze", "evaluate", "create"],
        "encoder": {
            "layers": LAYERS, "hidden": HIDDEN, "attention_heads": ATTENTION_HEADS,
            "intermediate": INTERMEDIATE, "vocabulary": WORDS.len(), "max_tokens": MAX_TOKENS,
            "layer_norm_eps": EPS, "activation": "gelu_erf",
        },
        "student": {
            "dimensions": STUDENT_DIMENSIONS, "filters": FILTERS, "width": 3,
            "hidden": STUDENT_HIDDEN,
        },
        "phrases": {"heads": ["general", "exam"], "longest": 2},
        "heads": ["exam", "objectives", "general"],
        "calibration": {
            "student": {
                "scale": [1.0, 0.9, 1.1, 1.0, 1.2, 0.95], "bias": [0.0, 0.1, -0.1, 0.3, 0.0, 0.05],
            },
            "both": {
                "encoder": [0.9, 0.8, 1.0, 1.1, 0.7, 1.0],
                "student": [0.2, 0.1, 0.0, 0.3, 0.4, 0.1],
                "bias": [0.1, -0.1, 0.0, 0.2, 0.05, 0.0],
            },
        },
        "threshold": 0.5,
        "stop": 0.3,
        "abstain": 0.4,
    })
}

fn tokenizer() -> Value {
    let vocabulary: HashMap<&str, usize> =
        WORDS.iter().enumerate().map(|(id, &w)| (w, id)).collect();
    let special = |token: &str| json!({"id": token, "ids": [vocabulary[token]], "tokens": [token]});
    let mark = |token: &str| json!({"SpecialToken": {"id": token, "type_id": 0}});
    let text = json!({"Sequence": {"id": "A", "type_id": 0}});
    json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
        "normalizer": {
            "type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
            "strip_accents": true, "lowercase": true,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [mark("[CLS]"), text, mark("[SEP]")],
            "pair": [mark("[CLS]"), text, mark("[SEP]")],
            "special_tokens": {"[CLS]": special("[CLS]"), "[SEP]": special("[SEP]")},
        },
        "decoder": null,
        "model": {
            "type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100, "vocab": vocabulary,
        },
    })
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn add(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a + b).collect()
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn softmax(logits: &[f64]) -> Vec<f64> {
    let sum: f64 = logits.iter().map(|z| z.exp()).sum();
    logits.iter().map(|z| z.exp() / sum).collect()
}

fn gelu(z: f64) -> f64 {
    0.5 * z * (1.0 + erf(z / std::f64::consts::SQRT_2))
}

/// Maclaurin series; good to 1e-9 for the small arguments here.
fn erf(x: f64) -> f64 {
    let (mut term, mut sum) = (x, x);
    for n in 1..200 {
        term *= -x * x / f64::from(n);
        sum += term / f64::from(2 * n + 1);
    }
    sum * 2.0 / std::f64::consts::PI.sqrt()
}
