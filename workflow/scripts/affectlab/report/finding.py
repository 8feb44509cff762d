"""What an experiment found, in one line, and what its score is without known items."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from affectlab.report.display import limits, number, score_name, signed
from affectlab.report.overview import RunLine
from affectlab.report.results import SeedResult, other_splits, split_means, training_items

WHERE = {
    "beats": "better than",
    "equal": "not distinguishable from",
    "below": "worse than",
}
"""Verdict of a run, see `overview.VERDICTS` -> where its score lies next to the baseline."""

WITHOUT = "_without_overlap"
"""End of the name of a split: what is left of it without items that are known from training."""


def finding(line: RunLine) -> str:
    """The main result of a run, with its strongest trivial baseline."""
    start = f"{line.run}: {line.score} {line.shown['value']}"
    if line.verdict == "seen":
        return f"{start} on items that it was trained on"
    if line.verdict not in WHERE:
        return f"{start}, without a trivial baseline"
    baseline = f"{line.shown['baseline']}, {line.shown['baseline_name']}"
    return f"{start}, {WHERE[line.verdict]} the strongest trivial baseline ({baseline})"


@dataclass(frozen=True, slots=True)
class KnownItems:
    """The score of a run with and without the scored items that its training data hold.

    Attributes:
        count: of these items; they are, or nearly are, in the training data.
        where: what holds them.
        score: name of the score.
        value: of all scored items.
        rest: of the others.
        ci: the interval of that; None where several seeds have no common one.
        n: number of the others.
    """

    count: int
    where: str
    score: str
    value: float
    rest: float
    ci: tuple[float, float] | None
    n: int

    @property
    def sentence(self) -> str:
        """How many they are, and what the score is without them."""
        are = "scored item is" if self.count == 1 else "scored items are"
        return (
            f"{self.count:,} {are}, or nearly so, in {self.where}. Without"
            f" {'it' if self.count == 1 else 'them'}, the {self.score} of {number(self.value)}"
            f" becomes {number(self.rest)} ({signed(self.rest - self.value)};"
            f" {self._interval}n = {self.n:,})."
        )

    @property
    def _interval(self) -> str:
        return "" if self.ci is None else f"interval {limits(self.ci)}; "


def known_items(seeds: Sequence[SeedResult], main: Mapping[str, Any]) -> KnownItems | None:
    """What the items that are known from training do to the main score of a run.

    Args:
        seeds: what the run left.
        main: the row of its main score in results.csv.

    Returns:
        None where no scored item is known, or all are, or nobody looked.
    """
    first = seeds[0].metrics
    name = next((split for split in other_splits(first) if split.endswith(WITHOUT)), None)
    if name is None:
        return None
    rest, metric = other_splits(first)[name], main["metric"]
    if rest["n"] == main["n"] or metric not in rest["metrics"]:
        return None
    interval = rest["metrics"][metric]["ci"] if len(seeds) == 1 else None
    return KnownItems(
        count=main["n"] - rest["n"],
        where=training_items(seeds).rstrip(","),
        score=score_name(metric),
        value=main["value"],
        rest=split_means(seeds)[name][metric],
        ci=None if interval is None else (interval[0], interval[1]),
        n=rest["n"],
    )
