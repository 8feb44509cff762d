"""The card that goes with a model of the face experiment, and a short program that uses it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from affectlab.evaluation import cards
from affectlab.evaluation.expectations import differing
from affectlab.evaluation.records import read_metrics
from affectlab.evaluation.small_data import small_sample
from affectlab.face.faces import SIDE
from affectlab.face.indices import WARNINGS
from affectlab.face.settings import FaceRun, Labels
from affectlab.files.io import read_json, write_text

TEMPLATES = Path(__file__).parent

# Name in metrics.json, type and name on the hub.
_HUB_METRICS = (
    ("accuracy", "accuracy", "Accuracy"),
    ("macro_f1", "f1", "Macro F1"),
    ("ece", "expected_calibration_error", "Expected calibration error"),
)

_LABELS = {
    "accuracy": "accuracy",
    "macro_f1": "macro F1",
    "ece": "expected calibration error",
    "ece_calibrated": "the same, after temperature scaling",
    "valence_ccc": "valence, concordance",
    "arousal_ccc": "arousal, concordance",
    "iq_proxy_mae": '"IQ" proxy, mean absolute error',
    "iq_proxy_r2": '"IQ" proxy, R2',
    "eq_proxy_mae": '"EQ" proxy, mean absolute error',
    "eq_proxy_r2": '"EQ" proxy, R2',
}


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
) -> None:
    """Write model_card.md and inference_example.py of a run.

    The card of data with proxies shows ``figures/blur_test.png``, and the example uses the folder
    ``model``, both beside them.

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
    """
    record, audit = read_metrics(metrics_path), read_json(audit_path)
    check = None if check_path is None else read_json(check_path)
    traps = cards.data_limits(audit)
    text = card(record, differing(audit), check, recipe, labels, dataset, votes, model, traps)
    write_text(card_path, text)
    example = cards.render(
        TEMPLATES / "inference.py.j2", run=record["run"], has_indices=check is not None
    )
    write_text(example_path, example)


def card(
    record: Mapping[str, Any],
    differs: Sequence[str],
    check: Mapping[str, Any] | None,
    recipe: FaceRun,
    labels: Labels,
    dataset: Mapping[str, Any],
    votes: Mapping[str, Mapping[str, Any]],
    model: Mapping[str, Any] | None,
    traps: Sequence[str] = (),
) -> str:
    """The text of the model card; *differs* as in `expectations.differing`, *traps* the audit's.

    *check* is None for data without proxies.
    """
    body = cards.render(
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
        rows=[
            (label, record["metrics"][name])
            for name, label in _LABELS.items()
            if name in record["metrics"]
        ],
        title=cards.data_title(record["data"]["name"], dataset, differs),
        about=cards.describe_data(record["data"]["name"], dataset, differs),
        unbalanced=cards.is_unbalanced(record["per_class"]),
        generated=cards.is_generated(dataset),
        difference=cards.difference_note(differs),
        traps=traps,
        subgroups=cards.subgroup_section(record),
        small=small_sample(
            record["data"]["n"],
            record["metrics"]["accuracy"]["ci"],
            groups=record["data"]["groups"],
        ),
        folds=dataset.get("split", {}).get("folds"),
        image={"size": SIDE, "color": False} | dataset.get("image", {}),
    )
    return cards.with_front_matter(metadata(record, differs, dataset, votes, model), body)


def metadata(
    record: Mapping[str, Any],
    differs: Sequence[str],
    dataset: Mapping[str, Any],
    votes: Mapping[str, Mapping[str, Any]],
    model: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """The front matter: what a hub indexes, the measured values included."""
    metrics = [
        {"type": kind, "name": name, "value": record["metrics"][key]["value"]}
        for key, kind, name in _HUB_METRICS
    ]
    base = cards.hub_repository(model)
    count = len(record["data"]["classes"])
    return {
        # Weights made from the data stand under the data's terms, whatever a backbone allows.
        "license": "other",
        "license_name": "terms-of-the-training-data",
        "library_name": "affectlab",
        "pipeline_tag": "image-classification",
        "tags": ["facial-expression", "affective-computing", f"{record['protocol']}-protocol"],
        "datasets": [record["data"]["name"], *votes],
        **({} if base is None else {"base_model": base}),
        "model-index": cards.model_index(
            f"affectlab-face-{record['run']}",
            {"type": "image-classification", "name": f"Face images, {count} classes"},
            cards.scored_dataset(record, dataset, differs),
            metrics,
        ),
    }
