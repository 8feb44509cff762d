"""Somebody withdraws: a run again, and a search of every file for what was theirs."""

import json
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile
from own_texts import rows_of, write_csv

PAGE = Path(__file__).parents[2] / "docs" / "own-data.md"
RATE = 8000
MARK = "quxolatmimbre"
"""A word of nobody else."""


class Texts:
    """96 texts, of which one item and those of one author are left out."""

    item, group = "row-017", "Zuzanna Quill"

    def __init__(self, folder):
        self.entry = {
            "layout": "table",
            "columns": {"text": "tweet", "label": "emo", "group": "who", "id": "nr"},
        }
        self.settings = {
            "selected": ["words"],
            "bootstrap": {"resamples": 100},
            "label_noise": {"folds": 2},
            "runs": {"words": {"method": "tfidf", "data": "mine", "seeds": [0]}},
        }
        self.rules = {
            "emotion_convert",
            "emotion_audit",
            "emotion_noise",
            "emotion_tfidf",
            "report_build",
        }
        rows = rows_of(96)
        for number, row in enumerate(rows):
            row["nr"] = f"row-{number:03d}"
            row["who"] = self.group if row["who"] == "a7" else row["who"]
        gone = [row for row in rows if row["nr"] == self.item or row["who"] == self.group]
        for row in gone:
            row["tweet"] += f" {MARK}"
        write_csv(folder, rows)
        self.ids = [row["nr"] for row in gone]

    def needles(self, directory):
        """What is theirs in a run's folder: bytes by kind."""
        return {"texts": [MARK.encode()]}


class Clips:
    """24 recordings, of which one item and those of one speaker are left out."""

    item, group = "audio/s2-joy-1.wav", "Speaker Xenon"

    def __init__(self, folder):
        self.entry = {"layout": "audio_folder"}
        probe = {
            "outer_folds": 2,
            "inner_folds": 2,
            "repeats": 1,
            "permutations": 2,
            "strengths": [1],
        }
        run = {"like": "eatd_3emo_logmel", "task": "label", "data": "mine", "probe": probe}
        self.settings = {
            "selected": ["sounds"],
            "shards": 1,
            "bootstrap": {"resamples": 100},
            "runs": {"sounds": run},
        }
        self.rules = {"audio_convert", "audio_audit", "audio_embed", "audio_gather", "report_build"}
        rows, generator = [], np.random.default_rng(0)
        (folder / "audio").mkdir(parents=True)
        for speaker in range(6):
            for label, frequency in (("calm", 220), ("joy", 440)):
                for take in range(2):
                    name = f"audio/s{speaker}-{label}-{take}.wav"
                    bend = np.cumsum(generator.uniform(0.8, 1.2, RATE // 2)) * frequency / RATE
                    soundfile.write(folder / name, 0.1 * np.sin(2 * np.pi * bend), RATE)
                    rows.append((name, label, self.group if speaker == 4 else f"S{speaker}"))
        lines = ["file_name,label,subject", *(",".join(row) for row in rows)]
        (folder / "metadata.csv").write_text("\n".join(lines) + "\n")
        self.ids = [name for name, _, who in rows if name == self.item or who == self.group]

    def needles(self, directory):
        """What is theirs in a run's folder: bytes by kind."""
        path = directory / "results" / "audio" / "embeddings" / "mine" / "logmel" / "embeddings.npz"
        with np.load(path) as found:
            places = [found["ids"].tolist().index(name) for name in self.ids]
            hashes, vectors = found["hashes"][places].tolist(), found["vectors"][places]
        return {
            "hashes": [form for name in hashes for form in forms(name)],
            "vectors": [vector.tobytes() for vector in vectors],
        }


def forms(name):
    """A name as texts and as arrays of NumPy hold it."""
    return [name.encode(), name.encode("utf-32-le")]


def holders(folder, needles):
    """The files of a run's folder, hidden ones too, in whose name or bytes a needle is.

    The raw copies are the user's to delete, and the page says how.
    """
    found = []
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and not name.startswith("resources/raw/"):
            content = name.encode() + path.read_bytes()
            found += [(name, needle) for needle in needles if needle in content]
    return found


SOME = [
    "results/config.yaml",
    "results/emotion/data/mine/label_noise.json",
    "results/emotion/words/seed0/predictions.jsonl",
]
"""Of the first run: enough to find what is theirs."""


def find_older(directory, experiment, *arguments):
    """The command of the page, for another experiment."""
    (line,) = re.findall(r"^\$ (find .*)$", PAGE.read_text(), re.MULTILINE)
    command = line.replace("results/emotion", f"results/{experiment}").split()
    subprocess.run([*command, *arguments], cwd=directory, check=True)


@pytest.mark.parametrize(
    ("experiment", "kind", "targets"),
    [
        ("emotion", Texts, SOME),
        pytest.param("emotion", Texts, [], marks=pytest.mark.nightly),
        pytest.param("audio", Clips, [], marks=pytest.mark.nightly),
    ],
)
def test_nothing_of_those_who_withdrew_is_left(project, tmp_path, experiment, kind, targets):
    data = kind(tmp_path / "data")
    entry = {"path": str(tmp_path / "data"), **data.entry}
    overlay = {
        "experiments": [experiment],
        "datasets": {"mine": entry},
        experiment: data.settings,
    }
    directory = project.directory(f"withdrawal_{experiment}_{len(targets)}")

    def snakemake(*arguments):
        path = project.write_overlay(f"withdrawal_{experiment}", overlay)
        return project.snakemake(*arguments, directory=directory, overlays=[path])

    first = snakemake(*targets)
    assert first.status == 0, first.output
    needles = data.needles(directory) | {
        "names": [form for name in (data.item, data.group) for form in forms(name)],
        "ids": [form for name in data.ids for form in forms(name)],
    }
    # The search finds what is there.
    assert all(holders(directory, own) for own in needles.values())

    # A run that is no longer selected.
    left = directory / "results" / experiment / "dropped" / "seed0" / "predictions.jsonl"
    left.parent.mkdir(parents=True)
    left.write_text(json.dumps({"id": data.item}))

    (directory / "withdrawal").touch()
    names = tmp_path / "withdrawn.txt"
    names.write_text(f"item: {data.item}\n")
    entry["exclude"] = {"groups": [f" {data.group.upper()}"], "file": str(names)}
    again = snakemake()
    assert again.status == 0, again.output
    assert data.rules <= again.rules
    find_older(directory, experiment, "-delete")
    assert not left.exists()
    everything = [needle for own in needles.values() for needle in own]
    assert holders(directory, [*everything, data.group.upper().encode()]) == []
    assert not any(name in again.output for name in data.ids)

    sentence = f"mine: {len(data.ids)} items were left out because somebody withdrew, with 1 whole"
    assert sentence in (directory / "results" / "report" / "index.html").read_text()
    folder = directory / "results" / experiment / "data" / "mine"
    description = json.loads((folder / "description.json").read_text())
    assert (description["excluded_items"], description["excluded_groups"]) == (len(data.ids), 1)

    # A run as before does nothing; one more name in the file converts again.
    assert "Nothing to be done" in snakemake("-n").output
    names.write_text(f"{names.read_text()}item: another\n")
    assert snakemake("-n").jobs[f"{experiment}_convert"] == 1
