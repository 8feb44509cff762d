"""Classes of texts by a language model that is prompted: nothing is trained."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from affectlab.emotion.data import Data
from affectlab.emotion.outside import held_out_labels
from affectlab.emotion.settings import EmotionRun
from affectlab.evaluation.outside import store_predicted
from affectlab.evaluation.outside_splits import predicted_once
from affectlab.models import class_prompting
from affectlab.models.class_prompting import Question, classified, prediction_row, ranked


def classify(
    data: Data,
    recipe: EmotionRun,
    run: str,
    *,
    model_directory: Path | None,
    threads: int,
    work_directory: Path,
    predictions_path: Path,
    record_path: Path,
) -> None:
    """Classify the held-out texts; an endpoint is asked about the test split alone.

    Args:
        data: that hold the texts.
        recipe: of the run.
        run: its name.
        model_directory: checkpoint of the local model; None with an endpoint.
        threads: of the CPU.
        work_directory: holds the answers so far; those of an endpoint stay there.
        predictions_path: predictions.jsonl.
        record_path: outside.json, see `class_prompting.classified`.

    Raises:
        UserError: see `class_prompting.classified`.
    """
    local = recipe.prompt.endpoint is None
    items = predicted_once(held_out_labels(data), folded=data.description.folds is not None)
    if not local:
        items = {"test": items["test"]}
    labels = {name: label for own in items.values() for name, label in own.items()}
    asked = [record for record in data.records if record.id in labels]
    found, about = classified(
        [Question(record.text) for record in asked],
        data.classes,
        recipe.prompt,
        language=data.description.language,
        model_directory=model_directory,
        model_name=recipe.model,
        work_directory=work_directory,
        threads=threads,
        path=f"emotion.runs.{run}.prompt",
    )
    known = data.of_split("train") if data.description.folds is None else data.records
    counts = Counter(record.label for record in known)
    ranking = ranked({name: counts[name] for name in data.classes})
    predicted = {
        record.id: prediction_row(one, data.classes, [record.label], ranking)
        for record, one in zip(asked, found, strict=True)
    }
    store_predicted(
        "prompt",
        items,
        predicted,
        about,
        predictions_path=predictions_path,
        record_path=record_path,
    )
    if local:
        class_prompting.remove_answers(work_directory)
