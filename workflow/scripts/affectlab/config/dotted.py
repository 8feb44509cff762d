"""Dotted names of what is loaded on use: ``package.module``, or ``package.module:object``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any


def load(dotted: str) -> Any:
    """Import the module or the object of a module that *dotted* names."""
    module, _, name = dotted.partition(":")
    imported = import_module(module)
    return getattr(imported, name) if name else imported


class Loaded(Mapping[str, Any]):
    """A mapping to dotted names as one to what they name; each is loaded when it is looked up."""

    def __init__(self, dotted: Mapping[str, str]) -> None:
        self._dotted = dotted

    def __getitem__(self, name: str) -> Any:
        return load(self._dotted[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._dotted)

    def __len__(self) -> int:
        return len(self._dotted)
