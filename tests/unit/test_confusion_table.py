"""The confusion matrix on the page: counts, shares, and the items of its wrong cells."""

import re
import xml.etree.ElementTree as ET

import pytest
from page_colours import CSS, channels, contrast

from affectlab.errors import DataError
from affectlab.files.io import write_jsonl
from affectlab.report import section
from affectlab.report.results import SeedResult

CLASSES = ["calm", "<glad>", "sad"]
COUNTS = [[3, 7, 0], [1, 0, 0], [0, 0, 0]]


def result(folder, split="test", classes=CLASSES, counts=COUNTS):
    data = {"name": "made", "split": split, "n": sum(map(sum, counts)), "classes": classes}
    record = {"run": "tiny", "seed": 4, "data": data, "confusion_matrix": counts}
    return SeedResult(folder=folder, metrics=record, run_record={}, export=None)


def predict(folder, counts=COUNTS, split="test"):
    cells = [
        (CLASSES[row], CLASSES[column], number)
        for row, own in enumerate(counts)
        for column, count in enumerate(own)
        for number in range(count)
    ]
    lines = [
        {"id": f"{true}/{predicted}/{number}", "label": true, "prediction": predicted}
        for true, predicted, number in cells
    ]
    other = {"id": "not scored", "split": "validation", "label": "sad", "prediction": "calm"}
    write_jsonl(folder / "predictions.jsonl", [other, *({**one, "split": split} for one in lines)])


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "emotion" / "tiny" / "seed4"
    path.mkdir(parents=True)
    return path


def shown(made):
    """The figure as HTML, as a page has it."""
    macros = section._environment(section.HERE).globals
    return str(macros["figure"](section.main_figures(made, {"confusion_matrix": "A caption."})[0]))


def test_the_table_has_counts_shares_and_headers(folder):
    predict(folder)
    page = shown(result(folder))
    table = ET.fromstring(re.search("<table>.*?</table>", page, re.DOTALL)[0])
    title = "Confusion matrix of tiny, seed 4, on made, test split, n = 11"
    assert "".join(table.find("caption").itertext()) == title
    above, columns, *rows = table.iter("tr")
    assert above[1].attrib == {"scope": "colgroup", "colspan": "3"}
    assert [one.get("scope") for one in columns] == ["col"] * 4
    assert [one.text for one in columns] == ["true class", *CLASSES]
    assert [(row[0].get("scope"), row[0].text) for row in rows] == [
        ("row", name) for name in CLASSES
    ]
    cells = [["".join(cell.itertext()) for cell in row[1:]] for row in rows]
    assert cells == [["3 0.300", "7 0.700", "0"], ["1 1.000", "0", "0"], ["0", "0", "0"]]
    shades = [[cell.get("class").split()[-1] for cell in row[1:]] for row in rows]
    assert shades == [["s3", "s7", "s0"], ["s9", "s0", "s0"], ["s0", "s0", "s0"]]


def test_wrong_cells_list_some_items_the_fullest_first(folder):
    predict(folder)
    page = shown(result(folder))
    cells = [re.sub("<[^>]*>", "", one) for one in re.findall("<d[td]>.*?</d[td]>", page)]
    assert cells == [
        "calm, predicted as &lt;glad&gt;: 7",
        ", ".join(f"calm/&lt;glad&gt;/{number}" for number in range(5)) + " and 2 more",
        "&lt;glad&gt;, predicted as calm: 1",
        "&lt;glad&gt;/calm/0",
    ]
    assert "not scored" not in page


def test_what_the_list_leaves_out_is_counted(folder):
    names = [f"c{number}" for number in range(5)]
    counts = [[10] * 5 for _ in names]
    lines = [
        {"id": f"{true}{predicted}{n}", "split": "test", "label": true, "prediction": predicted}
        for true in names
        for predicted in names
        for n in range(10)
    ]
    write_jsonl(folder / "predictions.jsonl", lines)
    page = shown(result(folder, classes=names, counts=counts))
    # 20 wrong cells with 10 items each, of which 12 are listed.
    assert page.count("<dt>") == 12
    assert "80 more wrong predictions" in page


@pytest.mark.parametrize("split", ["test", "validation", "cross-validation"])
def test_items_are_those_of_the_scored_split(folder, split):
    predict(folder, split="validation" if split == "validation" else "test")
    if split == "validation":
        lines = (folder / "predictions.jsonl").read_text().splitlines()
        (folder / "predictions.jsonl").write_text("\n".join(lines[1:]))
    assert "calm/&lt;glad&gt;/4" in shown(result(folder, split=split))


def test_schemes_that_predict_an_item_several_times_list_none(folder):
    predict(folder)
    page = shown(result(folder, split="grouped"))
    assert "<table>" in page
    assert "<dt>" not in page


def test_predictions_that_metrics_do_not_count_are_refused(folder):
    predict(folder, counts=[[3, 6, 0], [1, 0, 0], [0, 0, 0]])
    with pytest.raises(DataError, match=r"predictions\.jsonl: .* evaluate the run again"):
        shown(result(folder))


def test_numbers_are_legible_on_every_shade():
    """WCAG 1.4.3: a contrast of 4.5 at least, on light and dark pages."""
    css = CSS.read_text()
    shares = [int(share) / 100 for share in re.findall(r"\.s\d \{ --shade: (\d+)%", css)]
    assert len(shares) == 9
    for block in re.findall(r":root \{[^}]*\}", css)[:2]:
        accent, sheet, ink = (
            re.search(rf"--{name}: (#\w{{6}})", block)[1] for name in ("accent", "sheet", "ink")
        )
        for share in (0.0, *shares):
            ground = share * channels(accent) + (1 - share) * channels(sheet)
            assert contrast(ground, channels(ink)) >= 4.5, (accent, share)
