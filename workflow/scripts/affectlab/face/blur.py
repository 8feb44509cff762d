"""The blur test: the same faces, blurred and with less contrast, and what the indices do.

The proxy published as "IQ" is made of sharpness and contrast to 40 %. If it measured anything of
a person, it would not fall when the camera is out of focus.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from affectlab.errors import UserError
from affectlab.face.data import Faces, read_faces, require_images
from affectlab.face.faces import CLASSES
from affectlab.face.labels import RAW_RANGE, image_features, ingredients, proxies, shown_values
from affectlab.face.settings import BlurTest, Labels
from affectlab.files.io import round_significant, write_json

if TYPE_CHECKING:
    from torch import nn

BLURS = (0.0, 0.5, 1.0, 2.0, 3.0)
"""Standard deviations of the Gaussian blur, in pixels of the 48 x 48 image."""

CONTRASTS = (1.0, 0.75, 0.5, 0.3, 0.15)
"""Factors on the deviation of each pixel from the image's mean."""

SMALLEST_AVERAGE = 50
"""Fewer faces than this are not averaged into a picture: single people could be seen in it."""

SMALLEST_FALL = 5.0
"""An index whose mean falls by less than this, of 100, does not follow the blur."""

FALL_LEVEL = 0.95
"""Level of the interval of a mean fall."""

BATCH_SIZE = 256


def write_blur_test(
    *,
    faces_path: Path,
    metadata_path: Path,
    model_directory: Path,
    result_path: Path,
    figure: Path,
    split: str,
    labels: Labels,
    settings: BlurTest,
    threads: int,
) -> None:
    """Run the blur test on faces of one split; store the curves and draw them.

    Args:
        faces_path: images of the corpus.
        metadata_path: their table.
        model_directory: a trained network.
        result_path: gets the curves, JSON.
        figure: path of the figure without an ending; it shows the average of the faces.
        split: where the faces come from.
        labels: those that the labels of the corpus were made with.
        settings: how many faces are drawn at random, and the seed of the draw.
        threads: CPU threads.

    Raises:
        UserError: too few faces to average.
    """
    from affectlab.evaluation.plots import figures_of
    from affectlab.face.model import load_network
    from affectlab.models import devices

    faces = read_faces(faces_path, metadata_path)
    rows = require_images(faces, split, metadata_path)
    chosen = np.random.default_rng(settings.seed).permutation(rows)[: settings.images]
    chosen.sort()
    if len(chosen) < SMALLEST_AVERAGE:
        raise UserError(
            f"{metadata_path}: {len(chosen)} faces of {split}, need {SMALLEST_AVERAGE}: an average"
            " of fewer would show single people"
        )
    devices.set_threads(threads)
    network, config = load_network(model_directory)
    shown = faces.take(chosen)
    curves = blur_test(network, shown, labels, config["test_time"], threads)
    write_json(result_path, {"split": split, "images": len(shown), **curves}, sealed=True)
    with figures_of(f"n = {len(shown):,} faces of the {split} split"):
        _draw(figure, curves, shown.images.mean(axis=0))


def blur_test(
    network: nn.Module, faces: Faces, labels: Labels, test_time: str, threads: int
) -> dict[str, Any]:
    """Mean indices, by network and by formula, at each level of blur and of contrast.

    Args:
        network: in eval mode.
        faces: those that are shown, all with a label.
        labels: those that the labels of the corpus were made with.
        test_time: see `model.views`.
        threads: for the image features.

    Returns:
        ``blur`` and ``contrast``: a list with, per level, ``level``, ``accuracy``, and the means of
        ``predicted_iq``, ``predicted_eq``, ``formula_iq`` and ``formula_eq`` as the original shows
        them (0..100), and ``at_the_limit``, the share of formula "IQ" labels cut off at 2.
        ``network_iq``, ``formula_iq``: what the strongest blur does to the "IQ" of the network and
        to that of the formula, see `mean_fall`.
    """
    import torch

    from affectlab.face.interface import Interface
    from affectlab.face.model import predict_images

    parts, truth = ingredients(faces, labels.affect, threads), faces.class_ids()
    device = torch.device("cpu")

    def measure(images: np.ndarray) -> dict[str, np.ndarray]:
        probabilities, regressed = predict_images(
            network,
            images,
            interface=Interface(),
            test_time=test_time,
            batch_size=BATCH_SIZE,
            device=device,
        )
        raw = proxies(replace(parts, image=image_features(images, threads)), labels.formulas)
        predicted = shown_values(regressed[:, 2], regressed[:, 3])
        by_formula = shown_values(*raw)
        return {
            "accuracy": probabilities.argmax(axis=1) == truth,
            "predicted_iq": predicted[0],
            "predicted_eq": predicted[1],
            "formula_iq": by_formula[0],
            "formula_eq": by_formula[1],
            "at_the_limit": raw[0] >= RAW_RANGE,
        }

    blur = {level: measure(blurred(faces.images, level)) for level in BLURS}
    contrast = {level: measure(with_contrast(faces.images, level)) for level in CONTRASTS}
    sharp, dull = blur[BLURS[0]], blur[BLURS[-1]]
    return {
        "blur": _means(blur),
        "network_iq": mean_fall(sharp["predicted_iq"] - dull["predicted_iq"]),
        "formula_iq": mean_fall(sharp["formula_iq"] - dull["formula_iq"]),
        "contrast": _means(contrast),
        "classes": list(CLASSES),
        "formulas": labels.formulas,
    }


def _means(measured: Mapping[float, Mapping[str, np.ndarray]]) -> list[dict[str, float]]:
    """The mean over the faces of everything that was measured at each level."""
    return [
        {"level": level} | {name: round_significant(each.mean()) for name, each in values.items()}
        for level, values in measured.items()
    ]


def mean_fall(falls: np.ndarray) -> dict[str, Any]:
    """The mean fall of an index over faces, and whether it is one.

    Args:
        falls: ``[N]``, of each face, in points of 100; N is at least 2.

    Returns:
        ``value``; ``ci``, Student's t interval of the mean at `FALL_LEVEL`; ``falls``, whether the
        whole interval is at or above `SMALLEST_FALL`; ``flat``, whether it is within
        `SMALLEST_FALL` of zero on both sides. Neither holds where the faces do not tell.
    """
    from scipy import stats

    value = float(np.mean(falls))
    error = float(np.std(falls, ddof=1)) / len(falls) ** 0.5
    half = float(stats.t.ppf((1 + FALL_LEVEL) / 2, len(falls) - 1)) * error
    low, high = value - half, value + half
    return {
        "value": round_significant(value),
        "ci": [round_significant(low), round_significant(high)],
        "falls": low >= SMALLEST_FALL,
        "flat": low > -SMALLEST_FALL and high < SMALLEST_FALL,
    }


def blurred(images: np.ndarray, deviation: float) -> np.ndarray:
    """uint8 images ``[N, H, W]`` after a Gaussian blur of *deviation* pixels; 0 changes nothing."""
    if deviation == 0:
        return images
    from scipy.ndimage import gaussian_filter

    smooth = gaussian_filter(images.astype(np.float32), (0, deviation, deviation), mode="nearest")
    return _as_bytes(smooth)


def with_contrast(images: np.ndarray, factor: float) -> np.ndarray:
    """uint8 images ``[N, H, W]`` with each pixel's deviation from the mean times *factor*."""
    mean = images.mean(axis=(1, 2), keepdims=True)
    return _as_bytes((images - mean) * factor + mean)


def _as_bytes(values: np.ndarray) -> np.ndarray:
    return np.clip(np.round(values), 0, 255).astype(np.uint8)


def _draw(stem: Path, curves: Mapping[str, Any], mean: np.ndarray) -> None:
    from affectlab.evaluation.plots import SERIES, figure

    average = _as_bytes(mean)[None]
    kinds = (
        ("blur", "blur (standard deviation, pixels)", blurred),
        ("contrast", "contrast (factor)", with_contrast),
    )
    series = {
        "predicted_iq": 'capture-quality index ("IQ"), network',
        "formula_iq": 'the index "IQ" by its formula',
        "predicted_eq": 'expressivity index ("EQ"), network',
        "formula_eq": 'the index "EQ" by its formula',
    }
    with figure(stem, 9.0, 6.4) as drawing:
        grid = drawing.add_gridspec(2, 10, height_ratios=(1, 3.2))
        axes: Any = None
        for half, (kind, label, change) in enumerate(kinds):
            levels = [row["level"] for row in curves[kind]]
            for place, level in enumerate(levels):
                picture = drawing.add_subplot(grid[0, 5 * half + place])
                picture.imshow(change(average, level)[0], cmap="gray", vmin=0, vmax=255)
                picture.set_axis_off()
                picture.set_title(f"{level:g}", fontsize=9)
            axes = drawing.add_subplot(grid[1, 5 * half : 5 * half + 5], sharey=axes)
            for (name, title), (colour, dash, marker) in zip(series.items(), SERIES, strict=True):
                values = [row[name] for row in curves[kind]]
                style = {"color": colour, "linestyle": dash, "marker": marker, "label": title}
                axes.plot(range(len(levels)), values, **style)
            axes.set_xticks(range(len(levels)), [f"{level:g}" for level in levels])
            axes.set_xlabel(label)
            axes.set_ylabel("mean index (0 to 100)")
            axes.grid(visible=True)
        drawing.legend(
            *axes.get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=8
        )
        drawing.suptitle(
            "The same faces, worse pictures (above: the average of all of them)", fontsize=11
        )
