"""The card that goes with a model of this experiment, and a short program that uses it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from affectlab.evaluation import cards
from affectlab.evaluation.expectations import differing
from affectlab.evaluation.records import read_metrics
from affectlab.files.io import read_json, write_text
from affectlab.summary.methods import OWN_LAYOUT
from affectlab.summary.own_notes import SCORES, few_cases, unknown_to_model
from affectlab.summary.settings import SummaryRun

CARD = "model_card.md.j2"
EXAMPLE = "inference_example.py.j2"
TEMPLATES = Path(__file__).parent


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
) -> None:
    """Write model_card.md and inference_example.py of a trained run.

    Args:
        metrics_path: metrics.json of the run.
        audit_path: audit.json of its data.
        recipe: the run, as configured.
        dataset: the registry's entry of its data set.
        model: the registry's entry of its pretrained model.
        model_manifest_path: of this model; the example of an adapter finds it there.
        card_path: where the card goes.
        example_path: where the program goes; it expects the model's folder beside it.
    """
    record, audit = read_metrics(metrics_path), read_json(audit_path)
    differs, details = differing(audit), record["details"]
    own = dataset["layout"] == OWN_LAYOUT
    body = cards.render(
        TEMPLATES / CARD,
        record=record,
        recipe=recipe,
        dataset=dataset,
        model=model,
        title=cards.data_title(record["data"]["name"], dataset, differs),
        about=cards.describe_data(record["data"]["name"], dataset, differs),
        generated=cards.is_generated(dataset),
        difference=cards.difference_note(differs),
        own=own,
        few=few_cases(record["data"]["n"], {n: record["metrics"][n]["ci"] for n in SCORES})
        if own
        else None,
        foreign=unknown_to_model(details["languages"], details.get("model_languages", ())),
        traps=cards.data_limits(audit),
        folds=dataset.get("split", {}).get("folds"),
        subgroups=cards.subgroup_section(record),
    )
    metadata = _metadata(record, differs, recipe, dataset, model)
    write_text(card_path, cards.with_front_matter(metadata, body))
    write_text(
        example_path,
        cards.render(
            TEMPLATES / EXAMPLE,
            run=record["run"],
            own=own,
            manifest=None if recipe.merge else cards.path_from(example_path, model_manifest_path),
        ),
    )


def _metadata(
    record: Mapping[str, Any],
    differs: Sequence[str],
    recipe: SummaryRun,
    dataset: Mapping[str, Any],
    model: Mapping[str, Any],
) -> dict[str, Any]:
    """The front matter: what a hub indexes, the measured values included."""
    data_id = cards.hub_repository(dataset) or record["data"]["name"]
    base = cards.hub_repository(model)
    own = dataset["layout"] == OWN_LAYOUT
    names = {
        "rouge1": "ROUGE-1",
        "rouge2": "ROUGE-2",
        "rouge_l": "ROUGE-L",
        "bleu": "BLEU",
        "chrf": "chrF",
    }
    return {
        **cards.language_metadata(cards.facts_in_use(dataset, differs).get("languages", ())),
        # Weights made from the data stand under the data's terms, whatever the base model allows.
        "license": "other",
        "license_name": "terms-of-the-training-data",
        "library_name": "peft",
        "pipeline_tag": "summarization",
        "tags": [
            *([] if own else ["counselling"]),
            recipe.method,
            f"{record['protocol']}-protocol",
        ],
        "datasets": [data_id],
        **({} if base is None else {"base_model": base}),
        "model-index": cards.model_index(
            f"affectlab-summary-{record['run']}",
            {
                "type": "summarization",
                "name": "Summaries of texts" if own else "Summaries of counselling cases",
            },
            cards.scored_dataset(record, dataset, differs),
            [
                {"type": key, "name": name, "value": record["metrics"][key]["value"]}
                for key, name in names.items()
            ],
        ),
    }
