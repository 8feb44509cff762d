"""The emotion experiment in the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from affectlab.config.entries import ReferenceResult
from affectlab.datasets.description import Target
from affectlab.emotion.audit import ALL
from affectlab.emotion.evaluate import target_name
from affectlab.emotion.report_parts import (
    PARTS,
    best_by_validation,
    headline,
    parts,
    trivial_for_texts,
)
from affectlab.emotion.settings import Block, selected_runs
from affectlab.evaluation.classification import CROSS_VALIDATION
from affectlab.evaluation.outside_words import known_items, outside_sentences, unknown_training
from affectlab.evaluation.records import read_comparison
from affectlab.evaluation.small_data import small_sample
from affectlab.files.io import read_json
from affectlab.report.data_notes import data_notes
from affectlab.report.display import number
from affectlab.report.errors import errors_part, rival, stored_predictions, texts_of
from affectlab.report.other_data import other_data_part, tested_audits
from affectlab.report.published import PublishedNumber, our_scores, published_numbers
from affectlab.report.results import (
    NOT_OURS,
    SeedResult,
    against_baseline,
    below_baseline,
    is_elsewhere,
    read_runs,
    results_rows,
    split_means,
    trained_here,
    trained_on_scored,
    training_items,
)
from affectlab.report.section import (
    Section,
    exports_view,
    joined,
    main_figures,
    render_parts,
    run_view,
    show_once,
)
from affectlab.report.subgroups import subgroup_tables
from affectlab.report.words import count, difference, interval, relation, unseen

HERE = Path(__file__).parent
FIGURES = {
    "confusion_matrix": "Each cell has the number of texts, and their share of the true class.",
    "reliability": "Reliability diagram of the scored texts: accuracy against stated confidence,"
    " before and after temperature scaling, with the number of items in each bin below.",
    "training_curves": "Training curves: loss on train and validation, validation scores, learning"
    " rate, over the optimiser's steps.",
}
MAIN_FIGURE_OF: Mapping[Target, str] = {
    "numbers": "predicted_values",
    "classes": "precision_recall",
}
MAIN_FIGURES = {name: FIGURES[name] for name in ("confusion_matrix", "reliability")} | {
    name: PARTS[target].figures[name] for target, name in MAIN_FIGURE_OF.items()
}
"""Of these a run has one or two, by its target."""


def section(
    folder: Path,
    block: Block,
    published: Sequence[ReferenceResult],
    sample_data: Sequence[str],
) -> Section:
    """Build the section of the report; see `affectlab.report.section.SectionBuilder`."""
    experiment = _read(folder, block)
    classes = _part(experiment, "class")
    elsewhere = tested_audits(folder, block.runs, experiment.runs)
    notes = data_notes(elsewhere | experiment.audits, sample_data)
    runs = [run_view(name, seeds, FIGURES) for name, seeds in classes.runs.items()]
    best, seen = _best_run(experiment), trained_on_scored(experiment.runs)
    known = published_numbers(
        "emotion",
        published,
        our_scores(experiment.comparison, experiment.runs),
        best=best,
        seen=seen,
        notes=notes,
    )
    main = main_figures(experiment.runs[best][0], MAIN_FIGURES)
    show_once(runs, main)
    sentences, pages = [], []
    if classes.runs:
        sentences += _headline(classes, known)
        pages.append(_parts(classes, runs))
        pages.append(_errors(folder, classes, sample_data))
    for target, part in PARTS.items():
        own = _part(experiment, target)
        if own.runs:
            sentences += headline(part, own.runs, own.comparison, own.audits)
            pages.append(parts(part, own.runs, own.comparison, own.audits, main))
    tested = other_data_part("emotion", folder, block.runs, experiment.runs, notes)
    tables = subgroup_tables("emotion", experiment.runs)
    pages.append({"other_data": tested.html, "subgroups": tables})
    return Section(
        best=best,
        figures=main,
        seen=seen,
        runs=experiment.runs,
        sentences=[*sentences, *tested.sentences],
        notes=list(notes.values()),
        warnings=below_baseline(experiment.comparison),
        rows=[*results_rows(experiment.comparison, notes), *tested.rows],
        published=known,
        parts=joined(*pages),
    )


def _parts(results: _Results, runs: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """The tables and figures of the runs that predict classes."""
    return render_parts(
        HERE / "report.html.j2",
        experiment=results,
        scored=_scored(results.comparison),
        runs=runs,
        summaries=_with_difference(results.comparison),
        exports=exports_view(results.runs),
    )


def _errors(folder: Path, results: _Results, sample_data: Sequence[str]) -> dict[str, str]:
    """The surest errors of the best run that predicts classes."""
    best, _ = _best(results)
    other = rival(best, results.runs, "accuracy")
    data = results.runs[best][0].metrics["data"]["name"]
    return errors_part(
        "emotion",
        stored_predictions(results.runs[best]),
        None if other is None else stored_predictions(results.runs[other]),
        texts_of(folder / "data" / data / "records.jsonl") if data in sample_data else None,
    )


@dataclass(frozen=True, slots=True)
class _Results:
    """Everything that the runs left, runs and seeds in the order of the configuration."""

    runs: dict[str, list[SeedResult]]
    comparison: dict[str, Any]
    audits: dict[str, dict[str, Any]]
    label_noise: dict[str, dict[str, Any]]


def _part(results: _Results, target: Target) -> _Results:
    """What the runs of one target left."""
    runs = {
        name: seeds
        for name, seeds in results.runs.items()
        if target_name(seeds[0].metrics) == target
    }
    data = {seeds[0].metrics["data"]["name"] for seeds in runs.values()}
    comparison = {
        **results.comparison,
        "runs": [run for run in results.comparison["runs"] if run["run"] in runs],
        "pairs": [pair for pair in results.comparison["pairs"] if pair["first"]["run"] in runs],
    }
    return _Results(
        runs=runs,
        comparison=comparison,
        audits={name: one for name, one in results.audits.items() if name in data},
        label_noise={name: one for name, one in results.label_noise.items() if name in data},
    )


def _scored(comparison: Mapping[str, Any]) -> str:
    """Which texts the scores are on, for a heading."""
    splits = {run["split"] for run in comparison["runs"]}
    if splits == {CROSS_VALIDATION}:
        return "all texts, cross-validated"
    return "held-out texts" if CROSS_VALIDATION in splits else "the test split"


def _read(folder: Path, block: Block) -> _Results:
    # The baseline is carried out and compared even where it is not selected.
    names = selected_runs(block.model_dump())
    runs = read_runs(folder, block.runs, names, block.export)
    data = sorted({block.runs[name].data for name in names})
    return _Results(
        runs=runs,
        comparison=read_comparison(folder / "comparison.json"),
        audits={name: read_json(folder / "data" / name / "audit.json") for name in data},
        label_noise={name: read_json(folder / "data" / name / "label_noise.json") for name in data},
    )


def _headline(results: _Results, published: Sequence[PublishedNumber]) -> list[str]:
    """What was found, in plain sentences; the first is the main one."""
    summaries = {run["run"]: run for run in results.comparison["runs"]}
    best, kind = _best(results)
    elsewhere = is_elsewhere(results.runs[best])
    left_out = known_items(results.runs[best][0].metrics) or 0
    run = summaries[best]
    score = run["metrics"]["accuracy"]
    trivial = score["baseline"]
    folded = run["split"] == CROSS_VALIDATION
    texts = "texts" if folded else "test texts"
    where = training_items(results.runs[best])
    new = "" if elsewhere else unseen(left_out, results.audits[run["data"]])
    how = ", each text by a model that was trained without its fold"
    level = results.comparison["interval"]["level"]
    sentences = [
        f"{best}{kind} has an accuracy of {number(score['mean'])} on {run['n']:,} {new}{texts}"
        f"{how if folded and not elsewhere else ''}"
        f" ({interval(score['ci'], level, run['interval_covers'])};"
        f" {count(len(run['seeds']), 'seed')}), {relation(score['ci'], trivial['value'])} the"
        f" {number(trivial['value'])} of {trivial_for_texts(trivial['name'])}, the strongest"
        " trivial baseline."
    ]
    if elsewhere:
        sentences += unknown_training(results.runs[best][0].metrics, texts)
    if small := small_sample(run["n"], score["ci"], groups=run["groups"]):
        sentences.append(small)
    if agreed := results.audits[run["data"]].get("agreement"):
        sentences.append(agreed["sentence"])
    baseline = results.comparison["baseline"]
    if pair := against_baseline(results.comparison).get(best):
        sentences.append(f"Against {baseline} on the same items: {difference(pair, 'accuracy')}.")
    verified = [
        one.entry
        for one in published
        for ours in one.both
        if one.entry.verified and one.entry.metric == "accuracy"
        if ours.difference is not None and ours.score is not None and ours.score.run == best
    ]
    if verified:
        figure = max(verified, key=lambda entry: entry.value)
        inside = score["ci"][0] <= figure.value <= score["ci"][1]
        sentences.append(
            f"The highest accuracy on this split in our registry that others verified is that of"
            f" {figure.name}, {number(figure.value)}; it lies"
            f" {'inside' if inside else 'outside'} the interval of {best}."
        )
        if figure.n not in (None, run["n"]):
            sentences.append(
                f"That figure is of {figure.n:,} items and ours of {run['n']:,}: they are not"
                " the same items, so the two compare only roughly."
            )
    if left_out == run["n"]:
        sentences.append(
            f"Every scored text is in {where} as well, or nearly the same: the scores say nothing"
            " about new texts."
        )
    if "ece_calibrated" in run["metrics"]:
        before, after = (run["metrics"][name]["mean"] for name in ("ece", "ece_calibrated"))
        sentences.append(
            f"Its stated confidence is off by {number(before)} on average as trained, and by"
            f" {number(after)} after temperature scaling."
        )
    for name, seeds in results.runs.items():
        if told := outside_sentences(seeds[0].metrics, texts):
            sentences.append(f"{name}: {' '.join(told)}")
    for name, noise in results.label_noise.items():
        if "skipped" in noise:
            continue
        which = "labels" if ALL in results.audits[name]["counts"] else "training labels"
        sentences.append(
            f"A share of about {number(noise['noise_rate'])} of the {which} of {name} looks"
            " doubtful (confident learning; an estimate, not a count of errors)."
        )
    return sentences


def _best_run(results: _Results) -> str:
    """The run that the card is about: of the first target that there are runs of."""
    classes = _part(results, "class")
    if classes.runs:
        return _best(classes)[0]
    parts = ((part, _part(results, target).runs) for target, part in PARTS.items())
    return next(best_by_validation(part, runs) for part, runs in parts if runs)


def _best(results: _Results) -> tuple[str, str]:
    """The run that the first sentence is about, and why it is this one.

    Validation decides which one is best: choosing it by test would favour luck. It is one that we
    trained, see `trained_here`.
    """
    means = {name: split_means(seeds) for name, seeds in results.runs.items()}
    own = trained_here(results.runs)
    protocols = {run["run"]: run["protocol"] for run in results.comparison["runs"]}
    corrected = [name for name in protocols if protocols[name] == "corrected" and name in own]
    if is_elsewhere(results.runs[own[0]]):
        return (corrected or own)[0], NOT_OURS
    chosen = {
        name: value["validation"]["accuracy"]
        for name, value in means.items()
        if "validation" in value and name in own
    }
    if not chosen:
        return (corrected or own)[0], ""
    best = max((name for name in corrected if name in chosen), default=None, key=chosen.__getitem__)
    best = max(chosen, key=chosen.__getitem__) if best is None else best
    kind = "run" if chosen[best] == max(chosen.values()) else "run of the corrected protocol"
    return best, f", the {kind} with the highest validation accuracy,"


def _with_difference(comparison: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The runs' summaries, each with its paired difference from the baseline run."""
    pairs = against_baseline(comparison)
    return [{**run, "pair": pairs.get(run["run"])} for run in comparison["runs"]]
