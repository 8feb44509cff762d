"""Drawn face images in colour, as somebody's own data: three classes, a few persons."""

import cv2
import numpy as np

from affectlab.datasets.description import read_description
from affectlab.face.convert import convert
from affectlab.face.data import read_faces
from affectlab.samples.face import CSV_CLASSES, draw_faces

KINDS = {"froh": "happy", "staunend": "surprise", "traurig": "sad"}
"""Class -> the expression that is drawn."""

SIDE = 96
ENTRY = {"layout": "image_folder", "image": {"size": SIDE, "color": True}}


def drawn(count, seed=0):
    """Names of classes, in turn, and uint8 images ``[count, 96, 96, 3]`` (RGB)."""
    generator = np.random.default_rng(seed)
    names = [list(KINDS)[number % len(KINDS)] for number in range(count)]
    labels = np.array([CSV_CLASSES.index(KINDS[name]) for name in names])
    grey = draw_faces(labels, generator).astype(np.float64)
    tint = generator.uniform(0.6, 1.0, (count, 1, 1, 3))
    images = np.stack([cv2.resize(image, (SIDE, SIDE)) for image in grey])[..., None] * tint
    noise = generator.normal(0, 4, images.shape)
    return names, np.clip(images + noise, 0, 255).astype(np.uint8)


def write_image(path, image):
    """Write an RGB image in the format of its ending."""
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image[..., ::-1])


def write_classes(folder, count, seed=0):
    """Write ``<class>/<number>.webp``; the paths, relative to *folder*."""
    paths = []
    for number, (name, image) in enumerate(zip(*drawn(count, seed), strict=True)):
        paths.append(f"{name}/{number:03d}.webp")
        write_image(folder / paths[-1], image)
    return paths


def write_metadata(folder, rows):
    """Write ``metadata.csv``; *rows* are mappings with the same keys."""
    lines = [",".join(rows[0]), *(",".join(map(str, row.values())) for row in rows)]
    (folder / "metadata.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def with_table(folder, count=60, people=10, **columns):
    """Images in one folder, and a table that says what they show; the rows."""
    rows = []
    for number, (name, image) in enumerate(zip(*drawn(count), strict=True)):
        file = f"images/{number:03d}.png"
        write_image(folder / file, image)
        row = {"file_name": file, "label": name, "subject": f"P{number % people:02d}"}
        rows.append(row | {key: value(number) for key, value in columns.items()})
    write_metadata(folder, rows)
    return rows


def converted(folder, entry=ENTRY, **options):
    """The images of ``<folder>/raw``."""
    names = ("faces.npy", "metadata.csv", "quarantine.jsonl", "description.json")
    paths = {f"{name.partition('.')[0]}_path": folder / name for name in names}
    convert(raw_directory=folder / "raw", votes_directory=None, entry=entry, **paths, **options)
    description = read_description(paths["description_path"])
    return read_faces(paths["faces_path"], paths["metadata_path"], description)
