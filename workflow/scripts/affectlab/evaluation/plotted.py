"""The values of a figure in words, for readers who do not see it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from affectlab.evaluation.stats import Array

if TYPE_CHECKING:
    from matplotlib.figure import Figure

POINTS = 15
"""Of a longer series as many are listed, from first to last."""


def values_of(drawing: Figure) -> list[str]:
    """One line for each series of a figure: its name, a colon, and its points as ``x: y``.

    A cloud of more than `POINTS` points is only counted. A line without a label is decoration, and
    is left out. Intervals are labelled with an underscore in front, so that no legend has them.
    """
    return [line for axes in drawing.axes for line in _values(axes)]


def _values(axes: Any) -> Iterator[str]:
    of = " ".join((axes.get_title() or axes.get_ylabel() or axes.get_xlabel()).split())
    names = _names(axes.xaxis)
    for line in axes.lines:
        x, y = (np.asarray(values, dtype=float) for values in line.get_data())
        if len(x) and not line.get_label().startswith("_"):
            if line.get_transform() is not axes.transData:
                # A line across the whole figure has one number.
                shown = _short(float(y[0] if y[0] == y[1] else x[0]))
            elif line.get_linestyle() == "None" and len(x) > POINTS:
                shown = f"{len(x):,} points"
            else:
                shown = _points(x, y, names)
            yield f"{of}, {line.get_label()}: {shown}"
    for drawn in axes.collections:
        name = drawn.get_label().removeprefix("_")
        if hasattr(drawn, "get_segments"):
            # Matplotlib calls what has no label a child.
            if name.startswith("child"):
                continue
            yield f"{of}, {name}: {'; '.join(map(_interval, drawn.get_segments()))}"
        elif len(drawn.get_offsets()) > 1:
            yield f"{of}: {len(drawn.get_offsets()):,} points"
    for bars in axes.containers:
        middles = np.array([bar.get_x() + bar.get_width() / 2 for bar in bars.patches])
        heights = np.array([bar.get_height() for bar in bars.patches])
        # An empty bar is not seen either.
        middles, heights = middles[heights != 0], heights[heights != 0]
        name = "" if bars.get_label().startswith("_") else f", {bars.get_label()}"
        yield f"{of}{name}: {_points(middles, heights, names)}"


def _names(axis: Any) -> dict[float, str]:
    """Place -> name of an axis that has names instead of numbers."""
    from matplotlib.ticker import FuncFormatter

    given = axis.get_major_formatter()
    if not isinstance(given, FuncFormatter):
        return {}
    return {float(place): given(place) for place in axis.get_ticklocs()}


def _points(x: Array, y: Array, names: Mapping[float, str]) -> str:
    known = np.isfinite(x) & np.isfinite(y)
    x, y = x[known], y[known]
    kept = np.unique(np.linspace(0, len(x) - 1, min(len(x), POINTS)).round().astype(int))
    shown = "; ".join(f"{_place(float(x[at]), names)}: {_short(float(y[at]))}" for at in kept)
    return shown if len(kept) == len(x) else f"{shown} ({len(kept)} of {len(x):,} points)"


def _place(x: float, names: Mapping[float, str]) -> str:
    """The name of the nearest tick where ticks have names; else the number."""
    return names[min(names, key=lambda tick: abs(tick - x))] if names else _short(x)


def _interval(segment: Array) -> str:
    """The ends of a line along an axis; a vertical one with its place."""
    (x, y), (right, top) = segment.tolist()
    if y == top:
        return f"{_short(x)} to {_short(right)}"
    return f"{_short(x)}: {_short(y)} to {_short(top)}"


def _short(number: float) -> str:
    """A number with three digits, and a real minus sign."""
    if number == round(number) and abs(number) < 1e6:
        shown = f"{number:z,.0f}"
    else:
        shown = f"{number:.3f}" if 1e-3 <= abs(number) < 10 else f"{number:.3g}"
    return shown.replace("-", "−")
