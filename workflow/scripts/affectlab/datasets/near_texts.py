"""Texts that are nearly the same: one template with other numbers, or a word changed.

Two texts are near duplicates if one of these holds:

* their templates are the same. A template is the text without case, punctuation, symbols and
  Unicode form. Of at least `LEAST_WORDS` words it has one mark for every number, address and user
  name; "text 1" and "text 2" are two texts;
* their templates have at least `LEAST_WORDS` words and a Jaccard similarity of at least
  `SIMILARITY` (of `LONG_WORDS` and more words `LONG_SIMILARITY`), where a word that occurs twice
  counts twice.

Pairs are found by an exact join with prefix filter: a pair can only be so similar if the rarest
words of both have one in common (Bayardo, Ma and Srikant, Scaling up all pairs similarity search,
WWW 2007, doi 10.1145/1242572.1242591). Each candidate is then verified.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from affectlab.datasets.texts import normalise_text

SIMILARITY = 0.8
"""Jaccard similarity of the words from which two texts are near duplicates."""

LEAST_WORDS = 5
"""Shorter texts are near duplicates only if they have the same words and numbers: one word more
makes them another text."""

LONG_WORDS = 50
LONG_SIMILARITY = 0.9
"""The same of long texts, which share words of everyday use and their form."""

MOST_OF_A_GROUP = 32
"""Texts of one group that are kept for comparison under one word. Of thousands of texts made from
one template, any of these stands for all."""

RULE = (
    f"without case, punctuation, symbols and Unicode form the same text, of {LEAST_WORDS} and more "
    f"words also with other numbers, or with a Jaccard similarity of at least {SIMILARITY} (of "
    f"{LONG_WORDS} and more words {LONG_SIMILARITY})"
)

_ADDRESS = re.compile(r"(?:https?://|www\.)\S+")
_USER = re.compile(r"(?<!\w)@\w+")
_NUMBER = re.compile(r"\d+(?:[.,:/]\d+)*")
_WORD = re.compile(
    # A character of a script without spaces is a word.
    r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]|"
    r"[^\W_\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]+"
)


def template_of(text: str) -> tuple[str, ...]:
    """The words of a text without what changes from one copy of a template to the next."""
    plain = normalise_text(text).replace("'", "").replace("\u2019", "")
    marked = _USER.sub(" user ", _ADDRESS.sub(" address ", plain))
    words = tuple(_WORD.findall(_NUMBER.sub(" 0 ", marked)))
    return words if len(words) >= LEAST_WORDS else tuple(_WORD.findall(plain))


def least_similarity(words: int) -> float:
    """The Jaccard similarity that near duplicates need, the longer of which has so many words."""
    return SIMILARITY if words < LONG_WORDS else LONG_SIMILARITY


def near_groups(texts: Sequence[str]) -> list[int]:
    """A group number for each text; near duplicates, also in a chain, have the same one.

    A text without words is alone with those that read the same.
    """
    numbers: dict[Any, int] = {}
    # The text itself stands for the template of one that has no words.
    keys = [numbers.setdefault(template_of(t) or normalise_text(t), len(numbers)) for t in texts]
    templates = [key if isinstance(key, tuple) else () for key in numbers]
    groups = _Groups(len(templates))
    _join(templates, groups)
    first: dict[int, int] = {}
    return [first.setdefault(groups.of(key), len(first)) for key in keys]


def near_duplicates(
    splits: Mapping[str, Sequence[tuple[str, str]]], pairs: Sequence[tuple[str, str]]
) -> dict[str, Any]:
    """Near duplicates of a corpus, beyond texts that read the same, as an audit stores them.

    Args:
        splits: split -> id and text of each item.
        pairs: held-out split and the split that it is compared with.

    Returns:
        ``rule``; ``groups``: ids of the items of each group with at least two texts that read
        differently; ``within``: split -> texts more than one of each group; ``overlap``:
        ``test_in_train`` and so on: ids of the items of the first split that have a near duplicate
        in the second, none of which reads the same.
    """
    items = [(name, text, split) for split, own in splits.items() for name, text in own]
    numbers = near_groups([text for _, text, _ in items])
    reads = [normalise_text(text) for _, text, _ in items]
    members: dict[int, list[int]] = defaultdict(list)
    for place, number in enumerate(numbers):
        members[number].append(place)
    near = [own for own in members.values() if len({reads[place] for place in own}) > 1]
    within = Counter[str]()
    found: dict[str, list[int]] = {f"{held_out}_in_{seen}": [] for held_out, seen in pairs}
    for own in near:
        texts_of: dict[str, set[str]] = defaultdict(set)
        for place in own:
            texts_of[items[place][2]].add(reads[place])
        within.update({split: len(texts) - 1 for split, texts in texts_of.items()})
        for held_out, seen in pairs:
            if texts_of[seen]:
                found[f"{held_out}_in_{seen}"] += [
                    place
                    for place in own
                    if items[place][2] == held_out and reads[place] not in texts_of[seen]
                ]
    return {
        "rule": RULE,
        "groups": [[items[place][0] for place in own] for own in near],
        "within": {split: within[split] for split in splits},
        "overlap": {
            name: [items[place][0] for place in sorted(places)] for name, places in found.items()
        },
    }


class _Groups:
    """Disjoint sets of 0 to n - 1."""

    def __init__(self, count: int) -> None:
        self._parent = list(range(count))

    def of(self, item: int) -> int:
        """The number of the group of *item*."""
        parent = self._parent
        while parent[item] != item:
            parent[item] = parent[parent[item]]
            item = parent[item]
        return item

    def join(self, one: int, two: int) -> None:
        """Make one group of two."""
        one, two = self.of(one), self.of(two)
        self._parent[max(one, two)] = min(one, two)


def _join(templates: Sequence[tuple[str, ...]], groups: _Groups) -> None:
    """Join the groups of templates that are similar enough."""
    bags = _bags(templates)
    order = sorted((place for place in bags), key=lambda place: (len(bags[place][0]), place))
    index: dict[int, list[int]] = defaultdict(list)
    for place in order:
        words, bag = bags[place]
        size = len(words)
        similarity = least_similarity(size)
        least = math.ceil(similarity * size)
        prefix = words[: size - least + 1]
        candidates: set[int] = set()
        for word in prefix:
            candidates.update(index[word])
        for other in candidates:
            there = bags[other][1]
            # Of a shorter text, which all that are indexed are.
            if len(there) < least or groups.of(other) == groups.of(place):
                continue
            common = len(bag & there)
            if common >= similarity * (size + len(there) - common):
                groups.join(place, other)
        own = groups.of(place)
        for word in prefix:
            held = index[word]
            if len(held) < MOST_OF_A_GROUP or (
                sum(groups.of(other) == own for other in held[-MOST_OF_A_GROUP:]) < MOST_OF_A_GROUP
            ):
                held.append(place)


def _bags(
    templates: Sequence[tuple[str, ...]],
) -> dict[int, tuple[list[int], frozenset[int]]]:
    """For each template that is long enough its words as numbers, rarest first, and as a set."""
    counted = {}
    frequency = Counter[tuple[str, int]]()
    for place, words in enumerate(templates):
        if len(words) >= LEAST_WORDS:
            seen = Counter[str]()
            tokens = []
            for word in words:
                tokens.append((word, seen[word]))
                seen[word] += 1
            counted[place] = tokens
            frequency.update(tokens)
    ranked = sorted(frequency, key=lambda token: (frequency[token], token))
    rank = {token: number for number, token in enumerate(ranked)}
    bags = {}
    for place, tokens in counted.items():
        numbers = sorted(rank[token] for token in tokens)
        bags[place] = numbers, frozenset(numbers)
    return bags
