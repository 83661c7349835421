"""One command: split, fine-tune, calibrate, report, write the model files, and measure them again as written."""

import argparse
import dataclasses
import hashlib
import json
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer

from bloom_training import artifact, base, data, embedding, layout, metrics, model, predict, word_vectors
from bloom_training.calibrate import calibrate
from bloom_training.data import LEVELS, Split
from bloom_training.fit import HEADS, Recipe, fit, new_model
from bloom_training.model import BloomModel
from bloom_training.polish import polish
from bloom_training.predict import MixtureCalibration


def main() -> None:
    """Parses the command line and runs all stages."""
    options = _options()
    torch.set_num_threads(options.threads)
    torch.use_deterministic_algorithms(True)
    options.work.mkdir(parents=True, exist_ok=True)
    rows = data.read_rows(options.data)
    if options.licence_clear:
        rows = [row for row in rows if row.source in data.LICENCE_CLEAR]
    split = data.split_rows(rows)
    data.write_rows(options.work / "dev.jsonl", split.dev)
    data.write_rows(options.work / "test.jsonl", split.test)
    figures = _run(split, Recipe(epochs=options.epochs, seed=options.seed), options)
    text = json.dumps(figures, indent=1)
    (options.work / "report.json").write_text(text + "\n", encoding="utf-8")
    print(f"Figures in {options.work / 'report.json'}, model in {options.out}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="train", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds train.jsonl")
    parser.add_argument("--out", type=Path, default=Path("bloom"), help="folder for the model files (default: bloom)")
    parser.add_argument("--work", type=Path, default=Path("work"), help="checkpoint, split, report (default: work)")
    parser.add_argument("--version", default="bloom-1", help="name written into the model (default: bloom-1)")
    parser.add_argument("--epochs", type=int, default=Recipe.epochs, help=f"default: {Recipe.epochs}")
    parser.add_argument("--seed", type=int, default=Recipe.seed, help=f"default: {Recipe.seed}")
    parser.add_argument("--threads", type=int, default=2, help="results are the same for the same number (default: 2)")
    parser.add_argument(
        "--licence-clear", action="store_true", help=f"use only sources with a licence: {', '.join(data.LICENCE_CLEAR)}"
    )
    return parser.parse_args()


def _run(split: Split, recipe: Recipe, options: argparse.Namespace) -> dict:
    """Trains, calibrates on dev, writes the files, and measures the float and the written model on test."""
    tokenizer, old_ids = base.pruned_tokenizer()
    start, net = new_model(tokenizer, old_ids), new_model(tokenizer, old_ids)
    fit(net, tokenizer, split.train, recipe, options.work / "checkpoint.pt")
    polish(net, predict.pooled_vectors(net, tokenizer, split.train), split.train)
    calibration = calibrate(net, predict.pooled_vectors(net, tokenizer, split.dev), split.dev)
    pooled = predict.pooled_vectors(net, tokenizer, split.test)
    in_float = predict.probabilities(net, calibration, pooled)

    tensors = {name: value.numpy() for name, value in net.state_dict().items()}
    artifact.write(options.out, _config(options.version, tokenizer, calibration), tokenizer, tensors)
    word_vectors.write(options.out, word_vectors.distil(start, tokenizer))
    words = word_vectors.read(options.out)
    written, written_tokenizer, written_calibration = load(options.out)
    base_pooled = predict.pooled_vectors(start, tokenizer, split.test)
    written_pooled = predict.pooled_vectors(written, written_tokenizer, split.test)
    as_written = predict.probabilities(written, written_calibration, written_pooled)

    searched = embedding.clustered(split.train) + split.test
    found, queries = embedding.near_duplicates_found(
        word_vectors.text_vectors(words, written_tokenizer, searched), searched
    )
    found_by_base, _ = embedding.near_duplicates_found(predict.pooled_vectors(start, tokenizer, searched), searched)
    return {
        "version": options.version,
        "recipe": dataclasses.asdict(recipe),
        "rows": {"train": len(split.train), "dev": len(split.dev), "test": len(split.test)},
        "sha256": {name: hashlib.sha256((options.out / name).read_bytes()).hexdigest() for name in (*artifact.FILES, word_vectors.FILE)},
        "test_float": metrics.report(split.test, in_float),
        "test_as_written": metrics.report(split.test, as_written),
        "largest_change_by_quantising": round(float(np.abs(in_float - as_written).max()), 4),
        "mean_cosine_by_quantising": round(float(torch.cosine_similarity(pooled, written_pooled).mean()), 5),
        "embedding": {
            "near_duplicates_found_at_rank_1": round(found, 4),
            "by_the_base_encoder": round(found_by_base, 4),
            "near_duplicate_queries": queries,
            "spearman_with_base": round(embedding.agreement(
                    word_vectors.text_vectors(words, written_tokenizer, split.test), base_pooled, recipe.seed
                ), 4),
        },
    }


def _config(version: str, tokenizer: Tokenizer, calibration: MixtureCalibration) -> dict:
    return {
        "version": version,
        "levels": list(LEVELS),
        "encoder": {
            "layers": layout.LAYERS,
            "hidden": model.HIDDEN,
            "attention_heads": model.ATTENTION_HEADS,
            "intermediate": model.INTERMEDIATE,
            "vocabulary": tokenizer.get_vocab_size(),
            "max_tokens": base.MAX_TOKENS,
            "layer_norm_eps": model.LAYER_NORM_EPS,
            "activation": "gelu_erf",
        },
        "heads": list(HEADS),
        "calibration": {
            "scale": [round(value, 6) for value in calibration.scale.tolist()],
            "bias": [round(value, 6) for value in calibration.bias.tolist()],
        },
        "threshold": predict.THRESHOLD,
    }


def load(folder: Path) -> tuple[BloomModel, Tokenizer, MixtureCalibration]:
    """The written model as a network again, with the weights as rounded."""
    config, tokenizer, tensors = artifact.read(folder)
    net = BloomModel(tokenizer.get_vocab_size(), base.MAX_TOKENS, len(config["heads"]), len(LEVELS))
    net.load_state_dict({name: torch.tensor(value) for name, value in tensors.items()})
    calibration = {name: torch.tensor(value) for name, value in config["calibration"].items()}
    return net.eval(), tokenizer, MixtureCalibration(**calibration)


if __name__ == "__main__":
    main()
