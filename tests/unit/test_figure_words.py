"""What a figure says in words: of what it is, its values, and names that can all be read."""

import xml.etree.ElementTree as ET
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from affectlab.audio import figures as audio_figures
from affectlab.entity import figures as entity_figures
from affectlab.evaluation import plots, stats
from affectlab.evaluation.plotted import values_of
from affectlab.face import figures as face_figures
from affectlab.report.svg import values_in

LONG = [f"{word} and disappointed in class {number}" for number, word in enumerate(
    ("quiet", "joyful", "ärgerlich", "surprised", "fearful", "sad", "bored", "proud") * 3
)]  # fmt: skip
SUBJECT = "a_run_with_a_long_name, seed 13, on own_data_of_a_long_name, test split, n = 1,234 " * 2
ENTRY = {"value": 0.5, "ci": [0.4, 0.6]}


@pytest.fixture
def drawn(monkeypatch, tmp_path):
    """The figures that are drawn, in place of files."""
    found = []

    def keep(drawing, path, **_):
        Path(path).touch()
        if drawing not in found:
            found.append(drawing)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Figure, "savefig", keep)
    return found


def table(confidence=(0.3, 0.61, 0.62, 0.9), correct=(0, 1, 1, 1)):
    return stats.reliability(np.array(confidence), np.array(correct))


def history(steps):
    step = 10.0 * np.arange(1, steps + 1)
    rate = np.full(steps, 2e-4)
    train = {"step": step, "loss": 12 / step, "learning_rate": rate}
    return {"train": train, "validation": {"step": step, "loss": 10 / step, "accuracy": step / 100}}


def decisions(names):
    points = np.random.default_rng(0).random(20)
    return dict.fromkeys(names, (points > 0.5, points, points > 0.6))


def forest_run(name):
    score = {"mean": 0.5, "ci": [0.4, 0.6], "baseline": {"name": "majority", "value": 0.3}}
    names = {"model": name, "method": "3emo", "data": "my_data"}
    return {**names, "n": 12, "protocol": "corrected", "metrics": {"uar": score}}


DRAWINGS = {
    "confusion": lambda: plots.confusion_matrix("c", np.eye(24, dtype=int), LONG),
    "two classes": lambda: plots.confusion_matrix("c", np.eye(2, dtype=int), LONG[:2]),
    "bars": lambda: plots.grouped_bars(
        "g", {name: {"one": 0.5, "two": 0.4} for name in LONG}, ylabel="F1"
    ),
    "scatter": lambda: plots.scatter(
        "s", {name: (np.arange(9.0), np.arange(9.0)) for name in LONG[:7]}
    ),
    "precision": lambda: plots.precision_recall("p", decisions(LONG)),
    "reliability": lambda: plots.reliability("r", {"as trained": table(), "scaled": table()}),
    "curves": lambda: plots.training_curves("t", history(5)),
    "one step": lambda: plots.training_curves("t", history(1)),
    "schemes": lambda: audio_figures.interval_plot(
        "i", dict.fromkeys(LONG[:8], ENTRY), ("majority", 0.3), "recall"
    ),
    "layers": lambda: audio_figures.layer_curve(
        "l", {f"layer{n}": ENTRY for n in range(25)}, ("majority", 0.3), "recall"
    ),
    "forest": lambda: audio_figures.forest("f", [forest_run(name) for name in LONG]),
    "counts": lambda: face_figures.draw_counts(
        "o", {name: {"support": 3, "predicted": 4} for name in LONG}
    ),
    "kappa": lambda: entity_figures.kappa_plot(
        "k",
        [{"foretold_cosine": 0.2, "cosine": 0.3}, {"foretold_cosine": 0.4, "cosine": 0.5}],
        {"entropy": np.arange(4.0), "kappa": np.arange(1.0, 5.0)},
    ),
}


def seen_texts(drawing):
    """What is written, and the four corners of each text as it is turned."""
    renderer = drawing.canvas.get_renderer()
    texts = []
    original = type(renderer).draw_text

    def record(self, gc, x, y, s, prop, angle, ismath=False, mtext=None):
        width, height, _ = self.get_text_width_height_descent(s, prop, ismath)
        turn = np.deg2rad(angle)
        along, up = (
            np.array([np.cos(turn), -np.sin(turn)]),
            np.array([-np.sin(turn), -np.cos(turn)]),
        )
        start = np.array([x, y], dtype=float)
        corners = [start, start + width * along, start + width * along + height * up,
                   start + height * up]  # fmt: skip
        texts.append((s, np.array(corners)))
        return original(self, gc, x, y, s, prop, angle, ismath, mtext)

    type(renderer).draw_text = record
    try:
        drawing.draw(renderer)
    finally:
        type(renderer).draw_text = original
    return texts


def overlap(one, other, slack=1.5):
    """Whether two rectangles, turned or not, share more than a rim: separating axes."""
    for corners in (one, other):
        for side in (corners[1] - corners[0], corners[3] - corners[0]):
            length = np.linalg.norm(side)
            first, second = one @ side / length, other @ side / length
            if first.max() - slack <= second.min() or second.max() - slack <= first.min():
                return False
    return True


@pytest.mark.parametrize("name", DRAWINGS)
def test_no_name_is_cut_or_covers_another(drawn, name):
    with plots.figures_of(SUBJECT):
        DRAWINGS[name]()
    texts = seen_texts(drawn[-1])
    assert len(texts) >= 3
    width, height = drawn[-1].bbox.width, drawn[-1].bbox.height
    for text, corners in texts:
        assert corners.min() >= -1, text
        assert corners[:, 0].max() <= width + 1, text
        assert corners[:, 1].max() <= height + 1, text
    touching = [(a, b) for (a, one), (b, other) in combinations(texts, 2) if overlap(one, other)]
    assert touching == []


def test_every_figure_tells_of_what_it_is(drawn):
    with plots.figures_of("a run on data, n = 3"):
        DRAWINGS["bars"]()
    DRAWINGS["bars"]()
    assert [one.get_suptitle() for one in drawn] == ["a run on data, n = 3", ""]


def test_reliability_has_intervals_and_counts(drawn):
    DRAWINGS["reliability"]()
    above, below = drawn[-1].axes
    lines = above.collections[0].get_segments()
    # Clopper and Pearson of 0 of 1, 2 of 2 and 1 of 1.
    limits = [[0, 0.975], [0.158, 1], [0.025, 1]]
    assert [[round(y, 3) for _, y in line] for line in lines] == limits
    numbers = [text.get_text() for text in below.texts if text.get_text()]
    assert numbers == ["1", "2", "1"] * 2


def test_one_measurement_is_printed_not_drawn(drawn):
    DRAWINGS["one step"]()
    (axes,) = drawn[-1].axes
    assert not axes.lines
    (printed,) = axes.texts
    assert printed.get_text().splitlines() == [
        "train, step 10: loss 1.2, learning rate 0.0002",
        "validation, step 10: loss 1, accuracy 0.1",
    ]
    DRAWINGS["curves"]()
    assert drawn[-1].axes[0].lines


def test_the_values_are_in_words(tmp_path):
    plots.grouped_bars(
        tmp_path / "g", {"first": {"one": 0.5, "two": -0.25}, "second": {"one": 1, "two": 12.5}},
        ylabel="F1",
    )  # fmt: skip
    assert values_in(tmp_path / "g.svg") == [
        ("F1, one", "first: 0.500; second: 1"),
        ("F1, two", "first: −0.250; second: 12.5"),
    ]
    audio_figures.layer_curve(
        tmp_path / "l", {"layer0": ENTRY, "layer1": ENTRY}, ("majority", 0.3), "recall"
    )
    assert values_in(tmp_path / "l.svg")[:2] == [
        ("recall, each layer by itself", "layer0: 0.500; layer1: 0.500"),
        ("recall, majority (0.300)", "0.300"),
    ]
    audio_figures.interval_plot(tmp_path / "i", {"apart": ENTRY}, ("majority", 0.3), "recall")
    assert ("recall, apart, 0.500, interval", "0.400 to 0.600") in values_in(tmp_path / "i.svg")


def test_long_series_and_clouds_are_cut_and_counted(drawn):
    plots.training_curves("t", history(100))
    first = values_of(drawn[-1])[0]
    assert first.startswith("loss (nats), train: 10: 1.200; ")
    assert first.endswith("1,000: 0.012 (15 of 100 points)")
    plots.scatter("s", {"valence": (np.arange(500.0), np.arange(500.0))})
    assert values_of(drawn[-1]) == ["valence: 500 points"]


def test_values_do_not_break_the_file(tmp_path):
    plots.grouped_bars(tmp_path / "g", {"<a> & b": {"x: y": 0.5}}, ylabel="F1")
    ET.parse(tmp_path / "g.svg")
    ((name, points),) = values_in(tmp_path / "g.svg")
    assert "<a> & b" in points
    assert name == "F1, x"
