"""What a user's table has under ``label`` where a text may have several classes."""

from __future__ import annotations

from typing import Any

from affectlab.datasets.label_sets import LabelSetCells
from affectlab.emotion.multilabel_data import MultilabelRecord


class OwnMultilabel(LabelSetCells):
    """The label sets of a table of texts.

    Attributes:
        annotators: None: each text has one label set.
    """

    annotators = None

    def record(self, value: Any, **shared: Any) -> MultilabelRecord:
        """A record of a good row.

        Args:
            value: as of `problem`.
            shared: the other fields of the record.
        """
        return MultilabelRecord(labels=self.labels(value), **shared)
