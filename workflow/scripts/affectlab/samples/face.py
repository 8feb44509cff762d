"""Generated faces in the layouts of FER2013, with known defects planted in them.

Each face is drawn from a few shapes (head, eyes, brows, nose, mouth) whose form depends on the
expression; size, pose, light, sharpness and noise vary from face to face. Neighbouring
expressions overlap, so a network does far better than chance and is not perfect. No person is
shown.
"""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from affectlab.files.io import atomic_path, atomic_writer

SIDE = 48

CSV_CLASSES = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
"""Class names in the order of the ids of ``fer2013.csv``."""

SHARES = (0.14, 0.06, 0.14, 0.24, 0.16, 0.11, 0.15)
"""Share of each class; disgust is rare, as in the real corpus, but not as rare."""

COUNTS = {"Training": 1400, "PublicTest": 280, "PrivateTest": 280}

LAYOUTS = ("csv", "icml", "folder", "zip")

TAGS = (
    *("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear"),
    *("contempt", "unknown", "NF"),
)
TAG_OF_CLASS = dict(
    zip(
        CSV_CLASSES,
        ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral"),
        strict=True,
    )
)

# Mouth curvature and opening, brow slope and height, eye opening, wrinkles beside the nose.
EXPRESSIONS = {
    "angry": (-0.35, 0.10, 0.75, -0.60, 0.75, 0.15),
    "disgust": (-0.45, 0.20, 0.45, -0.45, 0.45, 1.00),
    "fear": (-0.30, 0.55, -0.65, 0.45, 1.30, 0.05),
    "happy": (0.95, 0.35, -0.05, 0.10, 0.80, 0.10),
    "sad": (-0.75, 0.05, -0.75, 0.05, 0.65, 0.00),
    "surprise": (0.00, 1.00, -0.10, 0.90, 1.50, 0.00),
    "neutral": (0.05, 0.05, 0.05, 0.00, 1.00, 0.00),
}
SPREAD = 0.16
"""Standard deviation of each of these from face to face."""

BLANKS = 3
TWINS = 8
"""Test images that are copies of a training image; a quarter of them has another label."""
NEAR_TWINS = 6
"""Public test images that are a training image with other light and a little noise."""


@dataclass(frozen=True, slots=True)
class Corpus:
    """Generated images with everything a raw layout tells of them.

    ``images`` is uint8 ``[N, 48, 48]``, ``labels`` int64 ``[N]`` by `CSV_CLASSES`, ``usages`` a
    name per image, ``votes`` int64 ``[N, 10]`` by `TAGS`.
    """

    images: np.ndarray
    labels: np.ndarray
    usages: list[str]
    votes: np.ndarray


def make_corpus(seed: int = 0, counts: dict[str, int] | None = None) -> Corpus:
    """Draw a corpus; the same arguments give the same bytes.

    Args:
        seed: of everything.
        counts: images by ``Usage``; `COUNTS` if None.
    """
    generator = np.random.default_rng(seed)
    sizes = COUNTS if counts is None else counts
    usages = [usage for usage, size in sizes.items() for _ in range(size)]
    labels = generator.choice(len(CSV_CLASSES), size=len(usages), p=SHARES)
    # Every class occurs in every split, however small.
    start = 0
    for size in sizes.values():
        first = min(size, len(CSV_CLASSES))
        labels[start : start + first] = np.arange(first)
        start += size
    images = draw_faces(labels, generator)
    _plant_defects(images, labels, sizes, generator)
    return Corpus(images, labels, usages, _draw_votes(labels, images, generator))


def draw_faces(labels: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Draw one face per label (a place in `CSV_CLASSES`), uint8 ``[N, 48, 48]``."""
    count = len(labels)
    table = np.array([EXPRESSIONS[name] for name in CSV_CLASSES])
    form = table[labels] + generator.normal(0, SPREAD, (count, table.shape[1]))
    smile, open_mouth, slope, brow, eye, wrinkle = form.T[:, :, None, None]

    def vary(low: float, high: float) -> np.ndarray:
        return generator.uniform(low, high, (count, 1, 1))

    rows, columns = np.mgrid[0:SIDE, 0:SIDE] / (SIDE - 1) * 2 - 1
    angle, scale = vary(-0.2, 0.2), vary(0.85, 1.15)
    x = columns - vary(-0.12, 0.12)
    y = rows - vary(-0.12, 0.12)
    x, y = (
        scale * (x * np.cos(angle) - y * np.sin(angle)),
        scale * (x * np.sin(angle) + y * np.cos(angle)),
    )
    edge = vary(0.02, 0.06)

    def shape(distance: np.ndarray) -> np.ndarray:
        """Coverage of a shape from its signed distance (negative inside)."""
        return 1 / (1 + np.exp(np.clip(distance / edge, -30, 30)))

    skin, ground = vary(0.45, 0.85), vary(0.05, 0.95)
    picture = ground + vary(-0.15, 0.15) * columns
    head = shape(np.hypot(x / 0.72, y / 0.92) - 1)
    picture = picture * (1 - head) + skin * head
    dark = skin * vary(0.15, 0.4)

    def paint(coverage: np.ndarray, shade: np.ndarray) -> None:
        nonlocal picture
        picture = picture * (1 - coverage) + shade * coverage

    for side in (-1, 1):
        u = x - side * vary(0.28, 0.32)
        tall = np.clip(0.075 * eye, 0.02, None)
        white = shape((np.hypot(u / 0.14, (y + 0.2) / tall) - 1) * tall)
        paint(white, np.minimum(skin * 1.35, 1.0))
        paint(white * shape(np.hypot(u, y + 0.2) - 0.055), dark * 0.5)
        height = -0.42 - 0.12 * brow + 0.35 * slope * (u * -side)
        paint(shape(np.abs(y - height) - 0.03) * shape(np.abs(u) - 0.17), dark)
        crease = np.abs(u + side * 0.13 + 0.2 * side * (y - 0.05)) - 0.012
        paint(shape(crease) * shape(np.abs(y - 0.1) - 0.14) * np.clip(wrinkle, 0, 1), dark)
    paint(shape(np.abs(x) - 0.03) * shape(np.abs(y - 0.02) - 0.14) * 0.4, dark)
    half = 0.3 - 0.1 * np.clip(open_mouth, 0, 1)
    curve = 0.45 + 0.12 * smile - 1.6 * smile * x**2
    opening = 0.025 + 0.13 * np.clip(open_mouth, 0, None) * np.clip(1 - (x / half) ** 2, 0, 1)
    paint(shape(np.abs(y - curve) - opening) * shape(np.abs(x) - half), dark * 0.6)
    picture = picture + vary(-0.2, 0.2) * x + generator.normal(0, 1, x.shape) * vary(0.01, 0.06)
    return np.clip(np.round(picture * 255), 0, 255).astype(np.uint8)


def write_corpus(
    directory: Path | str,
    seed: int = 0,
    layout: str = "csv",
    counts: dict[str, int] | None = None,
) -> None:
    """Write a corpus into the folder *directory*, which is made or replaced.

    Args:
        directory: where to.
        seed: of the generator.
        layout: one of `LAYOUTS`.
        counts: images by ``Usage``; `COUNTS` if None.
    """
    corpus = make_corpus(seed, counts)
    with atomic_path(directory) as fresh:
        fresh.mkdir()
        _WRITERS[layout](fresh, corpus)


def write_votes(directory: Path | str, seed: int = 0, counts: dict[str, int] | None = None) -> None:
    """Write the FER+ votes (``fer2013new.csv``) of the corpus of the same seed and counts."""
    corpus = make_corpus(seed, counts)
    with (
        atomic_path(directory) as fresh,
        atomic_writer(fresh / "fer2013new.csv") as stream,
    ):
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["Usage", "Image name", *TAGS])
        for row, usage in enumerate(corpus.usages):
            name = "" if corpus.votes[row, TAGS.index("NF")] else f"fer{row:07d}.png"
            writer.writerow([usage, name, *corpus.votes[row].tolist()])


def _plant_defects(
    images: np.ndarray,
    labels: np.ndarray,
    sizes: dict[str, int],
    generator: np.random.Generator,
) -> None:
    """Blank images in train; twins of training images in PrivateTest and PublicTest."""
    train, public = sizes["Training"], sizes.get("PublicTest", 0)
    free = range(len(CSV_CLASSES), train)
    if len(free) < BLANKS + TWINS + NEAR_TWINS:
        return
    images[free[:BLANKS]] = 0
    sources = np.array(free[BLANKS : BLANKS + TWINS + NEAR_TWINS])
    private = len(images) - sizes.get("PrivateTest", 0)
    if len(images) - private > TWINS + len(CSV_CLASSES):
        copies = np.arange(len(images) - TWINS, len(images))
        images[copies] = images[sources[:TWINS]]
        labels[copies] = labels[sources[:TWINS]]
        other = copies[: TWINS // 4]
        labels[other] = (labels[other] + 1) % len(CSV_CLASSES)
    if public > NEAR_TWINS + len(CSV_CLASSES):
        near = np.arange(train + public - NEAR_TWINS, train + public)
        noise = generator.normal(0, 2, (NEAR_TWINS, SIDE, SIDE))
        changed = 0.9 * images[sources[TWINS:]] + 8 + noise
        images[near] = np.clip(np.round(changed), 0, 255).astype(np.uint8)
        labels[near] = labels[sources[TWINS:]]


def _draw_votes(
    labels: np.ndarray, images: np.ndarray, generator: np.random.Generator
) -> np.ndarray:
    """Ten taggers per image: most see the label, some a neighbour; a blank image is no face."""
    shares = np.full((len(CSV_CLASSES), len(TAGS) - 1), 0.02)
    shares[:, TAGS.index("neutral")] += 0.12
    for row, name in enumerate(CSV_CLASSES):
        shares[row, TAGS.index(TAG_OF_CLASS[name])] += 0.7
    shares /= shares.sum(axis=1, keepdims=True)
    votes = np.zeros((len(labels), len(TAGS)), dtype=np.int64)
    votes[:, :-1] = generator.multinomial(10, shares[labels])
    blank = images.reshape(len(images), -1).std(axis=1) == 0
    votes[blank] = 0
    votes[blank, TAGS.index("NF")] = 10
    return votes


def _write_csv(folder: Path, corpus: Corpus) -> None:
    _write_table(folder / "fer2013.csv", ["emotion", "pixels", "Usage"], corpus)


def _write_icml(folder: Path, corpus: Corpus) -> None:
    _write_table(folder / "icml_face_data.csv", ["emotion", " Usage", " pixels"], corpus)


def _write_table(path: Path, columns: list[str], corpus: Corpus) -> None:
    with atomic_writer(path) as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(columns)
        for image, label, usage in zip(corpus.images, corpus.labels, corpus.usages, strict=True):
            cells = {
                "emotion": int(label),
                "pixels": " ".join(map(str, image.ravel().tolist())),
                "Usage": usage,
            }
            writer.writerow([cells[name.strip()] for name in columns])


def _image_files(corpus: Corpus) -> list[tuple[str, bytes]]:
    """Names as in the folder layout, and JPEG files."""
    import cv2

    files = []
    for row, image in enumerate(corpus.images):
        usage, label = corpus.usages[row], CSV_CLASSES[corpus.labels[row]]
        folder = "train" if usage == "Training" else "test"
        _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 95])
        files.append((f"{folder}/{label}/{usage}_{row:07d}.jpg", data.tobytes()))
    return files


def _write_folder(folder: Path, corpus: Corpus) -> None:
    for name, data in _image_files(corpus):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


def _write_zip(folder: Path, corpus: Corpus) -> None:
    with zipfile.ZipFile(folder / "archive.zip", "w") as bundle:
        for name, data in _image_files(corpus):
            # A fixed date, so that equal seeds give equal bytes.
            bundle.writestr(zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0)), data)


_WRITERS: dict[str, Callable[[Path, Corpus], None]] = {
    "csv": _write_csv,
    "icml": _write_icml,
    "folder": _write_folder,
    "zip": _write_zip,
}
