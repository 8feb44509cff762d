"""Asking a trained model: `CaseSummarizer`."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from affectlab.assets.checkpoints import weights_digest
from affectlab.config.load import as_mapping
from affectlab.errors import DataError, UserError
from affectlab.files.integrity import check_directory, checked
from affectlab.files.io import check_target, read_json
from affectlab.summary.answers import write_predictions
from affectlab.summary.cases import TASKS, Case
from affectlab.summary.generate import PROGRESS_NAME, answer_cases, parse_answers, remove_progress
from affectlab.summary.generator import Generator, load_generator
from affectlab.summary.layouts import read_requests
from affectlab.summary.scores import Answer

logger = logging.getLogger(__name__)

UNFINISHED_SUFFIX = ".unfinished"
"""Added to the name of a file of summaries: the folder of the answers so far."""


class CaseSummarizer:
    """A trained model of the summary experiment.

    Example:
        >>> summarizer = CaseSummarizer.from_directory(
        ...     "results/summary/smollm2_fields/seed42/model", base_model="smollm2-135m"
        ... )
        >>> summarizer.summarise(read_requests("cases.jsonl", summarizer.fields))[0].fields
        {'causes': ..., 'symptoms': ..., ...}
    """

    def __init__(
        self,
        generator: Generator,
        settings: dict[str, Any],
        trained: Path,
        base_weights: Sequence[str],
    ) -> None:
        self._generator = generator
        self._settings = settings
        self._trained = trained
        self._base_weights = base_weights

    @classmethod
    def from_directory(
        cls,
        directory: Path | str,
        *,
        base_model: Path | str | None = None,
        device: str | None = None,
        threads: int | None = None,
    ) -> CaseSummarizer:
        """Load the ``model`` directory of a run.

        Args:
            directory: with ``summary.json``, and an adapter or a merged checkpoint.
            base_model: checkpoint that the adapter belongs to; not needed for a merged one.
            device: a PyTorch device name; the GPU if there is one, by default.
            threads: CPU threads; PyTorch's own choice by default.

        Raises:
            UserError: not a model of this experiment, a corrupt one, or its base model is needed
                and not given, or another one is.
        """
        from affectlab.summary.model import ADAPTER_FOLDER

        folder = Path(directory)
        settings = _read_settings(folder)
        merged = settings["merge"] and base_model is None
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
            settings["generation"],
            four_bit=settings["method"] == "qlora" and not merged,
            precision=settings["generation"]["precision"],
            threads=threads,
            device=device,
        )
        return cls(generator, settings, adapter or folder, base_weights)

    @property
    def fields(self) -> tuple[str, ...]:
        """What the model writes about a case."""
        return TASKS[self._settings["task"]]

    def summarise(self, cases: Sequence[Case], *, seed: int = 0) -> list[Answer]:
        """Summarise *cases*, in their order; a case that fails has an answer marked so.

        Raises:
            UserError: two cases have the same id, by which answers are told apart.
        """
        for name, count in Counter(case.id for case in cases).items():
            if count > 1:
                raise UserError(f"the id {name!r} occurs more than once among the cases")
        _, found = answer_cases(
            self._generator, cases, self._settings, fields=self.fields, seed=seed
        )
        return parse_answers(cases, found, self.fields)

    def summarise_file(
        self, cases_path: Path | str, predictions_path: Path, *, seed: int = 0
    ) -> dict[str, str]:
        """Summarise a file of cases into one in the submission format.

        What is answered is kept in a folder beside that file until it is whole. An interrupted
        call goes on there with the same cases, model and seed, and ends in the same file.

        Returns:
            Id of each case that failed -> the reason.

        Raises:
            UserError: the file cannot be written, or is that of the cases; found out before
                anything is summarised.
            DataError: a line is not a case.
        """
        from affectlab.training.checkpoints import fingerprint

        check_target(predictions_path)
        if predictions_path.resolve() == Path(cases_path).resolve():
            raise UserError(f"{predictions_path}: holds the cases; name another file for summaries")
        cases = read_requests(cases_path, self.fields)
        weights = [*self._base_weights, *weights_digest(self._trained)]
        unfinished = Path(f"{predictions_path}{UNFINISHED_SUFFIX}")
        check_target(unfinished / PROGRESS_NAME)
        _, found = answer_cases(
            self._generator,
            cases,
            self._settings,
            fields=self.fields,
            seed=seed,
            work_directory=unfinished,
            # The cases, and not their file, which may be a pipe.
            fingerprint=fingerprint(
                self._settings, seed, [asdict(case) for case in cases], weights
            ),
        )
        write_predictions(predictions_path, cases, parse_answers(cases, found, self.fields))
        remove_progress(unfinished)
        # What somebody else put there stays.
        with suppress(OSError):
            unfinished.rmdir()
        return {name: row["error"] for name, row in found.items() if row["error"] is not None}


@checked("folder", check_directory)
def _read_settings(folder: Path) -> dict[str, Any]:
    """What is stored of a model beside its weights.

    Raises:
        UserError: nothing is.
        DataError: something is missing, or the task is unknown.
    """
    from affectlab.summary.model import GENERATION, SETTINGS_NAME, STORED_SETTINGS

    path = folder / SETTINGS_NAME
    if not path.is_file():
        raise UserError(f"{folder}: no {SETTINGS_NAME} here: not a model of the summary experiment")
    settings = as_mapping(read_json(path))
    missing = [n for n in ("task", "base_model", *STORED_SETTINGS) if n not in settings] or [
        f"generation.{n}" for n in GENERATION if n not in as_mapping(settings["generation"])
    ]
    if missing:
        raise DataError(
            path, None, f"not of a model of the summary experiment: no {', '.join(missing)}"
        )
    if settings["task"] not in list(TASKS):
        problem = f"task: expected {' or '.join(TASKS)}, found {settings['task']!r}"
        raise DataError(path, None, problem)
    return dict(settings)


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
