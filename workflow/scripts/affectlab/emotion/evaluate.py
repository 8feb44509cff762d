"""Score the stored predictions of a run, whatever it predicts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from affectlab.datasets.description import Target as TargetName
from affectlab.datasets.subgroups import read_subgroups
from affectlab.emotion.multilabel_data import MultilabelData
from affectlab.emotion.ratings import Ratings
from affectlab.emotion.readers import AnyData
from affectlab.emotion.score_classes import ClassTarget
from affectlab.emotion.score_multilabel import MultilabelTarget
from affectlab.emotion.score_numbers import NumberTarget
from affectlab.emotion.scored import Target
from affectlab.emotion.settings import EmotionRun
from affectlab.errors import DataError
from affectlab.evaluation.baseline_names import short_name
from affectlab.evaluation.by_subgroup import subgroup_lines, subgroups_record
from affectlab.evaluation.captions import run_on_data
from affectlab.evaluation.classification import CROSS_VALIDATION
from affectlab.evaluation.outside_splits import known_to_others
from affectlab.evaluation.outside_words import outside_sentences
from affectlab.evaluation.plots import figures_of
from affectlab.evaluation.records import ScoredRun, calibration_note, difference_line
from affectlab.files.io import read_json, read_jsonl, write_text

TASK_VERSION = 2
"""Rises when labels or scoring change, so that only comparable numbers are compared."""


def target_of(data: AnyData) -> Target:
    """How predictions on *data* are scored."""
    if isinstance(data, Ratings):
        return NumberTarget(data)
    return MultilabelTarget(data) if isinstance(data, MultilabelData) else ClassTarget(data)


def target_name(record: Mapping[str, Any]) -> TargetName:
    """What the run of a metrics.json predicts."""
    data = record["data"]
    if "numbers" in data:
        return "numbers"
    return "classes" if data.get("target") == "classes" else "class"


def evaluate(
    run: ScoredRun[EmotionRun],
    *,
    predictions_path: Path | str,
    data: AnyData,
    data_paths: Sequence[Path | str],
    audit_path: Path | str,
    baseline: tuple[str, int, Path | str] | None,
    text_path: Path | str,
    figures: Path | str,
    outside_path: Path | str | None = None,
    subgroups_path: Path | str | None = None,
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
        outside_path: outside.json, where somebody else predicted.
        subgroups_path: subgroups.jsonl of its data, where the entry names subgroups.

    Raises:
        DataError: an input does not hold what it should.
    """
    target = target_of(data)
    baseline_path = None if baseline is None else baseline[2]
    outside = None if outside_path is None else read_json(outside_path)
    folded = data.description.folds is not None
    known: set[str] | None = overlapping_ids(audit_path)
    if outside is not None:
        known = known_to_others(outside, known or (), folded=folded)
    found = target.score(predictions_path, known, baseline_path, run.bootstrap, outside)
    scores = dict(found.record)
    record = {
        **run.header(
            "emotion",
            TASK_VERSION,
            method=run.recipe.method,
            model=run.recipe.model_name,
            data={
                "split": CROSS_VALIDATION if folded else "test",
                "n": scores.pop("n"),
                "groups": scores.pop("groups"),
                **target.described,
            },
            data_paths=data_paths,
        ),
        "details": {"reading": reading(predictions_path, run.recipe, outside), **found.details},
        "comparisons": []
        if baseline is None or found.comparison is None
        else [{"with": baseline[0], "seed": baseline[1], **found.comparison}],
        **scores,
        **subgroups_record(read_subgroups(subgroups_path), found.items, run.bootstrap),
    }
    with figures_of(run_on_data(record)):
        found.draw(Path(figures))
    write_text(text_path, results_text(record))
    run.write(record)


def overlapping_ids(audit_path: Path | str) -> set[str]:
    """Ids of the items that are scored by a model that learnt from the same text, or nearly so.

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


def reading(
    predictions_path: Path | str, recipe: EmotionRun, outside: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """How much of a text the model reads, and of how many scored texts that was not all.

    Args:
        predictions_path: predictions.jsonl of the run.
        recipe: of the run.
        outside: its outside.json, where it trained nothing.

    Returns:
        ``max_length`` in tokens (None: all of it), ``cut_texts`` of the ``test_texts``.
    """
    rows = [row for row in read_jsonl(predictions_path) if row["split"] == "test"]
    return {
        "max_length": recipe.max_length if recipe.is_network else (outside or {}).get("max_length"),
        "cut_texts": sum(row.get("cut", False) is True for row in rows),
        "test_texts": len(rows),
    }


def results_text(record: Mapping[str, Any]) -> str:
    """The text of evaluation_results.txt: headline, scores, other splits, comparisons."""
    data, target = record["data"], target_name(record)
    level = f"{record['interval']['level']:.0%}"
    what = "" if target == "numbers" else f", {len(data['classes'])} classes"
    lines = [
        f"{record['run']}, seed {record['seed']} ({record['protocol']} protocol)",
        f"model: {record['model']['name']}; data: {data['name']}, split {data['split']},"
        f" n = {data['n']}, {data['groups']} groups of texts{what}",
        *([f"numbers: {', '.join(data['numbers'])}"] if target == "numbers" else []),
        *reading_line(record.get("details", {}).get("reading")),
        *outside_sentences(record),
        "",
        f"{'metric':<{WIDTHS[target]}}{'value':>9}  {level + ' interval':<19}trivial baseline",
        *(_metric_line(target, *item) for item in sorted(record["metrics"].items())),
        *_DETAILS[target](record),
    ]
    for split, entry in record["other_splits"].items():
        lines += ["", f"{split}, n = {entry['n']}, {entry['groups']} groups of texts"]
        lines += [_metric_line(target, name, entry["metrics"][name]) for name in COMPARED[target]]
    for other in record["comparisons"]:
        lines += _comparison_lines(other, "against" if target == "class" else "compared with")
    lines += subgroup_lines(record)
    return "\n".join(lines) + "\n"


COMPARED: Mapping[TargetName, tuple[str, ...]] = MappingProxyType(
    {
        "class": ClassTarget.compared,
        "classes": MultilabelTarget.compared,
        "numbers": NumberTarget.compared,
    }
)
"""Scores of other splits that the text shows."""

WIDTHS: Mapping[TargetName, int] = MappingProxyType({"class": 18, "classes": 24, "numbers": 18})
"""Columns for the name of a score."""


def _class_lines(record: Mapping[str, Any]) -> list[str]:
    fitted = record["calibration"]
    return [
        "",
        "no temperature: these predictions have no probabilities, or none for validation"
        if fitted is None
        else f"temperature {fitted['temperature']:.4f}, fitted on {fitted['fitted_on']};"
        " *_calibrated are the scores after it",
        "",
        f"{'class':<12}{'precision':>10}{'recall':>10}{'f1':>10}{'support':>10}",
        *(
            f"{name:<12}{row['precision']:>10.4f}{row['recall']:>10.4f}{row['f1']:>10.4f}"
            f"{row['support']:>10d}"
            for name, row in (
                (name, record["per_class"][name]) for name in record["data"]["classes"]
            )
        ),
    ]


def _multilabel_lines(record: Mapping[str, Any]) -> list[str]:
    rows = [(name, record["per_class"][name]) for name in record["data"]["classes"]]
    precisions = {name: _cell(row["average_precision"]) for name, row in rows}
    return [
        "",
        f"{'class':<12}{'precision':>10}{'recall':>10}{'f1':>10}{'avg prec':>10}{'support':>10}"
        f"{'threshold':>11}",
        *(
            f"{name:<12}{row['precision']:>10.4f}{row['recall']:>10.4f}{row['f1']:>10.4f}"
            f"{precisions[name]:>10}{row['support']:>10d}{_cell(row['threshold']):>11}"
            for name, row in rows
        ),
    ]


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


_DETAILS: Mapping[TargetName, Callable[[Mapping[str, Any]], list[str]]] = MappingProxyType(
    {"class": _class_lines, "classes": _multilabel_lines, "numbers": lambda record: []}
)


def _comparison_lines(other: Mapping[str, Any], how: str) -> list[str]:
    lines = [
        "",
        f"{how} {other['with']}, seed {other['seed']}: these two trained models, not their recipes",
        *(difference_line(name, found) for name, found in other["differences"].items()),
    ]
    if "mcnemar" in other:
        test = other["mcnemar"]
        lines.append(
            f"McNemar: {test['only_ours']} items right here alone, {test['only_theirs']} there"
            f" alone; exact p = {test['exact_p']:.3g}"
        )
    return lines


def reading_line(found: Mapping[str, Any] | None) -> list[str]:
    """How much of a text the model reads, as a line of the results; none where it reads all."""
    if found is None or found["max_length"] is None:
        return []
    return [
        f"reads up to {found['max_length']} tokens of a text; {found['cut_texts']} of"
        f" {found['test_texts']} scored texts are longer"
    ]


def _metric_line(target: TargetName, name: str, entry: Mapping[str, Any]) -> str:
    """One score with interval and trivial baseline as a line of evaluation_results.txt."""
    low, high = entry["ci"]
    line = f"{name:<{WIDTHS[target]}}{entry['value']:>9.4f}  [{low:.4f}, {high:.4f}]   "
    line += calibration_note(entry)
    if entry["baseline"] is not None:
        line += (
            f"{entry['baseline']['value']:.4f} ({short_name(entry['baseline']['name'], 'emotion')})"
        )
    if entry["below_baseline"]:
        line += "  BELOW THE TRIVIAL BASELINE"
    return line.rstrip()
