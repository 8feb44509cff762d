"""Figures of a run: confusion matrix or scatter plot, score by layer, and effect of a leak."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from affectlab.audio.predictions import GROUPED, OFFICIAL, OUTSIDE, PUBLISHED, RANDOM, VIEW_PREFIX
from affectlab.audio.scores import headline_of, predicts_label_sets
from affectlab.audio.tasks import speakers_known
from affectlab.audio.views import MIX
from affectlab.evaluation import plots

CLIPS_APART = "each clip in one fold"
"""The main scheme where the data do not tell who speaks."""

SCHEMES = {
    GROUPED: "speakers kept apart",
    RANDOM: "clips split at random",
    OFFICIAL: "the corpus' own split",
    PUBLISHED: "published protocol",
    OUTSIDE: "somebody else's predictions",
    "duration": "duration alone",
    "loudness": "loudness alone",
    "conditions": "recording conditions alone",
}


Panels = Mapping[str, tuple[npt.NDArray[Any], ...]]
"""Name of a number -> true values and predictions, each ``[n]``; or name of a class of label sets
-> whether each item has it, its probabilities, and whether it is predicted, each ``[n]``."""

LABELS = {
    "uar": "unweighted average recall",
    "ccc": "concordance, mean over the numbers",
    "macro_f1": "macro F1",
}
"""Headline score -> label of its axis. Runs with one class for each item have a macro F1, too."""


def draw(folder: Path, record: Mapping[str, Any], panels: Panels) -> None:
    """Write every figure of a run, as SVG and PNG.

    The curve of the layers needs two views at least; one that an earlier recipe left is deleted.

    Args:
        folder: where they go.
        record: what metrics.json is going to hold.
        panels: of a run that predicts numbers or label sets.
    """
    data, score = record["data"], headline_of(record["data"])[0]
    if "numbers" in data:
        plots.scatter(
            folder / "predicted_values", {name: (own[0], own[1]) for name, own in panels.items()}
        )
        trivial = ("a constant", 0.0)
    elif predicts_label_sets(data):
        plots.precision_recall(
            folder / "precision_recall",
            {name: (own[0], own[1], own[2]) for name, own in panels.items()},
        )
        baseline = record["metrics"][score]["baseline"]
        trivial = (baseline["name"].replace("_", " "), baseline["value"])
    else:
        classes, confusion = data["classes"], np.array(record["confusion_matrix"])
        plots.confusion_matrix(folder / "confusion_matrix", confusion, classes)
        trivial = ("majority", 1 / len(classes))
    scores = {data["split"]: record["metrics"][score]} | {
        name: entry["metrics"][score] for name, entry in record["other_splits"].items()
    }
    known = speakers_known(record["details"])
    names = SCHEMES if known else SCHEMES | {GROUPED: CLIPS_APART}
    # Of pooled subjects, the difference to clips would be that of pooling, too.
    leaks = record["details"]["unit"] == "clip" and known
    shown = [name for name in names if name in scores and (leaks or name != RANDOM)]
    entries = {names[name]: scores[name] for name in shown}
    interval_plot(folder / "schemes", entries, trivial, LABELS[score])
    views = {
        name.removeprefix(VIEW_PREFIX): entry
        for name, entry in scores.items()
        if name.startswith(VIEW_PREFIX)
    }
    if len(views) > 1:
        layer_curve(folder / "layers", views, trivial, LABELS[score])
    else:
        for ending in ("svg", "png"):
            (folder / f"layers.{ending}").unlink(missing_ok=True)


def interval_plot(
    stem: Path, entries: Mapping[str, Mapping[str, Any]], trivial: tuple[str, float], label: str
) -> None:
    """Draw scores with their intervals, one a row, next to a line at a trivial baseline.

    Args:
        stem: path without an ending.
        entries: name -> ``value`` and ``ci``, from top to bottom.
        trivial: name and score of an answer that listens to nothing.
        label: of the scores.
    """
    with plots.figure(stem, 8.0, 1.0 + 0.42 * len(entries)) as drawing:
        axes = drawing.add_subplot()
        for row, (name, entry) in enumerate(entries.items()):
            own = f"_{name}, {entry['value']:.3f}, interval"
            axes.hlines(row, *entry["ci"], color=plots.BLUE, linewidth=2, label=own)
            axes.plot(entry["value"], row, "o", color=plots.BLUE)
            axes.annotate(
                f"{entry['value']:.3f}",
                (entry["value"], row),
                xytext=(0, 6),
                textcoords="offset points",
                ha="center",
                fontsize=8,
            )
        _mark(axes.axvline, trivial)
        _finish_rows(axes, list(entries), top=-0.7, label=label)


def layer_curve(
    stem: Path, views: Mapping[str, Mapping[str, Any]], trivial: tuple[str, float], label: str
) -> None:
    """Draw the score of each layer by itself and of all together.

    Args:
        stem: path without an ending.
        views: name of the view -> ``value`` and ``ci``, layers in order.
        trivial: name and score of an answer that listens to nothing.
        label: of the scores.
    """
    layers = {name: entry for name, entry in views.items() if name != MIX}
    ordered = sorted(layers, key=lambda name: (len(name), name))
    values = [layers[name]["value"] for name in ordered]
    low, high = zip(*(layers[name]["ci"] for name in ordered), strict=True)
    places = range(len(ordered))
    with plots.figure(stem, 8.0, 4.0) as drawing:
        axes = drawing.add_subplot()
        axes.fill_between(places, low, high, color=plots.BLUE, alpha=0.2, linewidth=0)
        axes.plot(places, values, color=plots.BLUE, marker="o", label="each layer by itself")
        if MIX in views:
            value = views[MIX]["value"]
            axes.axhline(value, color=plots.GREEN, label=f"all layers together ({value:.3f})")
        _mark(axes.axhline, trivial)
        plots.name_columns(axes, ordered)
        axes.set_ylabel(label)
        axes.set_ylim(bottom=min(0.0, *low))
        axes.grid(visible=True, axis="y")
        plots.legend(axes)


def _mark(line: Callable[..., Any], trivial: tuple[str, float]) -> None:
    """Draw a line at a trivial baseline."""
    name, value = trivial
    line(value, color=plots.ORANGE, linestyle="--", label=f"{name} ({value:.3f})")


def forest(stem: Path, runs: Sequence[Mapping[str, Any]]) -> None:
    """Draw every encoder, task and protocol with its interval, and its strongest trivial baseline.

    Runs that predict numbers, or label sets, are in a panel of their own.

    Args:
        stem: path without an ending.
        runs: of comparison.json, from top to bottom.
    """
    panels = {
        score: own
        for score in LABELS
        if (own := [run for run in runs if headline_of_run(run) == score])
    }
    heights = [len(own) for own in panels.values()]
    with plots.figure(stem, 10.0, 1.2 * len(panels) + 0.36 * len(runs)) as drawing:
        drawn = drawing.subplots(len(panels), 1, squeeze=False, height_ratios=heights)
        for axes, (score, own) in zip(drawn[:, 0], panels.items(), strict=True):
            _draw_runs(axes, own, score)


def headline_of_run(run: Mapping[str, Any]) -> str:
    """The first headline score of a run of comparison.json."""
    return next(score for score in LABELS if score in run["metrics"])


def _draw_runs(axes: Any, runs: Sequence[Mapping[str, Any]], score: str) -> None:
    looks = {"corrected": (plots.BLUE, "-", "o"), "published": (plots.PURPLE, "--", "s")}
    lowest = 0.0
    names = [f"{run['model']}: {run['method']} on {run['data']}, n = {run['n']:,}" for run in runs]
    for row, (name, run) in enumerate(zip(names, runs, strict=True)):
        entry = run["metrics"][score]
        low, high = entry["ci"]
        lowest = min(lowest, low)
        colour, dash, marker = looks[run["protocol"]]
        own = f"_{name}, {entry['mean']:.3f}, interval"
        axes.hlines(row, low, high, color=colour, linestyle=dash, linewidth=2, label=own)
        axes.plot(entry["mean"], row, marker, color=colour)
        axes.plot(entry["baseline"]["value"], row, "|", color=plots.ORANGE, markersize=14)
    for name, (colour, dash, marker) in looks.items():
        axes.plot([], [], dash + marker, color=colour, label=f"{name} protocol")
    axes.plot([], [], "|", color=plots.ORANGE, markersize=14, label="strongest trivial")
    axes.set_xlim(lowest, 1)
    _finish_rows(axes, names, top=-0.5, label=LABELS[score])


def _finish_rows(axes: Any, names: Sequence[str], *, top: float, label: str) -> None:
    """Name the rows of scores, the first one below *top*, and add the axis and the legend."""
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, top)
    axes.set_xlabel(label)
    axes.grid(visible=True, axis="x")
    plots.legend(axes)
