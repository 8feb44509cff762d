"""Braces, quotes and other signs in the paths that users give: they are no wildcards."""

import json
import shutil

import numpy as np
import pytest
import soundfile

NAME = "a {b} {{c}} 'd' \"e\" %s #f {data} ünï"
RECIPE = {
    "outer_folds": 2,
    "inner_folds": 2,
    "repeats": 1,
    "permutations": 0,
    "strengths": [1],
}


@pytest.fixture(scope="module")
def hostile(tmp_path_factory, project):
    """A checkout, a working directory and a corpus whose paths and names are hostile."""
    made = type(project)(tmp_path_factory.mktemp("hostile") / NAME)
    made.folder.mkdir()
    shutil.copytree(project.root, made.root)
    return made


def write_clips(folder):
    """A corpus with a manifest; every clip and subject has a hostile name."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    lines = ["clip\tsubject\tlabel"]
    for number in range(12):
        label = ("{angry}", "ca'lm")[number % 2]
        name = f"{{clip}} {number} '%s' #{{x}}.wav"
        tone = np.sin(np.arange(8000) * (0.05 + 0.05 * (number % 2))) * 0.3
        soundfile.write(folder / name, tone + rng.normal(0, 0.01, 8000), 16_000)
        lines.append(f"{name}\t{{s{number // 2}}}\t{label}")
    (folder / "manifest.tsv").write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def overlays(hostile):
    """A configuration with that corpus."""
    write_clips(hostile.folder / "{my} data" / "mine")
    run = {"like": "sample_3emo_logmel", "data": "mine", "task": "label", "probe": RECIPE}
    config = {
        "experiments": ["audio"],
        "data_root": str(hostile.folder / "{my} data"),
        "datasets": {
            "mine": {
                "title": "{T}",
                "citation": "{C}",
                "licence": "L",
                "terms": "X",
                "version": "1",
                "access": "gated",
                "layout": "audio_manifest",
                "sources": [],
                "ask": "{nobody}",
            }
        },
        "audio": {
            "selected": ["mine"],
            "shards": 1,
            "bootstrap": {"resamples": 100},
            "runs": {"mine": run},
        },
    }
    overlay = hostile.write_overlay("mine", config)
    return [hostile.root / "config" / "demo.yaml", overlay]


def test_a_corpus_of_hostile_names_is_read(hostile, overlays):
    directory = hostile.directory("read")
    target = "results/audio/data/mine/measures.jsonl"
    result = hostile.snakemake(target, directory=directory, overlays=overlays)
    assert result.status == 0, result.output
    assert len((directory / target).read_text().splitlines()) == 12


@pytest.mark.nightly
def test_a_corpus_of_hostile_names_is_scored(hostile, overlays):
    directory = hostile.directory("scored")
    result = hostile.snakemake(directory=directory, overlays=overlays)
    assert result.status == 0, result.output
    metrics = json.loads((directory / "results/audio/mine/seed0/metrics.json").read_text())
    assert sorted(metrics["data"]["classes"]) == ["ca'lm", "{angry}"]
    assert (metrics["data"]["n"], metrics["data"]["groups"]) == (12, 6)
    again = hostile.snakemake("-n", directory=directory, overlays=overlays)
    assert "Nothing to be done" in again.output, again.output
