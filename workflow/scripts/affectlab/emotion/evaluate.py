"""Score stored predictions of the emotion experiment: single runs, and their comparison."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from affectlab.config.models import Bootstrap
from affectlab.datasets.names import name_key
from affectlab.datasets.near_texts import near_groups
from affectlab.datasets.splits import joined_groups
from affectlab.datasets.texts import text_conditions
from affectlab.emotion.data import Data, Record
from affectlab.emotion.methods import SEEDLESS
from affectlab.emotion.settings import EmotionRun
from affectlab.errors import DataError, UserError
from affectlab.evaluation.classification import (
    COMPARED,
    CROSS_VALIDATION,
    HELD_OUT,
    Corpus,
    read_predictions,
    read_runs,
    reliability_at,
    scored_record,
)
from affectlab.evaluation.comparison import comparison_record
from affectlab.evaluation.conditions import Columns
from affectlab.evaluation.records import ScoredRun, calibration_note, difference_line, write_record
from affectlab.files.io import read_json, read_jsonl, write_text

TASK_VERSION = 2
"""Rises when labels or scoring change, so that only comparable numbers are compared."""


def corpus_of(data: Data) -> Corpus:
    """Labels and groups of a data set, and what needs no text.

    Texts of one held-out split that are nearly the same are a group, and so are those of one
    author. Training texts are not scored, so each is alone. In a cross-validation every text is
    held out once.

    Raises:
        UserError: a split has no records.
    """
    if data.description.folds is not None:
        return _cross_validated(data)
    by_split = {split: data.of_split(split) for split in ("train", *HELD_OUT)}
    if empty := [split for split, own in by_split.items() if not own]:
        raise UserError(f"no records of the split {' and '.join(empty)}")
    group: dict[str, int] = {}
    for split, own in by_split.items():
        numbers = groups_of(own) if split in HELD_OUT else range(len(own))
        first = len(group)
        group |= {one.id: first + number for one, number in zip(own, numbers, strict=True)}
    return Corpus.of(data.classes, _labels(data, by_split), group, _conditions(by_split))


def _cross_validated(data: Data) -> Corpus:
    """A corpus in which each split holds every item; conditions are learnt without its fold."""
    everything = dict.fromkeys(("train", *HELD_OUT), data.records)
    group = {
        one.id: number for one, number in zip(data.records, groups_of(data.records), strict=True)
    }
    whole = Corpus.of(data.classes, _labels(data, everything), group, _conditions(everything))
    answers: dict[str, dict[str, int]] = {name: {} for name in whole.conditions}
    for fold in range(data.description.folds or 0):
        by_split = {split: data.for_fold(fold).of_split(split) for split in ("train", "test")}
        part = Corpus.of(data.classes, _labels(data, by_split), group, _conditions(by_split))
        for name, found in part.conditions.items():
            answers[name] |= found
    return replace(whole, conditions=answers)


def _labels(data: Data, by_split: Mapping[str, Sequence[Record]]) -> dict[str, dict[str, int]]:
    return {
        split: dict(zip([one.id for one in own], data.labels_of(own).tolist(), strict=True))
        for split, own in by_split.items()
    }


def _conditions(by_split: Mapping[str, Sequence[Record]]) -> dict[str, Columns]:
    return {split: text_conditions([one.text for one in own]) for split, own in by_split.items()}


def groups_of(records: Sequence[Record]) -> list[int]:
    """Number the groups of texts: of one author, or nearly the same."""
    authors = [None if record.group is None else name_key(record.group) for record in records]
    return joined_groups(authors, near_groups([record.text for record in records]))


def evaluate(
    run: ScoredRun[EmotionRun],
    *,
    predictions_path: Path | str,
    data: Data,
    data_paths: Sequence[Path | str],
    audit_path: Path | str,
    baseline: tuple[str, int, Path | str] | None,
    text_path: Path | str,
    figures: Path | str,
) -> None:
    """Score one run: metrics.json, run.json, evaluation_results.txt and the figures.

    Args:
        run: what is scored, and where its records go.
        predictions_path: predictions.jsonl of the run.
        data: that it is scored on.
        data_paths: the files that hold them.
        audit_path: audit.json of its data, for the test items that overlap train.
        baseline: run name, seed and predictions.jsonl to compare with; None for the baseline
            itself.
        text_path: where evaluation_results.txt goes.
        figures: folder of the figures.

    Raises:
        DataError: an input does not hold what it should.
    """
    from affectlab.evaluation import plots

    corpus, folds = corpus_of(data), data.description.folds
    predictions = read_predictions(predictions_path, corpus)
    against = None if baseline is None else read_predictions(baseline[2], corpus)
    # Whatever a fold predicts, all that is like it is in the same fold.
    overlapping = overlapping_ids(audit_path) if folds is None else set()
    scored = scored_record(predictions, corpus, overlapping, against, run.bootstrap)
    comparison = scored.pop("comparison")
    record = {
        **run.header(
            "emotion",
            TASK_VERSION,
            method=run.recipe.method,
            model=run.recipe.model if run.recipe.is_network else run.recipe.method,
            data={
                "split": "test" if folds is None else CROSS_VALIDATION,
                "n": scored.pop("n"),
                "groups": scored.pop("groups"),
                "classes": list(corpus.classes),
            },
            data_paths=data_paths,
        ),
        "details": {"reading": reading(predictions_path, run.recipe)},
        "comparisons": []
        if baseline is None or comparison is None
        else [{"with": baseline[0], "seed": baseline[1], **comparison}],
        **scored,
    }
    folder = Path(figures)
    test = predictions["test"]
    plots.confusion_matrix(
        folder / "confusion_matrix", np.array(record["confusion_matrix"]), corpus.classes
    )
    plots.reliability(
        folder / "reliability",
        {
            "as trained": reliability_at(test, 1.0),
            "after temperature scaling": reliability_at(test, scored["calibration"]["temperature"]),
        },
    )
    write_text(text_path, results_text(record))
    run.write(record)


def overlapping_ids(audit_path: Path | str) -> set[str]:
    """Ids of the test items whose text, or nearly the same, is in the training split too.

    Raises:
        DataError: the audit lacks them.
    """
    audit = read_json(audit_path)
    try:
        found = set(audit["overlap"]["test_in_train"])
    except (KeyError, TypeError) as error:
        raise DataError(audit_path, None, "expected the list overlap.test_in_train") from error
    near = audit.get("near_duplicates", {}).get("overlap", {})
    return found | set(near.get("test_in_train", ()))


def reading(predictions_path: Path | str, recipe: EmotionRun) -> dict[str, Any]:
    """How much of a text the model reads, and of how many test texts that was not all.

    Returns:
        ``max_length`` in tokens (None: all of it), ``cut_texts`` of the ``test_texts``.
    """
    rows = [row for row in read_jsonl(predictions_path) if row["split"] == "test"]
    return {
        "max_length": recipe.max_length if recipe.is_network else None,
        "cut_texts": sum(row.get("cut", False) is True for row in rows),
        "test_texts": len(rows),
    }


def results_text(record: Mapping[str, Any]) -> str:
    """The text of evaluation_results.txt: headline, classification report, other splits."""
    data = record["data"]
    level = f"{record['interval']['level']:.0%}"
    lines = [
        f"{record['run']}, seed {record['seed']} ({record['protocol']} protocol)",
        f"model: {record['model']['name']}; data: {data['name']}, split {data['split']},"
        f" n = {data['n']}, {data['groups']} groups of texts, {len(data['classes'])} classes",
        *_reading_line(record.get("details", {}).get("reading")),
        "",
        f"{'metric':<18}{'value':>9}  {level + ' interval':<19}trivial baseline",
        *(_metric_line(name, entry) for name, entry in sorted(record["metrics"].items())),
        "",
        f"temperature {record['calibration']['temperature']:.4f}, fitted on"
        f" {record['calibration']['fitted_on']}; *_calibrated are the scores after it",
        "",
        f"{'class':<12}{'precision':>10}{'recall':>10}{'f1':>10}{'support':>10}",
        *(
            f"{name:<12}{row['precision']:>10.4f}{row['recall']:>10.4f}{row['f1']:>10.4f}"
            f"{row['support']:>10d}"
            for name, row in ((name, record["per_class"][name]) for name in data["classes"])
        ),
    ]
    for split, entry in record["other_splits"].items():
        lines += ["", f"{split}, n = {entry['n']}, {entry['groups']} groups of texts"]
        lines += [_metric_line(name, entry["metrics"][name]) for name in COMPARED]
    for other in record["comparisons"]:
        lines += [
            "",
            f"against {other['with']}, seed {other['seed']}: these two trained models, not their"
            " recipes",
            *(difference_line(name, found) for name, found in other["differences"].items()),
        ]
        test = other["mcnemar"]
        lines.append(
            f"McNemar: {test['only_ours']} items right here alone, {test['only_theirs']} there"
            f" alone; exact p = {test['exact_p']:.3g}"
        )
    return "\n".join(lines) + "\n"


def compare(
    *,
    metrics_paths: Sequence[Path | str],
    predictions_paths: Sequence[Path | str],
    data: Mapping[str, Data],
    baseline: str | None,
    bootstrap: Bootstrap,
    schema: Path | str,
    output_path: Path | str,
) -> None:
    """Hold all runs against each other: comparison.json.

    Args:
        metrics_paths: metrics.json of every run and seed, runs and seeds in the order wanted.
        predictions_paths: predictions.jsonl of the same, in the same order.
        data: name of a data set -> the data.
        baseline: name of the run that the others are held against.
        bootstrap: of the intervals.
        schema: schema of comparison.json.
        output_path: where comparison.json goes.
    """
    runs = read_runs(
        metrics_paths,
        predictions_paths,
        {name: corpus_of(one) for name, one in data.items()},
        bootstrap,
        seedless=SEEDLESS,
    )
    record = comparison_record(
        "emotion",
        runs,
        baseline=baseline,
        headline=COMPARED,
        compared=COMPARED,
        bootstrap=bootstrap,
    )
    write_record(output_path, record, schema)


def _reading_line(found: Mapping[str, Any] | None) -> list[str]:
    if found is None or found["max_length"] is None:
        return []
    return [
        f"reads up to {found['max_length']} tokens of a text; {found['cut_texts']} of"
        f" {found['test_texts']} test texts are longer"
    ]


def _metric_line(name: str, entry: Mapping[str, Any]) -> str:
    low, high = entry["ci"]
    line = f"{name:<18}{entry['value']:>9.4f}  [{low:.4f}, {high:.4f}]   "
    line += calibration_note(entry)
    if entry["baseline"] is not None:
        line += f"{entry['baseline']['value']:.4f} ({entry['baseline']['name']})"
    if entry["below_baseline"]:
        line += "  BELOW THE TRIVIAL BASELINE"
    return line.rstrip()
