"""The entity experiment in the report."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from affectlab.config.entries import ReferenceResult
from affectlab.entity.data import Data, read_data, targets_of
from affectlab.entity.evaluate import CROSS_VALIDATION
from affectlab.entity.predictions import scored_rows
from affectlab.entity.settings import Block
from affectlab.evaluation.outside_words import outside_sentences, unknown_training
from affectlab.evaluation.records import read_comparison
from affectlab.evaluation.small_data import small_sample
from affectlab.files.io import read_json
from affectlab.report.data_notes import data_notes
from affectlab.report.display import number, signed
from affectlab.report.errors import Prediction, RunPredictions, errors_part, rival
from affectlab.report.published import OurScore, our_scores, published_numbers
from affectlab.report.results import (
    NOT_OURS,
    SeedResult,
    below_baseline,
    read_runs,
    results_rows,
    trained_here,
    trained_on_scored,
)
from affectlab.report.section import (
    Section,
    figure,
    joined,
    main_figures,
    render_parts,
    run_view,
    show_once,
)
from affectlab.report.subgroups import subgroup_tables
from affectlab.report.words import (
    count,
    interval,
    overlap_sentences,
    relation,
    trivial,
    unseen,
)
from affectlab.training.history import read_history

HERE = Path(__file__).parent
DESCRIPTION = "description.json"
FIGURES = {
    "kappa": "Left: mean cosine to the label’s prototypes in bins of kappa, against what kappa"
    " predicts. Right: kappa against the entropy of the soft label. Test split.",
    "map": "The two principal axes of the embedding of the test split; lines lead from class names"
    " to their prototypes.",
    "reliability": "Reliability of the likeliest class on the test split, before and after"
    " temperature scaling.",
    "training_curves": "Training and validation loss, and the mean kappa on validation, over the"
    " optimiser’s steps. A run of method vmf is trained on all parts of its loss and validated by"
    " the log-loss of its probabilities: compare the courses, not the heights.",
}

TABLES = {
    "Decisions and probabilities": (
        "accuracy",
        "macro_f1",
        "non_neutral_accuracy",
        "js_distance",
        "nll_calibrated",
        "ece_calibrated",
    ),
    "Does the concentration mean something?": (
        "kappa_entropy_spearman",
        "kappa_intensity_spearman",
        "kappa_cosine_gap",
        "aurc",
        "kappa_falls_typos",
        "kappa_falls_dropout",
    ),
    "Likeliest classes, and retrieval": (
        "top1_accuracy",
        "top3_accuracy",
        "top5_accuracy",
        "top5_accuracy_as_published",
        "retrieval_r1",
        "retrieval_r5",
        "retrieval_map",
    ),
}
"""Title of a table of results -> the scores in it."""


def section(
    folder: Path,
    block: Block,
    published: Sequence[ReferenceResult],
    sample_data: Sequence[str],
) -> Section:
    """Build the section of the report; see `affectlab.report.section.SectionBuilder`."""
    comparison = read_comparison(folder / "comparison.json")
    runs = read_runs(folder, block.runs, [run["run"] for run in comparison["runs"]])
    views = [run_view(name, seeds, FIGURES) for name, seeds in runs.items()]
    data = sorted({run["data"] for run in comparison["runs"]})
    audits = {name: read_json(folder / "data" / name / "audit.json") for name in data}
    notes = data_notes(audits, sample_data)
    best, _ = _best(comparison, views, _first_ones(runs, block.selected))
    seen = trained_on_scored(runs)
    scores = our_scores(comparison, runs) + [
        score for run in comparison["runs"] for score in _of_the_original(run, runs[run["run"]])
    ]
    main = main_figures(runs[best][0], {name: FIGURES[name] for name in ("map", "kappa")})
    show_once(views, main)
    return Section(
        best=best,
        figures=main,
        seen=seen,
        runs=runs,
        sentences=[
            *_headline(comparison, views, audits, _first_ones(runs, block.selected)),
            *_of_others(runs),
        ],
        notes=list(notes.values()),
        warnings=below_baseline(comparison),
        rows=results_rows(comparison, notes),
        published=published_numbers("entity", published, scores, best=best, seen=seen, notes=notes),
        parts=joined(
            render_parts(
                HERE / "report.html.j2",
                comparison=comparison,
                tables=_tables(comparison["runs"]),
                has_neutral=any(
                    "non_neutral_accuracy" in run["metrics"] for run in comparison["runs"]
                ),
                has_published_classes=_has_published_classes(comparison["runs"]),
                runs=views,
                audits=audits,
                updates=figure(
                    folder / "figures" / "updates.svg",
                    "entity-figure-updates",
                    "Top 1 on validation against the number of optimiser updates, every run and"
                    " seed; the grey line is a constant prediction of the commonest training"
                    " class.",
                )
                if any("mean_kappa" in view["record"]["details"] for view in views)
                else None,
            ),
            _errors(folder, runs, best, sample_data),
            {"subgroups": subgroup_tables("entity", runs)},
        ),
    )


def _errors(
    folder: Path,
    runs: Mapping[str, Sequence[SeedResult]],
    best: str,
    sample_data: Sequence[str],
) -> dict[str, str]:
    """The surest errors of the best run; none where a target may have several classes."""
    own = runs[best][0].metrics["data"]["name"]
    data = read_data(folder / "data" / own / "records.jsonl", folder / "data" / own / DESCRIPTION)
    if data.records[0].targets[0].start is None:
        return {}
    other = rival(best, runs, "accuracy")
    return errors_part(
        "entity",
        _predictions(runs[best], data),
        None if other is None else _predictions(runs[other], data),
        (lambda ids: _spans(data, ids)) if own in sample_data else None,
    )


def _predictions(seeds: Sequence[SeedResult], data: Data) -> RunPredictions:
    """What the first seed predicts of the scored spans."""
    record = seeds[0].metrics
    true = {
        target.id: data.classes[max(range(len(target.label)), key=target.label.__getitem__)]
        for target in targets_of(data.records)
    }
    rows = scored_rows(seeds[0].folder / "predictions.parquet")
    predictions = (_prediction(row, true[row["id"]], data.classes) for row in rows)
    return RunPredictions(record["run"], record["seed"], record["data"]["name"], predictions)


def _prediction(row: Mapping[str, Any], true: str, classes: Sequence[str]) -> Prediction:
    stated = dict(zip(classes, row.get("probabilities") or (), strict=False))
    named = row.get("prediction")
    predicted = named[0] if named else max(stated, key=stated.__getitem__)
    return Prediction(row["id"], true, predicted, stated.get(predicted))


def _spans(data: Data, ids: Collection[str]) -> dict[str, str]:
    """Ids of targets -> the span and its text."""
    return {
        target.id: f"{record.text[slice(*target.span)]}: {record.text}"
        for record in data.records
        for target in record.targets
        if target.id in ids and target.span is not None
    }


def _tables(runs: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[str]]]:
    """The tables of results, with the scores that at least one run has."""
    known = {name for run in runs for name in run["metrics"]}
    return [(title, [name for name in names if name in known]) for title, names in TABLES.items()]


def _has_published_classes(runs: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a run has the classes of the original, and so its odd score."""
    return any("top5_accuracy_as_published" in run["metrics"] for run in runs)


def _of_others(runs: Mapping[str, Sequence[SeedResult]]) -> list[str]:
    """What has to be said of runs on somebody else's predictions."""
    told = {name: outside_sentences(seeds[0].metrics, "targets") for name, seeds in runs.items()}
    return [f"{name}: {' '.join(sentences)}" for name, sentences in told.items() if sentences]


def _of_the_original(run: Mapping[str, Any], seeds: Sequence[SeedResult]) -> list[OurScore]:
    """What the original printed and is no score: mean kappa, lowest loss of the last stage.

    Its numbers are of its validation set. The loss is that which is trained, so it is of runs of
    the original's method alone.
    """
    details = seeds[0].metrics["details"]
    if "mean_kappa" not in details:
        return []

    def score(split: str, metric: str, values: Iterable[float]) -> OurScore:
        return OurScore(
            *(run["run"], run["protocol"], run["data"], split, metric, fmean(values)),
            ci=None,
            covers="",
            n=None,
        )

    own, other = "mean_kappa", "validation_mean_kappa"
    found = [
        score(split, own, (seed.metrics["details"][name] for seed in seeds))
        for split, name in ((seeds[0].metrics["data"]["split"], own), ("validation", other))
    ]
    if seeds[0].metrics["method"] == "gbert":
        found.append(score("validation", "validation_loss", map(_lowest_loss, seeds)))
    return found


def _lowest_loss(seed: SeedResult) -> float:
    """The lowest validation loss of the last stage."""
    columns = ("split", "stage", "loss")
    history = read_history(seed.folder / "history.csv", columns)["validation"]
    last = history["stage"] == history["stage"].max()
    return float(history["loss"][last].min())


def _headline(
    comparison: Mapping[str, Any],
    views: Sequence[Mapping[str, Any]],
    audits: Mapping[str, Mapping[str, Any]],
    selected: Sequence[str],
) -> list[str]:
    """What was found, in plain sentences; the first is the main one."""
    summaries = {run["run"]: run for run in comparison["runs"]}
    best, kind = _best(comparison, views, selected)
    run = summaries[best]
    audit = audits[run["data"]]
    folded = run.get("split") == CROSS_VALIDATION
    shared = set(audit["overlap"].get("test_in_train", ()))
    shared |= set(audit["near_duplicates"]["overlap"].get("test_in_train", ()))
    metrics = run["metrics"]
    accuracy, macro = metrics["accuracy"], metrics["macro_f1"]
    baseline = accuracy["baseline"]
    elsewhere = _is_elsewhere(views, best)
    new = "" if elsewhere else unseen(len(shared), audit)
    how = ", each by a model that was trained without its fold"
    level = comparison["interval"]["level"]
    sentences = [
        f"{best}{kind} has an accuracy of {number(accuracy['mean'])} on {run['n']:,} {new}targets"
        f"{how if folded and not elsewhere else ''}"
        f" ({interval(accuracy['ci'], level, run['interval_covers'])};"
        f" {count(len(run['seeds']), 'seed')}), {relation(accuracy['ci'], baseline['value'])} the"
        f" {number(baseline['value'])} of {trivial(baseline['name'], 'entity')}, the strongest"
        " trivial baseline.",
        _macro_sentence(macro, metrics.get("non_neutral_accuracy")),
    ]
    if elsewhere:
        record = next(view["record"] for view in views if view["run"] == best)
        sentences += unknown_training(record, "targets")
    if small := small_sample(run["n"], accuracy["ci"], groups=run["groups"], score="the accuracy"):
        sentences.append(small)
    if not elsewhere:
        sentences += overlap_sentences(len(shared), "test text")
    if "kappa_entropy_spearman" in metrics and "kappa_cosine_gap" in metrics:
        rank = metrics["kappa_entropy_spearman"]["mean"]
        sentences.append(
            f"Its concentration kappa has a rank correlation of {signed(rank)} with the entropy of"
            f" the label and predicts the cosine with a mean gap of"
            f" {number(metrics['kappa_cosine_gap']['mean'])}."
        )
    for name, own in audits.items():
        if own["weak_labels"]:
            sentences.append(f"The labels of {name} are weak: derived by rules, not given.")
    return sentences


def _first_ones(runs: Mapping[str, Sequence[SeedResult]], selected: Sequence[str]) -> list[str]:
    """The selected runs that may be shown first, see `trained_here`."""
    return trained_here({name: runs[name] for name in selected})


def _best(
    comparison: Mapping[str, Any], views: Sequence[Mapping[str, Any]], selected: Sequence[str]
) -> tuple[str, str]:
    """The run that the first sentence is about, and why it is this one.

    Validation decides which it is: choosing it by test would favour luck.

    Args:
        comparison: comparison.json.
        views: of all runs.
        selected: names of the runs that may be shown first.
    """
    protocols = {run["run"]: run["protocol"] for run in comparison["runs"]}
    losses = {
        view["run"]: view["values"]["validation"]["nll_calibrated"]
        for view in views
        if view["run"] in selected and "nll_calibrated" in view["values"].get("validation", {})
    }
    corrected = [name for name in selected if protocols[name] == "corrected"] or list(selected)
    if _is_elsewhere(views, selected[0]):
        return corrected[0], NOT_OURS
    candidates = [name for name in corrected if name in losses] or list(losses)
    if not candidates:
        return corrected[0], ""
    best = min(candidates, key=losses.__getitem__)
    lowest = losses[best] == min(losses.values())
    kind = "run" if lowest else "run of the corrected protocol"
    return best, f", the {kind} with the lowest validation log-loss,"


def _is_elsewhere(views: Sequence[Mapping[str, Any]], run: str) -> bool:
    return any(view["run"] == run and "outside" in view["record"]["details"] for view in views)


def _macro_sentence(macro: Mapping[str, Any], emotional: Mapping[str, Any] | None) -> str:
    """Macro-F1, and where there is a neutral class, how many of the other targets are right."""
    sentence = (
        f"Macro-F1 over the classes that occur: {number(macro['mean'])}"
        f" ({trivial(macro['baseline']['name'], 'entity')}: {number(macro['baseline']['value'])})"
    )
    if emotional is None:
        return f"{sentence}."
    return (
        f"{sentence}. The accuracy on targets that are not neutral is {number(emotional['mean'])}."
    )
