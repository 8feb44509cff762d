"""Fitting a network of the emotion experiment: full fine-tuning or LoRA."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from affectlab.assets.checkpoints import weights_digest
from affectlab.config.models import given
from affectlab.emotion.data import Item, needed
from affectlab.emotion.objectives import Objective, objective_of
from affectlab.emotion.readers import read_any
from affectlab.emotion.settings import EmotionRun
from affectlab.errors import UserError
from affectlab.files.io import sealed_path, sha256_file

if TYPE_CHECKING:
    from torch import nn

    from affectlab.training.job import Job
    from affectlab.training.outputs import Outputs

logger = logging.getLogger(__name__)

EVALUATION_BATCH = 64


def train_network(
    *,
    records_path: Path,
    description_path: Path,
    base_model: Path,
    run: EmotionRun,
    seed: int,
    threads: int,
    outputs: Outputs,
    fold: int | None = None,
) -> None:
    """Fine-tune a pretrained network on the train split, choosing weights on validation.

    Networks for one class are chosen by accuracy, those for several classes by macro-F1 at
    thresholds of their own, and those for numbers by concordance.

    May be called in several processes (`training.launch`); the main one writes.

    Args:
        records_path: the tidy table of records.
        description_path: description.json beside it.
        base_model: checkpoint directory of the pretrained model.
        run: as configured, its method ``full`` or ``lora``.
        seed: seed of initialisation, dropout and data order.
        threads: CPU threads.
        outputs: where the results go; the model is checkpoint, tokenizer and, for LoRA, adapter.
        fold: of the cross-validation, which is left out; None: the split of the records.

    Raises:
        UserError: no records to train on or choose by, an unusable model, a ``max_length``
            beyond the model's, a broken checkpoint.
    """
    from affectlab.emotion import model as networks
    from affectlab.training.job import Job
    from affectlab.training.loop import Task

    data = read_any(records_path, description_path, fold)
    by_split = needed(data, records_path)
    objective = objective_of(data, run.training.label_smoothing)
    job = Job(outputs.work, seed=seed, threads=threads)
    tokenizer = _tokenizer(base_model, run.max_length)
    network = _network(base_model, tokenizer, objective, run, job)
    ids = _encoded(tokenizer, by_split)
    pad_id, pad_to = tokenizer.pad_token_id, None
    if run.padding == "max_length":
        pad_to = run.max_length
    logger.info(
        "%s, method %s: %d trainable parameters, %s, %d texts",
        *(type(network).__name__, run.method),
        sum(p.numel() for p in network.parameters() if p.requires_grad),
        *(job.dtype(run.training), len(by_split["train"])),
    )
    task = Task(
        lengths=[pad_to or len(one) for one in ids["train"]],
        collate=networks.collator(ids["train"], objective.targets, pad_id=pad_id, pad_to=pad_to),
        loss_sum=objective.loss_sum,
        evaluate=_evaluator(
            ids["validation"], objective, pad_id, job.dtype(run.training), job.device
        ),
        select_by=objective.select_by,
        head=networks.HEAD_NAMES,
    )
    inputs = [sha256_file(records_path), weights_digest(base_model)]
    part = [] if fold is None else [fold]
    fitted = job.fit(network, task, run.training, identity=[given(run), *inputs, *part])
    store = _store_lora if run.method == "lora" else _store_network
    job.finish(outputs, partial(store, network, tokenizer, base_model, objective), fitted)


def _tokenizer(base_model: Path, max_length: int) -> Any:
    from affectlab.models import text_models

    tokenizer = text_models.load_tokenizer(base_model)
    if max_length > tokenizer.model_max_length:
        raise UserError(
            f"max_length is {max_length}, but the model takes at most "
            f"{tokenizer.model_max_length} tokens"
        )
    # Stored with the model: whoever asks it later cuts texts where training did.
    tokenizer.model_max_length = max_length
    return tokenizer


def _network(
    base_model: Path, tokenizer: Any, objective: Objective, run: EmotionRun, job: Job
) -> nn.Module:
    """Load the pretrained network and prepare it for the run's method."""
    import torch

    from affectlab.emotion import model as networks
    from affectlab.models import text_models
    from affectlab.models.sparse_embeddings import use_sparse_embeddings

    is_lora = run.method == "lora"
    network: nn.Module = networks.load_network(
        base_model,
        tokenizer,
        objective.outputs,
        settings=objective.settings,
        dtype=job.dtype(run.training) if is_lora else torch.float32,
        device=job.device,
        training=True,
    )
    if run.training.gradient_checkpointing:
        network.activation_checkpointing_enable({"use_reentrant": False})
    if is_lora:
        network = text_models.add_lora(network, run.lora, task="SEQ_CLS")
    elif run.training.sparse_embeddings:
        use_sparse_embeddings(network)
    return network


def _encoded(tokenizer: Any, by_split: Mapping[str, Sequence[Item]]) -> dict[str, list[list[int]]]:
    """Token ids of the texts of each split; warn of those that are cut."""
    from affectlab.emotion import model as networks

    longest = tokenizer.model_max_length
    texts = {split: [record.text for record in members] for split, members in by_split.items()}
    ids = {split: networks.encode(tokenizer, texts[split], max_length=longest) for split in texts}
    for split in texts:
        if cut := networks.cut_texts(tokenizer, texts[split], ids[split], max_length=longest):
            logger.warning(
                "%d of %d %s texts are longer than max_length (%d tokens): their ends are not read",
                *(len(cut), len(texts[split]), split, longest),
            )
    return ids


def _evaluator(
    token_ids: list[list[int]], objective: Objective, pad_id: int, dtype: Any, device: Any
) -> Callable[[nn.Module], dict[str, float]]:
    from affectlab.emotion.model import predict_logits

    def evaluate(network: nn.Module) -> dict[str, float]:
        outputs = predict_logits(
            network,
            token_ids,
            pad_id=pad_id,
            batch_size=EVALUATION_BATCH,
            dtype=dtype,
            device=device,
        )
        return objective.scores(outputs)

    return evaluate


def _store_network(
    network: Any, tokenizer: Any, base_model: Path, objective: Objective, directory: Path
) -> None:
    """Write checkpoint and tokenizer."""
    with sealed_path(directory) as temporary:
        network.save_pretrained(temporary)
        tokenizer.save_pretrained(temporary)
        objective.complete(temporary)


def _store_lora(
    network: Any, tokenizer: Any, base_model: Path, objective: Objective, directory: Path
) -> None:
    """Write the merged checkpoint, the tokenizer, and the adapter by itself."""
    from affectlab.emotion.model import ADAPTER_FOLDER, merge_lora
    from affectlab.models.text_models import save_adapter

    with sealed_path(directory) as temporary:
        adapter = temporary / ADAPTER_FOLDER
        save_adapter(network, adapter)
        merge_lora(
            base_model, adapter, tokenizer, objective.outputs, settings=objective.settings
        ).save_pretrained(temporary)
        tokenizer.save_pretrained(temporary)
        objective.complete(temporary)
