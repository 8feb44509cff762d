"""Model cards of runs that predict numbers or label sets: what differs between them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from affectlab.datasets.description import Target
from affectlab.emotion.settings import EmotionRun
from affectlab.evaluation import cards
from affectlab.evaluation.regression import score_stems
from affectlab.evaluation.small_data import few_for_correlation, foreign_language, small_sample

TEMPLATES = Path(__file__).parent
CLASSIFICATION = "text-classification"


@dataclass(frozen=True, slots=True)
class CardPart:
    """What the card of a target has of its own.

    Attributes:
        template: of the card.
        example: template of the program.
        compared: scores that are shown where there is room for few -> their names.
        hub_metrics: name in metrics.json, type and name on the hub, further arguments there.
        task: type and name of the task on the hub, from a metrics.json.
        small: what a score on few texts cannot show, from a metrics.json.
        values: what the template needs besides, from a metrics.json.
    """

    template: str
    example: str
    compared: Mapping[str, str]
    hub_metrics: Sequence[tuple[str, str, str, Mapping[str, str]]]
    task: Callable[[Mapping[str, Any]], dict[str, str]]
    small: Callable[[Mapping[str, Any]], str | None]
    values: Callable[[Mapping[str, Any]], dict[str, Any]]


def part_card(
    part: CardPart,
    record: Mapping[str, Any],
    differs: Sequence[str],
    recipe: EmotionRun,
    dataset: Mapping[str, Any],
    model: Mapping[str, Any] | None,
    export: Mapping[str, Any] | None,
    traps: Sequence[str] = (),
) -> str:
    """The text of the model card.

    Args:
        part: of the run's target.
        record: metrics.json of the run.
        differs: as in `expectations.differing`.
        recipe: the run, as configured.
        dataset: the registry's entry of its data set.
        model: the registry's entry of its pretrained model; None where the method has none.
        export: export.json of the run; None where it was not exported.
        traps: sentences of the audit.
    """
    body = cards.render(
        TEMPLATES / part.template,
        record=record,
        recipe=recipe,
        dataset=dataset,
        model=model,
        export=export,
        base=cards.hub_repository(model),
        title=cards.data_title(record["data"]["name"], dataset, differs),
        about=cards.describe_data(record["data"]["name"], dataset, differs),
        generated=cards.is_generated(dataset),
        difference=cards.difference_note(differs),
        traps=traps,
        subgroups=cards.subgroup_section(record),
        compared=part.compared,
        small=part.small(record),
        foreign=foreign_language(dataset, model),
        folds=dataset.get("split", {}).get("folds"),
        **part.values(record),
    )
    metrics = [
        {"type": kind, "name": name, "value": record["metrics"][key]["value"]}
        | ({"args": dict(arguments)} if arguments else {})
        for key, kind, name, arguments in part.hub_metrics
        if key in record["metrics"]
    ]
    front = front_matter(
        record,
        differs,
        dataset,
        model,
        library="affectlab",
        task=part.task(record),
        metrics=metrics,
        names=list(dict.fromkeys(metric["type"] for metric in metrics)),
    )
    return cards.with_front_matter(front, body)


def front_matter(
    record: Mapping[str, Any],
    differs: Sequence[str],
    dataset: Mapping[str, Any],
    model: Mapping[str, Any] | None,
    *,
    library: str,
    task: Mapping[str, str],
    metrics: Sequence[Mapping[str, Any]],
    names: Sequence[str],
) -> dict[str, Any]:
    """The front matter of a card: what a hub indexes, the measured values included.

    Args:
        record: metrics.json of the run.
        differs: as in `expectations.differing`.
        dataset: the registry's entry of its data set.
        model: the registry's entry of its pretrained model; None where the method has none.
        library: that loads the model.
        task: ``type`` and ``name``.
        metrics: the measured values, as `cards.model_index` takes them.
        names: of the metrics on the hub.
    """
    base = cards.hub_repository(model)
    pipeline = {"pipeline_tag": task["type"]} if task["type"] == CLASSIFICATION else {}
    return {
        **cards.language_metadata(cards.facts_in_use(dataset, differs).get("languages", ())),
        # Weights made from the data stand under the data's terms, whatever the base model allows.
        "license": "other",
        "license_name": "terms-of-the-training-data",
        "library_name": library,
        **pipeline,
        "tags": ["emotion", "affective-computing", f"{record['protocol']}-protocol"],
        "datasets": [cards.hub_repository(dataset) or record["data"]["name"]],
        **({} if base is None else {"base_model": base}),
        "metrics": list(names),
        "model-index": cards.model_index(
            f"affectlab-emotion-{record['run']}",
            task,
            cards.scored_dataset(record, dataset, differs),
            metrics,
        ),
    }


def _number_values(record: Mapping[str, Any]) -> dict[str, Any]:
    names = record["data"]["numbers"]
    return {"names": names, "stems": list(zip(names, score_stems(names), strict=True))}


def _limits(record: Mapping[str, Any], score: str) -> tuple[int, Sequence[float], int]:
    return record["data"]["n"], record["metrics"][score]["ci"], record["data"]["groups"]


def _few_numbers(record: Mapping[str, Any]) -> str | None:
    n, limits, groups = _limits(record, "ccc")
    return few_for_correlation(n, limits, groups=groups)


def _few_label_sets(record: Mapping[str, Any]) -> str | None:
    n, limits, groups = _limits(record, "macro_f1")
    return small_sample(n, limits, groups=groups, score="the macro F1")


PARTS: Mapping[Target, CardPart] = MappingProxyType(
    {
        "numbers": CardPart(
            template="number_card.md.j2",
            example="inference_numbers.py.j2",
            compared={"ccc": "concordance", "mae": "mean absolute error"},
            hub_metrics=(
                ("ccc", "ccc", "Concordance correlation coefficient, mean", {}),
                ("mae", "mae", "Mean absolute error, mean", {}),
            ),
            task=lambda record: {
                "type": "text-regression",
                "name": f"Prediction of {', '.join(record['data']['numbers'])}",
            },
            small=_few_numbers,
            values=_number_values,
        ),
        "classes": CardPart(
            template="multilabel_card.md.j2",
            example="inference_multilabel.py.j2",
            compared={"macro_f1": "macro F1", "exact_match": "exact match"},
            hub_metrics=(
                ("macro_f1", "f1", "Macro F1", {"average": "macro"}),
                ("micro_f1", "f1", "Micro F1", {"average": "micro"}),
                ("exact_match", "exact_match", "Exact match of the label set", {}),
                ("mean_average_precision", "mean_average_precision", "Mean average precision", {}),
            ),
            task=lambda record: {
                "type": CLASSIFICATION,
                "name": f"Multi-label emotion classification, {len(record['data']['classes'])} "
                "classes",
            },
            small=_few_label_sets,
            values=lambda record: {"unbalanced": cards.is_unbalanced(record["per_class"])},
        ),
    }
)
"""Of all targets but one class for each text, whose card is `card.card`."""
