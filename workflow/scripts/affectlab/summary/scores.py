"""Scores of summaries, each as columns that are summed over cases.

Every score is a function of sums over cases, so that thousands of resamples cost little
(`stats.resample_sums`). All scores are shares from 0 to 1; BLEU and chrF are sacrebleu's over
100. The language decides how a text is cut: see `text.tokens`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from affectlab.datasets.texts import words_of
from affectlab.evaluation.comparison import Score
from affectlab.evaluation.stats import Array, group_sums
from affectlab.summary.cases import Case
from affectlab.summary.text import (
    CHINESE,
    DETECTED,
    NOUNS_CAPITALISED,
    UNSPACED,
    Language,
    Unit,
    default_unit,
    detect_language,
    is_chinese,
    joint_of,
    sentences,
    tokens,
)

COPIED_NGRAM = 4
"""Length of the n-grams of the copy rate."""

REPEATED_NGRAM = 3
"""Length of the n-grams of the repetition rate."""

ROUGE = {"rouge1": "rouge1", "rouge2": "rouge2", "rouge_l": "rougeL"}
"""Name here -> name in the rouge-score package."""

BLEU_ORDER = 4

_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_NAME_WORD = re.compile(r"(?<!\w)[^\W\d_][\w'’-]*")
_PRONOUN = re.compile(r"I(?:['’]\w+)?")
_CHINESE_NAMES = ("nr", "ns", "nt")
"""Jieba's tags of people, places and organisations."""


class Answer(NamedTuple):
    """What a run says of one case.

    Attributes:
        fields: field -> text; empty where the model gave none.
        valid: whether its raw output had the form that was asked for.
        repaired: whether fields were found in an output that was not valid.
        failed: whether there is no output at all.
    """

    fields: Mapping[str, str]
    valid: bool
    repaired: bool = False
    failed: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON data."""
        return {**self._asdict(), "fields": dict(self.fields)}


class _Cutter:
    """A tokenizer in the form that rouge-score asks for."""

    def __init__(self, language: Language, unit: Unit) -> None:
        self._language, self._unit = language, unit

    def tokenize(self, text: str) -> list[str]:
        return tokens(text, self._language, self._unit)


def rouge(
    reference: str, prediction: str, language: Language, unit: Unit | None = None
) -> dict[str, float]:
    """F1 of ROUGE-1, ROUGE-2 and ROUGE-L (Lin 2004), by the rouge-score package.

    Args:
        reference: what should have been written.
        prediction: what was written.
        language: of the reference.
        unit: what is counted; characters in Chinese and words elsewhere if None.
    """
    found = _rouge_scorer(language, unit or default_unit(language)).score(reference, prediction)
    return {name: float(found[theirs].fmeasure) for name, theirs in ROUGE.items()}


@cache
def _rouge_scorer(language: Language, unit: Unit) -> Any:
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(list(ROUGE.values()), tokenizer=_Cutter(language, unit))


def bleu_columns(reference: str, prediction: str, language: Language) -> list[float]:
    """Lengths, n-gram matches and n-gram totals of one pair, by sacrebleu's counting."""
    found = _bleu(language).sentence_score(prediction, [reference])
    return [found.sys_len, found.ref_len, *found.counts, *found.totals]


def bleu_of_sums(sums: Array) -> Array:
    """Corpus BLEU over 100 (exponential smoothing, as sacrebleu) of sums (..., 10)."""
    from sacrebleu.metrics import BLEU

    rows = np.asarray(sums).reshape(-1, 2 + 2 * BLEU_ORDER)
    values = [
        BLEU.compute_bleu(
            correct=[int(x) for x in row[2 : 2 + BLEU_ORDER]],
            total=[int(x) for x in row[2 + BLEU_ORDER :]],
            sys_len=int(row[0]),
            ref_len=int(row[1]),
            smooth_method="exp",
        ).score
        for row in rows
    ]
    return np.asarray(values).reshape(np.shape(sums)[:-1]) / 100


@cache
def _bleu(language: Language) -> Any:
    from sacrebleu.metrics import BLEU

    tokenize = "zh" if language in CHINESE else "char" if language in UNSPACED else "13a"
    return BLEU(tokenize=tokenize, effective_order=True)


def chrf(reference: str, prediction: str) -> float:
    """chrF (Popovic 2015) of one pair, by sacrebleu, over 100."""
    return float(_chrf().sentence_score(prediction, [reference]).score) / 100


@cache
def _chrf() -> Any:
    from sacrebleu.metrics import CHRF

    return CHRF()


def copied(prediction: str, source: str, language: Language) -> tuple[int, int]:
    """How many of the prediction's n-grams stand in the source, and how many there are."""
    unit = default_unit(language)
    ours = _ngrams(tokens(prediction, language, unit), COPIED_NGRAM)
    theirs = set(_ngrams(tokens(source, language, unit), COPIED_NGRAM))
    return sum(ngram in theirs for ngram in ours), len(ours)


def repeated(prediction: str, language: Language) -> tuple[int, int]:
    """How many of the prediction's n-grams it has said before, and how many there are."""
    found = _ngrams(tokens(prediction, language, default_unit(language)), REPEATED_NGRAM)
    return len(found) - len(set(found)), len(found)


def unsupported_numbers(prediction: str, source: str) -> tuple[int, int]:
    """How many of the prediction's numbers are not in the source, and how many there are."""
    known = {_plain_number(number) for number in _NUMBER.findall(source)}
    ours = [_plain_number(number) for number in _NUMBER.findall(prediction)]
    return sum(number not in known for number in ours), len(ours)


def unsupported_names(
    predictions: Iterable[str], source: str, language: Language
) -> tuple[int, int]:
    """How many of the different names in some texts are not in the source, and how many there are.

    Chinese names are what jieba tags as people, places and organisations. Other ones are runs of
    capitalised words that do not open a sentence; languages that capitalise all nouns have none.
    Fields are texts of their own: many end without a full stop, and each opens with a capital. A
    name is in the source if its words follow each other there, whatever their case, hyphens and
    possessives; a Chinese one if its characters do.
    """
    known = f" {' '.join(words_of(source))} "
    characters = unicodedata.normalize("NFKC", source).casefold()
    ours: dict[str, bool] = {}
    for text in predictions:
        for name in names(text, language):
            plain = " ".join(words_of(name))
            if is_chinese(name):
                plain = unicodedata.normalize("NFKC", name).casefold()
                ours[plain] = plain in characters
            elif plain:
                ours[plain] = f" {plain} " in known
    return sum(not supported for supported in ours.values()), len(ours)


def names(text: str, language: Language) -> list[str]:
    """The different names in a text, in order."""
    if language in NOUNS_CAPITALISED:
        return []
    if language in CHINESE:
        import rjieba

        found = [word for word, tag in rjieba.tag(text) if tag in _CHINESE_NAMES and len(word) > 1]
    else:
        found = [
            name
            for sentence in sentences(unicodedata.normalize("NFC", text), language)
            for name in _capitalised_runs(sentence)
        ]
    return list(dict.fromkeys(found))


def _capitalised_runs(sentence: str) -> list[str]:
    """Runs of capitalised words, less the first word of the sentence and the pronoun I."""
    runs: list[list[str]] = []
    end = None
    for match in _NAME_WORD.finditer(sentence):
        word = match.group().rstrip("'’-")
        if match.start() and word[0].isupper() and not _PRONOUN.fullmatch(word):
            if end is not None and sentence[end : match.start()].isspace():
                runs[-1].append(word)
            else:
                runs.append([word])
            end = match.end()
        else:
            end = None
    return [" ".join(run) for run in runs]


def joined(fields: Mapping[str, str], order: Sequence[str], language: Language) -> str:
    """All fields as one text, in order."""
    return joint_of(language).join(fields.get(name, "") for name in order)


def summary_language(case: Case) -> Language:
    """What the references are written in: a summary is cut as they are, whatever the case is."""
    found = detect_language(joined(case.references, case.fields, case.language))
    # Short references of a user's own case do not tell; its language is known better.
    return case.language if found == "other" and case.language not in DETECTED else found


def compared_texts(case: Case, answer: Answer) -> tuple[str, str, Language]:
    """Reference and prediction of a case, all fields as one text, and their language."""
    language = summary_language(case)
    reference, prediction = (
        joined(fields, case.fields, language) for fields in (case.references, answer.fields)
    )
    return reference, prediction, language


def all_scores(cases: Sequence[Case], answers: Sequence[Answer]) -> dict[str, Score]:
    """Every headline score of the answers, over all fields together.

    Args:
        cases: what was to be summarised.
        answers: one a case, in the same order.
    """
    rouges, bleus, chrfs, shares = [], [], [], []
    for case, answer in zip(cases, answers, strict=True):
        reference, prediction, language = compared_texts(case, answer)
        found = rouge(reference, prediction, language)
        rouges.append([*found.values(), 1.0])
        bleus.append(bleu_columns(reference, prediction, language))
        chrfs.append([chrf(reference, prediction), 1.0])
        shares.append(
            [
                *repeated(prediction, language),
                *unsupported_numbers(prediction, case.text),
                *unsupported_names(answer.fields.values(), case.text, language),
            ]
        )
    groups = [case.group for case in cases]
    flags = [[answer.valid, answer.failed, 1.0] for answer in answers]
    means, decided, counts = (
        group_sums(np.array(rows, dtype=float), groups) for rows in (rouges, flags, shares)
    )
    return {
        "valid_output": Score("higher", decided[:, [0, 2]], ratio),
        **{name: Score("higher", means[:, [i, 3]], ratio) for i, name in enumerate(ROUGE)},
        "bleu": Score("higher", group_sums(np.array(bleus, dtype=float), groups), bleu_of_sums),
        "chrf": Score("higher", group_sums(np.array(chrfs), groups), ratio),
        "failed": Score("lower", decided[:, [1, 2]], ratio),
        "repetition": Score("lower", counts[:, 0:2], ratio),
        "unsupported_numbers": Score("lower", counts[:, 2:4], ratio),
        "unsupported_names": Score("lower", counts[:, 4:6], ratio),
    }


def field_scores(cases: Sequence[Case], answers: Sequence[Answer]) -> dict[str, dict[str, float]]:
    """Mean ROUGE and chrF of each field by itself."""
    table: dict[str, list[dict[str, float]]] = {}
    for case, answer in zip(cases, answers, strict=True):
        language = summary_language(case)
        for name in case.fields:
            reference, prediction = case.references[name], answer.fields.get(name, "")
            found = rouge(reference, prediction, language)
            found["chrf"] = chrf(reference, prediction)
            table.setdefault(name, []).append(found)
    return {
        name: {score: float(np.mean([row[score] for row in rows])) for score in rows[0]}
        for name, rows in table.items()
    }


def description(cases: Sequence[Case], answers: Sequence[Answer]) -> dict[str, float]:
    """What is neither good nor bad by itself: lengths, copying, repairs, word-wise ROUGE."""
    lengths, goals, copies, words = [], [], [], []
    for case, answer in zip(cases, answers, strict=True):
        reference, prediction, language = compared_texts(case, answer)
        unit = default_unit(language)
        lengths.append(len(tokens(prediction, language, unit)))
        goals.append(len(tokens(reference, language, unit)))
        copies.append(copied(prediction, case.text, language))
        words.append(rouge(reference, prediction, language, "words"))
    found = float(np.sum([count for _, count in copies]))
    return {
        "mean_length": float(np.mean(lengths)),
        "length_ratio": float(np.sum(lengths) / np.sum(goals)) if any(goals) else 0.0,
        "copy_rate": float(np.sum([hits for hits, _ in copies]) / found) if found else 0.0,
        "repaired": float(np.mean([answer.repaired for answer in answers])),
        **{f"{name}_words": float(np.mean([row[name] for row in words])) for name in ROUGE},
    }


def _ngrams(parts: Sequence[str], size: int) -> list[tuple[str, ...]]:
    return [tuple(parts[i : i + size]) for i in range(len(parts) - size + 1)]


def _plain_number(number: str) -> str:
    return number.replace(",", "").rstrip(".")


def ratio(sums: Array) -> Array:
    """First sum over second; 0 / 0 is 0."""
    above, below = sums[..., 0], sums[..., 1]
    return np.divide(above, below, out=np.zeros_like(above), where=below > 0)
