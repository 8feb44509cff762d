"""Scores by subgroup of spans and of cases."""

import json

import numpy as np
import pytest
from sklearn.metrics import f1_score

from affectlab.config.models import Bootstrap
from affectlab.datasets.subgroups import write_subgroups
from affectlab.entity.subgroups import of_spans, target_items
from affectlab.evaluation.by_subgroup import subgroups_record
from affectlab.files.io import read_jsonl, write_jsonl
from affectlab.summary.cases import Case
from affectlab.summary.scores import Answer, all_scores
from affectlab.summary.subgroup_scores import case_items

BOOTSTRAP = Bootstrap(resamples=200)
RNG = np.random.default_rng(2)
K = 4


def spans(n, authors, right):
    """Truth and decisions of *n* spans, bool (n, K), and the author of each."""
    truth, other = RNG.integers(K, size=n), RNG.integers(K, size=n)
    decided = np.where(RNG.random(n) < right, truth, other)
    eye = np.eye(K, dtype=bool)
    return {"truth": eye[truth], "decided": eye[decided]}, RNG.integers(authors, size=n)


def test_subgroups_of_spans_have_the_scores_of_their_spans():
    table, authors = spans(300, 40, 0.6)
    ids = [f"t{place}.0" for place in range(300)]
    sex = np.where(authors % 2, "female", "male")
    record = subgroups_record(
        {"sex": dict(zip(ids, sex.tolist(), strict=True))},
        lambda: target_items(ids, authors, table, 0.95),
        BOOTSTRAP,
    )["subgroups"]["sex"]["metrics"]
    for name in ("female", "male"):
        truth, decided = (table[part][sex == name].argmax(axis=1) for part in table)
        own = record["accuracy"]["scores"][name]
        assert own["n"] == (sex == name).sum()
        assert own["groups"] == len(set(authors[sex == name]))
        assert own["value"] == pytest.approx((truth == decided).mean())
        expected = f1_score(truth, decided, average="macro")
        assert record["macro_f1"]["scores"][name]["value"] == pytest.approx(expected)


def test_a_class_that_a_subgroup_lacks_does_not_count():
    eye = np.eye(K, dtype=bool)
    table = {"truth": eye[[0, 0, 1, 2]], "decided": eye[[0, 0, 1, 0]]}
    ids = ["a", "b", "c", "d"]
    of_item = {"a": "x", "b": "x", "c": "x", "d": "y"}
    record = subgroups_record(
        {"kind": of_item}, lambda: target_items(ids, np.arange(4), table, 0.95), BOOTSTRAP
    )["subgroups"]["kind"]["metrics"]["macro_f1"]["scores"]
    assert record["x"]["value"] == 1.0
    assert record["y"]["value"] == 0.0


def test_the_interval_of_a_subgroup_covers_its_true_score():
    """Of a third of 900 spans, three of a text; the accuracy of all is that of the subgroup."""
    generator = np.random.default_rng(11)
    covered, runs = 0, 300
    eye = np.eye(K, dtype=bool)
    for _ in range(runs):
        # Spans of a text are right together more often than by chance.
        share = np.repeat(generator.beta(7, 3, size=100), 3)
        truth = generator.integers(K, size=300)
        wrong = (truth + generator.integers(1, K, size=300)) % K
        decided = np.where(generator.random(300) < share, truth, wrong)
        table = {"truth": eye[truth], "decided": eye[decided]}
        score = target_items(range(300), np.repeat(np.arange(100), 3), table, 0.95).scores
        sums = np.add.reduceat(score["accuracy"].columns, np.arange(0, 300, 3), axis=0)
        found = score["accuracy"].interval(sums)
        covered += found.low <= 0.7 <= found.high
    assert 0.92 <= covered / runs <= 0.98


def test_all_spans_of_a_text_have_the_subgroup_of_its_row(tmp_path):
    rows = [
        {"id": "t1", "text": "a b", "spans": [], "sex": "f"},
        {"id": "t2", "text": "c d", "spans": [], "sex": None},
    ]
    table = tmp_path / "scenes.jsonl"
    table.write_text("".join(json.dumps(row) + "\n" for row in rows))
    records = tmp_path / "records.jsonl"
    targets = [[{"id": "t1.0"}, {"id": "t1.1"}], [{"id": "t2.0"}]]
    write_jsonl(
        records,
        [{"id": f"t{n}", "targets": own} for n, own in enumerate(targets, start=1)],
    )
    entry = {"layout": "spans", "columns": {"id": "id"}, "subgroups": ["sex"]}
    ids, cells = of_spans(table, records, entry)
    write_subgroups(tmp_path / "subgroups.jsonl", cells, ids, ["sex"], table)
    found = {row["id"]: row["sex"] for row in read_jsonl(tmp_path / "subgroups.jsonl")}
    assert found == {"t1.0": "f", "t1.1": "f", "t2.0": None}


def case(name, words):
    return Case(
        id=name,
        split="test",
        fold=0,
        language="English",
        case_description=(f"The case {name}.",),
        consultation_process=(),
        reflection="",
        references={"gist": f"It is about {words}."},
        template=False,
        group=f"g{int(name) // 2}",
    )


def test_subgroups_of_cases_have_the_means_of_their_cases():
    words = ("a sad river", "an old bridge", "some new letters", "the last ferry")
    cases = [case(str(n), words[n % 4]) for n in range(24)]
    answers = [Answer({"gist": f"It is about {words[n % 3]}."}, True) for n in range(24)]
    kinds = {one.id: "x" if n % 3 else "y" for n, one in enumerate(cases)}
    record = subgroups_record({"kind": kinds}, lambda: case_items(cases, answers, 0.95), BOOTSTRAP)[
        "subgroups"
    ]["kind"]["metrics"]
    for name in ("x", "y"):
        own = [n for n, one in enumerate(cases) if kinds[one.id] == name]
        expected = all_scores([cases[n] for n in own], [answers[n] for n in own])
        for score in ("rouge_l", "chrf"):
            found = record[score]["scores"][name]
            assert found["n"] == len(own)
            assert found["value"] == pytest.approx(expected[score].value)
            assert found["ci"][0] <= found["value"] <= found["ci"][1]
    assert record["rouge_l"]["largest_gap"]["pairs"] == 1
