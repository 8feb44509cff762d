"""Blocks of the configuration for the unit tests."""

from typing import Any

from affectlab.config.models import SectionT, given, typed


def changed(block: SectionT, **values: Any) -> SectionT:
    """*block* with other *values*, checked like any block."""
    return typed(type(block), given(block) | values)
