"""Figures, each as PNG and SVG, the same bytes for the same numbers.

The colours are Okabe and Ito's, which people with any common colour vision tell apart, and the
single-hue scale reads in grey. Lines differ in dash and marker as well as in colour.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import numpy as np

from affectlab.evaluation.intervals import share_interval
from affectlab.evaluation.plotted import values_of
from affectlab.evaluation.stats import Array, Reliability
from affectlab.files.io import atomic_path

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BLUE, ORANGE, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
GREY = "#555555"
SERIES = ((BLUE, "-", "o"), (ORANGE, "--", "s"), (GREEN, "-.", "^"), (PURPLE, ":", "D"))
HATCHES = ("", "///", "---", "xxx")
"""Of bars, which so differ without colour as well. Lines: dots fill an SVG with circles."""

DOTS_PER_INCH = {"png": 150, "svg": 100}
"""Of an SVG: of the pictures inside, see `MANY_POINTS`."""

MANY_POINTS = 400
"""More points than these are stored as a picture inside the SVG: as shapes they would fill it."""

STYLE = {
    "axes.axisbelow": True,
    "axes.edgecolor": GREY,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 11,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Verdana", "sans-serif"],
    "font.size": 10,
    "grid.color": "#DDDDDD",
    "legend.frameon": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "affectlab",
}


POINTS_PER_INCH = 72
SUBJECT_SIZE = 8.5
LETTER_WIDTH = 0.65
"""Of a letter of `STYLE`'s font, on average and with some room, by its size."""

FEW_NAMES = 8
"""So many names fit below an axis at a small angle."""

PANEL_LETTERS = 32
"""Width of a panel's title."""

LEVEL = 0.95
"""Of the intervals in a reliability diagram."""

DRAWN_SCORES = {
    "accuracy": (None, "accuracy"),
    "macro_f1": (GREEN, "macro-F1"),
    "ccc": (None, "concordance"),
    "rouge_l": (None, "ROUGE-L"),
    "valid_output": (GREEN, "share in the form asked for"),
}
"""Scores that the training curves show: colour (None: that of the split) and name."""

CURVES = (*DRAWN_SCORES, "kappa", "learning_rate", "stage")
"""Columns of history.csv that `training_curves` draws where a run has them, besides the loss."""


_SUBJECT: ContextVar[str] = ContextVar("subject of the figures", default="")


@contextmanager
def figures_of(subject: str) -> Iterator[None]:
    """Write *subject*, such as run, data and n, above every figure that is drawn inside."""
    token = _SUBJECT.set(subject)
    try:
        yield
    finally:
        _SUBJECT.reset(token)


def add_subject(drawing: Figure) -> None:
    """Write what a figure is of above it, see `figures_of`, in lines as wide as the figure."""
    subject = _SUBJECT.get()
    if not subject:
        return
    width = int(drawing.get_figwidth() * POINTS_PER_INCH / (SUBJECT_SIZE * LETTER_WIDTH))
    text = "\n".join(filter(None, (drawing.get_suptitle(), *wrap(subject, width))))
    drawing.suptitle(text, fontsize=SUBJECT_SIZE, color=GREY)


@contextmanager
def figure(stem: Path | str, width: float, height: float) -> Iterator[Figure]:
    """Yield an empty figure; write it to *stem* with ``.png`` and ``.svg`` in the end.

    Args:
        stem: path without an ending.
        width: in inches.
        height: in inches.
    """
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with mpl.rc_context({**mpl.rcParamsDefault, **STYLE, "backend": "agg"}):
        drawing = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(drawing)
        yield drawing
        add_subject(drawing)
        # Neither file may name the day or the version it was made with.
        unsigned: dict[str, dict[str, Any]] = {
            "png": {"Software": None},
            "svg": {"Date": None, "Creator": None, "Description": "\n".join(values_of(drawing))},
        }
        for ending, metadata in unsigned.items():
            with atomic_path(f"{stem}.{ending}") as temporary:
                drawing.savefig(
                    temporary, format=ending, dpi=DOTS_PER_INCH[ending], metadata=metadata
                )


def legend(axes: Any) -> None:
    """Put the legend to the right of *axes*, where it hides no data."""
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), fontsize=8, borderaxespad=0.0)


def confusion_matrix(stem: Path | str, confusion: Array, classes: Sequence[str]) -> None:
    """Draw counts, coloured by their share of the true class.

    Args:
        stem: path without an ending.
        confusion: ``[K, K]`` counts, rows are true classes.
        classes: K names.
    """
    totals = confusion.sum(axis=1, keepdims=True)
    shares = np.divide(confusion, totals, out=np.zeros(confusion.shape), where=totals > 0)
    size = max(4.0, 2.2 + 0.75 * len(classes))
    with figure(stem, size + 0.6, size) as drawing:
        axes = drawing.add_subplot()
        image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        for (row, column), count in np.ndenumerate(confusion):
            share = shares[row, column]
            axes.text(
                column,
                row,
                f"{share:.0%}\n{count:,}",
                ha="center",
                va="center",
                fontsize=8.5,
                color="white" if share > 0.5 else "black",
            )
        places = range(len(classes))
        name_columns(axes, classes)
        axes.set_yticks(places, classes)
        axes.set_xlabel("predicted class")
        axes.set_ylabel("true class")
        axes.spines[:].set_visible(False)
        drawing.colorbar(image, ax=axes, shrink=0.8, label="share of the true class")


def name_columns(axes: Any, names: Sequence[str]) -> None:
    """Name the places of an axis below it, at an angle at which neighbours do not touch."""
    angle = 30 if len(names) <= FEW_NAMES else 60
    axes.set_xticks(range(len(names)), names, rotation=angle, ha="right", rotation_mode="anchor")


def reliability(stem: Path | str, series: Mapping[str, Reliability]) -> None:
    """Draw accuracy against confidence with intervals, and how many items each bin holds.

    The intervals take each item by itself.

    Args:
        stem: path without an ending.
        series: named diagrams over the same bins, at most four.
    """
    with figure(stem, 8.0, 6.0) as drawing:
        above, below = drawing.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        above.plot([0, 1], [0, 1], color=GREY, linewidth=1, label="perfectly calibrated")
        width = 0.8 / len(series)
        looks = zip(series.items(), SERIES, HATCHES, strict=False)
        for place, ((name, table), look, hatch) in enumerate(looks):
            colour, dash, marker = look
            filled = table.counts > 0
            gap = np.abs(table.accuracy - table.confidence)[filled]
            error = float((table.counts[filled] * gap).sum() / table.counts.sum())
            above.plot(
                table.confidence[filled],
                table.accuracy[filled],
                color=colour,
                linestyle=dash,
                marker=marker,
                markersize=5,
                label=f"{name} (ECE {error:.3f})",
            )
            limits = [_bin_limits(table, int(place)) for place in np.flatnonzero(filled)]
            above.vlines(
                table.confidence[filled],
                *np.transpose(limits),
                color=colour,
                linewidth=1,
                label=f"_{LEVEL:.0%} interval, {name}",
            )
            step = table.edges[1] - table.edges[0]
            left = table.edges[:-1] + step * (0.1 + place * width)
            bars = below.bar(
                left,
                table.counts,
                step * width,
                align="edge",
                color=colour,
                edgecolor="white",
                linewidth=0,
                hatch=hatch,
                label=name,
            )
            numbers = [f"{count:,}" if count else "" for count in table.counts]
            below.bar_label(bars, numbers, rotation=90, fontsize=6, padding=1)
        above.set_ylabel(f"accuracy in the bin\n(lines: {LEVEL:.0%} intervals)")
        above.set_ylim(0, 1.02)
        above.set_xlim(0, 1)
        above.grid(visible=True)
        legend(above)
        legend(below)
        above.set_title("Confidence against accuracy")
        below.set_yscale("symlog", linthresh=1)
        # The numbers of the highest bars need room.
        below.set_ylim(0, 20 * max(table.counts.max() for table in series.values()))
        below.set_ylabel("items")
        below.set_xlabel("confidence (probability of the predicted class)")
        below.grid(visible=True, axis="y")


def _bin_limits(table: Reliability, place: int) -> tuple[float, float]:
    """Limits of the accuracy in a bin."""
    count = int(table.counts[place])
    right = np.arange(count) < round(table.accuracy[place] * count)
    found = share_interval(np.stack([right, np.ones(count)], axis=1), LEVEL)
    return found.low, found.high


def grouped_bars(stem: Path | str, rows: Mapping[str, Mapping[str, float]], *, ylabel: str) -> None:
    """Draw bars side by side for each row.

    Args:
        stem: path without an ending.
        rows: name of a group of bars -> name of a bar -> height; the same bars in each, at most
            four.
        ylabel: what the heights are.
    """
    bars = list(next(iter(rows.values())))
    width = 0.8 / len(bars)
    with figure(stem, 3.5 + 1.3 * len(rows), 4.0) as drawing:
        axes = drawing.add_subplot()
        looks = zip(bars, SERIES, HATCHES, strict=False)
        for place, (bar, (colour, _, _), hatch) in enumerate(looks):
            offsets = [group + (place - (len(bars) - 1) / 2) * width for group in range(len(rows))]
            heights = [row[bar] for row in rows.values()]
            axes.bar(
                offsets,
                heights,
                width,
                color=colour,
                edgecolor="white",
                linewidth=0,
                hatch=hatch,
                label=bar.replace("_", " "),
            )
        name_columns(axes, [name.replace("_", " ") for name in rows])
        axes.set_ylabel(ylabel)
        axes.grid(visible=True, axis="y")
        legend(axes)


def histogram(
    stem: Path | str,
    values: Sequence[float],
    *,
    xlabel: str,
    ylabel: str,
    limit: tuple[str, float] | None = None,
) -> None:
    """Draw how often values occur, with a line at a *limit* (name, value) if there is one."""
    with figure(stem, 7.0, 4.0) as drawing:
        axes = drawing.add_subplot()
        axes.hist(values, bins=30, color=BLUE)
        if limit is not None:
            axes.axvline(limit[1], color=ORANGE, linestyle="--", label=limit[0])
            legend(axes)
        axes.set_xlabel(xlabel)
        axes.set_ylabel(ylabel)
        axes.grid(visible=True, axis="y")


def scatter(stem: Path | str, panels: Mapping[str, tuple[Array, Array]]) -> None:
    """Draw predictions against true values, a panel for each number.

    Args:
        stem: path without an ending.
        panels: name of a number -> true values ``[n]`` and predictions ``[n]``.
    """
    with _grid(stem, len(panels)) as drawn:
        for axes, (name, (true, predicted)) in zip(drawn, panels.items(), strict=True):
            ends = [
                min(float(true.min()), float(predicted.min())),
                max(float(true.max()), float(predicted.max())),
            ]
            axes.plot(ends, ends, color=GREY, linewidth=1, linestyle="--")
            axes.scatter(
                true,
                predicted,
                s=12,
                color=BLUE,
                alpha=0.6,
                linewidths=0,
                rasterized=len(true) > MANY_POINTS,
            )
            title_panel(axes, name)
            axes.set_xlabel("true value")
            axes.set_ylabel("prediction")
            axes.grid(visible=True)


def title_panel(axes: Any, name: str) -> None:
    """Write a name above a panel of `_grid`, in lines that do not reach the next panel."""
    axes.set_title("\n".join(wrap(name, PANEL_LETTERS)), fontsize=9)


@contextmanager
def _grid(stem: Path | str, count: int) -> Iterator[list[Any]]:
    """Yield *count* square panels, three in a row; write the figure in the end."""
    columns = min(count, 3)
    rows = -(-count // columns)
    with figure(stem, 3.6 * columns, 3.6 * rows) as drawing:
        drawn = drawing.subplots(rows, columns, squeeze=False).ravel()
        yield list(drawn[:count])
        for axes in drawn[count:]:
            axes.set_visible(False)


def precision_recall(stem: Path | str, panels: Mapping[str, tuple[Array, Array, Array]]) -> None:
    """Draw precision against recall, a panel for each class, with the point of its decisions.

    Args:
        stem: path without an ending.
        panels: name of a class -> whether each item has it ``[n]``, its probabilities ``[n]``, and
            whether it is predicted ``[n]``. A class that no item has gets an empty panel.
    """
    with _grid(stem, len(panels)) as drawn:
        for axes, (name, (true, probabilities, decided)) in zip(drawn, panels.items(), strict=True):
            title_panel(axes, name)
            axes.set_xlabel("recall")
            axes.set_ylabel("precision")
            axes.set_xlim(0, 1.02)
            axes.set_ylim(0, 1.02)
            axes.grid(visible=True)
            if not true.any():
                continue
            order = np.argsort(-probabilities, kind="stable")
            last = np.flatnonzero(np.diff(probabilities[order], append=-1.0))
            hits = np.cumsum(true[order])[last]
            axes.axhline(true.mean(), color=GREY, linewidth=1, linestyle="--")
            curve = {"color": BLUE, "where": "pre", "label": "precision by recall"}
            axes.step(hits / true.sum(), hits / (last + 1), **curve)
            if decided.any():
                right = (true & decided).sum()
                place = right / true.sum(), right / decided.sum()
                axes.plot(*place, "o", color=ORANGE, label="decisions")


def training_curves(stem: Path | str, history: Mapping[str, Mapping[str, Array]]) -> None:
    """Draw a training over its steps: loss, and whatever else of `CURVES` its history has.

    Vertical lines are ends of stages. A training that has one step of each split has no curve: its
    numbers are printed.

    Args:
        stem: path without an ending.
        history: as `read_history` returns it.
    """
    if all(len(rows["step"]) < 2 for rows in history.values()):
        _print_training(stem, history)
        return
    known = {
        name
        for rows in history.values()
        for name, values in rows.items()
        if np.isfinite(values).any()
    }
    scores = [name for name in DRAWN_SCORES if name in known]
    heights = {"loss": 3, "score": 3 if scores else 0}
    heights |= {name: 2 if name in known else 0 for name in ("kappa", "learning_rate")}
    heights = {name: height for name, height in heights.items() if height}
    with figure(stem, 8.5, 1.0 + 0.8 * sum(heights.values())) as drawing:
        drawn = drawing.subplots(
            len(heights), 1, sharex=True, squeeze=False, height_ratios=list(heights.values())
        )
        panels = dict(zip(heights, drawn[:, 0], strict=True))
        for (split, rows), series in zip(history.items(), SERIES, strict=False):
            _draw_split(panels, split, rows, series, scores)
        _finish(panels, _stage_ends(history), squared="ccc" in scores)


def _print_training(stem: Path | str, history: Mapping[str, Mapping[str, Array]]) -> None:
    """Write the numbers of a training that was measured once, in a line for each split."""
    names = {"loss": "loss", **{name: label for name, (_, label) in DRAWN_SCORES.items()}}
    names |= {"kappa": "mean kappa", "learning_rate": "learning rate"}
    lines = []
    for split, rows in history.items():
        values = [
            f"{label} {rows[name][0]:.3g}"
            for name, label in names.items()
            if name in rows and np.isfinite(rows[name][0])
        ]
        lines.append(f"{split}, step {rows['step'][0]:g}: {', '.join(values)}")
    with figure(stem, 8.5, 0.7 + 0.25 * len(lines)) as drawing:
        axes = drawing.add_subplot()
        axes.set_axis_off()
        axes.set_title("Measured once, so there is no curve", loc="left")
        axes.text(0, 1, "\n".join(lines), va="top", transform=axes.transAxes)


def _draw_split(
    panels: Mapping[str, Any],
    split: str,
    rows: Mapping[str, Array],
    series: tuple[str, str, str],
    scores: Sequence[str],
) -> None:
    """Draw the columns of one split, each into its panel."""
    colour, dash, marker = series
    trained_on = split == "train"
    look = {"color": colour, "linestyle": dash, "marker": "" if trained_on else marker}
    _line(panels["loss"], rows, "loss", label=split, **look)
    if "learning_rate" in panels:
        _line(panels["learning_rate"], rows, "learning_rate", color=GREY)
    if trained_on:
        return
    if "kappa" in panels:
        _line(panels["kappa"], rows, "kappa", **look)
    for name in scores:
        own, label = DRAWN_SCORES[name]
        other = {"color": own, "linestyle": "-.", "marker": "^"} if own else {}
        _line(panels["score"], rows, name, label=f"{split} {label}", **(look | other))


def _stage_ends(history: Mapping[str, Mapping[str, Array]]) -> list[float]:
    """Steps after which another stage of the training begins."""
    rows = history.get("validation", {})
    if "stage" not in rows:
        return []
    return [float(step) for step in rows["step"][:-1][np.diff(rows["stage"]) > 0]]


def _finish(panels: Mapping[str, Any], stage_ends: Sequence[float], *, squared: bool) -> None:
    """Label the axes of training curves, and mark the ends of stages.

    Args:
        panels: name of what is drawn -> its axes.
        stage_ends: steps.
        squared: whether the loss is a squared error, which has no unit here.
    """
    panels["loss"].set_ylabel("loss" if squared else "loss (nats)")
    panels["loss"].set_ylim(min(0.0, panels["loss"].dataLim.y0), 1.05 * panels["loss"].dataLim.y1)
    for name, label in (
        ("score", "score"),
        ("kappa", "mean kappa, validation"),
        ("learning_rate", "learning rate"),
    ):
        if name in panels:
            panels[name].set_ylabel(label)
    if "learning_rate" in panels:
        panels["learning_rate"].ticklabel_format(axis="y", style="sci", scilimits=(0, 0))
    last = list(panels.values())[-1]
    last.set_xlabel(
        "optimiser step (vertical lines: ends of stages)" if stage_ends else "optimiser step"
    )
    for axes in panels.values():
        for end in stage_ends:
            axes.axvline(end, color=GREY, linewidth=1)
        axes.grid(visible=True)
        if axes.get_legend_handles_labels()[0]:
            legend(axes)


def _line(axes: Any, rows: Mapping[str, Array], column: str, **look: Any) -> None:
    """Draw one column over the steps where it has a value; a single value as a point."""
    if column not in rows:
        return
    known = ~np.isnan(rows[column])
    if known.sum() == 1:
        look["marker"] = look.get("marker") or "o"
    if known.any():
        axes.plot(rows["step"][known], rows[column][known], markersize=5, **look)
