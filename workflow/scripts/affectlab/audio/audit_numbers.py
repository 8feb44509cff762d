"""What an audit finds in recordings with numbers, such as valence, instead of classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from affectlab.audio.data import Clip
from affectlab.audio.measures import Measure, condition_columns
from affectlab.datasets.numbers import constant_numbers, describe_numbers
from affectlab.evaluation.expectations import refuse_unusable
from affectlab.evaluation.number_conditions import number_giveaways


def number_findings(
    clips: Sequence[Clip], measures: Sequence[Measure], names: Sequence[str]
) -> dict[str, Any]:
    """Describe the numbers of clips, and what conditions of recording tell of them.

    Args:
        clips: that can be used.
        measures: of the same clips, and perhaps of others.
        names: of the numbers.

    Returns:
        ``numbers`` (name -> mean, standard deviation and range) and ``number_conditions``
        (`number_giveaways`).

    Raises:
        UserError: a number is the same for all clips.
    """
    values = np.array([list(clip.values.values()) for clip in clips])
    refuse_unusable(constant_numbers(values, names, "clips"))
    measured = {one.id: one for one in measures}
    return {
        "numbers": describe_numbers(values, names),
        "number_conditions": number_giveaways(
            condition_columns([measured[clip.id] for clip in clips]),
            values,
            names,
            [clip.subject for clip in clips],
            "audio",
        ),
    }
