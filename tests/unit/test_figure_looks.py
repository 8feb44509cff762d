"""What a reader sees of the figures: nothing hidden, dropped, empty or told by colour alone."""

from contextlib import contextmanager
from itertools import pairwise

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from affectlab.audio import figures as audio_figures
from affectlab.entity import figures as entity_figures
from affectlab.entity.labels import CLASSES
from affectlab.evaluation import plots, stats


@pytest.fixture
def drawn(monkeypatch):
    """The figures that are drawn, laid out, instead of files."""
    found = []

    @contextmanager
    def figure(stem, width, height):
        drawing = Figure(figsize=(width, height), layout="constrained")
        canvas = FigureCanvasAgg(drawing)
        yield drawing
        canvas.draw()
        found.append(drawing)

    monkeypatch.setattr(plots, "figure", figure)
    return found


def history(steps):
    empty = np.full(steps, np.nan)
    step = 10.0 * np.arange(1, steps + 1)
    common = {"step": step, "stage": np.ones(steps), "kappa": step}
    train = {"loss": 1 / step, "learning_rate": 1 / step, "accuracy": empty, "macro_f1": empty}
    held = {"loss": 2 / step, "learning_rate": empty, "accuracy": step, "macro_f1": step}
    return {"train": common | train, "validation": common | held}


def runs():
    score = {"mean": 0.5, "ci": [0.4, 0.6], "baseline": {"name": "majority", "value": 0.3}}
    return [
        {
            "model": "m",
            "method": "3emo",
            "data": "d",
            "n": 9,
            "protocol": protocol,
            "metrics": {"uar": score},
        }
        for protocol in ("corrected", "published")
    ]


def draw_map(drawn):
    generator = np.random.default_rng(0)
    mu, prototypes = generator.normal(size=(40, 64)), generator.normal(size=(28, 64))
    prototypes[3:20] = prototypes[3]
    # One prototype is far from every text.
    prototypes[0] *= 40
    truth = np.zeros((40, 28), dtype=bool)
    entity_figures.embedding_map("map", mu, prototypes, {"truth": truth}, CLASSES, "the test split")
    return drawn[-1]


def test_every_class_name_is_on_the_map_and_none_covers_another(drawn):
    drawing = draw_map(drawn)
    (axes,) = drawing.axes
    names = [text for text in axes.texts if text.get_text() in CLASSES]
    assert {text.get_text() for text in names} == set(CLASSES)
    boxes = sorted(
        (super(type(text), text).get_window_extent() for text in names), key=lambda box: box.y0
    )
    assert all(low.y1 <= high.y0 for low, high in pairwise(boxes))
    assert all(box.y0 >= 0 and box.x1 <= drawing.bbox.x1 for box in boxes)


def test_a_single_validation_leaves_points_next_to_the_curves(drawn):
    made = history(5)
    made["validation"] = {name: values[:1] for name, values in made["validation"].items()}
    plots.training_curves("curves", made)
    train, validation = drawn[-1].axes[0].lines
    assert train.get_marker() == ""
    assert validation.get_marker() not in ("", "None", None)


def test_no_legend_is_over_the_data(drawn):
    draw_map(drawn)
    plots.training_curves("c", history(5))
    table = stats.reliability(np.array([0.3, 0.6, 0.9]), np.array([0, 1, 1]))
    plots.reliability("r", {"as trained": table, "scaled": table})
    plots.grouped_bars("g", {"a": {"x": 1.0, "y": 0.9}, "b": {"x": 1.0, "y": 0.9}}, ylabel="F1")
    plots.histogram("h", [1.0, 2.0], xlabel="x", ylabel="n", limit=("limit", 1.5))
    entry = {"value": 0.5, "ci": [0.4, 0.6]}
    audio_figures.interval_plot("i", {"one": entry}, ("majority", 0.3), "recall")
    audio_figures.layer_curve("l", {"layer0": entry, "layer1": entry}, ("majority", 0.3), "recall")
    audio_figures.forest("f", runs())
    legends = 0
    for drawing in drawn:
        for axes in drawing.axes:
            legend = axes.get_legend()
            if legend is not None:
                legends += 1
                box, data = legend.get_window_extent(), axes.get_window_extent()
                assert not box.overlaps(data)
                assert box.x1 <= drawing.bbox.x1 + 1
    assert legends >= 10


def test_protocols_differ_without_colour(drawn):
    audio_figures.forest("f", runs())
    handles = drawn[0].axes[0].get_legend().legend_handles
    looks = {(line.get_linestyle(), line.get_marker()) for line in handles}
    assert len(looks) == len(handles) == 3


def test_bars_differ_without_colour(drawn):
    plots.grouped_bars("g", {"a": {"x": 1.0, "y": 0.9, "z": 0.5}}, ylabel="F1")
    hatches = [bars[0].get_hatch() for bars in drawn[0].axes[0].containers]
    assert len(set(hatches)) == 3
