"""LoRA training on whole counselling cases: our way against the published way.

The published way pads every case to 8,192 tokens, two to a batch, and computes the loss over
prompt and answer. We pack cases into rows without padding, let none see another, and compute
logits for the answers alone. Both train the same adapters of the same checkpoint in the same
number format on the same cases, in one process, with activations recomputed.

    python benchmarks/summary_training.py RECORDS MODEL [--cases 8] [--slow-cases 2] [--threads 2]

RECORDS is the summary experiment's records.jsonl. Prints tokens of cases (padding not counted) per
second and the ratio; with --losses also the loss per answer token of the same case with the same
weights. To see that it works: --cases 1 --slow-cases 1 --length 1024.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from affectlab.config.models import Lora, Training
from affectlab.models import devices
from affectlab.models.text_models import add_lora
from affectlab.summary import model as networks
from affectlab.summary import packing
from affectlab.summary.cases import read_cases
from affectlab.summary.feeding import PackedCases, PaddedCases, Rows, encode
from affectlab.summary.settings import SummaryRun
from affectlab.training import loop

LORA = Lora(
    rank=16,
    alpha=32,
    target_modules=["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
)


def rows_of(examples: list[packing.Example], way: SummaryRun) -> Rows:
    """Rows of *examples*, packed or padded."""
    return (PackedCases(way) if way.packing else PaddedCases(way, 0)).rows(examples)


def recipe(batch_size: int) -> Training:
    """One pass at a constant rate."""
    return Training(
        epochs=1,
        batch_size=batch_size,
        learning_rate=2e-4,
        weight_decay=0.0,
        warmup_steps=0,
        schedule="constant",
        gradient_checkpointing=True,
        checkpoint_minutes=60,
    )


def load(directory: Path, way: SummaryRun) -> torch.nn.Module:
    """The network with fresh adapters, the same for both ways."""
    devices.seed_everything(0)
    device = devices.choose_device()
    network = networks.load_network(
        directory,
        dtype=devices.compute_dtype("auto", device),
        device=device,
        four_bit=False,
        attention=packing.PACKED_ATTENTION if way.packing else "sdpa",
    )
    network.activation_checkpointing_enable({"use_reentrant": False})
    return add_lora(network, LORA, task="CAUSAL_LM")


def speed(directory: Path, examples: list[packing.Example], way: SummaryRun, batch: int) -> float:
    """Tokens of *examples* per second, padding not counted."""
    lengths, weights, collate = rows_of(examples, way)
    with tempfile.TemporaryDirectory() as folder:
        network = load(directory, way)
        started = time.perf_counter()
        loop.fit(
            network,
            loop.Task(
                lengths=lengths,
                collate=collate,
                loss_sum=packing.next_token_loss_sum,
                evaluate=lambda _: {"loss": 0.0},
                select_by="loss",
                item_weights=weights,
            ),
            recipe(batch),
            seed=0,
            device=devices.choose_device(),
            checkpoint_directory=Path(folder),
            checkpoint_fingerprint="benchmark",
        )
        seconds = time.perf_counter() - started
    return sum(len(example.ids) for example in examples) / seconds


def answer_loss(directory: Path, examples: list[packing.Example], way: SummaryRun) -> float:
    """Mean loss per answer token, by the attention and batching of *way*."""
    network = load(directory, way).eval()
    lengths, weights, collate = rows_of(examples, way.model_copy(update={"loss": "answer"}))
    with torch.inference_mode():
        total = sum(
            packing.next_token_loss_sum(network, collate(np.array([row]))).item()
            for row in range(len(lengths))
        )
    return total / sum(weights)


def main() -> None:
    """Run both sides and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("records", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("--cases", type=int, default=8)
    parser.add_argument("--slow-cases", type=int, default=2)
    parser.add_argument("--length", type=int, default=8192, help="longer cases are cut")
    parser.add_argument("--losses", action="store_true")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    devices.set_threads(options.threads)
    tokenizer = networks.load_tokenizer(options.model)
    cases = [case for case in read_cases(options.records) if case.split == "train"]
    published = SummaryRun(max_length=options.length, loss="all", packing=False)
    ours = SummaryRun(max_length=options.length)
    examples = encode(cases[: options.cases], tokenizer, ours)
    speeds = {
        "published": speed(options.model, examples[: options.slow_cases], published, 2),
        "affectlab": speed(options.model, examples, ours, 1),
    }
    report: dict[str, Any] = {
        "threads": options.threads,
        "tokens": sum(len(example.ids) for example in examples),
        "tokens_per_second": speeds,
        "ratio": speeds["affectlab"] / speeds["published"],
    }
    if options.losses:
        report["answer_loss_same_weights"] = {
            name: answer_loss(options.model, examples[:1], way)
            for name, way in (("published", published), ("affectlab", ours))
        }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
