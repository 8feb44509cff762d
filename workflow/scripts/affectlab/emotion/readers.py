"""Reading what a conversion wrote, whatever is to be predicted of its texts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from affectlab.datasets.description import read_description
from affectlab.datasets.numbers import NUMBERS
from affectlab.emotion.data import Data, read_data
from affectlab.emotion.multilabel_data import CLASSES_TARGET, MultilabelData, read_multilabel
from affectlab.emotion.ratings import Ratings, read_ratings
from affectlab.errors import DataError

AnyData = Data | MultilabelData | Ratings
"""A converted data set with a class, label sets or numbers."""

_READERS: Mapping[str, Callable[[Path | str, Path | str, int | None], AnyData]] = MappingProxyType(
    {"class": read_data, CLASSES_TARGET: read_multilabel, NUMBERS: read_ratings}
)


def read_any(
    records_path: Path | str, description_path: Path | str, fold: int | None = None
) -> AnyData:
    """Read what `convert` wrote; with a *fold*, the data as `Divided.for_fold` gives them.

    Raises:
        DataError: see `read_data`, `read_multilabel` and `read_ratings`.
    """
    target = read_description(description_path).target
    return _READERS.get(target, read_data)(records_path, description_path, fold)


def read_classes(records_path: Path | str, description_path: Path | str) -> Data | MultilabelData:
    """Read what `convert` wrote, with one class or several for each text.

    Raises:
        DataError: see `read_any`; or the data have numbers.
    """
    data = read_any(records_path, description_path)
    if isinstance(data, Ratings):
        raise DataError(description_path, None, "expected data with classes, found numbers")
    return data
