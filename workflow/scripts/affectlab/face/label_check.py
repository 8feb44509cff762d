"""Are the proxy labels of a corpus whole, and what are they made of? Fails on broken labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from affectlab.errors import UserError
from affectlab.face.data import read_faces
from affectlab.face.faces import CLASSES
from affectlab.face.labels import (
    AFFECT,
    LIMITS,
    PROXIES,
    RAW_RANGE,
    ImageFeatures,
    Ingredients,
    affect_source,
    emotion_bonus,
    ingredients,
    proxies,
    read_labels,
)
from affectlab.face.settings import Labels
from affectlab.files.io import round_significant, write_json

SMALLEST_DEVIATION = 1e-6
SHUFFLES = 5
QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)


def write_check(
    *,
    labels_path: Path,
    faces_path: Path,
    metadata_path: Path,
    check_path: Path,
    figure: Path,
    settings: Labels,
    threads: int,
) -> None:
    """Check the labels of a corpus; store what was found and draw the distributions.

    Args:
        labels_path: ``metadata_with_labels.csv``.
        faces_path: the images that it belongs to.
        metadata_path: their table.
        check_path: gets the findings, JSON.
        figure: path of the figure without an ending.
        settings: those that the labels were made with.
        threads: for the image features.

    Raises:
        UserError: the labels are broken; all reasons are listed.
    """
    labels = read_labels(labels_path)
    faces = read_faces(faces_path, metadata_path)
    broken = breakage(labels, settings.max_missing_share)
    if labels["image_path"].tolist() != faces.paths:
        broken.append(f"the images are not those of {metadata_path}")
    if broken:
        listed = "\n".join(f"  - {item}" for item in broken)
        raise UserError(f"{labels_path}: the labels cannot be used:\n{listed}")
    parts = ingredients(faces, settings.affect, threads)
    columns = {
        **parts.image._asdict(),
        "emotions": emotion_bonus(parts.emotions),
        "valence": parts.valence,
        "arousal": parts.arousal,
        "steadiness": 1 - (np.abs(parts.valence) + np.abs(parts.arousal)) / 2,
        "balance": 1 - np.abs(parts.valence - parts.arousal) / 2,
        "positive": np.maximum(0, parts.valence),
        "entropy": parts.entropy,
    }
    found = describe(labels, columns)
    found["affect_source"] = affect_source(faces, settings.affect)
    found["importance"] = importance(parts, settings.formulas)
    write_json(check_path, found, sealed=True)
    _draw(figure, labels)


def breakage(labels: Mapping[str, np.ndarray], max_missing_share: float) -> list[str]:
    """Reasons for which nothing should be trained on these labels.

    In the original project every emotion was missing, and nothing noticed.

    Args:
        labels: as `labels.read_labels` gives them.
        max_missing_share: share of images that may lack emotion, valence or arousal.
    """
    broken = []
    count = len(labels["image_path"])
    if count == 0:
        return ["there are no images"]
    for name, absent in _missing(labels).items():
        share = absent.mean()
        if share == 1:
            broken.append(f"{name} is missing in every one of the {count} images")
        elif share > max_missing_share:
            broken.append(
                f"{name} is missing in {absent.sum()} of {count} images ({share:.1%}), more than "
                f"{max_missing_share:.1%}"
            )
    unknown = sorted(set(labels["emotion_label"].tolist()) - {"", *CLASSES})
    if unknown:
        broken.append(f"unknown emotions: {', '.join(unknown[:5])}")
    for name, limit in LIMITS.items():
        values = labels[name]
        if name in PROXIES and np.isnan(values).any():
            broken.append(f"{name} is NaN or empty in {np.isnan(values).sum()} images")
        known = values[~np.isnan(values)]
        if len(known) and np.abs(known).max() > limit:
            broken.append(f"{name} reaches {np.abs(known).max():g}, beyond {limit:g}")
        if name in PROXIES and len(known) and np.ptp(known) < SMALLEST_DEVIATION:
            broken.append(f"{name} is {known[0]:g} for every image")
    return broken


def describe(labels: Mapping[str, np.ndarray], columns: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Distribution, missing shares, means per class, and correlation with each ingredient.

    Args:
        labels: as `labels.read_labels` gives them.
        columns: ingredients of the formulas by name, float64 ``[N]``, NaN where unknown; of an
            emotion, what it adds to "IQ".

    Returns:
        A JSON object; a correlation that does not exist (an ingredient that is the same
        everywhere, or unknown) is null.
    """
    emotions = labels["emotion_label"]
    return {
        "images": len(emotions),
        "missing": {
            name: round_significant(absent.mean()) for name, absent in _missing(labels).items()
        },
        "distribution": {proxy: _distribution(labels[proxy]) for proxy in PROXIES},
        "class_means": {
            proxy: {
                name: round_significant(labels[proxy][emotions == name].mean())
                for name in CLASSES
                if (emotions == name).any()
            }
            for proxy in PROXIES
        },
        "correlations": {
            proxy: {name: _correlation(labels[proxy], column) for name, column in columns.items()}
            for proxy in PROXIES
        },
    }


def _missing(labels: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Which images lack an emotion, valence or arousal, bool ``[N]`` by column."""
    missing = {"emotion_label": labels["emotion_label"] == ""}
    return missing | {name: np.isnan(labels[name]) for name in AFFECT}


def _distribution(values: np.ndarray) -> dict[str, Any]:
    """Mean, deviation and quantiles of raw labels, and the share that is cut off at a limit."""
    return {
        "mean": round_significant(values.mean()),
        "deviation": round_significant(values.std()),
        "at_the_limits": round_significant((np.abs(values) >= RAW_RANGE).mean()),
        "quantiles": {f"{q:g}": round_significant(np.quantile(values, q)) for q in QUANTILES},
    }


def importance(parts: Ingredients, formulas: str) -> dict[str, dict[str, float | None]]:
    """What shuffling each ingredient over the images does to the labels (Breiman 2001).

    The mean squared change of the label over its variance, the mean of `SHUFFLES` shuffles with a
    fixed seed: 0 for an ingredient that does not matter, 2 where the label keeps nothing of its
    order; None where all labels are the same. Valence, arousal and emotion are shuffled one by
    one.
    """
    generator = np.random.default_rng(0)
    labels = proxies(parts, formulas)
    found: dict[str, dict[str, float | None]] = {name: {} for name in PROXIES}
    for name in (*ImageFeatures._fields, "emotions", *AFFECT, "entropy"):
        changes = np.zeros((SHUFFLES, 2))
        for row in changes:
            order = generator.permutation(len(parts.emotions))
            if name in ImageFeatures._fields:
                shuffled = replace(
                    parts, image=parts.image._replace(**{name: getattr(parts.image, name)[order]})
                )
            else:
                shuffled = replace(parts, **{name: getattr(parts, name)[order]})
            row[:] = [
                np.square(new - old).mean()
                for new, old in zip(proxies(shuffled, formulas), labels, strict=True)
            ]
        for proxy, change, label in zip(PROXIES, changes.mean(axis=0), labels, strict=True):
            variance = float(label.var())
            constant = variance < SMALLEST_DEVIATION**2
            found[proxy][name] = None if constant else round_significant(change / variance)
    return found


def _correlation(first: np.ndarray, second: np.ndarray) -> float | None:
    """Pearson's correlation over the images where both are known, or None."""
    known = ~(np.isnan(first) | np.isnan(second))
    first, second = first[known], second[known]
    if len(first) < 2 or min(first.std(), second.std()) < SMALLEST_DEVIATION:
        return None
    return round_significant(float(np.corrcoef(first, second)[0, 1]))


def _draw(stem: Path, labels: Mapping[str, np.ndarray]) -> None:
    from affectlab.evaluation.plots import BLUE, GREY, ORANGE, figure, figures_of

    with figures_of(f"n = {len(labels['emotion_label']):,}"), figure(stem, 8.0, 6.0) as drawing:
        panels = drawing.subplots(2, 2)
        names = zip(PROXIES, ('"IQ" proxy', '"EQ" proxy'), (BLUE, ORANGE), strict=True)
        for column, (name, title, colour) in enumerate(names):
            above, below = panels[:, column]
            above.hist(labels[name], bins=np.linspace(-RAW_RANGE, RAW_RANGE, 41), color=colour)
            above.set_xlabel("raw label")
            above.set_ylabel("images")
            above.set_title(f"{title}: distribution")
            present = [c for c in CLASSES if (labels["emotion_label"] == c).any()]
            groups = [labels[name][labels["emotion_label"] == c] for c in present]
            below.boxplot(groups, orientation="horizontal", showfliers=False, tick_labels=present)
            below.axvline(float(labels[name].mean()), color=GREY, linewidth=1)
            below.set_xlabel("raw label (line: mean of all)")
            below.set_title(f"{title}: by emotion label")
            below.grid(visible=True, axis="x")
