"""The card that goes with a model of this experiment, and a short program that uses it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from affectlab.emotion.card_parts import PARTS, front_matter, part_card
from affectlab.emotion.evaluate import target_name
from affectlab.emotion.settings import EmotionRun
from affectlab.evaluation import cards
from affectlab.evaluation.expectations import differing
from affectlab.evaluation.records import read_metrics
from affectlab.evaluation.small_data import foreign_language, small_sample
from affectlab.files.io import read_json, write_text

TEMPLATES = Path(__file__).parent

# Name in metrics.json, type and name on the hub, further arguments there.
_HUB_METRICS = (
    ("accuracy", "accuracy", "Accuracy", None),
    ("macro_f1", "f1", "Macro F1", {"average": "macro"}),
    ("macro_precision", "precision", "Macro precision", {"average": "macro"}),
    ("macro_recall", "recall", "Macro recall", {"average": "macro"}),
    ("ece", "expected_calibration_error", "Expected calibration error", None),
    (
        "ece_calibrated",
        "expected_calibration_error",
        "Expected calibration error after temperature scaling",
        {"temperature": "fitted on validation"},
    ),
)


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
) -> None:
    """Write model_card.md and inference_example.py of a run.

    The example expects the model's folder beside it, as ``model``.

    Args:
        metrics_path: metrics.json of the run.
        audit_path: audit.json of its data.
        export_path: export.json of the run; None where it was not exported.
        recipe: the run, as configured.
        dataset: the registry's entry of its data set.
        model: the registry's entry of its pretrained model; None where the method has none.
        card_path: where the card goes.
        example_path: where the program goes.
    """
    record, audit = read_metrics(metrics_path), read_json(audit_path)
    export = None if not export_path else read_json(export_path)
    traps = cards.data_limits(audit)
    if part := PARTS.get(target_name(record)):
        text = part_card(part, record, differing(audit), recipe, dataset, model, export, traps)
        example = cards.render(TEMPLATES / part.example, run=record["run"])
    else:
        agreed = audit.get("agreement")
        text = card(record, differing(audit), recipe, dataset, model, export, traps, agreed)
        example = inference_example(record, recipe)
    write_text(card_path, text)
    write_text(example_path, example)


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
    body = cards.render(
        TEMPLATES / "model_card.md.j2",
        record=record,
        recipe=recipe,
        dataset=dataset,
        model=model,
        export=export,
        base=cards.hub_repository(model),
        title=cards.data_title(record["data"]["name"], dataset, differs),
        about=cards.describe_data(record["data"]["name"], dataset, differs),
        generated=cards.is_generated(dataset),
        unbalanced=cards.is_unbalanced(record["per_class"]),
        difference=cards.difference_note(differs),
        traps=traps,
        subgroups=cards.subgroup_section(record),
        agreed=agreed,
        small=small_sample(
            record["data"]["n"],
            record["metrics"]["accuracy"]["ci"],
            groups=record["data"]["groups"],
        ),
        foreign=foreign_language(dataset, model),
        folds=dataset.get("split", {}).get("folds"),
    )
    return cards.with_front_matter(metadata(record, differs, dataset, model), body)


def metadata(
    record: Mapping[str, Any],
    differs: Sequence[str],
    dataset: Mapping[str, Any],
    model: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """The front matter: what a hub indexes, the measured values included."""
    count = len(record["data"]["classes"])
    metrics = [
        {"type": kind, "name": name, "value": record["metrics"][key]["value"]}
        | ({"args": arguments} if arguments else {})
        for key, kind, name, arguments in _HUB_METRICS
    ]
    return front_matter(
        record,
        differs,
        dataset,
        model,
        library="affectlab" if model is None else "transformers",
        task={"type": "text-classification", "name": f"Emotion classification, {count} classes"},
        metrics=metrics,
        names=["accuracy", "f1", "precision", "recall"],
    )


def inference_example(record: Mapping[str, Any], recipe: EmotionRun) -> str:
    """The text of inference_example.py."""
    name = "transformers" if recipe.is_network else "tfidf"
    return cards.render(
        TEMPLATES / f"inference_{name}.py.j2",
        run=record["run"],
        max_length=recipe.max_length,
    )
