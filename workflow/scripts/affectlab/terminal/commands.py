"""What the commands of all experiments do with texts and with warnings."""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from affectlab.terminal.items import BadInput, batched, read_items, runs_of_items
from affectlab.terminal.output import open_output


def predict_texts(
    options: argparse.Namespace,
    predict: Callable[[list[str], int], list[Any]],
    line: Callable[[str, Any, bool], Mapping[str, Any]],
) -> int:
    """Predict the texts of a command in batches, and write a line for each.

    Args:
        options: of a command with all options of this module and ``batch_size``.
        predict: from texts, and the number of the first, to their results.
        line: from a text, its result, and whether all keys are wanted, to a line of output.

    Returns:
        The exit status.
    """
    first = 1
    with open_output(options) as output:
        for batch in batched(read_items(options), options.batch_size):
            for part in runs_of_items(batch):
                if isinstance(part, BadInput):
                    place = part.identity or {"input": part.place}
                    output.fail(part.place, part.problem, **place)
                    first += 1
                    continue
                with warnings_as_lines():
                    results = predict([item.value for item in part], first)
                first += len(part)
                for item, result in zip(part, results, strict=True):
                    output.write({**item.identity, **line(item.value, result, output.full)})
    return output.status("texts")


@contextmanager
def warnings_as_lines() -> Iterator[None]:
    """Every warning as one line for a user, who has no use for a place in the program."""

    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        print(f"affectlab: {message}", file=sys.stderr)

    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = show
        yield
