"""Cross-validation: every case scored once, by the run that has not seen it, in one estimate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from affectlab.errors import DataError
from affectlab.evaluation.records import SINGLE_RUN_INTERVALS
from affectlab.files.io import write_json
from affectlab.summary.answers import read_answers
from affectlab.summary.baselines import BASELINES
from affectlab.summary.cases import Case, read_cases, with_fold
from affectlab.summary.evaluate import differences, interval_of
from affectlab.summary.scores import Answer, all_scores


def pool(
    *,
    pools: Mapping[str, Sequence[str]],
    data: Mapping[str, str],
    folds: Mapping[str, int],
    records_paths: Mapping[str, Path | str],
    predictions_paths: Mapping[str, Path | str],
    details_paths: Mapping[str, Path | str],
    bootstrap: Mapping[str, Any],
    output_path: Path | str,
) -> None:
    """Score the answers of a run's folds together, beside baselines on the same cases.

    The baselines learn from the train split of each fold, as the runs do. Intervals are for
    new cases; the folds share most of their training cases, which no interval over cases covers.

    Args:
        pools: name -> runs, one for each fold.
        data: name of each run's data set.
        folds: fold of each run.
        records_paths: records.jsonl by name of the data set.
        predictions_paths: predictions.jsonl of each run.
        details_paths: details.jsonl of each run.
        bootstrap: ``resamples``, ``level`` and ``seed``.
        output_path: gets one object a pool: runs, data, n, metrics, and for each baseline its
            metrics and the paired differences (run minus baseline).

    Raises:
        DataError: the folds do not cover each case once.
    """
    found = []
    for name, runs in pools.items():
        name_of_data = data[runs[0]]
        cases = read_cases(records_paths[name_of_data])
        tested: list[Case] = []
        answers: list[Answer] = []
        plain: dict[str, list[Answer]] = {method: [] for method in BASELINES}
        for run in runs:
            split = with_fold(cases, folds[run])
            test = [case for case in split if case.split == "test"]
            train = [case for case in split if case.split == "train"]
            tested += test
            answers += read_answers(predictions_paths[run], details_paths[run], test)
            for method, summarise in BASELINES.items():
                plain[method] += [
                    Answer(fields, all(fields.values()), False, False)
                    for fields in summarise(test, train)
                ]
        if sorted(case.id for case in tested) != sorted(case.id for case in cases):
            raise DataError(
                records_paths[name_of_data], None, f"the folds of {name} do not cover it once"
            )
        groups = [case.group for case in tested]
        scores = all_scores(tested, answers)
        baselines = {method: all_scores(tested, said) for method, said in plain.items()}
        found.append(
            {
                "name": name,
                "runs": list(runs),
                "data": name_of_data,
                "n": len(tested),
                "groups": len(set(groups)),
                "metrics": _metrics(scores, groups, bootstrap),
                "baselines": {
                    method: {
                        "metrics": _metrics(others, groups, bootstrap),
                        "differences": differences(scores, others, groups, bootstrap),
                    }
                    for method, others in baselines.items()
                },
            }
        )
    interval = {"method": SINGLE_RUN_INTERVALS, **bootstrap}
    write_json(output_path, {"interval": interval, "pools": found}, sealed=True)


def _metrics(
    scores: Mapping[str, Any], groups: Sequence[str], bootstrap: Mapping[str, Any]
) -> dict[str, Any]:
    table = {}
    for name, score in scores.items():
        interval = interval_of(name, score, groups, bootstrap)
        table[name] = {"value": interval.value, "ci": [interval.low, interval.high]}
    return table
