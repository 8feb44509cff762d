"""Score stored summaries: one run by itself, and all runs against each other.

Everything is computed from the stored predictions, so a score can be recomputed, or a new one
added, without training again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from affectlab.errors import DataError
from affectlab.evaluation import intervals, stats
from affectlab.evaluation.comparison import Resamples, Run, Trials, comparison_record, difference
from affectlab.evaluation.records import (
    ScoredRun,
    difference_line,
    metric,
    read_metrics,
    strongest,
    write_record,
)
from affectlab.files.io import (
    read_jsonl,
    write_text,
)
from affectlab.summary.answers import read_answers
from affectlab.summary.baselines import BASELINES
from affectlab.summary.cases import Case, read_cases, with_fold
from affectlab.summary.methods import UNTRAINED
from affectlab.summary.scores import Answer, Score, all_scores, description, field_scores

TASK_VERSION = 4
"""Rises when references or scoring change, so that only comparable numbers are compared."""

COMPARED = ("rouge1", "rouge2", "rouge_l", "bleu", "chrf")
"""Scores whose paired differences between runs are reported, and that `TRIVIAL` have too."""

TRIVIAL = ("lead", "tail", "textrank", "template")
"""Summaries that every score is compared with; the last one learns from training cases."""

SUPPORT = ("unsupported_numbers", "unsupported_names")

COUNTED = (
    "valid_output",
    "failed",
    "repetition",
    "unsupported_numbers",
    "unsupported_names",
)
"""Scores that are ratios of counts."""

MEANS = ("rouge1", "rouge2", "rouge_l", "chrf")
"""Scores that are means of one value for each case."""

HEADLINE = ("valid_output", "rouge1", "rouge2", "rouge_l")


def evaluate(
    run: ScoredRun,
    *,
    records_path: Path | str,
    predictions_path: Path | str,
    details_path: Path | str,
    baseline: tuple[str, int, Path | str, Path | str] | None,
    text_path: Path | str,
    figures: Path | str,
) -> None:
    """Score one run: metrics.json, run.json, evaluation_results.txt and the figures.

    Args:
        run: what is scored, and where its records go.
        records_path: records.jsonl of its data.
        predictions_path: predictions.jsonl of the run.
        details_path: details.jsonl of the run.
        baseline: run name, seed, predictions and details to compare with; None for the baseline
            itself and for runs on other data.
        text_path: where evaluation_results.txt goes.
        figures: folder of the figures.

    Raises:
        DataError: an input does not hold what it should.
    """
    from affectlab.evaluation import plots

    cases = test_cases(records_path, run.recipe["fold"])
    answers = read_answers(predictions_path, details_path, cases)
    groups = [case.group for case in cases]
    found = all_scores(cases, answers)
    plain = trivial_scores(cases, train_cases(records_path, run.recipe["fold"]))
    record = {
        **run.header(
            "summary",
            TASK_VERSION,
            method=run.recipe["method"],
            model=run.recipe.get("model", run.recipe["method"]),
            data={"split": "test", "n": len(cases), "groups": len(set(groups))},
            data_paths=(records_path,),
        ),
        "metrics": {
            name: metric(
                interval.value, score.direction, (interval.low, interval.high), plain.get(name)
            )
            for name, score in found.items()
            for interval in [interval_of(name, score, groups, run.bootstrap)]
        },
        "comparisons": []
        if baseline is None
        else [
            {
                "with": baseline[0],
                "seed": baseline[1],
                "differences": differences(
                    found,
                    all_scores(cases, read_answers(baseline[2], baseline[3], cases)),
                    groups,
                    run.bootstrap,
                ),
            }
        ],
        "details": {
            "fields": field_scores(cases, answers),
            "description": description(cases, answers),
            "references": support_of_references(cases),
            "references_from_template": any(case.template for case in cases),
            "languages": sorted({case.language for case in cases}),
            "tokens": _token_counts(details_path),
            "decoding": run.recipe.get("generation", {}).get("decoding"),
            "sampled": run.recipe.get("generation", {}).get("sample", False),
        },
    }
    plots.grouped_bars(
        Path(figures) / "fields",
        {
            name: {score: row[score] for score in ("rouge1", "rouge2", "rouge_l")}
            for name, row in record["details"]["fields"].items()
        },
        ylabel="F1",
    )
    write_text(text_path, results_text(record))
    run.write(record)


def test_cases(records_path: Path | str, fold: int | None) -> list[Case]:
    """The cases of the test split, by id.

    Raises:
        DataError: there is none.
    """
    found = [case for case in with_fold(read_cases(records_path), fold) if case.split == "test"]
    if not found:
        raise DataError(records_path, None, "no cases in the test split")
    return sorted(found, key=lambda case: case.id)


def train_cases(records_path: Path | str, fold: int | None) -> list[Case]:
    """The cases of the training split, by id; there may be none."""
    found = [case for case in with_fold(read_cases(records_path), fold) if case.split == "train"]
    return sorted(found, key=lambda case: case.id)


def trivial_scores(cases: Sequence[Case], train: Sequence[Case]) -> dict[str, tuple[str, float]]:
    """The strongest summary without a model for each score: baseline name and value.

    Args:
        cases: that are scored.
        train: cases that `template` learns from; without any it is left out.
    """
    groups = [case.group for case in cases]
    reached: dict[str, list[tuple[str, float]]] = {name: [] for name in COMPARED}
    for method in TRIVIAL if train else TRIVIAL[:-1]:
        answers = [Answer(fields, True, False, False) for fields in BASELINES[method](cases, train)]
        found = all_scores(cases, answers)
        for name in COMPARED:
            reached[name].append((method, value_of(found[name], groups)))
    best = {name: strongest("higher", values) for name, values in reached.items()}
    return {name: one for name, one in best.items() if one is not None}


def support_of_references(cases: Sequence[Case]) -> dict[str, float]:
    """`SUPPORT` of the references: how much of it good answers have, and the count takes amiss."""
    answers = [Answer(case.references, True, False, False) for case in cases]
    found = all_scores(cases, answers)
    groups = [case.group for case in cases]
    return {name: value_of(found[name], groups) for name in SUPPORT}


def value_of(score: Score, groups: Sequence[str]) -> float:
    """The score of all cases together; summed as its interval is, to the last bit."""
    return float(score.statistic(stats.group_sums(score.columns, groups).sum(axis=0)))


def differences(
    ours: Mapping[str, Score],
    theirs: Mapping[str, Score],
    groups: Sequence[str],
    bootstrap: Mapping[str, Any],
) -> dict[str, Any]:
    """Return paired differences (ours minus theirs) of `COMPARED`, with intervals over cases.

    They are of the two models that wrote these answers, and say nothing of other seeds.
    """
    resamples = Resamples(groups, bootstrap["resamples"], bootstrap["seed"])
    found = {}
    for name in COMPARED:
        first, second = (_trials([scores[name]], groups, resamples) for scores in (ours, theirs))
        one = difference(
            first,
            second,
            groups=len(set(groups)),
            level=bootstrap["level"],
            over_seeds=False,
        )
        found[name] = {
            "value": one.value,
            "ci": None if one.limits is None else list(one.limits),
        }
    return found


def results_text(record: Mapping[str, Any]) -> str:
    """The text of evaluation_results.txt."""
    data = record["data"]
    lines = [
        f"{record['run']}, seed {record['seed']} ({record['protocol']} protocol)",
        f"model: {record['model']['name']}; data: {data['name']}, split {data['split']},"
        f" n = {data['n']}",
        f"decoding: {record['details']['decoding'] or 'none'}; valid_output: before any repair",
        "",
        f"{'metric':<20}{'value':>8}  {record['interval']['level']:.0%} interval"
        "      strongest trivial baseline",
    ]
    for name, entry in record["metrics"].items():
        low, high = entry["ci"]
        line = f"{name:<20}{entry['value']:>8.4f}  [{low:.4f}, {high:.4f}]  "
        if entry["baseline"]:
            line += f"{entry['baseline']['value']:.4f} ({entry['baseline']['name']})"
        if entry["below_baseline"]:
            line += "  BELOW THE TRIVIAL BASELINE"
        lines.append(line.rstrip())
    for other in record["comparisons"]:
        lines += [
            "",
            f"minus {other['with']}, seed {other['seed']}, on the same cases: these two models, not"
            " their recipes",
            *(difference_line(name, entry) for name, entry in other["differences"].items()),
        ]
    lines += ["", f"{'field':<28}{'rouge1':>8}{'rouge2':>8}{'rouge_l':>8}{'chrf':>8}"]
    lines += [
        f"{name:<28}"
        + "".join(f"{row[score]:>8.4f}" for score in ("rouge1", "rouge2", "rouge_l", "chrf"))
        for name, row in record["details"]["fields"].items()
    ]
    lines += [""] + [
        f"{name:<20}{value:>8.4f}" for name, value in record["details"]["description"].items()
    ]
    if record["details"]["references_from_template"]:
        lines += ["", "The references were made from a template: these scores are template recall."]
    return "\n".join(lines) + "\n"


def compare(
    *,
    metrics_paths: Sequence[Path | str],
    predictions_paths: Sequence[Path | str],
    details_paths: Sequence[Path | str],
    records_paths: Mapping[str, Path | str],
    folds: Mapping[str, int | None],
    baseline: str,
    bootstrap: Mapping[str, Any],
    schema: Path | str,
    output_path: Path | str,
) -> None:
    """Hold all runs against each other: comparison.json.

    Every run is summarised over its seeds; every pair of runs on the same cases is compared with
    all seeds of both.

    Args:
        metrics_paths: metrics.json of every run and seed, in the order wanted.
        predictions_paths: predictions.jsonl of the same, in the same order.
        details_paths: details.jsonl of the same, in the same order.
        records_paths: records.jsonl by name of the data set.
        folds: fold of each run, by name.
        baseline: name of the run that the others are held against.
        bootstrap: ``resamples``, ``level`` and ``seed``.
        schema: schema of comparison.json.
        output_path: where comparison.json goes.
    """
    runs: dict[str, list[tuple[dict[str, Any], dict[str, Score]]]] = {}
    cases: dict[tuple[str, int | None], list[Case]] = {}
    for metrics_path, predictions, details in zip(
        metrics_paths, predictions_paths, details_paths, strict=True
    ):
        record = read_metrics(metrics_path)
        key = record["data"]["name"], folds[record["run"]]
        if key not in cases:
            cases[key] = test_cases(records_paths[key[0]], key[1])
        scores = all_scores(cases[key], read_answers(predictions, details, cases[key]))
        runs.setdefault(record["run"], []).append((record, scores))
    groups = {key: [case.group for case in found] for key, found in cases.items()}
    draws = {
        key: Resamples(found, bootstrap["resamples"], bootstrap["seed"])
        for key, found in groups.items()
    }
    compared = []
    for name, seeds in runs.items():
        key = seeds[0][0]["data"]["name"], folds[name]
        compared.append(_run(seeds, key, groups[key], draws[key]))
    record = comparison_record(
        "summary",
        compared,
        baseline=baseline,
        headline=HEADLINE,
        compared=COMPARED,
        bootstrap=bootstrap,
    )
    write_record(output_path, record, schema)


def _run(
    seeds: Sequence[tuple[Mapping[str, Any], Mapping[str, Score]]],
    items: tuple[str, int | None],
    groups: Sequence[str],
    resamples: Resamples,
) -> Run:
    """A run from the record and the scores of each seed."""
    record = seeds[0][0]
    names = list(record["metrics"])
    return Run(
        records=[record for record, _ in seeds],
        items=items,
        trials={
            name: _trials([scores[name] for _, scores in seeds], groups, resamples)
            for name in names
        },
        bounds=dict.fromkeys(names, (0.0, 1.0)),
        seedless=record["method"] in UNTRAINED and not record["details"]["sampled"],
    )


def _trials(scores: Sequence[Score], groups: Sequence[str], resamples: Resamples) -> Trials:
    """One score of several models, with its replicates."""
    tables = [stats.group_sums(score.columns, groups) for score in scores]
    statistic = scores[0].statistic
    return Trials(
        np.array([value_of(score, groups) for score in scores]),
        np.array([resamples.of_sums(statistic, table) for table in tables]),
    )


def interval_of(
    name: str, score: Score, groups: Sequence[str], bootstrap: Mapping[str, Any]
) -> stats.Interval:
    """The score *name* of all cases together, with its interval."""
    table = stats.group_sums(score.columns, groups)
    if name in COUNTED:
        return intervals.share_interval(table, bootstrap["level"])
    if name in MEANS:
        return intervals.mean_interval(table, bootstrap["level"])
    replicates = intervals.replicates_of(
        score.statistic, table, bootstrap["resamples"], bootstrap["seed"]
    )
    return intervals.resampled_interval(
        value_of(score, groups), replicates, len(table), bootstrap["level"]
    )


def _token_counts(details_path: Path | str) -> dict[str, Any] | None:
    """How long the cases were for the model, and how much of them it lost; None without one."""
    rows = [row for row in read_jsonl(details_path) if row["case_tokens"] is not None]
    if not rows:
        return None
    lengths = sorted(row["case_tokens"] for row in rows)
    return {
        "median": lengths[len(lengths) // 2],
        "longest": lengths[-1],
        "share_cut": sum(row["cut_tokens"] for row in rows) / sum(lengths),
        "cases_cut": sum(row["cut_tokens"] > 0 for row in rows),
        "median_answer": sorted(row["answer_tokens"] for row in rows)[len(rows) // 2],
    }
