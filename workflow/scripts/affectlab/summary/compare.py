"""Compare runs: their seeds together, in pairs on the same cases, and the folds of one recipe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from affectlab.config.models import Bootstrap
from affectlab.errors import DataError
from affectlab.evaluation.comparison import Resamples, Run, Score, comparison_record
from affectlab.evaluation.records import read_metrics, write_record
from affectlab.summary.answers import read_answers
from affectlab.summary.baselines import BASELINES, baseline_answers
from affectlab.summary.cases import Case, read_cases, test_cases, train_cases
from affectlab.summary.methods import TRAINED_METHODS
from affectlab.summary.score_intervals import COMPARED, differences, interval_of
from affectlab.summary.scores import Answer, all_scores
from affectlab.summary.side_scores import BOUNDS

HEADLINE = ("rouge2", "rouge1", "rouge_l", "valid_output")


class _Trained(NamedTuple):
    """The answers of one model to the test cases of its run, and their scores.

    Attributes:
        record: its metrics.json.
        items: data set and fold; what has the same is scored on the same cases.
        cases: the test cases.
        answers: one a case.
        scores: by name.
    """

    record: Mapping[str, Any]
    items: tuple[str, int | None]
    cases: Sequence[Case]
    answers: Sequence[Answer]
    scores: Mapping[str, Score]


def compare(
    *,
    metrics_paths: Sequence[Path | str],
    predictions_paths: Sequence[Path | str],
    details_paths: Sequence[Path | str],
    records_paths: Mapping[str, Path | str],
    folds: Mapping[str, int | None],
    pools: Mapping[str, Sequence[str]],
    baseline: str,
    bootstrap: Bootstrap,
    schema: Path | str,
    output_path: Path | str,
) -> None:
    """Compare all runs with each other: comparison.json.

    Every run is summarised over its seeds; every pair of runs on the same cases is compared with
    all seeds of both; the first seeds of the folds of a cross-validation are scored together.

    Args:
        metrics_paths: metrics.json of every run and seed, in the order wanted.
        predictions_paths: predictions.jsonl of the same, in the same order.
        details_paths: details.jsonl of the same, in the same order.
        records_paths: records.jsonl by name of the data set.
        folds: fold of each run, by name.
        pools: cross-validations: name -> runs, one for each fold.
        baseline: name of the run that the others are compared with.
        bootstrap: of the intervals.
        schema: schema of comparison.json.
        output_path: where comparison.json goes.

    Raises:
        DataError: an input does not hold what it should, or folds do not cover each case once.
    """
    runs = _scored_runs(metrics_paths, predictions_paths, details_paths, records_paths, folds)
    tested = {seeds[0].items: seeds[0].cases for seeds in runs.values()}
    draws = {
        items: Resamples(_groups(cases), bootstrap.resamples, bootstrap.seed)
        for items, cases in tested.items()
    }
    record = comparison_record(
        "summary",
        [_run(seeds, draws[seeds[0].items]) for seeds in runs.values()],
        baseline=baseline,
        headline=HEADLINE,
        compared=COMPARED,
        bootstrap=bootstrap,
    )
    if pools:
        record["pools"] = [
            _pool(name, {run: runs[run][0] for run in members}, folds, records_paths, bootstrap)
            for name, members in pools.items()
        ]
    write_record(output_path, record, schema)


def _scored_runs(
    metrics_paths: Sequence[Path | str],
    predictions_paths: Sequence[Path | str],
    details_paths: Sequence[Path | str],
    records_paths: Mapping[str, Path | str],
    folds: Mapping[str, int | None],
) -> dict[str, list[_Trained]]:
    """Run -> what each of its seeds came to; arguments as in `compare`."""
    runs: dict[str, list[_Trained]] = {}
    tested: dict[tuple[str, int | None], list[Case]] = {}
    for metrics_path, predictions, details in zip(
        metrics_paths, predictions_paths, details_paths, strict=True
    ):
        record = read_metrics(metrics_path)
        data, fold = items = record["data"]["name"], folds[record["run"]]
        if items not in tested:
            tested[items] = test_cases(records_paths[data], fold)
        cases = tested[items]
        answers = read_answers(predictions, details, cases)
        one = _Trained(record, items, cases, answers, all_scores(cases, answers))
        runs.setdefault(record["run"], []).append(one)
    return runs


def _run(seeds: Sequence[_Trained], resamples: Resamples) -> Run:
    """A run from what its models came to."""
    first = seeds[0]
    names = [name for name in first.scores if name in first.record["metrics"]]
    return Run(
        records=[one.record for one in seeds],
        items=first.items,
        trials={name: resamples.trials([one.scores[name] for one in seeds]) for name in names},
        bounds=dict.fromkeys(names, (0.0, 1.0)) | BOUNDS,
        # A model that is not trained has a random part only if its answers are sampled.
        seedless=first.record["method"] not in TRAINED_METHODS
        and not first.record["details"]["sampled"],
    )


def _pool(
    name: str,
    runs: Mapping[str, _Trained],
    folds: Mapping[str, int | None],
    records_paths: Mapping[str, Path | str],
    bootstrap: Bootstrap,
) -> dict[str, Any]:
    """Score the folds of a cross-validation together, next to baselines on the same cases.

    The baselines learn from the train split of each fold, as the runs do. Intervals are for
    new cases; the folds share most of their training cases, which no interval over cases covers.

    Raises:
        DataError: the folds do not cover each case once.
    """
    data, _ = next(iter(runs.values())).items
    tested = [case for one in runs.values() for case in one.cases]
    known = sorted(case.id for case in read_cases(records_paths[data]))
    if sorted(case.id for case in tested) != known:
        raise DataError(records_paths[data], None, f"the folds of {name} do not cover it once")
    groups = _groups(tested)
    scores = all_scores(tested, [answer for one in runs.values() for answer in one.answers])
    plain: dict[str, list[Answer]] = {method: [] for method in BASELINES}
    for run, one in runs.items():
        train = train_cases(records_paths[data], folds[run])
        for method in BASELINES:
            plain[method] += baseline_answers(method, one.cases, train)
    baselines = {method: all_scores(tested, answers) for method, answers in plain.items()}
    return {
        "name": name,
        "runs": list(runs),
        "data": data,
        "n": len(tested),
        "groups": len(set(groups)),
        "metrics": _metrics(scores, bootstrap),
        "baselines": {
            method: {
                "metrics": _metrics(others, bootstrap),
                "differences": differences(scores, others, groups, bootstrap),
            }
            for method, others in baselines.items()
        },
    }


def _metrics(scores: Mapping[str, Score], bootstrap: Bootstrap) -> dict[str, Any]:
    table = {}
    for name, score in scores.items():
        interval = interval_of(name, score, bootstrap)
        table[name] = {"value": interval.value, "ci": [interval.low, interval.high]}
    return table


def _groups(cases: Sequence[Case]) -> list[str]:
    return [case.group for case in cases]
