"""What the report and the terminal say of the data before any score."""

import pytest

from affectlab.experiments import EXPERIMENTS
from affectlab.report import section
from affectlab.report.data_notes import DIFFERS, GENERATED, DataNote, data_notes, page_title
from affectlab.report.results import results_csv
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


def page(notes):
    faces = section.Section(["Found."], notes, [], [], [], "")
    return section.render(
        section.HERE / "page.html.j2",
        css="",
        title=page_title(notes),
        notes=notes,
        sections=[(EXPERIMENTS["face"], faces)],
        versions={},
        config_text="",
    )


def test_the_first_thing_on_the_page_is_what_is_wrong_with_the_data():
    found = page([SAMPLE, COPY])
    assert found.index('id="data-notes"') < found.index("Found.")
    top = found[found.index('id="data-notes"') : found.index("Found.")]
    assert "sample is generated" in top
    assert "it differs in records of test." in top
    assert f"<title>{page_title([SAMPLE, COPY])}</title>" in found


def test_a_page_on_the_published_data_has_no_such_note():
    assert 'id="data-notes"' not in page([PLAIN])
    assert "<title>affectlab: results</title>" in page([PLAIN])


def printed(folder, **changes):
    (folder / "tables").mkdir()
    (folder / "tables" / "results.csv").write_text(results_csv([ROW | changes]))
    return summarise(folder)


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
    assert ("data" in text.split("\n", 1)[1]) is bool(mark)


def test_both_marks_stand_in_one_row(tmp_path):
    row = printed(tmp_path, data_note=GENERATED, below_baseline=True).split("\n")[1]
    assert row.endswith(f"{BELOW}; {GENERATED}")
