"""The predictor of the summary experiment: `CaseSummarizer`."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from affectlab.assets.checkpoints import weights_digest
from affectlab.config.load import as_mapping
from affectlab.config.models import given, typed
from affectlab.errors import DataError, UserError, reading
from affectlab.files.integrity import check_directory, checked
from affectlab.files.io import check_target, read_json
from affectlab.summary.answers import write_predictions
from affectlab.summary.cases import OWN_TASK, TASKS, Case
from affectlab.summary.generate import PROGRESS_NAME, answer_cases, parse_answers, remove_progress
from affectlab.summary.generator import Generator, load_generator
from affectlab.summary.scores import Answer
from affectlab.summary.settings import Generation, SummaryRun

if TYPE_CHECKING:
    from affectlab.models.devices import Precision

logger = logging.getLogger(__name__)

UNFINISHED_SUFFIX = ".unfinished"
"""Added to the name of a file of summaries: the folder of the answers so far."""


class CaseSummarizer:
    """A trained model of the summary experiment.

    Example:
        >>> summarizer = CaseSummarizer.from_directory(
        ...     "results/summary/smollm2_fields/seed42/model", base_model="smollm2-135m"
        ... )
        >>> summarizer.predict(read_requests("cases.jsonl", summarizer.fields))[0].fields
        {'causes': ..., 'symptoms': ..., ...}
    """

    def __init__(
        self,
        generator: Generator,
        run: SummaryRun,
        settings: Mapping[str, Any],
        trained: Path,
        base_weights: Sequence[str],
    ) -> None:
        self._generator = generator
        self._run = run
        self._settings = settings
        self._trained = trained
        self._base_weights = base_weights

    @classmethod
    def from_directory(
        cls,
        path: Path | str,
        *,
        base_model: Path | str | None = None,
        device: str | None = None,
        precision: Precision | None = None,
        threads: int | None = None,
    ) -> CaseSummarizer:
        """Load the ``model`` directory of a run.

        Args:
            path: a folder with ``summary.json``, and an adapter or a merged checkpoint.
            base_model: checkpoint that the adapter belongs to; not needed for a merged one.
            device: a PyTorch device name; the GPU if there is one, by default.
            precision: of matrix products; by default that in which the run was evaluated.
            threads: CPU threads; PyTorch's own choice by default.

        Raises:
            UserError: not a model of this experiment, a corrupt one, or its base model is needed
                and not given, or another one is.
        """
        from affectlab.summary.model import ADAPTER_FOLDER

        folder = Path(path)
        settings, run = _read_settings(folder)
        if precision is not None:
            run.generation.precision = precision
        merged = run.merge and base_model is None
        if not merged and base_model is None:
            raise UserError(
                f"{folder}: holds an adapter of {settings['base_model']} and no merged model: name "
                "the folder of that model (--base-model)"
            )
        base = None if base_model is None else Path(base_model)
        base_weights = [] if base is None else _check_base(folder, settings, base)
        adapter = None if merged else folder / ADAPTER_FOLDER
        generator = load_generator(
            base or folder,
            adapter,
            run.generation,
            four_bit=run.is_four_bit and not merged,
            threads=threads,
            device=device,
        )
        return cls(generator, run, settings | given(run), adapter or folder, base_weights)

    @property
    def fields(self) -> tuple[str, ...]:
        """What the model writes about a case."""
        return _fields_of(self._settings)

    @overload
    def predict(self, cases: Case, *, seed: int = ...) -> Answer: ...

    @overload
    def predict(self, cases: Sequence[Case], *, seed: int = ...) -> list[Answer]: ...

    def predict(self, cases: Case | Sequence[Case], *, seed: int = 0) -> Answer | list[Answer]:
        """Summarise one case, or each of several, in order; an answer may be marked as failed.

        Raises:
            UserError: two cases have the same id, by which answers are told apart.
        """
        if isinstance(cases, Case):
            return self.predict([cases], seed=seed)[0]
        return self.answers(cases, seed=seed)[0]

    def answers(
        self, cases: Sequence[Case], *, seed: int = 0, work_directory: Path | None = None
    ) -> tuple[list[Answer], dict[str, str]]:
        """Summarise *cases* and tell which of them failed.

        Args:
            cases: each with another id.
            seed: of the sampling.
            work_directory: keeps finished answers until all are there. An interrupted call
                resumes from it with the same cases, model and seed.

        Returns:
            The answers, in the order of the cases, and the reason by the id of each that failed.

        Raises:
            UserError: two cases have the same id.
        """
        from affectlab.training.checkpoints import fingerprint

        for name, count in Counter(case.id for case in cases).items():
            if count > 1:
                raise UserError(f"the id {name!r} occurs more than once among the cases")
        weights = [*self._base_weights, *weights_digest(self._trained)]
        _, found = answer_cases(
            self._generator,
            cases,
            self._run,
            fields=self.fields,
            seed=seed,
            work_directory=work_directory,
            # The cases, and not their file, which may be a pipe.
            fingerprint=fingerprint(
                self._settings, seed, [asdict(case) for case in cases], weights
            ),
        )
        failed = {name: row["error"] for name, row in found.items() if row["error"] is not None}
        return parse_answers(cases, found, self.fields), failed

    def summarise_to(
        self,
        path: Path,
        cases: Sequence[Case],
        *,
        seed: int = 0,
        write: Callable[[Path, Sequence[Case], Sequence[Answer]], None] = write_predictions,
    ) -> dict[str, str]:
        """Summarise *cases* into a file; see `answers`.

        What is answered is kept in a folder next to that file until it is whole.

        Args:
            path: of the file.
            cases: each with another id.
            seed: of the sampling.
            write: how the file is written; by default in the submission format.

        Returns:
            The reason by the id of each case that failed.

        Raises:
            UserError: the file cannot be written; found out before anything is summarised.
        """
        check_target(path)
        unfinished = Path(f"{path}{UNFINISHED_SUFFIX}")
        check_target(unfinished / PROGRESS_NAME)
        answers, failed = self.answers(cases, seed=seed, work_directory=unfinished)
        write(path, cases, answers)
        remove_progress(unfinished)
        # What somebody else put there stays.
        with suppress(OSError):
            unfinished.rmdir()
        return failed


@checked("folder", check_directory)
def _read_settings(folder: Path) -> tuple[dict[str, Any], SummaryRun]:
    """What is stored of a model beside its weights, and the run in it.

    Raises:
        UserError: nothing is.
        DataError: something is missing or out of bounds, or the task is unknown.
    """
    from affectlab.summary.model import SETTINGS_NAME, STORED_SETTINGS

    path = folder / SETTINGS_NAME
    if not path.is_file():
        raise UserError(f"{folder}: no {SETTINGS_NAME} here: not a model of the summary experiment")
    settings = as_mapping(read_json(path))
    missing = [n for n in ("task", "base_model", *STORED_SETTINGS) if n not in settings] or [
        f"generation.{n}"
        for n in Generation.model_fields
        if n not in as_mapping(settings["generation"])
    ]
    if missing:
        raise DataError(
            path, None, f"not of a model of the summary experiment: no {', '.join(missing)}"
        )
    known = [*TASKS, OWN_TASK]
    if settings["task"] not in known:
        problem = f"task: expected one of {', '.join(known)}, found {settings['task']!r}"
        raise DataError(path, None, problem)
    if settings["task"] == OWN_TASK and not _are_fields(settings.get("fields")):
        raise DataError(path, None, "fields: expected a list of names")
    stored = [*STORED_SETTINGS, *({"prompt_template"} & settings.keys())]
    with reading(path, "settings of a run of the summary experiment"):
        run = typed(SummaryRun, {name: settings[name] for name in stored})
    return dict(settings), run


def _are_fields(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, str) for one in value)


def _fields_of(settings: Mapping[str, Any]) -> tuple[str, ...]:
    """What a model writes, by its stored settings."""
    task = settings["task"]
    return tuple(settings["fields"]) if task == OWN_TASK else TASKS[task]


def _check_base(folder: Path, settings: Mapping[str, Any], base_model: Path) -> list[str]:
    """The digests of *base_model*'s weights; raise if the adapter was trained on other ones."""
    found = weights_digest(base_model)
    if "base_weights" not in settings:
        logger.warning(
            "%s: does not say which weights its adapter was trained on; those of %s may be others",
            folder,
            base_model,
        )
    # Where there are none, the loader says so.
    elif found and found != settings["base_weights"]:
        raise UserError(
            f"{base_model}: its weights are not those of {settings['base_model']} that the adapter "
            f"in {folder} was trained on: answers would mean nothing"
        )
    return found
