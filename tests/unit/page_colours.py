"""Colours of the page, and how well one is seen on another."""

from pathlib import Path

import numpy as np

from affectlab.report import page

CSS = Path(page.__file__).parent / "page.css"


def channels(colour):
    """Red, green and blue of ``#rrggbb``, from 0 to 1."""
    return np.array([int(colour[start : start + 2], 16) for start in (1, 3, 5)]) / 255


def contrast(one, other):
    """The contrast of two colours by WCAG 2, from 1 to 21."""
    dark, light = sorted((_luminance(one), _luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour):
    linear = np.where(colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])
