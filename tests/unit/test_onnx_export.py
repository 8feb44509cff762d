"""Networks as ONNX files: outputs, sizes, and how formats are held against each other."""

import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from sklearn.metrics import f1_score
from torch import nn

from affectlab.errors import DataError, UserError
from affectlab.models import onnx_export
from affectlab.models.onnx_export import Format

IMAGES = torch.rand(32, 1, 8, 8, generator=torch.Generator().manual_seed(0))


class Sum(nn.Module):
    """Two inputs and one output."""

    def forward(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        return first - 2 * second


@pytest.fixture
def network():
    torch.manual_seed(0)
    layers = [nn.Conv2d(1, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(8, 3)).eval()


def written(network, path, **changes):
    arguments = {"dynamic": (0,), "output": "scores", "check": [IMAGES[:3]]} | changes
    onnx_export.write_onnx(network, {"images": IMAGES[:2]}, path, **arguments)
    return path


def test_a_file_gives_the_network_s_outputs_for_other_lengths(network, tmp_path):
    path = written(network, tmp_path / "net.onnx")
    with torch.inference_mode():
        expected = network(IMAGES).numpy()
    found = onnx_export.onnx_inference(path, 1)(IMAGES.numpy())
    assert found.dtype == np.float32
    assert np.allclose(found, expected, atol=1e-5)


def test_a_file_names_no_path_of_the_machine(network, tmp_path):
    """A model that is handed on must not tell where it was made."""
    content = written(network, tmp_path / "net.onnx").read_bytes()
    for place in (str(Path(__file__).parents[2]), sys.prefix, str(tmp_path)):
        assert place.encode() not in content


def test_a_network_too_large_for_one_file_is_refused_at_once(network, tmp_path, monkeypatch):
    size = sum(4 * p.numel() for p in network.parameters())
    monkeypatch.setattr(onnx_export, "LARGEST_ONNX_FILE", size + 1)
    written(network, tmp_path / "net.onnx")
    monkeypatch.setattr(onnx_export, "LARGEST_ONNX_FILE", size)
    with pytest.raises(UserError, match=r"large\.onnx: .* do not fit into one ONNX file"):
        written(network, tmp_path / "large.onnx")
    assert not list(tmp_path.glob("*large.onnx*"))


def test_inputs_keep_their_order(tmp_path):
    pair = {"second_name": torch.ones(2, 3), "a_name": torch.zeros(2, 3)}
    path = tmp_path / "sum.onnx"
    check = [torch.ones(4, 3), torch.full((4, 3), 5.0)]
    onnx_export.write_onnx(Sum().eval(), pair, path, dynamic=(0,), output="sum", check=check)
    assert (onnx_export.onnx_inference(path, 1)(*(t.numpy() for t in check)) == -9).all()


def test_a_file_that_answers_otherwise_is_not_kept(network, tmp_path, monkeypatch):
    monkeypatch.setattr(
        onnx_export, "torch_inference", lambda _: lambda images: np.ones((len(images), 3))
    )
    with pytest.raises(AssertionError, match="outputs of the ONNX file"):
        written(network, tmp_path / "net.onnx")
    assert list(tmp_path.iterdir()) == []


def test_int8_with_fixed_ranges_is_smaller_and_nearly_the_same(tmp_path):
    torch.manual_seed(1)
    wide = nn.Sequential(
        nn.Conv2d(1, 64, 3), nn.ReLU(), nn.Conv2d(64, 64, 3), nn.ReLU(), nn.AvgPool2d(4)
    )
    network = nn.Sequential(wide, nn.Flatten(), nn.Linear(64, 3)).eval()
    path = written(network, tmp_path / "net.onnx")
    batches = iter(IMAGES.numpy().reshape(4, 8, 1, 8, 8))
    onnx_export.quantise_statically(path, tmp_path / "int8.onnx", batches)
    assert next(batches, None) is None
    assert (tmp_path / "int8.onnx").stat().st_size < path.stat().st_size / 2
    exact, rounded = (
        onnx_export.onnx_inference(tmp_path / name, 1)(IMAGES.numpy())
        for name in ("net.onnx", "int8.onnx")
    )
    difference = np.abs(rounded - exact).max()
    assert 0 < difference < 0.05 * np.abs(exact).max()


@pytest.mark.parametrize("way", ["statically", "dynamically"])
def test_int8_sums_fit_the_registers_of_every_processor(tmp_path, way):
    """Without VNNI two products of uint8 and int8 are summed in 16 bits: 2 x 255 x 127 is more."""
    bright = np.ones((8, 1, 8, 8), np.float32)
    if way == "statically":
        layers = [nn.Conv2d(1, 8, 3), nn.Conv2d(8, 8, 3)]
        network = nn.Sequential(*layers, nn.Flatten()).eval()
    else:
        layers = [nn.Linear(64, 32), nn.Linear(32, 8)]
        network = nn.Sequential(nn.Flatten(), *layers).eval()
    with torch.no_grad():
        for layer in layers:
            layer.weight.fill_(0.1)
    exact_path, rounded_path = written(network, tmp_path / "net.onnx"), tmp_path / "int8.onnx"
    if way == "statically":
        onnx_export.quantise_statically(exact_path, rounded_path, iter([bright, 0 * bright]))
    else:
        onnx_export.quantise_dynamically(exact_path, rounded_path)
    stored = [
        numpy_helper.to_array(tensor)
        for tensor in onnx.load(rounded_path).graph.initializer
        if tensor.data_type == onnx.TensorProto.INT8 and np.prod(tensor.dims) >= 72
    ]
    assert len(stored) == 2
    assert 2 * 255 * max(np.abs(weights.astype(int)).max() for weights in stored) < 2**15
    exact, rounded = (
        onnx_export.onnx_inference(path, 1)(bright) for path in (exact_path, rounded_path)
    )
    assert np.abs(rounded - exact).max() < 0.02 * np.abs(exact).max()


def test_a_file_that_is_no_network_is_named(tmp_path):
    (tmp_path / "page.onnx").write_text("<html>")
    for name in ("page.onnx", "none.onnx"):
        with pytest.raises(DataError, match=rf"{name}: no ONNX network"):
            onnx_export.onnx_inference(tmp_path / name, 1)


def test_latency_leaves_the_first_calls_out(monkeypatch):
    # The clock of the calls: 1 s for each of the first ten, then 1, 2, 3 ... ms.
    asked, clock = [], [0.0]

    def ask(item):
        asked.append(item)
        timed = len(asked) - onnx_export.WARM_UP
        clock[0] += 1.0 if timed <= 0 else timed / 1000

    monkeypatch.setattr(onnx_export.time, "perf_counter", lambda: clock[0])
    found = onnx_export.latency(ask, 21)
    assert asked == [*range(10), *range(21)]
    assert found == pytest.approx({"median": 11, "p95": 20})


def test_scores_of_classes_are_scikit_learn_s():
    generator = np.random.default_rng(0)
    labels, scores = generator.integers(4, size=50), generator.random((50, 4))
    answers = scores.argmax(axis=1)
    assert onnx_export.class_scores(labels, scores) == pytest.approx(
        {
            "accuracy": (answers == labels).mean(),
            "macro_f1": f1_score(labels, answers, average="macro"),
        }
    )


def test_formats_are_held_against_the_first():
    shares = {"exact": np.array([[0.5, 0.5], [0.9, 0.1]]), "rough": np.array([[0.4, 0.6], [1, 0]])}
    formats = {name: Format(lambda name=name: shares[name], 10) for name in shares}
    found = onnx_export.compare_formats(formats, lambda infer: ({"n": 2}, infer()))
    assert found["reference"] == "exact"
    assert found["formats"]["exact"] == {"n": 2, "bytes": 10, "max_probability_difference": 0}
    assert found["formats"]["rough"]["max_probability_difference"] == pytest.approx(0.1)
