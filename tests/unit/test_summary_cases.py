"""From raw files to cases: both layouts, splits, and everything that can be wrong with a file."""

import json
import random
from collections import Counter

import pytest
from blocks import changed

from affectlab.errors import DataError, UserError
from affectlab.files.io import read_jsonl
from affectlab.samples.summary import write_longemotion, write_psyqa
from affectlab.summary.audit import audit
from affectlab.summary.cases import FIELDS, REFLECTION, read_cases, with_fold
from affectlab.summary.convert import Outputs, convert
from affectlab.summary.layouts import LONG_CONSULTATION, read_requests, template_reflection
from affectlab.summary.settings import Split
from affectlab.summary.splits import stratified

SPLIT = Split()


def raw_lines(tmp_path):
    write_longemotion(tmp_path / "good", cases=20)
    return (tmp_path / "good" / "Emotion_Summary.jsonl").read_text().splitlines()


def converted(tmp_path, lines, *, layout="longemotion", name="Emotion_Summary.jsonl", **options):
    raw = tmp_path / "raw"
    raw.mkdir(exist_ok=True)
    content = "\n".join(lines) if isinstance(lines, list) else lines
    (raw / name).write_text(content + "\n", encoding="utf-8", errors="surrogatepass")
    paths = tmp_path / "records.jsonl", tmp_path / "quarantine.jsonl"
    outputs = Outputs(*paths, tmp_path / "description.json")
    convert(raw, outputs, {"layout": layout}, split=SPLIT, **options)
    return read_cases(paths[0]), list(read_jsonl(paths[1]))


def test_longemotion_gives_five_references(tmp_path):
    cases, bad = converted(tmp_path, raw_lines(tmp_path))
    assert len(cases) == 20
    assert not bad
    assert cases[0].fields == FIELDS
    assert cases[0].reflection
    assert cases[0].language == "en"
    assert not cases[0].template


def test_psyqa_gives_a_reflection_from_a_template(tmp_path):
    write_psyqa(tmp_path / "good", cases=20)
    text = (tmp_path / "good" / "PsyQA_sample.json").read_text()
    cases, _ = converted(tmp_path, text, layout="psyqa", name="PsyQA.json")
    assert {case.fields for case in cases} == {(REFLECTION,)}
    assert all(case.template and not case.reflection for case in cases)
    assert Counter(case.split for case in cases) == {"train": 17, "test": 3}
    assert {case.language for case in cases} == {"zh"}


def test_the_template_has_one_switch_on_length():
    short, long = (template_reflection(["家庭"], "字" * n) for n in (LONG_CONSULTATION - 1, 9999))
    assert short != long
    assert "家庭" in short
    assert "情绪困扰" in template_reflection([], "")


def test_psyqa_without_keywords(tmp_path):
    question = {
        "questionID": 1,
        "question": "怎么办？",
        "description": "",
        "answers": [{"answer_text": "慢慢来。"}],
    }
    numbered = [{**question, "questionID": i, "question": f"{i}怎么办？"} for i in range(10)]
    cases, _ = converted(tmp_path, json.dumps(numbered), layout="psyqa", name="PsyQA.json")
    assert "情绪困扰" in cases[0].references[REFLECTION]


def broken(line, **changes):
    record = json.loads(line) | changes
    return json.dumps({key: value for key, value in record.items() if value is not ...})


BAD = {
    "missing field": ({"causes": ...}, "missing field causes"),
    "string for list": ({"case_description": "text"}, "expected a list of strings, found a string"),
    "empty consultation": ({"consultation_process": ["  "]}, "consultation_process: is empty"),
    "number in list": ({"case_description": ["a", 3]}, "item 2: expected a string"),
    "lone surrogate": ({"symptoms": "a \ud83d b"}, "half a surrogate pair"),
    "empty reference": ({"treatment_effect": " "}, "treatment_effect: is empty"),
    "null": ({"experience_and_reflection": None}, "expected a string, found null"),
    "half a pair in an id": ({"id": "\ud83d"}, "id: holds half a surrogate pair"),
    "broken number as id": ({"id": 1.5}, "id: expected a whole number or a string, found"),
    "blank id": ({"id": " "}, "id: is empty"),
    "duplicate id": ({"id": 1}, "the id '1' was already used in line 1"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_record_is_named_or_set_aside(tmp_path, kind):
    changes, problem = BAD[kind]
    lines = raw_lines(tmp_path)
    lines[1] = broken(lines[1], **changes)
    with pytest.raises(DataError, match="line 2") as caught:
        converted(tmp_path, lines)
    assert problem in str(caught.value)
    assert not (tmp_path / "records.jsonl").exists()
    cases, bad = converted(tmp_path, lines, on_bad_record="skip")
    assert len(cases) == 19
    assert [row["place"] for row in bad] == ["line 2"]


def test_a_broken_line(tmp_path):
    lines = raw_lines(tmp_path)
    lines[4] = lines[4][:-9]
    with pytest.raises(DataError, match="line 5: not valid JSON"):
        converted(tmp_path, lines)


QUESTION = {
    "questionID": 1,
    "question": "怎么办？",
    "description": "",
    "answers": [{"answer_text": "慢慢来。"}],
}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ('{"a": 1}', "expected a list of questions"),
        ('[{"questionID": 1}]', "missing field question and description and answers"),
        (
            '[{"questionID": 1, "question": "a", "description": "b", "answers": []}]',
            "answers: is empty",
        ),
        ("not json", "not valid JSON"),
        ("[" * 5000, "not valid JSON: nested too deeply"),
        (json.dumps([QUESTION | {"keywords": "\ud83d"}]), "record 1: keywords: holds half a"),
        (
            json.dumps([QUESTION | {"keywords": ["家庭", None]}]),
            "record 1: keywords, item 2: expected a string, found null",
        ),
        (json.dumps([QUESTION | {"keywords": 5}]), "keywords: expected a string or a list"),
    ],
)
def test_a_broken_psyqa_file(tmp_path, content, problem):
    with pytest.raises(DataError, match=problem):
        converted(tmp_path, content, layout="psyqa", name="PsyQA.json")


def test_two_files_or_none(tmp_path):
    lines = raw_lines(tmp_path)
    (tmp_path / "raw").mkdir()
    outputs = Outputs(tmp_path / "r", tmp_path / "q", tmp_path / "d")
    with pytest.raises(DataError, match="found none"):
        convert(tmp_path / "raw", outputs, {"layout": "longemotion"}, split=SPLIT)
    (tmp_path / "raw" / "._other.jsonl").write_bytes(b"what macOS leaves on other disks")
    assert len(converted(tmp_path, lines)[0]) == 20
    (tmp_path / "raw" / "other.jsonl").write_text("")
    with pytest.raises(DataError, match=r"found Emotion_Summary.jsonl, other.jsonl"):
        converted(tmp_path, lines)


def test_splits_are_even_in_length_and_do_not_depend_on_the_order(tmp_path):
    write_longemotion(tmp_path / "good", cases=100)
    lines = (tmp_path / "good" / "Emotion_Summary.jsonl").read_text().splitlines()
    cases, _ = converted(tmp_path, lines)
    texts = Counter(case.group for case in cases)
    assert max(texts.values()) == 1
    assert Counter(case.split for case in cases) == {"train": 70, "validation": 10, "test": 20}
    assert set(Counter(case.fold for case in cases).values()) == {20}
    order = sorted(len(case.text) for case in cases)
    long = [case for case in cases if len(case.text) >= order[67]]
    assert 5 <= sum(case.split == "test" for case in long) <= 9
    again, _ = converted(tmp_path, lines[::-1])
    assert {case.id: (case.split, case.fold) for case in again} == {
        case.id: (case.split, case.fold) for case in cases
    }


def test_cases_with_the_same_text_stay_together(tmp_path):
    lines = raw_lines(tmp_path)
    copies = [broken(line, id=100 + number) for number, line in enumerate(lines)]
    cases, _ = converted(tmp_path, lines + copies)
    by_group = {}
    for case in cases:
        by_group.setdefault(case.group, set()).add((case.split, case.fold))
    assert len(by_group) == 20
    assert all(len(places) == 1 for places in by_group.values())


def test_questions_with_the_same_text_are_in_one_fold_of_the_published_split(tmp_path):
    numbered = [
        {**QUESTION, "questionID": i, "question": f"{i % 30}怎么办？"}  # Each twice.
        for i in range(60)
    ]
    cases, _ = converted(tmp_path, json.dumps(numbered), layout="psyqa", name="PsyQA.json")
    folds = {}
    for case in cases:
        folds.setdefault(case.group, set()).add(case.fold)
    assert len(folds) == 30
    assert Counter(fold for (fold,) in folds.values()) == dict.fromkeys(range(5), 6)
    # The split itself is the original's, which minds no texts.
    order = list(range(60))
    random.Random(42).shuffle(order)
    assert {case.id for case in cases if case.split == "train"} == set(map(str, order[:51]))


def test_folds_share_nothing_and_cover_all(tmp_path):
    cases, _ = converted(tmp_path, raw_lines(tmp_path))
    tested = []
    for fold in range(5):
        split = with_fold(cases, fold)
        parts = {
            name: {case.id for case in split if case.split == name}
            for name in ("train", "validation", "test")
        }
        assert all(parts.values())
        assert not parts["train"] & parts["test"]
        tested += parts["test"]
    assert sorted(tested) == sorted(case.id for case in cases)
    with pytest.raises(UserError, match=r"fold 5: .* 5 folds, from 0 to 4"):
        with_fold(cases, 5)
    assert with_fold(cases, None) == cases


def test_mixed_languages_and_duplicates_are_counted(tmp_path):
    lines = raw_lines(tmp_path)
    lines[3] = broken(lines[3], consultation_process=["我们谈了很久。" * 30])
    lines.append(broken(lines[0], id=99))
    cases, _ = converted(tmp_path, lines)
    found = audit(cases, [], {"counts": {"test": 30}})
    languages = Counter()
    for part in found["counts"].values():
        languages.update(part["languages"])
    assert languages == {"en": 20, "mixed": 1}
    assert [sorted(group) for group in found["duplicates"]] == [["1", "99"]]
    assert found["overlap"]["test"] == []
    assert found["expected"][0]["status"] == "differs"
    assert found["templates"]["cases"] == 0


def test_misread_over_long_and_empty_are_named(tmp_path):
    lines = raw_lines(tmp_path)
    lines[2] = broken(lines[2], symptoms="she couldnâ€™t sleep")
    lines[4] = broken(lines[4], consultation_process=["a \ufffd b"])
    lines[5] = broken(lines[5], case_description=["They talked about it. " * 10_000])
    lines[6] = broken(lines[6], experience_and_reflection=" ")
    cases, _ = converted(tmp_path, lines)
    assert max(len(case.text) for case in cases) > 200_000
    found = audit(cases, [], {})
    assert found["misread"] == ["3", "5"]
    assert found["long"] == ["6"]
    assert found["empty"] == {"reflection": 1}


def test_a_seed_changes_the_split(tmp_path):
    cases, _ = converted(tmp_path, raw_lines(tmp_path))
    other = stratified(cases, changed(SPLIT, seed=1))
    assert [case.split for case in other] != [case.split for case in cases]
    assert Counter(case.split for case in other) == Counter(case.split for case in cases)


def test_requests_have_no_references(tmp_path):
    path = tmp_path / "cases.jsonl"
    record = {"id": 7, "case_description": ["a"], "consultation_process": ["b"]}
    path.write_text(json.dumps(record | {REFLECTION: "c"}) + "\n")
    (case,) = read_requests(path, FIELDS)
    assert case.reflection == "c"
    assert set(case.references.values()) == {""}
    (blind,) = read_requests(path, (REFLECTION,))
    assert not blind.reflection
    path.write_text(f"{json.dumps(record)}\n{json.dumps(record)}\n")
    with pytest.raises(DataError, match="line 2: the id 7 occurs a second time"):
        read_requests(path, FIELDS)


def test_lines_that_are_no_request_do_not_stop_the_others(tmp_path):
    path, found = tmp_path / "cases.jsonl", []
    good = {"id": 7, "case_description": ["a"], "consultation_process": ["b"]}
    lines = [good, good | {"id": 8}, good, {"id": 9, "case_description": ["x"]}, good | {"id": 10}]
    path.write_text("notjson\n" + "".join(f"{json.dumps(line)}\n" for line in lines))
    cases = read_requests(path, FIELDS, lambda place, problem: found.append((place, problem)))
    assert [case.id for case in cases] == ["7", "8", "10"]
    assert found == [
        (f"{path}, line 1", "not valid JSON: Expecting value"),
        (f"{path}, line 4", "the id 7 occurs a second time"),
        (f"{path}, line 5", "missing field consultation_process"),
    ]
    path.write_text("notjson\n")
    with pytest.raises(DataError, match="no cases in the file"):
        read_requests(path, FIELDS, lambda place, problem: None)
