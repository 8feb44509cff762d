"""The card that goes with a model of this experiment, and a short program that uses it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from affectlab.entity.labels import neutral_of
from affectlab.entity.layouts import OWN_LAYOUT
from affectlab.entity.settings import EntityRun
from affectlab.evaluation.expectations import differing
from affectlab.evaluation.plan_text import plan_sentences
from affectlab.evaluation.records import read_metrics
from affectlab.evaluation.small_data import foreign_language, small_sample
from affectlab.files.io import read_json, write_text
from affectlab.report import model_cards

TEMPLATES = Path(__file__).parent

SHOWN = (
    *("accuracy", "top3_accuracy", "top5_accuracy", "macro_f1", "non_neutral_accuracy"),
    *("non_neutral_precision", "non_neutral_recall", "js_distance", "nll_calibrated", "ece"),
    *("ece_calibrated", "retrieval_map", "kappa_entropy_spearman", "kappa_cosine_gap", "aurc"),
    *("kappa_falls_typos", "kappa_falls_dropout"),
)
"""Scores in the card's table."""

ON_THE_HUB = ("accuracy", "macro_f1")
"""Scores in the front matter."""

PURPOSE = (
    "research on emotion in text, teaching, retrieval of texts with a like emotional tone, and"
    " comparison of methods on the same split"
)


def write_card(
    *,
    metrics_path: Path | str,
    audit_paths: Mapping[str, Path | str],
    recipe: EntityRun,
    datasets: Mapping[str, Mapping[str, Any]],
    model: Mapping[str, Any],
    card_path: Path | str,
    example_path: Path | str,
    licence_path: Path | str,
) -> None:
    """Write model_card.md, inference_example.py and LICENSE.md of a run.

    The card shows a picture of ``figures``, and the example uses the folder ``model``, both next
    to them.

    Args:
        metrics_path: metrics.json of the run.
        audit_paths: name -> audit.json of every data set that the weights saw.
        recipe: the run, as configured.
        datasets: name -> registry entry of every data set that the weights saw.
        model: the registry's entry of the pretrained encoder.
        card_path: where the card goes.
        example_path: where the program goes.
        licence_path: where the terms go.
    """
    record = read_metrics(metrics_path)
    audits = {name: read_json(path) for name, path in audit_paths.items()}
    data = {
        name: model_cards.TrainingData(entry, differing(audits[name]))
        for name, entry in datasets.items()
    }
    example = model_cards.render(TEMPLATES / "inference_example.py.j2", run=record["run"])
    write_text(card_path, card(record, audits, recipe, data, model, example))
    write_text(example_path, example)
    write_text(licence_path, model_cards.licence_text(record["run"], data, model))


def card(
    record: Mapping[str, Any],
    audits: Mapping[str, Mapping[str, Any]],
    recipe: EntityRun,
    data: Mapping[str, model_cards.TrainingData],
    model: Mapping[str, Any],
    example: str,
) -> str:
    """The text of the model card.

    Args:
        record: metrics.json of the run.
        audits: name -> audit of every data set that the weights saw.
        recipe: the run, as configured.
        data: name -> every data set that the weights saw.
        model: the registry's entry of the pretrained encoder.
        example: the program that uses the model.
    """
    scored_on = record["data"]["name"]
    scored = data[scored_on]
    generated = model_cards.is_generated(scored.entry)
    small = small_sample(
        record["data"]["n"],
        record["metrics"]["accuracy"]["ci"],
        groups=record["data"]["groups"],
        score="the accuracy",
    )
    notes = (small, *plan_sentences(audits[scored_on]), foreign_language(scored.entry, model))
    uses = model_cards.use_sentences(record, ON_THE_HUB[0], PURPOSE, generated=generated)
    body = model_cards.render(
        TEMPLATES / "model_card.md.j2",
        record=record,
        recipe=recipe,
        datasets={name: one.entry for name, one in data.items()},
        model=model,
        picture=model_cards.picture(
            "map",
            "The mean directions of the scored texts on their two principal axes; lines lead from"
            " the names of classes to their prototypes",
        ),
        uses=" ".join(uses),
        example=model_cards.code_block(example),
        scores=model_cards.score_table(record, SHOWN),
        titles={name: model_cards.data_title(name, *one) for name, one in data.items()},
        about={name: model_cards.describe_data(name, *one) for name, one in data.items()},
        mostly_neutral=_is_mostly_neutral(record),
        grouped=scored.entry.get("layout") == OWN_LAYOUT,
        folds=scored.entry.get("split", {}).get("folds"),
        problems=[*model_cards.weak_points(record), *filter(None, notes)],
        traps={name: model_cards.traps_of(audits[name]) for name in data},
        subgroups=model_cards.subgroup_section(record),
        generated=generated,
        weak=[name for name in data if audits[name]["weak_labels"]],
        difference=model_cards.difference_note(scored.differs),
    )
    task = model_cards.HubTask(
        type="text-classification",
        name=f"Emotion of spans and sentences, {len(record['data']['classes'])} classes",
        pipeline="feature-extraction",
        library="affectlab",
        tags=("emotion", "von-mises-fisher"),
    )
    front = model_cards.front_matter(record, data, model, task, ON_THE_HUB)
    return model_cards.with_front_matter(front, body)


def _is_mostly_neutral(record: Mapping[str, Any]) -> bool:
    classes = record["data"]["classes"]
    neutral = neutral_of(classes)
    if neutral is None:
        return False
    return bool(2 * record["per_class"][classes[neutral]]["support"] > record["data"]["n"])
