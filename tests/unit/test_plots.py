import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from affectlab.errors import DataError
from affectlab.evaluation import plots, stats
from affectlab.training.history import read_history

CLASSES = ("sadness", "joy", "love")
HISTORY = """step,epoch,split,loss,accuracy,macro_f1,learning_rate,samples_per_second
10,0.1,train,1.7,,,0.0002,190
20,0.2,train,1.2,,,0.0001,191
20,0.2,validation,1.1,0.6,0.5,,
"""


def draw_confusion(stem):
    plots.confusion_matrix(stem, np.array([[5, 1, 0], [2, 7, 1], [0, 0, 0]]), CLASSES)


def draw_reliability(stem):
    confidence = np.array([0.35, 0.6, 0.95, 0.99])
    table = stats.reliability(confidence, np.array([0, 1, 1, 1]))
    plots.reliability(stem, {"as trained": table, "after temperature scaling": table})


def draw_curves(stem):
    path = Path(f"{stem}.csv")
    path.write_text(HISTORY)
    plots.training_curves(stem, read_history(path, optional=plots.CURVES))


@pytest.mark.parametrize("draw", [draw_confusion, draw_reliability, draw_curves])
def test_figures_are_readable_files_and_equal_between_runs(tmp_path, draw):
    draw(tmp_path / "one")
    draw(tmp_path / "two")
    for ending in ("png", "svg"):
        first, second = (tmp_path / f"{name}.{ending}" for name in ("one", "two"))
        assert first.read_bytes() == second.read_bytes()
    with Image.open(tmp_path / "one.png") as image:
        assert min(image.size) >= 400
        assert not {"Software", "Creation Time"} & set(image.info)
        # Something is drawn: more than one shade.
        assert len(image.convert("L").getcolors()) > 10
    root = ET.parse(tmp_path / "one.svg").getroot()
    assert root.tag.endswith("svg")
    assert "<dc:date>" not in (tmp_path / "one.svg").read_text()


def test_figures_follow_the_numbers(tmp_path):
    draw_confusion(tmp_path / "one")
    plots.confusion_matrix(tmp_path / "two", np.eye(3, dtype=int), CLASSES)
    assert (tmp_path / "one.png").read_bytes() != (tmp_path / "two.png").read_bytes()


def test_figures_need_no_display_and_leave_the_settings_alone(tmp_path):
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    draw_confusion(tmp_path / "figure")
    assert dict(mpl.rcParams) == before


def test_history_is_read_by_split(tmp_path):
    path = tmp_path / "history.csv"
    path.write_text(HISTORY)
    history = read_history(path, optional=plots.CURVES)
    np.testing.assert_array_equal(history["train"]["loss"], [1.7, 1.2])
    assert np.isnan(history["train"]["accuracy"]).all()
    np.testing.assert_array_equal(history["validation"]["step"], [20])


def test_columns_that_need_not_be_there_are_read_where_they_are(tmp_path):
    path = tmp_path / "history.csv"
    path.write_text(HISTORY)
    history = read_history(path, ("step", "split"), optional=("accuracy", "rouge_l"))
    assert set(history["validation"]) == {"step", "accuracy"}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("step,epoch\n1,2\n", "line 1: expected the columns split, loss"),
        (HISTORY.replace("1.2", "low"), "line 3: loss: expected a number"),
        (HISTORY + "30\n", "line 5: epoch: expected a number"),
    ],
)
def test_broken_history_is_named(tmp_path, text, problem):
    path = tmp_path / "history.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=problem):
        read_history(path)


def test_importing_the_module_does_not_import_matplotlib():
    code = "import sys, affectlab.evaluation.plots; print('matplotlib' in sys.modules)"
    scripts = Path(__file__).parents[2] / "workflow" / "scripts"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=scripts, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"
