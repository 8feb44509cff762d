"""Runs that predict numbers or label sets, in the emotion section of the report."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from affectlab.datasets.description import Target
from affectlab.evaluation.classification import CROSS_VALIDATION
from affectlab.evaluation.outside_words import known_items, outside_sentences, unknown_training
from affectlab.evaluation.regression import score_stems
from affectlab.evaluation.small_data import few_for_correlation, small_sample
from affectlab.report import words
from affectlab.report.display import number
from affectlab.report.results import (
    NOT_OURS,
    SeedResult,
    against_baseline,
    is_elsewhere,
    split_means,
    trained_here,
)
from affectlab.report.section import Figure, exports_view, render_parts, run_view, show_once
from affectlab.report.words import count, trivial, unseen

HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class ReportPart:
    """What the report has on the runs of one target.

    Attributes:
        id: of its HTML elements.
        title: of its headings.
        what: these runs predict.
        repeated: what a text that repeats may have another one of.
        compared: scores that are shown where there is room for few -> their names.
        main: the one of them that decides on validation which run comes first.
        main_words: its name in sentences.
        note: below the table of the results.
        validation: name of the validation split in a table.
        figures: name of a figure -> its description.
        each: template of the table of a run.
        data: template of the table of a data set.
        first: the first sentences, from how the best run is called, its summary, its first
            metrics.json, and a function that describes an interval.
        few: what the main score on few texts cannot show, from the summary of a run.
    """

    id: str
    title: str
    what: str
    repeated: str
    compared: Mapping[str, str]
    main: str
    main_words: str
    note: str
    validation: str
    figures: Mapping[str, str]
    each: str
    data: str
    first: Callable[
        [str, Mapping[str, Any], Mapping[str, Any], str, Callable[[str], str]], list[str]
    ]
    few: Callable[[Mapping[str, Any]], str | None]


def trivial_for_texts(name: str) -> str:
    """A trivial baseline for the middle of a sentence; the conditions are those of texts."""
    return trivial(name, "emotion")


def best_by_validation(part: ReportPart, runs: Mapping[str, Sequence[SeedResult]]) -> str:
    """The run with the highest main score on validation: choosing by test would favour luck.

    It is one that we trained, see `trained_here`: the first one where none has predictions of the
    validation split.
    """
    means = _on_validation(part, runs)
    return max(means, key=means.__getitem__) if means else trained_here(runs)[0]


def _on_validation(part: ReportPart, runs: Mapping[str, Sequence[SeedResult]]) -> dict[str, float]:
    """The main score on validation of each run that we trained, of those that have one."""
    splits = {
        name: split_means(runs[name]) for name in trained_here(runs) if not is_elsewhere(runs[name])
    }
    return {
        name: of_split["validation"][part.main]
        for name, of_split in splits.items()
        if "validation" in of_split
    }


def headline(
    part: ReportPart,
    runs: Mapping[str, Sequence[SeedResult]],
    comparison: Mapping[str, Any],
    audits: Mapping[str, Mapping[str, Any]],
) -> list[str]:
    """What was found, in plain sentences; the first is the main one.

    Args:
        part: of the target.
        runs: name -> what each seed left, of the runs of this target.
        comparison: comparison.json of the same.
        audits: audit.json of each data set, by name.
    """
    summaries = {run["run"]: run for run in comparison["runs"]}
    best = best_by_validation(part, runs)
    chosen = _on_validation(part, runs)
    elsewhere = is_elsewhere(runs[best])
    named = f"{best}, the run with the highest validation {part.main_words}," if chosen else best
    named = f"{best}{NOT_OURS}" if elsewhere else named
    run, first = summaries[best], runs[best][0].metrics

    def interval(score: str) -> str:
        limits, level = run["metrics"][score]["ci"], comparison["interval"]["level"]
        return words.interval(limits, level, run["interval_covers"])

    texts = _scored_texts(run, first, audits[run["data"]])
    sentences = part.first(named, run, first, texts, interval)
    if elsewhere:
        sentences += unknown_training(first, "texts")
    elif run["split"] == CROSS_VALIDATION:
        sentences.append("Each text was predicted by a model that was trained without its fold.")
    if few := part.few(run):
        sentences.append(few)
    if pair := against_baseline(comparison).get(best):
        sentences.append(_difference(part, pair, comparison["baseline"]))
    for name, seeds in runs.items():
        if told := outside_sentences(seeds[0].metrics, "texts"):
            sentences.append(f"{name}: {' '.join(told)}")
    return sentences


def parts(
    part: ReportPart,
    runs: Mapping[str, Sequence[SeedResult]],
    comparison: Mapping[str, Any],
    audits: Mapping[str, Mapping[str, Any]],
    main: Sequence[Figure],
) -> dict[str, str]:
    """The tables and figures of the runs of a target.

    Args:
        part: of the target.
        runs: name -> what each seed left.
        comparison: comparison.json of the same.
        audits: name of a data set of these runs -> its audit.
        main: the figures that the page shows above.
    """
    pairs = against_baseline(comparison)
    views = [run_view(name, seeds, part.figures) for name, seeds in runs.items()]
    show_once(views, main)
    for view in views:
        names = view["record"]["data"].get("numbers", ())
        view["stems"] = list(zip(names, score_stems(names), strict=True))
    return render_parts(
        HERE / "report_part.html.j2",
        part=part,
        comparison=comparison,
        summaries=[{**run, "pair": pairs.get(run["run"])} for run in comparison["runs"]],
        runs=views,
        audits=audits,
        exports=exports_view(runs),
    )


def _scored_texts(
    run: Mapping[str, Any], first: Mapping[str, Any], audit: Mapping[str, Any]
) -> str:
    """How many texts were scored, and whether they are unseen."""
    new = "" if "outside" in first["details"] else unseen(known_items(first) or 0, audit)
    return f"{run['n']:,} {new}{'' if run['split'] == CROSS_VALIDATION else 'test '}texts"


def _first_of_numbers(
    best: str,
    run: Mapping[str, Any],
    first: Mapping[str, Any],
    texts: str,
    interval: Callable[[str], str],
) -> list[str]:
    ccc, mae = run["metrics"]["ccc"], run["metrics"]["mae"]
    return [
        f"{best} predicts"
        f" {_listed(first['data']['numbers'])} of {texts} with a concordance of"
        f" {number(ccc['mean'])} ({interval('ccc')}; {count(len(run['seeds']), 'seed')}).",
        f"Its mean absolute error is {number(mae['mean'])}. The strongest trivial baseline is"
        f" {trivial(mae['baseline']['name'])}, with an error of"
        f" {number(mae['baseline']['value'])}.",
    ]


def _first_of_label_sets(
    best: str,
    run: Mapping[str, Any],
    first: Mapping[str, Any],
    texts: str,
    interval: Callable[[str], str],
) -> list[str]:
    macro, exact = run["metrics"]["macro_f1"], run["metrics"]["exact_match"]
    return [
        f"{best} has a macro-F1 of"
        f" {number(macro['mean'])} on {texts} with any of"
        f" {len(first['data']['classes'])} classes ({interval('macro_f1')};"
        f" {count(len(run['seeds']), 'seed')}). The strongest trivial baseline,"
        f" {trivial_for_texts(macro['baseline']['name'])}, has"
        f" {number(macro['baseline']['value'])}.",
        f"The share of texts with exactly the right classes is {number(exact['mean'])}. The"
        f" strongest trivial baseline, {trivial_for_texts(exact['baseline']['name'])}, has"
        f" {number(exact['baseline']['value'])}.",
    ]


def _few_label_sets(run: Mapping[str, Any]) -> str | None:
    limits = run["metrics"]["macro_f1"]["ci"]
    return small_sample(run["n"], limits, groups=run["groups"], score="the macro-F1")


def _difference(part: ReportPart, pair: Mapping[str, Any], baseline: str) -> str:
    """The difference of the main scores as a sentence."""
    return (
        f"Compared with {baseline} on the same items, its {part.main_words} differs by"
        f" {words.difference(pair, part.main)}."
    )


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


PARTS: Mapping[Target, ReportPart] = MappingProxyType(
    {
        "numbers": ReportPart(
            id="number",
            title="Numbers",
            what="numbers",
            repeated="numbers",
            compared={"ccc": "concordance", "mae": "mean absolute error"},
            main="ccc",
            main_words="concordance",
            note="Concordance is Lin’s concordance correlation coefficient: 1 for perfect"
            " predictions, 0 for a constant. Both scores are means over the numbers of the data."
            " “Trivial” is the stronger one of two baselines: the mean of the training texts, and a"
            " small tree on length and language alone. Differences are paired, of the means over"
            " all seeds.",
            validation="validation",
            figures={
                "predicted_values": "Predictions against true values of the scored texts, a panel"
                " for each number. The dashed line is perfect prediction.",
                "training_curves": "Training curves: squared error of standardised numbers on train"
                " and validation, validation concordance, learning rate, over the optimiser's"
                " steps.",
            },
            each="report_numbers_each.html.j2",
            data="report_numbers_data.html.j2",
            first=_first_of_numbers,
            few=lambda run: few_for_correlation(
                run["n"], run["metrics"]["ccc"]["ci"], groups=run["groups"]
            ),
        ),
        "classes": ReportPart(
            id="multilabel",
            title="Several classes",
            what="any number of classes for a text",
            repeated="classes",
            compared={"macro_f1": "macro-F1", "exact_match": "exact match"},
            main="macro_f1",
            main_words="macro-F1",
            note="Macro-F1 is the mean of the F1 scores of the classes. Exact match is the share of"
            " texts whose classes are all predicted, and no other class. “Trivial” is the strongest"
            " trivial baseline of each score on the same texts: all classes, the most frequent"
            " label set, the classes that most texts have, classes drawn by their shares, or what"
            " the length and language of the text predict. Differences are paired, of the means"
            " over all seeds.",
            validation="validation, which chose weights and thresholds",
            figures={
                "precision_recall": "Precision against recall of the scored texts over all"
                " thresholds, a panel for each class. The point shows the predictions at the stored"
                " thresholds. The dashed line is the share of texts that have the class.",
                "training_curves": "Training curves: binary cross-entropy on train and validation,"
                " validation macro-F1 at thresholds chosen there, learning rate, over the"
                " optimiser's steps.",
            },
            each="report_multilabel_each.html.j2",
            data="report_multilabel_data.html.j2",
            first=_first_of_label_sets,
            few=_few_label_sets,
        ),
    }
)
"""Of all targets but one class for each text."""
