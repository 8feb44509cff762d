"""Messages for targets that were asked for by mistake."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Sequence

from affectlab.errors import ConfigError

CUTOFF = 0.6
"""Similarity of names from which one is suggested."""

PATH_CUTOFF = 0.8
"""The same of paths, which begin and end alike anyway."""


def target_hint(
    name: str, targets: Iterable[str], files: Callable[[], Iterable[str]]
) -> str | None:
    """Suggest what was meant by a target that does not exist.

    Args:
        name: what was asked for.
        targets: all names that can be asked for.
        files: gives all paths that can be asked for; called only if *name* is a path.

    Returns:
        A sentence, or None where there is nothing to suggest.
    """
    if "/" in name:
        near = difflib.get_close_matches(name, list(files()), n=1, cutoff=PATH_CUTOFF)
        return f"Did you mean {near[0]!r}?" if near else None
    known = sorted(targets)
    near = difflib.get_close_matches(name.lower(), known, n=1, cutoff=CUTOFF)
    meant = f"Did you mean {near[0]!r}? " if near else ""
    return f"{meant}Targets are: {', '.join(known)}."


def check_seed(experiment: str, run: str, seed: str, seeds: Sequence[int]) -> None:
    """Refuse a seed that the configuration does not give to a run: it would be in no comparison.

    Args:
        experiment: name of the experiment.
        run: name of the run.
        seed: as it was asked for in a path.
        seeds: of the run.

    Raises:
        ConfigError: it is not among *seeds*.
    """
    if seed not in map(str, seeds):
        listed = ", ".join(map(str, seeds))
        raise ConfigError(
            f"seed{seed}: {seed} is no seed of the {experiment} run {run!r}, which has {listed}; "
            f"add it to {experiment}.runs.{run}.seeds"
        )
