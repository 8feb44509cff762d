"""The card that goes with a model of this experiment, and a short program that uses it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from affectlab.emotion.card_parts import CLASSIFICATION, PARTS
from affectlab.emotion.evaluate import target_name
from affectlab.emotion.settings import EmotionRun
from affectlab.evaluation.expectations import differing
from affectlab.evaluation.records import read_metrics
from affectlab.evaluation.small_data import foreign_language
from affectlab.files.io import read_json, write_text
from affectlab.report import model_cards

TEMPLATES = Path(__file__).parent

PURPOSE = "research on emotion in text, teaching, and comparison of other methods on the same data"


def write_card(
    *,
    metrics_path: Path | str,
    audit_path: Path | str,
    export_path: Path | str | None,
    recipe: EmotionRun,
    dataset: Mapping[str, Any],
    model: Mapping[str, Any] | None,
    card_path: Path | str,
    example_path: Path | str,
    licence_path: Path | str,
) -> None:
    """Write model_card.md, inference_example.py and LICENSE.md of a run.

    The card shows a picture of ``figures``, and the example uses the folder ``model``, both next
    to them.

    Args:
        metrics_path: metrics.json of the run.
        audit_path: audit.json of its data.
        export_path: export.json of the run; None where it was not exported.
        recipe: the run, as configured.
        dataset: the registry's entry of its data set.
        model: the registry's entry of its pretrained model; None where the method has none.
        card_path: where the card goes.
        example_path: where the program goes.
        licence_path: where the terms go.
    """
    record, audit = read_metrics(metrics_path), read_json(audit_path)
    export = None if not export_path else read_json(export_path)
    traps, agreed = model_cards.data_limits(audit), audit.get("agreement")
    differs = differing(audit)
    text = card(record, differs, recipe, dataset, model, export, traps, agreed)
    write_text(card_path, text)
    write_text(example_path, inference_example(record, recipe))
    made_from = {record["data"]["name"]: model_cards.TrainingData(dataset, differs)}
    write_text(licence_path, model_cards.licence_text(record["run"], made_from, model))


def card(
    record: Mapping[str, Any],
    differs: Sequence[str],
    recipe: EmotionRun,
    dataset: Mapping[str, Any],
    model: Mapping[str, Any] | None,
    export: Mapping[str, Any] | None = None,
    traps: Sequence[str] = (),
    agreed: Mapping[str, Any] | None = None,
) -> str:
    """The text of the model card.

    Args:
        record: metrics.json of the run.
        differs: as in `expectations.differing`.
        recipe: the run, as configured.
        dataset: the registry's entry of its data set.
        model: the registry's entry of its pretrained model; None where the method has none.
        export: export.json of the run; None where it was not exported.
        traps: sentences of the audit.
        agreed: ``agreement`` of the audit; None where each item has one label.
    """
    target = target_name(record)
    part, name = PARTS[target], record["data"]["name"]
    generated = model_cards.is_generated(dataset)
    shown = part.shown(record)
    notes = (part.small(record), *traps, foreign_language(dataset, model))
    uses = model_cards.use_sentences(record, shown[0], PURPOSE, generated=generated)
    body = model_cards.render(
        TEMPLATES / part.template,
        record=record,
        recipe=recipe,
        dataset=dataset,
        model=model,
        export=export,
        base=model_cards.hub_repository(model),
        picture=model_cards.picture(*part.picture),
        uses=" ".join(uses),
        example=model_cards.code_block(inference_example(record, recipe)),
        warns=target != "class" or not recipe.is_network,
        scores=model_cards.score_table(record, shown),
        compared=part.compared,
        title=model_cards.data_title(name, dataset, differs),
        about=model_cards.describe_data(name, dataset, differs),
        generated=generated,
        difference=model_cards.difference_note(differs),
        subgroups=model_cards.subgroup_section(record),
        agreed=agreed,
        problems=[*model_cards.weak_points(record), *filter(None, notes)],
        folds=dataset.get("split", {}).get("folds"),
        **part.values(record),
    )
    task = model_cards.HubTask(
        type=CLASSIFICATION,
        name=part.task(record),
        pipeline=part.pipeline,
        # Others than classifiers need more of the folder than the network.
        library="transformers" if model is not None and target == "class" else "affectlab",
        tags=("emotion", "affective-computing"),
    )
    made_from = {name: model_cards.TrainingData(dataset, differs)}
    front = model_cards.front_matter(record, made_from, model, task, part.on_the_hub)
    return model_cards.with_front_matter(front, body)


def inference_example(record: Mapping[str, Any], recipe: EmotionRun) -> str:
    """The text of inference_example.py."""
    template = PARTS[target_name(record)].example(recipe)
    return model_cards.render(TEMPLATES / template, run=record["run"], max_length=recipe.max_length)
