"""Scores and audits as the small pages of Snakemake's own report."""

import re
from html.parser import HTMLParser
from pathlib import Path

from test_cards import make_record

from affectlab.report.record_views import audit_view, html_page, nested_tables, scores_view, shown

PROJECT = Path(__file__).parents[2]
FIGURE = re.compile(r'figure\("<results>/([^/]+)/[^"]*?/?(\w+)"\)')


class Tables(HTMLParser):
    """Cells of the tables of a page, row by row, and the tags that are open."""

    def __init__(self, text):
        super().__init__()
        self.rows, self.open = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag not in ("meta",):
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[-1][-1] += data


def tables_by_caption(view):
    return {table.caption: table for table in (*view.tables, *view.folded)}


def test_scores_are_named_as_the_field_names_them():
    record = make_record()
    found = tables_by_caption(scores_view(record))
    assert ("macro-F1", "0.910", "0.850–0.950", "0.300 (commonest class)", "") in found[
        "Scores"
    ].rows
    assert found["Classes"].header == ("class", "precision", "recall", "F1", "n", "predicted")
    assert found["Classes"].rows[0][1:] == ("0.900", "0.800", "0.850", "20", "18")
    assert "validation (n = 110)" in found["Other splits and conditions"].header
    differences = found["Paired differences on the same items"].rows
    assert differences[0] == ("tfidf, seed 0", "accuracy", "+0.050", "+0.030 to +0.070")
    for table in found.values():
        assert all(len(row) == len(table.header) for row in table.rows)


def test_an_audit_shows_its_problems_first_and_only_a_few_ids():
    audit = {
        "traps": [{"name": "item_in_two_splits", "sentence": "5 texts are in two splits."}],
        "counts": {
            "test": {"records": 200, "words": {"0": 3, "0.5": 10, "1": 24}},
            "train": {"records": 900, "words": {"0": 3, "0.5": 11, "1": 30}},
        },
        "expected": [{"what": "test", "found": 200, "expected": 200, "status": "ok"}],
        "overlap": {"test_in_train": [f"test-{number}" for number in range(9)]},
        "weak_labels": False,
    }
    view = audit_view("mine", audit, "emotion")
    assert view.sentences == ["5 texts are in two splits."]
    found = tables_by_caption(view)
    assert found["Counts"].header == ("", "test", "train")
    assert ("words", "3 to 24, median 10", "3 to 30, median 11") in found["Counts"].rows
    assert found["Comparison with the registry"].rows == [("test", "200", "200", "ok")]
    ids = "test-0, test-1, test-2, test-3, test-4, and 4 more"
    assert ("test in train", ids) in found["Overlap"].rows
    assert found["Weak labels"].rows == [("Weak labels", "no")]


def test_parts_that_share_nothing_are_tables_of_their_own():
    parts = {"all": {"x": 1}, "none": {"y": 2}}
    assert [table.caption for table in nested_tables("Parts", parts, "face")] == [
        "Parts: all",
        "Parts: none",
    ]
    many = {f"class{number}": {"x": number} for number in range(30)}
    (table,) = nested_tables("Classes", many, "face")
    assert (table.header, len(table.rows)) == (("", "x"), 30)


def test_values_of_lists_are_short():
    assert shown([]) == "none"
    assert shown([["a", "b"], {"x_y": 0.5}]) == "(a, b), (x y 0.500)"


def test_a_page_is_well_formed_and_escapes_names():
    record = make_record()
    record["run"] = "<b>mine"
    text = html_page(scores_view(record))
    page = Tables(text)
    assert page.open == []
    assert "<b>" not in text
    assert ["surprise", "0.900", "0.800", "0.850", "20", "18"] in page.rows
    # It opens in a frame without a network.
    assert not re.search(r"https?://|<script", text)


def test_every_figure_of_snakemake_s_report_has_a_caption():
    captions = {path.stem for path in (PROJECT / "workflow" / "report").glob("*.rst")}
    wanted = {
        name if experiment == "{experiment}" else f"{experiment}_{name}"
        for path in (PROJECT / "rules").glob("*.smk")
        for experiment, name in FIGURE.findall(path.read_text())
    }
    assert len(wanted) > 15
    assert wanted | {"audit", "report", "results_table", "scores", "workflow"} == captions
