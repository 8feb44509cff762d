"""Reading stored predictions, and the labels that they are scored by."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from affectlab.datasets.near_texts import near_groups
from affectlab.datasets.texts import text_conditions
from affectlab.entity.corrupt import CORRUPTIONS, VARIANTS
from affectlab.entity.data import of_split, read_records, targets_of
from affectlab.entity.labels import CLASSES, normalised
from affectlab.entity.scores import Items
from affectlab.errors import DataError, first_line
from affectlab.evaluation import stats
from affectlab.evaluation.conditions import predict
from affectlab.evaluation.predictions import SUM_TOLERANCE, Line, check_items, finite_rows
from affectlab.files.integrity import check_file, checked

HELD_OUT = ("validation", "test")


class SplitLabels(NamedTuple):
    """The labels of one split: ids of the targets, soft labels, intensities, groups."""

    ids: list[str]
    labels: stats.Floats
    intensity: stats.Floats
    groups: stats.Integers


class Corpus(NamedTuple):
    """What evaluation needs of the data: no text, only which texts are the same."""

    splits: dict[str, SplitLabels]
    train_prior: stats.Floats
    whole_texts: bool
    conditions: dict[str, stats.Integers]


def read_corpus(records_path: Path | str) -> Corpus:
    """Read labels and groups from the tidy table.

    Near duplicates of one held-out split are a group. Training texts are not scored, so each is
    alone.

    Raises:
        DataError: a split is missing.
    """
    records = read_records(records_path)
    taken = 0
    splits = {}
    texts = {}
    for split in ("train", *HELD_OUT):
        members = of_split(records, split)
        targets = targets_of(members)
        if not targets:
            raise DataError(records_path, None, f"no records of the split {split}")
        own = [record.text for record in members]
        numbers = near_groups(own) if split in HELD_OUT else range(len(own))
        groups = [
            taken + number
            for number, record in zip(numbers, members, strict=True)
            for _ in record.targets
        ]
        taken += len(own)
        texts[split] = text_conditions([record.text for record in members for _ in record.targets])
        splits[split] = SplitLabels(
            [target.id for target in targets],
            np.array([normalised(target.label) for target in targets]),
            np.array([target.intensity for target in targets]),
            np.array(groups, dtype=np.int64),
        )
    whole_texts = records[0].targets[0].start is None
    labels = splits["train"].labels.argmax(axis=1)
    conditions = {
        split: np.stack(
            [predict(texts["train"], labels, texts[split], balanced=b) for b in (False, True)],
            axis=1,
        )
        for split in HELD_OUT
    }
    return Corpus(splits, splits["train"].labels.mean(axis=0), whole_texts, conditions)


def read_predictions(path: Path | str, corpus: Corpus) -> dict[str, Items]:
    """Read the predictions of validation and test, in the order of the corpus.

    Raises:
        DataError: the file is no such table, a prediction is impossible, or the items are not
            those of the corpus.
    """
    parts = _predicted_parts(path, corpus)
    found = {}
    for split in HELD_OUT:
        known = corpus.splits[split]
        test = split == "test"
        clean = parts[split, "clean"]
        found[split] = Items(
            labels=known.labels,
            intensity=known.intensity,
            groups=known.groups,
            probabilities=np.array([line.distribution("probabilities", CLASSES) for line in clean]),
            kappa=_kappas(clean),
            mu=_unit_vectors(path, clean),
            pooled=_vectors(path, "pooled", clean) if test else None,
            corrupted_kappa={
                variant: _kappas(parts[split, variant]) for variant in CORRUPTIONS if test
            },
            conditions=corpus.conditions[split],
            whole_texts=corpus.whole_texts,
        )
    return found


@checked("path", check_file)
def _predicted_parts(path: Path | str, corpus: Corpus) -> dict[tuple[str, str], list[Line]]:
    """The predictions of each split and variant, in the order of the corpus."""
    import pyarrow
    from pyarrow import parquet

    try:
        rows = parquet.read_table(path).to_pylist()
    except (OSError, pyarrow.ArrowException, UnicodeDecodeError) as error:
        raise DataError(path, None, f"not a table of predictions: {first_line(error)}") from error
    wanted = {("validation", "clean"), *(("test", variant) for variant in VARIANTS)}
    found: dict[tuple[str, str], dict[str, Line]] = {key: {} for key in wanted}
    for number, row in enumerate(rows, start=1):
        line = Line(Path(path), f"record {number}", row)
        key = line.text("split"), line.text("variant")
        if key not in wanted:
            raise line.error(f"the split {key[0]} has no variant {key[1]}")
        name = line.text("id")
        if name in found[key]:
            raise line.error(f"a second prediction for {name!r}, {key[1]}")
        line.distribution("probabilities", CLASSES)
        found[key][name] = line
    for (split, variant), lines in sorted(found.items()):
        check_items(path, f"the split {split} ({variant})", lines, corpus.splits[split].ids)
    return {
        key: [lines[name] for name in corpus.splits[key[0]].ids] for key, lines in found.items()
    }


def _kappas(lines: Sequence[Line]) -> stats.Floats:
    """Concentrations, (n,), each above 0.

    Raises:
        DataError: one is not.
    """
    values = np.array([line.number("kappa", 0.0) for line in lines])
    if len(bad := np.flatnonzero(values <= 0)):
        raise lines[bad[0]].error(f"kappa: expected more than 0, found {values[bad[0]]:g}")
    return values


def _vectors(path: Path | str, name: str, lines: Sequence[Line]) -> stats.Floats:
    rows = [line.values.get(name) for line in lines]
    return finite_rows(path, name, [line.place for line in lines], rows, None)


def _unit_vectors(path: Path | str, lines: Sequence[Line]) -> stats.Floats:
    """Mean directions, (n, 64), each of unit length.

    Raises:
        DataError: one is not.
    """
    values = _vectors(path, "mu", lines)
    lengths = np.linalg.norm(values, axis=1)
    if len(bad := np.flatnonzero(np.abs(lengths - 1) > SUM_TOLERANCE)):
        problem = f"mu: expected a vector of length 1, found {lengths[bad[0]]:g}"
        raise lines[bad[0]].error(problem)
    return values
