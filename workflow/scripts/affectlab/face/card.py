"""The card that goes with a model of the face experiment, and a short program that uses it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from affectlab.evaluation.expectations import differing
from affectlab.evaluation.records import read_metrics
from affectlab.evaluation.small_data import small_sample
from affectlab.face.faces import SIDE
from affectlab.face.indices import WARNINGS
from affectlab.face.settings import FaceRun, Labels
from affectlab.files.io import read_json, write_text
from affectlab.report import model_cards

TEMPLATES = Path(__file__).parent

SHOWN = (
    *("accuracy", "macro_f1", "ece", "ece_calibrated", "valence_ccc", "arousal_ccc"),
    *("iq_proxy_mae", "iq_proxy_r2", "eq_proxy_mae", "eq_proxy_r2"),
)
"""Scores in the card's table."""

ON_THE_HUB = ("accuracy", "macro_f1", "ece")
"""Scores in the front matter."""

BLUR_TEST = "The same faces, blurred and with less contrast, and what both indices do"
CONFUSION = "Confusion matrix of the scored images: rows are labels, columns are predictions"

_COORDINATES = (
    "mean ratings of emotion words (Russell and Mehrabian, Journal of Research in Personality 11"
    " (1977) 273-294, [doi 10.1016/0092-6566(77)90037-X]"
    "(https://doi.org/10.1016/0092-6566\\(77\\)90037-X))"
)
AFFECT_SOURCES = {
    "metadata": Markup("given by the data"),
    "votes": Markup(
        f"the mean under the votes of {_COORDINATES}; of the class label where there are none"
    ),
    "circumplex": Markup(f"those of the class label, {_COORDINATES}"),
}
"""Where valence and arousal come from, by `labels.affect_source`, as the card says it."""


def write_card(
    *,
    metrics_path: Path,
    audit_path: Path,
    check_path: Path | None,
    recipe: FaceRun,
    labels: Labels,
    dataset: Mapping[str, Any],
    votes: Mapping[str, Mapping[str, Any]],
    model: Mapping[str, Any] | None,
    card_path: Path,
    example_path: Path,
    licence_path: Path,
) -> None:
    """Write model_card.md, inference_example.py and LICENSE.md of a run.

    The card shows a picture of ``figures``, and the example uses the folder ``model``, both next
    to them.

    Args:
        metrics_path: metrics.json of the run.
        audit_path: audit.json of its data.
        check_path: label_check.json of its data; None for data without proxies.
        recipe: the run, as configured.
        labels: how its labels were made.
        dataset: the registry's entry of its data set.
        votes: that of the votes on it, by name; empty where there are none.
        model: the registry's entry of its pretrained backbone; None where there is none.
        card_path: where the card goes.
        example_path: where the program goes.
        licence_path: where the terms go.
    """
    record, audit = read_metrics(metrics_path), read_json(audit_path)
    check = None if check_path is None else read_json(check_path)
    data = model_cards.TrainingData(dataset, differing(audit))
    example = model_cards.render(
        TEMPLATES / "inference.py.j2", run=record["run"], has_indices=check is not None
    )
    traps = model_cards.data_limits(audit)
    text = card(record, data, check, recipe, labels, votes, model, traps, example)
    write_text(card_path, text)
    write_text(example_path, example)
    made_from = _made_from(record, data, votes)
    write_text(licence_path, model_cards.licence_text(record["run"], made_from, model))


def card(
    record: Mapping[str, Any],
    data: model_cards.TrainingData,
    check: Mapping[str, Any] | None,
    recipe: FaceRun,
    labels: Labels,
    votes: Mapping[str, Mapping[str, Any]],
    model: Mapping[str, Any] | None,
    traps: Sequence[str],
    example: str,
) -> str:
    """The text of the model card.

    Args:
        record: metrics.json of the run.
        data: what it was trained on.
        check: label_check.json of the data; None for data without proxies.
        recipe: the run, as configured.
        labels: how its labels were made.
        votes: registry entries of the votes, by name.
        model: the registry's entry of its pretrained backbone; None where there is none.
        traps: sentences of the audit.
        example: the program that uses the model.
    """
    name, dataset = record["data"]["name"], data.entry
    generated = model_cards.is_generated(dataset)
    small = small_sample(
        record["data"]["n"], record["metrics"]["accuracy"]["ci"], groups=record["data"]["groups"]
    )
    uses = model_cards.use_sentences(
        record,
        "accuracy",
        "research on how such measures work and fail, teaching, and comparison of methods on the"
        " same split",
        generated=generated,
    )
    body = model_cards.render(
        TEMPLATES / "model_card.md.j2",
        record=record,
        check=check,
        recipe=recipe,
        labels=labels,
        dataset=dataset,
        votes=votes,
        affect_source=None if check is None else AFFECT_SOURCES[check["affect_source"]],
        warnings=WARNINGS,
        model=model,
        picture=model_cards.picture("confusion_matrix", CONFUSION)
        if check is None
        else model_cards.picture("blur_test", BLUR_TEST),
        uses=" ".join(uses),
        example=model_cards.code_block(example),
        scores=model_cards.score_table(record, SHOWN),
        title=model_cards.data_title(name, dataset, data.differs),
        about=model_cards.describe_data(name, dataset, data.differs),
        problems=[*model_cards.weak_points(record), *([small] if small else []), *traps],
        generated=generated,
        difference=model_cards.difference_note(data.differs),
        subgroups=model_cards.subgroup_section(record),
        folds=dataset.get("split", {}).get("folds"),
        image={"size": SIDE, "color": False} | dataset.get("image", {}),
    )
    task = model_cards.HubTask(
        type="image-classification",
        name=f"Face images, {len(record['data']['classes'])} classes",
        pipeline="image-classification",
        library="affectlab",
        tags=("facial-expression", "affective-computing"),
    )
    made_from = _made_from(record, data, votes)
    front = model_cards.front_matter(record, made_from, model, task, ON_THE_HUB)
    return model_cards.with_front_matter(front, body)


def _made_from(
    record: Mapping[str, Any],
    data: model_cards.TrainingData,
    votes: Mapping[str, Mapping[str, Any]],
) -> dict[str, model_cards.TrainingData]:
    """Name -> everything that the weights were made from."""
    votes_data = {name: model_cards.TrainingData(entry) for name, entry in votes.items()}
    return {record["data"]["name"]: data, **votes_data}
