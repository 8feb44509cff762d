"""``affectlab predict entity``, ``affectlab embed``, ``nearest`` and ``convert-gbert``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from affectlab.errors import UserError
from affectlab.files.io import check_target
from affectlab.terminal import (
    BadInput,
    Failures,
    add_network_arguments,
    batched,
    positive,
    read_texts,
    runs_of_texts,
    warnings_as_lines,
)

if TYPE_CHECKING:
    from affectlab.entity.predict import EntityEmotion


def add_commands(predict: Any, commands: Any) -> None:
    """Add ``predict entity`` and the commands of embeddings; see `Experiment.commands`."""
    entity = predict.add_parser("entity", help="28 emotions of a text, or of a span in it")
    _add_common(entity)
    entity.add_argument("--span", help="words of the text to be judged; with a single TEXT")
    entity.add_argument(
        "--char-start", type=int, help="where the span starts, if it stands there more than once"
    )
    entity.add_argument("--top-k", type=positive, default=3, help="classes shown (default 3)")
    entity.add_argument("--embedding", action="store_true", help="print mu, 64 numbers, too")
    entity.set_defaults(run=_predict)

    embed = commands.add_parser(
        "embed", help="write embeddings of texts by an entity model as Parquet"
    )
    _add_common(embed)
    embed.add_argument("--output", required=True, type=Path, help="Parquet file to write")
    embed.set_defaults(run=_embed)

    near = commands.add_parser("nearest", help="find the texts of `affectlab embed` like a text")
    _add_common(near)
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


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("texts", nargs="*", metavar="TEXT", help="texts; `-` reads stdin")
    parser.add_argument("--file", type=Path, help="UTF-8 file with one text a line")
    parser.add_argument(
        "--model", required=True, type=Path, help="model directory, e.g. results/.../model"
    )
    parser.add_argument("--encoder", type=Path, help="pretrained encoder, for a best_model.pt")
    parser.add_argument(
        "--batch-size", type=positive, default=64, help="texts at a time (default 64)"
    )
    add_network_arguments(parser)


def _predictor(options: argparse.Namespace) -> Any:
    from affectlab.entity.predict import GbertPredictor

    return GbertPredictor.from_checkpoint(
        options.model, options.encoder, options.device, precision=options.precision
    )


def _texts(options: argparse.Namespace) -> Iterator[str | BadInput]:
    if bool(options.texts) == bool(options.file):
        raise UserError("give either texts (`-` for stdin) or --file")
    return read_texts(options.texts, options.file)


def _good_texts(options: argparse.Namespace, failures: Failures) -> list[str]:
    """All texts that can be read; the others are reported."""
    texts = []
    for item in _texts(options):
        if isinstance(item, BadInput):
            failures.report(item.place, item.problem)
        else:
            texts.append(item)
    if failures.count and not texts:
        raise UserError("none of the texts can be read")
    return texts


def _predict(options: argparse.Namespace) -> int:
    from affectlab.entity.predict import Query

    if options.span is not None and (options.file or len(options.texts) != 1):
        raise UserError("--span goes with a single TEXT")
    predictor = _predictor(options)
    failures = Failures()
    first = 1
    for batch in batched(_texts(options), options.batch_size):
        for part in runs_of_texts(batch):
            if isinstance(part, BadInput):
                failures.report(part.place, part.problem, input=part.place)
                first += 1
                continue
            queries = [Query(text, options.span, options.char_start) for text in part]
            with warnings_as_lines():
                answers = predictor.predict_batch(
                    queries, batch_size=options.batch_size, first=first
                )
            first += len(part)
            for text, answer in zip(part, answers, strict=True):
                line = _line(text, answer, options)
                print(json.dumps(line, ensure_ascii=False), flush=True)
    return failures.status("texts")


def _line(text: str, answer: EntityEmotion, options: argparse.Namespace) -> dict[str, Any]:
    """One line of output, as JSON data."""
    line: dict[str, Any] = {
        "text": text,
        "label": answer.label,
        "labels": list(answer.labels),
        "kappa": round(answer.kappa, 4),
        "probabilities": {name: round(value, 6) for name, value in answer.top(options.top_k)},
    }
    if answer.span is not None:
        line["span"] = list(answer.span)
    if options.embedding:
        line["mu"] = list(answer.mu)
    return line


def _embed(options: argparse.Namespace) -> int:
    from affectlab.entity.predict import write_embeddings

    failures = Failures()
    texts = _good_texts(options, failures)
    check_target(options.output)
    with warnings_as_lines():
        write_embeddings(_predictor(options), texts, options.output, batch_size=options.batch_size)
    print(f"{len(texts)} texts: {options.output}")
    return failures.status("texts")


def _nearest(options: argparse.Namespace) -> int:
    from affectlab.entity.predict import nearest

    failures = Failures()
    texts = _good_texts(options, failures)
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
