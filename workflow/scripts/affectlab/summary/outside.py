"""Summaries that somebody else wrote of our cases."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from affectlab.config.checks import OUTSIDE
from affectlab.config.models import Outside
from affectlab.datasets.spelling import spelling_hint
from affectlab.datasets.tables import TableRow, read_table
from affectlab.errors import DataError
from affectlab.evaluation.listed_training import listed_training
from affectlab.evaluation.outside import complete_record, unknown_items
from affectlab.evaluation.outside_names import check_names
from affectlab.evaluation.outside_tables import CLASS_NAMES, has_seed, listed_names
from affectlab.files.io import sha256_file, write_json
from affectlab.summary.answers import detail, submitted_names, write_details, write_predictions
from affectlab.summary.cases import Case, read_cases, test_cases, text_problem
from affectlab.summary.scores import Answer

UNKNOWN = ("valid_output", "failed")
"""Scores of how a model wrote, which a table of its summaries cannot tell."""


def store(
    records_path: Path,
    fold: int | None,
    recipe: Outside,
    seed: int,
    *,
    predictions_path: Path,
    details_path: Path,
    record_path: Path,
    withdrawn: bool = False,
) -> None:
    """Store the summaries of a table as our own runs store theirs.

    Args:
        records_path: records.jsonl of the data.
        fold: of the run.
        recipe: of the table; ``classes`` maps its columns to the fields.
        seed: of the run.
        predictions_path: predictions.jsonl.
        details_path: details.jsonl.
        record_path: outside.json; see `evaluation.outside.Matched.to_dict`.
        withdrawn: whether somebody withdrew from the data; then no message has an unknown id.

    Raises:
        DataError: the table does not hold one summary of each test case.
    """
    cases = test_cases(records_path, fold)
    known = {case.id for case in read_cases(records_path)}
    tested = {case.id: case for case in cases}
    check_names(recipe.classes, {field for case in cases for field in case.fields})
    found: dict[str, Answer] = {}
    unscored = 0
    for name, row in _rows(Path(recipe.path), recipe, seed):
        if name not in known:
            if withdrawn:
                raise unknown_items(recipe.path, [(name, row.place)], known, withdrawn)
            hint = spelling_hint([name], known)
            raise _error(recipe, row, f"{name!r} is no case of these data{hint}")
        if name not in tested:
            unscored += 1
        elif name in found:
            raise _error(recipe, row, f"a second summary of {name!r}")
        else:
            found[name] = _answer(row, tested[name], recipe)
    if missing := [case.id for case in cases if case.id not in found]:
        problem = f"no summary of {len(missing)} of {len(cases)} cases: {listed_names(missing)}"
        raise DataError(recipe.path, None, problem)
    answers = [found[case.id] for case in cases]
    write_predictions(predictions_path, cases, answers, sealed=True)
    write_details(details_path, map(detail, cases, answers))
    write_json(record_path, _record(cases, known, recipe, unscored, withdrawn), sealed=True)


def _rows(path: Path, recipe: Outside, seed: int) -> Iterator[tuple[str, TableRow]]:
    """The id and the row of each summary of *seed*."""
    column = recipe.columns.seed
    for row in read_table(path, [recipe.columns.id]):
        if row.problem is not None:
            raise DataError(path, row.place, row.problem)
        if column is None or has_seed(path, row, column, seed):
            yield str(row.values[recipe.columns.id]), row


def _answer(row: TableRow, case: Case, recipe: Outside) -> Answer:
    """The fields of a row: in columns called as the field, as in our files, or as the user says."""
    named = {name: theirs for theirs, name in recipe.classes.items() if theirs in row.values}
    fields = {}
    for field, submitted in submitted_names(case.fields).items():
        columns = (named.get(field), submitted, field)
        column = next((name for name in columns if name is not None and name in row.values), None)
        if column is None:
            listed = listed_names(list(row.values))
            missing = f"no column for the field {field!r}; found: {listed}"
            raise _error(recipe, row, f"{missing}; say which one it is {CLASS_NAMES}")
        text = "" if row.values[column] is None else row.values[column]
        if problem := text_problem(column, text, needed=False):
            raise _error(recipe, row, problem)
        fields[field] = text
    return Answer(fields, all(fields.values()))


def _record(
    cases: Sequence[Case], known: set[str], recipe: Outside, unscored: int, withdrawn: bool
) -> Mapping[str, Any]:
    listed = listed_training(recipe.trained_on, known, withdrawn)
    about: dict[str, Any] = {
        "sha256": sha256_file(Path(recipe.path)),
        "probabilities": None,
        "training_items": unscored,
        "trained_on": [case.id for case in cases if case.id in listed.ids],
        "without_prediction": len(known) - len(cases) - unscored,
        **listed.to_dict(),
        "swapped_names": {},
    }
    return complete_record(OUTSIDE, about)


def _error(recipe: Outside, row: TableRow, problem: str) -> DataError:
    return DataError(recipe.path, row.place, problem)
