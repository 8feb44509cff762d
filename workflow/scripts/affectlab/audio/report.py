"""The audio experiment in the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from affectlab.audio.scores import few_items, headline_of
from affectlab.audio.settings import Block
from affectlab.audio.tasks import speakers_known
from affectlab.config.entries import ReferenceResult
from affectlab.evaluation.outside_words import outside_sentences
from affectlab.evaluation.predictions import prediction_lines
from affectlab.evaluation.records import read_comparison
from affectlab.evaluation.regression import score_stems
from affectlab.files.io import read_json
from affectlab.report.data_notes import data_notes
from affectlab.report.display import number, signed
from affectlab.report.errors import Prediction, RunPredictions, errors_part, rival
from affectlab.report.other_data import other_data_part, tested_audits
from affectlab.report.published import our_scores, published_numbers
from affectlab.report.results import (
    SeedResult,
    below_baseline,
    read_runs,
    results_rows,
    split_means,
    trained_here,
    trained_on_scored,
)
from affectlab.report.section import Section, figure, joined, render_parts, run_view, show_once
from affectlab.report.subgroups import subgroup_tables
from affectlab.report.words import count, interval, relation, trivial

HERE = Path(__file__).parent
FIGURES = {
    "schemes": "Effect of a leak: the same probe with speakers kept apart and with clips split at"
    " random, compared with duration, loudness and recording conditions alone.",
    "layers": "Each layer by itself and all together; C chosen in nested folds.",
    "predicted_values": "Predictions, the mean over all repeats, against true values, a panel for"
    " each number. The dashed line is perfect prediction.",
    "precision_recall": "Precision against recall of each class over all repeats. The point is at"
    " the chosen thresholds, the dashed line at the share of items with the class.",
    "confusion_matrix": "Each cell has the number of predictions over all repeats, and their share"
    " of the true class.",
}

FOREST = (
    "Every encoder, task and protocol with its interval: unweighted average recall of classes,"
    " concordance of numbers, macro-F1 of several classes; the bar across is the strongest trivial"
    " baseline."
)

# Where clips are pooled, or nobody knows who speaks, the figure has no clips split at random.
POOLED_FIGURES = FIGURES | {"schemes": "Score of the probe beside duration and loudness alone."}


def section(
    folder: Path,
    block: Block,
    published: Sequence[ReferenceResult],
    sample_data: Sequence[str],
) -> Section:
    """Build the section of the report; see `affectlab.report.section.SectionBuilder`."""
    runs = read_runs(folder, block.runs, block.selected)
    comparison = read_comparison(folder / "comparison.json")
    views = [
        run_view(name, seeds, FIGURES if _shows_leak(seeds) else POOLED_FIGURES)
        for name, seeds in runs.items()
    ]
    for view in views:
        names = view["record"]["data"].get("numbers", ())
        view["stems"] = list(zip(names, score_stems(names), strict=True))
    data = sorted({block.runs[name].data for name in block.selected})
    audits = {name: read_json(folder / "data" / name / "audit.json") for name in data}
    notes = data_notes(tested_audits(folder, block.runs, runs) | audits, sample_data)
    first = [run for run in comparison["runs"] if run["run"] in trained_here(runs)]
    corrected = [run for run in first if run["protocol"] == "corrected"]
    # Probes of several tasks: no score chooses among them.
    best, seen = (corrected or first)[0]["run"], trained_on_scored(runs)
    of_best = next(view["figures"] for view in views if view["run"] == best)
    main = [figure(folder / "figures" / "forest.svg", "audio-figure-forest", FOREST), *of_best[:1]]
    show_once(views, main)
    elsewhere = other_data_part("audio", folder, block.runs, runs, notes)
    return Section(
        best=best,
        figures=main,
        seen=seen,
        runs=runs,
        sentences=[*_headline(comparison, runs), *elsewhere.sentences],
        notes=list(notes.values()),
        warnings=below_baseline(comparison),
        rows=[*results_rows(comparison, notes), *elsewhere.rows],
        published=published_numbers(
            "audio", published, our_scores(comparison, runs), best=best, seen=seen, notes=notes
        ),
        parts=joined(
            render_parts(
                HERE / "report.html.j2",
                comparison=comparison,
                classed=[run for run in comparison["runs"] if "uar" in run["metrics"]],
                rated=[run for run in comparison["runs"] if "ccc" in run["metrics"]],
                several=[run for run in comparison["runs"] if "exact_match" in run["metrics"]],
                runs=views,
                audits=audits,
                unknown=[
                    name
                    for name, seeds in runs.items()
                    if not speakers_known(seeds[0].metrics["details"])
                ],
            ),
            _errors(runs, best),
            {"other_data": elsewhere.html, "subgroups": subgroup_tables("audio", runs)},
        ),
    )


def _errors(runs: Mapping[str, Sequence[SeedResult]], best: str) -> dict[str, str]:
    """The surest errors of the run that is shown; none if it does not predict one class."""
    if "uar" not in runs[best][0].metrics["metrics"]:
        return {}
    other = rival(best, runs, "uar")
    rest = None if other is None else _predictions(runs[other])
    return errors_part("audio", _predictions(runs[best]), rest, None)


def _predictions(seeds: Sequence[SeedResult]) -> RunPredictions:
    """What the first seed predicts of the scored items: the mean over the repeats."""
    record = seeds[0].metrics
    data, classes = record["data"], record["data"]["classes"]
    true: dict[str, str] = {}
    answers: dict[str, list[list[float]]] = {}
    stated = True
    for line in prediction_lines(seeds[0].folder / "predictions.jsonl"):
        if line.text("scheme") != data["split"]:
            continue
        name = line.text("id")
        true[name] = line.text("label")
        if "probabilities" in line.values:
            answer = line.distribution("probabilities", classes)
        else:
            stated, chosen = False, line.one_of("prediction", classes)
            answer = [float(one == chosen) for one in classes]
        answers.setdefault(name, []).append(answer)
    predictions = []
    for name, repeats in answers.items():
        means = [fmean(column) for column in zip(*repeats, strict=True)]
        sure = max(means)
        predicted = classes[means.index(sure)]
        predictions.append(Prediction(name, true[name], predicted, sure if stated else None))
    return RunPredictions(record["run"], record["seed"], data["name"], predictions)


def _shows_leak(seeds: Sequence[SeedResult]) -> bool:
    """Whether clips split at random show the effect of a leak: known subjects, not pooled."""
    details = seeds[0].metrics["details"]
    return bool(details["unit"] == "clip") and speakers_known(details)


def _headline(
    comparison: Mapping[str, Any],
    runs: Mapping[str, Sequence[SeedResult]],
) -> list[str]:
    """What was found, in plain sentences; the first is the main one."""
    level = comparison["interval"]["level"]
    summaries = comparison["runs"]
    corrected = [run for run in summaries if run["protocol"] == "corrected"]
    sentences = []
    for run in corrected or summaries:
        seeds = runs[run["run"]]
        headline = headline_of(seeds[0].metrics["data"])[0]
        score = run["metrics"][headline]
        item = "subject" if speakers_known(seeds[0].metrics["details"]) else "clip"
        strongest = score["baseline"]
        sentences.append(
            f"{run['run']} ({run['model']}) {SHOWN[headline](run, seeds[0].metrics['data'])} of"
            f" {number(score['mean'])} ({interval(score['ci'], level, run['interval_covers'])};"
            f" {count(run['groups'], item)}), {relation(score['ci'], strongest['value'])} the"
            f" {number(strongest['value'])} of {trivial(strongest['name'])},"
            " the strongest trivial baseline."
        )
        small = few_items(run["n"], run["groups"], score["ci"], headline)
        if told := outside_sentences(seeds[0].metrics, "recordings"):
            sentences.append(f"{run['run']}: {' '.join(told)}")
        if small is not None and small not in sentences:
            sentences.append(small)
        means = split_means(seeds)
        # Of pooled subjects, the difference to clips would be that of pooling, too.
        if "clip_random" in means and run["n"] > run["groups"] and _shows_leak(seeds):
            split = means["clip_random"][headline]
            sentences.append(
                "With its clips split at random, so that voices are on both sides, the same score"
                f" is {number(split)} ({signed(split - score['mean'])}, without an interval)."
            )
    sentences.append("None of this is a diagnostic instrument.")
    return sentences


def _show_class(run: Mapping[str, Any], data: Mapping[str, Any]) -> str:
    """What a run that predicts one class does, before its unweighted average recall."""
    return f"tells the classes of task {run['method']} with an unweighted average recall"


def _show_number(run: Mapping[str, Any], data: Mapping[str, Any]) -> str:
    """What a run that predicts numbers does, before its concordance."""
    return f"predicts {' and '.join(data['numbers'])} with a concordance"


def _show_label_sets(run: Mapping[str, Any], data: Mapping[str, Any]) -> str:
    """What a run that predicts several classes does, before its macro-F1."""
    return f"predicts any of {len(data['classes'])} classes with a macro-F1"


SHOWN = {"uar": _show_class, "ccc": _show_number, "macro_f1": _show_label_sets}
"""Headline score -> how its sentence begins, after the name of the run."""
