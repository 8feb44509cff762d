"""Figures of a scored run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from affectlab.evaluation.classification import (
    Predictions,
    reliability_at,
)
from affectlab.face.labels import LIMITS


def draw_classes(
    figures: Path, record: Mapping[str, Any], shown: Predictions, *, reliability: bool
) -> None:
    """Draw the confusion matrix and, where wanted, the *reliability* of the predictions *shown*."""
    from affectlab.evaluation import plots

    confusion = np.array(record["confusion_matrix"])
    plots.confusion_matrix(figures / "confusion_matrix", confusion, record["data"]["classes"])
    if not reliability:
        return
    scaled = reliability_at(shown, record["calibration"]["temperature"])
    curves = {"as trained": reliability_at(shown, 1.0), "after temperature scaling": scaled}
    plots.reliability(figures / "reliability", curves)


def draw_outputs(
    stem: Path, predicted: Mapping[str, np.ndarray], labels: Mapping[str, np.ndarray]
) -> None:
    """Draw the distributions of the regressed values and of their labels."""
    from affectlab.evaluation.plots import BLUE, ORANGE, figure

    known = np.isin(labels["image_path"], predicted["id"])
    titles = ("valence", "arousal", '"IQ" proxy (raw)', '"EQ" proxy (raw)')
    shown = [name for name in LIMITS if name in predicted]
    rows = (len(shown) + 1) // 2
    with figure(stem, 8.0, 3.0 * rows) as drawing:
        panels = drawing.subplots(rows, 2).ravel()
        for axes, title, name in zip(panels, titles, shown, strict=False):
            limit = LIMITS[name]
            edges = np.linspace(-limit, limit, 41)
            true = labels[name][known]
            axes.hist(true[~np.isnan(true)], edges, color=BLUE, alpha=0.6, label="label")
            axes.hist(predicted[name], edges, histtype="step", color=ORANGE, label="network")
            axes.set_xlabel(title)
            axes.set_ylabel("images")
        drawing.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)


def draw_counts(stem: Path, per_class: Mapping[str, Mapping[str, Any]]) -> None:
    """Draw how many images are labelled as each class, and how many are predicted to be of it."""
    from affectlab.evaluation.plots import BLUE, ORANGE, figure, name_columns

    places = np.arange(len(per_class))
    with figure(stem, 8.0, 4.0) as drawing:
        axes = drawing.subplots()
        for shift, key, colour, label in (
            (-0.2, "support", BLUE, "label"),
            (0.2, "predicted", ORANGE, "network"),
        ):
            counts = [entry[key] for entry in per_class.values()]
            axes.bar(places + shift, counts, 0.4, color=colour, label=label)
        name_columns(axes, list(per_class))
        axes.set_ylabel("images")
        drawing.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=2)
