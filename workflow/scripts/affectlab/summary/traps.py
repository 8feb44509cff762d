"""Known traps of users' own cases that the audit finds: each is a sentence for its reader."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from affectlab.datasets.description import Description
from affectlab.datasets.names import name_key
from affectlab.datasets.texts import normalise_text
from affectlab.datasets.traps import (
    LEAST_GROUPS,
    MOST_OF_ONE_CLASS,
    Trap,
    divided_groups,
    near_items,
    shared_items,
    spelling_traps,
)
from affectlab.summary.cases import Case
from affectlab.summary.text import (
    DETECTED,
    NOUNS_CAPITALISED,
    SENTENCE_RULES,
    UNKNOWN,
    UNSPACED,
)

MOST_COPIED = 0.5
"""From this share of the cases on, references that are parts of their texts are reported."""


def find_traps(
    cases: Sequence[Case],
    description: Description | None,
    overlap: Mapping[str, Sequence[str]],
    near: Mapping[str, Any],
) -> list[Trap]:
    """Look for what can make scores on users' own cases mean less than they seem.

    Args:
        cases: of all splits.
        description: of the data set.
        overlap: held-out split -> ids of its cases whose text is in train.
        near: what `near_texts.near_duplicates` found.
    """
    group_name = "group" if description is None else description.group
    folds = None if description is None else description.folds
    return [
        *shared_items({(split, "train"): len(ids) for split, ids in overlap.items()}, "cases"),
        *divided_groups(
            [case.subject for case in cases],
            [case.split for case in cases],
            what="cases",
            group_name=group_name,
        ),
        *_near(near["groups"], {case.id: case for case in cases}, folds),
        *spelling_traps([case.subject for case in cases if case.subject is not None], group_name),
        *_constant(cases, group_name),
        *_repeated(cases),
        *_copied(cases),
        *_rare_languages(cases, folds or 2),
        *_languages({case.language for case in cases}),
    ]


def _near(
    groups: Sequence[Sequence[str]], cases: Mapping[str, Case], folds: int | None
) -> list[Trap]:
    """Texts that are nearly the same, and how many are scored by a model that has read another."""
    in_training = sum(
        any(_learns(cases[name], cases[other], folds) for other in members)
        for members in groups
        for name in members
    )
    return near_items(len(groups), in_training, "cases")


def _learns(case: Case, other: Case, folds: int | None) -> bool:
    """Whether *other* is among the cases that are trained on where *case* is scored."""
    if folds is None:
        return case.split == "test" and other.split == "train"
    return other.fold not in (case.fold, (case.fold + 1) % folds)


def _constant(cases: Sequence[Case], group_name: str) -> Iterator[Trap]:
    own: dict[str, list[tuple[str, ...]]] = defaultdict(list)
    for case in cases:
        if case.subject is not None:
            own[name_key(case.subject)].append(_references(case))
    several = [found for found in own.values() if len(found) > 1]
    constant = sum(len(set(found)) == 1 for found in several)
    if len(several) >= LEAST_GROUPS and constant >= MOST_OF_ONE_CLASS * len(several):
        yield Trap(
            "reference_constant_per_group",
            f"In {constant} of {len(several)} groups by {group_name}, all cases have the same"
            " references: these tell the group, and not what a text says.",
        )


def _repeated(cases: Sequence[Case]) -> Iterator[Trap]:
    texts: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for case in cases:
        texts[_references(case)].add(normalise_text(case.text))
    shared = [own for own in texts.values() if len(own) > 1]
    if shared:
        yield Trap(
            "reference_of_several_texts",
            f"{_count(shared, 'reference')} belong to several different texts"
            f" ({sum(map(len, shared))} texts in all). A model can score well there without reading"
            " the text.",
        )


def _copied(cases: Sequence[Case]) -> Iterator[Trap]:
    copied = sum(
        all(part in normalise_text(case.text) for part in _references(case)) for case in cases
    )
    if copied >= MOST_COPIED * len(cases):
        yield Trap(
            "reference_in_text",
            f"The references of {copied} of {len(cases)} cases are in their texts word for word:"
            " copying is enough to score well. Compare the scores with those of lead and tail.",
        )


def _rare_languages(cases: Sequence[Case], folds: int) -> Iterator[Trap]:
    for language, number in sorted(Counter(case.language for case in cases).items()):
        if number < folds and language != UNKNOWN:
            yield Trap(
                "language_smaller_than_folds",
                f"The language {language!r} has {number} {'case' if number == 1 else 'cases'},"
                f" fewer than the {folds} parts of the data: in some of them it cannot be learnt or"
                " tested.",
            )


def _languages(languages: set[str]) -> Iterator[Trap]:
    """What the program cannot do in a language."""
    if UNKNOWN in languages:
        yield Trap(
            "language_unknown",
            "The language of some cases was not recognised: their sentences and words are found by"
            " general rules. State it under language of the entry.",
        )
    others = sorted(languages - {UNKNOWN, *DETECTED, *SENTENCE_RULES})
    if others:
        yield Trap(
            "no_rules_for_sentences",
            f"There are no rules for sentences in {_quoted(others)}: general ones are used, which"
            " tail and textrank depend on.",
        )
    unspaced = sorted(languages & {*UNSPACED} - {*DETECTED})
    if unspaced:
        yield Trap(
            "no_words",
            f"ROUGE counts characters in {_quoted(unspaced)}, for spaces do not part the words"
            " there.",
        )
    capitalised = sorted(languages & {*NOUNS_CAPITALISED})
    if capitalised:
        yield Trap(
            "no_names",
            f"Names are not recognised in {_quoted(capitalised)}, where every noun has a capital:"
            " the share of unsupported names says nothing there.",
        )


def _references(case: Case) -> tuple[str, ...]:
    return tuple(normalise_text(text) for text in case.references.values())


def _count(items: Sequence[Any], what: str) -> str:
    return f"{len(items)} {what}" if len(items) == 1 else f"{len(items)} {what}s"


def _quoted(codes: Iterable[str]) -> str:
    return " and ".join(f"‘{code}’" for code in codes)
