"""How `affectlab referee` divides data that have no splits of their own."""

import pytest

from affectlab.errors import DataError, UserError
from affectlab.referee import Case, configuration, referee

WORDS = ("morning", "evening", "river", "garden", "letter", "window")


@pytest.mark.parametrize(("predicted", "plan"), [(100, "folds"), (97, "folds"), (30, "items")])
def test_items_without_a_prediction_are_no_training_items_unless_they_are_many(
    tmp_path, predicted, plan
):
    rows = [
        f"t{n},a {WORDS[n % 6]} with {n} words in it,{'joy' if n % 2 else 'fear'}"
        for n in range(100)
    ]
    (tmp_path / "data.csv").write_text("\n".join(["id,text,label", *rows]) + "\n")
    answers = [f"t{n},joy" for n in range(predicted)]
    (tmp_path / "theirs.csv").write_text("\n".join(["id,label", *answers]) + "\n")
    case = Case("emotion", tmp_path / "data.csv", tmp_path / "theirs.csv", None, {}, None, False)
    assert list(configuration(case, tmp_path).entry["split"]) == [plan]


def test_ids_of_no_item_are_reported_with_the_table_that_has_them(tmp_path):
    rows = [f"T{n},a {WORDS[n % 6]} with {n} words,{'joy' if n % 2 else 'fear'}" for n in range(20)]
    (tmp_path / "data.csv").write_text("\n".join(["id,text,label", *rows]) + "\n")
    (tmp_path / "theirs.csv").write_text("id,label\nT1,joy\nt2,joy\n")
    case = Case("emotion", tmp_path / "data.csv", tmp_path / "theirs.csv", None, {}, None, False)
    with pytest.raises(DataError) as caught:
        configuration(case, tmp_path)
    assert str(caught.value).startswith(str(tmp_path / "theirs.csv"))
    assert "1 of 2 ids are none of data.csv: t2; 't2' differs from 'T2' in case" in str(
        caught.value
    )


def test_a_table_without_rows_is_named(tmp_path):
    (tmp_path / "data.csv").write_text("id,text,label\nt1,one day,joy\nt2,one more,fear\n")
    (tmp_path / "theirs.csv").write_text("id,label\n")
    case = Case("emotion", tmp_path / "data.csv", tmp_path / "theirs.csv", None, {}, None, False)
    with pytest.raises(DataError, match=r"theirs\.csv: expected a row for each item, found none"):
        configuration(case, tmp_path)


def test_all_mistakes_of_a_list_reach_the_reader(tmp_path):
    (tmp_path / "data.csv").write_text(
        "id,text,label,split\nt1,a day,joy,train\nt2,more,fear,test\nt3,again,joy,test\n"
    )
    (tmp_path / "theirs.csv").write_text("id,label\nt2,joy\nt3,joy\n")
    case = Case("emotion", tmp_path / "data.csv", tmp_path / "theirs.csv", None, {}, None, False)
    project = tmp_path / "project"
    project.mkdir()
    # What stands for the workflow ends as a step does that finds mistakes.
    (project / "Snakefile").write_text(
        "import sys\n"
        "print('2026-12-01 12:00:00,000 ERROR affectlab: the data cannot be used:',"
        " '  - no anger', '  - no love', 'Shutting down', sep='\\n', file=sys.stderr)\n"
        "sys.exit(1)\n"
    )
    with pytest.raises(UserError) as caught:
        referee(case, tmp_path, project)
    assert str(caught.value).split("\n") == [
        "the data cannot be used:",
        "  - no anger",
        "  - no love",
        f"All messages are in {tmp_path / 'referee.log'}.",
    ]
