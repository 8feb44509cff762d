"""Drawn face images in colour, as somebody's own data: three classes, a few persons."""

import cv2
import numpy as np

from affectlab.samples.face import CSV_CLASSES, draw_faces

KINDS = {"froh": "happy", "staunend": "surprise", "traurig": "sad"}
"""Class -> the expression that is drawn."""

SIDE = 96


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
