"""The card that goes with a probe, and a short program that uses it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from affectlab.audio.model import WARNING
from affectlab.audio.scores import few_items, headline_of
from affectlab.audio.settings import AudioRun, Encoder
from affectlab.audio.tasks import speakers_known, task_title
from affectlab.evaluation import cards
from affectlab.evaluation.expectations import differing
from affectlab.evaluation.records import read_metrics
from affectlab.evaluation.small_data import foreign_language
from affectlab.files.io import read_json, write_text

TEMPLATES = Path(__file__).parent


class _Kind(NamedTuple):
    """How the index of a hub calls a headline score."""

    pipeline: str
    metric: Mapping[str, str]


KINDS = {
    "uar": _Kind("audio-classification", {"type": "recall", "name": "Unweighted average recall"}),
    "macro_f1": _Kind("audio-classification", {"type": "f1", "name": "Macro F1"}),
    "ccc": _Kind(
        "audio-regression",
        {"type": "ccc", "name": "Concordance correlation coefficient, mean"},
    ),
}
"""Headline score -> its kind."""

PREDICTORS = {"uar": "AudioProbe", "macro_f1": "AudioMultilabelProbe", "ccc": "AudioRegressor"}
"""Headline score -> the class that runs the probe."""

SCORE_NAMES = {"uar": "UAR", "macro_f1": "macro F1", "ccc": "CCC"}
"""Headline score -> as sentences call it."""

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
) -> None:
    """Write model_card.md and inference_example.py of a run.

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
    """
    record, audit = read_metrics(metrics_path), read_json(audit_path)
    traps = cards.data_limits(audit)
    text = card(record, differing(audit), recipe, dataset, encoder, model, traps)
    write_text(card_path, text)
    example = cards.render(
        TEMPLATES / "inference_audio.py.j2",
        run=record["run"],
        encoder=encoder.checkpoint,
        predictor=PREDICTORS[headline_of(record["data"])[0]],
        manifest=None
        if model_manifest_path is None
        else cards.path_from(example_path, model_manifest_path),
        warning=WARNING,
    )
    write_text(example_path, example)


def card(
    record: Mapping[str, Any],
    differs: Sequence[str],
    recipe: AudioRun,
    dataset: Mapping[str, Any],
    encoder: Encoder,
    model: Mapping[str, Any] | None,
    traps: Sequence[str] = (),
) -> str:
    """The text of the model card; *differs* as in `expectations.differing`, *traps* the audit's."""
    data, headline = record["data"], headline_of(record["data"])[0]
    title, score = task_title(recipe.task, data), record["metrics"][headline]
    body = cards.render(
        TEMPLATES / "model_card.md.j2",
        record=record,
        recipe=recipe,
        dataset=dataset,
        encoder=encoder,
        model=model,
        title=title,
        headline=headline,
        score_name=SCORE_NAMES[headline],
        numbers=headline == "ccc",
        several=headline == "macro_f1",
        data_title=cards.data_title(record["data"]["name"], dataset, differs),
        about=cards.describe_data(record["data"]["name"], dataset, differs),
        difference=cards.difference_note(differs),
        tells_speakers=_tells_speakers(record),
        warning=WARNING,
        traps=traps,
        subgroups=cards.subgroup_section(record),
        small=few_items(data["n"], data["groups"], score["ci"], headline),
        foreign=foreign_language(dataset, model),
        speakers_known=speakers_known(record["details"]),
    )
    metadata = {
        **cards.language_metadata(cards.facts_in_use(dataset, differs).get("languages", ())),
        "license": "other",
        "license_name": "terms-of-the-training-data-and-the-encoder",
        "library_name": "affectlab",
        **({"pipeline_tag": "audio-classification"} if headline != "ccc" else {}),
        "tags": ["speech", "linear-probe", f"{record['protocol']}-protocol"],
        "datasets": [record["data"]["name"]],
        "model-index": cards.model_index(
            f"affectlab-audio-{record['run']}",
            {"type": KINDS[headline].pipeline, "name": title},
            cards.scored_dataset(record, dataset, differs),
            [{**KINDS[headline].metric, "value": score["value"]}],
        ),
    }
    return cards.with_front_matter(metadata, body)


def _tells_speakers(record: Mapping[str, Any]) -> bool:
    """Whether the embedding names speakers more often than chance (binomial test, 0.01)."""
    from scipy.stats import binomtest

    speaker, clips = record["details"].get("speaker"), record["data"]["n"]
    if not speaker:
        return False
    right = round(speaker["accuracy"] * clips)
    found = binomtest(right, clips, speaker["chance"], alternative="greater")
    return bool(found.pvalue < SPEAKER_P)
