"""``test_on`` of a run: other data sets that its trained model is tested on.

Light, like `config.load`: every Snakemake process imports it.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from pydantic import Field

from affectlab.config.load import as_mapping
from affectlab.config.messages import nearest
from affectlab.config.models import AssetName, Section, Text
from affectlab.config.registries import Registries, dataset_mistakes

LEAST_SHARED = 2
"""Classes that both data sets must have: with one, every prediction is right."""

KnownClasses = Callable[[Mapping[str, Any], Mapping[str, Any]], Sequence[str] | None]
"""From the entry of a data set, and the run or the block under ``test_on``, to the names of the
classes; None where only the data tell them."""


class OtherData(Section):
    """Another data set that the trained model is tested on."""

    classes: dict[Text, Text] = Field(
        {},
        description="Class of the other data -> class of the run's own data. A class that has the "
        "same name in both, apart from case, needs no entry.",
    )


TestOn = dict[AssetName, OtherData]

TEST_ON: Any = Field(
    {},
    description="Other data sets that the trained model is tested on, by name. A run that is like "
    "this one does not take them over.",
)


def shared_classes(
    own: Sequence[str], theirs: Sequence[str], given: Mapping[str, str]
) -> dict[str, str]:
    """Class of the other data -> class of the own data, in the order of the other data.

    Args:
        own: classes that the model predicts.
        theirs: classes of the other data.
        given: ``classes`` of the block. It decides over a name that both have.
    """
    alike = {_key(name): name for name in own}
    found = {name: given.get(name, alike.get(_key(name))) for name in theirs}
    return {name: ours for name, ours in found.items() if ours is not None and ours in own}


def _key(name: str) -> str:
    """What spellings of a class share that differ in case, outer white space or Unicode form."""
    return unicodedata.normalize("NFKC", name).casefold().strip()


def class_mistakes(
    path: str,
    own: Sequence[str] | None,
    theirs: Sequence[str] | None,
    given: Mapping[str, str],
) -> Iterator[str]:
    """Report names in ``classes`` that no data have, and data that share fewer than two classes.

    Args:
        path: dotted path of the block.
        own: classes that the model predicts; None where only the data tell them.
        theirs: classes of the other data, likewise.
        given: ``classes`` of the block.
    """
    for name, ours in given.items():
        if theirs is not None and name not in theirs:
            yield (
                f"{path}.classes.{name}: the other data have no class {name!r}"
                f"{nearest(name, theirs)}"
            )
        if own is not None and ours not in own:
            yield f"{path}.classes.{name}: the run has no class {ours!r}{nearest(ours, own)}"
    if own is None or theirs is None:
        return
    shared = set(shared_classes(own, theirs, given).values())
    if len(shared) < LEAST_SHARED:
        yield (
            f"{path}: expected at least {LEAST_SHARED} classes of both data sets, found "
            f"{len(shared)}; the other data have {', '.join(theirs)}, the run has "
            f"{', '.join(own)}; name the pairs in classes"
        )


def other_data_mistakes(
    path: str,
    run: Mapping[str, Any],
    registries: Registries,
    layouts: Iterable[str],
    classes_of: KnownClasses,
) -> Iterator[str]:
    """Report what is wrong with ``test_on`` of a run.

    Args:
        path: dotted path of the run.
        run: the complete run, or what was given for it.
        registries: with the entries of data sets.
        layouts: that the experiment reads.
        classes_of: the classes of a data set, where they are known before it is read.
    """
    tested = as_mapping(run.get("test_on"))
    own = as_mapping(registries.datasets.get(str(run.get("data"))))
    if tested and own.get("target", "class") != "class":
        yield (
            f"{path}.test_on: only runs that predict one class of each item are tested on other "
            f"data; the target of {run['data']!r} is {own['target']}"
        )
        return
    known = set(layouts)
    for name, given in tested.items():
        here, block = f"{path}.test_on.{name}", as_mapping(given)
        if name == run.get("data"):
            yield f"{here}: the run is trained on these data; expected another data set"
            continue
        yield from dataset_mistakes(here, name, registries, known)
        entry = as_mapping(registries.datasets.get(name))
        if entry.get("layout") not in known:
            continue
        if entry.get("target", "class") != "class":
            yield f"{here}: {name!r} has the target {entry['target']}, expected class"
            continue
        texts = as_mapping(block.get("classes"))
        pairs = {key: value for key, value in texts.items() if isinstance(value, str)}
        ours, theirs = _names(classes_of(own, run)), _names(classes_of(entry, block))
        yield from class_mistakes(here, ours, theirs, pairs)


def _names(stated: Sequence[Any] | None) -> Sequence[str] | None:
    """The stated names; None where there are none, or where the entry has mistakes."""
    return stated if stated and all(isinstance(one, str) for one in stated) else None


def stated_classes(entry: Mapping[str, Any]) -> Sequence[str] | None:
    """The classes that an entry lists, or that it expects in its data; None without either."""
    listed = entry.get("classes")
    if isinstance(listed, list):
        return listed
    expected = as_mapping(entry.get("expected"))
    return list(as_mapping(expected.get("classes")) or as_mapping(expected.get("shares"))) or None
