"""Language, tokens and sentences of a text.

Chinese is cut by characters or words, English by words. Users' own texts may be in any language:
their scripts decide how they are cut.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Literal

Language = str
"""One of `DETECTED`; or, of users' own texts, an ISO 639 code, or `UNKNOWN`."""

Unit = Literal["words", "characters"]

DETECTED = ("en", "zh", "mixed", "other")
"""What `detect_language` returns. The published corpora have these alone."""

UNKNOWN = "und"
"""ISO 639 code of a language that was not recognised."""

CHINESE = ("zh", "mixed")
UNSPACED = (*CHINESE, "ja", "th", "lo", "km", "my")
"""Languages that put no space between words."""

NOUNS_CAPITALISED = ("de", "lb")
"""Languages in which a capital does not show a name."""

SENTENCE_RULES = frozenset(
    [
        *("am", "ar", "bg", "bn", "ca", "da", "de", "el", "en", "es", "fi", "fr", "gu", "he"),
        *("hi", "hy", "it", "ja", "kk", "kn", "ml", "mr", "my", "nl", "pa", "pl", "pt", "ru"),
        *("sk", "ta", "te", "uk", "ur", "zh"),
    ]
)
"""Languages for which the package `sentencex` has rules of its own; for others it has general
ones."""

CHINESE_SHARE = 0.5
"""Share of Han characters among the letters from which a text is Chinese."""

MIXED_SHARE = 0.05
"""From this share of the other script a text is mixed."""

ENGLISH_SHARE = 0.05
"""Share of `ENGLISH_WORDS` among the words from which a text in Latin letters is English."""

ENGLISH_WORDS = frozenset(
    {
        "about",
        "and",
        "are",
        "because",
        "been",
        "but",
        "could",
        "from",
        "his",
        "it",
        "my",
        "not",
        "our",
        "she",
        "that",
        "the",
        "their",
        "them",
        "they",
        "this",
        "were",
        "what",
        "when",
        "which",
        "with",
        "would",
        "you",
        "your",
    }
)
"""Common English words that are rare in other languages with Latin letters."""

_HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")
_LATIN = re.compile(r"[A-Za-z\u00c0-\u024f]")
_LETTER = re.compile(r"[^\W\d_]")
_CHARACTER = re.compile(rf"{_HAN.pattern}|(?:(?!{_HAN.pattern})[^\W_])+")
_WORD = re.compile(r"[^\W_]+")
_ENGLISH_WORD = re.compile(r"[a-z0-9]+")
_LOOSE_BLANK = re.compile(rf" (?!\w)|(?<!\w) | (?={_HAN.pattern})|(?<={_HAN.pattern}) ")
_UNSPACED_SCRIPT = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff\uff66-\uff9f]|"
    + _HAN.pattern
)
"""Letters of Thai, Lao, Burmese, Khmer, Japanese and Chinese."""

_JOINERS = "\u200c\u200d"
"""Inside words of Persian and of Indian languages."""

_SENTENCE_END = re.compile(r"(?<=[。！？；])\s*|(?<=[.!?])[\"'”’)]*\s+|\n+")


def detect_language(text: str) -> Literal["en", "zh", "mixed", "other"]:
    """The language of *text* by the script of its letters and by common English words.

    Texts are Chinese, English, or a mixture of Chinese and Latin letters. ``other`` is anything
    else: other scripts, other languages with Latin letters, texts too short to tell, and texts
    without letters.
    """
    letters = len(_LETTER.findall(text))
    if not letters:
        return "other"
    han, latin = (len(pattern.findall(text)) / letters for pattern in (_HAN, _LATIN))
    if han + latin < 0.9:
        return "other"
    if min(han, latin) >= MIXED_SHARE:
        return "mixed"
    if han >= CHINESE_SHARE:
        return "zh"
    return "en" if _is_english(text) else "other"


def _is_english(text: str) -> bool:
    """Whether enough words of a text in Latin letters are `ENGLISH_WORDS`."""
    words = _WORD.findall(text.lower())
    known = sum(word in ENGLISH_WORDS for word in words)
    return known >= ENGLISH_SHARE * len(words)


def is_chinese(text: str) -> bool:
    """Whether there is a Han character in *text*."""
    return _HAN.search(text) is not None


def tokens(text: str, language: Language, unit: Unit = "words") -> list[str]:
    """Lower-case tokens without punctuation.

    Args:
        text: any text.
        language: of the text; ``zh`` and ``mixed`` are cut as Chinese, a language that is not in
            `DETECTED` by its script (`script_tokens`).
        unit: ``words`` cuts Chinese with the jieba dictionary; ``characters`` takes each Han
            character as one token, and runs of other letters and digits as one. English has
            words either way.
    """
    lowered = text.lower()
    if language == "en":
        return _ENGLISH_WORD.findall(lowered)
    if language == "other":
        return _WORD.findall(lowered)
    if language not in DETECTED:
        return script_tokens(lowered)
    if unit == "characters":
        return _CHARACTER.findall(lowered)
    import rjieba

    return [word for word in rjieba.cut(lowered) if _WORD.search(word)]


def script_tokens(text: str) -> list[str]:
    """Words of scripts that have spaces between them, and letters of scripts that have none.

    Marks, such as the vowels of Devanagari, belong to the letter before them.
    """
    found: list[str] = []
    inside = False
    for character in unicodedata.normalize("NFC", text):
        kind = unicodedata.category(character)[0]
        if inside and (kind == "M" or character in _JOINERS):
            found[-1] += character
        elif kind not in "LN":
            inside = False
        elif _UNSPACED_SCRIPT.match(character):
            found.append(character)
            inside = True
        elif inside and not _UNSPACED_SCRIPT.match(found[-1]):
            found[-1] += character
        else:
            found.append(character)
            inside = True
    return found


def characters(text: str) -> list[str]:
    """The characters of a Chinese text; of its blanks those between words of other scripts."""
    return list(_LOOSE_BLANK.sub("", " ".join(text.split())))


def default_unit(language: Language) -> Unit:
    """What the headline scores count: characters in languages without spaces, words elsewhere."""
    return "characters" if language in UNSPACED else "words"


def joint_of(language: Language) -> str:
    """What stands between two pieces of a text."""
    return "" if language in UNSPACED else " "


def sentences(text: str, language: Language = "other") -> list[str]:
    """The sentences of a text.

    Those of a *language* in `DETECTED` end at final punctuation and line ends; those of others
    where the package `sentencex` ends them, and at line ends.
    """
    if language not in DETECTED:
        from sentencex import segment

        lines = [segment(language, line) for line in text.splitlines()]
        return [part.strip() for parts in lines for part in parts if part.strip()]
    return [part.strip() for part in _SENTENCE_END.split(text) if part and part.strip()]
