"""What texts have in common, whoever reads them."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from typing import Any

from affectlab.files.text import is_encodable

CHAT_MARK = re.compile(
    r"<[|｜][^<>|｜\s]{1,64}[|｜]?>"  # <|im_end|>, <｜User｜>, <|turn>
    r"|<[^<>|｜\s]{1,64}[|｜]>"  # <turn|>
    r"|</?(?:s|bos|eos|pad|unk|mask)>"
    r"|<(?:start|end)_of_turn>"
    r"|\[/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS)\]"
    r"|<</?SYS>>"
    r"|^#{2,3} ?(?:Instruction|Input|Response|System|User|Human|Assistant)\s?:",
    re.IGNORECASE | re.MULTILINE,
)
"""What common chat templates open and close turns with. Every repetition is bounded: linear."""


_APOSTROPHES = str.maketrans("\u2018\u2019\u02bc\uff07", "'" * 4)
# Marks that no composed letter takes in are no letters to Python's `re`: they stay in their word.
_LETTER = r"[^\W_][\u0300-\u036f]*"
_WORD = re.compile(rf"(?:{_LETTER})+(?:'(?:{_LETTER})+)*")
_POSSESSIVE = re.compile(r"'s\Z")

FUNCTION_WORDS = {
    "english": "the and is of to that it was this with for you my have be are not i",
    "german": "der die das und ist nicht ich ein eine zu den mit auf sie wir auch war so es",
    "french": "le la les et est je ne pas une des du que qui dans ce il elle pour avec",
    "spanish": "el la los las y es no que un una por con para me mi muy pero como lo yo",
    "italian": "il la gli e che non un una per di sono con mi ma lo io è del della",
    "portuguese": "o os as e que não um uma por com para me muito mas eu é do da em",
    "dutch": "de het een en is niet ik van dat met op te zijn maar voor ook wij er",
}
"""Language -> its commonest function words."""


def text_problem(text: Any) -> str | None:
    """What is wrong with a text that is to be read; None if nothing is."""
    if not isinstance(text, str):
        return f"the text is {kind_of(text)}, expected a string"
    if not is_encodable(text):
        return "the text holds half a surrogate pair, expected valid Unicode"
    if not text.strip():
        return "the text is empty"
    if "\0" in text:
        return "the text holds a NUL character"
    return None


def normalise_text(text: str) -> str:
    """Fold case, Unicode form and white space, for finding texts that read the same.

    Composed and decomposed letters, full-width forms and ligatures become the same (NFKC);
    invisible format characters are dropped; every run of white space becomes one space.
    """
    if not text.isascii():
        text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKD", text).casefold())
        text = "".join(c for c in text if unicodedata.category(c) != "Cf")
    return " ".join(text.casefold().split())


def words_of(text: str) -> list[str]:
    """The words of a text for comparing them: case folded, without possessives, hyphens apart.

    Letters of any script and digits make words, composed and compatible forms are the same. The
    possessive of a name is the name: ``Anna's`` and ``James'`` are ``anna`` and ``james``.
    """
    plain = unicodedata.normalize("NFKC", text).translate(_APOSTROPHES).casefold()
    return [_POSSESSIVE.sub("", word) for word in _WORD.findall(plain)]


def places_of(text: str, part: str) -> list[int]:
    """Where *part* is in *text*: as whole words, or anywhere if it is nowhere whole words.

    So ``he`` is not found in ``she`` where it is also a word. Scripts without spaces have no words
    that could be told apart here.
    """
    anywhere = [match.start() for match in re.finditer(re.escape(part), text)]
    return [start for start in anywhere if _is_apart(text, start, start + len(part))] or anywhere


_QUOTES = str.maketrans(
    dict.fromkeys("\u2018\u2019\u201a\u201b\u02bc\uff07`\u00b4\u2032", "'")
    | dict.fromkeys("\u201c\u201d\u201e\u201f\u00ab\u00bb\uff02\u2033", '"')
)
_DASHES = str.maketrans(dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-"))

_FORMS: dict[str, Callable[[str], str]] = {
    "in another Unicode form (letters composed, NFC, or decomposed, NFD)": (
        lambda text: unicodedata.normalize("NFC", text)
    ),
    "with other quotation marks (curly or straight)": lambda text: text.translate(_QUOTES),
    "with other dashes": lambda text: text.translate(_DASHES),
    "with other white space (such as a no-break space)": lambda text: " ".join(text.split()),
    "with other capital letters": str.casefold,
}
"""How copies of a text differ although they read the same, and what makes them equal."""


def form_of(part: str, text: str) -> str | None:
    """In which other form *part* is in *text*, such as with curly quotation marks.

    Args:
        part: not in *text* as it is written.
        text: the text.

    Returns:
        A description that follows "it is there", or None if *part* is in *text* in no such form.
    """

    def is_there(names: Collection[str]) -> bool:
        own, whole = part, text
        for name, fold in _FORMS.items():
            if name in names:
                own, whole = fold(own), fold(whole)
        return bool(own) and own in whole

    if not is_there(_FORMS):
        return None
    # Those that it takes; without each of them it would not be there.
    needed = list(_FORMS)
    for name in _FORMS:
        fewer = [other for other in needed if other != name]
        if is_there(fewer):
            needed = fewer
    return " and ".join(needed) or None


def _is_apart(text: str, start: int, end: int) -> bool:
    """Whether neither end of a part of *text* is inside a word."""
    inside = [
        0 < place < len(text) and text[place - 1].isalnum() and text[place].isalnum()
        for place in (start, end)
    ]
    return not any(inside)


def without_chat_marks(text: str, keep: Collection[str] = ()) -> str:
    """Put a space into each mark of a chat in *text*, so that it opens and closes no turn.

    Args:
        text: what a user wrote.
        keep: marks that are left as they are.
    """
    return CHAT_MARK.sub(
        lambda mark: mark[0] if mark[0] in keep else f"{mark[0][0]} {mark[0][1:]}", text
    )


TEXT_CONDITIONS = ("characters", "words", "language")
"""Columns of `text_conditions`."""


def text_conditions(texts: Sequence[str]) -> dict[str, list[float] | list[str]]:
    """Describe texts without their content: length and language.

    Returns:
        Columns for `evaluation.conditions`: `TEXT_CONDITIONS`.
    """
    return {
        "characters": [float(len(text)) for text in texts],
        "words": [float(len(text.split())) for text in texts],
        "language": [likely_language(text) for text in texts],
    }


def likely_language(text: str) -> str:
    """Tell the language of a text by its commonest function words, or else its script.

    Good enough to see that classes differ in language; short texts often have their script only.

    Returns:
        A key of `FUNCTION_WORDS`, or a script in lower case, such as ``latin``, ``cjk``, ``none``.
    """
    words = Counter(re.findall(r"[^\W\d_]+", text.casefold()))
    hits = {
        language: sum(words[word] for word in own.split())
        for language, own in FUNCTION_WORDS.items()
    }
    best = max(hits, key=lambda language: hits[language])
    is_only = list(hits.values()).count(hits[best]) == 1
    return best if hits[best] and is_only else _script(text)


def _script(text: str) -> str:
    """The commonest script of the letters, such as ``latin`` or ``cjk``, or ``none``.

    The Unicode name of a letter begins with its script.
    """
    names = Counter(
        unicodedata.name(letter, "UNKNOWN").partition(" ")[0].lower()
        for letter in text
        if letter.isalpha()
    )
    return names.most_common(1)[0][0] if names else "none"


def kind_of(value: Any) -> str:
    """Name the type of a JSON value that should have been another, without showing a text."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return f"the number {value}"
    if isinstance(value, str):
        return "a string"
    return "a list" if isinstance(value, list) else "an object"
