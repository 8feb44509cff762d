"""Score stored predictions of numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from affectlab.datasets.texts import text_conditions
from affectlab.emotion.evaluate import (
    CROSS_VALIDATION,
    TASK_VERSION,
    groups_of,
    metric_line,
    overlapping_ids,
    reading,
    reading_line,
)
from affectlab.emotion.ratings import Rating, Ratings
from affectlab.emotion.settings import EmotionRun
from affectlab.errors import UserError
from affectlab.evaluation import regression
from affectlab.evaluation.number_conditions import predict_numbers
from affectlab.evaluation.records import ScoredRun, difference_line
from affectlab.evaluation.regression import HELD_OUT, RatedCorpus
from affectlab.files.io import write_text


def rated_corpus_of(data: Ratings) -> RatedCorpus:
    """Numbers, trivial baselines and groups of a data set, without texts.

    Groups are those of `evaluate.corpus_of`. In a cross-validation every text is held out once.

    Raises:
        UserError: a split has no records.
    """
    if data.description.folds is not None:
        return _cross_validated(data)
    parts = {split: data.of_split(split) for split in ("train", *HELD_OUT)}
    if empty := [split for split, own in parts.items() if not own]:
        raise UserError(f"no records of the split {' and '.join(empty)}")
    group: dict[str, int] = {}
    for split in HELD_OUT:
        first = len(group)
        numbers = groups_of(parts[split])
        group |= {one.id: first + number for one, number in zip(parts[split], numbers, strict=True)}
    return RatedCorpus(
        data.names,
        {split: _values(data, parts[split]) for split in HELD_OUT},
        {split: _means(data, parts[split]) for split in HELD_OUT},
        group,
        {split: _from_conditions(data, parts[split]) for split in HELD_OUT},
    )


def _cross_validated(data: Ratings) -> RatedCorpus:
    """A corpus in which each split holds every item; baselines are those of the training folds."""
    means: dict[str, dict[str, list[float]]] = {split: {} for split in HELD_OUT}
    conditions: dict[str, dict[str, list[float]]] = {split: {} for split in HELD_OUT}
    for fold in range(data.description.folds or 0):
        own = data.for_fold(fold)
        for split in HELD_OUT:
            means[split] |= _means(own, own.of_split(split))
            conditions[split] |= _from_conditions(own, own.of_split(split))
    values = _values(data, data.records)
    numbers = groups_of(data.records)
    group = {one.id: number for one, number in zip(data.records, numbers, strict=True)}
    return RatedCorpus(data.names, dict.fromkeys(HELD_OUT, values), means, group, conditions)


def _values(data: Ratings, records: Sequence[Rating]) -> dict[str, list[float]]:
    rows = data.values_of(records).tolist()
    return {one.id: row for one, row in zip(records, rows, strict=True)}


def _means(data: Ratings, records: Sequence[Rating]) -> dict[str, list[float]]:
    """The training means of *data*, for each of *records*."""
    mean = data.values_of(data.of_split("train")).mean(axis=0).tolist()
    return {one.id: mean for one in records}


def _from_conditions(data: Ratings, records: Sequence[Rating]) -> dict[str, list[float]]:
    """What length and language tell of the numbers of *records*, learnt from the training split."""
    train = data.of_split("train")
    found = predict_numbers(
        text_conditions([one.text for one in train]),
        data.values_of(train),
        text_conditions([one.text for one in records]),
    )
    return {one.id: row for one, row in zip(records, found.tolist(), strict=True)}


def evaluate_numbers(
    run: ScoredRun[EmotionRun],
    *,
    predictions_path: Path | str,
    data: Ratings,
    data_paths: Sequence[Path | str],
    audit_path: Path | str,
    baseline: tuple[str, int, Path | str] | None,
    text_path: Path | str,
    figures: Path | str,
) -> None:
    """Score one run: metrics.json, run.json, evaluation_results.txt and the figure.

    Args:
        run: what is scored, and where its records go.
        predictions_path: predictions.jsonl of the run.
        data: that it is scored on.
        data_paths: the files that hold them.
        audit_path: audit.json of its data, for the test items that overlap train.
        baseline: run name, seed and predictions.jsonl to compare with; None for the baseline
            itself.
        text_path: where evaluation_results.txt goes.
        figures: folder of the figure.

    Raises:
        DataError: an input does not hold what it should.
    """
    from affectlab.evaluation import plots

    corpus, folds = rated_corpus_of(data), data.description.folds
    predictions = regression.read_predictions(predictions_path, corpus)
    test = predictions["test"]
    scored = regression.scored_record(
        predictions, corpus, overlapping_ids(audit_path), run.bootstrap
    )
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
                "numbers": list(corpus.names),
            },
            data_paths=data_paths,
        ),
        "details": {"reading": reading(predictions_path, run.recipe)},
        "comparisons": [],
        **scored,
    }
    if baseline is not None:
        name, seed, path = baseline
        theirs = regression.read_predictions(path, corpus)["test"]
        found = regression.compare_two(test, theirs, corpus, run.bootstrap)
        record["comparisons"] = [{"with": name, "seed": seed, **found}]
    plots.scatter(
        Path(figures) / "predicted_values",
        {name: (test.true[:, d], test.predicted[:, d]) for d, name in enumerate(corpus.names)},
    )
    write_text(text_path, results_text(record))
    run.write(record)


def results_text(record: Mapping[str, Any]) -> str:
    """The text of evaluation_results.txt: headline, scores, other splits, comparisons."""
    data = record["data"]
    level = f"{record['interval']['level']:.0%}"
    lines = [
        f"{record['run']}, seed {record['seed']} ({record['protocol']} protocol)",
        f"model: {record['model']['name']}; data: {data['name']}, split {data['split']},"
        f" n = {data['n']}, {data['groups']} groups of texts",
        f"numbers: {', '.join(data['numbers'])}",
        *reading_line(record["details"]["reading"]),
        "",
        f"{'metric':<18}{'value':>9}  {level + ' interval':<19}trivial baseline",
        *(metric_line(name, entry) for name, entry in sorted(record["metrics"].items())),
    ]
    for split, entry in record["other_splits"].items():
        lines += ["", f"{split}, n = {entry['n']}, {entry['groups']} groups of texts"]
        lines += [metric_line(name, entry["metrics"][name]) for name in regression.COMPARED]
    for other in record["comparisons"]:
        lines += [
            "",
            f"compared with {other['with']}, seed {other['seed']}: these two trained models, not"
            " their recipes",
            *(difference_line(name, found) for name, found in other["differences"].items()),
        ]
    return "\n".join(lines) + "\n"
