"""Spans per second of the entity experiment against one encoder pass per span.

The peer works as the original project does: every span is an item of its own, padded to 128 tokens,
16 to a training batch and one at a time to a prediction, in float32. Ours pools all spans of a text
from one pass, batches texts of like length, and multiplies matrices in bfloat16 where that gains
(`precision: auto`); for prediction in float32 too, with how far the answers are apart.
With an adapter both sides train the adapter alone. Ours runs the encoder once for all epochs, the
peer runs it in each; one epoch of the peer is timed.
Also: what the von Mises-Fisher term costs of a training step, and how long an exact search takes.

    python benchmarks/entity_throughput.py RECORDS MODEL [--texts 200] [--every-span] [--rounds 2]
        [--threads 2]

RECORDS is `results/entity/data/<data>/records.jsonl`, MODEL the model directory of a run. With
--every-span each text gets all persons and things that `weak_spans` finds in it, besides its own
spans. The corpus has one or two spans a text.
Figures are of this machine; run it with nothing else at work. Some seconds of one thread are enough
for --texts 12 --rounds 1 --threads 1 --searched 100000, to see that it works.
"""

import argparse
import dataclasses
import statistics
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow" / "scripts"))

from affectlab.config.models import Training
from affectlab.entity import encoding, losses, stored_states, vmf
from affectlab.entity import model as networks
from affectlab.entity.data import Record, Target, of_split, read_records, targets_of
from affectlab.entity.embeddings import largest
from affectlab.entity.labels import CLASSES, NEUTRAL
from affectlab.entity.methods import soft_labels
from affectlab.entity.predict import GbertPredictor
from affectlab.entity.queries import EntityEmotion, Query
from affectlab.entity.settings import Vmf
from affectlab.entity.stages import EVALUATION_BATCH, encode_records
from affectlab.entity.weak_spans import weak_spans
from affectlab.models import devices
from affectlab.training import loop

PADDED = 128
BATCH = 16
ADAPTER_EPOCHS = 8
"""Of the shipped recipe."""

STEP_SPANS = 40
"""About as many as a batch of the shipped recipe holds."""

CPU = torch.device("cpu")


def recipe(precision: str, epochs: int) -> Training:
    """Training as in the shipped configuration."""
    return Training(
        epochs=epochs,
        batch_size=32,
        learning_rate=5e-5,
        head_learning_rate=1e-3,
        weight_decay=0.01,
        warmup_steps=0.1,
        schedule="linear",
        gradient_accumulation=1,
        max_grad_norm=1.0,
        label_smoothing=0.0,
        precision=precision,
        token_budget=800,
        early_stopping_patience=None,
        gradient_checkpointing=False,
        evaluations_per_epoch=1,
        checkpoint_minutes=60,
        sparse_embeddings=True,
        ema_decay=None,
    )


def with_every_span(record: Record) -> Record:
    """The record with a target for each span that `weak_spans` finds besides its own, neutral."""
    neutral = tuple(float(place == NEUTRAL) for place in range(len(CLASSES)))
    known = [target.span for target in record.targets if target.span is not None]
    more = [
        Target(f"{record.id}-{start}", start, end, neutral, 1.0)
        for start, end, _ in weak_spans(record.text, neutral)
        if all(end <= left or right <= start for left, right in known)
    ]
    return dataclasses.replace(record, targets=(*record.targets, *more))


def load_for_training(model: Path) -> tuple[networks.EmotionEmbedder, Any]:
    """Network and tokenizer; with an adapter, all else is frozen."""
    network, tokenizer, _ = networks.load_model(model, device=CPU, training=True)
    if network.heads.adapter is not None:
        network.requires_grad_(False)
        network.heads.adapter.requires_grad_(True)
    return network, tokenizer


def train_ours(model: Path, records: list[Record], seed: int) -> float:
    """Spans per second of `training.loop`, an epoch; of an adapter, all epochs of its recipe."""
    network, tokenizer = load_for_training(model)
    network.encoder.get_input_embeddings().sparse = True
    rows = encode_records(tokenizer, records, PADDED)
    loss = losses.corrected_loss(Vmf())
    trained: torch.nn.Module = network
    collate = encoding.collator(rows, soft_labels(records), pad_id=tokenizer.pad_token_id)
    epochs = 1
    started = time.perf_counter()
    if stored_states.fit_in_memory(network, rows):
        epochs = ADAPTER_EPOCHS
        trained = stored_states.AdapterOnStates(network.heads)
        embed = partial(
            networks.embed_rows,
            pad_id=tokenizer.pad_token_id,
            batch_size=EVALUATION_BATCH,
            dtype=devices.compute_dtype("auto", CPU),
            device=CPU,
        )
        states = stored_states.compute(network, rows, embed)
        collate = stored_states.collator(states, rows, soft_labels(records))
    preparing = time.perf_counter() - started
    with tempfile.TemporaryDirectory() as folder:
        found = loop.fit(
            trained,
            loop.Task(
                lengths=[len(row.token_ids) for row in rows],
                collate=collate,
                loss_sum=lambda module, batch: loss(module(batch), batch["labels"]).sum(),
                evaluate=lambda _: {"loss": 0.0},
                select_by=None,
                head=networks.HEAD_NAMES,
                item_weights=[len(row.spans) for row in rows],
            ),
            recipe("auto", epochs),
            seed=seed,
            device=CPU,
            checkpoint_directory=Path(folder),
            checkpoint_fingerprint="",
        )
    return epochs * len(targets_of(records)) / (preparing + found.summary["seconds"])


def train_one_pass_per_span(model: Path, records: list[Record], seed: int) -> float:
    """Spans per second where each span is an item padded to 128 tokens."""
    network, tokenizer = load_for_training(model)
    network.shortened = False
    items = [
        (record.text, target.span, target.label) for record in records for target in record.targets
    ]
    rows, _ = encoding.encode(
        tokenizer,
        [text for text, _, _ in items],
        [[span] for _, span, _ in items],
        max_length=PADDED,
    )
    labels = torch.tensor([label for _, _, label in items])
    loss = losses.corrected_loss(Vmf())
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=5e-5)
    order = np.random.default_rng(seed).permutation(len(rows))
    network.train()
    started = time.perf_counter()
    for start in range(0, len(order), BATCH):
        chosen = order[start : start + BATCH]
        batch = padded(encoding.collator(rows, None, pad_id=tokenizer.pad_token_id)(chosen))
        loss(network(batch), labels[batch["targets"]]).mean().backward()
        optimizer.step()
        optimizer.zero_grad()
    return len(items) / (time.perf_counter() - started)


def padded(batch: loop.Batch) -> loop.Batch:
    """The same batch with rows of 128 tokens."""
    length = batch["input_ids"].shape[1]
    rows = torch.div(batch["tokens"], length, rounding_mode="floor")
    width = (0, PADDED - length)
    return batch | {
        "input_ids": torch.nn.functional.pad(batch["input_ids"], width),
        "attention_mask": torch.nn.functional.pad(batch["attention_mask"], width),
        "tokens": batch["tokens"] + rows * (PADDED - length),
    }


def predict_ours(
    model: Path, records: list[Record], precision: devices.Precision
) -> tuple[float, list[EntityEmotion]]:
    """Spans per second of `GbertPredictor.predict`, and its answers."""
    predictor = GbertPredictor.from_checkpoint(model, device="cpu", precision=precision)
    queries = queries_of(records)
    predictor.predict(queries[:8])
    started = time.perf_counter()
    answers = predictor.predict(queries)
    return len(queries) / (time.perf_counter() - started), answers


def largest_difference(some: list[EntityEmotion], others: list[EntityEmotion]) -> float:
    """Of any probability between two lists of answers to the same queries."""
    return max(
        abs(value - other.probabilities[name])
        for one, other in zip(some, others, strict=True)
        for name, value in one.probabilities.items()
    )


def predict_one_pass_per_span(model: Path, records: list[Record]) -> float:
    """Spans per second where each span is a padded pass of its own."""
    network, tokenizer, _ = networks.load_model(model, device=CPU)
    network.shortened = False
    queries = queries_of(records)
    started = time.perf_counter()
    with torch.inference_mode():
        for text, words, start in queries:
            span = (start, start + len(words))
            rows, _ = encoding.encode(tokenizer, [text], [[span]], max_length=PADDED)
            collate = encoding.collator(rows, None, pad_id=tokenizer.pad_token_id)
            network(padded(collate(np.array([0]))))
    return len(queries) / (time.perf_counter() - started)


def queries_of(records: list[Record]) -> list[Query]:
    """Every span as a query."""
    return [
        Query(record.text, record.text[slice(*target.span)], target.start)
        for record in records
        for target in record.targets
        if target.span is not None
    ]


def vmf_seconds(count: int, repeats: int = 200) -> float:
    """Seconds of the terms that take kappa, forward and backward, for *count* spans."""
    generator = torch.Generator().manual_seed(0)
    mu, prototypes = (
        torch.nn.functional.normalize(
            torch.randn(rows, vmf.DIMENSION, generator=generator), dim=-1
        ).requires_grad_()
        for rows in (count, len(CLASSES))
    )
    kappa = torch.full((count,), 42.0, requires_grad=True)
    labels = torch.eye(len(CLASSES))[torch.arange(count) % len(CLASSES)]
    started = time.perf_counter()
    for _ in range(repeats):
        likelihood = losses.vmf_negative_log_likelihood(mu, kappa, labels, prototypes)
        (likelihood + vmf.kl_to_uniform(kappa)).sum().backward()
    return (time.perf_counter() - started) / repeats


def search_seconds(texts: int) -> float:
    """Seconds of an exact search among *texts* embeddings."""
    table = np.random.default_rng(0).normal(size=(texts, 64)).astype(np.float32)
    query = table[0]
    started = time.perf_counter()
    largest(table @ query, 5)
    return time.perf_counter() - started


def main() -> None:
    """Print medians over rounds, ours and the peer's in turns."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("records", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("--texts", type=int, default=200)
    parser.add_argument("--every-span", action="store_true", help="all that weak_spans finds")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--searched", type=int, default=1_000_000, help="texts to search among")
    options = parser.parse_args()
    devices.set_threads(options.threads)
    records = of_split(read_records(options.records), "train")[: options.texts]
    if options.every_span:
        records = [with_every_span(record) for record in records]
    spans = len(targets_of(records))
    print(
        f"{len(records)} texts, {spans} spans, {torch.get_num_threads()} threads, "
        f"{devices.compute_dtype('auto', CPU)}"
    )
    found: dict[str, list[float]] = {}
    for seed in range(options.rounds):
        exact_speed, exact = predict_ours(options.model, records, "fp32")
        auto_speed, auto = predict_ours(options.model, records, "auto")
        for name, speed in (
            ("training, ours", train_ours(options.model, records, seed)),
            ("training, a pass per span", train_one_pass_per_span(options.model, records, seed)),
            ("prediction, ours", auto_speed),
            ("prediction, a pass per span", predict_one_pass_per_span(options.model, records)),
            ("prediction, ours in float32", exact_speed),
        ):
            found.setdefault(name, []).append(speed)
    medians = {name: statistics.median(values) for name, values in found.items()}
    for name, value in medians.items():
        print(f"{name:<30}{value:10.1f} spans/s")
    for what in ("training", "prediction"):
        print(f"{what}: {medians[f'{what}, ours'] / medians[f'{what}, a pass per span']:.1f} x")
    changed = sum(one.labels != other.labels for one, other in zip(exact, auto, strict=True))
    print(
        f"of {len(exact)} answers {changed} decide otherwise than in float32, the largest "
        f"difference of a probability is {largest_difference(exact, auto):.4f}"
    )
    step = STEP_SPANS / medians["training, ours"]
    share = vmf_seconds(STEP_SPANS) / step
    print(f"vMF terms, {STEP_SPANS} spans: {100 * share:.2f} % of a training step")
    print(f"exact search among {options.searched} texts: {search_seconds(options.searched):.3f} s")


if __name__ == "__main__":
    main()
