"""``affectlab predict entity``, ``affectlab embed``, ``nearest`` and ``convert-gbert``."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from affectlab.errors import UserError
from affectlab.terminal.commands import predict_texts, warnings_as_lines
from affectlab.terminal.items import BadInput, read_items
from affectlab.terminal.options import (
    add_input_options,
    add_model_options,
    add_output_options,
    check_options,
    positive,
)
from affectlab.terminal.output import Failures

if TYPE_CHECKING:
    from affectlab.entity.predict import GbertPredictor
    from affectlab.entity.queries import EntityEmotion


def add_commands(predict: Any, commands: Any) -> None:
    """Add ``predict entity`` and the commands of embeddings; see `Experiment.commands`."""
    entity = predict.add_parser("entity", help="emotions of a text, or of a span in it")
    _add_common(entity)
    entity.add_argument("--span", help="words of the text to be judged; with a single TEXT")
    entity.add_argument(
        "--char-start", type=int, help="where the span starts, if it stands there more than once"
    )
    entity.add_argument("--top-k", type=positive, default=3, help="classes shown (default 3)")
    entity.add_argument("--embedding", action="store_true", help="print mu, 64 numbers, too")
    add_output_options(entity)
    entity.set_defaults(run=_predict)

    embed = commands.add_parser(
        "embed", help="write embeddings of texts by an entity model as Parquet"
    )
    _add_common(embed, ids=False)
    embed.add_argument("--output", required=True, type=Path, help="Parquet file to write")
    embed.set_defaults(run=_embed)

    near = commands.add_parser("nearest", help="find the texts of `affectlab embed` like a text")
    _add_common(near, ids=False)
    near.add_argument("--embeddings", required=True, type=Path, help="what `embed` wrote")
    near.add_argument("--top-k", type=positive, default=5, help="texts shown (default 5)")
    near.set_defaults(run=_nearest)

    convert = commands.add_parser(
        "convert-gbert",
        help="turn an original best_model.pt into the model directory of an entity run",
    )
    convert.add_argument("checkpoint", type=Path, help="the original best_model.pt")
    convert.add_argument("--encoder", required=True, type=Path, help="pretrained encoder directory")
    convert.add_argument("--output", required=True, type=Path, help="model directory to write")
    convert.set_defaults(run=_convert)


def _add_common(parser: argparse.ArgumentParser, *, ids: bool = True) -> None:
    add_input_options(parser, "TEXT", "texts", ids=ids)
    add_model_options(parser)
    parser.add_argument("--encoder", type=Path, help="pretrained encoder, for a best_model.pt")
    parser.add_argument(
        "--batch-size", type=positive, default=64, help="texts at a time (default 64)"
    )


def _predictor(options: argparse.Namespace) -> GbertPredictor:
    from affectlab.entity.predict import GbertPredictor

    return GbertPredictor.from_checkpoint(
        options.model, options.encoder, options.device, precision=options.precision or "fp32"
    )


def _good_texts(options: argparse.Namespace, failures: Failures) -> list[str]:
    """All texts that can be read; the others are reported."""
    check_options(options, "texts")
    texts = []
    for item in read_items(options):
        if isinstance(item, BadInput):
            failures.report(item.place, item.problem)
        else:
            texts.append(item.value)
    if failures.count and not texts:
        raise UserError("none of the texts can be read")
    return texts


def _predict(options: argparse.Namespace) -> int:
    from affectlab.entity.queries import Query

    check_options(options, "texts")
    if options.span is not None and (options.file or len(options.items) != 1):
        raise UserError("--span goes with a single TEXT")
    predictor = _predictor(options)

    def predict(texts: list[str], first: int) -> list[EntityEmotion]:
        queries = [Query(text, options.span, options.char_start) for text in texts]
        return predictor.predict(queries, batch_size=options.batch_size, first=first)

    def line(text: str, found: EntityEmotion, full: bool) -> dict[str, Any]:
        shown = found.probabilities.items() if full else found.top(options.top_k)
        return {
            "text": text,
            "label": found.label,
            "labels": list(found.labels),
            "kappa": round(found.kappa, 4),
            "probabilities": {name: round(value, 6) for name, value in shown},
            **({"span": found.span and list(found.span)} if full or found.span else {}),
            **({"mu": list(found.mu)} if options.embedding else {}),
        }

    return predict_texts(options, predict, line)


def _embed(options: argparse.Namespace) -> int:
    failures = Failures()
    texts = _good_texts(options, failures)
    # Loads PyTorch, which takes seconds: not before the texts are read.
    from affectlab.entity.embeddings import write_embeddings

    with warnings_as_lines():
        write_embeddings(_predictor(options), texts, options.output, batch_size=options.batch_size)
    print(f"{len(texts)} texts: {options.output}")
    return failures.status("texts")


def _nearest(options: argparse.Namespace) -> int:
    failures = Failures()
    texts = _good_texts(options, failures)
    # Loads PyTorch, which takes seconds: not before the texts are read.
    from affectlab.entity.embeddings import nearest

    with warnings_as_lines():
        found = nearest(
            _predictor(options),
            options.embeddings,
            texts,
            options.top_k,
            batch_size=options.batch_size,
        )
    for text, rows in zip(texts, found, strict=True):
        print(json.dumps({"text": text, "nearest": rows}, ensure_ascii=False), flush=True)
    return failures.status("texts")


def _convert(options: argparse.Namespace) -> int:
    from affectlab.entity.original import convert_original

    convert_original(options.checkpoint, options.encoder, options.output)
    print(options.output)
    return 0
