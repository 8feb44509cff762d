"""LoRA fine-tuning of a small language model: our way against the original recipe's way.

The original pads every text to 512 tokens and trains in float32 with batches of 8. We pad to the
longest text of a batch, group by length, keep the frozen weights in bfloat16 where the hardware
multiplies it, and use batches of 800 tokens, about 35 texts. Both train the same adapters of the
same checkpoint on the same texts, in one process.

    python benchmarks/lora_throughput.py RECORDS MODEL [--texts 640] [--slow-texts 24]

Prints texts per second, the ratio, and the loss of the same texts with the same weights either
way: what padding and bfloat16 change of the arithmetic. What the two recipes reach is not
compared, since the original's way takes half a day for an epoch.
"""

import argparse
import json
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parent))

from train_throughput import Work, recipe

from affectlab.emotion import model as networks
from affectlab.models import devices
from affectlab.models.text_models import add_lora
from affectlab.training import loop

LORA = {"rank": 8, "alpha": 16, "dropout": 0.05, "target_modules": ["q_proj", "v_proj"]}
TOKEN_BUDGET = 800
SLOW_LENGTH = 512
SLOW_BATCH = 8


def fast(work: Work, texts: int) -> float:
    """Texts per second of `training.loop`."""
    devices.seed_everything(0)
    network = add_lora(
        networks.load_network(
            work.directory,
            work.tokenizer,
            work.classes,
            dtype=work.dtype,
            device=work.device,
            training=True,
        ),
        LORA,
        task="SEQ_CLS",
    )
    ids, labels = work.ids[:texts], work.labels[:texts]
    with tempfile.TemporaryDirectory() as folder:
        fitted = loop.fit(
            network,
            loop.Task(
                lengths=[len(one) for one in ids],
                collate=networks.collator(ids, labels, pad_id=work.tokenizer.pad_token_id),
                loss_sum=networks.cross_entropy_sum(0.0),
                evaluate=lambda module: {"loss": 0.0, "accuracy": 0.0},
                select_by="accuracy",
            ),
            replace(recipe("auto", token_budget=TOKEN_BUDGET), sparse_embeddings=False),
            seed=0,
            device=work.device,
            checkpoint_directory=Path(folder),
            checkpoint_fingerprint="benchmark",
        )
    return fitted.summary["samples_per_second"]


def original(work: Work, texts: int) -> float:
    """Texts per second of the recipe as it was written, in a plain PyTorch loop."""
    from peft import LoraConfig, TaskType, get_peft_model
    from transformers import AutoModelForSequenceClassification

    devices.seed_everything(0)
    network = AutoModelForSequenceClassification.from_pretrained(
        work.directory, num_labels=6, dtype=torch.float32, trust_remote_code=False
    )
    network.config.pad_token_id = work.tokenizer.pad_token_id
    network = get_peft_model(
        network,
        LoraConfig(
            task_type=TaskType.SEQ_CLS,
            r=LORA["rank"],
            lora_alpha=LORA["alpha"],
            lora_dropout=LORA["dropout"],
            target_modules=LORA["target_modules"],
        ),
    ).train()
    optimizer = torch.optim.AdamW(
        [p for p in network.parameters() if p.requires_grad], lr=2e-4, weight_decay=0.01
    )
    collate = networks.collator(
        work.ids, work.labels, pad_id=work.tokenizer.pad_token_id, pad_to=SLOW_LENGTH
    )
    started = time.perf_counter()
    for start in range(0, texts, SLOW_BATCH):
        batch = collate(np.arange(start, min(start + SLOW_BATCH, texts)))
        network(**batch).loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
    return texts / (time.perf_counter() - started)


def losses(work: Work, texts: int) -> tuple[float, float]:
    """Mean loss of the same texts with the same weights: the original's way, and ours."""
    found = []
    for dtype, pad_to in ((torch.float32, SLOW_LENGTH), (work.dtype, None)):
        devices.seed_everything(0)
        network = networks.load_network(
            work.directory, work.tokenizer, work.classes, dtype=dtype, device=work.device
        ).eval()
        batch = networks.collator(
            work.ids, work.labels, pad_id=work.tokenizer.pad_token_id, pad_to=pad_to
        )(np.arange(texts))
        with torch.inference_mode(), devices.autocast(dtype, work.device):
            found.append(networks.cross_entropy_sum(0.0)(network, batch).item() / texts)
    return found[0], found[1]


def main() -> None:
    """Run both sides and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("records", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("--texts", type=int, default=640)
    parser.add_argument("--slow-texts", type=int, default=24)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    devices.set_threads(options.threads)
    work = Work(options.records, options.model, options.texts)
    speeds = {
        "original": original(work, options.slow_texts),
        "affectlab": fast(work, options.texts),
    }
    loss_original, loss_ours = losses(work, 16)
    report = {
        "threads": options.threads,
        "dtype": str(work.dtype),
        "texts_per_second": speeds,
        "ratio": speeds["affectlab"] / speeds["original"],
        "loss_same_weights": {"original": loss_original, "affectlab": loss_ours},
    }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
