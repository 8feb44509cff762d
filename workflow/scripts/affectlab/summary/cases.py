"""Counselling cases: from PsyQA's or LongEmotion's raw file to one tidy table.

Two tasks come of the two layouts. ``fields``, the benchmark's own: five short references from a
whole case (LongEmotion). ``reflection``, the original project's: the counsellor's reflection from
description and consultation (PsyQA); PsyQA holds no such reflections, so that the target is made
from a template, as the original did it, and marked as such.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from affectlab.datasets.names import Ids
from affectlab.datasets.near_texts import near_groups
from affectlab.datasets.texts import kind_of, normalise_text
from affectlab.errors import DataError, UserError
from affectlab.files.io import (
    is_encodable,
    read_json,
    read_jsonl,
    read_lines,
    write_jsonl,
)
from affectlab.files.quarantine import BadRecord
from affectlab.summary.text import Language, detect_language

FIELDS = (
    "causes",
    "symptoms",
    "treatment_process",
    "characteristics_of_illness",
    "treatment_effect",
)
"""References of the task ``fields``, in the order of the benchmark."""

REFLECTION = "experience_and_reflection"

TASKS = {"fields": FIELDS, "reflection": (REFLECTION,)}
"""Task -> what is generated."""

SPLITS = ("train", "validation", "test")

PUBLISHED_TRAIN_SHARE = 0.85
PUBLISHED_SEED = 42

LONG_CONSULTATION = 500
"""Characters from which the original's template takes its sentence for long consultations."""

LENGTH_STRATA = 3

MOST_FOLDS = 1000


@dataclass(frozen=True, slots=True)
class Case:
    """One case: what is summarised, and what the summary should say.

    Attributes:
        id: as in the raw file, unique.
        split: train, validation or test.
        fold: of the cross-validation, from 0.
        language: of the whole case.
        case_description: paragraphs.
        consultation_process: paragraphs.
        reflection: the counsellor's reflection where it is an input, else empty.
        references: field -> text that is to be generated.
        template: whether the references were made from a template.
        group: cases with the same text share it; in a split of our own also nearly the same ones.
    """

    id: str
    split: str
    fold: int
    language: Language
    case_description: tuple[str, ...]
    consultation_process: tuple[str, ...]
    reflection: str
    references: dict[str, str]
    template: bool
    group: str

    @property
    def fields(self) -> tuple[str, ...]:
        """What is to be generated, in order."""
        return tuple(self.references)

    @property
    def text(self) -> str:
        """Everything that a summary may draw on."""
        parts = [*self.case_description, *self.consultation_process, self.reflection]
        return "\n".join(part for part in parts if part)


def convert(
    raw_directory: Path | str,
    layout: str,
    records_path: Path | str,
    quarantine_path: Path | str,
    *,
    split: Mapping[str, Any],
    on_bad_record: str = "fail",
    similar_names: str = "refuse",
) -> None:
    """Write the cases of a raw folder, and its bad records, as JSON Lines.

    Args:
        raw_directory: holds one file in the layout.
        layout: ``psyqa`` or ``longemotion``.
        records_path: gets one case a line.
        quarantine_path: gets ``{"file", "place", "problem"}`` a line.
        split: ``validation`` and ``test`` (shares), ``folds`` and ``seed``; PsyQA's 85/15 split
            is the published one and takes only the folds from here.
        on_bad_record: ``fail`` raises at the first bad record; ``skip`` sets it aside.
        similar_names: ``refuse`` refuses ids that differ in case, white space or Unicode form
            only; ``merge`` takes them as ids of different cases.

    Raises:
        DataError: a record is bad and *on_bad_record* is ``fail``, or the whole file is.
    """
    path = find_file(Path(raw_directory), layout)
    cases: list[Case] = []
    bad: list[BadRecord] = []
    ids = Ids(similar_names)
    for place, record in _LAYOUTS[layout].rows(path):
        found = record if isinstance(record, str) else _case_or_problem(record, layout)
        if isinstance(found, Case):
            repeated = ids.add(found.id, place)
            found = found if repeated is None else repeated.problem()
        if isinstance(found, Case):
            cases.append(found)
        else:
            if on_bad_record == "fail":
                raise DataError(path, place, found)
            bad.append(BadRecord(path.name, place, found))
    if not cases:
        raise DataError(path, None, "not one good case in the file")
    cases = _with_one_group(cases, [normalise_text(case.text) for case in cases])
    write_jsonl(
        records_path, (asdict(case) for case in _LAYOUTS[layout].assign(cases, split)), sealed=True
    )
    write_jsonl(quarantine_path, (asdict(item) for item in bad), sealed=True)


def _with_one_group(cases: Sequence[Case], keys: Sequence[Hashable]) -> list[Case]:
    """The cases with one group for those with the same key.

    It is called by the smallest name among them, which does not depend on the order of the file.
    """
    names: dict[Hashable, str] = {}
    for case, key in zip(cases, keys, strict=True):
        names[key] = min(case.group, names.get(key, case.group))
    return [replace(case, group=names[key]) for case, key in zip(cases, keys, strict=True)]


def read_requests(path: Path | str, fields: Sequence[str]) -> list[Case]:
    """Read cases that are to be summarised, without references.

    Args:
        path: JSON Lines with ``id``, ``case_description`` and ``consultation_process`` (lists of
            strings) and, for the task ``fields``, perhaps ``experience_and_reflection``.
        fields: what is to be generated.

    Raises:
        DataError: a line is not such a case, or repeats an id.
    """
    lists = ("case_description", "consultation_process")
    cases: dict[str, Case] = {}
    for place, record in _longemotion_rows(Path(path)):
        if isinstance(record, str):
            raise DataError(path, place, record)
        reflection = record.get(REFLECTION, "")
        problem = (
            _missing(record, ("id", *lists))
            or _id_problem("id", record["id"])
            or next(filter(None, (_list_problem(name, record[name]) for name in lists)), None)
            or text_problem(REFLECTION, reflection, needed=False)
        )
        if problem is None and str(record["id"]) in cases:
            problem = f"the id {record['id']!r} occurs a second time"
        if problem is not None:
            raise DataError(path, place, problem)
        # A reflection that is to be written is not read.
        given = "" if REFLECTION in fields else reflection.strip()
        case = _case(
            record["id"],
            record["case_description"],
            record["consultation_process"],
            given,
            dict.fromkeys(fields, ""),
            template=False,
        )
        cases[case.id] = case
    if not cases:
        raise DataError(path, None, "no cases in the file")
    return list(cases.values())


def find_file(directory: Path, layout: str) -> Path:
    """The one raw file of a folder.

    Raises:
        DataError: there is none, or more than one.
    """
    ending = _LAYOUTS[layout].ending
    if not directory.is_dir():
        raise DataError(directory, None, "no such folder")
    found = [
        path
        for path in sorted(directory.rglob(f"*{ending}"))
        if path.name != "manifest.json" and not path.name.startswith(".")
    ]
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        raise DataError(
            directory, None, f"expected one {ending} file in the layout {layout}, found {names}"
        )
    return found[0]


def read_cases(path: Path | str) -> list[Case]:
    """Read the table that `convert` wrote.

    Raises:
        DataError: a line is not such a case, or repeats an id.
    """
    cases = []
    seen: set[str] = set()
    names = set(Case.__dataclass_fields__)
    for number, row in enumerate(read_jsonl(path), start=1):
        if set(row) != names:
            raise DataError(path, f"record {number}", f"expected the fields {', '.join(names)}")
        if problem := _stored_problem(row):
            raise DataError(path, f"record {number}", problem)
        if row["id"] in seen:
            raise DataError(path, f"record {number}", f"the id {row['id']} occurs a second time")
        seen.add(row["id"])
        lists = {name: tuple(row[name]) for name in ("case_description", "consultation_process")}
        cases.append(Case(**(row | lists)))
    return cases


def _stored_problem(row: Mapping[str, Any]) -> str | None:
    """What is wrong with the values of a line of the table that `convert` wrote."""
    texts = ("id", "split", "language", "reflection", "group")
    if not all(isinstance(row[name], str) for name in texts):
        return f"{', '.join(texts)}: expected strings"
    if type(row["fold"]) is not int or not 0 <= row["fold"] < MOST_FOLDS:
        return "fold: expected a whole number"
    if not isinstance(row["template"], bool):
        return "template: expected true or false"
    for name in ("case_description", "consultation_process"):
        if not isinstance(row[name], list) or not all(isinstance(t, str) for t in row[name]):
            return f"{name}: expected a list of strings"
    references = row["references"]
    if not isinstance(references, dict) or not all(
        isinstance(text, str) for text in references.values()
    ):
        return "references: expected an object, from fields to texts"
    return None


def with_fold(cases: Sequence[Case], fold: int | None) -> list[Case]:
    """The cases as *fold* of the cross-validation splits them; as stored if it is None.

    The fold's cases are the test split, those of the next fold the validation split.

    Raises:
        UserError: there is no such fold; of few cases there are fewer than ``split.folds``.
    """
    if fold is None:
        return list(cases)
    folds = max(case.fold for case in cases) + 1
    if not 0 <= fold < folds:
        raise UserError(
            f"fold {fold}: the {len(cases)} cases make {folds} folds, from 0 to {folds - 1}"
        )
    names = {fold: "test", (fold + 1) % folds: "validation"}
    return [replace(case, split=names.get(case.fold, "train")) for case in cases]


def stratified(cases: Sequence[Case], split: Mapping[str, Any]) -> list[Case]:
    """Give each case its split and its fold, alike in language and length.

    Cases are ordered by language, third of length, and a hash of seed and text; every so-manieth
    goes to test, to validation, to each fold. The same file and seed give the same splits,
    whatever the order of its lines. Cases with the same text, or nearly, stay together.
    """
    cases = _with_one_group(cases, near_groups([case.text for case in cases]))
    groups: dict[str, list[Case]] = {}
    for case in cases:
        groups.setdefault(case.group, []).append(case)
    lengths = sorted(len(members[0].text) for members in groups.values())
    bounds = [lengths[len(lengths) * i // LENGTH_STRATA] for i in range(1, LENGTH_STRATA)]

    def key(group: str) -> tuple[str, int, str]:
        first = groups[group][0]
        third = sum(len(first.text) >= bound for bound in bounds)
        return first.language, third, _digest(f"{split['seed']}:{group}")

    assigned: dict[str, tuple[str, int]] = {}
    kept = 0
    for place, group in enumerate(sorted(groups, key=key)):
        name = "train"
        if _is_due(place, split["test"]):
            name = "test"
        else:
            if _is_due(kept, split["validation"] / (1 - split["test"])):
                name = "validation"
            kept += 1
        assigned[group] = name, place % split["folds"]
    return [
        replace(case, split=assigned[case.group][0], fold=assigned[case.group][1]) for case in cases
    ]


def published_split(cases: Sequence[Case], split: Mapping[str, Any]) -> list[Case]:
    """The original's 85/15 split by a shuffle with seed 42; the 15 % are both held-out splits.

    The original chooses and reports on the same held-out part; here it is called test. That
    split may part cases with the same text; the folds, which are ours, do not: groups are dealt
    out to them in the order of the shuffle.
    """
    order = list(range(len(cases)))
    random.Random(PUBLISHED_SEED).shuffle(order)
    train = set(order[: int(len(order) * PUBLISHED_TRAIN_SHARE)])
    groups = dict.fromkeys(cases[i].group for i in order)
    folds = {group: place % split["folds"] for place, group in enumerate(groups)}
    return [
        replace(case, split="train" if i in train else "test", fold=folds[case.group])
        for i, case in enumerate(cases)
    ]


def template_reflection(keywords: Sequence[str], consultation: str) -> str:
    """A reflection as the original project makes them: keywords, and one switch on length."""
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


def text_problem(name: str, value: Any, *, needed: bool = True) -> str | None:
    """What is wrong with *value* as a text that is to be stored; None if nothing is."""
    if not isinstance(value, str):
        return f"{name}: expected a string, found {kind_of(value)}"
    if needed and not value.strip():
        return f"{name}: is empty"
    if not is_encodable(value):
        return f"{name}: holds half a surrogate pair, expected valid Unicode"
    if "\0" in value:
        return f"{name}: holds a NUL character"
    return None


def _case_or_problem(record: Mapping[str, Any], layout: str) -> Case | str:
    return _LAYOUTS[layout].problem(record) or _LAYOUTS[layout].case(record)


def _is_due(place: int, share: float) -> bool:
    """Whether the item at *place* is one of the evenly spread *share* of all."""
    # The small addition keeps 0.2 * 5 from falling short of 1.
    return int((place + 1) * share + 1e-9) > int(place * share + 1e-9)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _list_problem(name: str, value: Any) -> str | None:
    if not isinstance(value, list):
        return f"{name}: expected a list of strings, found {kind_of(value)}"
    for number, item in enumerate(value, start=1):
        if problem := text_problem(f"{name}, item {number}", item, needed=False):
            return problem
    return None if any(item.strip() for item in value) else f"{name}: is empty"


def _missing(record: Mapping[str, Any], names: Sequence[str]) -> str | None:
    absent = [name for name in names if name not in record]
    return f"missing field {' and '.join(absent)}" if absent else None


def _id_problem(name: str, value: Any) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return None
    if isinstance(value, str):
        return text_problem(name, value)
    return f"{name}: expected a whole number or a string, found {kind_of(value)}"


def _longemotion_rows(path: Path) -> Iterator[tuple[str, Mapping[str, Any] | str]]:
    """Place and record, or place and problem, of each line."""
    for number, line in read_lines(path):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            yield f"line {number}", "not valid JSON"
            continue
        found = (
            record if isinstance(record, dict) else f"expected an object, found {kind_of(record)}"
        )
        yield f"line {number}", found


def _longemotion_problem(record: Mapping[str, Any]) -> str | None:
    lists = ("case_description", "consultation_process")
    return (
        _missing(record, ("id", *lists, REFLECTION, *FIELDS))
        or _id_problem("id", record["id"])
        or next(filter(None, (_list_problem(name, record[name]) for name in lists)), None)
        or text_problem(REFLECTION, record[REFLECTION], needed=False)
        or next(filter(None, (text_problem(name, record[name]) for name in FIELDS)), None)
    )


def _longemotion_case(record: Mapping[str, Any]) -> Case:
    return _case(
        record["id"],
        record["case_description"],
        record["consultation_process"],
        record[REFLECTION].strip(),
        {name: record[name].strip() for name in FIELDS},
        template=False,
    )


def _psyqa_rows(path: Path) -> Iterator[tuple[str, Mapping[str, Any] | str]]:
    content = read_json(path)
    if not isinstance(content, list):
        raise DataError(path, None, f"expected a list of questions, found {kind_of(content)}")
    for number, record in enumerate(content, start=1):
        found = (
            record if isinstance(record, dict) else f"expected an object, found {kind_of(record)}"
        )
        yield f"record {number}", found


def _psyqa_problem(record: Mapping[str, Any]) -> str | None:
    if problem := (
        _missing(record, ("questionID", "question", "description", "answers"))
        or _id_problem("questionID", record["questionID"])
        or text_problem("question", record["question"])
        or text_problem("description", record["description"], needed=False)
    ):
        return problem
    if problem := _keywords_problem(record.get("keywords")):
        return problem
    answers = record["answers"]
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
    template: bool,
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
        group=_digest(" ".join(whole.casefold().split()))[:16],
    )


@dataclass(frozen=True, slots=True)
class _Layout:
    """How a raw file is read: its ending, its records, what is wrong with one, its splits."""

    ending: str
    rows: Callable[[Path], Iterator[tuple[str, Mapping[str, Any] | str]]]
    problem: Callable[[Mapping[str, Any]], str | None]
    case: Callable[[Mapping[str, Any]], Case]
    assign: Callable[[Sequence[Case], Mapping[str, Any]], list[Case]]


_LAYOUTS = {
    "longemotion": _Layout(
        ".jsonl", _longemotion_rows, _longemotion_problem, _longemotion_case, stratified
    ),
    "psyqa": _Layout(".json", _psyqa_rows, _psyqa_problem, _psyqa_case, published_split),
}
