"""Summaries without a language model, for scores to be held against."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from affectlab.errors import UserError
from affectlab.summary.answers import detail, write_details, write_predictions
from affectlab.summary.cases import Case, scored_parts
from affectlab.summary.scores import Answer
from affectlab.summary.text import (
    Language,
    characters,
    default_unit,
    joint_of,
    sentences,
    tokens,
)

if TYPE_CHECKING:
    import numpy as np

SUMMARY_LENGTH = {"words": 200, "characters": 300}
"""How long the extractive summaries are, all fields together."""

TAIL_SENTENCES = 8

DAMPING = 0.85
"""Of PageRank, as in Mihalcea and Tarau, TextRank, EMNLP 2004."""

CONVERGED = 1e-13
"""Change of all ranks together at which they are taken for stationary."""

RANK_DIGITS = 12

SENTENCES_AT_ONCE = 1024

Summarise = Callable[[Sequence[Case], Sequence[Case]], list[dict[str, str]]]


def lead(cases: Sequence[Case], train: Sequence[Case]) -> list[dict[str, str]]:
    """The beginning of each case, cut into equal parts for its fields."""
    return [_dealt(_first_tokens(case.text, case.language), case) for case in cases]


def tail(cases: Sequence[Case], train: Sequence[Case]) -> list[dict[str, str]]:
    """The last `TAIL_SENTENCES` sentences: of the reflection, else of the whole case."""
    return [
        _dealt(sentences(case.reflection or case.text, case.language)[-TAIL_SENTENCES:], case)
        for case in cases
    ]


def textrank(cases: Sequence[Case], train: Sequence[Case]) -> list[dict[str, str]]:
    """The most central sentences by TextRank, in the order of the text."""
    return [_dealt(_central_sentences(case.text, case.language), case) for case in cases]


def template(cases: Sequence[Case], train: Sequence[Case]) -> list[dict[str, str]]:
    """One answer for every case: per field, the training reference most like all others."""
    answer = {
        field: _medoid([case.references[field] for case in train], train[0].language)
        for field in train[0].fields
    }
    return [answer for _ in cases]


def nearest(cases: Sequence[Case], train: Sequence[Case]) -> list[dict[str, str]]:
    """The references of the training case with the most similar text (TF-IDF cosine)."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    def analyse(case: Case) -> list[str]:
        return tokens(case.text, case.language)

    vectorizer = TfidfVectorizer(analyzer=analyse, sublinear_tf=True)
    known = vectorizer.fit_transform(train)
    similarity = vectorizer.transform(cases) @ known.T
    return [dict(train[int(row.argmax())].references) for row in similarity]


BASELINES: dict[str, Summarise] = {
    "lead": lead,
    "tail": tail,
    "textrank": textrank,
    "template": template,
    "nearest": nearest,
}
"""Method of a run -> function from cases to answer and training cases to fields of answers."""


def baseline_answers(method: str, cases: Sequence[Case], train: Sequence[Case]) -> list[Answer]:
    """The answers of the baseline *method* to *cases*; it may learn from the cases *train*."""
    return [Answer(fields, all(fields.values())) for fields in BASELINES[method](cases, train)]


def held_out_answers(
    method: str, parts: Sequence[tuple[Sequence[Case], Sequence[Case]]]
) -> list[Answer]:
    """The answers of a baseline to the scored cases of all *parts*, see `cases.scored_parts`."""
    return [answer for train, test in parts for answer in baseline_answers(method, test, train)]


def write_baseline(
    method: str,
    *,
    records_path: Path,
    fold: int | None,
    predictions_path: Path,
    details_path: Path,
) -> None:
    """Store what a baseline says of the test cases, in the form of a model's answers.

    Raises:
        DataError: there are no test cases.
        UserError: there are none to learn from.
    """
    parts = scored_parts(records_path, fold)
    if not all(train for train, _ in parts):
        raise UserError(f"{records_path}: expected cases in the splits train and test")
    test = [case for _, own in parts for case in own]
    answers = held_out_answers(method, parts)
    write_predictions(predictions_path, test, answers, sealed=True)
    write_details(details_path, map(detail, test, answers))


def _dealt(parts: Sequence[str], case: Case) -> dict[str, str]:
    """Deal pieces of text out to the case's fields, in order, as evenly as they go."""
    fields = case.fields
    joint = joint_of(case.language)
    bounds = [len(parts) * i // len(fields) for i in range(len(fields) + 1)]
    return {field: joint.join(parts[bounds[i] : bounds[i + 1]]) for i, field in enumerate(fields)}


def _first_tokens(text: str, language: Language) -> list[str]:
    """The first pieces of *text*: characters in Chinese, else words with their punctuation."""
    unit = default_unit(language)
    pieces = characters(text) if unit == "characters" else text.split()
    return pieces[: SUMMARY_LENGTH[unit]]


def _central_sentences(text: str, language: Language) -> list[str]:
    """Sentences by falling rank until the summary is long enough, in the order of the text."""
    unit = default_unit(language)
    found = sentences(text, language)
    cut = [tokens(sentence, language, unit) for sentence in found]
    chosen: list[int] = []
    length = 0
    ranks = _pagerank(_overlap([set(words) for words in cut]))
    # Rounded, so that sentences of one rank stay in their order on any machine.
    for place in (-ranks.round(RANK_DIGITS)).argsort(kind="stable"):
        if length >= SUMMARY_LENGTH[unit]:
            break
        chosen.append(int(place))
        length += len(cut[place])
    return [found[place] for place in sorted(chosen)]


def _overlap(bags: Sequence[set[str]]) -> np.ndarray:
    """TextRank's similarity of sentences: shared words over the logs of the lengths, (n, n)."""
    import numpy as np
    from scipy.sparse import csr_array

    logs = np.log([max(len(bag), 1) for bag in bags])
    columns: dict[str, int] = {}
    words = [columns.setdefault(word, len(columns)) for bag in bags for word in sorted(bag)]
    starts = np.cumsum([0, *(len(bag) for bag in bags)])
    holds = csr_array((np.ones(len(words)), words, starts), shape=(len(bags), len(columns)))
    similarity = np.zeros((len(bags), len(bags)))
    # Block by block: a very long case has thousands of sentences.
    for start in range(0, len(bags), SENTENCES_AT_ONCE):
        some = slice(start, start + SENTENCES_AT_ONCE)
        scale = logs[:, None] + logs[some]
        shared = holds @ holds[some].T.toarray()
        np.divide(shared, scale, out=similarity[:, some], where=scale > 0)
    np.fill_diagonal(similarity, 0.0)
    return similarity


def _pagerank(weights: np.ndarray) -> np.ndarray:
    """Stationary ranks (n,) of a symmetric weighted graph with `DAMPING`, by power iteration."""
    import numpy as np

    size = len(weights)
    totals = weights.sum(axis=1)
    alone = totals == 0
    shares = np.where(alone, 1.0, totals)
    ranks = np.full(size, 1 / size)
    while True:
        # A sentence like no other passes its rank on to all.
        moved = weights @ (ranks / shares) + ranks[alone].sum() / size
        following = (1 - DAMPING) / size + DAMPING * moved
        if np.abs(following - ranks).sum() < CONVERGED:
            return following
        ranks = following


def _medoid(texts: Sequence[str], language: Language) -> str:
    """The text with the largest mean word overlap (F1 of the sets) with all of *texts*."""
    bags = [set(tokens(text, language)) for text in texts]

    def likeness(place: int) -> float:
        bag = bags[place]
        return sum(2 * len(bag & other) / max(len(bag) + len(other), 1) for other in bags)

    return texts[max(range(len(texts)), key=likeness)]
