"""The stored predictions of a run, checked against the records of its corpus when they are read.

A scheme is how items were split into those that a probe is fitted to and those that it predicts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from affectlab.audio.data import Answer, subject_labels, usable_clips
from affectlab.audio.items import Items
from affectlab.audio.refits import Refits
from affectlab.audio.targets import Priors, rounded_numbers
from affectlab.audio.tasks import TRIVIAL
from affectlab.errors import DataError
from affectlab.evaluation import stats
from affectlab.evaluation.predictions import Line, check_items, prediction_lines
from affectlab.files.io import round_significant

GROUPED, RANDOM, OFFICIAL, PUBLISHED = "grouped", "clip_random", "official", "published"
"""Schemes of the probe itself; those on trivial features have the names of `TRIVIAL`."""

OUTSIDE = "predictions"
"""The scheme of a table of predictions that somebody else made."""

VIEW_PREFIX = "view_"
"""Of the schemes of each view by itself, with subjects kept apart."""


@dataclass(frozen=True, slots=True)
class Predicted:
    """The predictions of one scheme and its repeats.

    Attributes:
        ids: ``[n]``, sorted.
        subjects: ``[n]``.
        labels: ``[n]`` class ids.
        probabilities: ``[repeats, n, K]``.
        calibrated: the same after temperature scaling, or None.
        refits: of a cross-validation, how far its scores move when it is repeated on other
            subjects; None for a single split.
        ranked: whether the probabilities were stated; if not, each decision has the probability 1.
    """

    ids: tuple[str, ...]
    subjects: tuple[str, ...]
    labels: stats.Integers
    probabilities: stats.Floats
    calibrated: stats.Floats | None
    refits: Refits | None = None
    ranked: bool = True

    def without(self, ids: set[str]) -> Predicted:
        """The same predictions less those of the items *ids*."""
        kept = np.array([place for place, name in enumerate(self.ids) if name not in ids])
        return replace(
            self,
            ids=tuple(self.ids[place] for place in kept),
            subjects=tuple(self.subjects[place] for place in kept),
            labels=self.labels[kept],
            probabilities=self.probabilities[:, kept],
            calibrated=None if self.calibrated is None else self.calibrated[:, kept],
        )

    @property
    def decisions(self) -> stats.Integers:
        """``[repeats, n]`` class ids."""
        return np.asarray(self.probabilities.argmax(axis=2), dtype=np.int64)


class Known(NamedTuple):
    """What the records hold of one item."""

    subject: str
    label: Answer
    split: str | None


@dataclass(frozen=True, slots=True)
class Corpus:
    """What may be predicted for one task.

    Attributes:
        clips: id -> clip with a label for the task.
        items: the same, or id -> subject where the clips of a subject are pooled.
    """

    clips: dict[str, Known]
    items: dict[str, Known]

    def of_scheme(self, scheme: str) -> dict[str, Known]:
        """The items that a scheme may predict."""
        return self.clips if scheme == RANDOM else self.items


def prediction_rows(
    items: Items,
    scheme: str,
    repeat: int,
    outputs: stats.Floats,
    *,
    calibrated: stats.Floats | None = None,
    thresholds: stats.Floats | None = None,
    priors: Priors | None = None,
    places: stats.Integers | None = None,
) -> Iterator[dict[str, Any]]:
    """Yield lines of predictions.jsonl.

    Args:
        items: of the run.
        scheme: by which they were predicted.
        repeat: of the scheme, from 0.
        outputs: ``[m, K]``, probabilities of classes or numbers.
        calibrated: the same after temperature scaling, or None.
        thresholds: of the decisions, ``[m, K]``, where items have several classes; or None.
        priors: of the training items of each item, see `Target.priors`; None: not stored.
        places: ``[m]``, the items that were predicted; None: all.
    """
    chosen = range(len(items.ids)) if places is None else places.tolist()
    for row, place in enumerate(chosen):
        line: dict[str, Any] = {
            "id": items.ids[place],
            "subject": str(items.subjects[place]),
            **items.target.truth(place, items.classes),
            "scheme": scheme,
            "repeat": repeat,
            **items.target.stored(
                outputs[row], None if thresholds is None else thresholds[row], items.classes
            ),
        }
        if calibrated is not None:
            line["calibrated"] = [round_significant(value, 6) for value in calibrated[row]]
        for name, values in (priors or {}).items():
            line[name] = rounded_numbers(values[row], items.classes)
        yield line


def read_corpus(
    records_path: Path | str, measures_path: Path | str, task: str, unit: str
) -> Corpus:
    """Read subjects, labels and splits of everything that a run may predict.

    Args:
        records_path: records.jsonl of the corpus.
        measures_path: measures.jsonl of its audit, one line a clip that can be used.
        task: of the run; clips without a label for it are left out.
        unit: ``clip``, or ``subject`` where all clips of a subject are one item.

    Raises:
        DataError: a file is not such a table.
        UserError: *unit* is ``subject`` though a subject has several labels.
    """
    usable = [clip for clip in usable_clips(records_path, measures_path) if clip.is_of(task)]
    clips = {clip.id: Known(clip.subject, clip.answer(task), clip.split) for clip in usable}
    if unit == "clip":
        return Corpus(clips, clips)
    labels, splits = subject_labels(usable, task, Path(records_path))
    return Corpus(clips, {name: Known(name, labels[name], splits[name]) for name in labels})


def read_predictions(
    path: Path | str, classes: Sequence[str], corpus: Corpus, main: str
) -> dict[str, Predicted]:
    """Read predictions.jsonl of classes, by scheme.

    Args:
        path: of the file.
        classes: in the order of the stored probabilities.
        corpus: what the predictions are of.
        main: the scheme whose scores are the result, which must be there.

    Raises:
        DataError: see `read_schemes`; or a line is no possible prediction of a class.
    """

    def check(line: Line, known: Known) -> None:
        line.same("label", str(known.label))
        line.one_of("label", classes)

    return {
        scheme: _collect(scheme, repeats, classes, corpus.of_scheme(scheme))
        for scheme, repeats in read_schemes(path, corpus, main, check).items()
    }


Repeats = Sequence[Mapping[str, Line]]
"""The lines of a scheme: for each repeat, id -> line."""


def read_schemes(
    path: Path | str, corpus: Corpus, main: str, check: Callable[[Line, Known], None]
) -> dict[str, Repeats]:
    """Read the lines of predictions.jsonl, by scheme and repeat.

    Args:
        path: of the file.
        corpus: what the predictions are of.
        main: the scheme whose scores are the result, which must be there.
        check: of the label of a line, which raises where it is not that of the records.

    Raises:
        DataError: a line is not of the records, or a scheme does not predict in every repeat
            exactly the items that it must.
    """
    found: dict[str, dict[int, dict[str, Line]]] = defaultdict(lambda: defaultdict(dict))
    for line in prediction_lines(path):
        scheme, name = line.text("scheme"), line.text("id")
        items = corpus.of_scheme(_known_scheme(line, scheme))
        if name not in items:
            raise line.error(f"{name!r} is no item of the records")
        line.same("subject", items[name].subject)
        check(line, items[name])
        repeat = found[scheme][line.count("repeat")]
        if name in repeat:
            raise line.error(f"a second line for {name!r}")
        repeat[name] = line
    if main not in found:
        raise DataError(path, None, f"no prediction of the scheme {main}")
    drawn = set(found[PUBLISHED].get(0, {})) if main == PUBLISHED else None
    return {
        scheme: _in_order(path, scheme, repeats, corpus.of_scheme(scheme), drawn)
        for scheme, repeats in found.items()
    }


def _in_order(
    path: Path | str,
    scheme: str,
    repeats: Mapping[int, Mapping[str, Line]],
    items: Mapping[str, Known],
    drawn: Collection[str] | None,
) -> Repeats:
    """The lines of each repeat, if they are of the items of the scheme."""
    if sorted(repeats) != list(range(len(repeats))):
        numbers = ", ".join(map(str, sorted(repeats)))
        problem = f"{scheme}: expected repeats from 0 without a gap, found {numbers}"
        raise DataError(path, None, problem)
    ids = tuple(sorted(repeats[0]))
    if any(set(repeat) != set(ids) for repeat in repeats.values()):
        raise DataError(path, None, f"the repeats of {scheme} are not of the same items")
    check_items(path, f"scheme {scheme}", ids, _expected(scheme, ids, items, drawn))
    return [repeats[number] for number in range(len(repeats))]


def stated_by_all(repeats: Repeats, field: str, scheme: str) -> bool:
    """Whether the lines of a scheme have a field.

    Raises:
        DataError: some have it, and some have not.
    """
    lines = [line for repeat in repeats for line in repeat.values()]
    stated = field in lines[0].values
    for line in lines:
        if (field in line.values) != stated:
            raise line.error(f"{field}: expected in all predictions of {scheme}, or in none")
    return stated


def _known_scheme(line: Line, scheme: str) -> str:
    known = (GROUPED, RANDOM, OFFICIAL, PUBLISHED, OUTSIDE, *TRIVIAL)
    if scheme not in known and not scheme.startswith(VIEW_PREFIX):
        raise line.error(f"there is no scheme {scheme!r}")
    return scheme


def _collect(
    scheme: str,
    repeats: Repeats,
    classes: Sequence[str],
    items: Mapping[str, Known],
) -> Predicted:
    ids = tuple(sorted(repeats[0]))
    if scheme == OUTSIDE and not stated_by_all(repeats, "probabilities", scheme):
        return _decided(ids, repeats, classes, items)
    scaled = stated_by_all(repeats, "calibrated", scheme)
    return Predicted(
        ids,
        tuple(items[name].subject for name in ids),
        np.array([classes.index(str(items[name].label)) for name in ids], dtype=np.int64),
        _distributions("probabilities", ids, repeats, classes),
        _distributions("calibrated", ids, repeats, classes) if scaled else None,
    )


def _decided(
    ids: tuple[str, ...], repeats: Repeats, classes: Sequence[str], items: Mapping[str, Known]
) -> Predicted:
    """Predictions that are decisions alone."""
    decided = [
        [classes.index(repeat[name].one_of("prediction", classes)) for name in ids]
        for repeat in repeats
    ]
    return Predicted(
        ids,
        tuple(items[name].subject for name in ids),
        np.array([classes.index(str(items[name].label)) for name in ids], dtype=np.int64),
        np.eye(len(classes))[np.array(decided, dtype=np.int64)],
        None,
        ranked=False,
    )


def _expected(
    scheme: str,
    ids: Sequence[str],
    items: Mapping[str, Known],
    drawn: Collection[str] | None,
) -> Collection[str]:
    """The ids that a scheme must predict.

    The published protocol draws its items at random, so that any of them may be there. Its trivial
    probes predict the items that were *drawn* as well. The scheme of the corpus' own split predicts
    one split. What somebody else predicted was matched with the records when it was stored.
    """
    if scheme in (PUBLISHED, OUTSIDE):
        return ids
    if drawn is not None and scheme in TRIVIAL:
        return drawn
    if scheme == OFFICIAL:
        split = items[ids[0]].split
        return [name for name, known in items.items() if known.split == split]
    return items


def _distributions(
    field: str, ids: Sequence[str], repeats: Repeats, classes: Sequence[str]
) -> stats.Floats:
    """Probabilities ``[repeats, n, K]``."""
    return np.array(
        [[repeat[name].distribution(field, classes) for name in ids] for repeat in repeats]
    )
