"""Images that show nothing, and images that are nearly the same."""

from __future__ import annotations

import numpy as np

from affectlab.face.faces import SIDE
from affectlab.face.photographs import prepare

BLANK_DEVIATION = 1.0
"""An image whose grey levels have a smaller standard deviation shows nothing."""

HASH_SIDE = 8
HASH_INPUT = 24
NEAR_BITS = 6
"""Perceptual hashes (64 bits) that differ in at most so many are compared pixel by pixel."""
NEAR_CORRELATION = 0.97
"""Correlation of the pixels from which two images count as nearly the same."""
CHUNK = 1024


def small_images(images: np.ndarray) -> np.ndarray:
    """The images in grey, 48 x 48, in which blank ones and near duplicates are looked for."""
    if images.shape[1:] == (SIDE, SIDE):
        return images
    return np.stack([prepare(np.asarray(image)) for image in images])


def blank_rows(images: np.ndarray) -> np.ndarray:
    """Rows of images ``[N, 48, 48]`` that show nothing, int64."""
    found = [
        start + np.flatnonzero(chunk.std(axis=(1, 2)) < BLANK_DEVIATION)
        for start, chunk in _chunks(images)
    ]
    return np.concatenate(found)


def perceptual_hashes(images: np.ndarray) -> np.ndarray:
    """A 64-bit hash per image, uint64 ``[N]``, that light and compression hardly change.

    The signs, against their median, of the lowest 8 x 8 coefficients of a cosine transform of the
    image at 24 x 24, the mean left out.
    """
    from scipy.fft import dct

    basis = dct(np.eye(HASH_INPUT), axis=0, norm="ortho")[: HASH_SIDE + 1]
    block = SIDE // HASH_INPUT
    bits = []
    for _, chunk in _chunks(images):
        small = chunk.reshape(len(chunk), HASH_INPUT, block, HASH_INPUT, block).mean(axis=(2, 4))
        waves = np.einsum("ki,nij,lj->nkl", basis, small, basis, optimize=True)
        low = waves[:, 1:, 1:].reshape(len(chunk), -1)
        bits.append(low > np.median(low, axis=1, keepdims=True))
    return np.packbits(np.concatenate(bits), axis=1).view(np.uint64).ravel()


def near_pairs(images: np.ndarray) -> np.ndarray:
    """Pairs of rows, int64 ``[P, 2]``, whose images are nearly the same.

    Their hashes differ in at most `NEAR_BITS` bits and their pixels correlate by at least
    `NEAR_CORRELATION`.
    """
    hashes = perceptual_hashes(images)
    pairs = []
    for start in range(0, len(hashes), CHUNK):
        chunk = hashes[start : start + CHUNK]
        distances = np.bitwise_count(chunk[:, None] ^ hashes[None, start:])
        first, second = np.nonzero(distances <= NEAR_BITS)
        later = second > first
        pairs.append(start + np.stack([first[later], second[later]], axis=1))
    candidates = np.concatenate(pairs)
    correlations = [_correlation(images[a], images[b]) for a, b in candidates]
    return candidates[np.array(correlations) >= NEAR_CORRELATION] if correlations else candidates


def _correlation(first: np.ndarray, second: np.ndarray) -> float:
    centred = [image.astype(np.float64) - image.mean() for image in (first, second)]
    norm = np.linalg.norm(centred[0]) * np.linalg.norm(centred[1])
    return float((centred[0] * centred[1]).sum() / norm) if norm > 0 else 0.0


def _chunks(images: np.ndarray) -> list[tuple[int, np.ndarray]]:
    return [(start, images[start : start + CHUNK]) for start in range(0, len(images), CHUNK)]
