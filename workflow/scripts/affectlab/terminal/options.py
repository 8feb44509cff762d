"""Options that the commands of all experiments share."""

from __future__ import annotations

import argparse
from pathlib import Path

from affectlab.errors import UserError
from affectlab.files.io import check_target


def positive(text: str) -> int:
    """An argument that is a whole number of at least 1."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--model``, ``--device`` and ``--precision`` to *parser*."""
    parser.add_argument(
        "--model", required=True, type=Path, help="model directory, e.g. results/.../model"
    )
    parser.add_argument("--device", help="PyTorch device; a GPU if there is one")
    parser.add_argument(
        "--precision",
        choices=("fp32", "bf16", "auto"),
        help="of matrix products; auto is bf16 where that is faster (default: as evaluated)",
    )


def add_input_options(
    parser: argparse.ArgumentParser,
    metavar: str,
    what: str,
    column: str = "text",
    *,
    ids: bool = True,
) -> None:
    """Add the items, ``--file``, ``--column`` and ``--id`` to *parser*; see `read_items`.

    Args:
        parser: of a command.
        metavar: of an item.
        what: what items are, in the plural.
        column: that has the items by default.
        ids: whether the output can hold what identifies an item.
    """
    parser.add_argument(
        "items", nargs="*", metavar=metavar, help=f"{what}; `-` reads standard input"
    )
    parser.add_argument(
        "--file", type=Path, help=f"UTF-8 file of {what}: lines, a CSV table or JSON Lines"
    )
    parser.add_argument(
        "--column", help=f"column of the file that holds the {what} (default {column})"
    )
    if ids:
        parser.add_argument("--id", help="column of the file that identifies an item in the output")
    parser.set_defaults(default_column=column, id=None)


def add_output_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--output`` and ``--format`` to *parser*; see `Output`."""
    parser.add_argument("--output", type=Path, help="file to write; standard output by default")
    parser.add_argument(
        "--format", choices=("jsonl", "csv"), default="jsonl", help="of the output (default jsonl)"
    )


def check_options(options: argparse.Namespace, what: str) -> None:
    """Refuse options that contradict each other, and an output that cannot be written.

    Args:
        options: of a command with `add_input_options`.
        what: what an item is called, in the plural.

    Raises:
        UserError: no items or two sources of them; a column of what has none; the output is the
            input, or cannot be written.
    """
    if bool(options.items) == bool(options.file):
        raise UserError(f"give either {what} (`-` for stdin) or --file")
    named = [f"--{name}" for name in ("column", "id") if getattr(options, name) is not None]
    if named and options.items and options.items != ["-"]:
        raise UserError(f"{named[0]}: the {what} of a command line have no columns")
    output = getattr(options, "output", None)
    if output is None:
        return
    check_target(output)
    # Through a link to the file that it means: the finished file takes the place of another.
    options.output = output.resolve()
    if options.file is not None and options.output == options.file.resolve():
        raise UserError(f"{output}: holds the {what}; name another file for the output")
