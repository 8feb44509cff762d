"""Training in two processes, through the rule; and training that is killed."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file

RUN = "results/emotion/qwen3_tiny/seed42"


def copy_of(project, finished, name):
    """A run directory of one's own that has all but what a changed recipe makes anew."""
    return shutil.copytree(finished, project.folder / "runs" / name, symlinks=True)


def recipe_overlays(project, name, **training):
    """Overlays for a recipe that draws no dropout, since each process draws its own."""
    changed = {"lora": {"dropout": 0.0}, "training": training}
    overlay = project.write_overlay(name, {"emotion": {"runs": {"qwen3_tiny": changed}}})
    return [project.root / "config" / "demo.yaml", project.overlay, overlay]


def scores(directory):
    """The numbers of the training history, row by row."""
    table = (directory / RUN / "history.csv").read_text().splitlines()[1:]
    cells = [cell for row in table for cell in row.split(",")]
    return [float(cell) for cell in cells if cell not in ("", "train", "validation")]


def network(directory):
    """All weights of the run's network, in one vector."""
    weights = load_file(directory / RUN / "model" / "model.safetensors")
    return torch.cat([weights[name].flatten() for name in sorted(weights)])


def test_two_processes_train_as_one(project, finished):
    overlays = recipe_overlays(project, "no_dropout", epochs=2)
    found = {}
    for processes in (1, 2):
        directory = copy_of(project, finished, f"processes{processes}")
        result = project.snakemake(
            f"{RUN}/model",
            *("--resources", f"gpu={processes}"),
            *("--set-resources", f"emotion_train:gpu={processes}"),
            directory=directory,
            overlays=overlays,
        )
        assert result.status == 0, result.output
        assert set(result.jobs) == {"emotion_train"}
        facts = json.loads((directory / RUN / "training.json").read_text())
        assert facts["processes"] == processes
        assert not (directory / RUN / "work" / "checkpoints").exists()
        found[processes] = directory
    two, one = (network(found[processes]) for processes in (2, 1))
    before = network(finished)
    moved = torch.linalg.vector_norm(one - before)
    assert moved > 0.1
    # Adam divides by the root of the squared gradient: where that is tiny, rounding moves single
    # weights by a whole step. Processes that did not share gradients would differ by about `moved`.
    assert torch.linalg.vector_norm(two - one) < 0.03 * moved
    assert scores(found[2]) == pytest.approx(scores(found[1]), rel=1e-3)
    # How many processes there are is no part of the recipe.
    again = project.snakemake("-n", f"{RUN}/model", directory=found[2], overlays=overlays)
    assert "Nothing to be done" in again.output


def test_training_that_is_killed_goes_on_to_the_same_bytes(project, finished):
    """kill -9 of everything after some checkpoints; the network ends in the very same bytes."""
    overlays = recipe_overlays(project, "checkpoints", epochs=2, checkpoint_minutes=1e-6)
    whole = copy_of(project, finished, "undisturbed")
    result = project.snakemake(f"{RUN}/model", directory=whole, overlays=overlays)
    assert result.status == 0, result.output
    killed = copy_of(project, finished, "training_killed")
    checkpoint = killed / RUN / "work" / "checkpoints" / "checkpoint.pt"
    project.kill_once(checkpoint, f"{RUN}/model", directory=killed, overlays=overlays)
    assert checkpoint.exists()
    assert project.snakemake("--unlock", directory=killed).status == 0
    result = project.snakemake(
        "--rerun-incomplete", f"{RUN}/model", directory=killed, overlays=overlays
    )
    assert result.status == 0, result.output
    log = (killed / "logs" / "emotion_train" / "qwen3_tiny" / "seed42.log").read_text()
    assert "resuming from update" in log
    assert "starting anew" not in log
    for name in ("model/model.safetensors", "history.csv"):
        assert (killed / RUN / name).read_bytes() == (whole / RUN / name).read_bytes()
