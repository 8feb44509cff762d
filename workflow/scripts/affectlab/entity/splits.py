"""Splits for a corpus that has none."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace

from affectlab.datasets.near_texts import near_groups
from affectlab.datasets.splits import SPLITS
from affectlab.datasets.texts import normalise_text
from affectlab.entity.data import Record
from affectlab.entity.labels import NEUTRAL, normalised
from affectlab.entity.settings import Split


def non_neutral_mass(record: Record) -> float:
    """Sum over the targets the share that their labels give to other classes than neutral."""
    return sum(1.0 - normalised(target.label)[NEUTRAL] for target in record.targets)


def split_records(records: Sequence[Record], settings: Split) -> list[Record]:
    """Assign the records to the splits: grouped by text, stratified by non-neutral mass.

    Texts that read the same, or nearly (see `datasets.near_texts`), stay together. Groups are
    sorted by mass, equal ones in an order drawn from the seed, and each goes to the split that is
    furthest behind its share.

    Args:
        records: of any split.
        settings: shares of the texts, and the seed of the order among equals.

    Returns:
        The records in the order given, each with its new split.
    """
    plain = [normalise_text(record.text) for record in records]
    first: dict[int, str] = {}
    numbers = near_groups(plain)
    for text, number in zip(plain, numbers, strict=True):
        first[number] = min(text, first.get(number, text))
    names = [first[number] for number in numbers]
    groups: dict[str, list[Record]] = {}
    texts: dict[str, set[str]] = {}
    for record, text, name in zip(records, plain, names, strict=True):
        groups.setdefault(name, []).append(record)
        texts.setdefault(name, set()).add(text)
    order = sorted(groups)
    random.Random(settings.seed).shuffle(order)
    order.sort(key=lambda text: -sum(non_neutral_mass(record) for record in groups[text]))
    shares = {
        "train": 1.0 - settings.validation - settings.test,
        "validation": settings.validation,
        "test": settings.test,
    }
    assigned = dict.fromkeys(SPLITS, 0)
    split_of = {}
    for name in order:
        total = sum(assigned.values()) + len(texts[name])
        split = _furthest_behind(shares, assigned, total)
        assigned[split] += len(texts[name])
        split_of[name] = split
    return [
        replace(record, split=split_of[name]) for record, name in zip(records, names, strict=True)
    ]


def _furthest_behind(shares: Mapping[str, float], assigned: Mapping[str, int], total: int) -> str:
    """Find the split that lacks most texts of its share of *total*; of equal ones the first."""
    return max(SPLITS, key=lambda split: shares[split] * total - assigned[split])
