"""How the runs of one target are scored, and what a scored run leaves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol

from affectlab.config.models import Bootstrap
from affectlab.emotion.methods import SEEDLESS
from affectlab.evaluation import scoring
from affectlab.evaluation.by_subgroup import ScoredItems
from affectlab.evaluation.comparison import Run
from affectlab.evaluation.predictions import scope_of
from affectlab.evaluation.scoring import Scorer, SplitT


@dataclass(frozen=True, slots=True)
class Scored:
    """A scored run.

    Attributes:
        record: its scores, as metrics.json holds them.
        comparison: with the baseline run; None without one.
        draw: writes its figures into a folder.
        items: computes the test items with the scores that subgroups have.
        details: more of ``details`` of metrics.json.
    """

    record: dict[str, Any]
    comparison: dict[str, Any] | None
    draw: Callable[[Path], None]
    items: Callable[[], ScoredItems]
    details: Mapping[str, Any] = field(default_factory=dict)


class Target(Protocol):
    """What is predicted on a data set, and how it is scored."""

    @property
    def compared(self) -> tuple[str, ...]:
        """Scores whose paired differences between runs are reported."""

    @property
    def described(self) -> Mapping[str, object]:
        """What is predicted, as ``data`` of metrics.json has it."""

    def score(
        self,
        predictions_path: Path | str,
        overlapping: set[str] | None,
        baseline_path: Path | str | None,
        bootstrap: Bootstrap,
        outside: Mapping[str, Any] | None = None,
    ) -> Scored:
        """Score a run.

        Args:
            predictions_path: predictions.jsonl of the run.
            overlapping: test items that are, or nearly are, in the training data as well; None
                where nobody knows what the model was trained on.
            baseline_path: predictions.jsonl of the run to compare with; None for none.
            bootstrap: of the intervals.
            outside: outside.json, where somebody else predicted.

        Raises:
            DataError: a file does not hold what it should.
        """

    @staticmethod
    def read_runs(
        metrics_paths: Sequence[Path | str],
        predictions_paths: Sequence[Path | str],
        targets: Any,
        bootstrap: Bootstrap,
    ) -> list[Run]:
        """Read the runs that are to be compared; see `scoring.read_runs`.

        Args:
            metrics_paths: metrics.json of every run and seed.
            predictions_paths: predictions.jsonl of the same.
            targets: name of a data set -> its target, of the same kind.
            bootstrap: of the intervals.
        """


class ScorerTarget(Generic[SplitT]):
    """A target with a `scoring.Scorer`: all but one class for each text.

    Attributes:
        scorer: of the data.
        described: see `Target`.
    """

    compared: ClassVar[tuple[str, ...]]

    def __init__(self, scorer: Scorer[SplitT], described: Mapping[str, object]) -> None:
        self.scorer = scorer
        self.described = described

    def more(self, predictions: Mapping[str, SplitT]) -> dict[str, Any]:
        """Further entries of metrics.json."""
        return {}

    def draw(self, predictions: Mapping[str, SplitT], folder: Path) -> None:
        """Write the figures of a run into *folder*."""
        raise NotImplementedError

    def score(
        self,
        predictions_path: Path | str,
        overlapping: set[str] | None,
        baseline_path: Path | str | None,
        bootstrap: Bootstrap,
        outside: Mapping[str, Any] | None = None,
    ) -> Scored:
        """See `Target`."""
        predictions = self.scorer.read(
            predictions_path, None if outside is None else scope_of(outside)
        )
        record = scoring.scored_record(self.scorer, predictions, overlapping, bootstrap)
        comparison = None
        if baseline_path is not None:
            theirs = self.scorer.read(baseline_path)["test"]
            comparison = scoring.compare_two(self.scorer, predictions["test"], theirs, bootstrap)
        return Scored(
            {**record, **self.more(predictions)},
            comparison,
            lambda folder: self.draw(predictions, folder),
            lambda: self._items(predictions["test"], bootstrap),
            {} if outside is None else {"outside": {**outside, "swapped_names": {}}},
        )

    def _items(self, split: SplitT, bootstrap: Bootstrap) -> ScoredItems:
        scorer = self.scorer
        return ScoredItems(split.ids, scorer.groups_of(split), scorer.item_scores(split, bootstrap))

    @staticmethod
    def read_runs(
        metrics_paths: Sequence[Path | str],
        predictions_paths: Sequence[Path | str],
        targets: Mapping[str, ScorerTarget[SplitT]],
        bootstrap: Bootstrap,
    ) -> list[Run]:
        """See `Target`."""
        scorers = {name: target.scorer for name, target in targets.items()}
        return scoring.read_runs(
            metrics_paths, predictions_paths, scorers, bootstrap, seedless=SEEDLESS
        )
