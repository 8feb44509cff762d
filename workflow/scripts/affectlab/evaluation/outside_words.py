"""What has to be said of predictions for which a run trained nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from affectlab.evaluation.pretrained_records import pretrained_sentences

TUNED = "Whether the model was tuned on these items cannot be seen in predictions."


def outside_sentences(record: Mapping[str, Any], what: str = "items") -> list[str]:
    """Sentences about a run that trained nothing; none for a run of our own.

    Args:
        record: its metrics.json.
        what: plural of an item.
    """
    found = record.get("details", {}).get("outside")
    if found is None:
        return []
    n = record["data"]["n"]
    sentences = list(OPENINGS[found["kind"]](record, found, what))
    if missing := len(found["missing"]):
        sentences.append(
            f"{missing} of {n + missing} {what} have no prediction and are not scored; if"
            " these are the hard ones, the score is too good."
        )
    if listed := len(found["trained_on"]):
        sentences.append(f"The model was trained on {listed} of the scored {what}.")
    if others := len(found["other_truths"]):
        sentences.append(f"For {others} {what} the table has another true class than these data.")
    if left_out := found.get("left_out"):
        sentences.append(
            f"Scores of {' and '.join(left_out)} are left out: they need the model's embedding."
        )
    if swapped := found["swapped_names"]:
        sentences.append(f"The names of classes seem swapped: {_renamed(swapped)}.")
    if found.get("scored_priors"):
        sentences.append(
            "The data have no training split, so trivial baselines use the labels of the scored"
            f" {what}."
        )
    if found["probabilities"] is False:
        sentences.append("There are no probabilities, so calibration is not known.")
    return sentences


def _of_table(record: Mapping[str, Any], found: Mapping[str, Any], what: str) -> list[str]:
    return [f"Somebody else predicted these {what}. {TUNED}"]


def _of_prompt(record: Mapping[str, Any], found: Mapping[str, Any], what: str) -> list[str]:
    prompt = found["prompt"]
    which = "a prompt from a template file"
    if prompt["version"] is not None:
        which = f"the prompt {prompt['version']} ({prompt['language']})"
    sentences = [
        f"{found['model']} classified these {what} by {which}; nothing was trained. Whether it"
        " has seen them before is not known."
    ]
    if found["decoding"] == "likelihood":
        sentences.append(
            "Its probabilities are those of the names of the classes: a common word is likelier"
            " than a rare one."
        )
    if found["invalid"]:
        refused = f", {found['refused']} of them refused" if found["refused"] else ""
        sentences.append(
            f"{found['invalid']} of {found['asked']} answers name no class{refused}; they count"
            " as wrong."
        )
    if found["cut"]:
        sentences.append(f"The middle of {found['cut']} long texts was not read.")
    return sentences


def _renamed(swapped: Mapping[str, str]) -> str:
    pairs: Sequence[str] = [f"{given} stands for {meant}" for given, meant in swapped.items()]
    return ", ".join(pairs)


Opening = Callable[[Mapping[str, Any], Mapping[str, Any], str], list[str]]
"""From metrics.json, its outside.json and the plural of an item to sentences."""

OPENINGS: Mapping[str, Opening] = MappingProxyType(
    {"predictions": _of_table, "pretrained": pretrained_sentences, "prompt": _of_prompt}
)
"""Method of a run -> its first sentences."""
