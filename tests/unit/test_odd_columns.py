"""Columns of Parquet files that hold something else than they should."""

import json

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from affectlab.emotion.convert import read_raw
from affectlab.emotion.data import CLASSES
from affectlab.errors import DataError
from affectlab.evaluation.predictions import finite_rows
from affectlab.samples.emotion import write_corpus


def with_names(folder, names):
    sizes = {"train": 20, "validation": 8, "test": 8}
    planted = {"conflicting": 1, "duplicates": 1, "test_overlap": 1}
    write_corpus(folder, layout="parquet", **sizes, **planted)
    path = next(folder.rglob("train*.parquet"))
    features = {"label": {"names": names}}
    stored = {b"huggingface": json.dumps({"info": {"features": features}}).encode()}
    parquet.write_table(parquet.read_table(path).replace_schema_metadata(stored), path)


@pytest.mark.parametrize(
    "names",
    [
        7,
        {},
        True,
        [*CLASSES[1:], None],
        [*CLASSES[1:], {}],
        [*CLASSES[1:], 0.5],
        [*CLASSES, CLASSES[0]],
        [CLASSES[0]] * len(CLASSES),
    ],
)
def test_class_names_in_the_metadata_that_are_no_names(tmp_path, names):
    with_names(tmp_path, names)
    with pytest.raises(DataError, match=r"expected the classes .* found others"):
        list(read_raw(tmp_path))


def test_metadata_nested_too_deeply_to_read_hold_no_class_names(tmp_path):
    with_names(tmp_path, list(CLASSES))
    path = next(tmp_path.rglob("train*.parquet"))
    deep = {b"huggingface": b"[" * 100_000}
    parquet.write_table(parquet.read_table(path).replace_schema_metadata(deep), path)
    assert len([row for row in read_raw(tmp_path) if row.split == "train"]) == 20


@pytest.mark.parametrize("value", ["x", "1.5", True, None, [1.0], {"a": 1}, b"\xff"])
def test_a_vector_of_something_else_than_numbers(value):
    with pytest.raises(DataError, match="row 2: mu: expected 2 numbers"):
        finite_rows("p.parquet", "mu", ["row 1", "row 2"], [[0.0, 1.0], [0.0, value]], 2)


def test_a_number_beyond_every_float():
    with pytest.raises(DataError, match="mu: expected finite numbers"):
        finite_rows("p.parquet", "mu", ["row 1"], [[10**400]], 1)


def test_integers_are_numbers():
    column = pa.array([[1, 2]]).to_pylist()
    assert np.array_equal(finite_rows("p", "mu", ["row 1"], column, None), [[1.0, 2.0]])
