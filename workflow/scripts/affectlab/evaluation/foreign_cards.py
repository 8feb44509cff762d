"""What the card of a model from elsewhere states: scores, and the data that it was trained on."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from affectlab.errors import first_line, shortened

CARD = "README.md"
MOST_BYTES = 2_000_000
"""Of a card; the longest ones of the hub have a tenth of it."""

MOST_RESULTS = 20
"""Stated scores that are taken from a card."""

LONGEST_NAME = 60

OURS: Mapping[str, str] = {
    "accuracy": "accuracy",
    "f1 macro": "macro_f1",
    "macro f1": "macro_f1",
    "recall macro": "macro_recall",
    "macro recall": "macro_recall",
    "uar": "uar",
    "unweighted average recall": "uar",
    "precision macro": "macro_precision",
    "macro precision": "macro_precision",
}
"""A metric on a card, in lower case -> the same of ours."""


def read_card(directory: Path, data: Collection[str]) -> dict[str, Any]:
    """Read the model card in a folder.

    Args:
        directory: of the model.
        data: names of the data that the model is scored on, such as ids on the hub.

    Returns:
        ``results``, each with ``metric``, ``value``, ``data``, ``split`` and ``ours``, the name of
        the same score here; ``trained_on``, those of *data* that the card names as training data;
        ``problem``, why the card cannot be read. None is there without a card.
    """
    path = directory / CARD
    if not path.is_file():
        return {"results": [], "trained_on": [], "problem": None}
    from huggingface_hub import ModelCard

    try:
        if path.stat().st_size > MOST_BYTES:
            raise ValueError(f"longer than {MOST_BYTES:,} bytes")
        card = ModelCard(path.read_text(encoding="utf-8")).data
        results = [_result(one) for one in (card.get("eval_results") or [])[:MOST_RESULTS]]
        named = _names(card.get("datasets"))
    except Exception as error:
        # Whoever wrote the card; the hub's parser raises what its parts happen to.
        return {"results": [], "trained_on": [], "problem": shortened(first_line(error), 120)}
    keys = {_key(name) for name in named}
    return {
        "results": [one for one in results if one is not None],
        "trained_on": sorted(name for name in data if keys & {_key(name), _short(name)}),
        "problem": None,
    }


def card_sentences(record: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    """What the card of a model states, next to what is found here.

    Args:
        record: metrics.json of the run.
        found: as `read_card` gives it.
    """
    sentences = []
    if found["problem"] is not None:
        sentences.append(f"Its card cannot be read: {found['problem']}.")
    for one in found["results"]:
        split = "" if one["split"] is None else f", split {one['split']}"
        stated = f"Its card states {one['metric']} {one['value']:g} on {one['data']}{split}"
        here = record["metrics"].get(one["ours"]) if one["ours"] else None
        if here is None:
            sentences.append(f"{stated}.")
            continue
        limits = "" if here["ci"] is None else " [{:.3f}, {:.3f}]".format(*here["ci"])
        sentences.append(f"{stated}; here it is {here['value']:.3f}{limits}.")
    if found["results"]:
        sentences.append("Whether these are the same items is not known.")
    if found["trained_on"]:
        names = ", ".join(found["trained_on"])
        sentences.append(f"Its card names these data ({names}) as training data.")
    return sentences


def _result(stated: Any) -> dict[str, Any] | None:
    """One score of a card; None where its value is no number."""
    value = stated.metric_value
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    name = _text(stated.metric_name) or _text(stated.metric_type) or "a score"
    ours = next(
        (
            OURS[words]
            for words in (_words(stated.metric_name), _words(stated.metric_type))
            if words in OURS
        ),
        None,
    )
    return {
        "metric": name,
        "value": float(value),
        "data": _text(stated.dataset_name) or _text(stated.dataset_type) or "unnamed data",
        "split": _text(stated.dataset_split),
        "ours": ours,
    }


def _text(value: Any) -> str | None:
    if not isinstance(value, str) or not value.strip():
        return None
    return shortened(" ".join(value.split()), LONGEST_NAME)


def _words(value: Any) -> str:
    text = value if isinstance(value, str) else ""
    return " ".join(text.lower().replace("_", " ").replace("-", " ").split())


def _names(value: Any) -> Sequence[str]:
    found = value if isinstance(value, list) else [value]
    return [one for one in found if isinstance(one, str)]


def _key(name: str) -> str:
    return name.strip().lower()


def _short(name: str) -> str:
    """A name on the hub without its owner, as older cards give it."""
    return _key(name).rpartition("/")[2]
