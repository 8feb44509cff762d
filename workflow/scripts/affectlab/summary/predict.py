"""Asking a trained model: `CaseSummarizer`."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from affectlab.core.config import as_mapping
from affectlab.core.errors import DataError, UserError
from affectlab.core.io import check_target, read_json
from affectlab.summary.answers import write_predictions
from affectlab.summary.cases import TASKS, Case, read_requests
from affectlab.summary.generate import (
    Generator,
    answer_all,
    build_requests,
    load_generator,
    parse_answers,
)
from affectlab.summary.scores import Answer

logger = logging.getLogger(__name__)


class CaseSummarizer:
    """A trained model of the summary wing.

    Example:
        >>> summarizer = CaseSummarizer.from_directory("results/summary/smollm2/seed42/model")
        >>> summarizer.summarise(read_requests("cases.jsonl", summarizer.fields))[0].fields
        {'causes': ..., 'symptoms': ..., ...}
    """

    def __init__(self, generator: Generator, settings: dict[str, Any]) -> None:
        self._generator = generator
        self._settings = settings

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
            UserError: not a model of this wing, a damaged one, or its base model is needed and not
                given, or another one is.
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
        if base_model is not None:
            _check_base(folder, settings, Path(base_model))
        generator = load_generator(
            folder if merged or base_model is None else Path(base_model),
            None if merged else folder / ADAPTER_FOLDER,
            settings["generation"],
            four_bit=settings["method"] == "qlora" and not merged,
            precision=settings["generation"]["precision"],
            threads=threads,
            device=device,
        )
        return cls(generator, settings)

    @property
    def fields(self) -> tuple[str, ...]:
        """What the model writes about a case."""
        return TASKS[self._settings["task"]]

    def summarise(self, cases: Sequence[Case], *, seed: int = 0) -> list[Answer]:
        """Summarise *cases*, in their order; a case that fails has an answer marked so."""
        return parse_answers(cases, self._answer(cases, seed), self.fields)

    def summarise_file(
        self, cases_path: Path | str, predictions_path: Path, *, seed: int = 0
    ) -> dict[str, str]:
        """Summarise a file of cases into one in the submission format.

        Returns:
            Id of each case that failed -> the reason.

        Raises:
            UserError: the file cannot be written; found out before anything is summarised.
            DataError: a line is not a case.
        """
        check_target(predictions_path)
        cases = read_requests(cases_path, self.fields)
        found = self._answer(cases, seed)
        write_predictions(predictions_path, cases, parse_answers(cases, found, self.fields))
        return {name: row["error"] for name, row in found.items() if row["error"] is not None}

    def _answer(self, cases: Sequence[Case], seed: int) -> dict[str, dict[str, Any]]:
        """What the model says of each case, as `answer_all` gives it."""
        requests = list(build_requests(self._generator, cases, self._settings, seed=seed))
        longest = self._settings["max_answer_tokens"]
        return answer_all(
            self._generator,
            requests,
            max_tokens=longest,
            seed=seed,
            grammar=self._generator.grammar(self.fields, longest),
        )


def _read_settings(folder: Path) -> dict[str, Any]:
    """What is stored of a model beside its weights.

    Raises:
        UserError: nothing is.
        DataError: something is missing, or the task is unknown.
    """
    from affectlab.summary.model import GENERATION, SETTINGS_NAME, STORED_SETTINGS

    path = folder / SETTINGS_NAME
    if not path.is_file():
        raise UserError(f"{folder}: no {SETTINGS_NAME} here: not a model of the summary wing")
    settings = as_mapping(read_json(path))
    missing = [n for n in ("task", "base_model", *STORED_SETTINGS) if n not in settings] or [
        f"generation.{n}" for n in GENERATION if n not in as_mapping(settings["generation"])
    ]
    if missing:
        raise DataError(path, None, f"not of a model of the summary wing: no {', '.join(missing)}")
    if settings["task"] not in list(TASKS):
        problem = f"task: expected {' or '.join(TASKS)}, found {settings['task']!r}"
        raise DataError(path, None, problem)
    return dict(settings)


def _check_base(folder: Path, settings: Mapping[str, Any], base_model: Path) -> None:
    """Raise if *base_model* has other weights than those that the adapter was trained on."""
    from affectlab.core.checkpoints import weights_digest

    if "base_weights" not in settings:
        logger.warning(
            "%s: does not say which weights its adapter was trained on; those of %s may be others",
            folder,
            base_model,
        )
        return
    found = weights_digest(base_model)
    # Where there are none, the loader says so.
    if found and found != settings["base_weights"]:
        raise UserError(
            f"{base_model}: its weights are not those of {settings['base_model']} that the adapter "
            f"in {folder} was trained on: answers would mean nothing"
        )
