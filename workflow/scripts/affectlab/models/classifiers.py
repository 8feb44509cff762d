"""Classifiers that somebody else trained, run as they are: from prepared inputs to probabilities.

The weights are those of a checkpoint of transformers, or an ONNX file next to its configuration.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.special import log_expit, log_softmax
from transformers import AutoConfig

from affectlab.assets.checkpoints import ONNX_FILES
from affectlab.assets.safe_loading import from_directory
from affectlab.config.pretrained import Pretrained
from affectlab.errors import DataError, UserError, first_line, reading
from affectlab.evaluation.class_mapping import ClassMapping
from affectlab.models.devices import choose_device, set_threads
from affectlab.models.onnx_export import onnx_session
from affectlab.models.text_models import load_pretrained

SEVERAL = "multi_label_classification"
"""``problem_type`` of classifiers whose classes are decided one by one."""

ONLY_TRAINED = "masked_spec_embed"
"""A weight of speech models that replaces masked frames in training; many checkpoints lack it."""

Inputs = Mapping[str, np.ndarray]
Run = Callable[[Inputs], np.ndarray]


class Batch(NamedTuple):
    """Some items as a network takes them.

    Attributes:
        places: of the items.
        inputs: arrays by name, each with one row per item.
    """

    places: np.ndarray
    inputs: Inputs


@dataclass(frozen=True, slots=True)
class Classifier:
    """A loaded classifier.

    Attributes:
        names: of its classes, in the order of its outputs.
        several: whether its classes are decided one by one.
        weights: name of the ONNX file that it runs; None for those of transformers.
        run: from inputs to logits ``[n, classes]``.
    """

    names: tuple[str, ...]
    several: bool
    weights: str | None
    run: Run

    def log_probabilities(self, batches: Iterable[Batch], count: int) -> np.ndarray:
        """Logarithms of the probabilities of the classes, float64 ``[count, classes]``.

        Of a classifier whose classes are decided one by one, they need not sum to 1.

        Args:
            batches: of all items; each item is in one.
            count: how many items there are.

        Raises:
            UserError: the outputs are not finite numbers, one for each class.
        """
        logits = np.full((count, len(self.names)), np.nan)
        for places, inputs in batches:
            found = self.run(inputs)
            if found.shape != (len(places), len(self.names)):
                expected = (len(places), len(self.names))
                raise UserError(
                    f"the model gives outputs of the shape {found.shape}, expected {expected}: one "
                    "for each class in id2label of its config.json"
                )
            logits[places] = found
        if not np.isfinite(logits).all():
            raise UserError("the model gives outputs that are not finite: its weights are corrupt")
        return np.asarray(log_expit(logits) if self.several else log_softmax(logits, axis=1))


def load_classifier(
    directory: Path, auto_class: Any, *, purpose: str, onnx: str | None, threads: int
) -> Classifier:
    """Load a classifier from a folder.

    Args:
        directory: a checkpoint of transformers; its weights may be an ONNX file.
        auto_class: such as `transformers.AutoModelForSequenceClassification`.
        purpose: what it is loaded as, for messages.
        onnx: ONNX file in *directory* that is run; None takes the weights, or where there are none
            the first of `ONNX_FILES`.
        threads: CPU threads of an ONNX file.

    Raises:
        UserError: the folder holds no such model, or one whose checkpoint lacks its head.
        DataError: a file is corrupt.
    """
    try:
        config = from_directory(AutoConfig, directory)
    except UserError:
        raise
    except Exception as error:
        raise UserError(
            f"{directory}: cannot be loaded as {purpose}: {first_line(error)}"
        ) from error
    names = _class_names(config, directory)
    several = getattr(config, "problem_type", None) == SEVERAL
    file = onnx or _only_onnx(directory)
    if file is not None:
        return Classifier(names, several, file, _onnx_run(directory, file, threads))
    return Classifier(names, several, None, _network_run(directory, auto_class, purpose))


def load_mapped(
    directory: Path,
    auto_class: Any,
    recipe: Pretrained,
    *,
    purpose: str,
    classes: Sequence[str],
    key: str,
    threads: int,
) -> tuple[Classifier, ClassMapping]:
    """Load a classifier, and find which class of the data each of its classes means.

    Args:
        directory: see `load_classifier`.
        auto_class: likewise.
        recipe: of the run.
        purpose: see `load_classifier`.
        classes: of the data, in the order of their ids.
        key: dotted path of the mapping of classes, for messages.
        threads: CPU threads.

    Raises:
        UserError: the model cannot be used, or none of its classes is one of the data.
        DataError: a file of the model is corrupt.
    """
    set_threads(threads)
    classifier = load_classifier(
        directory, auto_class, purpose=purpose, onnx=recipe.onnx, threads=threads
    )
    return classifier, ClassMapping.of(classifier.names, classes, recipe.classes, key)


def _class_names(config: Any, directory: Path) -> tuple[str, ...]:
    """The names of a checkpoint's classes, in the order of its outputs.

    Raises:
        DataError: it has none, or one only.
    """
    path = directory / "config.json"
    with reading(path, "id2label with a name for each class"):
        stored = {int(number): str(name) for number, name in config.id2label.items()}
    if sorted(stored) != list(range(len(stored))):
        raise DataError(path, None, f"id2label: expected the ids 0, 1, ...; found {sorted(stored)}")
    if len(stored) < 2:
        problem = "id2label: expected at least two classes; models that predict a number are not"
        raise DataError(path, None, f"{problem} scored here")
    return tuple(stored[number] for number in sorted(stored))


def _only_onnx(directory: Path) -> str | None:
    """The ONNX file of a folder without other weights."""
    if any(directory.glob("*.safetensors")):
        return None
    return next((name for name in ONNX_FILES if (directory / name).is_file()), None)


def _network_run(directory: Path, auto_class: Any, purpose: str) -> Run:
    device = choose_device()
    network = load_pretrained(
        directory,
        auto_class,
        purpose=purpose,
        settings={},
        dtype=torch.float32,
        device=device,
        whole=True,
        unread=ONLY_TRAINED,
    ).eval()

    @torch.inference_mode()
    def run(inputs: Inputs) -> np.ndarray:
        tensors = {name: torch.from_numpy(array).to(device) for name, array in inputs.items()}
        return network(**tensors).logits.float().cpu().numpy()

    return run


def _onnx_run(directory: Path, file: str, threads: int) -> Run:
    path = directory / file
    session = onnx_session(path, threads)
    wanted = {entry.name: entry.type for entry in session.get_inputs()}
    output = session.get_outputs()[0].name

    def run(inputs: Inputs) -> np.ndarray:
        given = dict(inputs)
        if "token_type_ids" in wanted and "token_type_ids" not in given and "input_ids" in given:
            # Of one text all tokens have the type 0, which some tokenizers leave out.
            given["token_type_ids"] = np.zeros_like(given["input_ids"])
        if missing := sorted(set(wanted) - set(given)):
            problem = f"takes the input {missing[0]!r}, which is not among {', '.join(given)}"
            raise DataError(path, None, problem)
        with reading(path, f"an ONNX network with the inputs {', '.join(given)}"):
            return session.run([output], {name: given[name] for name in wanted})[0]

    return run
