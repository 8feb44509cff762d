"""Reading stored predictions, and the labels that they are scored by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from affectlab.datasets.names import name_key
from affectlab.datasets.near_texts import near_groups
from affectlab.datasets.splits import SPLITS, joined_groups
from affectlab.datasets.texts import text_conditions
from affectlab.entity.corrupt import CORRUPTIONS, VARIANTS
from affectlab.entity.data import Data, Record, read_data, targets_of
from affectlab.entity.embedding_scores import Embedding
from affectlab.entity.labels import normalised
from affectlab.entity.scores import Items
from affectlab.errors import DataError, first_line, reading
from affectlab.evaluation import stats
from affectlab.evaluation.conditions import predict
from affectlab.evaluation.predictions import SUM_TOLERANCE, Line, Scope, check_items, finite_rows
from affectlab.files.integrity import check_file, checked
from affectlab.files.io import sealed_path

if TYPE_CHECKING:
    import pyarrow

HELD_OUT = ("validation", "test")

Part = tuple[str, str]
"""A split, and a variant of its texts."""


class SplitLabels(NamedTuple):
    """The labels of one split: ids of the targets, soft labels, intensities, groups."""

    ids: list[str]
    labels: stats.Floats
    intensity: stats.Floats
    groups: stats.Integers


class Corpus(NamedTuple):
    """What evaluation needs of the data: no text, only which texts are the same."""

    classes: tuple[str, ...]
    splits: dict[str, SplitLabels]
    train_prior: stats.Floats
    whole_texts: bool
    conditions: dict[str, stats.Integers]


def read_corpora(records_path: Path | str, description_path: Path | str) -> list[Corpus]:
    """Read labels and groups: of the data set, or as each fold of its cross-validation sees it.

    Near duplicates of one held-out split are a group, and so are the texts of one author. Training
    texts are not scored, so each is alone.

    Raises:
        DataError: a split is missing.
    """
    data = read_data(records_path, description_path)
    folds = data.description.folds
    parts = [data] if folds is None else [data.for_fold(fold) for fold in range(folds)]
    group = _groups_by_split(data) if folds is None else groups_of(data.records)
    return [_corpus(part, group, records_path) for part in parts]


def _groups_by_split(data: Data) -> dict[str, int]:
    """Id of a record -> number of its group, which is inside one split."""
    group: dict[str, int] = {}
    for split in SPLITS:
        own = data.of_split(split)
        numbers = groups_of(own) if split in HELD_OUT else _each_alone(own)
        taken = len(group)
        group |= {name: taken + number for name, number in numbers.items()}
    return group


def _each_alone(records: Sequence[Record]) -> dict[str, int]:
    return {record.id: number for number, record in enumerate(records)}


def groups_of(records: Sequence[Record]) -> dict[str, int]:
    """Id of a record -> number of its group: of one author, or nearly the same text."""
    numbers = near_groups([record.text for record in records])
    authors = [None if record.group is None else name_key(record.group) for record in records]
    if any(author is not None for author in authors):
        numbers = joined_groups(authors, numbers)
    return {record.id: number for record, number in zip(records, numbers, strict=True)}


def _corpus(data: Data, group: Mapping[str, int], path: Path | str) -> Corpus:
    splits = {}
    texts = {}
    for split in ("train", *HELD_OUT):
        members = data.of_split(split)
        targets = targets_of(members)
        if not targets:
            raise DataError(path, None, f"no records of the split {split}")
        texts[split] = text_conditions([record.text for record in members for _ in record.targets])
        splits[split] = SplitLabels(
            [target.id for target in targets],
            np.array([normalised(target.label) for target in targets]),
            np.array([target.intensity for target in targets]),
            np.array([group[one.id] for one in members for _ in one.targets], dtype=np.int64),
        )
    labels = splits["train"].labels.argmax(axis=1)
    conditions = {
        split: np.stack(
            [predict(texts["train"], labels, texts[split], balanced=b) for b in (False, True)],
            axis=1,
        )
        for split in HELD_OUT
    }
    return Corpus(
        classes=data.classes,
        splits=splits,
        train_prior=splits["train"].labels.mean(axis=0),
        whole_texts=data.records[0].targets[0].start is None,
        conditions=conditions,
    )


def read_predictions(
    path: Path | str, corpora: Sequence[Corpus], scope: Scope | None = None
) -> list[dict[str, Items]]:
    """Read the predictions of validation and test, in the order of each corpus.

    Args:
        path: predictions.parquet of a run.
        corpora: labels and groups, of each fold of a cross-validation.
        scope: of a run on somebody else's predictions, which have no embedding; None for one of
            our own.

    Raises:
        DataError: the file is no such table, a prediction is impossible, or the items are not
            those of the corpora.
    """
    parts = _predicted_parts(path, corpora, scope)
    return [_items(path, parts, corpus, scope) for corpus in corpora]


def _items(
    path: Path | str, parts: Mapping[Part, dict[str, Line]], corpus: Corpus, scope: Scope | None
) -> dict[str, Items]:
    """Split -> what was predicted of its items."""
    found = {}
    for split in (split for split, variant in parts if variant == "clean"):
        known = corpus.splits[split]
        kept = [place for place, name in enumerate(known.ids) if name in parts[split, "clean"]]
        clean = [parts[split, "clean"][known.ids[place]] for place in kept]
        has_classes = any("prediction" in line.values for line in parts[split, "clean"].values())
        probabilities = None
        if scope is None or scope.probabilities:
            rows = [line.distribution("probabilities", corpus.classes) for line in clean]
            probabilities = np.array(rows).reshape(-1, len(corpus.classes))
        found[split] = Items(
            ids=tuple(known.ids[place] for place in kept),
            labels=known.labels[kept],
            intensity=known.intensity[kept],
            groups=known.groups[kept],
            probabilities=probabilities,
            embedding=_embedding(path, parts, split, known.ids) if scope is None else None,
            conditions=corpus.conditions[split][kept],
            whole_texts=corpus.whole_texts,
            decided=_decided(clean, corpus) if has_classes else None,
        )
    return found


def _decided(lines: Sequence[Line], corpus: Corpus) -> stats.Array:
    """The stated classes of the lines, bool (n, K): one of a span, at least one of a text.

    Raises:
        DataError: a line states none, or a span several.
    """
    decided = np.zeros((len(lines), len(corpus.classes)), dtype=bool)
    for row, line in zip(decided, lines, strict=True):
        names = line.names("prediction", corpus.classes)
        if not names or (len(names) > 1 and not corpus.whole_texts):
            expected = "at least one class" if corpus.whole_texts else "one class"
            raise line.error(f"prediction: expected {expected}, found {len(names)}")
        row[[corpus.classes.index(name) for name in names]] = True
    return decided


def _embedding(
    path: Path | str, parts: Mapping[Part, dict[str, Line]], split: str, ids: Sequence[str]
) -> Embedding:
    """The embedding of the targets *ids* of a split, by a model of our own."""
    test = split == "test"

    def lines(variant: str) -> list[Line]:
        return [parts[split, variant][name] for name in ids]

    clean = lines("clean")
    return Embedding(
        kappa=_kappas(clean),
        mu=_unit_vectors(path, clean),
        pooled=_vectors(path, "pooled", clean) if test else None,
        corrupted_kappa={variant: _kappas(lines(variant)) for variant in CORRUPTIONS if test},
    )


@checked("path", check_file)
def _predicted_parts(
    path: Path | str, corpora: Sequence[Corpus], scope: Scope | None
) -> dict[Part, dict[str, Line]]:
    """The predictions of each split and variant by target, which are exactly those expected."""
    import pyarrow
    from pyarrow import parquet

    try:
        rows = parquet.read_table(path).to_pylist()
    except (OSError, pyarrow.ArrowException, UnicodeDecodeError) as error:
        raise DataError(path, None, f"not a table of predictions: {first_line(error)}") from error
    if scope is None:
        wanted = [("validation", "clean"), *(("test", variant) for variant in VARIANTS)]
    else:
        wanted = [(split, "clean") for split in HELD_OUT if split not in scope.splits_left_out]
    found: dict[Part, dict[str, Line]] = {key: {} for key in wanted}
    for number, row in enumerate(rows, start=1):
        line = Line(Path(path), f"record {number}", row)
        key = line.text("split"), line.text("variant")
        if key not in wanted:
            raise line.error(f"the split {key[0]} has no variant {key[1]}")
        name = line.text("id")
        if name in found[key]:
            raise line.error(f"a second prediction for {name!r}, {key[1]}")
        if scope is None or scope.probabilities:
            line.distribution("probabilities", corpora[0].classes)
        found[key][name] = line
    missing = frozenset() if scope is None else scope.missing
    for (split, variant), lines in sorted(found.items()):
        expected = [name for corpus in corpora for name in corpus.splits[split].ids]
        check_items(
            path,
            f"the split {split} ({variant})",
            lines,
            [name for name in expected if name in lines or name not in missing],
        )
    return found


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


def pool(paths: Sequence[Path | str], output: Path | str) -> None:
    """Write the predictions of all folds of a cross-validation as one table.

    Raises:
        DataError: a file cannot be read.
    """
    import pyarrow
    from pyarrow import parquet

    table = pyarrow.concat_tables([_stored_table(path) for path in paths])
    with sealed_path(output) as temporary:
        parquet.write_table(table, temporary)


@checked("path", check_file)
def scored_rows(path: Path | str) -> list[dict[str, Any]]:
    """Id, and probabilities or classes, of what was predicted of the test split as it is.

    Raises:
        DataError: the file is no such table.
    """
    from pyarrow import parquet

    with reading(path, "a table of predictions"):
        names = parquet.read_schema(path).names
        table = parquet.read_table(
            path,
            columns=[name for name in ("id", "probabilities", "prediction") if name in names],
            filters=[("split", "==", "test"), ("variant", "==", "clean")],
        )
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


@checked("path", check_file)
def _stored_table(path: Path | str) -> pyarrow.Table:
    from pyarrow import parquet

    with reading(path, "a table of predictions"):
        return parquet.read_table(path)
