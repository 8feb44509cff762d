"""The proxy labels that the original project called "EQ" and "IQ", by either of its formulas.

They are functions of an emotion label, of valence and arousal, and of the sharpness and contrast
of the picture. Nothing in them measures intelligence or emotional intelligence; see
docs/face.md. Raw labels lie in -2..2; the original showed ``100 sigmoid(raw)`` and
``min(128 sigmoid(raw), 100)``.
"""

from __future__ import annotations

import csv
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from affectlab.config.models import values_of
from affectlab.errors import UserError
from affectlab.face.data import Faces, numbers, read_faces, read_table
from affectlab.face.faces import CLASSES
from affectlab.face.settings import Labels
from affectlab.face.votes import class_votes
from affectlab.files.io import sealed_writer

logger = logging.getLogger(__name__)

FORMULAS = values_of(Labels, "formulas")

COORDINATES = {
    "angry": (-0.51, 0.59),
    "disgust": (-0.60, 0.35),
    "fear": (-0.64, 0.60),
    "happy": (0.81, 0.51),
    "neutral": (0.0, 0.0),
    "sad": (-0.63, -0.27),
    "surprise": (0.40, 0.67),
}
"""Mean ratings of pleasure and arousal of the terms Angry, Disgust, Fearful, Happy, Sad and
Surprised among 151: Russell and Mehrabian, Evidence for a three-factor theory of emotions, Journal
of Research in Personality 11 (1977) 273-294, doi 10.1016/0092-6566(77)90037-X. Neutral, which is
none of these terms, is the origin by definition."""

CALM_BONUS = {
    "angry": -0.05,
    "disgust": -0.05,
    "fear": -0.05,
    "happy": 0.10,
    "neutral": 0.15,
    "sad": 0.0,
    "surprise": 0.10,
}
"""What the original adds to "IQ" for an emotion."""

RAW_RANGE = 2.0
AFFECT = ("valence", "arousal")
PROXIES = ("iq_proxy", "eq_proxy")
LIMITS = dict.fromkeys(AFFECT, 1.0) | dict.fromkeys(PROXIES, RAW_RANGE)
"""Largest absolute value of each regressed value, in the order of a network's outputs."""

MAX_ENTROPY = float(np.log(len(CLASSES)))
CANNY_THRESHOLDS = (50, 150)
SHARP_IQ, SHARP_EQ, CONTRAST = 1000.0, 500.0, 50.0
"""Laplacian variances and grey-level deviation from which an image counts as fully sharp or
contrasty."""

COLUMNS = ("image_path", "emotion_label", *LIMITS, "split")
"""Of ``metadata_with_labels.csv``: the original's, and the split."""

CHUNK = 512


class ImageFeatures(NamedTuple):
    """What the formulas take from the pixels, each float64 ``[N]``.

    ``sharpness`` is the variance of the Laplacian, ``contrast`` the standard deviation of the
    grey levels, ``edges`` the share of pixels that Canny's detector marks; NaN where not asked for.
    """

    sharpness: np.ndarray
    contrast: np.ndarray
    edges: np.ndarray


@dataclass(frozen=True, slots=True)
class Ingredients:
    """Everything the formulas are made from; arrays have one entry per image.

    Attributes:
        image: features of the pixels.
        emotions: class ids, int64 ``[N]``, -1 where there is none.
        valence: float64 ``[N]``, -1..1; NaN where unknown.
        arousal: float64 ``[N]``, -1..1; NaN where unknown.
        entropy: float64 ``[N]``, of the distribution of votes in nats; NaN where unknown.
    """

    image: ImageFeatures
    emotions: np.ndarray
    valence: np.ndarray
    arousal: np.ndarray
    entropy: np.ndarray


def image_features(
    images: np.ndarray, threads: int = 1, edges_of: np.ndarray | None = None
) -> ImageFeatures:
    """Sharpness, contrast and edge density of uint8 images ``[N, H, W]``.

    Args:
        images: the images.
        threads: these share the images; OpenCV works without Python's lock.
        edges_of: bool ``[N]``, whose edges are wanted, for they take most of the time; None: all.
    """
    wanted = np.ones(len(images), dtype=bool) if edges_of is None else edges_of
    table = np.empty((len(images), 3))
    starts = range(0, len(images), CHUNK)

    def fill(start: int) -> None:
        chunk = np.ascontiguousarray(images[start : start + CHUNK])
        table[start : start + len(chunk)] = _features_of(chunk, wanted[start : start + CHUNK])

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(fill, starts))
    return ImageFeatures(*table.T)


def _features_of(images: np.ndarray, edges_of: np.ndarray) -> np.ndarray:
    import cv2

    # Small images gain nothing from OpenCV's own threads, and pay for starting them.
    cv2.setNumThreads(1)
    count, height, width = images.shape
    # One filter over all images, each between its mirrored rows: what OpenCV does at a border.
    stack = np.concatenate([images[:, 1:2], images, images[:, -2:-1]], axis=1)
    waves = cv2.Laplacian(stack.reshape(-1, width), cv2.CV_16S)
    waves = waves.reshape(count, height + 2, width)[:, 1:-1]
    rows = np.full((count, 3), np.nan)
    for row, image in enumerate(images):
        _, sharpness = cv2.meanStdDev(waves[row])
        _, contrast = cv2.meanStdDev(image)
        rows[row, :2] = sharpness[0, 0] ** 2, contrast[0, 0]
        if edges_of[row]:
            rows[row, 2] = cv2.countNonZero(cv2.Canny(image, *CANNY_THRESHOLDS)) / image.size
    return rows


def class_distribution(votes: np.ndarray) -> np.ndarray:
    """Shares of the seven classes in FER+ votes ``[N, 10]``: float64 ``[N, 7]``, or NaN."""
    counts = class_votes(votes).astype(np.float64)
    with np.errstate(invalid="ignore"):
        return counts / counts.sum(axis=1, keepdims=True)


def entropy(distribution: np.ndarray) -> np.ndarray:
    """Shannon entropy of rows ``[N, K]`` in nats; NaN stays NaN."""
    logarithms = np.log(np.where(distribution > 0, distribution, 1.0))
    return -(distribution * logarithms).sum(axis=1)


def affect_source(faces: Faces, source: str) -> str:
    """Where valence and arousal of a corpus come from: *source*, or what ``auto`` comes to.

    Args:
        faces: the corpus.
        source: ``metadata`` as the corpus gives them; ``votes`` the mean of `COORDINATES` under
            the FER+ votes, and the label's where an image has none; ``circumplex`` the label's;
            ``auto`` the first of these that the corpus allows.

    Raises:
        UserError: the corpus does not have what *source* needs.
    """
    needed = {"metadata": faces.affect, "votes": faces.votes}
    if source == "auto":
        return next((name for name, there in needed.items() if there is not None), "circumplex")
    if source in needed and needed[source] is None:
        what = "valence and arousal" if source == "metadata" else "FER+ votes"
        raise UserError(f"face.labels.affect is {source!r}, but the corpus has no {what}")
    return source


def affect(faces: Faces, source: str) -> np.ndarray:
    """Valence and arousal of each image, float64 ``[N, 2]``, NaN where unknown.

    *source* and errors as for `affect_source`.
    """
    source = affect_source(faces, source)
    if source == "metadata":
        assert faces.affect is not None
        return faces.affect
    coordinates = np.array([COORDINATES[name] for name in CLASSES])
    # The last row is that of images without a label, whose id is -1.
    found = np.vstack([coordinates, [np.nan, np.nan]])[faces.class_ids()]
    if source == "votes":
        assert faces.votes is not None
        distribution = class_distribution(faces.votes)
        known = ~np.isnan(distribution[:, 0])
        found[known] = distribution[known] @ coordinates
    return found


def ingredients(
    faces: Faces, source: str, threads: int = 1, *, all_edges: bool = True
) -> Ingredients:
    """What the formulas need of a corpus.

    Args:
        faces: the corpus.
        source: as for `affect`.
        threads: for the image features.
        all_edges: also those of images whose labels do not depend on them.
    """
    valence, arousal = affect(faces, source).T
    emotions = faces.class_ids()
    uncertainty = np.full(len(faces), np.nan)
    if faces.votes is not None:
        uncertainty = entropy(class_distribution(faces.votes))
    edges_of = None if all_edges else ~_is_known(emotions, valence, arousal, uncertainty)
    return Ingredients(
        image=image_features(faces.images, threads, edges_of),
        emotions=emotions,
        valence=valence,
        arousal=arousal,
        entropy=uncertainty,
    )


def _is_known(
    emotions: np.ndarray, valence: np.ndarray, arousal: np.ndarray, uncertainty: np.ndarray
) -> np.ndarray:
    """Whether "EQ" can be made from more than pixels, bool ``[N]``; fields as in `Ingredients`."""
    return (emotions >= 0) | ~np.isnan([valence, arousal, uncertainty]).all(axis=0)


def proxies(parts: Ingredients, formulas: str) -> tuple[np.ndarray, np.ndarray]:
    """The raw "IQ" and "EQ" labels, each float64 ``[N]`` in -2..2.

    Unknown valence and arousal count as 0, an unknown emotion gets no bonus. An image of which
    nothing is known (emotion, distribution, valence, arousal) gets its "EQ" from the pixels alone.

    Args:
        parts: the ingredients.
        formulas: ``original_code`` as the program computed them, ``documented_weights`` as its
            description weighs them (30/40/30 and 40/30/30).
    """
    valence, arousal = np.nan_to_num(parts.valence), np.nan_to_num(parts.arousal)
    steadiness = 1 - np.abs(valence), 1 - np.abs(arousal)
    balance = 1 - np.abs(valence - arousal) / 2
    positive = np.maximum(0, valence)
    bonus = emotion_bonus(parts.emotions)
    has_distribution = ~np.isnan(parts.entropy)
    share_of_entropy = np.nan_to_num(parts.entropy) / MAX_ENTROPY
    sharp = np.minimum(parts.image.sharpness / SHARP_IQ, 1)
    contrast = np.minimum(parts.image.contrast / CONTRAST, 1)
    has_label = parts.emotions >= 0
    if formulas == "original_code":
        recognition = np.where(has_distribution, 0.15 * share_of_entropy, 0.1 * has_label)
        eq = 0.5 + recognition + 0.15 * sum(steadiness) + 0.1 * balance + 0.2 * positive
        iq = 0.5 + 0.2 * sharp + 0.2 * contrast + bonus + 0.15 * sum(steadiness)
    elif formulas == "documented_weights":
        recognition = np.where(has_distribution, share_of_entropy, 2 / 3 * has_label)
        stability = sum(steadiness) / 2
        eq = 0.3 * recognition + 0.4 * (stability + balance) / 2 + 0.3 * positive
        low, high = min(CALM_BONUS.values()), max(CALM_BONUS.values())
        cognition = (bonus - low) / (high - low)
        iq = 0.4 * (sharp + contrast) / 2 + 0.3 * cognition + 0.3 * stability
    else:
        raise ValueError(f"formulas must be one of {', '.join(FORMULAS)}, not {formulas!r}")
    from_pixels = 0.4 + 0.4 * (
        0.4 * parts.image.edges
        + 0.3 * np.minimum(parts.image.sharpness / SHARP_EQ, 1)
        + 0.3 * contrast
    )
    known = _is_known(parts.emotions, parts.valence, parts.arousal, parts.entropy)
    eq = np.where(known, eq, from_pixels)
    raw_iq, raw_eq = (2 * RAW_RANGE * (np.clip(score, 0, 1) - 0.5) for score in (iq, eq))
    return raw_iq, raw_eq


def emotion_bonus(emotions: np.ndarray) -> np.ndarray:
    """`CALM_BONUS` of class ids ``[N]``, float64; 0 for -1, no emotion."""
    return np.array([*(CALM_BONUS[name] for name in CLASSES), 0.0])[emotions]


def shown_values(iq: np.ndarray, eq: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What the original showed for raw labels: both in 0..100."""
    iq_share, eq_share = (1 / (1 + np.exp(-raw)) for raw in (iq, eq))
    return 100 * iq_share, np.clip(128 * eq_share, 0, 100)


def write_labels(
    *,
    faces_path: Path,
    metadata_path: Path,
    labels_path: Path,
    settings: Labels,
    threads: int,
) -> None:
    """Compute the labels of a corpus and write ``metadata_with_labels.csv``.

    Args:
        faces_path: images.
        metadata_path: their table.
        labels_path: gets `COLUMNS`, unknown values as empty cells.
        settings: the formulas, and where valence and arousal come from.
        threads: for the image features.

    Raises:
        DataError: an input is missing or corrupt.
        UserError: the corpus has no valence and arousal, or no votes, that *settings* ask for.
    """
    started = time.perf_counter()
    faces = read_faces(faces_path, metadata_path)
    parts = ingredients(faces, settings.affect, threads, all_edges=False)
    columns = (parts.valence, parts.arousal, *proxies(parts, settings.formulas))
    texts = [["" if np.isnan(x) else f"{x:.6g}" for x in column] for column in columns]
    with sealed_writer(labels_path) as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(
            zip(faces.paths, faces.emotions.tolist(), *texts, faces.splits.tolist(), strict=True)
        )
    seconds = time.perf_counter() - started
    logger.info("%d images in %.1f s: %.0f a second", len(faces), seconds, len(faces) / seconds)


def read_labels(path: Path | str) -> dict[str, np.ndarray]:
    """Read ``metadata_with_labels.csv``: text columns, and numbers as float64, NaN where empty.

    Raises:
        DataError: a column is missing or a cell is no number.
    """
    columns = read_table(path, list(COLUMNS))
    texts = ("image_path", "emotion_label", "split")
    return {
        name: np.array(columns[name]) if name in texts else numbers(columns, name, path)
        for name in COLUMNS
    }


def labels_of(faces: Faces, labels_path: Path | str | None) -> dict[str, np.ndarray]:
    """Labels of the values that a network regresses, as `read_labels` gives them.

    Args:
        faces: the corpus.
        labels_path: ``metadata_with_labels.csv``; None for data without proxies, whose valence and
            arousal are those that the data give. They are left out where a split or fold has none.
    """
    if labels_path is not None:
        return read_labels(labels_path)
    found = {"image_path": np.array(faces.paths), "split": faces.splits}
    if faces.affect is None:
        return found
    parts = faces.splits if faces.folds is None else faces.folds
    known = ~np.isnan(faces.affect).any(axis=1)
    if set(parts[known].tolist()) != set(parts.tolist()):
        logger.warning("valence and arousal are not used: a part of the data has none")
        return found
    return found | dict(zip(AFFECT, faces.affect.T, strict=True))
