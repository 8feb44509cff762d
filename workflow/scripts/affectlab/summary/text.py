"""Language, tokens and sentences of a text: Chinese by characters or words, English by words."""

from __future__ import annotations

import re
from typing import Literal

Language = Literal["en", "zh", "mixed", "other"]
Unit = Literal["words", "characters"]

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
_SENTENCE_END = re.compile(r"(?<=[。！？；])\s*|(?<=[.!?])[\"'”’)]*\s+|\n+")


def detect_language(text: str) -> Language:
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
        language: of the text; ``zh`` and ``mixed`` are cut as Chinese.
        unit: ``words`` cuts Chinese with the jieba dictionary; ``characters`` takes each Han
            character as one token, and runs of other letters and digits as one. English has
            words either way.
    """
    lowered = text.lower()
    if language == "en":
        return _ENGLISH_WORD.findall(lowered)
    if language == "other":
        return _WORD.findall(lowered)
    if unit == "characters":
        return _CHARACTER.findall(lowered)
    import rjieba

    return [word for word in rjieba.cut(lowered) if _WORD.search(word)]


def characters(text: str) -> list[str]:
    """The characters of a Chinese text; of its blanks those between words of other scripts."""
    return list(_LOOSE_BLANK.sub("", " ".join(text.split())))


def default_unit(language: Language) -> Unit:
    """What the headline scores count: characters in Chinese, words elsewhere."""
    return "characters" if language in ("zh", "mixed") else "words"


def sentences(text: str) -> list[str]:
    """The sentences of a Chinese or English text, by final punctuation and line ends."""
    return [part.strip() for part in _SENTENCE_END.split(text) if part and part.strip()]
