"""How `affectlab referee` divides data that have no splits of their own."""

import pytest

from affectlab.errors import DataError
from affectlab.referee import Case, configuration

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
