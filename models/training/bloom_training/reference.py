"""Golden outputs of a written model for the tests of other implementations: ``python -m bloom_training.reference MODEL TEXTS OUT``.

TEXTS is a JSON list of strings or of objects with a ``text``; OUT gets one entry a line (see FORMAT.md).
"""

import json
import sys
from pathlib import Path

import torch

from bloom_training import artifact
from bloom_training.classifier import Classifier


def main() -> None:
    """Reads MODEL and TEXTS, writes OUT."""
    model, texts, out = map(Path, sys.argv[1:4])
    torch.set_num_threads(1)
    entries = json.loads(texts.read_text(encoding="utf-8"))
    answered = Classifier.from_artifact(artifact.read(model)).reference(
        [entry if isinstance(entry, str) else entry["text"] for entry in entries]
    )
    lines = ",\n".join(json.dumps(entry, ensure_ascii=False) for entry in answered)
    out.write_text(f"[\n{lines}\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main()
