"""`training.loop` and its parts: schedules, updates, and runs disturbed in every way."""

import csv
import math
import os
import signal
import subprocess
import sys
import textwrap
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import torch
from blocks import changed
from safetensors.torch import load_file
from torch import nn

from affectlab.config.models import Training
from affectlab.errors import UserError
from affectlab.training.batching import bucketed_batches
from affectlab.training.checkpoints import CheckpointFolder, TrainingState, fingerprint
from affectlab.training.history import write_history
from affectlab.training.loop import Task, fit
from affectlab.training.recipe import learning_rate_factor, parameter_groups
from affectlab.training.weights import MasterWeights, WeightAverage

SCRIPTS = Path(__file__).parents[2] / "workflow" / "scripts"

RECIPE = Training(
    epochs=3,
    batch_size=8,
    learning_rate=0.01,
    head_learning_rate=None,
    weight_decay=0.01,
    warmup_steps=2,
    schedule="linear",
    gradient_accumulation=1,
    max_grad_norm=1.0,
    label_smoothing=0.0,
    precision="fp32",
    token_budget=None,
    early_stopping_patience=None,
    gradient_checkpointing=False,
    evaluations_per_epoch=1,
    checkpoint_minutes=60,
    sparse_embeddings=False,
    ema_decay=None,
)


FIELDS = {field.name for field in fields(Task)}


class Network(nn.Module):
    """An embedding bag with dropout and a linear head: every kind of parameter, in miniature."""

    def __init__(self, sparse: bool = False, dropout: float = 0.1) -> None:
        super().__init__()
        self.table = nn.Embedding(20, 6, sparse=sparse)
        self.norm = nn.LayerNorm(6)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(6, 3)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.dropout(self.norm(self.table(ids).mean(dim=1))))


def corpus(n: int = 60) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 3, n)
    ids = generator.integers(0, 20, (n, 4))
    ids[:, 0] = labels
    return ids, labels


def run(directory: Path, recipe: Training = RECIPE, network: Network | None = None, **changes):
    ids, labels = corpus()
    if network is None:
        torch.manual_seed(0)
        network = Network(sparse=recipe.sparse_embeddings)
    torch.manual_seed(1)

    def loss_sum(module, batch):
        return nn.functional.cross_entropy(module(batch["ids"]), batch["labels"], reduction="sum")

    def evaluate(module):
        logits = module(torch.from_numpy(ids))
        target = torch.from_numpy(labels)
        return {
            "loss": nn.functional.cross_entropy(logits, target).item(),
            "accuracy": (logits.argmax(1) == target).double().mean().item(),
        }

    task = {
        "lengths": [4] * len(ids),
        "collate": lambda chosen: {
            "ids": torch.from_numpy(ids[chosen]),
            "labels": torch.from_numpy(labels[chosen]),
        },
        "loss_sum": loss_sum,
        "evaluate": evaluate,
        "select_by": "accuracy",
        "head": ("classifier",),
    }
    arguments = {
        "seed": 5,
        "device": torch.device("cpu"),
        "checkpoint_directory": directory,
        "checkpoint_fingerprint": "mine",
    } | {name: value for name, value in changes.items() if name not in FIELDS}
    changed = {name: value for name, value in changes.items() if name in FIELDS}
    fitted = fit(network, Task(**task | changed), recipe, **arguments)
    return network, {"history": fitted.history, **fitted.summary}


def weights(network: nn.Module) -> bytes:
    return b"".join(p.detach().numpy().tobytes() for p in network.parameters())


@pytest.mark.parametrize(
    ("schedule", "falling"),
    [
        ("linear", lambda progress: 1 - progress),
        ("cosine", lambda progress: math.cos(math.pi / 2 * progress) ** 2),
        ("constant", lambda _: 1.0),
    ],
)
def test_the_learning_rate_rises_linearly_then_falls(schedule, falling):
    factors = [learning_rate_factor(s, total=10, warmup=4, schedule=schedule) for s in range(11)]
    assert factors[:4] == [0.25, 0.5, 0.75, 1.0]
    assert factors[4:] == pytest.approx([falling(past / 6) for past in range(7)], abs=1e-12)
    assert learning_rate_factor(0, total=10, warmup=0, schedule=schedule) == 1.0


def test_a_warm_up_may_be_a_share_of_the_updates(tmp_path):
    recipe = changed(RECIPE, warmup_steps=0.25, schedule="cosine", evaluations_per_epoch=8)
    _, result = run(tmp_path, recipe)
    rates = [row["learning_rate"] for row in result["history"] if row["split"] == "train"]
    rising = [0.01 * step / 6 for step in range(1, 7)]
    falling = [0.01 * math.cos(math.pi / 2 * past / 18) ** 2 for past in range(18)]
    assert rates == pytest.approx(rising + falling)


def test_parameters_are_grouped_by_rate_and_decay():
    network = Network()
    groups = parameter_groups(
        dict(network.named_parameters()),
        head=("classifier",),
        recipe=changed(RECIPE, head_learning_rate=0.5),
    )
    found = {
        (group["lr"], group["weight_decay"]): {id(p) for p in group["params"]} for group in groups
    }
    assert found == {
        (0.01, 0.01): {id(network.table.weight)},
        (0.01, 0.0): {id(network.norm.weight), id(network.norm.bias)},
        (0.5, 0.01): {id(network.classifier.weight)},
        (0.5, 0.0): {id(network.classifier.bias)},
    }


def test_training_learns_and_keeps_the_best_weights(tmp_path):
    network, result = run(tmp_path, changed(RECIPE, epochs=12))
    validation = [row for row in result["history"] if row["split"] == "validation"]
    assert validation[-1]["loss"] < validation[0]["loss"]
    assert (
        result["best_epoch"] == max(validation, key=lambda r: (r["accuracy"], -r["loss"]))["epoch"]
    )
    ids, labels = corpus()
    with torch.no_grad():
        accuracy = (network(torch.from_numpy(ids)).argmax(1).numpy() == labels).mean()
    assert accuracy == max(row["accuracy"] for row in validation)
    assert not network.training


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("accumulation", [1, 2])
def test_updates_are_those_of_adamw_on_the_mean_loss(tmp_path, accumulation, weighted):
    """Three epochs without dropout against a plain loop of PyTorch's own parts.

    Adam hardly sees the gradients' scale: the losses tell it, and a norm that only some exceed.
    """
    torch.manual_seed(0)
    ours, theirs = Network(dropout=0), Network(dropout=0)
    theirs.load_state_dict(ours.state_dict())
    item_weights = np.random.default_rng(1).integers(1, 6, 60) if weighted else np.ones(60)
    limit = 0.28 if weighted else 0.8
    changes = {"weight_decay": 0.1, "warmup_steps": 0, "schedule": "constant"}
    changes |= {"gradient_accumulation": accumulation, "max_grad_norm": limit}
    arguments = {"item_weights": item_weights.tolist()} if weighted else {}
    _, result = run(tmp_path, changed(RECIPE, **changes), ours, select_by=None, **arguments)

    ids, labels = map(torch.from_numpy, corpus())
    matrices = [theirs.table.weight, theirs.classifier.weight]
    vectors = [theirs.norm.weight, theirs.norm.bias, theirs.classifier.bias]
    groups = [
        {"params": matrices, "weight_decay": 0.1},
        {"params": vectors, "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=0.01)
    losses, norms = [], []
    for epoch in range(3):
        batches = bucketed_batches([4] * 60, batch_size=8, token_budget=None, seed=5, epoch=epoch)
        total = 0.0
        for start in range(0, len(batches), accumulation):
            update = np.concatenate(batches[start : start + accumulation])
            loss = nn.functional.cross_entropy(theirs(ids[update]), labels[update], reduction="sum")
            total += loss.item()
            optimizer.zero_grad()
            (loss / item_weights[update].sum()).backward()
            norms.append(nn.utils.clip_grad_norm_(theirs.parameters(), limit))
            optimizer.step()
        losses.append(total / item_weights.sum())

    assert min(norms) < 0.9 * limit
    assert max(norms) > 1.1 * limit
    trained = [row["loss"] for row in result["history"] if row["split"] == "train"]
    assert trained == pytest.approx(losses, rel=1e-5)
    for mine, reference in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine, reference, rtol=1e-4, atol=1e-6)


def test_in_a_sparse_table_only_the_rows_of_a_batch_are_updated(tmp_path):
    """Against Adam written out for the table, whose rows' moments rest where no batch has them.

    The rest is AdamW; the table has no part in the norm and does not decay.
    """
    torch.manual_seed(0)
    ours, theirs = Network(sparse=True, dropout=0), Network(dropout=0)
    theirs.load_state_dict(ours.state_dict())
    changes = {"weight_decay": 0.1, "warmup_steps": 0, "schedule": "constant", "batch_size": 3}
    recipe = changed(RECIPE, **changes, epochs=1, sparse_embeddings=True, max_grad_norm=0.5)
    run(tmp_path, recipe, ours, select_by=None)

    ids, labels = map(torch.from_numpy, corpus())
    table = theirs.table.weight.detach().double().numpy().copy()
    moments = np.zeros((2, *table.shape))
    others = [p for name, p in theirs.named_parameters() if name != "table.weight"]
    groups = [{"params": [p], "weight_decay": 0.1 * (p.ndim > 1)} for p in others]
    optimizer = torch.optim.AdamW(groups, lr=0.01)
    batches = bucketed_batches([4] * 60, batch_size=3, token_budget=None, seed=5, epoch=0)
    rested = 0
    for number, batch in enumerate(batches, start=1):
        loss = nn.functional.cross_entropy(theirs(ids[batch]), labels[batch])
        theirs.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(others, 0.5)
        optimizer.step()
        rows = ids[batch].unique().numpy()
        rested += len(table) - len(rows)
        gradient = theirs.table.weight.grad.double().numpy()[rows]
        moments[0, rows] = 0.9 * moments[0, rows] + 0.1 * gradient
        moments[1, rows] = 0.999 * moments[1, rows] + 0.001 * gradient**2
        mean, square = moments[0, rows] / (1 - 0.9**number), moments[1, rows] / (1 - 0.999**number)
        table[rows] -= 0.01 * mean / (np.sqrt(square) + 1e-8)
        with torch.no_grad():
            theirs.table.weight.copy_(torch.from_numpy(table))
    assert rested > 100
    for mine, reference in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine, reference, rtol=1e-4, atol=1e-5)


def test_early_stopping_ends_a_run_without_gain(tmp_path):
    recipe = changed(RECIPE, epochs=50, learning_rate=1e-30, early_stopping_patience=3)
    _, result = run(tmp_path, recipe)
    assert sum(row["split"] == "validation" for row in result["history"]) == 4
    assert result["best_epoch"] == 1.0


def test_evaluations_are_spread_over_an_epoch(tmp_path):
    _, result = run(tmp_path, changed(RECIPE, epochs=1, evaluations_per_epoch=4))
    epochs = [row["epoch"] for row in result["history"] if row["split"] == "validation"]
    assert epochs == [0.25, 0.5, 0.75, 1.0]


def test_a_loss_that_is_not_finite_stops_the_run(tmp_path):
    with pytest.raises(UserError, match=r"loss became nan at update 1: lower the learning rate"):
        run(tmp_path, loss_sum=lambda module, batch: module(batch["ids"]).sum() * math.nan)


@pytest.mark.parametrize("sparse", [False, True])
def test_bfloat16_follows_float32_and_ends_in_it(tmp_path, sparse):
    """The masters are float32: small updates, which bfloat16 would swallow, add up."""
    recipe = changed(RECIPE, learning_rate=1e-4, epochs=4, sparse_embeddings=sparse)
    ends = {}
    for precision in ("fp32", "bf16"):
        torch.manual_seed(0)
        network = Network(sparse=sparse, dropout=0)
        start = {n: p.detach().clone() for n, p in network.named_parameters()}
        run(tmp_path / precision, changed(recipe, precision=precision), network)
        assert {p.dtype for p in network.parameters()} == {torch.float32}
        ends[precision] = {n: p.detach() - start[n] for n, p in network.named_parameters()}
    for name, moved in ends["fp32"].items():
        assert moved.abs().max() > 1e-4
        other = ends["bf16"][name]
        assert nn.functional.cosine_similarity(moved.flatten(), other.flatten(), dim=0) > 0.9


@pytest.mark.parametrize("sparse", [False, True])
def test_equal_runs_end_in_equal_bytes(tmp_path, sparse):
    recipe = changed(RECIPE, sparse_embeddings=sparse)
    first, a = run(tmp_path / "a", recipe)
    second, b = run(tmp_path / "b", recipe)
    assert weights(first) == weights(second)
    assert a["history"] == b["history"]


def test_a_checkpoint_of_another_recipe_is_not_used(tmp_path, caplog):
    with pytest.raises(SystemExit):
        run(tmp_path, loss_sum=_loss_that_sends_sigterm(after=4))
    untouched, expected = run(tmp_path / "fresh")
    network, result = run(tmp_path, checkpoint_fingerprint="another")
    assert "starting anew" in caplog.text
    assert weights(network) == weights(untouched)
    assert result["history"] == expected["history"]


def test_with_other_threads_a_run_goes_on_and_says_what_that_means(tmp_path, caplog):
    with pytest.raises(SystemExit):
        run(tmp_path, loss_sum=_loss_that_sends_sigterm(after=4))
    caplog.set_level("INFO")
    before = torch.get_num_threads()
    torch.set_num_threads(before + 1)
    try:
        _, result = run(tmp_path)
    finally:
        torch.set_num_threads(before)
    assert "resuming from update 5 of 24" in caplog.text
    assert f"with {before + 1} threads where {before} began" in caplog.text
    assert result["steps"] == 24


@pytest.mark.parametrize("ema_decay", [None, 0.9])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_sigterm_writes_a_checkpoint_and_the_next_run_goes_on(
    tmp_path, caplog, precision, ema_decay
):
    recipe = changed(RECIPE, precision=precision, sparse_embeddings=True, ema_decay=ema_decay)
    undisturbed, expected = run(tmp_path / "undisturbed", recipe)
    with pytest.raises(SystemExit) as stop:
        run(tmp_path / "disturbed", recipe, loss_sum=_loss_that_sends_sigterm(after=11))
    assert stop.value.code == 143
    caplog.set_level("INFO")
    network, result = run(tmp_path / "disturbed", recipe)
    assert "resuming from update 12 of 24" in caplog.text
    assert weights(network) == weights(undisturbed)
    assert result["history"] == expected["history"]


def test_the_average_follows_its_recursion_and_does_not_disturb_the_training(tmp_path):
    """Against the recursion over the weights that a run without average has after each update."""
    torch.manual_seed(0)
    network = Network()
    start = [p.detach().clone() for p in network.parameters()]
    seen = []

    def remember(module):
        seen.append([p.detach().clone() for p in module.parameters()])
        return {"loss": 0.0}

    recipe = changed(RECIPE, schedule="constant", evaluations_per_epoch=8)
    run(tmp_path / "plain", recipe, network, evaluate=remember, select_by=None)
    assert len(seen) == 24
    expected = start
    for n, present in enumerate(seen):
        decay = min(0.7, (1 + n) / (10 + n))
        expected = [decay * e + (1 - decay) * p for e, p in zip(expected, present, strict=True)]
    averaged, _ = run(tmp_path / "averaged", changed(recipe, ema_decay=0.7), select_by=None)
    for parameter, value in zip(averaged.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.detach(), value)
    assert not torch.allclose(expected[0], seen[-1][0])


class Normalised(nn.Module):
    """A network with batch normalisation: parameters that stay float32, and buffers."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(20, 6)
        self.norm = nn.BatchNorm1d(6)
        self.classifier = nn.Linear(6, 3)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.norm(self.table(ids).mean(dim=1)))


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_running_statistics_belong_to_the_weights_and_stay_exact(tmp_path, precision):
    def trained(name: str, **changes):
        torch.manual_seed(0)
        recipe = changed(RECIPE, precision=precision)
        return run(tmp_path / name, recipe=recipe, network=Normalised(), **changes)[0]

    whole = trained("whole")
    assert whole.norm.num_batches_tracked > 0
    assert {p.dtype for p in whole.state_dict().values()} <= {torch.float32, torch.int64}
    with pytest.raises(SystemExit):
        trained("killed", loss_sum=_loss_that_sends_sigterm(after=11))
    resumed = trained("killed")
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name


def test_without_a_metric_to_select_by_the_last_weights_are_kept(tmp_path):
    scores = iter((0.9, 0.5, 0.1))

    def worse_and_worse(_module):
        return {"loss": 1.0, "accuracy": next(scores)}

    _, result = run(tmp_path, select_by=None, evaluate=worse_and_worse)
    assert result["best_step"] == result["steps"] == 3 * math.ceil(60 / 8)


def _loss_that_sends_sigterm(after: int):
    calls = 0

    def loss_sum(module, batch):
        nonlocal calls
        calls += 1
        if calls == after + 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return nn.functional.cross_entropy(module(batch["ids"]), batch["labels"], reduction="sum")

    return loss_sum


def test_a_checkpoint_cut_in_half_is_named(tmp_path):
    with pytest.raises(SystemExit):
        run(tmp_path, loss_sum=_loss_that_sends_sigterm(after=4))
    checkpoint = tmp_path / "checkpoint.pt"
    checkpoint.write_bytes(checkpoint.read_bytes()[: checkpoint.stat().st_size // 2])
    with pytest.raises(UserError, match=r"checkpoint\.pt: corrupt checkpoint .* delete its folder"):
        run(tmp_path)


def test_best_weights_cut_in_half_or_gone_are_named(tmp_path):
    """After the last update nothing writes them anew."""
    with pytest.raises(SystemExit):
        run(tmp_path, loss_sum=_loss_that_sends_sigterm(after=23))
    [best] = tmp_path.glob("best-*.safetensors")
    best.write_bytes(best.read_bytes()[: best.stat().st_size // 2])
    with pytest.raises(UserError, match=r"best-\d+\.safetensors: missing or corrupt .* delete its"):
        run(tmp_path)
    best.unlink()
    with pytest.raises(UserError, match=r"best-\d+\.safetensors: missing or corrupt"):
        run(tmp_path)


def test_what_a_killed_process_left_of_a_checkpoint_goes_away(tmp_path):
    for name in (".checkpoint.pt.k3x", ".best-8.safetensors.a8_"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "half").write_bytes(b"x" * 100)
    _, result = run(tmp_path)
    best = f"best-{result['best_step']}.safetensors"
    assert {path.name for path in tmp_path.iterdir()} == {best, f".{best}.sha256"}


def test_better_weights_of_a_killed_process_are_not_taken_for_the_resumed_ones(tmp_path):
    """What it learnt after its checkpoint is lost, and so are those weights."""
    with pytest.raises(SystemExit):
        run(tmp_path, loss_sum=_loss_that_sends_sigterm(after=9), evaluate=_falling_losses())
    # After the checkpoint, at update 10 of 24, it went on to the evaluation at update 16.
    known = tmp_path / "best-8.safetensors"
    (tmp_path / "best-16.safetensors").write_bytes(b"weights that nobody can load")
    network, result = run(tmp_path, evaluate=_falling_losses(worse_from=1))
    assert result["best_step"] == 8
    assert weights(network) == b"".join(
        load_file(known)[name].numpy().tobytes() for name, _ in network.named_parameters()
    )


def _falling_losses(worse_from: int = 99):
    """Validation that improves from one evaluation to the next, up to number *worse_from*."""
    calls = 0

    def evaluate(_network):
        nonlocal calls
        calls += 1
        gain = calls if calls < worse_from else -calls
        return {"loss": 10.0 - gain, "accuracy": 0.5 + 0.01 * gain}

    return evaluate


def test_the_random_state_is_that_of_the_process_own_gpu(tmp_path, monkeypatch):
    """A run stopped on the second GPU of several goes on where only one is visible."""
    asked, given = [], []
    monkeypatch.setattr(
        torch.cuda, "get_rng_state", lambda device: asked.append(device) or torch.zeros(8).byte()
    )
    monkeypatch.setattr(
        torch.cuda, "set_rng_state", lambda state, device: given.append((len(state), device))
    )
    network = Network()
    parts = MasterWeights(network, torch.float32)
    second, first = (
        TrainingState(
            weights=parts,
            average=WeightAverage(parts, None),
            optimizers=[],
            device=torch.device("cuda", number),
        )
        for number in (1, 0)
    )
    folder = CheckpointFolder(tmp_path, "mine")
    folder.save(second)
    assert folder.restore(first)
    assert (asked, given) == ([second.device], [(8, first.device)])


CHILD = """
import sys
from pathlib import Path
sys.path[:0] = [{scripts!r}, {tests!r}]
import torch
torch.set_num_threads(1)
import test_training as t
from affectlab.training.checkpoints import CheckpointFolder
folder = Path(sys.argv[1])
place, call = sys.argv[2], int(sys.argv[3])
calls = 0
def reached(here):
    global calls
    calls += here == place
    return here == place and calls == call
def wait_for_the_kill():
    print("held", flush=True)
    sys.stdin.read()
def loss_sum(module, batch):
    if reached("loss"):
        wait_for_the_kill()
    return t.nn.functional.cross_entropy(
        module(batch["ids"]), batch["labels"], reduction="sum")
def save(state, path):
    whole(state, path)
    if reached("checkpoint"):
        with open(path, "r+b") as file:
            file.truncate(1000)
        wait_for_the_kill()
def save_best(self, state):
    best(self, state)
    if reached("best weights"):
        wait_for_the_kill()
whole, torch.save = torch.save, save
best, CheckpointFolder.save_best = CheckpointFolder.save_best, save_best
recipe = t.changed(t.RECIPE, epochs=6, checkpoint_minutes=1e-9, evaluations_per_epoch=2,
                 sparse_embeddings=True)
network, result = t.run(folder, recipe, loss_sum=loss_sum)
Path(folder, "weights").write_bytes(t.weights(network))
t.write_history(Path(folder, "history.csv"), result["history"])
"""


def test_killed_three_times_a_run_ends_in_the_bytes_of_an_undisturbed_one(tmp_path):
    """Between better weights and their checkpoint, in an update and in mid-checkpoint."""
    code = textwrap.dedent(CHILD).format(scripts=str(SCRIPTS), tests=str(Path(__file__).parent))

    def start(name: str, place: str = "nowhere", call: int = 0) -> subprocess.Popen:
        (tmp_path / name).mkdir(exist_ok=True)
        return subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path / name), place, str(call)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    with start("undisturbed") as process:
        assert process.wait() == 0
    seen = []
    for place, call in (("best weights", 2), ("loss", 11), ("checkpoint", 9)):
        with start("killed", place, call) as process:
            assert process.stdout.readline() == "held\n"
            process.send_signal(signal.SIGKILL)
            assert process.wait() == -signal.SIGKILL
        state = torch.load(tmp_path / "killed" / "checkpoint.pt", weights_only=True)
        seen.append(state["progress"]["step"])
    assert seen[1:] == [seen[0] + 10, seen[0] + 18]
    assert seen[-1] < 47
    with start("killed") as process:
        assert process.wait() == 0
    for name in ("weights", "history.csv"):
        assert (tmp_path / "killed" / name).read_bytes() == (
            tmp_path / "undisturbed" / name
        ).read_bytes()


SHARE = """
import sys
from pathlib import Path
sys.path[:0] = [{scripts!r}, {tests!r}]
import torch
import test_training as t
from accelerate import PartialState
processes = PartialState(cpu=True)
torch.manual_seed(0)
sparse = sys.argv[2] == "sparse"
# The last batch holds one item: one of two processes has no share in it.
recipe = t.changed(t.RECIPE, batch_size=59, gradient_accumulation=2, sparse_embeddings=sparse)
network = t.Network(sparse=sparse, dropout=0)
network.unused = t.nn.Linear(2, 2) if sparse else t.nn.BatchNorm1d(2)
folder = Path(sys.argv[1])
network, result = t.run(folder, recipe, network, tensorboard_directory=folder / "board")
if processes.is_main_process:
    Path(sys.argv[1], "weights").write_bytes(t.weights(network))
    Path(sys.argv[1], "processes").write_text(str(result["processes"]))
"""


@pytest.mark.parametrize("table", ["dense", "sparse"])
def test_two_processes_make_the_updates_of_one(tmp_path, table):
    program = tmp_path / "share.py"
    program.write_text(SHARE.format(scripts=str(SCRIPTS), tests=str(Path(__file__).parent)))
    found = {}
    for count in (1, 2):
        folder = tmp_path / str(count)
        folder.mkdir()
        launch = ["torch.distributed.run", "--standalone", f"--nproc_per_node={count}"]
        done = subprocess.run(
            [sys.executable, "-m", *launch, str(program), str(folder), table],
            check=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            stderr=subprocess.PIPE,
            text=True,
        )
        warned = done.stderr.count("batch normalisation is that of one process's share of a batch")
        assert warned == (count == 2 and table == "dense")
        assert (folder / "processes").read_text() == str(count)
        assert len(list((folder / "board").iterdir())) == 1
        found[count] = np.frombuffer((folder / "weights").read_bytes(), np.float32)
    np.testing.assert_allclose(found[1], found[2], rtol=1e-4, atol=1e-6)


def test_tensorboard_gets_the_history(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    _, result = run(tmp_path / "run", tensorboard_directory=tmp_path / "board")
    events = EventAccumulator(str(tmp_path / "board")).Reload()
    stored = [event.value for event in events.Scalars("validation/accuracy")]
    expected = [r["accuracy"] for r in result["history"] if r["split"] == "validation"]
    assert stored == pytest.approx(expected)


def test_events_on_a_full_disk_are_one_clear_error(tmp_path, small_disk):
    (small_disk / "rest").write_bytes(b"x" * (1 << 20))
    with pytest.raises(UserError, match="board: cannot be written: No space left on device"):
        run(tmp_path / "run", tensorboard_directory=small_disk / "board")


def test_history_is_written_as_a_table(tmp_path):
    rows = [
        {"step": 1, "epoch": 0.5, "split": "train", "loss": 2.0, "learning_rate": 0.1},
        {"step": 1, "epoch": 0.5, "split": "validation", "loss": 1.5, "accuracy": 0.25},
    ]
    write_history(tmp_path / "history.csv", rows)
    table = list(csv.DictReader((tmp_path / "history.csv").read_text().splitlines()))
    assert list(table[0]) == ["step", "epoch", "split", "loss", "accuracy", "learning_rate"]
    assert table[0]["accuracy"] == ""
    assert float(table[1]["accuracy"]) == 0.25


def test_how_often_checkpoints_are_written_is_no_matter_of_whose_they_are():
    stages = [{"data": "a", "training": {"epochs": 1, "checkpoint_minutes": 5}}]
    other = [{"data": "a", "training": {"epochs": 1, "checkpoint_minutes": 1}}]
    assert fingerprint({"stages": stages}, 3) == fingerprint({"stages": other}, 3)
    other[0]["training"]["epochs"] = 2
    assert fingerprint({"stages": stages}, 3) != fingerprint({"stages": other}, 3)


def test_fingerprints_tell_recipes_apart():
    assert fingerprint({"a": 1, "b": 2}, 3) == fingerprint({"b": 2, "a": 1}, 3)
    assert fingerprint({"a": 1}, 3) != fingerprint({"a": 1}, 4)
