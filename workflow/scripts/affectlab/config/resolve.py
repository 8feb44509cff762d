"""Resolving the configuration: what runs take over from others, and the defaults.

Works on what was read, before it is checked: whatever is of the wrong kind is left as it is, for
the checks to report.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from affectlab.config.load import as_mapping, merge
from affectlab.config.messages import shown, unknown_name
from affectlab.config.models import (
    LIKE,
    Entry,
    NotHandedOn,
    Section,
    condition_of,
    default_of,
    has_default,
    inner_section,
)


def completed(section: type[Section], value: Any, around: Mapping[str, Any] | None = None) -> Any:
    """*value* with the default of every key of *section* that it lacks, in the model's order.

    Args:
        section: the model of the block.
        value: what was read; returned as it is if it is no mapping.
        around: values of the blocks around it, on which keys and defaults may depend.
    """
    if not isinstance(value, Mapping) or issubclass(section, Entry):
        return value
    done: dict[str, Any] = {}
    known = dict(around or {})
    for name, field in section.model_fields.items():
        condition = condition_of(field)
        belongs = condition is None or condition.fits(known)
        if name == LIKE or not (name in value or (belongs and has_default(field))):
            continue
        given = value.get(name)
        inside = inner_section(field.annotation)
        if name not in value:
            given = default_of(field, known)
        elif inside and inside[0] == "one" and has_default(field) and isinstance(given, Mapping):
            given = merge(default_of(field, known) or {}, given)
        done[name] = known[name] = _filled(inside, given, known)
    # `like` has done its work in a run, and is a mistake anywhere else.
    hidden = {LIKE} & section.model_fields.keys()
    return done | {key: below for key, below in value.items() if key not in {*done, *hidden}}


def inherited(
    run: type[Section], runs: Mapping[str, Any], path: str
) -> tuple[dict[str, Any], list[str]]:
    """The *runs* without ``like``, each with what it takes over from the run that it names.

    What a run takes over loses the keys that do not belong to its own method.

    Args:
        run: their model.
        runs: name -> what was read.
        path: dotted path of *runs*.

    Returns:
        The runs in their order; mistakes in the names under ``like``.
    """
    mistakes = [mistake for name in runs for mistake in _origin_mistakes(runs, name, path)]
    done: dict[str | None, Any] = {}
    for name in runs:
        chain = [name]
        while chain[-1] not in done and (origin := _origin(runs, chain[-1])) is not None:
            if origin in chain:
                break
            chain.append(origin)
        for one in reversed(chain):
            if one not in done:
                done[one] = _merged(run, done.get(_origin(runs, one)), runs[one])
    return {name: done[name] for name in runs}, mistakes


def _origin(runs: Mapping[str, Any], name: str) -> str | None:
    """The run that the run *name* is like, if there is such a run."""
    origin = as_mapping(runs[name]).get(LIKE)
    return origin if isinstance(origin, str) and origin in runs else None


def _origin_mistakes(runs: Mapping[str, Any], name: str, path: str) -> Iterator[str]:
    """A name under ``like`` that is none, or that leads back to the run itself."""
    here = f"{path}.{name}.{LIKE}"
    origin = as_mapping(runs[name]).get(LIKE)
    if origin is not None and not isinstance(origin, str):
        yield f"{here}: expected string or null, found {shown(origin)}"
    yield from unknown_name(here, origin, [known for known in runs if known != name], "other run")
    chain = [name]
    while (above := _origin(runs, chain[-1])) is not None and above not in chain:
        chain.append(above)
    if above == name and len(chain) > 1:
        yield f"{here}: a circle: {' -> '.join([*chain, name])}"


def _merged(run: type[Section], origin: Any, own: Any) -> Any:
    """What a run has of its own, upon what it takes over from *origin*."""
    if not isinstance(own, Mapping):
        return own
    own = {key: value for key, value in own.items() if key != LIKE}
    if not isinstance(origin, Mapping):
        return own
    kept = {key: value for key, value in origin.items() if not _stays(run, key)}
    return _pruned(run, merge(kept, own), own, {})


def _stays(run: type[Section], key: str) -> bool:
    """Whether *key* of a run is not handed on."""
    field = run.model_fields.get(key)
    return field is not None and any(isinstance(mark, NotHandedOn) for mark in field.metadata)


def _pruned(
    section: type[Section], values: Mapping[str, Any], own: Mapping[str, Any], around: Any
) -> dict[str, Any]:
    """*values* less the keys that do not belong to the block and are not among its *own*."""
    kept = dict(values)
    known = dict(around)
    for name, field in section.model_fields.items():
        condition = condition_of(field)
        if condition and not condition.fits(known) and name not in own:
            kept.pop(name, None)
            continue
        inside = inner_section(field.annotation)
        if inside and inside[0] == "one" and isinstance(kept.get(name), Mapping):
            kept[name] = _pruned(inside[1], kept[name], as_mapping(own.get(name)), known)
        elif name in kept or has_default(field):
            known[name] = kept.get(name, default_of(field, known))
    return kept


def _filled(inside: tuple[str, type[Section]] | None, value: Any, known: Mapping[str, Any]) -> Any:
    """*value* with the defaults of the sections *inside* it."""
    if inside is None:
        return value
    kind, section = inside
    if kind == "list" and isinstance(value, list):
        return [completed(section, item, known) for item in value]
    if kind == "dict" and isinstance(value, Mapping):
        return {name: completed(section, below, known) for name, below in value.items()}
    return completed(section, value, known) if kind == "one" else value
