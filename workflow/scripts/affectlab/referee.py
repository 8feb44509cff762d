"""``affectlab referee``: a verdict on predictions that somebody else made, without training.

It writes a configuration with one run, which scores the predictions, lets Snakemake carry it out,
and prints what came out.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Collection, Container, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

from affectlab.config.checks import OUTSIDE
from affectlab.config.dotted import load
from affectlab.config.models import Outside, typed
from affectlab.datasets.overlay import Overlay, ProposedRun, as_yaml, data_name
from affectlab.datasets.spelling import spelling_hint
from affectlab.datasets.tables import read_table
from affectlab.errors import DataError, UserError
from affectlab.evaluation.outside import ALLOW_MISSING
from affectlab.evaluation.outside_names import KEY
from affectlab.evaluation.outside_tables import CLASS_NAMES, listed_names
from affectlab.evaluation.records import read_metrics
from affectlab.experiments import EXPERIMENTS
from affectlab.files.io import write_text
from affectlab.report.verdict import as_text, verdict

LOCKED = "Directory cannot be locked"
"""What Snakemake says of a folder in which another process works."""

RUN = "theirs"
SEED = 0
CONFIGURATION = "referee.yaml"
ITEMS = "scored_items.txt"
OPTIONS = {
    CLASS_NAMES: "with --classes THEIRS=OURS",
    KEY: "--classes",
    ALLOW_MISSING: "--allow-missing",
}
"""How a message calls a key of the configuration -> what it is on the command line."""


@dataclass(frozen=True, slots=True)
class Case:
    """What is to be judged.

    Attributes:
        experiment: of the data.
        data: file or folder of the user's data, with labels.
        predictions: table of the predictions.
        claim: score and claimed value; None without one.
        classes: their name of a class -> the name in the data, where they differ.
        trained_on: file with the ids of the items that the model was trained on; None if nobody
            says.
        allow_missing: whether items may lack a prediction.
    """

    experiment: str
    data: Path
    predictions: Path
    claim: tuple[str, float] | None
    classes: Mapping[str, str]
    trained_on: Path | None
    allow_missing: bool


def referee(case: Case, folder: Path, project: Path) -> str:
    """Judge a case; the verdict as text.

    Args:
        case: what is to be judged.
        folder: run directory, where configuration and results go.
        project: checkout of affectlab.

    Raises:
        UserError: an input cannot be used, or the run failed; the message has the path of its log.
    """
    name = data_name(case.data)
    overlay = configuration(case, folder)
    chosen = "items" in overlay.entry.get("split", {})
    write_text(folder / CONFIGURATION, as_yaml(overlay, name, case.data.resolve()))
    _carry_out(folder, project)
    run = f"{name}_{RUN}"
    record = read_metrics(
        folder / "results" / case.experiment / run / f"seed{SEED}" / "metrics.json"
    )
    judged = EXPERIMENTS[case.experiment].judged
    assert judged is not None
    body = verdict(record, case.claim, judged, predicted_alone=chosen)
    return as_text(case.experiment, case.data.name, [case.predictions.name], body)


def configuration(case: Case, folder: Path) -> Overlay:
    """The configuration of a case: the data as `affectlab init` sees them, and one run.

    Data without splits are divided by the predictions: what is predicted is the test split. If
    that is more than half, each item is judged against the others by cross-validation, and those
    without a prediction are missing.

    Raises:
        UserError: an input cannot be used.
    """
    experiment = EXPERIMENTS[case.experiment]
    if experiment.judged is None or not experiment.overlay:
        known = ", ".join(name for name, one in EXPERIMENTS.items() if one.judged is not None)
        raise UserError(f"{case.experiment}: no referee; there is one for {known}")
    overlay: Overlay = load(experiment.overlay)(case.data)
    plan = overlay.entry.get("split", {})
    if experiment.judged.divided and "column" not in plan and "files" not in plan:
        column = overlay.entry.get("columns", {}).get("id", "id")
        items = overlay.items or _ids(case.data, column)
        predicted = _items_of(_ids(case.predictions, "id"), set(items))
        _check_ids(case, predicted, set(items))
        if len(set(items).difference(predicted)) < len(items) / 2:
            overlay.entry["split"] = {"folds": 5}
        else:
            listed = folder / ITEMS
            write_text(listed, "\n".join(predicted) + "\n")
            overlay.entry["split"] = {"items": {"test": str(listed.resolve())}}
    overlay.comments.pop("split", None)
    block: dict[str, Any] = {"path": str(case.predictions.resolve())}
    if case.classes:
        block["classes"] = dict(case.classes)
    if case.allow_missing:
        block["allow_missing"] = True
    if case.trained_on is not None:
        block["trained_on"] = str(case.trained_on.resolve())
    typed(Outside, block)
    proposed = overlay.runs[0].block
    run: Mapping[str, Any] = {
        "method": OUTSIDE,
        "seeds": [SEED],
        "predictions": block,
        **{key: proposed[key] for key in ("task", "unit") if key in proposed},
    }
    overlay.runs = [ProposedRun(RUN, run)]
    return overlay


def _check_ids(case: Case, predicted: Sequence[str], items: Collection[str]) -> None:
    """Refuse predictions of no item, which would be missed in the middle of the run.

    Raises:
        DataError: an id is of no item of the data.
    """
    unknown = [name for name in predicted if name not in items]
    if not predicted:
        raise DataError(case.predictions, None, "expected a row for each item, found none")
    if unknown:
        raise DataError(
            case.predictions,
            None,
            f"{len(unknown)} of {len(predicted)} ids are none of {case.data.name}: "
            f"{listed_names(unknown)}{spelling_hint(unknown, items)}. Write ids as in the data, "
            f"where the first is {next(iter(items))!r}",
        )


def _items_of(predicted: Sequence[str], items: Container[str]) -> list[str]:
    """The items that the predicted ids are of, each once.

    The span ``t1.0`` is of the text ``t1``.
    """
    return list(
        dict.fromkeys(
            name if name in items else name.rpartition(".")[0] or name for name in predicted
        )
    )


def _ids(path: Path, column: str) -> list[str]:
    """The ids in a table, each once.

    Raises:
        DataError: the table cannot be read, or has no such column.
    """
    names: dict[str, None] = {}
    for row in read_table(path, []):
        if row.problem is not None:
            raise DataError(path, row.place, row.problem)
        if column not in row.values:
            problem = (
                f"no column {column!r}; there are {listed_names(list(row.values))}. Data and "
                "predictions need a column of that name with the id of each item"
            )
            raise DataError(path, row.place, problem)
        names[str(row.values[column])] = None
    return list(names)


def _carry_out(folder: Path, project: Path) -> None:
    """Run Snakemake in *folder*; its output goes to a file next to the results.

    Raises:
        UserError: it failed.
    """
    command = [
        *(sys.executable, "-m", "snakemake", "--cores", "1"),
        *("--snakefile", str(project / "Snakefile"), "--configfile", CONFIGURATION),
        "--rerun-incomplete",
    ]
    with subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            output, _ = process.communicate()
        except BaseException:
            # As at a terminal: Snakemake ends its jobs and unlocks the folder.
            process.send_signal(signal.SIGINT)
            raise
    log = folder / "referee.log"
    write_text(log, output)
    if process.returncode == 0:
        return
    if LOCKED in output:
        locks = folder / ".snakemake" / "locks"
        raise UserError(
            f"{folder} is locked by another run, or by one that was killed. If nothing works in"
            f" it, remove {locks} and repeat the command"
        )
    reason = _reason(output)
    end = f"\nAll messages are in {log}." if "\n" in reason else f"; all messages are in {log}"
    raise UserError(f"{reason}{end}")


def _reason(output: str) -> str:
    """The message of ours in Snakemake's output, or else its last line."""
    lines = [line for line in output.splitlines() if line.strip()]
    mark = " ERROR affectlab: "
    starts = [place for place, line in enumerate(lines) if mark in line]
    if starts:
        first, *rest = lines[starts[-1] :]
        # Mistakes that are told together are a list below it.
        listed = takewhile(lambda line: line.startswith("  "), rest)
        message = "\n".join([first.partition(mark)[2], *listed])
        for key, option in OPTIONS.items():
            message = message.replace(key, option)
        return message
    return lines[-1].strip() if lines else "no output"
