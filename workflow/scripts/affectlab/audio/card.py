"""The card that goes with a probe, and a short program that uses it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from affectlab.audio.model import WARNING
from affectlab.audio.scores import few_items, headline_of
from affectlab.audio.settings import AudioRun, Encoder
from affectlab.audio.tasks import speakers_known, task_title
from affectlab.evaluation.expectations import differing
from affectlab.evaluation.records import read_metrics
from affectlab.evaluation.small_data import foreign_language
from affectlab.files.io import read_json, write_text
from affectlab.report import model_cards

TEMPLATES = Path(__file__).parent


class _Kind(NamedTuple):
    """What the card of a headline score has of its own.

    Attributes:
        pipeline: of the hub; None if its task is another one.
        on_the_hub: scores in the front matter.
        figure: the main figure.
        description: of the figure.
    """

    pipeline: str | None
    on_the_hub: Sequence[str]
    figure: str
    description: str


CLASSIFICATION = "audio-classification"

KINDS = {
    "uar": _Kind(
        CLASSIFICATION,
        ("uar", "accuracy"),
        "confusion_matrix",
        "Confusion matrix over all repeats: rows are labels, columns are predictions",
    ),
    "macro_f1": _Kind(
        CLASSIFICATION,
        ("macro_f1", "exact_match"),
        "precision_recall",
        "Precision against recall of each class; the point is at the chosen threshold",
    ),
    "ccc": _Kind(
        None,
        ("ccc", "mae"),
        "predicted_values",
        "Predictions against true values, a panel for each number",
    ),
}
"""Headline score -> its kind."""

PREDICTORS = {"uar": "AudioProbe", "macro_f1": "AudioMultilabelProbe", "ccc": "AudioRegressor"}
"""Headline score -> the class that runs the probe."""

PURPOSE = (
    "research on what encoders of speech represent, teaching, and comparison of encoders on the"
    " same recordings"
)

SPEAKER_P = 0.01
"""Above this p value nothing is said about what an embedding tells of speakers."""


def write_card(
    *,
    metrics_path: Path | str,
    audit_path: Path | str,
    recipe: AudioRun,
    dataset: Mapping[str, Any],
    encoder: Encoder,
    model: Mapping[str, Any] | None,
    model_manifest_path: Path | str | None,
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
        recipe: the run, as configured.
        dataset: the registry's entry of its data set.
        encoder: of the run, as configured.
        model: the registry's entry of the encoder's checkpoint; None for one without.
        model_manifest_path: of this checkpoint; the example finds it there.
        card_path: where the card goes.
        example_path: where the program goes.
        licence_path: where the terms go.
    """
    record, audit = read_metrics(metrics_path), read_json(audit_path)
    example = model_cards.render(
        TEMPLATES / "inference_audio.py.j2",
        run=record["run"],
        encoder=encoder.checkpoint,
        predictor=PREDICTORS[headline_of(record["data"])[0]],
        manifest=None
        if model_manifest_path is None
        else model_cards.path_from(example_path, model_manifest_path),
        warning=WARNING,
    )
    data = model_cards.TrainingData(dataset, differing(audit))
    traps = model_cards.data_limits(audit)
    write_text(card_path, card(record, data, recipe, encoder, model, traps, example))
    write_text(example_path, example)
    made_from = {record["data"]["name"]: data}
    write_text(licence_path, model_cards.licence_text(record["run"], made_from, model))


def card(
    record: Mapping[str, Any],
    data: model_cards.TrainingData,
    recipe: AudioRun,
    encoder: Encoder,
    model: Mapping[str, Any] | None,
    traps: Sequence[str],
    example: str,
) -> str:
    """The text of the model card.

    Args:
        record: metrics.json of the run.
        data: what the probe was trained on.
        recipe: the run, as configured.
        encoder: of the run, as configured.
        model: the registry's entry of the encoder's checkpoint; None for one without.
        traps: sentences of the audit.
        example: the program that uses the probe.
    """
    dataset, scored, headline = data.entry, record["data"], headline_of(record["data"])[0]
    kind, title = KINDS[headline], task_title(recipe.task, scored)
    notes = (
        *traps,
        few_items(scored["n"], scored["groups"], record["metrics"][headline]["ci"], headline),
        foreign_language(dataset, model),
    )
    generated = model_cards.is_generated(dataset)
    uses = model_cards.use_sentences(record, headline, PURPOSE, generated=generated)
    body = model_cards.render(
        TEMPLATES / "model_card.md.j2",
        record=record,
        recipe=recipe,
        dataset=dataset,
        encoder=encoder,
        model=model,
        title=title,
        picture=model_cards.picture(kind.figure, kind.description),
        uses=" ".join(uses),
        example=model_cards.code_block(example),
        scores=model_cards.score_table(record, sorted(record["metrics"])),
        headline=headline,
        numbers=headline == "ccc",
        several=headline == "macro_f1",
        data_title=model_cards.data_title(scored["name"], dataset, data.differs),
        about=model_cards.describe_data(scored["name"], dataset, data.differs),
        difference=model_cards.difference_note(data.differs),
        tells_speakers=_tells_speakers(record),
        warning=WARNING,
        problems=[*model_cards.weak_points(record), *filter(None, notes)],
        subgroups=model_cards.subgroup_section(record),
        speakers_known=speakers_known(record["details"]),
    )
    task = model_cards.HubTask(
        type=CLASSIFICATION,
        name=title,
        pipeline=kind.pipeline,
        library="affectlab",
        tags=("speech", "linear-probe"),
    )
    front = model_cards.front_matter(record, {scored["name"]: data}, model, task, kind.on_the_hub)
    return model_cards.with_front_matter(front, body)


def _tells_speakers(record: Mapping[str, Any]) -> bool:
    """Whether the embedding names speakers more often than chance (binomial test, 0.01)."""
    from scipy.stats import binomtest

    speaker, clips = record["details"].get("speaker"), record["data"]["n"]
    if not speaker:
        return False
    right = round(speaker["accuracy"] * clips)
    found = binomtest(right, clips, speaker["chance"], alternative="greater")
    return bool(found.pvalue < SPEAKER_P)
