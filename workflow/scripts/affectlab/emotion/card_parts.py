"""What the card of a model of this experiment has of its own, by what the model predicts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from affectlab.datasets.description import Target
from affectlab.emotion.settings import EmotionRun
from affectlab.evaluation.regression import score_stems
from affectlab.evaluation.small_data import few_for_correlation, small_sample
from affectlab.report import model_cards

CLASSIFICATION = "text-classification"


@dataclass(frozen=True, slots=True)
class CardPart:
    """What the card of a target has of its own.

    Attributes:
        template: of the card.
        example: the template of the program, from the run as configured.
        shown: scores of the table, from a metrics.json; the first is the main one.
        compared: scores that are shown where there is room for few.
        on_the_hub: scores in the front matter.
        picture: name and description of the main figure.
        task: in words, from a metrics.json.
        pipeline: of the hub; None if its task is another one.
        small: what a score on few texts cannot show, from a metrics.json.
        values: what the template needs besides, from a metrics.json.
    """

    template: str
    example: Callable[[EmotionRun], str]
    shown: Callable[[Mapping[str, Any]], Sequence[str]]
    compared: Sequence[str]
    on_the_hub: Sequence[str]
    picture: tuple[str, str]
    task: Callable[[Mapping[str, Any]], str]
    pipeline: str | None
    small: Callable[[Mapping[str, Any]], str | None]
    values: Callable[[Mapping[str, Any]], dict[str, Any]] = lambda record: {}


def _number_scores(record: Mapping[str, Any]) -> list[str]:
    stems = score_stems(record["data"]["numbers"])
    return ["ccc", "mae", *(f"{stem}_{kind}" for stem in stems for kind in ("ccc", "mae"))]


def _limits(record: Mapping[str, Any], score: str) -> tuple[int, Sequence[float], int]:
    return record["data"]["n"], record["metrics"][score]["ci"], record["data"]["groups"]


def _few_classes(record: Mapping[str, Any]) -> str | None:
    n, limits, groups = _limits(record, "accuracy")
    return small_sample(n, limits, groups=groups)


def _few_numbers(record: Mapping[str, Any]) -> str | None:
    n, limits, groups = _limits(record, "ccc")
    return few_for_correlation(n, limits, groups=groups)


def _few_label_sets(record: Mapping[str, Any]) -> str | None:
    n, limits, groups = _limits(record, "macro_f1")
    return small_sample(n, limits, groups=groups, score="the macro F1")


def _class_task(record: Mapping[str, Any]) -> str:
    return f"Emotion classification, {len(record['data']['classes'])} classes"


def _unbalanced(record: Mapping[str, Any]) -> dict[str, Any]:
    return {"unbalanced": model_cards.is_unbalanced(record["per_class"])}


_CLASS_SCORES = ("accuracy", "macro_f1", "macro_precision", "macro_recall", "ece", "ece_calibrated")
_LABEL_SET_SCORES = ("macro_f1", "micro_f1", "exact_match", "mean_average_precision")

PARTS: Mapping[Target, CardPart] = MappingProxyType(
    {
        "class": CardPart(
            template="model_card.md.j2",
            example=lambda recipe: (
                "inference_transformers.py.j2" if recipe.is_network else "inference_tfidf.py.j2"
            ),
            shown=lambda record: _CLASS_SCORES,
            compared=("accuracy", "macro_f1"),
            on_the_hub=_CLASS_SCORES,
            picture=(
                "confusion_matrix",
                "Confusion matrix of the scored texts: rows are labels, columns are predictions",
            ),
            task=_class_task,
            pipeline=CLASSIFICATION,
            small=_few_classes,
            values=_unbalanced,
        ),
        "numbers": CardPart(
            template="number_card.md.j2",
            example=lambda recipe: "inference_numbers.py.j2",
            shown=_number_scores,
            compared=("ccc", "mae"),
            on_the_hub=("ccc", "mae"),
            picture=(
                "predicted_values",
                "Predictions of the scored texts against true values, a panel for each number",
            ),
            task=lambda record: f"Prediction of {', '.join(record['data']['numbers'])}",
            pipeline=None,
            small=_few_numbers,
            values=lambda record: {"names": record["data"]["numbers"]},
        ),
        "classes": CardPart(
            template="multilabel_card.md.j2",
            example=lambda recipe: "inference_multilabel.py.j2",
            shown=lambda record: _LABEL_SET_SCORES,
            compared=("macro_f1", "exact_match"),
            on_the_hub=_LABEL_SET_SCORES,
            picture=(
                "precision_recall",
                "Precision against recall of each class; the point is at the chosen threshold",
            ),
            task=lambda record: f"Multi-label {_class_task(record).lower()}",
            pipeline=CLASSIFICATION,
            small=_few_label_sets,
            values=_unbalanced,
        ),
    }
)
"""Of each target."""
