"""Top 1 against the number of updates: what is read, and what is drawn."""

import json
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from affectlab.entity import updates
from affectlab.errors import DataError

HISTORY = """step,epoch,split,loss,accuracy,stage
3,1,train,9.0,,1
3,1,validation,8.0,0.25,1
9,3,validation,7.0,0.75,2
"""


def write_run(folder, *, history=HISTORY, run="gbert", data="spans"):
    folder.mkdir(parents=True)
    baseline = {"name": "always_neutral", "value": 0.625}
    record = {
        "run": run,
        "seed": 7,
        "data": {"name": data},
        "other_splits": {"validation": {"metrics": {"top1_accuracy": {"baseline": baseline}}}},
    }
    (folder / "metrics.json").write_text(json.dumps(record))
    (folder / "history.csv").write_text(history)
    return folder / "metrics.json", folder / "history.csv"


def test_a_course_holds_the_validations_and_the_constant_prediction(tmp_path):
    course = updates.read_course(*write_run(tmp_path / "run"))
    assert (course.name, course.data, course.baseline) == ("gbert, seed 7", "spans", 0.625)
    np.testing.assert_array_equal(course.updates, [3, 9])
    np.testing.assert_array_equal(course.top1, [0.25, 0.75])


def test_a_history_without_validation_is_reported(tmp_path):
    kept = "\n".join(line for line in HISTORY.splitlines() if "validation" not in line)
    with pytest.raises(DataError, match="expected rows of the split validation"):
        updates.read_course(*write_run(tmp_path / "run", history=kept))


def test_every_run_is_drawn_however_many_there_are(tmp_path):
    """The looks of lines repeat after four: a fifth run must not be lost."""
    runs = {f"run{number}": "spans" if number < 6 else "others" for number in range(8)}
    courses = [
        updates.read_course(*write_run(tmp_path / name, run=name, data=data))
        for name, data in runs.items()
    ]
    updates.draw(tmp_path / "all", courses)
    updates.draw(tmp_path / "fewer", courses[:5] + courses[6:])
    svg = ET.parse(tmp_path / "all.svg").getroot()
    lines = {name: svg.findall(f".//*[@id='axes_{name}']/*") for name in (1, 2)}
    # A legend entry and a line for each run, and the line of the constant prediction.
    drawn = {
        name: [g for g in found if g.get("id", "").startswith("line2d")]
        for name, found in lines.items()
    }
    assert {name: len(found) for name, found in drawn.items()} == {1: 3, 2: 7}
    assert (tmp_path / "all.svg").read_bytes() != (tmp_path / "fewer.svg").read_bytes()
