"""Fitting one run of the emotion experiment: full fine-tuning, LoRA, or TF-IDF."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from affectlab.assets.checkpoints import weights_digest
from affectlab.emotion.data import CLASSES, Record, read_records
from affectlab.errors import UserError
from affectlab.evaluation.records import origin_record
from affectlab.files.io import sealed_path, sha256_file, write_json

if TYPE_CHECKING:
    import numpy as np
    from torch import nn

logger = logging.getLogger(__name__)

EVALUATION_BATCH = 64


def train_network(
    *,
    records_path: Path,
    base_model: Path,
    run: Mapping[str, Any],
    seed: int,
    threads: int,
    model_directory: Path,
    history_path: Path,
    facts_path: Path,
    work_directory: Path,
) -> None:
    """Fine-tune a pretrained network on the train split, choosing weights by validation accuracy.

    May be called in several processes (`training.launch`); the main one writes.

    Args:
        records_path: the tidy table of records.
        base_model: checkpoint directory of the pretrained model.
        run: the run's block of the configuration (``method`` ``full`` or ``lora``).
        seed: seed of initialisation, dropout and data order.
        threads: CPU threads.
        model_directory: written at the end: checkpoint, tokenizer and, for LoRA, the adapter.
        history_path: CSV with losses and validation scores over the run.
        facts_path: JSON with durations, memory, device: what may differ between equal runs.
        work_directory: checkpoints and TensorBoard events; checkpoints go when all is stored.

    Raises:
        UserError: no records to train on or choose by, an unusable model, a ``max_length``
            beyond the model's, a broken checkpoint.
    """
    import torch
    from accelerate import PartialState

    from affectlab.emotion import model as networks
    from affectlab.models import devices, text_models
    from affectlab.models.sparse_embeddings import use_sparse_embeddings
    from affectlab.training import checkpoints, loop
    from affectlab.training.history import write_history

    by_split = _records_by_split(records_path)
    devices.set_threads(threads)
    device = devices.choose_device()
    recipe = loop.Recipe(**run["training"])
    dtype = devices.compute_dtype(recipe.precision, device)
    devices.seed_everything(seed)
    tokenizer = text_models.load_tokenizer(base_model)
    if run["max_length"] > tokenizer.model_max_length:
        raise UserError(
            f"max_length is {run['max_length']}, but the model takes at most "
            f"{tokenizer.model_max_length} tokens"
        )
    # Stored with the model: whoever asks it later cuts texts where training did.
    tokenizer.model_max_length = run["max_length"]
    is_lora = run["method"] == "lora"
    network: nn.Module = networks.load_network(
        base_model,
        tokenizer,
        dtype=dtype if is_lora else torch.float32,
        device=device,
        training=True,
    )
    if recipe.gradient_checkpointing:
        network.activation_checkpointing_enable({"use_reentrant": False})
    if is_lora:
        network = text_models.add_lora(network, run["lora"], task="SEQ_CLS")
    elif recipe.sparse_embeddings:
        use_sparse_embeddings(network)
    token_ids = {
        split: networks.encode(tokenizer, [r.text for r in members], max_length=run["max_length"])
        for split, members in by_split.items()
    }
    for split, members in by_split.items():
        cut = networks.cut_texts(
            tokenizer,
            [record.text for record in members],
            token_ids[split],
            max_length=run["max_length"],
        )
        if cut:
            logger.warning(
                "%d of %d %s texts are longer than max_length (%d tokens): their ends are not read",
                len(cut),
                len(members),
                split,
                run["max_length"],
            )
    labels = {split: labels_of(members) for split, members in by_split.items()}
    pad_to = run["max_length"] if run["padding"] == "max_length" else None
    logger.info(
        "%s, method %s: %d trainable parameters, %s, %d texts",
        type(network).__name__,
        run["method"],
        sum(p.numel() for p in network.parameters() if p.requires_grad),
        dtype,
        len(by_split["train"]),
    )
    result = loop.fit(
        network,
        recipe=recipe,
        lengths=[pad_to or len(ids) for ids in token_ids["train"]],
        collate=networks.collator(
            token_ids["train"], labels["train"], pad_id=tokenizer.pad_token_id, pad_to=pad_to
        ),
        loss_sum=networks.cross_entropy_sum(recipe.label_smoothing),
        evaluate=_evaluator(
            token_ids["validation"], labels["validation"], tokenizer.pad_token_id, dtype, device
        ),
        select_by="accuracy",
        head=networks.HEAD_NAMES,
        seed=seed,
        device=device,
        checkpoint_directory=work_directory / "checkpoints",
        checkpoint_fingerprint=checkpoints.fingerprint(
            run, seed, sha256_file(records_path), weights_digest(base_model)
        ),
        tensorboard_directory=work_directory / "tensorboard",
    )
    if not PartialState().is_main_process:
        return
    _store(network, tokenizer, base_model, model_directory, is_lora=is_lora)
    write_history(history_path, result.pop("history"))
    write_json(facts_path, {**result, **origin_record()}, sealed=True)
    checkpoints.remove_checkpoints(work_directory / "checkpoints")


def train_tfidf(
    *,
    records_path: Path,
    run: Mapping[str, Any],
    seed: int,
    model_directory: Path,
    history_path: Path,
    facts_path: Path,
) -> None:
    """Fit TF-IDF and logistic regression on the train split; arguments as in `train_network`."""
    import time

    import numpy as np

    from affectlab.emotion import tfidf
    from affectlab.training.history import write_history

    by_split = _records_by_split(records_path)
    started = time.monotonic()
    pipeline = tfidf.fit(
        tfidf.build_pipeline(run["tfidf"], seed),
        [record.text for record in by_split["train"]],
        [record.label for record in by_split["train"]],
    )
    columns = [list(pipeline.classes_).index(name) for name in CLASSES]
    history = []
    for split, members in by_split.items():
        probabilities = pipeline.predict_proba([record.text for record in members])[:, columns]
        scores = validation_scores(np.log(probabilities), labels_of(members))
        history.append({"step": 1, "epoch": 1.0, "split": split, **scores})
    seconds = time.monotonic() - started
    tfidf.save(pipeline, model_directory)
    write_history(history_path, history)
    facts = {"seconds": seconds, "device": "cpu", "steps": 1, "best_epoch": 1.0}
    write_json(facts_path, {**facts, **origin_record()}, sealed=True)


def _records_by_split(records_path: Path) -> dict[str, list[Record]]:
    records = list(read_records(records_path))
    by_split = {
        split: [record for record in records if record.split == split]
        for split in ("train", "validation")
    }
    for split, members in by_split.items():
        if not members:
            raise UserError(f"{records_path}: no records in the {split} split")
    return by_split


def labels_of(records: Sequence[Record]) -> np.ndarray:
    """Class ids, int64 (n,)."""
    import numpy as np

    return np.array([CLASSES.index(record.label) for record in records], dtype=np.int64)


def validation_scores(logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Loss (mean cross-entropy, nats), accuracy and macro-F1 of logits (n, classes)."""
    import numpy as np
    from scipy.special import log_softmax

    from affectlab.evaluation.stats import accuracy, confusion_matrix, macro_f1

    confusion = confusion_matrix(labels, logits.argmax(axis=1), len(CLASSES))
    log_probabilities = log_softmax(logits.astype(np.float64), axis=1)
    return {
        "loss": float(-log_probabilities[np.arange(len(labels)), labels].mean()),
        "accuracy": float(accuracy(confusion)),
        "macro_f1": float(macro_f1(confusion)),
    }


def _evaluator(
    token_ids: list[list[int]], labels: np.ndarray, pad_id: int, dtype: Any, device: Any
) -> Callable[[nn.Module], dict[str, float]]:
    from affectlab.emotion.model import predict_logits

    def evaluate(network: nn.Module) -> dict[str, float]:
        logits = predict_logits(
            network,
            token_ids,
            pad_id=pad_id,
            batch_size=EVALUATION_BATCH,
            dtype=dtype,
            device=device,
        )
        return validation_scores(logits, labels)

    return evaluate


def _store(
    network: nn.Module, tokenizer: Any, base_model: Path, model_directory: Path, *, is_lora: bool
) -> None:
    """Write checkpoint and tokenizer; a LoRA is merged, its adapter kept beside it."""
    from affectlab.emotion.model import ADAPTER_FOLDER, merge_lora
    from affectlab.models.text_models import save_adapter

    with sealed_path(model_directory) as temporary:
        if is_lora:
            adapter = temporary / ADAPTER_FOLDER
            save_adapter(network, adapter)
            merge_lora(base_model, adapter, tokenizer).save_pretrained(temporary)
        else:
            network.save_pretrained(temporary)
        tokenizer.save_pretrained(temporary)
