"""Runs that predict numbers, in the emotion section of the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from affectlab.emotion.evaluate import CROSS_VALIDATION
from affectlab.evaluation.regression import score_stems
from affectlab.evaluation.small_data import few_for_correlation
from affectlab.report.results import SeedResult, against_baseline, split_means
from affectlab.report.section import render, run_view
from affectlab.report.words import count, trivial, unseen

HERE = Path(__file__).parent
FIGURES = {
    "predicted_values": "Predictions against true values of the scored texts, a panel for each"
    " number. The dashed line is perfect prediction.",
    "training_curves": "Training curves: squared error of standardised numbers on train and"
    " validation, validation concordance, learning rate, over the optimiser's steps.",
}


def headline(runs: Mapping[str, Sequence[SeedResult]], comparison: Mapping[str, Any]) -> list[str]:
    """What was found, in plain sentences; the first is the main one.

    Args:
        runs: name -> what each seed left, of the runs that predict numbers.
        comparison: comparison.json of the same.
    """
    summaries = {run["run"]: run for run in comparison["runs"]}
    means = {name: split_means(seeds)["validation"]["ccc"] for name, seeds in runs.items()}
    # The best one is chosen by validation: choosing it by test would favour luck.
    best = max(means, key=means.__getitem__)
    run, first = summaries[best], runs[best][0].metrics
    rest = first["other_splits"].get("test_without_overlap")
    left_out = run["n"] - (rest["n"] if rest else 0)
    folded = run["split"] == CROSS_VALIDATION
    ccc, mae = run["metrics"]["ccc"], run["metrics"]["mae"]
    sentences = [
        f"{best}, the run with the highest validation concordance, predicts"
        f" {_listed(first['data']['numbers'])} of {run['n']:,} {unseen(left_out)}"
        f"{'' if folded else 'test '}texts with a concordance of {ccc['mean']:.3f}"
        f" ({100 * comparison['interval']['level']:g} % interval over {run['interval_covers']}"
        f" {ccc['ci'][0]:.3f} to {ccc['ci'][1]:.3f}; {count(len(run['seeds']), 'seed')}).",
        f"Its mean absolute error is {mae['mean']:.4g}. The strongest trivial baseline is"
        f" {trivial(mae['baseline']['name'])}, with an error of {mae['baseline']['value']:.4g}.",
    ]
    if folded:
        sentences.append("Each text was predicted by a model that was trained without its fold.")
    if few := few_for_correlation(run["n"], ccc["ci"], groups=run["groups"]):
        sentences.append(few)
    if pair := against_baseline(comparison).get(best):
        sentences.append(_difference(pair, comparison["baseline"]))
    return sentences


def html(
    runs: Mapping[str, Sequence[SeedResult]],
    comparison: Mapping[str, Any],
    audits: Mapping[str, Mapping[str, Any]],
) -> str:
    """The tables and figures of the runs that predict numbers.

    Args:
        runs: name -> what each seed left.
        comparison: comparison.json of the same.
        audits: name of a data set with numbers -> its audit.
    """
    pairs = against_baseline(comparison)
    views = [run_view(name, seeds, FIGURES) for name, seeds in runs.items()]
    for view in views:
        names = view["record"]["data"]["numbers"]
        view["stems"] = list(zip(names, score_stems(names), strict=True))
    return render(
        HERE / "report_numbers.html.j2",
        comparison=comparison,
        summaries=[{**run, "pair": pairs.get(run["run"])} for run in comparison["runs"]],
        runs=views,
        audits=audits,
    )


def _difference(pair: Mapping[str, Any], baseline: str) -> str:
    """The difference of concordances as a sentence."""
    entry = pair["differences"]["ccc"]
    start = f"Compared with {baseline} on the same items, its concordance differs by"
    if entry["ci"] is None:
        return f"{start} {entry['value']:+.3f}; there are too few groups for an interval."
    low, high = entry["ci"]
    clear = "clear" if entry["significant"] else "not clear"
    what = "recipes" if pair["compares"] == "recipes" else "trained models"
    return (
        f"{start} {entry['value']:+.3f} ({low:+.3f} to {high:+.3f}). The difference of these"
        f" {what} is {clear}."
    )


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
