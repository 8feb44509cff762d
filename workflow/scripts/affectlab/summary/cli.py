"""``affectlab predict summary``."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path
from typing import Any


def add_commands(predict: Any, commands: Any) -> None:
    """Add ``affectlab predict summary``; see `Experiment.commands`."""
    summary = predict.add_parser("summary", help="summaries of counselling cases")
    summary.add_argument(
        "--model", required=True, type=Path, help="model directory, e.g. results/.../model"
    )
    summary.add_argument(
        "--in", required=True, type=Path, dest="cases", help="JSON Lines file of cases"
    )
    summary.add_argument(
        "--out", required=True, type=Path, help="gets the summaries in the submission format"
    )
    summary.add_argument(
        "--base-model", type=Path, help="checkpoint of the base model, if the adapter is not merged"
    )
    summary.add_argument("--seed", type=int, default=0, help="of the sampling (default 0)")
    summary.add_argument("--device", help="PyTorch device; a GPU if there is one")
    summary.set_defaults(run=_predict)


def _predict(options: argparse.Namespace) -> int:
    from affectlab.summary.predict import CaseSummarizer

    logging.basicConfig(format="affectlab: %(message)s")
    # Of other packages, warnings alone.
    logging.getLogger("affectlab").setLevel(logging.INFO)
    summarizer = CaseSummarizer.from_directory(
        options.model, base_model=options.base_model, device=options.device
    )
    failed = summarizer.summarise_file(options.cases, options.out, seed=options.seed)
    for name, reason in failed.items():
        print(f"affectlab: case {name}: {reason}", file=sys.stderr)
    if failed:
        print(f"affectlab: {len(failed)} cases could not be summarised", file=sys.stderr)
    return 1 if failed else 0
