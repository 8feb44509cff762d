"""What an audit finds in recordings with any number of classes each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from affectlab.audio.data import Clip
from affectlab.audio.measures import Measure, condition_columns
from affectlab.evaluation.class_conditions import class_giveaways
from affectlab.evaluation.expectations import refuse_unusable


def label_set_findings(
    clips: Sequence[Clip], measures: Sequence[Measure], names: Sequence[str]
) -> dict[str, Any]:
    """Count the classes of clips, and measure what conditions of recording tell of each.

    Args:
        clips: that can be used.
        measures: of the same clips, and perhaps of others.
        names: of the classes.

    Returns:
        ``classes_of_a_clip`` (number of classes -> clips) and ``class_conditions``
        (`class_giveaways`).

    Raises:
        UserError: no clip, or every clip, has a class.
    """
    sets = [clip.classes or () for clip in clips]
    counts = Counter(name for own in sets for name in own)
    refuse_unusable(
        [
            *(f"no clip has the class {name}" for name in names if not counts[name]),
            *(
                f"all clips have the class {name}, so nothing can be learnt about it"
                for name in names
                if counts[name] == len(clips)
            ),
        ]
    )
    sizes = Counter(len(own) for own in sets)
    measured = {one.id: one for one in measures}
    return {
        "classes_of_a_clip": {str(size): sizes[size] for size in sorted(sizes)},
        "class_conditions": class_giveaways(
            condition_columns([measured[clip.id] for clip in clips]),
            sets,
            names,
            [clip.subject for clip in clips],
            "audio",
        ),
    }
