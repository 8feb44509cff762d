"""Figures of the entity experiment: concentration, map of the embedding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from affectlab.entity.labels import neutral_of
from affectlab.evaluation import plots, stats

CLASS_NAMES_HEIGHT = 300
"""Points of the column of class names in the map."""


def kappa_plot(
    stem: Path | str,
    bins: Sequence[Mapping[str, float]],
    table: Mapping[str, stats.Array],
) -> None:
    """Draw what a concentration predicts and what is found, and concentration by label entropy.

    Args:
        stem: path without an ending.
        bins: as `evaluate.kappa_bins` gives them.
        table: as `scores.columns` gives it.
    """
    with plots.figure(stem, 10.0, 4.2) as drawing:
        left, right = drawing.subplots(1, 2)
        foretold = [row["foretold_cosine"] for row in bins]
        left.plot([0, 1], [0, 1], color=plots.GREY, linewidth=1, label="as predicted")
        left.plot(
            foretold, [row["cosine"] for row in bins], color=plots.BLUE, marker="o", label="found"
        )
        left.set_xlabel("mean cosine that kappa predicts, A(kappa)")
        left.set_ylabel("mean cosine to the label's prototypes")
        left.set_title("Is the concentration calibrated?")
        plots.legend(left)
        right.plot(
            table["entropy"],
            table["kappa"],
            ".",
            color=plots.BLUE,
            alpha=0.4,
            rasterized=len(table["kappa"]) > plots.MANY_POINTS,
        )
        right.set_xlabel("entropy of the soft label (nats)")
        right.set_ylabel("kappa")
        right.set_yscale("log")
        right.set_title("Does it fall where labels are mixed?")
        for axes in (left, right):
            axes.grid(visible=True)


def embedding_map(
    stem: Path | str,
    mu: stats.Floats,
    prototypes: stats.Floats,
    table: Mapping[str, stats.Array],
    classes: Sequence[str],
    split: str,
) -> None:
    """Draw the two directions of most variance of the embedding, and the class prototypes.

    The names of all classes are in a column at the right, each with a line to its prototype.

    Args:
        stem: path without an ending.
        mu: mean directions of the targets, (n, 64).
        prototypes: unit directions of the classes, (K, 64).
        table: as `scores.columns` gives it.
        classes: their names.
        split: what the targets are of, such as the test split.
    """
    centre = mu.mean(axis=0)
    _, spread, axes_of_variance = np.linalg.svd(mu - centre, full_matrices=False)
    shares = spread**2 / max(float((spread**2).sum()), 1e-12)
    plane = axes_of_variance[:2].T
    points, anchors = (mu - centre) @ plane, (prototypes - centre) @ plane
    neutral = neutral_of(classes)
    if neutral is None:
        parts = [(np.ones(len(points), bool), plots.ORANGE, "x", "target")]
    else:
        emotional = ~table["truth"][:, neutral]
        parts = [
            (~emotional, plots.GREY, ".", "neutral"),
            (emotional, plots.ORANGE, "x", "another class"),
        ]
    with plots.figure(stem, 8.5, 6.6) as drawing:
        axes = drawing.add_subplot()
        for chosen, colour, marker, name in parts:
            axes.plot(
                *points[chosen].T,
                marker,
                color=colour,
                alpha=0.7,
                markersize=5,
                label=name,
                rasterized=len(points) > plots.MANY_POINTS,
            )
        axes.plot(*anchors.T, "D", color=plots.BLUE, markersize=4, label="class prototype")
        order = np.argsort(-anchors[:, 1], kind="stable")
        for place, height in zip(order, np.linspace(0.99, 0.01, len(order)), strict=True):
            axes.annotate(
                classes[place],
                anchors[place],
                xytext=(1.04, height),
                textcoords="axes fraction",
                fontsize=min(8.0, CLASS_NAMES_HEIGHT / len(order)),
                va="center",
                annotation_clip=False,
                arrowprops={"arrowstyle": "-", "color": plots.BLUE, "alpha": 0.35, "lw": 0.6},
            )
        axes.set_xlabel(f"first principal axis ({shares[0]:.0%} of the variance)")
        axes.set_ylabel(f"second principal axis ({shares[1]:.0%})")
        axes.set_title(f"Embedding of {split}, and the class prototypes")
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.1), ncols=3, fontsize=8)
