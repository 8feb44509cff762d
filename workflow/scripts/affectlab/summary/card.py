"""The card that goes with a model of this experiment, and a short program that uses it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from affectlab.evaluation.expectations import differing
from affectlab.evaluation.records import read_metrics
from affectlab.files.io import read_json, write_text
from affectlab.report import model_cards
from affectlab.summary.methods import OWN_LAYOUT
from affectlab.summary.own_notes import SCORES, few_cases, unknown_to_model
from affectlab.summary.settings import SummaryRun

CARD = "model_card.md.j2"
EXAMPLE = "inference_example.py.j2"
TEMPLATES = Path(__file__).parent


SHOWN = (
    *("valid_output", "rouge1", "rouge2", "rouge_l", "bleu", "chrf", "failed"),
    *("unsupported_numbers", "unsupported_names"),
)
"""Scores in the card's table."""

ON_THE_HUB = ("rouge1", "rouge2", "rouge_l", "bleu", "chrf")
"""Scores in the front matter."""


def write_card(
    *,
    metrics_path: Path | str,
    audit_path: Path | str,
    recipe: SummaryRun,
    dataset: Mapping[str, Any],
    model: Mapping[str, Any],
    model_manifest_path: Path | str,
    card_path: Path | str,
    example_path: Path | str,
    licence_path: Path | str,
) -> None:
    """Write model_card.md, inference_example.py and LICENSE.md of a trained run.

    The card shows a picture of ``figures``, and the example uses the folder ``model``, both next
    to them.

    Args:
        metrics_path: metrics.json of the run.
        audit_path: audit.json of its data.
        recipe: the run, as configured.
        dataset: the registry's entry of its data set.
        model: the registry's entry of its pretrained model.
        model_manifest_path: of this model; the example of an adapter finds it there.
        card_path: where the card goes.
        example_path: where the program goes.
        licence_path: where the terms go.
    """
    record, audit = read_metrics(metrics_path), read_json(audit_path)
    example = model_cards.render(
        TEMPLATES / EXAMPLE,
        run=record["run"],
        own=dataset["layout"] == OWN_LAYOUT,
        manifest=None if recipe.merge else model_cards.path_from(example_path, model_manifest_path),
    )
    data = model_cards.TrainingData(dataset, differing(audit))
    traps = model_cards.data_limits(audit)
    write_text(card_path, card(record, data, recipe, model, traps, example))
    write_text(example_path, example)
    made_from = {record["data"]["name"]: data}
    write_text(licence_path, model_cards.licence_text(record["run"], made_from, model))


def card(
    record: Mapping[str, Any],
    data: model_cards.TrainingData,
    recipe: SummaryRun,
    model: Mapping[str, Any],
    traps: Sequence[str],
    example: str,
) -> str:
    """The text of the model card.

    Args:
        record: metrics.json of the run.
        data: what it was trained on.
        recipe: the run, as configured.
        model: the registry's entry of its pretrained model.
        traps: sentences of the audit.
        example: the program that uses the model.
    """
    dataset, details, name = data.entry, record["details"], record["data"]["name"]
    own = dataset["layout"] == OWN_LAYOUT
    generated = model_cards.is_generated(dataset)
    limits = {score: record["metrics"][score]["ci"] for score in SCORES}
    notes = (
        few_cases(record["data"]["n"], limits) if own else None,
        unknown_to_model(details["languages"], details.get("model_languages", ())),
        *traps,
    )
    purpose = f"research on {'summarisation' if own else 'long-document summarisation'}"
    uses = model_cards.use_sentences(
        record,
        "rouge_l",
        f"{purpose}, and comparison of methods on the same split",
        generated=generated,
    )
    body = model_cards.render(
        TEMPLATES / CARD,
        record=record,
        recipe=recipe,
        dataset=dataset,
        model=model,
        picture=model_cards.picture("fields", "ROUGE of each field of the scored cases"),
        uses=" ".join(uses),
        example=model_cards.code_block(example),
        scores=model_cards.score_table(record, SHOWN),
        title=model_cards.data_title(name, dataset, data.differs),
        about=model_cards.describe_data(name, dataset, data.differs),
        generated=generated,
        difference=model_cards.difference_note(data.differs),
        own=own,
        problems=[*model_cards.weak_points(record), *filter(None, notes)],
        folds=dataset.get("split", {}).get("folds"),
        subgroups=model_cards.subgroup_section(record),
    )
    task = model_cards.HubTask(
        type="summarization",
        name="Summaries of texts" if own else "Summaries of counselling cases",
        pipeline="summarization",
        library="peft",
        tags=(*(() if own else ("counselling",)), recipe.method),
    )
    front = model_cards.front_matter(record, {name: data}, model, task, ON_THE_HUB)
    return model_cards.with_front_matter(front, body)
