import json
import os
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from affectlab.errors import DataError
from affectlab.evaluation import records

SCHEMAS = Path(__file__).parents[2] / "workflow" / "schemas"
SCRIPTS = Path(__file__).parents[2] / "workflow" / "scripts"


@pytest.mark.parametrize(
    ("value", "direction", "baseline", "below"),
    [
        (0.30, "higher", 0.35, True),
        (0.35, "higher", 0.35, False),
        (0.40, "higher", 0.35, False),
        (1.9, "lower", 1.6, True),
        (1.2, "lower", 1.6, False),
        # The same share, by two ways to it.
        (96 / 144, "higher", 1 - 48 / 144, False),
    ],
)
def test_a_score_worse_than_the_trivial_one_is_flagged(value, direction, baseline, below):
    record = records.metric(value, direction, (0.1, 0.2), ("majority", baseline))
    assert record["below_baseline"] is below
    assert record["baseline"] == {"name": "majority", "value": baseline}


def test_a_score_without_baseline_is_never_flagged():
    assert records.metric(0.0, "higher") == {
        "value": 0.0,
        "ci": None,
        "direction": "higher",
        "baseline": None,
        "below_baseline": False,
    }


def test_rounding_reaches_every_float_and_nothing_else():
    value = {"a": [1 / 3, (2, True)], "b": {"c": 123456789.123, "d": "0.1"}}
    assert records.rounded(value) == {
        "a": [0.33333333, [2, True]],
        "b": {"c": 123456790.0, "d": "0.1"},
    }
    with pytest.raises(ValueError, match="nan"):
        records.rounded([float("nan")])


@pytest.fixture
def schema(tmp_path):
    path = tmp_path / "thing.schema.json"
    path.write_text(
        json.dumps(
            {
                "type": "object",
                "additionalProperties": False,
                "required": ["run"],
                "properties": {"run": {"type": "string"}, "value": {"type": "number"}},
            }
        )
    )
    return path


def test_equal_records_give_equal_bytes(tmp_path, schema):
    records.write_record(tmp_path / "a.json", {"run": "x", "value": 0.1 + 0.2}, schema)
    records.write_record(tmp_path / "b.json", {"value": 0.3, "run": "x"}, schema)
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert records.read_record(tmp_path / "a.json", schema) == {"run": "x", "value": 0.3}


def test_a_record_that_does_not_fit_is_not_written(tmp_path, schema):
    with pytest.raises(ValueError, match=r"valu: unknown key.*value"):
        records.write_record(tmp_path / "a.json", {"run": "x", "valu": 1}, schema)
    assert not (tmp_path / "a.json").exists()
    (tmp_path / "b.json").write_text('{"value": "high"}')
    with pytest.raises(DataError) as caught:
        records.read_record(tmp_path / "b.json", schema)
    assert "run: missing" in str(caught.value)
    assert "value: expected number" in str(caught.value)


@pytest.mark.parametrize("name", ["metrics", "run", "comparison"])
def test_shipped_schemas_are_valid_and_closed(name):
    schema = json.loads((SCHEMAS / f"{name}.schema.json").read_text())
    Draft202012Validator.check_schema(schema)
    open_objects = []

    def walk(node, path):
        if isinstance(node, dict):
            if "properties" in node and node.get("additionalProperties") is not False:
                open_objects.append(path)
            # A condition narrows objects that are closed elsewhere.
            for key in node.keys() - {"if", "then"}:
                walk(node[key], f"{path}.{key}")
        elif isinstance(node, list):
            for place, child in enumerate(node):
                walk(child, f"{path}[{place}]")

    walk(schema, name)
    assert open_objects == []


def test_model_identity_does_not_depend_on_the_order_of_files():
    files = [{"path": "config.json", "sha256": "1" * 64}, {"path": "w", "sha256": "2" * 64}]
    one = records.model_identity("m", {"files": files, "source": {"revision": "abc"}})
    two = records.model_identity("m", {"files": files[::-1], "source": {}})
    assert one["sha256"] == two["sha256"]
    assert (one["revision"], two["revision"]) == ("abc", None)
    changed = [{"path": "config.json", "sha256": "3" * 64}, files[1]]
    assert records.model_identity("m", {"files": changed, "source": {}})["sha256"] != one["sha256"]
    assert records.model_identity("tfidf", None) == {
        "name": "tfidf",
        "revision": None,
        "sha256": None,
    }


def test_a_training_that_does_not_say_what_made_it_is_refused(tmp_path):
    evaluation = records.process_record(time.perf_counter(), threads=1)
    training = {"seconds": 1.0, "device": "cpu", **records.origin_record()}
    record = {"experiment": "face", "run": "r", "seed": 1, "evaluation": evaluation}
    path, schema = tmp_path / "run.json", SCHEMAS / "run.schema.json"
    records.write_record(path, record | {"training": training}, schema)
    for name in ("packages", "git", "seconds"):
        lacking = {key: value for key, value in training.items() if key != name}
        with pytest.raises(ValueError, match=name):
            records.write_record(path, record | {"training": lacking}, schema)
    with pytest.raises(ValueError, match="surprise"):
        records.write_record(path, record | {"training": training | {"surprise": 1}}, schema)


def test_process_record_fits_the_run_schema(tmp_path):
    started = time.perf_counter() - 2
    process = records.process_record(started, threads=2)
    assert 2 <= process["seconds"] <= time.perf_counter() - started
    record = {"experiment": "emotion", "run": "r", "seed": 1, "training": {}, "evaluation": process}
    records.write_record(tmp_path / "run.json", record, SCHEMAS / "run.schema.json")
    assert process["python"] == ".".join(map(str, sys.version_info[:3]))
    assert process["peak_device_memory_mb"] is None


def test_peak_memory_where_the_kernel_does_not_tell_it(monkeypatch):
    """As in gVisor, whose /proc/self/status lacks the line."""
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: "VmSize:\t 100 kB\n")
    assert records.peak_memory_mb() > 10


@pytest.mark.parametrize("ballast", [0, 60_000_000])
def test_peak_memory_is_of_this_process_alone(ballast):
    """An allocation of 200 MB is seen, however large the parent process is."""
    import numpy as np

    code = (
        "from affectlab.evaluation import records; import numpy as np\n"
        "before = records.peak_memory_mb(); np.ones(25_000_000)\n"
        "print(before, records.peak_memory_mb() - before)"
    )
    held = np.ones(ballast)
    scripts = Path(__file__).parents[2] / "workflow" / "scripts"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=scripts, capture_output=True, text=True, check=True
    )
    before, gained = map(float, done.stdout.split())
    assert len(held) == ballast
    assert before < 200
    assert 150 < gained < 260


def test_git_state_of_a_checkout(tmp_path):
    assert records.git_state(tmp_path) == {"commit": None, "dirty": None}

    def git(*arguments):
        identity = ["-c", "user.name=n", "-c", "user.email=e@example.org"]
        return subprocess.run(
            ["git", *identity, *arguments], cwd=tmp_path, check=True, capture_output=True, text=True
        ).stdout.strip()

    git("init")
    (tmp_path / "a").write_text("1")
    git("add", "a")
    git("commit", "-m", "first")
    commit = git("rev-parse", "HEAD")
    (tmp_path / "untracked").write_text("1")
    assert records.git_state(tmp_path) == {"commit": commit, "dirty": False}
    (tmp_path / "a").write_text("2")
    assert records.git_state(tmp_path) == {"commit": commit, "dirty": True}


def test_packages_are_recorded_that_the_process_uses_not_all_that_it_could_find():
    """Behind a rule's own packages, Snakemake lets its scripts find those that it runs from."""
    code = (
        "import json, sklearn; from affectlab.evaluation.records import origin_record;"
        "print(json.dumps(origin_record()['packages']))"
    )
    environment = os.environ | {"PYTHONPATH": str(SCRIPTS)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, check=True
    )
    packages = json.loads(done.stdout)
    assert packages["scikit-learn"] == version("scikit-learn")
    assert packages["numpy"] == version("numpy")
    assert "torch" not in packages
