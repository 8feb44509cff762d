"""Input and output of the predictor: queries, the spans in them, and the emotions predicted."""

from __future__ import annotations

import operator
import warnings
from dataclasses import dataclass
from typing import Any, NamedTuple

from affectlab.datasets.texts import form_of, places_of
from affectlab.entity.data import Span
from affectlab.errors import UserError
from affectlab.files.text import is_encodable


class Query(NamedTuple):
    """A text, and perhaps a span in it: its words and, where they stand more than once, where."""

    text: str
    span_text: str | None = None
    char_start: int | None = None


@dataclass(frozen=True, slots=True)
class EntityEmotion:
    """The prediction of a model for a text or a span in it.

    Attributes:
        label: the likeliest class.
        labels: the classes decided on, likeliest first: where the model learnt whole texts, each
            class of one that reaches its threshold; of anything else the likeliest alone.
        probabilities: of all classes.
        mu: mean direction of the embedding, 64 numbers of unit length.
        kappa: its concentration: how near mu is to the directions of its classes, by the model.
        span: offsets of the span, None for the whole text.
    """

    label: str
    labels: tuple[str, ...]
    probabilities: dict[str, float]
    mu: tuple[float, ...]
    kappa: float
    span: Span

    def top(self, k: int) -> list[tuple[str, float]]:
        """The *k* likeliest classes with their probabilities, likeliest first."""
        return sorted(self.probabilities.items(), key=lambda item: -item[1])[:k]

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON-able values."""
        return {
            "label": self.label,
            "labels": list(self.labels),
            "top": [[name, value] for name, value in self.top(3)],
            "kappa": self.kappa,
            "mu": list(self.mu),
            "probabilities": self.probabilities,
            "span": None if self.span is None else list(self.span),
        }


def locate(query: Query, number: int) -> Span:
    """Find the span of a query.

    Args:
        query: as a caller gave it.
        number: of the query, for messages.

    Raises:
        UserError: the text or the span is empty or no text, or the span is not in the text.
    """
    text, span_text, char_start = query
    if not isinstance(text, str):
        raise UserError(f"text {number}: expected a string, found {type(text).__name__}")
    if not text.strip():
        raise UserError(f"text {number}: is empty")
    if not is_encodable(text):
        raise UserError(f"text {number}: holds half a surrogate pair, expected valid Unicode")
    if span_text is None:
        if char_start is not None:
            raise UserError(f"text {number}: char_start without span_text")
        return None
    if not isinstance(span_text, str):
        raise UserError(f"text {number}: span_text is no string, but {type(span_text).__name__}")
    if not span_text.strip():
        raise UserError(f"text {number}: the span is empty")
    if char_start is not None:
        first = _whole_number(char_start)
        if first is None:
            raise UserError(f"text {number}: char_start {char_start!r} is no whole number")
        if first < 0 or text[first : first + len(span_text)] != span_text:
            problem = f"{span_text!r} does not stand at {first}"
            raise UserError(f"text {number}: {problem}{_form_hint(span_text, text)}")
        return first, first + len(span_text)
    places = places_of(text, span_text)
    if not places:
        problem = f"{span_text!r} is not in the text"
        raise UserError(f"text {number}: {problem}{_form_hint(span_text, text)}")
    first = places[0]
    if len(places) > 1:
        warnings.warn(
            f"text {number}: {span_text!r} stands in the text more than once; the first one is "
            "taken, give char_start to choose",
            stacklevel=4,
        )
    return first, first + len(span_text)


def _form_hint(span_text: str, text: str) -> str:
    """The end of a message about a span that is not found."""
    form = form_of(span_text, text)
    return f"; it is there {form}: write it as in the text" if form else ""


def _whole_number(value: Any) -> int | None:
    """An integer of any kind, such as numpy's, as Python's own; None for anything else."""
    if isinstance(value, bool):
        return None
    try:
        return operator.index(value)
    except TypeError:
        return None
