"""The audio experiment in the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from affectlab.audio.scores import few_items
from affectlab.audio.settings import Block
from affectlab.audio.tasks import speakers_known
from affectlab.evaluation.records import read_comparison
from affectlab.files.io import read_json
from affectlab.report.data_notes import data_notes
from affectlab.report.results import (
    SeedResult,
    below_baseline,
    published_for,
    read_runs,
    results_rows,
    split_means,
)
from affectlab.report.section import Section, figure, provenance, render, run_view
from affectlab.report.words import count, interval, percent, points, relation, trivial

HERE = Path(__file__).parent
FIGURES = {
    "schemes": "What a leak is worth: unweighted average recall of the same probe with speakers"
    " kept apart and with clips split at random, compared with duration, loudness and recording"
    " conditions alone.",
    "layers": "Unweighted average recall of each layer by itself and of all together; C chosen in"
    " nested folds.",
    "confusion_matrix": "Confusion matrix over all repeats: rows are true classes, columns"
    " predicted ones.",
}

# Where clips are pooled, or nobody knows who speaks, the figure has no clips split at random.
POOLED_FIGURES = FIGURES | {
    "schemes": "Unweighted average recall of the probe beside duration and loudness alone."
}


def section(
    folder: Path,
    block: Block,
    published: Sequence[Mapping[str, Any]],
    sample_data: Sequence[str],
) -> Section:
    """Build the section of the report; see `affectlab.report.section.SectionBuilder`."""
    runs = read_runs(folder, block.runs, block.selected)
    comparison = read_comparison(folder / "comparison.json")
    views = [
        run_view(name, seeds, FIGURES if _shows_leak(seeds) else POOLED_FIGURES)
        for name, seeds in runs.items()
    ]
    known = published_for("audio", views, published)
    data = sorted({block.runs[name].data for name in block.selected})
    audits = {name: read_json(folder / "data" / name / "audit.json") for name in data}
    notes = data_notes(audits, sample_data)
    return Section(
        sentences=_headline(comparison, runs),
        notes=list(notes.values()),
        warnings=below_baseline(comparison),
        rows=results_rows(comparison, known, notes),
        provenance=provenance(runs),
        html=render(
            HERE / "report.html.j2",
            comparison=comparison,
            runs=views,
            published=known,
            forest=figure(
                folder / "figures" / "forest.svg",
                "Unweighted average recall of every encoder, task and protocol with its interval;"
                " the bar across is the strongest trivial baseline.",
            ),
            audits=audits,
            unknown=[
                name
                for name, seeds in runs.items()
                if not speakers_known(seeds[0].metrics["details"])
            ],
        ),
    )


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
        score = run["metrics"]["uar"]
        strongest = score["baseline"]
        item = "subject" if speakers_known(runs[run["run"]][0].metrics["details"]) else "clip"
        sentences.append(
            f"{run['run']} ({run['model']}, task {run['method']}): unweighted average recall"
            f" {percent(score['mean'])} ({interval(score['ci'], level, run['interval_covers'])};"
            f" {count(run['groups'], item)}), {relation(score['ci'], strongest['value'])} the"
            f" {percent(strongest['value'])} of {trivial(strongest['name'])},"
            " the strongest trivial baseline."
        )
        small = few_items(run["n"], run["groups"], score["ci"])
        if small is not None and small not in sentences:
            sentences.append(small)
        means = split_means(runs[run["run"]])
        # Of pooled subjects, the difference to clips would be that of pooling, too.
        if "clip_random" in means and run["n"] > run["groups"] and _shows_leak(runs[run["run"]]):
            gain = means["clip_random"]["uar"] - score["mean"]
            sentences.append(
                f"Splitting its clips at random, so that voices are on both sides, changes that by"
                f" {points(gain)}."
            )
    sentences.append("None of this is a diagnostic instrument.")
    return sentences
