"""Fitting one run of the entity experiment: its stages in turn, then its calibration."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from affectlab.assets.checkpoints import weights_digest
from affectlab.entity.corrupt import corrupted_copies
from affectlab.entity.data import Record, of_split, read_records, stage_subset, targets_of
from affectlab.entity.labels import CLASSES, normalised
from affectlab.errors import DataError, UserError
from affectlab.evaluation.records import origin_record
from affectlab.files.integrity import check_file
from affectlab.files.io import read_json, sha256_file, write_json

if TYPE_CHECKING:
    import numpy as np
    import torch

    from affectlab.entity.model import EmotionEmbedder, Row

logger = logging.getLogger(__name__)

EVALUATION_BATCH = 64


def train(
    *,
    records_paths: Mapping[str, Path],
    base_model: Path,
    start_from: Path | None,
    run: Mapping[str, Any],
    subset_seed: int,
    seed: int,
    threads: int,
    model_directory: Path,
    history_path: Path,
    facts_path: Path,
    work_directory: Path,
) -> None:
    """Train the stages of a run, calibrate on validation, and store the model.

    A run that was interrupted goes on in the stage it was in. May be called in several processes
    (`training.launch`); the main one writes.

    Args:
        records_paths: name of a data set -> its tidy table.
        base_model: checkpoint directory of the pretrained encoder.
        start_from: model directory of another run of this experiment to start from, or None.
        run: the run's block of the configuration.
        subset_seed: of the order in which stages take entities.
        seed: of initialisation, dropout and data order.
        threads: CPU threads.
        model_directory: written at the end; see `model.save_model`.
        history_path: CSV with losses and validation scores over all stages.
        facts_path: JSON with durations, memory, device: what may differ between equal runs.
        work_directory: checkpoints and TensorBoard events; checkpoints go when all is stored.

    Raises:
        UserError: no records to train on or choose by, an unusable model, a broken checkpoint.
    """
    from accelerate import PartialState

    from affectlab.entity import model as networks
    from affectlab.models import devices, text_models
    from affectlab.training import checkpoints
    from affectlab.training.history import write_history

    devices.set_threads(threads)
    device = devices.choose_device()
    devices.seed_everything(seed)
    heads_settings = (
        {key: run["vmf"][key] for key in ("kappa_min", "kappa_start")}
        if run["method"] == "vmf"
        else {}
    )
    if start_from is None:
        tokenizer = text_models.load_tokenizer(base_model)
        encoder = networks.load_encoder(base_model, device=device, training=True)
        heads = networks.Heads(encoder.config.hidden_size, method=run["method"], **heads_settings)
        network = networks.EmotionEmbedder(encoder, heads.to(device))
        origin = None
    else:
        network, tokenizer, origin = networks.load_model(start_from, device=device, training=True)
        if run["method"] == "vmf":
            network.heads.kappa_min = run["vmf"]["kappa_min"]
    adapter = run["vmf"]["span_adapter"] if run["method"] == "vmf" else None
    if adapter is not None:
        heads_settings["adapter"] = network.add_adapter(**adapter)
    # In bfloat16 training rounds what it does not train, too.
    frozen = {
        name: parameter.detach().clone()
        for name, parameter in network.named_parameters()
        if not parameter.requires_grad
    }
    corpora = {name: read_records(path) for name, path in records_paths.items()}
    owner = [
        run,
        subset_seed,
        seed,
        {name: sha256_file(path) for name, path in records_paths.items()},
        weights_digest(start_from or base_model),
    ]
    results = []
    for number, stage in enumerate(run["stages"]):
        results.append(
            _stage(
                network,
                number=number,
                stage=stage,
                records=corpora[stage["data"]],
                tokenizer=tokenizer,
                run=run,
                subset_seed=subset_seed,
                seed=seed,
                device=device,
                directory=work_directory,
                owner=checkpoints.fingerprint(number, *owner),
            )
        )
        for name, parameter in network.named_parameters():
            if name in frozen:
                parameter.data = frozen[name].clone()
    if not PartialState().is_main_process:
        return
    calibration = _calibration(network, tokenizer, corpora[run["data"]], run, device)
    # Whole texts are what they were before an adapter came.
    texts = calibration
    if adapter is not None and origin is not None and origin.calibration is not None:
        texts = origin.calibration["texts"]
    description = networks.Description(
        method=run["method"],
        encoder=run["model"],
        max_length=run["max_length"],
        heads=heads_settings,
        # A span gets its likeliest class alone, whatever was found for whole texts.
        calibration={"texts": texts, "spans": {**calibration, "thresholds": None}},
    )
    networks.save_model(model_directory, network, tokenizer, description)
    write_history(history_path, joined_history([result.pop("history") for result in results]))
    write_json(facts_path, {**combined_facts(results), **origin_record()}, sealed=True)
    checkpoints.remove_checkpoints(work_directory / "checkpoints")


def _stage(
    network: EmotionEmbedder,
    *,
    number: int,
    stage: Mapping[str, Any],
    records: Sequence[Record],
    tokenizer: Any,
    run: Mapping[str, Any],
    subset_seed: int,
    seed: int,
    device: torch.device,
    directory: Path,
    owner: str,
) -> dict[str, Any]:
    """Train one stage, or load what it came to before an interruption; return `fit`'s facts."""
    import numpy as np
    import torch
    from accelerate import PartialState
    from safetensors.torch import save_file

    from affectlab.entity import losses, stored_states
    from affectlab.entity import model as networks
    from affectlab.files.io import sealed_path
    from affectlab.models import devices
    from affectlab.training import distributed, loop

    weights_path = directory / "checkpoints" / f"stage{number}.safetensors"
    facts_path = directory / "checkpoints" / f"stage{number}.json"
    finished = _finished_stage(network, facts_path, weights_path, owner)
    if finished is not None:
        logger.info("stage %d was finished before", number + 1)
        return finished
    train = stage_subset(of_split(records, "train"), stage["entities"], subset_seed)
    validation = of_split(records, "validation")
    for split, members in (("train", train), ("validation", validation)):
        if not members:
            raise UserError(f"stage {number + 1}, data {stage['data']}: no texts to {split} on")
    recipe = loop.Recipe(**stage["training"])
    published = run["method"] == "gbert"
    whole_texts = published and run["gbert"]["train_on"] == "sentence"
    scale_labels = not published or run["gbert"]["normalise_labels"]
    train_labels = soft_labels(train, scaled=scale_labels)
    if not published:
        copies = corrupted_copies(train, run["vmf"]["corrupted_share"], subset_seed)
        copied = softened(soft_labels(copies), run["vmf"]["corrupted_softening"])
        train, train_labels = train + copies, np.concatenate([train_labels, copied])
    rows = encode_records(tokenizer, train, run["max_length"])
    held_out = encode_records(tokenizer, validation, run["max_length"])
    network.encoder.get_input_embeddings().sparse = recipe.sparse_embeddings
    if recipe.gradient_checkpointing:
        network.encoder.activation_checkpointing_enable({"use_reentrant": False})
    item_loss = training_loss = losses.loss_of(run["method"], run[run["method"]])
    if not published and run["vmf"]["class_weight_cap"] is not None:
        weights = losses.class_weights(
            torch.from_numpy(train_labels), run["vmf"]["class_weight_cap"]
        )
        training_loss = losses.weighted(item_loss, weights)
    if not published and run["vmf"]["weights"]["contrast"] > 0:
        distributed.warn_of_shares("contrast")
    validation_labels = soft_labels(validation, scaled=scale_labels)

    def loss_sum(module: torch.nn.Module, batch: loop.Batch) -> torch.Tensor:
        return training_loss(module(batch), batch["labels"]).sum()

    logger.info(
        "stage %d: %d texts and %d targets of %s, %d to validate on",
        *(number + 1, len(train), len(targets_of(train)), stage["data"]),
        len(targets_of(validation)),
    )
    how = {
        "pad_id": tokenizer.pad_token_id,
        "batch_size": EVALUATION_BATCH,
        "dtype": devices.compute_dtype(recipe.precision, device),
        "device": device,
    }
    trained: torch.nn.Module = network
    started = time.monotonic()
    answers: Callable[[Any], list[np.ndarray]]
    if stored_states.fit_in_memory(network, rows):
        logger.info("the encoder is frozen: it is asked about every text once")
        trained = stored_states.AdapterOnStates(network.heads)
        states = stored_states.compute(network, rows, **how)
        collate = stored_states.collator(states, rows, train_labels)
        held_out_states = stored_states.compute(network, held_out, **how)
        answers = partial(stored_states.answers, held_out_states, device=device)
    else:
        collate = networks.collator(
            rows, train_labels, pad_id=tokenizer.pad_token_id, whole_texts=whole_texts
        )
        answers = partial(_answers, rows=held_out, whole_texts=whole_texts, **how)

    preparing = time.monotonic() - started
    devices.seed_everything(seed)
    result = loop.fit(
        trained,
        recipe=recipe,
        lengths=[len(row.token_ids) for row in rows],
        collate=collate,
        loss_sum=loss_sum,
        evaluate=_evaluator(answers, validation_labels, item_loss if published else None),
        select_by="negative_loss",
        head=networks.HEAD_NAMES,
        item_weights=[len(row.spans) for row in rows],
        seed=seed,
        device=device,
        checkpoint_directory=directory / "checkpoints" / f"stage{number}",
        checkpoint_fingerprint=owner,
        tensorboard_directory=directory / "tensorboard" / f"stage{number}",
    )
    result["seconds"] += preparing
    for row in result["history"]:
        row["stage"] = number + 1
        if published and row["split"] == "train":
            # The original's log shows the loss times the accumulated batches.
            row["logged_loss"] = row["loss"] * recipe.gradient_accumulation
    if PartialState().is_main_process:
        with sealed_path(weights_path) as temporary:
            state = network.state_dict()
            save_file({name: value.contiguous() for name, value in state.items()}, temporary)
        write_json(facts_path, {"owner": owner, "result": result}, sealed=True)
    return result


def _finished_stage(
    network: torch.nn.Module, facts_path: Path, weights_path: Path, owner: str
) -> dict[str, Any] | None:
    """Load the weights of a stage that was finished before an interruption.

    Args:
        network: is given the weights, and is in eval mode then.
        facts_path: JSON with the owner and the result of the stage.
        weights_path: its weights.
        owner: fingerprint of the stage; what belongs to another is not used.

    Returns:
        The result of the stage. None if the stage must be trained: it was not finished, it is
        another, or a file is corrupt.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not facts_path.exists():
        return None
    try:
        stored = read_json(facts_path)
        if stored["owner"] != owner:
            return None
        result = dict(stored["result"])
        check_file(weights_path)
        weights = load_file(weights_path)
    except (OSError, KeyError, TypeError, ValueError, SafetensorError, DataError) as error:
        logger.warning("%s: the stage is trained again: %s", facts_path, error)
        return None
    network.load_state_dict(weights)
    # As `fit` leaves it: with dropout, the calibration would be another one.
    network.eval()
    return result


def encode_records(tokenizer: Any, records: Sequence[Record], max_length: int) -> list[Row]:
    """Rows of all targets of the records, numbered in the order of `data.targets_of`."""
    from affectlab.entity.model import encode

    rows, cut = encode(
        tokenizer,
        [record.text for record in records],
        [[target.span for target in record.targets] for record in records],
        max_length=max_length,
        names=[f"target {target.id}" for target in targets_of(records)],
    )
    if cut:
        logger.warning(
            "%d whole texts are longer than %d tokens and were cut", len(cut), max_length
        )
    return rows


def soft_labels(records: Sequence[Record], *, scaled: bool = True) -> np.ndarray:
    """Labels of all targets, float32 (n, 28), *scaled* to a sum of 1 or as they stand."""
    import numpy as np

    labels = [target.label for target in targets_of(records)]
    found = [normalised(label) if scaled else label for label in labels]
    return np.array(found, dtype=np.float32).reshape(-1, len(CLASSES))


def softened(labels: np.ndarray, softening: float) -> np.ndarray:
    """Labels (n, 28) moved by *softening*, 0 to 1, towards the uniform distribution.

    For targets in a corrupted text, whose label is less certain: Soft Augmentation (Liu et al.,
    CVPR 2023, arXiv 2211.04625). Towards the class priors it would hardly be less sure where one
    class has most of them, as with spans, seven of eight of which are neutral.
    """
    return (1 - softening) * labels + softening / labels.shape[1]


def validation_scores(
    kappa: np.ndarray, logits: np.ndarray, labels: np.ndarray
) -> dict[str, float]:
    """Log-loss of the side head (nats), its accuracy, and the mean concentration."""
    from scipy.special import log_softmax

    log_probabilities = log_softmax(logits.astype("float64"), axis=1)
    shares = labels / labels.sum(axis=1, keepdims=True)
    loss = float(-(shares * log_probabilities).sum(axis=1).mean())
    return {
        "loss": loss,
        "negative_loss": -loss,
        "accuracy": float((logits.argmax(axis=1) == labels.argmax(axis=1)).mean()),
        "kappa": float(kappa.mean()),
    }


def _answers(network: EmotionEmbedder, rows: Sequence[Row], **how: Any) -> list[np.ndarray]:
    """Mu, kappa and logits of all targets; *how* goes to `embed_rows`."""
    from affectlab.entity.model import embed_rows, without_prototypes

    return embed_rows(without_prototypes(network), rows, **how)


def _evaluator(
    answers: Callable[[Any], list[np.ndarray]],
    labels: np.ndarray,
    item_loss: Callable[..., torch.Tensor] | None,
) -> Callable[[Any], dict[str, float]]:
    """Validation scores of a network; with *item_loss* the loss is that, else the log-loss.

    *answers* gives mu, kappa and logits of the validation targets by a network.

    The contrastive part of the corrected loss depends on what else is in a batch and says
    nothing of one item, so the log-loss chooses the weights there.
    """
    import torch

    from affectlab.entity import model as networks

    def evaluate(network: Any) -> dict[str, float]:
        mu, kappa, logits = answers(network)
        scores = validation_scores(kappa, logits, labels)
        if item_loss is not None:
            found = networks.Embedding(
                torch.from_numpy(mu),
                torch.from_numpy(kappa),
                torch.from_numpy(logits),
                network.heads.directions().cpu(),
            )
            loss = float(item_loss(found, torch.from_numpy(labels)).mean())
            scores |= {"loss": loss, "negative_loss": -loss}
        return scores

    return evaluate


def _calibration(
    network: EmotionEmbedder,
    tokenizer: Any,
    records: Sequence[Record],
    run: Mapping[str, Any],
    device: torch.device,
) -> dict[str, Any]:
    """See `decisions.fit_calibration`; on the validation split, in float32."""
    import torch
    from scipy.special import softmax

    from affectlab.entity import decisions

    validation = of_split(records, "validation")
    mu, kappa, logits = _answers(
        network,
        encode_records(tokenizer, validation, run["max_length"]),
        pad_id=tokenizer.pad_token_id,
        batch_size=EVALUATION_BATCH,
        dtype=torch.float32,
        device=device,
    )
    calibration = decisions.fit_calibration(
        mu=mu.astype("float64"),
        kappa=kappa.astype("float64"),
        probabilities=softmax(logits.astype("float64"), axis=1),
        prototypes=network.heads.directions().detach().cpu().double().numpy(),
        labels=soft_labels(validation).astype("float64"),
        whole_texts=targets_of(validation)[0].start is None,
    )
    if run["method"] == "gbert":
        # The published model's concentration is used as it comes.
        calibration["kappa"] = None
    return calibration


def joined_history(stages: Sequence[Sequence[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """The histories of all stages as one, with steps and epochs counted on."""
    joined: list[dict[str, Any]] = []
    steps, epochs = 0, 0.0
    for rows in stages:
        joined += [
            {**row, "step": steps + row["step"], "epoch": epochs + row["epoch"]} for row in rows
        ]
        if joined:
            steps, epochs = joined[-1]["step"], joined[-1]["epoch"]
    return joined


def combined_facts(stages: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The facts of all stages, with sums over the run on top."""
    return {
        "steps": sum(stage["steps"] for stage in stages),
        "seconds": sum(stage["seconds"] for stage in stages),
        "best_epoch": stages[-1]["best_epoch"],
        "device": stages[-1]["device"],
        "precision": stages[-1]["precision"],
        "peak_memory_mb": max(stage["peak_memory_mb"] for stage in stages),
        "stages": [dict(stage) for stage in stages],
    }
