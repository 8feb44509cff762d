"""Top 1 against the number of updates: how far a run had come after each validation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

import numpy as np

from affectlab.errors import DataError
from affectlab.evaluation import plots, stats
from affectlab.files.io import read_json
from affectlab.training.history import read_history

COLUMNS = ("step", "split", "accuracy")


@dataclass(frozen=True, slots=True)
class Course:
    """The validation scores of one run and seed over its training.

    Attributes:
        name: of the run, with its seed.
        data: name of the data set.
        updates: optimiser updates before each validation, ``[m]``.
        top1: share of the validation targets whose likeliest class is that of their label,
            ``[m]``. Runs that train on whole sentences are validated on whole sentences.
        baseline: the same share for a constant prediction of the commonest training class.
    """

    name: str
    data: str
    updates: stats.Floats
    top1: stats.Floats
    baseline: float


def read_course(metrics_path: Path | str, history_path: Path | str) -> Course:
    """Read the course of one run and seed.

    Args:
        metrics_path: its metrics.json.
        history_path: its history.csv.

    Raises:
        DataError: a file is malformed, or the history has no validation.
    """
    record = read_json(metrics_path)
    history = read_history(history_path, COLUMNS)
    if "validation" not in history:
        raise DataError(history_path, None, "expected rows of the split validation, found none")
    baseline = record["other_splits"]["validation"]["metrics"]["top1_accuracy"]["baseline"]
    return Course(
        name=f"{record['run']}, seed {record['seed']}",
        data=record["data"]["name"],
        updates=history["validation"]["step"],
        top1=history["validation"]["accuracy"],
        baseline=float(baseline["value"]),
    )


def draw(stem: Path | str, courses: Sequence[Course]) -> None:
    """Draw top 1 against the number of updates, one panel for each data set.

    Args:
        stem: path without an ending.
        courses: at least one.
    """
    names = sorted({course.data for course in courses})
    of = f"{len(courses)} trainings; panels by data set"
    with plots.figures_of(of), plots.figure(stem, 7.5, 0.6 + 3.4 * len(names)) as drawing:
        panels = np.atleast_1d(drawing.subplots(len(names), 1, sharex=True))
        for panel, name in zip(panels, names, strict=True):
            members = [course for course in courses if course.data == name]
            for course, (colour, dash, marker) in zip(members, cycle(plots.SERIES), strict=False):
                panel.plot(
                    course.updates,
                    course.top1,
                    color=colour,
                    linestyle=dash,
                    marker=marker,
                    markersize=4,
                    label=course.name,
                )
            panel.axhline(
                members[0].baseline,
                color=plots.GREY,
                linewidth=1,
                label=f"commonest class ({members[0].baseline:.3f})",
            )
            panel.set_title(name)
            panel.set_ylabel("top 1, validation")
            panel.set_ylim(0, 1)
            panel.grid(visible=True)
            panel.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=8)
        panels[-1].set_xlabel("optimiser updates, all stages")
