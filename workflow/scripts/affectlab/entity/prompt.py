"""Classes of spans and texts by a language model that is prompted: nothing is trained."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from affectlab.entity.data import Data
from affectlab.entity.outside import LEFT_OUT, truths_of, write_predicted
from affectlab.entity.settings import EntityRun
from affectlab.evaluation.outside import Truth, complete_record
from affectlab.evaluation.outside_splits import predicted_once, splits_left_out
from affectlab.files.io import write_json
from affectlab.models.class_prompting import (
    Found,
    Question,
    classified,
    prediction_row,
    ranked,
    remove_answers,
)


def classify(
    data: Data,
    recipe: EntityRun,
    run: str,
    *,
    model_directory: Path | None,
    threads: int,
    work_directory: Path,
    predictions_path: Path,
    record_path: Path,
) -> None:
    """Classify the held-out spans or texts; an endpoint is asked about the test split alone.

    Args:
        data: that hold them.
        recipe: of the run.
        run: its name.
        model_directory: checkpoint of the local model; None with an endpoint.
        threads: of the CPU.
        work_directory: holds the answers so far; those of an endpoint stay there.
        predictions_path: predictions.parquet.
        record_path: outside.json, see `class_prompting.classified`.

    Raises:
        UserError: see `class_prompting.classified`.
    """
    whole_texts = data.records[0].targets[0].start is None
    items, training = truths_of(data, whole_texts)
    local = recipe.prompt.endpoint is None
    items = predicted_once(items, folded=data.description.folds is not None)
    if not local:
        items = {"test": items["test"]}
    asked = {name: truth for own in items.values() for name, truth in own.items()}
    found, about = classified(
        _questions(data, asked),
        data.classes,
        recipe.prompt,
        language=data.description.language,
        model_directory=model_directory,
        model_name=recipe.model,
        work_directory=work_directory,
        threads=threads,
        path=f"entity.runs.{run}.prompt",
    )
    by_target = dict(zip(asked, found, strict=True))
    ranking = _ranking(data, (training or asked).values())
    rows = [
        {"id": name, "split": split, **_row(by_target[name], data.classes, truth, ranking)}
        for split, own in items.items()
        for name, truth in own.items()
    ]
    write_predicted(predictions_path, rows)
    known = {
        "probabilities": local,
        "splits_left_out": splits_left_out(items),
        "left_out": list(LEFT_OUT),
    }
    write_json(record_path, complete_record("prompt", {**about, **known}), sealed=True)
    if local:
        remove_answers(work_directory)


def _questions(data: Data, names: Iterable[str]) -> list[Question]:
    """What is asked about the targets *names*."""
    known = {
        target.id: Question(record.text, target.span and record.text[slice(*target.span)])
        for record in data.records
        for target in record.targets
    }
    return [known[name] for name in names]


def _ranking(data: Data, truths: Iterable[Truth]) -> list[str]:
    counts = Counter(name for truth in truths for name in _names(truth))
    return ranked({name: counts[name] for name in data.classes})


def _row(
    found: Found, classes: Sequence[str], truth: Truth, ranking: Sequence[str]
) -> dict[str, Any]:
    """What predictions.parquet holds of a target: probabilities, or a class without them."""
    if found.probabilities is not None:
        return {"probabilities": found.probabilities}
    return {"prediction": [prediction_row(found, classes, _names(truth), ranking)["prediction"]]}


def _names(truth: Truth) -> Sequence[str]:
    return [truth] if isinstance(truth, str) else truth
