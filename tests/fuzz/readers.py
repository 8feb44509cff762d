"""Every reader of raw data, stored files and model directories, with a valid input for each."""

import hashlib
import json
import random
import time
import wave
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

SCHEMAS = Path(__file__).parents[2] / "workflow" / "schemas"
PROJECT = SCHEMAS.parents[1]
RATE = 16_000

Build = Callable[[Path], None]
Read = Callable[[Path], object]


@dataclass(frozen=True, slots=True)
class Reader:
    """A reader under test.

    Attributes:
        name: of the test.
        build: writes a valid input into an empty folder.
        read: reads all of it; anything but a `UserError` that escapes is a fault.
        changed: pattern of the files to change.
        renamed: change the names of these files instead of their contents.
        slow: loads a whole model, in 30 ms or more; gets a tenth of the mutations in CI.
    """

    name: str
    build: Build
    read: Read
    changed: str = "*"
    renamed: bool = False
    slow: bool = False


def exhaust(items: Iterator[Any]) -> None:
    for _ in items:
        pass


# Raw data and tidy tables


def emotion(layout: str) -> Reader:
    from affectlab.emotion.convert import read_raw
    from affectlab.samples.emotion import write_corpus

    def build(folder: Path) -> None:
        sizes = {"train": 20, "validation": 8, "test": 8}
        write_corpus(folder, layout=layout, conflicting=1, duplicates=1, test_overlap=1, **sizes)

    return Reader(
        f"emotion_{layout}", build, lambda folder: exhaust(read_raw(folder, "skip")), "**/*"
    )


def emotion_records() -> Reader:
    from affectlab.emotion.convert import Outputs, convert
    from affectlab.emotion.data import read_data

    def build(folder: Path) -> None:
        emotion("jsonl").build(folder / "raw")
        names = ("records.jsonl", "bad.jsonl", "description.json")
        convert(folder / "raw", Outputs(*(folder / name for name in names)), {"layout": "emotion"})

    def read(folder: Path) -> None:
        read_data(folder / "records.jsonl", folder / "description.json")

    return Reader("emotion_records", build, read, "[rd]*.json*")


def emotion_label_sets() -> Reader:
    from affectlab.emotion.convert import Outputs, convert
    from affectlab.emotion.readers import read_any
    from affectlab.files.io import write_jsonl

    entry = {"layout": "table", "target": "classes"}

    def build(folder: Path) -> None:
        sets = [["joy", "fear"], [], ["fear"], ["joy"]]
        rows = [{"text": f"text {n} of many", "label": sets[n % 4]} for n in range(40)]
        (folder / "raw").mkdir()
        write_jsonl(folder / "raw" / "own.jsonl", rows)

    def read(folder: Path) -> None:
        names = ("records.jsonl", "bad.jsonl", "description.json")
        outputs = Outputs(*(folder / name for name in names))
        convert(folder / "raw", outputs, entry, on_bad_record="skip")
        read_any(outputs.records, outputs.description)

    return Reader("emotion_label_sets", build, read, "raw/*")


def entity(layout: str) -> Reader:
    from affectlab.entity.convert import convert
    from affectlab.entity.settings import Split
    from affectlab.samples.entity import write_goemotions, write_spans

    def build(folder: Path) -> None:
        if layout == "entity_spans":
            write_spans(folder / "raw", texts=20)
        else:
            write_goemotions(folder / "raw", train=15, validation=5, test=5)

    def read(folder: Path) -> None:
        convert(
            folder / "raw",
            folder / "out.jsonl",
            folder / "bad.jsonl",
            folder / "description.json",
            entry={"layout": layout},
            on_bad_record="skip",
            split=Split(validation=0.2, test=0.2) if layout == "entity_spans" else None,
        )

    return Reader(layout, build, read, "raw/*")


def entity_records() -> Reader:
    from affectlab.entity.predictions import read_corpora

    def build(folder: Path) -> None:
        reader = entity("entity_spans")
        reader.build(folder)
        reader.read(folder)

    def read(folder: Path) -> None:
        read_corpora(folder / "out.jsonl", folder / "description.json")

    return Reader("entity_records", build, read, "out.jsonl")


FACES = {"Training": 6, "PublicTest": 3, "PrivateTest": 3}


def face(layout: str, *, renamed: bool = False) -> Reader:
    from affectlab.face.raw import read_raw
    from affectlab.samples.face import write_corpus

    return Reader(
        f"face_{layout}" + ("_names" if renamed else ""),
        lambda folder: write_corpus(folder / "raw", layout=layout, counts=FACES),
        lambda folder: exhaust(read_raw(folder / "raw", "skip")),
        "raw/**/*",
        renamed,
    )


def face_votes() -> Reader:
    from affectlab.face.convert import convert
    from affectlab.samples.face import write_corpus, write_votes

    def build(folder: Path) -> None:
        write_corpus(folder / "raw", layout="csv", counts=FACES)
        write_votes(folder / "votes", counts=FACES)

    def read(folder: Path) -> None:
        convert(
            raw_directory=folder / "raw",
            votes_directory=folder / "votes",
            faces_path=folder / "faces.npy",
            metadata_path=folder / "metadata.csv",
            quarantine_path=folder / "bad.jsonl",
            description_path=folder / "description.json",
            entry={"layout": "fer2013"},
            on_bad_record="skip",
        )

    return Reader("face_votes", build, read, "votes/*")


def face_stored() -> Reader:
    from affectlab.face.data import read_faces

    def build(folder: Path) -> None:
        votes = face_votes()
        votes.build(folder)
        votes.read(folder)

    def read(folder: Path) -> object:
        faces = read_faces(folder / "faces.npy", folder / "metadata.csv")
        return np.asarray(faces.images).sum()

    return Reader("face_stored", build, read, "[fm]*.*")


def image(ending: str) -> Reader:
    from affectlab.face.photographs import detect_faces, prepare, read_image

    def build(folder: Path) -> None:
        import cv2

        pixels = np.random.default_rng(0).integers(0, 255, (60, 50), np.uint8)
        cv2.imwrite(str(folder / f"photo{ending}"), pixels)

    def read(folder: Path) -> None:
        pixels = read_image(folder / f"photo{ending}")
        prepare(pixels)
        detect_faces(pixels[:200, :200])

    return Reader(f"image{ending}", build, read)


def summary(layout: str) -> Reader:
    from affectlab.samples.summary import write_longemotion, write_psyqa
    from affectlab.summary.convert import Outputs, convert
    from affectlab.summary.settings import Split

    writer = {"longemotion": write_longemotion, "psyqa": write_psyqa}[layout]

    def read(folder: Path) -> None:
        split = Split(validation=0.2, folds=3, seed=0)
        out = Outputs(folder / "records.jsonl", folder / "bad.jsonl", folder / "description.json")
        convert(folder / "raw", out, {"layout": layout}, split=split, on_bad_record="skip")

    return Reader(
        f"summary_{layout}", lambda folder: writer(folder / "raw", cases=8), read, "raw/*"
    )


def summary_records() -> Reader:
    from affectlab.summary.cases import read_cases, with_fold

    def build(folder: Path) -> None:
        summary("longemotion").build(folder)
        summary("longemotion").read(folder)

    return Reader(
        "summary_records",
        build,
        lambda f: with_fold(read_cases(f / "records.jsonl"), 0),
        "records.jsonl",
    )


def summary_requests() -> Reader:
    from affectlab.summary.cases import FIELDS
    from affectlab.summary.layouts import read_requests

    return Reader(
        "summary_requests",
        summary("longemotion").build,
        lambda f: read_requests(f / "raw" / "Emotion_Summary.jsonl", FIELDS),
        "raw/*",
    )


def sound(path: Path, seconds: float = 0.02) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    tone = (np.sin(np.arange(int(RATE * seconds)) / 9) * 9000).astype("<i2")
    with wave.open(str(path), "wb") as stream:
        stream.setnchannels(1)
        stream.setsampwidth(2)
        stream.setframerate(RATE)
        stream.writeframes(tone.tobytes())


def build_eatd(folder: Path) -> None:
    for name, score in (("t_1", 30), ("t_2", 50), ("v_3", 30), ("v_4", 50)):
        for prompt in ("negative", "neutral", "positive"):
            sound(folder / "raw" / name / f"{prompt}_out.wav")
            (folder / "raw" / name / f"{prompt}.txt").write_text("words\n")
        (folder / "raw" / name / "label.txt").write_text(f"{score}\n")
        (folder / "raw" / name / "new_label.txt").write_text(f"{score * 1.25}\n")


def build_ravdess(folder: Path) -> None:
    for number in range(1, 9):
        sound(folder / "raw" / "Actor_01" / f"03-01-{number:02d}-01-01-01-01.wav")


def build_emodb(folder: Path) -> None:
    for letter in "WLEAFTN":
        sound(folder / "raw" / "wav" / f"03a01{letter}a.wav")


def build_manifest(folder: Path) -> None:
    rows = ["clip,subject,label,split,duration"]
    for number in range(6):
        sound(folder / "raw" / "clips" / f"{number}.wav")
        split = ("train", "validation", "test")[number % 3]
        rows.append(f"clips/{number}.wav,s{number % 2},{'ab'[number % 2]},{split},0.02")
    (folder / "raw" / "manifest.csv").write_text("\n".join(rows) + "\n")


def audio(layout: str, build: Build, changed: str, *, renamed: bool = False) -> Reader:
    from affectlab.audio.convert import Outputs, convert
    from affectlab.audio.data import read_clips

    def read(folder: Path) -> None:
        records = folder / "records.jsonl"
        out = Outputs(records, folder / "bad.jsonl", folder / "description.json")
        convert(folder / "raw", out, {"layout": layout}, "skip")
        read_clips(records)

    return Reader(f"audio_{layout}", build, read, changed, renamed)


def audio_label_sets() -> Reader:
    from affectlab.audio.convert import Outputs, convert
    from affectlab.audio.data import read_clips
    from affectlab.files.io import write_jsonl

    entry = {"layout": "audio_folder", "target": "classes"}

    def build(folder: Path) -> None:
        sets = [["joy", "fear"], [], ["fear"]]
        rows = []
        for number in range(6):
            sound(folder / "raw" / "clips" / f"{number}.wav")
            name, subject = f"clips/{number}.wav", f"s{number % 2}"
            rows.append({"file_name": name, "label": sets[number % 3], "subject": subject})
        write_jsonl(folder / "raw" / "metadata.jsonl", rows)

    def read(folder: Path) -> None:
        records = folder / "records.jsonl"
        out = Outputs(records, folder / "bad.jsonl", folder / "description.json")
        convert(folder / "raw", out, entry, "skip")
        read_clips(records)

    return Reader("audio_label_sets", build, read, "raw/*.jsonl")


def audio_records() -> Reader:
    from affectlab.audio.data import read_clips, usable_clips

    def build(folder: Path) -> None:
        reader = audio("audio_manifest", build_manifest, "")
        reader.build(folder)
        reader.read(folder)
        rows = [json.loads(line) for line in (folder / "records.jsonl").read_text().splitlines()]
        measures = [{"id": row["id"], "seconds": 1.0} for row in rows]
        (folder / "measures.jsonl").write_text("\n".join(map(json.dumps, measures)) + "\n")

    def read(folder: Path) -> None:
        read_clips(folder / "records.jsonl")
        usable_clips(folder / "records.jsonl", folder / "measures.jsonl")

    return Reader("audio_records", build, read, "*.jsonl")


def recording(ending: str) -> Reader:
    from affectlab.audio.waveform import read_audio

    def build(folder: Path) -> None:
        import soundfile

        tone = np.sin(np.arange(RATE // 4) / 9).astype(np.float32)
        soundfile.write(folder / f"clip{ending}", tone, RATE)

    return Reader(f"sound{ending}", build, lambda f: read_audio(f / f"clip{ending}", 8000))


# Stored vectors


def clips(count: int = 4) -> list[Any]:
    from affectlab.audio.data import Clip

    return [
        Clip(f"c{n}", f"c{n}.wav", f"s{n % 2}", {"label": "ab"[n % 2]}, None) for n in range(count)
    ]


def store() -> Reader:
    from affectlab.audio.store import Embeddings, gather, read_embeddings, write_embeddings

    def build(folder: Path) -> None:
        ids = tuple(clip.id for clip in clips())
        vectors = np.ones((4, 1, 2, 3), np.float32)
        write_embeddings(
            folder / "store.npz", Embeddings(ids, ids, ids, ("last",), vectors, {"version": 1})
        )

    def read(folder: Path) -> None:
        found = read_embeddings(folder / "store.npz")
        gather([found], clips())

    return Reader("embeddings", build, read)


def foreign(ending: str) -> Reader:
    from affectlab.audio.store import import_embeddings

    def build(folder: Path) -> None:
        ids = [clip.id for clip in clips()]
        vectors = np.arange(12, dtype=np.float32).reshape(4, 3)
        if ending == ".npz":
            np.savez(folder / "own.npz", ids=np.array(ids), vectors=vectors)
        elif ending == ".npy":
            np.save(folder / "own.npy", vectors)
            (folder / "own.csv").write_text("id\n" + "\n".join(ids) + "\n")
        else:
            import pyarrow as pa
            from pyarrow import parquet

            columns = {"id": ids} | {f"f{n}": vectors[:, n] for n in range(3)}
            parquet.write_table(pa.table(columns), folder / "own.parquet")

    return Reader(
        f"foreign{ending}", build, lambda f: import_embeddings(f / f"own{ending}", clips(), {})
    )


# Results of runs


@cache
def corpus() -> Any:
    from affectlab.evaluation.classification import Corpus

    names = {"train": 6, "validation": 4, "test": 4}
    labels = {split: {f"{split}{n}": n % 2 for n in range(size)} for split, size in names.items()}
    groups = {name: n for n, name in enumerate(n for part in labels.values() for n in part)}
    conditions = {split: {"words": [1.0] * len(items)} for split, items in labels.items()}
    return Corpus.of(("a", "b"), labels, groups, conditions)


def predictions() -> Reader:
    from affectlab.evaluation.classification import read_predictions

    def build(folder: Path) -> None:
        rows = [
            {
                "id": name,
                "split": split,
                "label": "ab"[label],
                "prediction": "a",
                "probabilities": {"a": 0.75, "b": 0.25},
            }
            for split in ("validation", "test")
            for name, label in corpus().labels[split].items()
        ]
        (folder / "predictions.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")

    return Reader(
        "predictions", build, lambda f: read_predictions(f / "predictions.jsonl", corpus())
    )


def face_predictions() -> Reader:
    from affectlab.face.labels import LIMITS
    from affectlab.face.regressed import read_regressed

    def build(folder: Path) -> None:
        values = {"valence": 0.1, "arousal": 0.2, "iq_proxy": 0.3, "eq_proxy": 0.4}
        rows = [{"id": f"i{n}", "split": "test", **values} for n in range(5)]
        (folder / "predictions.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")

    def read(folder: Path) -> object:
        return read_regressed(folder / "predictions.jsonl", "test", tuple(LIMITS))

    return Reader("face_predictions", build, read)


def audio_predictions() -> Reader:
    from affectlab.audio.predictions import GROUPED, read_corpus, read_predictions

    def build(folder: Path) -> None:
        audio_records().build(folder)
        records = [json.loads(line) for line in (folder / "records.jsonl").open()]
        rows = [
            {
                "scheme": GROUPED,
                "repeat": repeat,
                "id": row["id"],
                "subject": row["subject"],
                "label": row["labels"]["label"],
                "probabilities": [0.5, 0.5],
                "calibrated": [0.6, 0.4],
            }
            for repeat in range(2)
            for row in records
        ]
        (folder / "predictions.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")

    def read(folder: Path) -> None:
        known = read_corpus(folder / "records.jsonl", folder / "measures.jsonl", "label", "clip")
        read_predictions(folder / "predictions.jsonl", ("a", "b"), known, GROUPED)

    return Reader("audio_predictions", build, read, "predictions.jsonl")


def entity_predictions() -> Reader:
    from affectlab.entity.predictions import read_corpora, read_predictions

    def build(folder: Path) -> None:
        import pyarrow as pa
        from pyarrow import parquet

        entity_records().build(folder)
        (known,) = read_corpora(folder / "out.jsonl", folder / "description.json")
        rows = [
            {
                "split": split,
                "variant": variant,
                "id": name,
                "probabilities": [1 / 28] * 28,
                "kappa": 9.0,
                "mu": [0.125] * 64,
                "pooled": [0.5] * 4,
            }
            for split, variant in (
                ("validation", "clean"),
                ("test", "clean"),
                ("test", "typos"),
                ("test", "dropout"),
            )
            for name in known.splits[split].ids
        ]
        parquet.write_table(pa.Table.from_pylist(rows), folder / "predictions.parquet")

    known = cache(read_corpora)

    def read(folder: Path) -> None:
        corpora = known(folder / "out.jsonl", folder / "description.json")
        read_predictions(folder / "predictions.parquet", corpora)

    return Reader("entity_predictions", build, read, "*.parquet")


def summary_answers() -> Reader:
    from affectlab.summary.answers import read_answers
    from affectlab.summary.cases import read_cases

    def build(folder: Path) -> None:
        from affectlab.summary.answers import Answer, write_details, write_predictions

        summary_records().build(folder)
        cases = read_cases(folder / "records.jsonl")
        answers = [Answer(dict(case.references), True, False, False) for case in cases]
        write_predictions(folder / "predictions.jsonl", cases, answers)
        facts = {"valid": True, "repaired": False, "error": None, "case_tokens": None}
        write_details(folder / "details.jsonl", ({"id": case.id, **facts} for case in cases))

    return Reader(
        "summary_answers",
        build,
        lambda f: read_answers(
            f / "predictions.jsonl", f / "details.jsonl", read_cases(f / "records.jsonl")
        ),
        "[pd]*.jsonl",
    )


def judge_reply() -> Reader:
    from affectlab.summary.cases import FIELDS
    from affectlab.summary.judge import CRITERIA, read_marks

    def build(folder: Path) -> None:
        marks = {name: dict.fromkeys(CRITERIA, 4) for name in FIELDS}
        (folder / "reply.txt").write_text(f"So:\n```json\n{json.dumps(marks, indent=1)}\n```\n")

    def read(folder: Path) -> object:
        return read_marks((folder / "reply.txt").read_bytes().decode(errors="replace"))

    return Reader("judge_reply", build, read)


def judge_cache() -> Reader:
    from affectlab.models.endpoint import ReplyError
    from affectlab.summary.cases import FIELDS
    from affectlab.summary.judge import CRITERIA, Judge
    from affectlab.summary.settings import Judge as JudgeSettings

    settings = JudgeSettings(
        base_url="http://127.0.0.1:9/v1", model="m", attempts=1, wait_seconds=0, timeout_seconds=1
    )

    def build(folder: Path) -> None:
        judge = Judge(settings, folder)
        marks = json.dumps({FIELDS[0]: {CRITERIA[0]: 4}})
        with patch.object(judge._endpoint, "ask", return_value=(marks, 5)):
            judge.marks({"causes": "a"}, {"causes": "b"})

    def read(folder: Path) -> object:
        judge = Judge(settings, folder)
        no_network = ReplyError("no network here", again=False)
        with patch.object(judge._endpoint, "ask", side_effect=no_network):
            return judge.marks({"causes": "a"}, {"causes": "b"})["score"] + 1

    return Reader("judge_cache", build, read, "*.json")


SCORE = {
    "value": 0.5,
    "ci": [0.4, 0.6],
    "direction": "higher",
    "baseline": {"name": "majority", "value": 0.3},
    "below_baseline": False,
}
METRICS = {
    "experiment": "summary",
    "run": "r",
    "protocol": "corrected",
    "method": "tfidf",
    "seed": 1,
    "task_version": 1,
    "data": {"name": "d", "sha256": "0" * 64, "split": "test", "n": 4, "groups": 4},
    "model": {"name": "tfidf", "revision": None, "sha256": None},
    "interval": {"method": "m", "resamples": 100, "level": 0.95, "seed": 0},
    "metrics": {"accuracy": SCORE},
    "other_splits": {"validation": {"n": 4, "groups": 4, "metrics": {"accuracy": SCORE}}},
}


def result_files() -> Reader:
    """metrics.json, run.json and export.json of a run, as report and comparisons read them."""
    from affectlab.evaluation.records import process_record
    from affectlab.report.results import read_seed, split_means, split_sizes
    from affectlab.report.section import exports_view, provenance, run_view

    def build(folder: Path) -> None:
        (folder / "export").mkdir()
        run_record = {
            "experiment": "summary",
            "run": "r",
            "seed": 1,
            "training": {},
            "evaluation": process_record(time.perf_counter(), 1),
        }
        formats = {"onnx": {"bytes": 5, "seconds": {"1": 0.5}}, "torch": {"bytes": 7}}
        export = {"formats": formats, "reference": "torch", "threads": 1}
        for name, value in (
            ("metrics.json", METRICS),
            ("run.json", run_record),
            ("export/export.json", export),
        ):
            (folder / name).write_text(json.dumps(value))

    def read(folder: Path) -> None:
        seed = read_seed(folder, exported=True)
        split_means([seed])
        split_sizes(seed.metrics)
        run_view("r", [seed], {})
        provenance({"r": [seed]})
        exports_view({"r": [seed]})

    return Reader("result_files", build, read, "**/*.json")


def results_table() -> Reader:
    from affectlab.report.results import COLUMNS, results_csv
    from affectlab.report.results_file import read_results
    from affectlab.report.summary import as_markdown, summarise

    def build(folder: Path) -> None:
        (folder / "tables").mkdir()
        row = dict.fromkeys(COLUMNS, "0.5") | {
            "kind": "ours",
            "data_note": "",
            "n": "5",
            "groups": "3",
            "seeds": "1 2",
            **dict.fromkeys(("headline", "below_baseline", "verified"), "True"),
        }
        (folder / "tables" / "results.csv").write_text(results_csv([row, row]))

    def read(folder: Path) -> None:
        rows = read_results(folder)
        summarise(folder, rows)
        as_markdown(rows)

    return Reader("results_table", build, read, "tables/*")


def manifests() -> Reader:
    from affectlab.assets.manifest import manifest_directory, read_manifest
    from affectlab.assets.status import asset_status, generated_data
    from affectlab.evaluation.records import model_identity

    entry = {"sources": [{"kind": "sample", "generator": "g"}]}

    def build(folder: Path) -> None:
        place = folder / "raw" / "d"
        (place / "files").mkdir(parents=True)
        content = {
            "name": "d",
            "kind": "dataset",
            "directory": "files",
            "files": [{"path": "a.txt", "bytes": 1, "sha256": hashlib.sha256(b"a").hexdigest()}],
            "source": {"kind": "sample", "detail": "g", "revision": None},
            "verified": False,
            "notes": [],
        }
        (place / "manifest.json").write_text(json.dumps(content))
        (place / "files" / "a.txt").write_text("a")

    def read(folder: Path) -> None:
        path = folder / "raw" / "d" / "manifest.json"
        asset_status("dataset", "d", entry, None, folder)
        manifest_directory(path)
        generated_data([path])
        model_identity("m", read_manifest(path))

    return Reader("manifest", build, read, "raw/d/*.json")


def history() -> Reader:
    from affectlab.training.history import COLUMNS, read_history, write_history

    def build(folder: Path) -> None:
        row = dict.fromkeys(COLUMNS, 0.5) | {"split": "train"}
        write_history(folder / "history.csv", [row, row])

    return Reader("history", build, lambda f: read_history(f / "history.csv"))


def quarantine() -> Reader:
    from affectlab.files.quarantine import BadRecord, read_quarantine

    def build(folder: Path) -> None:
        row = json.dumps(BadRecord("a.txt", "line 3", "is empty").stored())
        (folder / "bad.jsonl").write_text(f"{row}\n{row}\n")

    return Reader("quarantine", build, lambda f: read_quarantine(f / "bad.jsonl"))


def checkpoint() -> Reader:
    import torch
    from torch import nn

    from affectlab.training.checkpoints import CheckpointFolder, TrainingState
    from affectlab.training.weights import MasterWeights, WeightAverage

    def state() -> TrainingState:
        network = nn.Linear(2, 2)
        weights = MasterWeights(network, torch.float32)
        optimizer = torch.optim.AdamW(network.parameters())
        return TrainingState(
            weights=weights,
            average=WeightAverage(weights, 0.9),
            optimizers=[optimizer],
            device=torch.device("cpu"),
        )

    def build(folder: Path) -> None:
        now = state()
        (next(iter(now.weights.masters.values()))).sum().backward()
        now.optimizers[0].step()
        kept = CheckpointFolder(folder, "owner")
        kept.save(now)
        kept.save_best(now)

    def read(folder: Path) -> None:
        now = state()
        if CheckpointFolder(folder, "owner").restore(now):
            CheckpointFolder(folder, "owner").load_best(now)

    return Reader("checkpoint", build, read)


# Configuration and archives


def configuration() -> Reader:
    from affectlab.config.load import load_config, load_yaml, merge
    from affectlab.config.registries import Registries, load_registries
    from affectlab.experiments import check_config, validate_config

    def build(folder: Path) -> None:
        (folder / "own.yaml").write_text(
            "data_root: null\nexperiments: [emotion]\nemotion:\n"
            "  selected: [tfidf]\n  baseline: tfidf\n"
            "  export: []\n  runs:\n    tfidf:\n      seeds: [1, 2]\n      tfidf:\n        C: 3.0\n"
            "datasets:\n  own:\n    title: Mine\n    version: '1'\n    licence: MIT\n"
            "    terms: none\n"
            "    citation: none\n    access: open\n    layout: emotion\n    sources:\n"
            "    - {kind: sample, generator: emotion}\n"
        )

    base = load_config(PROJECT)
    known = load_registries(PROJECT, base)

    def registries(_: Path, config: dict[str, Any]) -> Registries:
        """What `load_registries` gives, without reading the checkout's files each time."""
        own = {
            name: found if isinstance(found := config.get(name), dict) else {}
            for name in ("datasets", "models")
        }
        datasets, models = known.datasets | own["datasets"], known.models | own["models"]
        return Registries(datasets, models, known.reference_results)

    def read(folder: Path) -> None:
        layer = load_yaml(folder / "own.yaml")
        config = merge(base, layer if isinstance(layer, dict) else {})
        with patch("affectlab.experiments.load_registries", registries):
            check_config(*validate_config(config, PROJECT), folder / "resources")

    return Reader("config", build, read)


def archive(ending: str) -> Reader:
    from affectlab.files.unpacking import extract

    def build(folder: Path) -> None:
        import shutil

        inside = folder / "inside" / "d"
        inside.mkdir(parents=True)
        for name in ("a.txt", "b.csv", "c.json"):
            (inside / name).write_text(name * 50)
        kind = {".zip": "zip", ".tar": "tar", ".tar.gz": "gztar", ".tar.xz": "xztar"}[ending]
        shutil.make_archive(str(folder / "pack"), kind, folder / "inside")
        shutil.rmtree(folder / "inside")

    return Reader(
        f"archive{ending}", build, lambda f: extract(f / f"pack{ending}", f / "out"), "pack*"
    )


def wheel_checkpoint() -> Reader:
    """A directory as `fetch` looks it over before anything is loaded."""
    from affectlab.assets.checkpoints import check_checkpoint
    from affectlab.samples.models import write_tiny_bert

    return Reader(
        "model_files",
        lambda f: write_tiny_bert(f / "m"),
        lambda f: check_checkpoint(f / "m"),
        "m/[cm]*.*",
    )


# Model directories


def tfidf_model() -> Reader:
    from affectlab.emotion.predict import EmotionClassifier

    def build(folder: Path) -> None:
        from affectlab.emotion import tfidf
        from affectlab.emotion.data import CLASSES
        from affectlab.emotion.settings import Tfidf
        from affectlab.samples.emotion import make_sentence

        generator = random.Random(0)
        labels = [name for name in CLASSES for _ in range(4)]
        texts = [make_sentence(generator, name) for name in labels]
        tfidf.save(tfidf.build_pipeline(Tfidf(min_df=1)).fit(texts, labels), folder / "m")

    def read(folder: Path) -> None:
        EmotionClassifier.from_directory(folder / "m").predict(["i feel so happy today"])

    return Reader("emotion_tfidf_model", build, read, "m/*", slow=True)


def tfidf_multilabel_model() -> Reader:
    from affectlab.emotion.predict_multilabel import EmotionMultilabelClassifier

    def build(folder: Path) -> None:
        import numpy as np

        from affectlab.emotion import tfidf_multilabel
        from affectlab.emotion.settings import Tfidf

        texts = ["we laugh and cry", "we laugh", "they cry", "they smile"]
        true = np.array([[1, 1], [1, 0], [0, 1], [0, 0]], bool)
        model = tfidf_multilabel.fit(Tfidf(min_df=1), texts, true, ("joy", "fear"), 0)
        tfidf_multilabel.save(model.with_thresholds(texts, true), folder / "m")

    def read(folder: Path) -> None:
        EmotionMultilabelClassifier.from_directory(folder / "m").predict(["we laugh today"])

    return Reader("emotion_tfidf_multilabel_model", build, read, "m/*", slow=True)


def emotion_model() -> Reader:
    from affectlab.emotion.predict import EmotionClassifier

    def build(folder: Path) -> None:
        from transformers import BertConfig, BertForSequenceClassification

        from affectlab.emotion.data import CLASSES
        from affectlab.samples.models import write_tiny_bert

        write_tiny_bert(folder / "m")
        config = BertConfig.from_pretrained(folder / "m")
        config.id2label = dict(enumerate(CLASSES))
        config.label2id = {name: number for number, name in enumerate(CLASSES)}
        BertForSequenceClassification(config).save_pretrained(folder / "m")

    def read(folder: Path) -> None:
        EmotionClassifier.from_directory(folder / "m", device="cpu").predict(["so happy today"])

    return Reader("emotion_model", build, read, "m/*.*", slow=True)


def entity_model() -> Reader:
    from affectlab.entity.predict import GbertPredictor

    def build(folder: Path) -> None:
        import torch
        from transformers import AutoTokenizer

        from affectlab.entity.heads import Heads
        from affectlab.entity.model import (
            Description,
            EmotionEmbedder,
            load_encoder,
            save_model,
        )
        from affectlab.samples.models import write_tiny_bert

        write_tiny_bert(folder / "base")
        encoder = load_encoder(folder / "base", device=torch.device("cpu"))
        heads = Heads(encoder.config.hidden_size, method="vmf", classes=2)
        description = Description("vmf", "tiny", 64, {}, None, ("calm", "rage"))
        tokenizer = AutoTokenizer.from_pretrained(folder / "base")
        save_model(folder / "m", EmotionEmbedder(encoder, heads), tokenizer, description)

    def read(folder: Path) -> None:
        predictor = GbertPredictor.from_checkpoint(folder / "m", device="cpu")
        predictor.predict("Ada was in love with the old map.", "the old map")

    return Reader("entity_model", build, read, "m/*.*", slow=True)


def face_model(method: str) -> Reader:
    from affectlab.face.predict import FacePredictor

    def build(folder: Path) -> None:
        from affectlab.config.models import typed
        from affectlab.face.interface import Interface
        from affectlab.face.model import build_network, save_network
        from affectlab.face.settings import FaceRun
        from affectlab.samples.models import write_tiny_resnet

        if method == "compact":
            settings: dict[str, Any] = {"widths": [4, 8], "depths": [1, 1], "dropout": 0.0}
            base = None
        else:
            settings = {"image_size": 48, "dropout": 0.0}
            base = folder / "base"
            write_tiny_resnet(base)
        run = typed(FaceRun, {"method": method, "network": settings, "test_time": "flip"})
        save_network(build_network(run, base, Interface()), run, folder / "m")

    def read(folder: Path) -> None:
        predictor = FacePredictor.from_directory(folder / "m", device="cpu")
        predictor.predict(np.zeros((1, 48, 48), np.uint8))

    return Reader(f"face_model_{method}", build, read, "m/*")


def audio_model(target: str) -> Reader:
    from affectlab.audio.predict import PREDICTORS

    stated = {
        "class": {"temperature": 1.0},
        "classes": {"class_thresholds": {"a": 0.5, "b": 0.2}},
    }

    def build(folder: Path) -> None:
        from affectlab.audio.encoders.registry import load_encoder
        from affectlab.audio.model import WARNING, ProbeModel, save

        encoder = load_encoder("logmel", None)
        width = encoder.dim
        facts = {
            "classes": ["a", "b"],
            "encoder": dict(encoder.settings),
            "statistics": ["mean"],
            "task": "label",
            **stated[target],
            "unit": "clip",
            "view": encoder.layers[-1],
            "warning": WARNING,
        }
        layers = [(np.ones((width, 2), np.float32), np.zeros(2, np.float32))]
        ones = np.ones(width, np.float32)
        save(ProbeModel(ones, ones, layers, facts), folder / "m")
        sound(folder / "clip.wav", 0.3)

    def read(folder: Path) -> None:
        PREDICTORS[target].from_directory(folder / "m").predict([folder / "clip.wav"])

    return Reader(f"audio_probe_{target}", build, read, "m/*")


def encoder(kind: str) -> Reader:
    from affectlab.audio.encoders.registry import load_encoder

    def build(folder: Path) -> None:
        from affectlab.samples import audio_models

        getattr(audio_models, f"write_tiny_{kind}")(folder / "m")

    def read(folder: Path) -> None:
        loaded = load_encoder(kind, folder / "m")
        loaded.embed([np.zeros(4000, np.float32)])

    return Reader(f"encoder_{kind}", build, read, "m/*.*", slow=kind in ("whisper", "clap"))


def summary_model() -> Reader:
    from affectlab.summary.predict import CaseSummarizer

    def build(folder: Path) -> None:
        from affectlab.samples.models import write_tiny_qwen3
        from affectlab.summary.model import STORED_SETTINGS
        from affectlab.summary.settings import SummaryRun

        write_tiny_qwen3(folder / "m")
        run = SummaryRun(max_length=256, max_answer_tokens=8, merge=True)
        stored = run.model_dump(include=set(STORED_SETTINGS))
        settings = {"task": "fields", "base_model": "tiny", **stored}
        (folder / "m" / "summary.json").write_text(json.dumps(settings))

    def read(folder: Path) -> None:
        CaseSummarizer.from_directory(folder / "m", device="cpu")

    return Reader("summary_model", build, read, "m/*.*", slow=True)


def data_readers() -> dict[str, Callable[[], Reader]]:
    """Readers of data, results and configuration: name -> a function that makes the reader."""
    made: list[tuple[str, Callable[[], Reader]]] = [
        *(
            (f"emotion_{kind}", lambda kind=kind: emotion(kind))
            for kind in ("semicolon", "csv", "jsonl", "jsonl_gz", "parquet")
        ),
        ("emotion_records", emotion_records),
        ("emotion_label_sets", emotion_label_sets),
        *(
            (kind, lambda kind=kind: entity(kind))
            for kind in ("entity_spans", "goemotions", "goemotions_spans")
        ),
        ("entity_records", entity_records),
        *(
            (f"face_{kind}", lambda kind=kind: face(kind))
            for kind in ("csv", "icml", "folder", "zip")
        ),
        ("face_names", lambda: face("folder", renamed=True)),
        ("face_votes", face_votes),
        ("face_stored", face_stored),
        *(
            (f"image{end}", lambda end=end: image(end))
            for end in (".png", ".jpg", ".bmp", ".webp", ".tif")
        ),
        ("summary_longemotion", lambda: summary("longemotion")),
        ("summary_psyqa", lambda: summary("psyqa")),
        ("summary_records", summary_records),
        ("summary_requests", summary_requests),
        ("audio_eatd", lambda: audio("eatd", build_eatd, "raw/**/*.txt")),
        ("audio_eatd_names", lambda: audio("eatd", build_eatd, "raw/**/*", renamed=True)),
        (
            "audio_ravdess_names",
            lambda: audio("ravdess", build_ravdess, "raw/**/*.wav", renamed=True),
        ),
        ("audio_emodb_names", lambda: audio("emodb", build_emodb, "raw/**/*.wav", renamed=True)),
        ("audio_manifest", lambda: audio("audio_manifest", build_manifest, "raw/*.csv")),
        (
            "audio_manifest_names",
            lambda: audio("audio_manifest", build_manifest, "raw/**/*", renamed=True),
        ),
        ("audio_label_sets", audio_label_sets),
        ("audio_records", audio_records),
        *(
            (f"sound{end}", lambda end=end: recording(end))
            for end in (".wav", ".flac", ".ogg", ".mp3")
        ),
        ("embeddings", store),
        *((f"foreign{end}", lambda end=end: foreign(end)) for end in (".npz", ".npy", ".parquet")),
        ("predictions", predictions),
        ("face_predictions", face_predictions),
        ("audio_predictions", audio_predictions),
        ("entity_predictions", entity_predictions),
        ("summary_answers", summary_answers),
        ("judge_reply", judge_reply),
        ("judge_cache", judge_cache),
        ("result_files", result_files),
        ("results_table", results_table),
        ("manifest", manifests),
        ("history", history),
        ("quarantine", quarantine),
        ("checkpoint", checkpoint),
        ("config", configuration),
        *(
            (f"archive{end}", lambda end=end: archive(end))
            for end in (".zip", ".tar", ".tar.gz", ".tar.xz")
        ),
        ("model_files", wheel_checkpoint),
    ]
    return dict(made)


def model_readers() -> dict[str, Callable[[], Reader]]:
    """Readers of model directories, which load networks and take longer."""
    made: list[tuple[str, Callable[[], Reader]]] = [
        ("emotion_tfidf_model", tfidf_model),
        ("emotion_tfidf_multilabel_model", tfidf_multilabel_model),
        ("emotion_model", emotion_model),
        ("entity_model", entity_model),
        ("face_model_compact", lambda: face_model("compact")),
        ("face_model_backbone", lambda: face_model("backbone")),
        ("audio_probe_class", lambda: audio_model("class")),
        ("audio_probe_classes", lambda: audio_model("classes")),
        *(
            (f"encoder_{kind}", lambda kind=kind: encoder(kind))
            for kind in ("whisper", "qwen2_audio", "clap", "ge2e")
        ),
        ("summary_model", summary_model),
    ]
    return dict(made)
