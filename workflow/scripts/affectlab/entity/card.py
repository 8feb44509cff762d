"""The card that goes with a model of this experiment, and a short program that uses it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from affectlab.entity.labels import neutral_of
from affectlab.entity.layouts import OWN_LAYOUT
from affectlab.entity.settings import EntityRun
from affectlab.evaluation import cards
from affectlab.evaluation.expectations import differing
from affectlab.evaluation.plan_text import plan_sentences
from affectlab.evaluation.records import read_metrics
from affectlab.evaluation.small_data import foreign_language, small_sample
from affectlab.files.io import read_json, write_text

TEMPLATES = Path(__file__).parent

SHOWN = (
    ("accuracy", "accuracy of the decision"),
    ("top3_accuracy", "class among the three likeliest"),
    ("top5_accuracy", "class among the five likeliest"),
    ("macro_f1", "macro F1 of the classes that occur"),
    ("non_neutral_accuracy", "non-neutral targets given their class"),
    ("non_neutral_precision", "of those called non-neutral, such that are"),
    ("non_neutral_recall", "of the non-neutral, those called so"),
    ("js_distance", "Jensen-Shannon distance to the soft label"),
    ("nll_calibrated", "log loss (nats)"),
    ("ece", "expected calibration error, as trained"),
    ("ece_calibrated", "the same, after temperature scaling"),
    ("retrieval_map", "retrieval, mean average precision"),
    ("kappa_entropy_spearman", "rank correlation of kappa and label entropy"),
    ("kappa_cosine_gap", "gap between cosine and what kappa foretells"),
    ("aurc", "area under risk-coverage by kappa"),
    ("kappa_falls_typos", "targets whose kappa falls with typos"),
    ("kappa_falls_dropout", "the same with words left out"),
)
"""Scores in the card's table, and what they are called there."""


def write_card(
    *,
    metrics_path: Path | str,
    audit_paths: Mapping[str, Path | str],
    recipe: EntityRun,
    datasets: Mapping[str, Mapping[str, Any]],
    model: Mapping[str, Any],
    card_path: Path | str,
    example_path: Path | str,
) -> None:
    """Write model_card.md and inference_example.py of a run.

    The example expects the model's folder beside it, as ``model``.

    Args:
        metrics_path: metrics.json of the run.
        audit_paths: name -> audit.json of every data set that the weights saw.
        recipe: the run, as configured.
        datasets: name -> registry entry of every data set that the weights saw.
        model: the registry's entry of the pretrained encoder.
        card_path: where the card goes.
        example_path: where the program goes.
    """
    record = read_metrics(metrics_path)
    audits = {name: read_json(path) for name, path in audit_paths.items()}
    write_text(card_path, card(record, audits, recipe, datasets, model))
    example = cards.render(TEMPLATES / "inference_example.py.j2", run=record["run"])
    write_text(example_path, example)


def card(
    record: Mapping[str, Any],
    audits: Mapping[str, Mapping[str, Any]],
    recipe: EntityRun,
    datasets: Mapping[str, Mapping[str, Any]],
    model: Mapping[str, Any],
) -> str:
    """The text of the model card."""
    scored_on = record["data"]["name"]
    differs = {name: differing(audits[name]) for name in datasets}
    languages = {
        code
        for name, entry in datasets.items()
        for code in cards.facts_in_use(entry, differs[name]).get("languages", ())
    }
    shown = [(label, record["metrics"][name]) for name, label in SHOWN if name in record["metrics"]]
    body = cards.render(
        TEMPLATES / "model_card.md.j2",
        record=record,
        recipe=recipe,
        datasets=datasets,
        model=model,
        shown=shown,
        titles={n: cards.data_title(n, entry, differs[n]) for n, entry in datasets.items()},
        about={n: cards.describe_data(n, entry, differs[n]) for n, entry in datasets.items()},
        mostly_neutral=_is_mostly_neutral(record),
        grouped=datasets[scored_on].get("layout") == OWN_LAYOUT,
        folds=datasets[scored_on].get("split", {}).get("folds"),
        traps={name: cards.traps_of(audits[name]) for name in datasets},
        plan=plan_sentences(audits[scored_on]),
        subgroups=cards.subgroup_section(record),
        small=small_sample(
            record["data"]["n"],
            record["metrics"]["accuracy"]["ci"],
            groups=record["data"]["groups"],
            score="the accuracy",
        ),
        foreign=foreign_language(datasets[scored_on], model),
        generated=cards.is_generated(datasets[scored_on]),
        weak=[name for name in datasets if audits[name]["weak_labels"]],
        difference=cards.difference_note(differs[scored_on]),
    )
    return cards.with_front_matter(metadata(record, differs[scored_on], datasets, languages), body)


def _is_mostly_neutral(record: Mapping[str, Any]) -> bool:
    classes = record["data"]["classes"]
    neutral = neutral_of(classes)
    if neutral is None:
        return False
    return bool(2 * record["per_class"][classes[neutral]]["support"] > record["data"]["n"])


def metadata(
    record: Mapping[str, Any],
    differs: Sequence[str],
    datasets: Mapping[str, Mapping[str, Any]],
    languages: Collection[str],
) -> dict[str, Any]:
    """The front matter: what a hub indexes, the measured values included."""
    count = len(record["data"]["classes"])
    return {
        **cards.language_metadata(sorted(languages)),
        # Weights made from the data stand under the data's terms, whatever the encoder allows.
        "license": "other",
        "license_name": "terms-of-the-training-data",
        "library_name": "affectlab",
        "pipeline_tag": "feature-extraction",
        "tags": ["emotion", "von-mises-fisher", f"{record['protocol']}-protocol"],
        "datasets": sorted(datasets),
        "model-index": cards.model_index(
            f"affectlab-entity-{record['run']}",
            {
                "type": "text-classification",
                "name": f"Emotion of spans and sentences, {count} classes",
            },
            cards.scored_dataset(record, datasets[record["data"]["name"]], differs),
            [
                {"type": kind, "name": label, "value": record["metrics"][key]["value"]}
                for key, kind, label in (
                    ("accuracy", "accuracy", "Accuracy"),
                    ("macro_f1", "f1", "Macro F1"),
                )
            ],
        ),
    }
