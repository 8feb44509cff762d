"""The summary experiment in the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from affectlab.config.entries import ReferenceResult
from affectlab.datasets.description import read_description
from affectlab.evaluation.outside_words import outside_sentences
from affectlab.evaluation.records import read_comparison
from affectlab.files.io import read_json, read_jsonl
from affectlab.report.data_notes import data_notes
from affectlab.report.display import number, signed, signed_limits
from affectlab.report.published import our_scores, published_numbers
from affectlab.report.results import (
    SeedResult,
    against_baseline,
    below_baseline,
    read_runs,
    results_rows,
    trained_on_scored,
)
from affectlab.report.section import (
    Section,
    figure,
    joined,
    main_figures,
    render_parts,
    run_figures,
    show_once,
)
from affectlab.report.subgroups import subgroup_tables
from affectlab.report.words import (
    count,
    difference,
    interval,
    overlap_sentences,
    relation,
    trivial,
    unseen,
)
from affectlab.summary.cases import CROSS_VALIDATION, OWN_TASK, task_of
from affectlab.summary.methods import MODEL_METHODS, TRAINED_METHODS
from affectlab.summary.own_notes import SCORES, few_cases, unknown_to_model
from affectlab.summary.settings import Block, selected_runs

SHOWN = ("rouge1", "rouge2", "rouge_l", "bleu", "chrf")

HERE = Path(__file__).parent
FIGURES = {
    "fields": "ROUGE of each field by itself, mean over the scored cases.",
    "training_curves": "Loss per predicted token on training and held-out cases, scores of the"
    " answers to held-out cases if they were written on the way, and the learning rate, over the"
    " optimiser's steps.",
}

WITHOUT_FOLD = ", each by a model that was trained without its fold"

EXAMPLES = 2
"""Generated summaries that are shown, of generated cases only."""


def section(
    folder: Path,
    block: Block,
    published: Sequence[ReferenceResult],
    sample_data: Sequence[str],
) -> Section:
    """Build the section of the report; see `affectlab.report.section.SectionBuilder`."""
    # The baseline is carried out and compared even where it is not selected.
    names = selected_runs(block.model_dump())
    runs = read_runs(folder, block.runs, names)
    comparison = read_comparison(folder / "comparison.json")
    pools = comparison.get("pools", [])
    data = sorted({block.runs[name].data for name in names})
    views = [_run_view(folder, name, seeds, sample_data) for name, seeds in runs.items()]
    audits = {name: read_json(folder / "data" / name / "audit.json") for name in data}
    notes = data_notes(audits, sample_data)
    own = [
        name
        for name in data
        if task_of(read_description(folder / "data" / name / "description.json").classes)
        == OWN_TASK
    ]
    best, seen = _shown_first(comparison), trained_on_scored(runs)
    main = main_figures(runs[best][0], FIGURES)
    show_once(views, main)
    return Section(
        best=best,
        figures=main,
        seen=seen,
        runs=runs,
        sentences=[
            *_headline(comparison, runs, audits),
            *_own_sentences(comparison, runs, own),
            *_pooled(pools),
            *(
                f"{name}: {' '.join(told)}"
                for name, seeds in runs.items()
                if (told := outside_sentences(seeds[0].metrics, "cases"))
            ),
        ],
        notes=list(notes.values()),
        warnings=below_baseline(comparison),
        rows=results_rows(comparison, notes),
        published=published_numbers(
            "summary", published, our_scores(comparison, runs), best=best, seen=seen, notes=notes
        ),
        parts=joined(
            render_parts(
                HERE / "report.html.j2",
                comparison=comparison,
                pairs=against_baseline(comparison),
                runs=views,
                pools=pools,
                shown=SHOWN,
                decoding={
                    name: f"decoding: {way}"
                    for name, seeds in runs.items()
                    if (way := seeds[0].metrics["details"]["decoding"]) is not None
                },
                own=own,
                only_own=own == data,
                folded=all(run.get("split") == CROSS_VALIDATION for run in comparison["runs"]),
                audits=audits,
            ),
            {"subgroups": subgroup_tables("summary", runs)},
        ),
    )


def _shown_first(comparison: Mapping[str, Any]) -> str:
    """The first trained run of the corrected protocol, else the first run: no score chooses."""
    runs = comparison["runs"]
    trained = [run for run in runs if run["method"] in TRAINED_METHODS]
    corrected = [run for run in trained if run["protocol"] == "corrected"]
    return str((corrected or trained or runs)[0]["run"])


def _headline(
    comparison: Mapping[str, Any],
    runs: Mapping[str, Sequence[SeedResult]],
    audits: Mapping[str, Mapping[str, Any]],
) -> list[str]:
    """What was found, in plain sentences; the first is the main one."""
    trained = [
        run
        for run in comparison["runs"]
        if run["protocol"] == "corrected" and run["method"] in TRAINED_METHODS
    ]
    pairs = against_baseline(comparison)
    level = comparison["interval"]["level"]
    sentences = []
    for run in trained:
        score, details = run["metrics"]["rouge2"], runs[run["run"]][0].metrics["details"]
        shared = len(audits[run["data"]]["overlap"]["test"])
        longest, valid = (run["metrics"][name]["mean"] for name in ("rouge_l", "valid_output"))
        sentences.append(
            f"{run['run']} has a ROUGE-2 of {number(score['mean'])} on {run['n']}"
            f" {unseen(shared, audits[run['data']])}cases of {run['data']}"
            f"{WITHOUT_FOLD if run.get('split') == CROSS_VALIDATION else ''}"
            f" ({interval(score['ci'], level, run['interval_covers'])};"
            f" {count(len(run['seeds']), 'seed')}){_beside(score)}. Its ROUGE-L is"
            f" {number(longest)}. A share of {number(valid)} of its answers has the form that was"
            f" asked for, before any repair (decoding: {details['decoding']})."
        )
        sentences += overlap_sentences(shared, f"test case of {run['data']}")
        if pair := pairs.get(run["run"]):
            sentences.append(
                f"Against {comparison['baseline']} on the same cases, ROUGE-2 differs by"
                f" {difference(pair, 'rouge2')}."
            )
    if not trained:
        others = any(run["method"] in TRAINED_METHODS for run in comparison["runs"])
        untrained = (
            "No run of the corrected protocol trained a model"
            if others
            else "No model was trained on whole cases"
        )
        best = max(comparison["runs"], key=lambda run: run["metrics"]["rouge2"]["mean"])
        sentences.append(
            f"{untrained}; {best['run']} has the highest ROUGE-2,"
            f" {number(best['metrics']['rouge2']['mean'])}."
        )
    templated = sorted(
        {
            seeds[0].metrics["data"]["name"]
            for seeds in runs.values()
            if seeds[0].metrics["details"]["references_from_template"]
        }
    )
    if templated:
        sentences.append(
            f"The references of {', '.join(templated)} were made from a template, as in the"
            " original project: scores on them are template recall."
        )
    return sentences


def _own_sentences(
    comparison: Mapping[str, Any], runs: Mapping[str, Sequence[SeedResult]], own: Sequence[str]
) -> list[str]:
    """What few cases, and models that do not know a language, mean for runs on users' own data."""
    sentences = []
    for run in comparison["runs"]:
        details = runs[run["run"]][0].metrics["details"]
        if run["data"] not in own or details["decoding"] is None:
            continue
        few = few_cases(run["n"], {name: run["metrics"][name]["ci"] for name in SCORES})
        foreign = unknown_to_model(details["languages"], details.get("model_languages", ()))
        sentences += [f"{run['run']}: {sentence}" for sentence in (few, foreign) if sentence]
    return sentences


def _beside(score: Mapping[str, Any]) -> str:
    """Where a score lies next to the strongest trivial baseline, where there is one."""
    baseline = score["baseline"]
    if baseline is None:
        return ""
    return (
        f", {relation(score['ci'], baseline['value'])} the {number(baseline['value'])} of"
        f" {trivial(baseline['name'])}, the strongest trivial baseline"
    )


def _pooled(pools: Sequence[Mapping[str, Any]]) -> list[str]:
    """What each cross-validation found, against the best baseline on the same cases."""
    sentences = []
    for pool in pools:
        value = pool["metrics"]["rouge2"]["value"]
        best, other = max(
            pool["baselines"].items(), key=lambda item: item[1]["metrics"]["rouge2"]["value"]
        )
        gain = other["differences"]["rouge2"]
        limits = "too few groups for an interval"
        if gain["ci"] is not None:
            limits = f"interval over cases {signed_limits(gain['ci'])}"
        sentences.append(
            f"{pool['name']}, all {pool['n']} cases of {pool['data']} by {len(pool['runs'])} folds:"
            f" ROUGE-2 {number(value)}, {signed(gain['value'])} against the best baseline,"
            f" {best} ({limits}). This is of these trained models, one seed a fold."
        )
    return sentences


def _run_view(
    folder: Path,
    run: str,
    seeds: Sequence[SeedResult],
    sample_data: Sequence[str],
) -> dict[str, Any]:
    """One run as the page shows it, by its first seed.

    What the configuration no longer asks for may still be in the folder: it is not shown.
    """
    first = seeds[0]
    method = first.metrics["method"]
    trained = method in TRAINED_METHODS
    lengths = _if_there(folder / run / "lengths.json", method in MODEL_METHODS)
    shown = {name: text for name, text in FIGURES.items() if trained or name != "training_curves"}
    figures = run_figures(first, shown)
    if lengths is not None:
        figures.append(
            figure(
                folder / run / "lengths.svg",
                f"summary-{run}-lengths",
                f"{run}: lengths of the prompts in this model's tokens, and the room that the"
                " maximum length leaves.",
            )
        )
    generated = first.metrics["data"]["name"] in sample_data and method in MODEL_METHODS
    return {
        "run": run,
        "data": first.metrics["data"]["name"],
        "record": first.metrics,
        "figures": figures,
        "lengths": lengths,
        "usage": first.run_record.get("judge"),
        "examples": list(read_jsonl(first.folder / "details.jsonl"))[:EXAMPLES]
        if generated
        else [],
    }


def _if_there(path: Path, asked_for: bool) -> Any:
    """The record in *path*, or None."""
    return read_json(path) if asked_for and path.exists() else None
