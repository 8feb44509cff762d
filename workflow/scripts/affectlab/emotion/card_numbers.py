"""The card that goes with a model of numbers, and a short program that uses it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from affectlab.emotion.settings import EmotionRun
from affectlab.evaluation import cards
from affectlab.evaluation.regression import score_stems
from affectlab.evaluation.small_data import few_for_correlation, foreign_language

TEMPLATES = Path(__file__).parent


def card(
    record: Mapping[str, Any],
    differs: Sequence[str],
    recipe: EmotionRun,
    dataset: Mapping[str, Any],
    model: Mapping[str, Any] | None,
    traps: Sequence[str] = (),
) -> str:
    """The text of the model card.

    Args:
        record: metrics.json of the run.
        differs: as in `expectations.differing`.
        recipe: the run, as configured.
        dataset: the registry's entry of its data set.
        model: the registry's entry of its pretrained model; None where the method has none.
        traps: sentences of the audit.
    """
    names = record["data"]["numbers"]
    body = cards.render(
        TEMPLATES / "number_card.md.j2",
        record=record,
        names=names,
        stems=list(zip(names, score_stems(names), strict=True)),
        recipe=recipe,
        dataset=dataset,
        model=model,
        base=cards.hub_repository(model),
        title=cards.data_title(record["data"]["name"], dataset, differs),
        about=cards.describe_data(record["data"]["name"], dataset, differs),
        generated=cards.is_generated(dataset),
        difference=cards.difference_note(differs),
        traps=traps,
        small=few_for_correlation(
            record["data"]["n"],
            record["metrics"]["ccc"]["ci"],
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
    base = cards.hub_repository(model)
    metrics = [
        {"type": kind, "name": name, "value": record["metrics"][key]["value"]}
        for key, kind, name in (
            ("ccc", "ccc", "Concordance correlation coefficient, mean"),
            ("mae", "mae", "Mean absolute error, mean"),
        )
    ]
    return {
        **cards.language_metadata(cards.facts_in_use(dataset, differs).get("languages", ())),
        # Weights made from the data stand under the data's terms, whatever the base model allows.
        "license": "other",
        "license_name": "terms-of-the-training-data",
        "library_name": "affectlab",
        "tags": ["emotion", "affective-computing", f"{record['protocol']}-protocol"],
        "datasets": [cards.hub_repository(dataset) or record["data"]["name"]],
        **({} if base is None else {"base_model": base}),
        "metrics": ["ccc", "mae"],
        "model-index": cards.model_index(
            f"affectlab-emotion-{record['run']}",
            {"type": "text-regression", "name": f"Prediction of {_listed(record)}"},
            cards.scored_dataset(record, dataset, differs),
            metrics,
        ),
    }


def inference_example(record: Mapping[str, Any]) -> str:
    """The text of inference_example.py."""
    return cards.render(TEMPLATES / "inference_numbers.py.j2", run=record["run"])


def _listed(record: Mapping[str, Any]) -> str:
    return ", ".join(record["data"]["numbers"])
