"""Training throughput of `training.loop` against a tuned Hugging Face Trainer, same work.

Both fine-tune the whole of a small encoder on the emotion records: same checkpoint, learning
rate, length grouping, dynamic padding, number format and texts, in one process, in turns. The
Trainer's batches hold 32 texts; ours as many tokens as those do on average. The Trainer is run as
it comes (PyTorch's fused attention) and, to be fair to it, with the plain attention that we choose
on CPUs too.

    python benchmarks/train_throughput.py RECORDS MODEL [--texts 3200] [--rounds 2]

RECORDS is `results/emotion/data/emotion/records.jsonl`, MODEL a checkpoint directory such as
`resources/models/minilm-l6/files`. Prints texts per second, validation accuracy, the share of
this machine's bf16 matrix-product peak, and the ratio.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow" / "scripts"))

from affectlab.config.models import Training
from affectlab.emotion import model as networks
from affectlab.emotion.data import read_data
from affectlab.emotion.train import validation_scores
from affectlab.models import devices
from affectlab.models.sparse_embeddings import use_sparse_embeddings
from affectlab.models.text_models import load_tokenizer
from affectlab.training import loop

BATCH = 32
LEARNING_RATE = 1.0e-4
MAX_LENGTH = 128


def matmul_peak(dtype: torch.dtype, size: int = 2048, seconds: float = 2.0) -> float:
    """FLOP/s of square matrix products."""
    a, b = torch.randn(size, size, dtype=dtype), torch.randn(size, size, dtype=dtype)
    for _ in range(3):
        a @ b
    started, count = time.perf_counter(), 0
    while time.perf_counter() - started < seconds:
        a @ b
        count += 1
    return count * 2 * size**3 / (time.perf_counter() - started)


def recipe(precision: str, token_budget: int | None = None) -> Training:
    """One epoch with our fast settings."""
    return Training(
        epochs=1,
        batch_size=BATCH,
        learning_rate=LEARNING_RATE,
        head_learning_rate=None,
        weight_decay=0.01,
        warmup_steps=0.1,
        schedule="linear",
        gradient_accumulation=1,
        max_grad_norm=1.0,
        label_smoothing=0.0,
        precision=precision,
        token_budget=token_budget,
        early_stopping_patience=None,
        gradient_checkpointing=False,
        evaluations_per_epoch=1,
        checkpoint_minutes=60,
        sparse_embeddings=True,
        ema_decay=None,
    )


class Work:
    """The texts, encoded once, and how accurate a network is on the validation split."""

    def __init__(self, records_path: Path, model_directory: Path, texts: int) -> None:
        data = read_data(records_path, records_path.with_name("description.json"))
        train, validation = data.of_split("train")[:texts], data.of_split("validation")
        self.classes = data.classes
        self.directory = model_directory
        self.tokenizer = load_tokenizer(model_directory)
        self.ids = networks.encode(self.tokenizer, [r.text for r in train], max_length=MAX_LENGTH)
        self.labels = data.labels_of(train)
        self.validation_ids = networks.encode(
            self.tokenizer, [r.text for r in validation], max_length=MAX_LENGTH
        )
        self.validation_labels = data.labels_of(validation)
        self.device = torch.device("cpu")
        self.dtype = devices.compute_dtype("auto", self.device)

    def scores(self, network: torch.nn.Module) -> dict[str, float]:
        """Validation loss, accuracy and macro-F1 of *network*."""
        logits = networks.predict_logits(
            network.eval(),
            self.validation_ids,
            pad_id=self.tokenizer.pad_token_id,
            batch_size=64,
            dtype=self.dtype,
            device=self.device,
        )
        return validation_scores(logits, self.validation_labels)

    def tokens(self) -> int:
        """How many tokens the training texts have in all."""
        return sum(len(ids) for ids in self.ids)


def ours(work: Work, seed: int) -> tuple[float, float]:
    """Texts per second and validation accuracy of our loop."""
    devices.seed_everything(seed)
    network = networks.load_network(
        work.directory,
        work.tokenizer,
        work.classes,
        dtype=torch.float32,
        device=work.device,
        training=True,
    )
    use_sparse_embeddings(network)
    seconds_evaluating = 0.0
    accuracy = 0.0

    def evaluate(module: torch.nn.Module) -> dict[str, float]:
        nonlocal seconds_evaluating, accuracy
        started = time.perf_counter()
        scores = work.scores(module)
        accuracy = scores["accuracy"]
        seconds_evaluating = time.perf_counter() - started
        return scores

    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        loop.fit(
            network,
            loop.Task(
                lengths=[len(ids) for ids in work.ids],
                collate=networks.collator(
                    work.ids, work.labels, pad_id=work.tokenizer.pad_token_id
                ),
                loss_sum=networks.cross_entropy_sum(0.0),
                evaluate=evaluate,
                select_by="accuracy",
                head=networks.HEAD_NAMES,
            ),
            # As many tokens in a batch as the Trainer has on average, so as many updates.
            recipe("auto", token_budget=round(BATCH * work.tokens() / len(work.ids))),
            seed=seed,
            device=work.device,
            checkpoint_directory=Path(folder),
            checkpoint_fingerprint="benchmark",
        )
        seconds = time.perf_counter() - started - seconds_evaluating
    return len(work.ids) / seconds, accuracy


def trainer(work: Work, seed: int, attention: str) -> tuple[float, float]:
    """Texts per second and validation accuracy of the Trainer."""
    from transformers import (
        AutoModelForSequenceClassification,
        DataCollatorWithPadding,
        Trainer,
        TrainingArguments,
    )

    devices.seed_everything(seed)
    network = AutoModelForSequenceClassification.from_pretrained(
        work.directory,
        num_labels=len(work.classes),
        attn_implementation=attention,
        dtype=torch.float32,
        trust_remote_code=False,
    )
    items = [
        {"input_ids": ids, "attention_mask": [1] * len(ids), "labels": int(label)}
        for ids, label in zip(work.ids, work.labels, strict=True)
    ]
    with tempfile.TemporaryDirectory() as folder:
        loop = Trainer(
            model=network,
            args=TrainingArguments(
                output_dir=folder,
                num_train_epochs=1,
                per_device_train_batch_size=BATCH,
                learning_rate=LEARNING_RATE,
                weight_decay=0.01,
                warmup_steps=0.1,
                lr_scheduler_type="linear",
                max_grad_norm=1.0,
                optim="adamw_torch_fused",
                train_sampling_strategy="group_by_length",
                bf16=work.dtype is torch.bfloat16,
                use_cpu=True,
                save_strategy="no",
                logging_strategy="no",
                report_to=[],
                disable_tqdm=True,
                dataloader_pin_memory=False,
                seed=seed,
            ),
            train_dataset=items,
            data_collator=DataCollatorWithPadding(work.tokenizer),
        )
        started = time.perf_counter()
        loop.train()
        seconds = time.perf_counter() - started
    return len(work.ids) / seconds, work.scores(network)["accuracy"]


def main() -> None:
    """Run all sides in turns and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("records", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("--texts", type=int, default=3200)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    devices.set_threads(options.threads)
    work = Work(options.records, options.model, options.texts)
    sides = {
        "affectlab": lambda seed: ours(work, seed),
        "trainer": lambda seed: trainer(work, seed, "sdpa"),
        "trainer, plain attention": lambda seed: trainer(work, seed, "eager"),
    }
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in sides}
    for seed in range(options.rounds):
        for name, side in sides.items():
            found[name].append(side(seed))
            print(f"round {seed}, {name}: {found[name][-1]}", file=sys.stderr)

    network = networks.load_network(
        work.directory, work.tokenizer, work.classes, dtype=torch.float32, device=work.device
    )
    table = network.get_input_embeddings().weight.numel()
    dense = sum(p.numel() for p in network.parameters()) - table
    flop_per_text = 6 * dense * work.tokens() / len(work.ids)
    peak = matmul_peak(work.dtype)
    speeds = {name: statistics.median(s for s, _ in runs) for name, runs in found.items()}
    report = {
        "texts": len(work.ids),
        "tokens_per_text": work.tokens() / len(work.ids),
        "threads": options.threads,
        "dtype": str(work.dtype),
        "matmul_peak_gflops": peak / 1e9,
        "texts_per_second": speeds,
        "validation_accuracy": {
            name: float(np.mean([a for _, a in runs])) for name, runs in found.items()
        },
        "share_of_peak": {name: s * flop_per_text / peak for name, s in speeds.items()},
        "ratio": speeds["affectlab"] / speeds["trainer"],
        "ratio_to_plain_attention": speeds["affectlab"] / speeds["trainer, plain attention"],
    }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
