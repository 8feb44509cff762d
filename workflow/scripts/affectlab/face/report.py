"""The face experiment in the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from affectlab.config.entries import ReferenceResult
from affectlab.evaluation.classification import CROSS_VALIDATION
from affectlab.evaluation.outside_words import outside_sentences, unknown_training
from affectlab.evaluation.records import read_comparison
from affectlab.evaluation.small_data import small_sample
from affectlab.face.settings import Block
from affectlab.files.io import read_json
from affectlab.report.data_notes import data_notes
from affectlab.report.display import number
from affectlab.report.errors import errors_part, rival, stored_predictions
from affectlab.report.other_data import other_data_part, tested_audits
from affectlab.report.published import our_scores, published_numbers
from affectlab.report.results import (
    NOT_OURS,
    SeedResult,
    below_baseline,
    is_elsewhere,
    read_runs,
    results_rows,
    split_means,
    trained_here,
)
from affectlab.report.section import (
    Section,
    exports_view,
    figure,
    joined,
    main_figures,
    render_parts,
    run_view,
    show_once,
)
from affectlab.report.subgroups import subgroup_tables
from affectlab.report.words import count, interval, relation, trivial

HERE = Path(__file__).parent
FIGURES = {
    "blur_test": "Blur test: the same faces with more blur (left) and less contrast (right), and"
    " the mean of both indices by network and by formula. The picture is the average of all faces.",
    "confusion_matrix": "Each cell has the number of images, and their share of the true class.",
    "reliability": "Reliability diagram: accuracy against stated confidence, before and after"
    " temperature scaling, with the number of images in each bin below.",
    "outputs": "Distribution of the outputs beside that of the labels: of the regressed values, or"
    " of the classes where no value is regressed.",
    "training_curves": "Training curves: loss on train and validation, validation scores, learning"
    " rate, over the optimiser's steps.",
}

MAIN_FIGURES = ("confusion_matrix", "blur_test", "reliability")
"""In view are the first of these that a run has."""

REGRESSED = {
    "valence_ccc": "concordance of valence",
    "arousal_ccc": "concordance of arousal",
    "iq_proxy_mae": "“IQ” proxy, mean absolute error",
    "iq_proxy_r2": "“IQ” proxy, R²",
    "eq_proxy_mae": "“EQ” proxy, mean absolute error",
    "eq_proxy_r2": "“EQ” proxy, R²",
}


def section(
    folder: Path,
    block: Block,
    published: Sequence[ReferenceResult],
    sample_data: Sequence[str],
) -> Section:
    """Build the section of the report; see `affectlab.report.section.SectionBuilder`."""
    runs = read_runs(folder, block.runs, block.selected, block.export)
    comparison = read_comparison(folder / "comparison.json")
    data = sorted({block.runs[name].data for name in block.selected})
    audits = {name: read_json(folder / "data" / name / "audit.json") for name in data}
    paths = {name: folder / "data" / name / "label_check.json" for name in data}
    # Data without proxies have none.
    checks = {name: read_json(path) for name, path in paths.items() if path.exists()}
    views = [run_view(name, seeds, FIGURES) for name, seeds in runs.items()]
    notes = data_notes(tested_audits(folder, block.runs, runs) | audits, sample_data)
    best, _ = _chosen(runs)
    seen = [name for name, one in runs.items() if _details(one)["seen_in_training"]]
    main = main_figures(runs[best][0], {name: FIGURES[name] for name in MAIN_FIGURES})
    show_once(views, main)
    other = rival(best, runs, "accuracy")
    elsewhere = other_data_part("face", folder, block.runs, runs, notes)
    return Section(
        best=best,
        figures=main,
        seen=seen,
        runs=runs,
        sentences=[*_headline(runs, comparison, checks), *elsewhere.sentences],
        notes=list(notes.values()),
        warnings=below_baseline(comparison),
        rows=[*results_rows(comparison, notes), *elsewhere.rows],
        published=published_numbers(
            "face", published, our_scores(comparison, runs), best=best, seen=seen, notes=notes
        ),
        parts=joined(
            render_parts(
                HERE / "report.html.j2",
                runs=views,
                comparison=comparison,
                audits=audits,
                checks=checks,
                label_figures=[
                    figure(
                        folder / "data" / name / "labels.svg",
                        f"face-{name}-labels",
                        f"Proxy labels of {name}.",
                    )
                    for name in checks
                ],
                regressed={
                    name: label
                    for name, label in REGRESSED.items()
                    if any(name in run["metrics"] for run in comparison["runs"])
                },
                blurred=[view for view in views if "blur_test" in view["record"]["details"]],
                exports=exports_view(runs),
            ),
            errors_part(
                "face",
                stored_predictions(runs[best]),
                None if other is None else stored_predictions(runs[other]),
                None,
            ),
            {"other_data": elsewhere.html, "subgroups": subgroup_tables("face", runs)},
        ),
    )


def _headline(
    runs: Mapping[str, Sequence[SeedResult]],
    comparison: Mapping[str, Any],
    checks: Mapping[str, Mapping[str, Any]],
) -> list[str]:
    """What was found, in plain sentences; the first is the main one."""
    summaries = {run["run"]: run for run in comparison["runs"]}
    best, kind = _chosen(runs)
    run, first = summaries[best], runs[best][0].metrics
    score = run["metrics"]["accuracy"]
    baseline = score["baseline"]
    level = comparison["interval"]["level"]
    split = first["data"]["split"]
    of_split = f"images of the {split} split"
    if split == CROSS_VALIDATION:
        how = ", each by a model that was trained without its fold,"
        of_split = f"images{'' if is_elsewhere(runs[best]) else how}"
    sentences = [
        f"{best}{kind} has an accuracy of {number(score['mean'])} on {run['n']:,} {of_split}"
        f" ({interval(score['ci'], level, run['interval_covers'])};"
        f" {count(len(run['seeds']), 'seed')}), {relation(score['ci'], baseline['value'])} the"
        f" {number(baseline['value'])} of {trivial(baseline['name'])}, the strongest trivial"
        " baseline."
    ]
    if is_elsewhere(runs[best]):
        sentences += unknown_training(first, "images")
    if small := small_sample(run["n"], score["ci"], groups=run["groups"]):
        sentences.append(small)
    if first["details"]["selected_on_result"]:
        sentences.append("Its weights were chosen on the same images: the score is optimistic.")
    for name, seeds in runs.items():
        if seeds[0].metrics["details"]["seen_in_training"]:
            sentences.append(_recall_of_training(name, summaries[name]["metrics"]["accuracy"]))
    if "blur_test" in first["details"]:
        sentences.append(_blur_sentence(first["details"]["blur_test"]))
    for name, seeds in runs.items():
        if told := outside_sentences(seeds[0].metrics, "images"):
            sentences.append(f"{name}: {' '.join(told)}")
    for name, check in checks.items():
        share = check["distribution"]["iq_proxy"]["at_the_limits"]
        sentences.append(
            f"For a share of {number(share)} of the images of {name} the formula of that index is"
            " cut off at its limit."
        )
    return sentences


def _details(seeds: Sequence[SeedResult]) -> dict[str, Any]:
    details: dict[str, Any] = seeds[0].metrics["details"]
    return details


def _chosen(runs: Mapping[str, Sequence[SeedResult]]) -> tuple[str, str]:
    """The run that the first sentence is about, and why it is this one."""
    own = trained_here(runs)
    if is_elsewhere(runs[own[0]]):
        return own[0], NOT_OURS
    unseen = [name for name in own if not _details(runs[name])["seen_in_training"]]
    # What was trained on validation remembers it.
    fair = [name for name in unseen if "validation" not in _details(runs[name])["train_on"]]
    return _best({name: runs[name] for name in own}, fair, unseen)


def _best(
    runs: Mapping[str, Sequence[SeedResult]], fair: Sequence[str], unseen: Sequence[str]
) -> tuple[str, str]:
    """The best run by validation, as far as it was not trained on it.

    Args:
        runs: all that we trained.
        fair: those trained neither on the scored images nor on validation.
        unseen: those not trained on the scored images.
    """
    means = {name: split_means(seeds) for name, seeds in runs.items()}
    accuracy = {
        name: value["validation"]["accuracy"]
        for name, value in means.items()
        if "validation" in value
    }
    groups = [[name for name in group if name in accuracy] for group in (fair, unseen, list(runs))]
    candidates = next(filter(None, groups), None)
    if candidates is None:
        return (fair or unseen or list(runs))[0], ""
    best = max(candidates, key=accuracy.__getitem__)
    if best not in fair:
        kind = "the run with the highest accuracy on validation, which it was trained on"
    elif accuracy[best] == max(accuracy.values()):
        kind = "the run with the highest validation accuracy"
    else:
        kind = "the run with the highest validation accuracy of those not trained on validation"
    return best, f", {kind},"


def _recall_of_training(name: str, score: Mapping[str, Any]) -> str:
    """What the accuracy on images that a run was trained on shows."""
    start = f"{name} was trained on the images that it is scored on, as the original was."
    value = number(score["mean"])
    if score["ci"][0] > score["baseline"]["value"]:
        return f"{start} Its {value} shows recall of these images, not skill on new ones."
    where = relation(score["ci"], score["baseline"]["value"])
    return f"{start} Even there, its {value} is {where} the trivial baseline."


def _blur_sentence(test: Mapping[str, Any]) -> str:
    """What blurring the same faces does to the index published as IQ."""
    sharp, blurred = test["blur"][0], test["blur"][-1]
    text = (
        "When the same faces are blurred, the index published as IQ goes from"
        f" {sharp['formula_iq']:.1f} to {blurred['formula_iq']:.1f} by its formula; the network's"
        f" goes from {sharp['predicted_iq']:.1f} to {blurred['predicted_iq']:.1f}."
    )
    if test["formula_iq"]["falls"]:
        text += " The formula follows the sharpness of the picture, not the person."
    if test["network_iq"]["falls"]:
        text += " What the network has learnt follows that sharpness."
    elif test["network_iq"]["flat"] and test["formula_iq"]["falls"]:
        text += " The network does not follow that sharpness."
    return text
