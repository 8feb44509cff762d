"""The verdict on a result that somebody else reported, in one page of plain text."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from affectlab.config.experiment import Judged
from affectlab.config.messages import nearest
from affectlab.errors import UserError
from affectlab.evaluation.outside_words import known_items, outside_sentences, swapped_sentence
from affectlab.evaluation.small_data import few_for_correlation, small_sample
from affectlab.report.display import limits, number, score_name, signed
from affectlab.report.words import count, relation, trivial

WIDTH = 88
LIMITS = {
    "ccc": (-1.0, 1.0, "a number from -1 to 1"),
    "mae": (0.0, math.inf, "a number of 0 or more"),
}
"""Ending of the name of a score that is no share -> its lowest and highest value, in words."""


def parse_claim(text: str) -> tuple[str, float]:
    """The score and the value of a claim such as ``accuracy=0.94`` or ``accuracy=94%``.

    Numbers have claims such as ``ccc=0.6`` or, for one of several, ``ccc_valence=0.6``.

    Raises:
        UserError: it has another form.
    """
    name, separator, value = text.partition("=")
    name = name.strip().replace("-", "_")
    kind, _, stem = name.partition("_")
    if kind in LIMITS and stem:
        name = f"{stem}_{kind}"
    low, high, what = LIMITS.get(name.rpartition("_")[2], (0.0, 1.0, "a share"))
    try:
        number = float(value.removesuffix("%")) / (100 if value.endswith("%") else 1)
    except ValueError:
        number = float("nan")
    if not separator or not low <= number <= high:
        raise UserError(f"--claim {text}: expected a score and {what}, such as accuracy=0.94")
    return name, number


def verdict(
    record: Mapping[str, Any],
    claim: tuple[str, float] | None,
    judged: Judged,
    *,
    predicted_alone: bool = False,
) -> str:
    """Whether a claim holds on these items, and what speaks for and against it.

    Args:
        record: metrics.json of the run on somebody else's predictions.
        claim: score and claimed value; None without a claim.
        judged: what it is about.
        predicted_alone: whether the table chose the scored items: those that it predicts.
    """
    what = judged.items
    unknown = None
    if claim is not None:
        found = _claimed_score(record, claim[0])
        unknown = None if found else _unknown_score(record, claim[0])
        claim = (found, claim[1]) if found else None
    headline = next((one for one in judged.headlines if one in record["metrics"]), None)
    name = claim[0] if claim else headline or judged.headlines[0]
    paragraphs = [
        ("Chosen", _chosen(record, what) if predicted_alone else None),
        ("Score", _score(record, name, what)),
        ("Names", _names(record, name, claim)),
        ("Claim", unknown if claim is None else _claim(record, claim)),
        ("Baseline", _baseline(record, name)),
        ("Leakage", _leakage(record, name, judged)),
        ("Duplicates", _duplicates(record["data"], what)),
        ("Table", " ".join(outside_sentences(record, what, names=False))),
        ("Size", _size(record, name)),
    ]
    return "\n".join(
        textwrap.fill(text, WIDTH, initial_indent=f"{title:<12}", subsequent_indent=12 * " ")
        for title, text in paragraphs
        if text
    )


def _score(record: Mapping[str, Any], name: str, what: str) -> str:
    data, entry = record["data"], record["metrics"][name]
    others = [
        f"{score_name(other)} {number(record['metrics'][other]['value'])}"
        for other in ("accuracy", "macro_f1", "exact_match", "ccc", "mae")
        if other in record["metrics"] and other != name
    ]
    rest = f" Also: {', '.join(others)}." if others else ""
    return (
        f"On {data['n']:,} {what} the {score_name(name)} is {number(entry['value'])}"
        f" ({_limits(record, entry)}).{rest}"
    )


def _chosen(record: Mapping[str, Any], what: str) -> str | None:
    """A warning if items without a prediction were taken for training data."""
    without, n = record["details"]["outside"]["without_prediction"], record["data"]["n"]
    if not without:
        return None
    return (
        f"{without:,} of the {without + n:,} {what} of these data have no prediction. They were"
        f" taken for training data. If the {n:,} were chosen by how right they are, the score"
        " means nothing."
    )


def _names(record: Mapping[str, Any], name: str, claim: tuple[str, float] | None) -> str | None:
    """Whether the names of classes seem swapped, and what that does to score and claim."""
    found = record["details"]["outside"]
    if not found["swapped_names"]:
        return None
    sentence = swapped_sentence(record, name, score_name(name))
    if claim is None or name not in found["renamed"]:
        return sentence
    low, high = found["renamed"][name]["ci"]
    lies = "lies" if low <= claim[1] <= high else "does not lie"
    return f"{sentence} The claim {lies} in this interval."


def _claimed_score(record: Mapping[str, Any], name: str) -> str | None:
    """The score that a claim names, in any case; None if there is no such score."""
    return next((one for one in record["metrics"] if one.casefold() == name.casefold()), None)


def _unknown_score(record: Mapping[str, Any], name: str) -> str:
    hint = nearest(name, record["metrics"])
    end = "" if hint.endswith("?") else "."
    return f"There is no score {name!r} of these predictions{hint}{end} The claim is not judged."


def _claim(record: Mapping[str, Any], claim: tuple[str, float]) -> str:
    name, value = claim
    low, high = record["metrics"][name]["ci"]
    found = record["metrics"][name]["value"]
    start = f"The claim is {number(value)}, {signed(value - found)} from what we find."
    if low <= value <= high:
        return f"{start} It lies inside the interval: these {record['data']['n']:,} items agree."
    better = value < low if record["metrics"][name]["direction"] == "higher" else value > high
    if better:
        return f"{start} It lies outside the interval: these items show more than is claimed."
    return f"{start} It lies outside the interval: these items do not confirm it."


def _baseline(record: Mapping[str, Any], name: str) -> str | None:
    entry = record["metrics"][name]
    baseline = entry["baseline"]
    if baseline is None:
        return None
    where = relation(entry["ci"], baseline["value"])
    subject = "interval" if where in ("above", "below") else "score"
    return (
        f"The strongest trivial baseline, {trivial(baseline['name'], record['experiment'])}, has"
        f" {number(baseline['value'])}. The {subject} is {where} it."
    )


def _leakage(record: Mapping[str, Any], name: str, judged: Judged) -> str:
    what = judged.items
    rest = record["other_splits"].get("test_without_overlap")
    left_out = known_items(record)
    if left_out is None:
        return f"Which {what} the model was trained on is not known. --trained-on takes a list."
    if left_out == 0:
        known = f"None of the {what} is among the training items that we know of"
        return f"{known}." if judged.alike is None else f"{known}, or {judged.alike}."
    if rest is None:
        return (
            f"All {what} are in the training split of these data, or nearly the same, or listed as"
            " training items. If the model was trained on them, the score shows recall."
        )
    entry = rest["metrics"][name]
    change = entry["value"] - record["metrics"][name]["value"]
    are = "is" if left_out == 1 else "are"
    return (
        f"{left_out} of the {what} {are} in the training split of these data, or nearly the same,"
        " or listed as training items. Without"
        f" {'it' if left_out == 1 else 'them'} the {score_name(name)} changes by"
        f" {signed(change)}, to {number(entry['value'])}"
        f" ({_limits(record, entry)}, {rest['n']:,} {what})."
    )


def _duplicates(data: Mapping[str, Any], what: str) -> str | None:
    if data["groups"] == data["n"]:
        return None
    return (
        f"The {what} form {count(data['groups'], 'group')} that belong together or are alike. The"
        " interval counts groups."
    )


def _size(record: Mapping[str, Any], name: str) -> str | None:
    data, entry = record["data"], record["metrics"][name]
    kind = name.rpartition("_")[2]
    if kind == "ccc":
        return few_for_correlation(data["n"], entry["ci"], groups=data["groups"])
    # How wide an error may be depends on the units of the data.
    if kind == "mae":
        return None
    return small_sample(data["n"], entry["ci"], groups=data["groups"])


def _limits(record: Mapping[str, Any], entry: Mapping[str, Any]) -> str:
    return f"{100 * record['interval']['level']:g} % interval {limits(entry['ci'])}"


def as_text(experiment: str, data: str, predictions: Sequence[str], body: str) -> str:
    """The page: a title above the verdict.

    Args:
        experiment: name of the experiment.
        data: file of the data.
        predictions: files of the predictions.
        body: of `verdict`.
    """
    title = f"Verdict on {', '.join(predictions)} ({experiment}, {data})"
    return f"{title}\n{'=' * min(len(title), WIDTH)}\n{body}\n"
