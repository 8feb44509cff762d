"""`test_on`: models that were trained on one generated corpus are tested on another one."""

import copy
import html
import json
import re

import numpy as np
import pytest
import soundfile
from own_images import KINDS, drawn, write_image
from own_texts import rows_of, write_csv

from affectlab.report.results_file import read_results

NAMES = {"Angst": "fear", "Freude": "joy", "Wut": "Wut"}
"""Class of the own texts -> class of the others, which have no Ruhe."""


def read(path):
    return json.loads(path.read_text())


def page_of(directory):
    page = html.unescape((directory / "results" / "report" / "index.html").read_text())
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


def write_texts(directory):
    """Own texts, and others in which most have lost their cue; five of these are own ones."""
    rows = rows_of(320, authors=40)
    write_csv(directory, rows[:200])
    others = []
    for number, row in enumerate(rows[200:]):
        if row["emo"] not in NAMES:
            row = {**row, "emo": "Hohn"}
        elif number % 3:
            row = {**row, "tweet": row["tweet"].partition(" ")[2]}
        others.append({**row, "emo": NAMES.get(row["emo"], row["emo"]), "who": f"b{number % 30}"})
    known = [row for row in rows[:200] if row["emo"] == "Wut"][:15]
    others += [{**row, "who": f"c{number}"} for number, row in enumerate(known)]
    write_csv(directory, others, "theirs.csv")


def texts(classes=None):
    entry = {
        "layout": "table",
        "columns": {"text": "tweet", "label": "emo", "group": "who"},
        "language": "de",
    }
    mapping = {"fear": "Angst", "joy": "Freude"} if classes is None else classes
    return {
        "experiments": ["emotion"],
        "datasets": {
            "mine": {**entry, "path": "mine.csv"},
            "theirs": {**entry, "path": "theirs.csv", "split": {"folds": 3}},
        },
        "emotion": {
            "selected": ["words", "there"],
            "bootstrap": {"resamples": 100},
            "label_noise": {"folds": 2},
            "runs": {
                "words": {
                    "method": "tfidf",
                    "data": "mine",
                    "seeds": [0],
                    "test_on": {"theirs": {"classes": mapping}},
                },
                "there": {"method": "tfidf", "data": "theirs", "seeds": [0]},
            },
        },
    }


def test_texts_of_other_data(project):
    directory = project.directory("texts_elsewhere")
    write_texts(directory)
    overlays = [project.write_overlay("texts_elsewhere", texts())]
    result = project.snakemake(directory=directory, overlays=overlays)
    assert result.status == 0, result.output
    folder = directory / "results" / "emotion" / "words" / "seed0" / "on" / "theirs"
    record = read(folder / "metrics.json")
    rows = [json.loads(line) for line in (folder / "predictions.jsonl").read_text().splitlines()]
    # There are folds, so all texts are tested; those of Hohn have no counterpart.
    assert (record["other"]["split"], len(rows), record["left_out"]) == ("all", 135, {"Hohn": 30})
    assert record["mapping"] == {"Wut": "Wut", "fear": "Angst", "joy": "Freude"}
    assert record["shared_classes"] == ["Angst", "Freude", "Wut"]
    assert record["other"]["classes"] == {"Angst": 30, "Freude": 30, "Wut": 45}
    assert record["other"]["groups"] == 45
    assert record["within"]["data"] == "mine"
    # Recomputed from the stored predictions.
    to_own = record["mapping"]
    recalls = []
    for theirs, ours in to_own.items():
        own = [row["probabilities"] for row in rows if row["label"] == theirs]
        decided = [max(record["shared_classes"], key=shares.__getitem__) for shares in own]
        recalls.append(np.mean([name == ours for name in decided]))
    score = record["shared"]["uar"]
    assert score["other"]["value"] == pytest.approx(np.mean(recalls))
    assert score["other"]["baseline"] == {"name": "always_Wut", "value": pytest.approx(1 / 3)}
    assert score["drop"]["value"] == pytest.approx(
        np.mean([score["within"]["value"] - score["other"]["value"]])
    )
    low, high = score["drop"]["ci"]
    assert 0 < low < score["drop"]["value"] < high < 1
    whole = record["all_classes"]["uar"]["other"]["value"]
    assert whole <= score["other"]["value"]
    # The texts that stand in both corpora, if the model was trained on them.
    trained = {
        row["text"]
        for row in map(json.loads, (directory / "results/emotion/data/mine/records.jsonl").open())
        if row["split"] == "train"
    }
    others = map(json.loads, (directory / "results/emotion/data/theirs/records.jsonl").open())
    copies = sorted(row["id"] for row in others if row["text"] in trained)
    assert record["copies"]["items"] == copies
    assert 5 < len(copies) <= 15
    rest = record["copies"]["without"]
    assert rest["n"] == 105 - len(copies)
    assert rest["metrics"]["uar"]["value"] < score["other"]["value"]
    table = read_results(directory / "results")
    (row,) = (one for one in table if one["kind"] == "other data" and one["metric"] == "uar")
    assert row["value"] == score["other"]["value"]
    assert (row["data"], row["split"], row["n"], row["groups"]) == ("theirs", "all", 105, 45)
    page = page_of(directory)
    for sentence in (
        "words has an unweighted average recall of",
        "on held-out items of mine of the same 3 classes. The drop is",
        "Items of other classes, which are not scored: 30 (Hohn).",
        f"Items that the model was trained on, or nearly so: {len(copies)}.",
        "trained on (rows), tested on (columns)",
        "3 shared classes, n = 105",
    ):
        assert sentence in page, sentence


def test_another_mapping_evaluates_again_and_nothing_else(project):
    directory = project.directory("mapping")
    write_texts(directory)
    target = "results/emotion/words/seed0/on/theirs/metrics.json"
    first = [project.write_overlay("mapping", texts())]
    result = project.snakemake(target, directory=directory, overlays=first)
    assert result.status == 0, result.output
    more = texts({"fear": "Angst", "joy": "Freude", "Hohn": "Wut"})
    other = [project.write_overlay("other_mapping", more)]
    again = project.snakemake("-n", target, directory=directory, overlays=other)
    assert again.rules == {"emotion_evaluate_on"}
    # A data set more to test on trains nothing, and the scores within stay what they are.
    without = copy.deepcopy(texts())
    del without["emotion"]["runs"]["words"]["test_on"]
    none = [project.write_overlay("untested", without)]
    model = "results/emotion/words/seed0/model"
    again = project.snakemake("-n", model, directory=directory, overlays=none)
    assert again.rules == set()
    named = project.snakemake("-n", target, directory=directory, overlays=none)
    assert named.status == 1


def test_classes_that_no_data_have_are_named(project):
    directory = project.directory("wrong_mapping")
    write_texts(directory)
    overlay = project.write_overlay("wrong_mapping", texts({"feer": "Angst", "joy": "Freude"}))
    target = "results/emotion/words/seed0/on/theirs/metrics.json"
    result = project.snakemake(target, directory=directory, overlays=[overlay])
    assert result.status == 1
    assert (
        "emotion.runs.words.test_on.theirs.classes.feer: the other data have no class 'feer'; "
        "did you mean 'fear'?" in result.output
    )


def write_faces(folder, count, seed, names):
    """Drawn faces in a folder for each class, called by *names*; the last of a class is rarer."""
    made = zip(*drawn(count, seed), strict=True)
    for number, (name, image) in enumerate(made):
        write_image(folder / names[name] / f"{number:03d}.png", image)


@pytest.mark.nightly
def test_images_of_other_data(project):
    directory = project.directory("faces_elsewhere")
    write_faces(directory / "mine", 120, 0, {name: name for name in KINDS})
    names = {"froh": "happy", "staunend": "staunend", "traurig": "sad"}
    write_faces(directory / "theirs", 60, 5, names)
    # One of the other images is an own one.
    copied = directory / "theirs" / "happy" / "copy.png"
    copied.write_bytes((directory / "mine" / "froh" / "000.png").read_bytes())
    training = {"epochs": 4, "batch_size": 16, "learning_rate": 0.005}
    overlay = {
        "experiments": ["face"],
        "datasets": {
            "mine": {"path": "mine", "layout": "image_folder", "image": {"size": 48}},
            "theirs": {
                "path": "theirs",
                "layout": "image_folder",
                "image": {"size": 64, "color": True},
                "split": {"folds": 3},
            },
        },
        "face": {
            "selected": ["small"],
            "export": [],
            "bootstrap": {"resamples": 100},
            "runs": {
                "small": {
                    "data": "mine",
                    "seeds": [1, 2, 3],
                    "network": {"widths": [8, 16], "depths": [1, 1]},
                    "training": training,
                    "test_on": {"theirs": {"classes": {"happy": "froh", "sad": "traurig"}}},
                }
            },
        },
    }
    overlays = [project.write_overlay("faces_elsewhere", overlay)]
    result = project.snakemake(directory=directory, overlays=overlays)
    assert result.status == 0, result.output
    folder = directory / "results" / "face" / "small"
    records = [read(folder / f"seed{seed}/on/theirs/metrics.json") for seed in (1, 2, 3)]
    record = records[0]
    assert record["shared_classes"] == ["froh", "staunend", "traurig"]
    assert (record["other"]["n"], record["left_out"]) == (61, {})
    rows = (folder / "seed1" / "predictions.jsonl").read_text().splitlines()
    tested = sum(json.loads(row)["split"] == "test" for row in rows)
    assert record["within"]["n"] == tested
    own = read(folder / "seed1" / "metrics.json")["metrics"]["accuracy"]
    # All classes are shared, so the score within is that of the run.
    assert record["shared"]["accuracy"]["within"]["value"] == own["value"]
    stored = read(directory / "results/face/data/mine/copies/theirs.json")
    assert "happy/copy.png" in stored["copies"]
    page = page_of(directory)
    mean = np.mean([one["shared"]["uar"]["other"]["value"] for one in records])
    assert f"small has an unweighted average recall of {mean:.3f} on theirs" in page
    assert "interval over items and seeds" in page


def sound(seed, frequency, rate):
    """Half a second at about the pitch of a class."""
    generator = np.random.default_rng(seed)
    time = np.arange(rate // 2) / rate
    melody = np.interp(time, np.linspace(0, 0.5, 6), generator.uniform(0.7, 1.3, 6))
    tone = np.sin(2 * np.pi * np.cumsum(frequency * melody) / rate)
    return 0.1 * tone + generator.normal(0, 0.01, len(time))


def write_recordings(folder, pitches, subjects, rate, first):
    """Two clips of each class by each subject."""
    rows = ["file_name,emotion,speaker"]
    (folder / "audio").mkdir(parents=True)
    for subject in range(subjects):
        for place, (label, pitch) in enumerate(pitches.items()):
            for take in range(2):
                name = f"audio/{subject}_{place}_{take}.wav"
                seed = first + 100 * subject + 10 * place + take
                soundfile.write(folder / name, sound(seed, pitch, rate), rate)
                rows.append(f"{name},{label},S{subject:02d}")
    (folder / "metadata.csv").write_text("\n".join(rows) + "\n")


def test_recordings_of_other_data(project):
    directory = project.directory("voices_elsewhere")
    write_recordings(
        directory / "mine", {"calm": 220, "keen": 440, "sad": 330, "odd": 550}, 10, 8000, 0
    )
    # The same voices at other pitches, so that the classes look nearer to each other.
    write_recordings(directory / "theirs", {"calm": 240, "eager": 400, "new": 700}, 6, 8000, 50000)
    copied = directory / "theirs" / "audio" / "0_0_0.wav"
    copied.write_bytes((directory / "mine" / "audio" / "0_0_0.wav").read_bytes())
    entry = {
        "layout": "audio_folder",
        "columns": {"label": "emotion", "subject": "speaker"},
    }
    overlay = {
        "experiments": ["audio"],
        "datasets": {name: {**entry, "path": name} for name in ("mine", "theirs")},
        "audio": {
            "selected": ["probe"],
            "shards": 1,
            "bootstrap": {"resamples": 100},
            "encoders": {"plain": {"kind": "logmel"}},
            "runs": {
                "probe": {
                    "data": "mine",
                    "task": "label",
                    "encoder": "plain",
                    "seeds": [0],
                    "probe": {
                        "outer_folds": 3,
                        "inner_folds": 2,
                        "repeats": 2,
                        "permutations": 5,
                        "strengths": [0.01, 1],
                    },
                    "test_on": {"theirs": {"classes": {"eager": "keen"}}},
                }
            },
        },
    }
    overlays = [project.write_overlay("voices_elsewhere", overlay)]
    result = project.snakemake(directory=directory, overlays=overlays)
    assert result.status == 0, result.output
    folder = directory / "results" / "audio" / "probe" / "seed0"
    record = read(folder / "on" / "theirs" / "metrics.json")
    assert record["mapping"] == {"calm": "calm", "eager": "keen"}
    assert record["left_out"] == {"new": 12}
    assert record["other"]["classes"] == {"calm": 12, "keen": 12}
    assert (record["other"]["groups"], record["within"]["n"]) == (6, 40)
    assert record["within"]["split"] == "grouped"
    assert record["copies"]["items"] == ["audio/0_0_0.wav"]
    assert record["copies"]["without"]["n"] == 23
    within = []
    for line in (folder / "predictions.jsonl").read_text().splitlines():
        row = json.loads(line)
        if row["scheme"] == "grouped" and row["label"] in ("calm", "keen"):
            calm, keen = row["probabilities"][:2]
            within.append((row["repeat"], row["label"], (calm >= keen) == (row["label"] == "calm")))
    recalls = [
        np.mean([right for r, label, right in within if (r, label) == (repeat, name)])
        for repeat in (0, 1)
        for name in ("calm", "keen")
    ]
    classes = read(folder / "metrics.json")["data"]["classes"]
    assert classes[:2] == ["calm", "keen"]
    assert record["shared"]["uar"]["within"]["value"] == pytest.approx(np.mean(recalls))
    assert "probe has an unweighted average recall of" in page_of(directory)
