"""Guesses about the columns of a user's table."""

import pytest

from affectlab.datasets.look import look_at


def table(tmp_path, column, values):
    path = tmp_path / "mine.csv"
    lines = [f"this is the long text number {n},{value}" for n, value in enumerate(values)]
    path.write_text("\n".join([f"text,{column}", *lines]) + "\n")
    return path


@pytest.mark.parametrize(
    "column",
    [
        *("writer", "who", "Name", "participant", "session", "patient", "user_id", "speaker_no"),
        *("participant_code", "author_name", "username"),
    ],
)
def test_a_group_is_recognised_by_its_name(tmp_path, column):
    path = table(tmp_path, column, [f"p{n % 6}" for n in range(60)])
    assert look_at(path).group() == column


@pytest.mark.parametrize("column", ["rater", "annotator", "file_name", "emotion"])
def test_other_columns_are_no_groups(tmp_path, column):
    path = table(tmp_path, column, [f"p{n % 6}" for n in range(60)])
    assert look_at(path).group() is None


def test_a_name_that_never_repeats_is_that_of_an_item(tmp_path):
    path = table(tmp_path, "name", [f"item {n}" for n in range(200)])
    assert look_at(path).group() is None


def test_the_plain_name_comes_before_a_longer_one(tmp_path):
    path = tmp_path / "mine.csv"
    lines = [f"this is the long text number {n},{n % 3},mood{n % 3}" for n in range(60)]
    path.write_text("\n".join(["text,label_name,label", *lines]) + "\n")
    assert look_at(path).label([]) == "label"
