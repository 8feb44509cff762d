"""What has to be said of predictions for which a run trained nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from affectlab.evaluation.pretrained_records import pretrained_sentences

TUNED = "Whether the model was tuned on these items cannot be seen in predictions."


SPLITS = ("validation", "test")
"""Splits of data that have a training split, too."""

ONE_ANSWER = 0.9
"""Share of the items with the same answer from which a note points it out."""


def known_items(record: Mapping[str, Any]) -> int | None:
    """How many scored items the training data of a run hold, or nearly.

    Args:
        record: its metrics.json.

    Returns:
        None where nobody knows what a model from elsewhere was trained on.
    """
    data, found = record["data"], record.get("details", {}).get("outside")
    rest = record["other_splits"].get(f"{_result_split(data)}_without_overlap")
    if rest is not None:
        return int(data["n"] - rest["n"])
    if found is not None and not found["trained_on"] and data.get("split") not in SPLITS:
        return None
    return int(data["n"])


def unknown_training(record: Mapping[str, Any], what: str) -> list[str]:
    """A sentence on a model from elsewhere, unless its training items are listed.

    Args:
        record: its metrics.json.
        what: plural of an item.
    """
    if record["details"]["outside"].get("trained_on"):
        return []
    return [f"Whether it was trained on these {what} is not known."]


def _result_split(data: Mapping[str, Any]) -> str:
    return data["split"] if data.get("split") in SPLITS else "test"


def one_answer(counts: Mapping[str, int], n: int, what: str = "items") -> str | None:
    """What to say of a model that predicts the same class for nearly all items; else None.

    Args:
        counts: class -> how many items it is predicted for.
        n: number of items.
        what: plural of an item.
    """
    commonest = max(counts, key=lambda name: counts[name])
    if counts[commonest] < ONE_ANSWER * n:
        return None
    return (
        f"It predicts {commonest} for {counts[commonest]:,} of {n:,} {what}, so it hardly tells the"
        " classes of these data apart."
    )


def _answers(record: Mapping[str, Any]) -> dict[str, int]:
    """Class -> how many items it is predicted for; empty where an item has not one class."""
    columns = zip(*record.get("confusion_matrix", ()), strict=True)
    return dict(zip(record["data"].get("classes", ()), map(sum, columns), strict=False))


def outside_sentences(
    record: Mapping[str, Any], what: str = "items", *, names: bool = True
) -> list[str]:
    """Sentences about a run that trained nothing; none for a run of our own.

    Args:
        record: its metrics.json.
        what: plural of an item.
        names: whether swapped names are among them, see `swapped_sentence`.
    """
    found = record.get("details", {}).get("outside")
    if found is None:
        return []
    n = record["data"]["n"]
    sentences = list(OPENINGS[found["kind"]](record, found, what))
    if names and found["swapped_names"]:
        sentences.append(swapped_sentence(record))
    counts = _answers(record)
    if counts and (note := one_answer(counts, sum(counts.values()), what)):
        sentences.append(note)
    if missing := len(found["missing"]):
        sentences.append(
            f"{missing} of {n + missing} {what} have no prediction and are not scored; if"
            " these are the hard ones, the score is too good."
        )
    if listed := len(set(found["trained_on"]).difference(found["missing"])):
        sentences.append(f"The model was trained on {listed} of the scored {what}.")
    sentences += _of_training_list(found.get("training_list"), what)
    if others := len(found["other_truths"]):
        sentences.append(f"For {others} {what} the table has another true class than these data.")
    if left_out := found.get("left_out"):
        sentences.append(
            f"Scores of {' and '.join(left_out)} are left out: they need the model's embedding."
        )
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


def swapped_sentence(record: Mapping[str, Any], name: str = "accuracy", words: str = "") -> str:
    """A sentence about names of classes that seem swapped, and the score without the swap.

    Args:
        record: metrics.json of a run with such names.
        name: of the score; the accuracy where it is not known after renaming.
        words: name of the score in a sentence; empty for the same.
    """
    found = record["details"]["outside"]
    pairs = [f"{given} stands for {meant}" for given, meant in found["swapped_names"].items()]
    known = found["renamed"]
    name, words = (name, words or name) if name in known else ("accuracy", "accuracy")
    low, high = known[name]["ci"]
    return (
        f"The names of classes seem swapped: {', '.join(pairs)}. After renaming, the {words} is"
        f" {known[name]['value']:.3f} ({100 * record['interval']['level']:g} % interval"
        f" {low:.3f}–{high:.3f})."
    )


def _of_training_list(found: Mapping[str, Any] | None, what: str) -> list[str]:
    """What has to be said of listed training items that are none of the data."""
    if found is None or not found["unknown"]:
        return []
    such = f", such as {', '.join(found['examples'])}" if found["examples"] else ""
    are = "is" if found["unknown"] == 1 else "are"
    return [
        f"{found['unknown']} of {found['listed']} listed training ids {are} none of the {what} of"
        f" these data{such}{found['hint']}."
    ]


Opening = Callable[[Mapping[str, Any], Mapping[str, Any], str], list[str]]
"""From metrics.json, its outside.json and the plural of an item to sentences."""

OPENINGS: Mapping[str, Opening] = MappingProxyType(
    {"predictions": _of_table, "pretrained": pretrained_sentences, "prompt": _of_prompt}
)
"""Method of a run -> its first sentences."""
