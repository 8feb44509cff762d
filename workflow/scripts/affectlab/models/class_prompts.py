"""What a language model is asked for the class of a text, or of a span in it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

from affectlab.config.prompts import Prompt
from affectlab.errors import UserError
from affectlab.files.text import read_text

SHIPPED_LANGUAGES = ("en", "zh")
ANY_LANGUAGE = "any"
SPAN_PLACE = "{span}"

_PLACES = re.compile(r"\{(text|span|classes)\}")


class ClassPrompt:
    """A prompt with places for a text and for a span in it.

    Attributes:
        language: of the shipped prompt; None for a prompt of the user's own.
        sha256: of the prompt with the names of the classes.
    """

    def __init__(
        self, settings: Prompt, classes: Sequence[str], language: str | None, *, spans: bool
    ) -> None:
        """Choose the prompt.

        Args:
            settings: of the run; ``template`` holds the text of a prompt of its own.
            classes: in the order in which they are listed.
            language: ISO 639 code of the data; None if it is not known.
            spans: whether the question is about a span of each text.

        Raises:
            UserError: a prompt of the user's own has no place for the span.
        """
        self.language: str | None = None
        if settings.template is not None:
            template = settings.template
            if spans and SPAN_PLACE not in template:
                raise UserError(
                    f"prompt.template: the file does not hold {SPAN_PLACE}, where the span is put"
                )
        else:
            code = (language or "").partition("-")[0]
            known = code if code in SHIPPED_LANGUAGES else ANY_LANGUAGE
            self.language = settings.language or known
            kind = "span" if spans else "class"
            name = f"{kind}_prompt_{settings.version}_{self.language}.txt"
            template = read_text(Path(__file__).with_name(name))
        self._template = template.strip()
        self._classes = "\n".join(f"- {name}" for name in classes)
        self.sha256 = hashlib.sha256(self.filled("{text}", "{span}").encode()).hexdigest()

    def filled(self, text: str, span: str | None = None) -> str:
        """The prompt for *text*, and for a *span* in it; braces in these are text."""
        given = {"text": text, "span": span or "", "classes": self._classes}
        return _PLACES.sub(lambda place: given[place[1]], self._template)
