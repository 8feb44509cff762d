"""The raw layouts of cases, LongEmotion's and PsyQA's, and cases without references."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from affectlab.datasets.tables import read_json_lines
from affectlab.datasets.texts import kind_of
from affectlab.errors import DataError
from affectlab.files.io import read_json
from affectlab.summary.cases import FIELDS, OWN_TASK, REFLECTION, Case, task_of, text_problem
from affectlab.summary.settings import Split
from affectlab.summary.splits import digest, published_split, stratified
from affectlab.summary.text import detect_language

LISTS = ("case_description", "consultation_process")
"""Fields of LongEmotion that hold paragraphs."""

LONG_CONSULTATION = 500
"""Characters from which the original's template takes its sentence for long consultations."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How a raw file is read: ending, field of the id, records, what is wrong with one, splits."""

    ending: str
    id: str
    rows: Callable[[Path], Iterator[tuple[str, Mapping[str, Any] | str]]]
    problem: Callable[[Mapping[str, Any]], str | None]
    case: Callable[[Mapping[str, Any]], Case]
    assign: Callable[[Sequence[Case], Split], list[Case]]


def template_reflection(keywords: Sequence[str], consultation: str) -> str:
    """Make a reflection as the original project does: keywords, and one switch on length."""
    topic = "、".join(keywords) or "情绪困扰"
    depth = (
        "咨询过程较为深入，咨询师从多个角度分析了问题的成因，并给出了具体的建议。"
        if len(consultation) >= LONG_CONSULTATION
        else "咨询过程较为简短，咨询师抓住了主要问题，并给出了初步的建议。"
    )
    return (
        f"本案例的主要议题是{topic}。咨询师首先对来访者的感受表示理解和接纳，建立了信任的咨询关系。"
        f"{depth}"
        f"在处理{topic}一类的问题时，倾听、共情与支持十分重要，也要帮助来访者看到自身的资源。"
    )


def _list_problem(name: str, value: Any) -> str | None:
    if not isinstance(value, list):
        return f"{name}: expected a list of strings, found {kind_of(value)}"
    for number, item in enumerate(value, start=1):
        if problem := text_problem(f"{name}, item {number}", item, needed=False):
            return problem
    return None if any(item.strip() for item in value) else f"{name}: is empty"


def _lists_problem(record: Mapping[str, Any]) -> str | None:
    return next(filter(None, (_list_problem(name, record[name]) for name in LISTS)), None)


def _missing(record: Mapping[str, Any], names: Sequence[str]) -> str | None:
    absent = [name for name in names if name not in record]
    return f"missing field {' and '.join(absent)}" if absent else None


def _id_problem(name: str, value: Any) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return None
    if isinstance(value, str):
        return text_problem(name, value)
    return f"{name}: expected a whole number or a string, found {kind_of(value)}"


def _object_or_problem(value: Any) -> Mapping[str, Any] | str:
    return value if isinstance(value, dict) else f"expected an object, found {kind_of(value)}"


def _longemotion_rows(path: Path) -> Iterator[tuple[str, Mapping[str, Any] | str]]:
    """Place and record, or place and problem, of each line."""
    for row in read_json_lines(path, ()):
        yield row.place, row.problem or row.values


def _longemotion_problem(record: Mapping[str, Any]) -> str | None:
    return (
        _missing(record, ("id", *LISTS, REFLECTION, *FIELDS))
        or _id_problem("id", record["id"])
        or _lists_problem(record)
        or text_problem(REFLECTION, record[REFLECTION], needed=False)
        or next(filter(None, (text_problem(name, record[name]) for name in FIELDS)), None)
    )


def _longemotion_case(record: Mapping[str, Any]) -> Case:
    description, process = (record[name] for name in LISTS)
    references = {name: record[name].strip() for name in FIELDS}
    return _case(record["id"], description, process, record[REFLECTION].strip(), references)


def _psyqa_rows(path: Path) -> Iterator[tuple[str, Mapping[str, Any] | str]]:
    content = read_json(path)
    if not isinstance(content, list):
        raise DataError(path, None, f"expected a list of questions, found {kind_of(content)}")
    for number, record in enumerate(content, start=1):
        yield f"record {number}", _object_or_problem(record)


def _psyqa_problem(record: Mapping[str, Any]) -> str | None:
    return (
        _missing(record, ("questionID", "question", "description", "answers"))
        or _id_problem("questionID", record["questionID"])
        or text_problem("question", record["question"])
        or text_problem("description", record["description"], needed=False)
        or _keywords_problem(record.get("keywords"))
        or _answers_problem(record["answers"])
    )


def _answers_problem(answers: Any) -> str | None:
    if not isinstance(answers, list):
        return f"answers: expected a list, found {kind_of(answers)}"
    for number, answer in enumerate(answers, start=1):
        if not isinstance(answer, dict) or "answer_text" not in answer:
            return f"answers, item {number}: expected an object with answer_text"
        if problem := text_problem(
            f"answers, item {number}, answer_text", answer["answer_text"], needed=False
        ):
            return problem
    if not any(answer["answer_text"].strip() for answer in answers):
        return "answers: is empty"
    return None


def _keywords_problem(keywords: Any) -> str | None:
    if keywords is None:
        return None
    if isinstance(keywords, str):
        return text_problem("keywords", keywords, needed=False)
    if not isinstance(keywords, list):
        return f"keywords: expected a string or a list, found {kind_of(keywords)}"
    problems = (
        text_problem(f"keywords, item {number}", word, needed=False)
        for number, word in enumerate(keywords, start=1)
    )
    return next(filter(None, problems), None)


def _psyqa_case(record: Mapping[str, Any]) -> Case:
    consultation = [answer["answer_text"] for answer in record["answers"]]
    keywords = record.get("keywords") or []
    if isinstance(keywords, str):
        keywords = keywords.replace("，", ",").split(",")
    named = [word.strip() for word in keywords if word.strip()]
    return _case(
        record["questionID"],
        [record["question"], record["description"]],
        consultation,
        "",
        {REFLECTION: template_reflection(named, "".join(consultation))},
        template=True,
    )


def _case(
    identity: str | int,
    description: Sequence[str],
    process: Sequence[str],
    reflection: str,
    references: dict[str, str],
    *,
    template: bool = False,
) -> Case:
    paragraphs = [
        tuple(part.strip() for part in parts if part.strip()) for parts in (description, process)
    ]
    whole = "\n".join([*paragraphs[0], *paragraphs[1], reflection])
    return Case(
        id=str(identity),
        split="",
        fold=0,
        language=detect_language(whole),
        case_description=paragraphs[0],
        consultation_process=paragraphs[1],
        reflection=reflection,
        references=references,
        template=template,
        # Names the group, and so its place in the split. What belongs to it is decided later.
        group=digest(" ".join(whole.casefold().split()))[:16],
    )


def read_requests(
    path: Path | str,
    fields: Sequence[str],
    report: Callable[[str, str], None] | None = None,
) -> list[Case]:
    """Read cases that are to be summarised, without references.

    Args:
        path: JSON Lines with ``id``, ``case_description`` and ``consultation_process`` (lists of
            strings) and, for the task ``fields``, perhaps ``experience_and_reflection``; for
            fields of a user's own with ``id`` and ``text``.
        fields: what is to be generated.
        report: gets place and problem of each line that is not such a case, or repeats an id; the
            other lines are read. By default the first problem is raised.

    Raises:
        DataError: a line cannot be used and *report* is not given, or no line can be used.
    """
    cases: dict[str, Case] = {}
    for place, record in _longemotion_rows(Path(path)):
        found = record if isinstance(record, str) else _request_or_problem(record, fields, cases)
        if isinstance(found, Case):
            cases[found.id] = found
        elif report is None:
            raise DataError(path, place, found)
        else:
            report(f"{path}, {place}", found)
    if not cases:
        raise DataError(path, None, "no cases in the file")
    return list(cases.values())


def _request_or_problem(
    record: Mapping[str, Any], fields: Sequence[str], known: Container[str]
) -> Case | str:
    if task_of(fields) == OWN_TASK:
        return _own_request_or_problem(record, fields, known)
    problem = (
        _missing(record, ("id", *LISTS))
        or _id_problem("id", record["id"])
        or _lists_problem(record)
        or text_problem(REFLECTION, record.get(REFLECTION, ""), needed=False)
    )
    if problem is not None:
        return problem
    if str(record["id"]) in known:
        return f"the id {record['id']!r} occurs a second time"
    # A reflection that is to be written is not read.
    given = "" if REFLECTION in fields else record.get(REFLECTION, "").strip()
    description, process = (record[name] for name in LISTS)
    return _case(record["id"], description, process, given, dict.fromkeys(fields, ""))


def _own_request_or_problem(
    record: Mapping[str, Any], fields: Sequence[str], known: Container[str]
) -> Case | str:
    if problem := _missing(record, ("id", "text")):
        return problem
    if str(record["id"]) in known:
        return f"the id {record['id']!r} occurs a second time"
    try:
        return case_of_text(record["id"], record["text"], fields)
    except ValueError as error:
        return str(error)


def case_of_text(identity: str | int, text: str, fields: Sequence[str]) -> Case:
    """Make a case of a text alone, as its description.

    Args:
        identity: of the case.
        text: the description.
        fields: what is to be generated.

    Raises:
        ValueError: the id or the text cannot be used.
    """
    if problem := _id_problem("id", identity) or text_problem("text", text):
        raise ValueError(problem)
    return _case(identity, [text], [], "", dict.fromkeys(fields, ""))


LAYOUTS = {
    "longemotion": Layout(
        ".jsonl", "id", _longemotion_rows, _longemotion_problem, _longemotion_case, stratified
    ),
    "psyqa": Layout(
        ".json", "questionID", _psyqa_rows, _psyqa_problem, _psyqa_case, published_split
    ),
}
