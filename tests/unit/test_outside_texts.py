"""A table of summaries that somebody else wrote, matched with the cases."""

import json

import pytest

from affectlab.config.models import Outside, typed
from affectlab.errors import DataError
from affectlab.files.io import read_jsonl, write_jsonl
from affectlab.summary.cases import Case
from affectlab.summary.outside import store

TABLE = "id,gist\n1,A short text.\n2,\n"


def case(name, split):
    return Case(
        id=name,
        split=split,
        fold=0,
        language="English",
        case_description=(f"The case {name}.",),
        consultation_process=(),
        reflection="",
        references={"gist": "What it is about."},
        template=False,
        group=name,
    )


@pytest.fixture
def stored(tmp_path):
    """A function: write a table, store it; the answers, their details and the record."""
    cases = [case("1", "test"), case("2", "test"), case("3", "train")]
    write_jsonl(tmp_path / "records.jsonl", [one.to_dict() for one in cases])

    def run(text, seed=0, withdrawn=False, **recipe):
        path = tmp_path / "theirs.csv"
        path.write_text(text, encoding="utf-8")
        made = [tmp_path / name for name in ("predictions.jsonl", "details.jsonl", "outside.json")]
        store(
            tmp_path / "records.jsonl",
            None,
            typed(Outside, {"path": str(path), **recipe}),
            seed,
            predictions_path=made[0],
            details_path=made[1],
            record_path=made[2],
            withdrawn=withdrawn,
        )
        return list(read_jsonl(made[0])), list(read_jsonl(made[1])), json.loads(made[2].read_text())

    return run


def test_summaries_are_stored_as_ours_are(stored):
    rows, details, record = stored(TABLE + "3,Of a training case.\n")
    assert rows == [{"id": 1, "gist": "A short text."}, {"id": 2, "gist": ""}]
    assert [row["valid"] for row in details] == [True, False]
    assert record["training_items"] == 1


def test_columns_and_seeds_have_the_users_names(stored):
    text = "case,theirs,run\n1,a,0\n2,b,0\n1,c,1\n2,d,1\n"
    columns = {"columns": {"id": "case", "seed": "run"}, "classes": {"theirs": "gist"}}
    assert [row["gist"] for row in stored(text, seed=1, **columns)[0]] == ["c", "d"]


def test_the_id_of_a_case_that_was_withdrawn_is_not_printed(stored):
    with pytest.raises(DataError, match="of no item of these data: line 4") as caught:
        stored(TABLE + "maria,other\n", withdrawn=True)
    assert "maria" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("id,gist\n1,a\n", "no summary of 1 of 2 cases: 2"),
        (TABLE + "1,again\n", "line 4: a second summary of '1'"),
        (TABLE + "9,other\n", "line 4: '9' is no case of these data"),
        ("id,text\n1,a\n2,b\n", "no column for the field 'gist'; found: id, text"),
    ],
)
def test_what_does_not_fit_is_refused(stored, text, problem):
    with pytest.raises(DataError, match=problem):
        stored(text)
