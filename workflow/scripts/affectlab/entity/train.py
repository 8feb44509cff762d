"""Fitting one run of the entity experiment: its stages in turn, then its calibration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from scipy.special import softmax
from transformers import PreTrainedTokenizerBase

from affectlab.assets.checkpoints import weights_digest
from affectlab.config.models import given
from affectlab.entity import decisions
from affectlab.entity import model as networks
from affectlab.entity.data import Data, read_data, targets_of
from affectlab.entity.heads import Heads
from affectlab.entity.methods import Method, method_of, soft_labels
from affectlab.entity.settings import EntityRun, Stage
from affectlab.entity.stages import StageTrainer, encode_records
from affectlab.errors import UserError
from affectlab.files.io import sha256_file
from affectlab.models import text_models
from affectlab.training.job import Job
from affectlab.training.loop import Fitted
from affectlab.training.outputs import Outputs


def train(
    *,
    records_paths: Mapping[str, Path],
    description_paths: Mapping[str, Path],
    base_model: Path,
    start_from: Path | None,
    run: EntityRun,
    subset_seed: int,
    seed: int,
    threads: int,
    outputs: Outputs,
    fold: int | None,
) -> None:
    """Train the stages of a run, calibrate on validation, and store the model.

    A run that was interrupted resumes in the stage it was in. May be called in several processes
    (`training.launch`); the main one writes.

    Args:
        records_paths: name of a data set -> its tidy table.
        description_paths: name of a data set -> what it is.
        base_model: checkpoint directory of the pretrained encoder.
        start_from: model directory of another run of this experiment to start from, or None.
        run: as configured.
        subset_seed: of the order in which stages take entities.
        seed: of initialisation, dropout and data order.
        threads: CPU threads.
        outputs: where the results go; the model as of `model.save_model`.
        fold: of the cross-validation of the run's data; None without one.

    Raises:
        UserError: no records to train on or choose by, data sets or a model to start from with
            other classes, an unusable model, a broken checkpoint.
    """
    job = Job(outputs.work, seed=seed, threads=threads)
    corpora = {
        name: read_data(path, description_paths[name], fold if name == run.data else None)
        for name, path in records_paths.items()
    }
    classes = _common_classes(corpora, run.data)
    method = method_of(run, classes)
    network, tokenizer, origin = _starting_point(base_model, start_from, run, method, job.device)
    if origin is not None and origin.classes != classes:
        raise UserError(
            f"start_from: the model of {run.start_from} has the classes "
            f"{', '.join(origin.classes)}; the data {run.data} have {', '.join(classes)}"
        )
    digests = {name: sha256_file(path) for name, path in records_paths.items()}
    trainer = StageTrainer(
        job=job,
        network=network,
        tokenizer=tokenizer,
        method=method,
        max_length=run.max_length,
        subset_seed=subset_seed,
        identity=[
            *(given(run), subset_seed, digests, weights_digest(start_from or base_model)),
            *([] if fold is None else [fold]),
        ],
    )
    fitted = _train_stages(trainer, run.stages, corpora)

    def save(directory: Path) -> None:
        found = _calibration(trainer, corpora[run.data])
        description = networks.Description(
            method=run.method,
            encoder=run.model,
            max_length=run.max_length,
            heads=method.heads,
            calibration=method.calibration(found, None if origin is None else origin.calibration),
            classes=classes,
        )
        networks.save_model(directory, network, tokenizer, description)

    job.finish(outputs, save, fitted)


def _common_classes(corpora: Mapping[str, Data], scored: str) -> tuple[str, ...]:
    """The classes of the data that a run is scored on, which all its data sets must have."""
    classes = corpora[scored].classes
    for name, data in corpora.items():
        if data.classes != classes:
            raise UserError(
                f"{name} has the classes {', '.join(data.classes)}, and {scored}, which the run is "
                f"scored on, has {', '.join(classes)}: all stages need the same classes"
            )
    return classes


def _starting_point(
    base_model: Path,
    start_from: Path | None,
    run: EntityRun,
    method: Method,
    device: torch.device,
) -> tuple[networks.EmotionEmbedder, PreTrainedTokenizerBase, networks.Description | None]:
    """The network to be trained, its tokenizer, and what is known of the run it comes from."""
    origin = None
    if start_from is None:
        tokenizer = text_models.load_tokenizer(base_model)
        encoder = networks.load_encoder(base_model, device=device, training=True)
        heads = Heads(
            encoder.config.hidden_size, method=run.method, classes=method.classes, **method.heads
        )
        network = networks.EmotionEmbedder(encoder, heads.to(device))
    else:
        network, tokenizer, origin = networks.load_model(start_from, device=device, training=True)
    method.prepare(network)
    return network, tokenizer, origin


def _train_stages(
    trainer: StageTrainer,
    stages: Sequence[Stage],
    corpora: Mapping[str, Data],
) -> Fitted:
    """Train the stages in turn; what is frozen keeps its digits."""
    parameters = dict(trainer.network.named_parameters())
    # In bfloat16 training rounds what it does not train, too.
    frozen = {n: p.detach().clone() for n, p in parameters.items() if not p.requires_grad}
    found = []
    for number, stage in enumerate(stages):
        found.append(trainer.train(number, stage, corpora[stage.data].records))
        for name, values in frozen.items():
            parameters[name].data = values.clone()
    history = joined_history([one.history for one in found])
    return Fitted(history, combined_summary([one.summary for one in found]))


def _calibration(trainer: StageTrainer, data: Data) -> dict[str, Any]:
    """See `decisions.fit_calibration`; on the validation split, in float32."""
    validation = data.of_split("validation")
    rows = encode_records(trainer.tokenizer, validation, trainer.max_length)
    embed = trainer.embedding_in(torch.float32)
    mu, kappa, logits = embed(networks.without_prototypes(trainer.network), rows)
    return decisions.fit_calibration(
        mu=mu.astype("float64"),
        kappa=kappa.astype("float64"),
        probabilities=softmax(logits.astype("float64"), axis=1),
        prototypes=trainer.network.heads.directions().detach().cpu().double().numpy(),
        labels=soft_labels(validation, len(data.classes)).astype("float64"),
        whole_texts=targets_of(validation)[0].start is None,
    )


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


def combined_summary(stages: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The training summaries of all stages, with sums over the run on top."""
    return {
        "steps": sum(stage["steps"] for stage in stages),
        "seconds": sum(stage["seconds"] for stage in stages),
        "best_epoch": stages[-1]["best_epoch"],
        "device": stages[-1]["device"],
        "precision": stages[-1]["precision"],
        "peak_memory_mb": max(stage["peak_memory_mb"] for stage in stages),
        "stages": [dict(stage) for stage in stages],
    }
