"""The whole model as it is shipped: reference implementation of FORMAT.md, to and from the model files."""

from dataclasses import dataclass

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from bloom_training import artifact, base, lessons, phrases, predict, student, word_vectors
from bloom_training.artifact import Artifact
from bloom_training.cascade import BothCalibration, Cascade, StudentCalibration, certainty, mixture
from bloom_training.data import LEVELS, Row
from bloom_training.model import MINILM, BloomModel
from bloom_training.phrases import Phrases
from bloom_training.student import Student

VERSION = "bloom-6"
_DIGITS = 6


@dataclass(frozen=True)
class Answers:
    """What the model says about some rows; float tensors of shape [rows, 6] but for the last two of shape [rows].

    Attributes:
        probabilities: what it answers.
        student: what the student says.
        both: what it would answer if the encoder read every text.
        certainty: the student's, 0 to 1.
        stopped: whether the student answered alone.
    """

    probabilities: Tensor
    student: Tensor
    both: Tensor
    certainty: Tensor
    stopped: Tensor


@dataclass(frozen=True)
class Classifier:
    """Tokenizer, both networks and the student's phrases, how they are joined, and the vectors for search (shape [V, dimensions])."""

    tokenizer: Tokenizer
    student: Student
    phrases: Phrases
    encoder: BloomModel
    cascade: Cascade
    words: np.ndarray
    abstain: float

    @torch.no_grad()
    def answers(self, rows: list[Row]) -> Answers:
        """Reads every row with both networks and says what each path gives."""
        logits, route = predict.student_logits(self.student, self.tokenizer, rows)
        logits = logits + mixture(self.phrases.logits(self.tokenizer, rows), route)
        mixed = mixture(predict.by_head(self.encoder, self.tokenizer, rows), route)
        probabilities, stopped = self.cascade(logits, mixed)
        own = self.cascade.alone(logits)
        return Answers(probabilities, own, self.cascade.both(mixed, logits), certainty(own), stopped)

    def reference(self, texts: list[str]) -> list[dict]:
        """One entry a text, for the tests of other implementations (see FORMAT.md)."""
        rows = [Row(text, (), "reference", number) for number, text in enumerate(texts)]
        answers = self.answers(rows)
        vectors = torch.nn.functional.normalize(word_vectors.text_vectors(self.words, self.tokenizer, rows), dim=1)
        return [
            {
                "text": text,
                "truncated": bool(self.tokenizer.encode(text).overflowing),
                "stage": "student" if answers.stopped[number] else "encoder",
                "certainty": round(float(answers.certainty[number]), _DIGITS),
                "student": _rounded(answers.student[number]),
                "both": _rounded(answers.both[number]),
                "probabilities": _rounded(answers.probabilities[number]),
                "embedding": _rounded(vectors[number, :8]),
            }
            for number, text in enumerate(texts)
        ]

    def to_artifact(self) -> Artifact:
        """What the model files say."""
        tensors = {
            artifact.ENCODER: _arrays(self.encoder),
            artifact.STUDENT: _arrays(self.student) | {f"phrases.{name}": value for name, value in vars(self.phrases).items()},
            artifact.WORDS: {"words.weight": self.words},
        }
        return Artifact(self._config(), self.tokenizer, tensors)

    def _config(self) -> dict:
        alone, both = self.cascade.alone, self.cascade.both
        return {
            "version": VERSION,
            "levels": list(LEVELS),
            "encoder": {
                "layers": MINILM.layers,
                "hidden": MINILM.hidden,
                "attention_heads": MINILM.attention_heads,
                "intermediate": MINILM.intermediate,
                "vocabulary": self.tokenizer.get_vocab_size(),
                "max_tokens": base.MAX_TOKENS,
                "layer_norm_eps": MINILM.layer_norm_eps,
                "activation": "gelu_erf",
            },
            "student": {
                "dimensions": student.DIMENSIONS,
                "filters": student.FILTERS,
                "width": student.WIDTH,
                "hidden": student.HIDDEN,
            },
            "phrases": {"heads": list(phrases.CONVENTIONS), "longest": phrases.LONGEST},
            "heads": list(lessons.HEADS),
            "calibration": {
                "student": {"scale": _rounded(alone.scale), "bias": _rounded(alone.bias)},
                "both": {
                    "encoder": _rounded(both.encoder),
                    "student": _rounded(both.student),
                    "bias": _rounded(both.bias),
                },
            },
            "threshold": predict.THRESHOLD,
            "stop": round(self.cascade.stop, _DIGITS),
            "abstain": round(self.abstain, _DIGITS),
        }

    @classmethod
    def from_artifact(cls, files: Artifact) -> "Classifier":
        """The written model as networks again, with the weights as rounded."""
        vocabulary = files.tokenizer.get_vocab_size()
        encoder = BloomModel(vocabulary, base.MAX_TOKENS, len(files.config["heads"]), len(LEVELS))
        small = Student(vocabulary)
        first = dict(files.tensors[artifact.STUDENT])
        known = {"heads": list(phrases.CONVENTIONS), "longest": phrases.LONGEST}
        if files.config["phrases"] != known:
            raise ValueError(f"phrases of {files.config['phrases']}; this version knows {known} alone")
        weighed = Phrases(*(first.pop(f"phrases.{name}") for name in ("keys", "weight", "bias")))
        for network, tensors in ((encoder, files.tensors[artifact.ENCODER]), (small, first)):
            network.load_state_dict({name: torch.tensor(value) for name, value in tensors.items()})
        by_path = {
            path: {name: torch.tensor(values) for name, values in calibration.items()}
            for path, calibration in files.config["calibration"].items()
        }
        cascade = Cascade(StudentCalibration(**by_path["student"]), BothCalibration(**by_path["both"]), files.config["stop"])
        words = files.tensors[artifact.WORDS]["words.weight"]
        return cls(files.tokenizer, small.eval(), weighed, encoder.eval(), cascade, words, files.config["abstain"])


def _arrays(network: torch.nn.Module) -> dict[str, np.ndarray]:
    return {name: value.numpy() for name, value in network.state_dict().items()}


def _rounded(values: Tensor) -> list[float]:
    return [round(value, _DIGITS) for value in values.tolist()]
