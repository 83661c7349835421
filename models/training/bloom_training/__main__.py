"""One command: split, fine-tune, teach, calibrate, measure the files as written; then train on all rows what is to be used."""

import argparse
import json
from pathlib import Path

import torch

from bloom_training import data
from bloom_training.pipeline import Options, run


def main() -> None:
    """Parses the command line and runs all stages."""
    parser = _parser()
    parsed = parser.parse_args()
    if parsed.teacher and parsed.without:
        parser.error("--without: the --teacher may have learned from these sources, so nothing would be measured; leave one out")
    options = Options(parsed.out, parsed.work, parsed.teacher, parsed.seed)
    torch.set_num_threads(parsed.threads)
    torch.use_deterministic_algorithms(True)
    options.work.mkdir(parents=True, exist_ok=True)
    rows = data.read_rows(parsed.data)
    if parsed.licence_clear:
        rows = [row for row in rows if row.source in data.LICENCE_CLEAR]
    split = data.split_rows(rows, parsed.without)
    data.write_rows(options.work / "dev.jsonl", split.dev)
    data.write_rows(options.work / "test.jsonl", split.test)
    figures = run(split, options)
    text = json.dumps(figures, indent=1)
    (options.work / "report.json").write_text(text + "\n", encoding="utf-8")
    written = f", model in {options.out}" if "sha256" in figures else ""
    print(f"Figures in {options.work / 'report.json'}{written}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="train", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds train.jsonl")
    parser.add_argument("--out", type=Path, default=Path("bloom"), help="folder for the model files (default: bloom)")
    parser.add_argument("--work", type=Path, default=Path("work"), help="checkpoints, split, report (default: work)")
    parser.add_argument(
        "--teacher", type=Path, help="folder of an earlier model of the same split that teaches, instead of training one"
    )
    parser.add_argument(
        "--without",
        nargs="+",
        default=[],
        choices=data.SOURCES,
        help="sources not to learn from but to be measured on; no model for use is written",
    )
    parser.add_argument("--seed", type=int, default=1, help="default: 1")
    parser.add_argument("--threads", type=int, default=1, help="results are the same for the same number (default: 1)")
    parser.add_argument(
        "--licence-clear", action="store_true", help=f"use only sources with a licence: {', '.join(data.LICENCE_CLEAR)}"
    )
    return parser


if __name__ == "__main__":
    main()
