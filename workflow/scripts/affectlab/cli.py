"""The command ``affectlab``: ask a trained model, see what data is at hand and what came out."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from affectlab import __version__
from affectlab.core.errors import UserError

USER_ERROR_STATUS = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status (0 done, 1 something missing, 2 misuse)."""
    options = _parser().parse_args(arguments)
    try:
        return options.run(options)
    except UserError as error:
        print(f"affectlab: {error}", file=sys.stderr)
        return USER_ERROR_STATUS
    except BrokenPipeError:
        # The reader (`| head`) has seen enough; keep Python from flushing into the closed pipe.
        sys.stdout = None
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="affectlab", description=__doc__)
    parser.add_argument("--version", action="version", version=f"affectlab {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    predict = commands.add_parser("predict", help="classify texts with a trained model")
    wings = predict.add_subparsers(required=True, metavar="WING")
    emotion = wings.add_parser("emotion", help="six emotions of a short English text")
    emotion.add_argument("texts", nargs="*", metavar="TEXT", help="texts; `-` reads stdin")
    emotion.add_argument(
        "--model", required=True, type=Path, help="model directory, e.g. results/.../model"
    )
    emotion.add_argument("--file", type=Path, help="UTF-8 file with one text a line")
    emotion.add_argument("--top-k", type=_positive, default=3, help="classes shown (default 3)")
    emotion.add_argument("--batch-size", type=_positive, default=64)
    emotion.add_argument("--device", help="PyTorch device; a GPU if there is one")
    emotion.set_defaults(run=_predict_emotion)

    check = commands.add_parser(
        "check", help="list every data set and model that a configuration needs"
    )
    check.add_argument(
        "--configfile", type=Path, nargs="*", default=[], help="overlays, as for snakemake"
    )
    check.add_argument(
        "--config", nargs="*", default=[], metavar="KEY=VALUE", help="values, as for snakemake"
    )
    check.add_argument(
        "--resources", type=Path, default=Path("resources"), help="folder of fetched things"
    )
    check.set_defaults(run=_check)

    results = commands.add_parser("results", help="print the results of a run in a few lines")
    results.add_argument("folder", nargs="?", type=Path, default=Path("results"))
    results.set_defaults(run=_results)
    return parser


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


def _predict_emotion(options: argparse.Namespace) -> int:
    from affectlab.emotion.predict import EmotionClassifier

    if bool(options.texts) == bool(options.file):
        raise UserError("give either texts (`-` for stdin) or --file")
    classifier = EmotionClassifier.from_directory(options.model, device=options.device)
    for batch in _batches(_texts(options), options.batch_size):
        predictions = classifier.predict(batch, batch_size=options.batch_size)
        for text, prediction in zip(batch, predictions, strict=True):
            line = {
                "text": text,
                "label": prediction.label,
                "probabilities": {
                    name: round(value, 6) for name, value in prediction.top(options.top_k)
                },
            }
            print(json.dumps(line, ensure_ascii=False), flush=True)
    return 0


def _texts(options: argparse.Namespace) -> Iterator[str]:
    """The texts to classify, one by one, so that a pipe may go on for ever."""
    if options.file is not None:
        from affectlab.core.io import read_text

        lines: Iterable[str] = read_text(options.file).rstrip("\n").split("\n")
        source = str(options.file)
    elif options.texts == ["-"]:
        lines, source = (line.rstrip("\r\n") for line in sys.stdin), "standard input"
    else:
        lines, source = options.texts, "text"
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            raise UserError(f"{source}, line {number}: is empty")
        yield line


def _batches(texts: Iterator[str], size: int) -> Iterator[list[str]]:
    while batch := list(islice(texts, size)):
        yield batch


def _check(options: argparse.Namespace) -> int:
    import yaml

    from affectlab.core.assets import check_config, format_table
    from affectlab.core.config import load_config, merge, validate_config

    project = _project()
    config = load_config(project, options.configfile)
    for setting in options.config:
        key, separator, value = setting.partition("=")
        if not separator:
            raise UserError(f"--config {setting}: expected KEY=VALUE")
        config = merge(config, {key: yaml.safe_load(value)})
    statuses = check_config(config, validate_config(config, project), options.resources)
    print(format_table(statuses))
    return 1 if any(status.state == "missing" for status in statuses) else 0


def _results(options: argparse.Namespace) -> int:
    from affectlab.report.summary import summarise

    print(summarise(options.folder))
    return 0


def _project() -> Path:
    """The checkout that this package belongs to, else the folder one is in.

    Raises:
        UserError: neither is a checkout of affectlab.
    """
    for folder in (Path(__file__).resolve().parents[3], Path.cwd()):
        if (folder / "Snakefile").is_file() and (folder / "config").is_dir():
            return folder
    raise UserError("no affectlab checkout here: change to its folder")


if __name__ == "__main__":
    sys.exit(main())
