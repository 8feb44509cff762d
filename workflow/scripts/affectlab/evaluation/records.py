"""The records that a run leaves: scores that equal runs repeat to the byte, and what may differ.

`metrics.json` holds the scores and everything that defines them; `run.json` holds time, place,
versions and cost. Both are checked against a closed schema before they are written.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import resource
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

from affectlab.assets.manifest import read_manifest
from affectlab.config.models import Bootstrap, Run
from affectlab.config.schemas import schema_mistakes
from affectlab.errors import DataError
from affectlab.files.io import read_json, round_significant, sha256_file, write_json

SCHEMAS = Path(__file__).resolve().parents[3] / "schemas"

Direction = Literal["higher", "lower"]

SINGLE_RUN_INTERVALS = (
    "shares: exact at the effective sample size; averages over classes: exact for a weighted sum of"
    " shares; means: beta or gamma limits; correlations: Fisher's z with resampled groups;"
    " calibration errors: inverted simulation; others: beta limits from resampled groups"
)
"""How the intervals of one run come about: see `affectlab.evaluation.intervals`."""

PACKAGES = {
    "accelerate": "accelerate",
    "cleanlab": "cleanlab",
    "matplotlib": "matplotlib",
    "numpy": "numpy",
    "onnxruntime": "onnxruntime",
    "pandas": "pandas",
    "peft": "peft",
    "safetensors": "safetensors",
    "scikit-learn": "sklearn",
    "scipy": "scipy",
    "tokenizers": "tokenizers",
    "torch": "torch",
    "transformers": "transformers",
}
"""Distributions whose version can change a number -> the module that each is."""


def metric(
    value: float,
    direction: Direction,
    ci: tuple[float, float] | None = None,
    baseline: tuple[str, float] | None = None,
) -> dict[str, Any]:
    """One score as `metrics.json` holds it.

    Args:
        value: the score.
        direction: which way is better.
        ci: lower and upper limit of its interval.
        baseline: name and value of the trivial answer on the same items.
    """
    return {
        "value": value,
        "ci": None if ci is None else list(ci),
        "direction": direction,
        "baseline": None if baseline is None else {"name": baseline[0], "value": baseline[1]},
        "below_baseline": baseline is not None
        and _is_worse_as_stored(value, baseline[1], direction),
    }


def calibration_note(entry: Mapping[str, Any]) -> str:
    """What the text of the results says next to a calibration error; empty for other scores."""
    if "plug_in" not in entry:
        return ""
    return f"plug-in {entry['plug_in']:.4f}; a calibrated model has {entry['if_calibrated']:.4f}"


def strongest(
    direction: Direction, candidates: Iterable[tuple[str, float] | None]
) -> tuple[str, float] | None:
    """The trivial baseline that is hardest to beat, the first of equal ones.

    Args:
        direction: which way the score is better.
        candidates: name and value of each trivial baseline on the same items; None where one has
            no such score.

    Returns:
        Name and value; None if there is no baseline.
    """
    known = [one for one in candidates if one is not None]
    if not known:
        return None
    best = known[0]
    for one in known[1:]:
        if _is_worse_as_stored(best[1], one[1], direction):
            best = one
    return best


def summary_metric(
    mean: float,
    sd: float | None,
    ci: tuple[float, float] | None,
    direction: Direction,
    baseline: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """One score over seeds as `comparison.json` holds it.

    Args:
        mean: over the seeds.
        sd: standard deviation over the seeds; None for one.
        ci: lower and upper limit of its interval.
        direction: which way is better.
        baseline: ``name`` and ``value`` of the trivial answer on the same items.
    """
    return {
        "mean": mean,
        "sd": sd,
        "ci": None if ci is None else list(ci),
        "direction": direction,
        "baseline": baseline,
        "below_baseline": baseline is not None
        and _is_worse_as_stored(mean, baseline["value"], direction),
    }


def difference_line(name: str, entry: Mapping[str, Any]) -> str:
    """One paired difference as a line of evaluation_results.txt."""
    limits = "no interval" if entry["ci"] is None else "[{:+.4f}, {:+.4f}]".format(*entry["ci"])
    return f"{name:<20}{entry['value']:>+9.4f}  {limits}"


def is_worse(value: float, other: float, direction: Direction) -> bool:
    """Whether *value* is worse than *other*; equal is not worse."""
    return value < other if direction == "higher" else value > other


def _is_worse_as_stored(value: float, other: float, direction: Direction) -> bool:
    """Of what is written: two ways to the same score may differ in the last bit."""
    return is_worse(round_significant(value), round_significant(other), direction)


def rounded(value: Any) -> Any:
    """A copy of JSON data with every float at 8 significant digits.

    Raises:
        ValueError: a number is not finite.
    """
    if isinstance(value, float):
        return round_significant(value)
    if isinstance(value, Mapping):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(item) for item in value]
    return value


def write_record(path: Path | str, record: Mapping[str, Any], schema_path: Path | str) -> None:
    """Write *record* as canonical JSON, floats at 8 significant digits.

    Equal records give equal bytes.

    Raises:
        ValueError: the record does not fit the schema, or holds a number that is not finite;
            nothing is written.
    """
    clean = rounded(record)
    mistakes = schema_mistakes(clean, _read_schema(schema_path))
    if mistakes:
        raise ValueError("\n  ".join([f"{path} does not fit {Path(schema_path).name}:", *mistakes]))
    write_json(path, clean, sealed=True)


def read_record(path: Path | str, schema_path: Path | str) -> dict[str, Any]:
    """Read a record and check it.

    Raises:
        DataError: the file is missing, is not JSON or does not fit the schema.
    """
    record = read_json(path)
    mistakes = schema_mistakes(record, _read_schema(schema_path))
    if mistakes:
        problem = "\n  ".join([f"does not fit {Path(schema_path).name}:", *mistakes])
        raise DataError(path, None, problem)
    checked: dict[str, Any] = record
    return checked


def read_metrics(path: Path | str) -> dict[str, Any]:
    """Read and check a `metrics.json`; see `read_record`."""
    return read_record(path, SCHEMAS / "metrics.schema.json")


def read_run_record(path: Path | str) -> dict[str, Any]:
    """Read and check a `run.json`; see `read_record`."""
    return read_record(path, SCHEMAS / "run.schema.json")


def read_comparison(path: Path | str) -> dict[str, Any]:
    """Read and check a `comparison.json`; see `read_record`."""
    return read_record(path, SCHEMAS / "comparison.schema.json")


RunT = TypeVar("RunT", bound=Run)


@dataclass(frozen=True, slots=True)
class ScoredRun(Generic[RunT]):
    """A run with one seed that is being scored, and where the records of it go.

    Attributes:
        name: of the run.
        seed: of its training.
        recipe: the run, as configured.
        bootstrap: of the intervals.
        threads: how many the scoring was given, for the record.
        training_path: training.json of the run; None if nothing was trained.
        manifest_path: of its pretrained model; None where there is none.
        metrics_path: where metrics.json goes.
        metrics_schema: its schema.
        run_path: where run.json goes.
        run_schema: its schema.
        started: `time.perf_counter` when the scoring began.
    """

    name: str
    seed: int
    recipe: RunT
    bootstrap: Bootstrap
    threads: int
    training_path: Path | str | None
    manifest_path: Path | str | None
    metrics_path: Path | str
    metrics_schema: Path | str
    run_path: Path | str
    run_schema: Path | str
    started: float = field(default_factory=time.perf_counter)

    def header(
        self,
        experiment: str,
        task_version: int,
        *,
        method: str,
        model: str,
        data: Mapping[str, Any],
        data_paths: Sequence[Path | str],
    ) -> dict[str, Any]:
        """Return what `metrics.json` of every experiment holds before the scores.

        Args:
            experiment: name of the experiment.
            task_version: of the experiment's labels and scores.
            method: how the model came about.
            model: registry name of the pretrained model, or the method where there is none.
            data: ``split``, ``n``, ``groups`` and, of a classifier, ``classes``.
            data_paths: the files that hold the data, whose hash stands for them: of one its
                SHA-256, of several that of their digests, a line each.
        """
        manifest = None if self.manifest_path is None else read_manifest(self.manifest_path)
        return {
            "experiment": experiment,
            "run": self.name,
            "protocol": self.recipe.protocol,
            "method": method,
            "seed": self.seed,
            "task_version": task_version,
            "data": {"name": self.recipe.data, "sha256": _data_digest(data_paths), **data},
            "model": model_identity(model, manifest),
            "interval": {"method": SINGLE_RUN_INTERVALS, **self.bootstrap.model_dump()},
        }

    def write(self, metrics: Mapping[str, Any], costs: Mapping[str, Any] | None = None) -> None:
        """Write `run.json`, then `metrics.json`, which holds *metrics*.

        Args:
            metrics: the record of the scores.
            costs: further blocks of run.json: what scoring by other jobs cost.

        Raises:
            ValueError: a record does not fit its schema; that file is not written.
        """
        run_record = {
            **{name: metrics[name] for name in ("experiment", "run", "seed")},
            "training": {} if self.training_path is None else read_json(self.training_path),
            "evaluation": process_record(self.started, self.threads),
            **(costs or {}),
        }
        write_record(self.run_path, run_record, self.run_schema)
        write_record(self.metrics_path, metrics, self.metrics_schema)


def _data_digest(paths: Sequence[Path | str]) -> str:
    digests = [sha256_file(path) for path in paths]
    if len(digests) == 1:
        return digests[0]
    return hashlib.sha256("".join(f"{digest}\n" for digest in digests).encode()).hexdigest()


def model_identity(name: str, manifest: Mapping[str, Any] | None) -> dict[str, Any]:
    """Which pretrained model a run started from.

    Args:
        name: registry name, or the name of the method where there is no such model.
        manifest: of the model as it was obtained; None without a pretrained model.

    Returns:
        Name, revision, and one SHA-256 over the sorted names and hashes of its files, which is
        the same whichever source served them.
    """
    if manifest is None:
        return {"name": name, "revision": None, "sha256": None}
    lines = sorted(f"{file['path']} {file['sha256']}\n" for file in manifest["files"])
    revision = manifest["source"].get("revision")
    return {
        "name": name,
        "revision": None if revision is None else str(revision),
        "sha256": hashlib.sha256("".join(lines).encode()).hexdigest(),
    }


def origin_record() -> dict[str, Any]:
    """When, where and by which code and packages something was made: by this process, now.

    Every rule has packages of its own, so what trained a run is told by its training alone.
    """
    return {
        "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "host": platform.node(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "packages": package_versions(),
        "git": git_state(Path(__file__).parent),
    }


def process_record(started: float, threads: int, device: str = "cpu") -> dict[str, Any]:
    """`origin_record`, and what this process cost so far.

    Args:
        started: `time.perf_counter` when the work began.
        threads: how many it was given.
        device: where it computed.
    """
    return {
        **origin_record(),
        "threads": threads,
        "device": device,
        "seconds": time.perf_counter() - started,
        "peak_memory_mb": peak_memory_mb(),
        "peak_device_memory_mb": peak_device_memory_mb(),
    }


def package_versions() -> dict[str, str]:
    """Versions of those of `PACKAGES` that this process has imported.

    Not of all that it could import: behind the packages of a rule's own environment, Snakemake
    lets its scripts find those that it runs from itself.
    """
    return {
        name: metadata.version(name) for name, module in PACKAGES.items() if module in sys.modules
    }


def git_state(directory: Path) -> dict[str, Any]:
    """Commit of the checkout around *directory*, and whether tracked files differ from it.

    Both are None outside a checkout, or without git.
    """
    commit = _git(directory, "rev-parse", "HEAD")
    changes = _git(directory, "status", "--porcelain", "--untracked-files=no")
    return {
        "commit": commit,
        "dirty": None if commit is None or changes is None else bool(changes),
    }


def peak_memory_mb() -> float:
    """Largest resident set that this process ever had, in 10^6 bytes."""
    try:
        # getrusage would do, but on Linux its figure starts at that of the parent process.
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        status = ""
    # Not every Linux has the line: sandboxes may leave it out.
    found = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    if found:
        return int(found[1]) * 1024 / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # macOS counts in bytes, the other systems in KiB.
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


def peak_device_memory_mb() -> float | None:
    """Largest allocation on the accelerator, in 10^6 bytes; None if none was used."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return None
    return float(torch.cuda.max_memory_allocated()) / 1e6


def _git(directory: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(directory), *arguments],
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
            # Reading the state must not take the index lock of somebody at work.
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


@cache
def _read_schema(path: Path | str) -> dict[str, Any]:
    schema: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
    return schema
