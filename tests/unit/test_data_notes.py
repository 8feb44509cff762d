"""What the report and the terminal say of the data before any score."""

import pytest

from affectlab.report.data_notes import (
    DIFFERS,
    GENERATED,
    DataNote,
    banner_of,
    data_notes,
    page_title,
)
from affectlab.report.results import results_csv
from affectlab.report.results_file import read_results
from affectlab.report.summary import BELOW, summarise

ROW = {
    "kind": "ours",
    "experiment": "emotion",
    "run": "minilm",
    "data": "emotion",
    "data_note": "",
    "n": 2000,
    "seeds": "13 42 71",
    "metric": "accuracy",
    "value": 0.3,
    "ci_low": 0.28,
    "ci_high": 0.32,
    "baseline": "majority",
    "baseline_value": 0.3475,
    "below_baseline": False,
    "headline": True,
}
PLAIN = DataNote("plain", generated=False, differs=())
SAMPLE = DataNote("sample", generated=True, differs=())
COPY = DataNote("copy", generated=False, differs=("records of test",))


def audit(**statuses):
    return {"expected": [{"what": what, "status": status} for what, status in statuses.items()]}


def test_a_note_tells_generated_from_differing_data():
    audits = {"a": audit(records="ok"), "b": audit(records="differs"), "c": audit(records="ok")}
    notes = data_notes(audits, ["c"])
    assert [note.mark for note in notes.values()] == ["", DIFFERS, GENERATED]
    assert notes["a"].sentences == []
    assert notes["b"].sentences[0].endswith("published data.")
    assert "it differs in records. " in notes["b"].sentences[0]
    assert "is generated" in notes["c"].sentences[0]


def test_a_long_list_of_differences_is_counted():
    note = DataNote("copy", generated=False, differs=tuple(f"d{k}" for k in range(30)))
    assert "differs in d0, d1, d2, d3 and 26 more. " in note.sentences[0]


@pytest.mark.parametrize(
    ("notes", "title"),
    [
        ([PLAIN], "affectlab: results"),
        ([SAMPLE], "affectlab: results (generated data)"),
        ([SAMPLE, PLAIN], "affectlab: results (some data are generated)"),
        ([COPY], "affectlab: results (data differ from registry)"),
        (
            [SAMPLE, COPY],
            "affectlab: results (some data are generated; some data differ from registry)",
        ),
    ],
)
def test_the_title_of_the_page_tells_the_kind_of_data(notes, title):
    assert page_title(notes) == title


@pytest.mark.parametrize(
    ("notes", "kind", "words"),
    [
        ([PLAIN], "complete", "No data set differs from what its entry states."),
        ([SAMPLE], "generated", "They say nothing about people."),
        ([SAMPLE, PLAIN], "differs", "Some data are generated"),
        ([COPY], "differs", "cannot be compared with those on the published data."),
        ([SAMPLE, COPY], "differs", "Some data differ from their registry entry"),
    ],
)
def test_the_banner_tells_the_kind_of_data(notes, kind, words):
    banner = banner_of(notes)
    assert banner["kind"] == kind
    assert words in banner["text"]


def printed(folder, **changes):
    (folder / "tables").mkdir()
    (folder / "tables" / "results.csv").write_text(results_csv([ROW | changes]))
    return summarise(folder, read_results(folder))


@pytest.mark.parametrize("below", [True, False])
def test_the_terminal_marks_a_row_below_the_baseline(tmp_path, below):
    assert (BELOW in printed(tmp_path, below_baseline=below).split("\n")[1]) is below


@pytest.mark.parametrize(
    ("mark", "words"),
    [
        ("", ""),
        (GENERATED, "Generated data: emotion. The scores show that the workflow runs."),
        (DIFFERS, "Data that differ from their registry entry: emotion. The scores cannot"),
    ],
)
def test_the_terminal_tells_the_kind_of_data(tmp_path, mark, words):
    text = printed(tmp_path, data_note=mark)
    assert words in text
    assert text.split("\n")[1].endswith(mark)
    assert ("Generated data" in text or "registry entry" in text) is bool(mark)


def test_both_marks_stand_in_one_row(tmp_path):
    row = printed(tmp_path, data_note=GENERATED, below_baseline=True).split("\n")[1]
    assert row.endswith(f"{BELOW}; {GENERATED}")
