"""A run that predicts several classes, from records and vectors to scores, comparison and card."""

import json

import numpy as np
import pytest
import soundfile
from card_checks import check_front_matter
from scored_runs import BOOTSTRAP, SCHEMAS, scored_run
from sklearn.metrics import average_precision_score, f1_score

from affectlab.audio.audit import write_audit
from affectlab.audio.card import write_card
from affectlab.audio.compare import compare
from affectlab.audio.convert import Outputs, convert
from affectlab.audio.data import read_clips
from affectlab.audio.evaluate import evaluate
from affectlab.audio.experiment import run_probe
from affectlab.audio.label_set_predictions import read_set_predictions
from affectlab.audio.predictions import read_corpus
from affectlab.audio.settings import AudioRun, Encoder, Probe
from affectlab.audio.store import Embeddings, write_embeddings
from affectlab.errors import DataError
from affectlab.files.io import read_json, read_jsonl, write_jsonl

RATE = 8000
NAMES = ["calm", "glad", "sad"]
ENTRY = {
    "layout": "audio_folder",
    "target": "classes",
    "columns": {"label": "moods"},
    "split": {"test": 0.3, "validation": 0.1},
}
RECIPE = AudioRun(
    task="label",
    data="tagged",
    encoder="made",
    probe=Probe(strengths=[0.01, 0.1], outer_folds=4, inner_folds=3, repeats=2, permutations=10),
)


def write_corpus(root, subjects=20, takes=3, stated=True):
    """Clips of noise, each with any of three classes."""
    generator = np.random.default_rng(0)
    (root / "audio").mkdir(parents=True)
    rows = ["file_name,moods" + (",subject" if stated else "")]
    for number in range(subjects * takes):
        name = f"audio/{number:02d}.wav"
        sound = generator.normal(0, generator.uniform(0.05, 0.2), RATE // 4)
        soundfile.write(root / name, np.clip(sound, -0.9, 0.9), RATE)
        has = generator.random(3) < [0.5, 0.4, 0.3]
        cell = ";".join(one for one, own in zip(NAMES, has, strict=True) if own)
        subject = [f"S{number // takes:02d}"] if stated else []
        rows.append(",".join([name, cell, *subject]))
    (root / "metadata.csv").write_text("\n".join(rows) + "\n")


def fitted(folder, stated=True):
    """Everything up to the scores, in *folder*."""
    write_corpus(folder / "raw", stated=stated)
    records, description = folder / "records.jsonl", folder / "description.json"
    convert(folder / "raw", Outputs(records, folder / "bad.jsonl", description), ENTRY, "fail")
    data = {"records_path": records, "measures_path": folder / "measures.jsonl"}
    write_audit(
        **data,
        quarantine_path=folder / "bad.jsonl",
        description_path=description,
        raw_directory=folder / "raw",
        audit_path=folder / "audit.json",
        expected={},
        on_bad_record="fail",
        threads=1,
    )
    clips = read_clips(records)
    write_embeddings(folder / "embeddings.npz", embeddings_of(clips))
    products = {
        "predictions_path": folder / "predictions.jsonl",
        "details_path": folder / "details.json",
        "model_directory": folder / "model",
    }
    run_probe(
        **data,
        **products,
        description_path=description,
        training_path=folder / "training.json",
        embeddings_path=folder / "embeddings.npz",
        recipe=RECIPE,
        seed=0,
        threads=1,
    )
    evaluate(
        scored_run(folder, RECIPE, training_path=folder / "training.json"),
        **products,
        **data,
        text_path=folder / "results.txt",
        figures=folder / "figures",
    )
    return folder


def embeddings_of(clips):
    """Two layers; the second one knows whether a clip is calm."""
    generator = np.random.default_rng(1)
    vectors = generator.normal(size=(len(clips), 2, 2, 6)).astype(np.float32)
    vectors[:, 1, 0, 0] += [9 * ("calm" in clip.classes) for clip in clips]
    ids, subjects = zip(*((clip.id, clip.subject) for clip in clips), strict=True)
    provenance = {"encoder": {"name": "made", "kind": "whisper"}}
    return Embeddings(ids, subjects, ("",) * len(ids), ("0", "1"), vectors, provenance)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return fitted(tmp_path_factory.mktemp("label_sets"))


def rows_of(run, scheme):
    return [row for row in read_jsonl(run / "predictions.jsonl") if row["scheme"] == scheme]


def has(labels):
    return np.array([[name in own for name in NAMES] for own in labels])


def test_every_scheme_decides_by_thresholds(run):
    rows = list(read_jsonl(run / "predictions.jsonl"))
    trivial = {"duration", "loudness", "conditions"}
    views = {"view_0", "view_1", "view_mix"}
    schemes = {row["scheme"] for row in rows}
    assert schemes == {"grouped", "clip_random", "official", *trivial, *views}
    for row in rows:
        reached = [name for name in NAMES if row["probabilities"][name] >= row["thresholds"][name]]
        assert row["prediction"] == reached
    tested = {row["id"] for row in rows if row["scheme"] == "official"}
    assert tested == {clip.id for clip in read_clips(run / "records.jsonl") if clip.split == "test"}


def test_the_official_scheme_has_the_priors_of_the_training_split(run):
    clips = read_clips(run / "records.jsonl")
    train = has([clip.classes for clip in clips if clip.split == "train"])
    for row in rows_of(run, "official"):
        shares = [row["class_shares"][name] for name in NAMES]
        assert shares == pytest.approx(train.mean(axis=0), rel=1e-6)


def test_scores_are_those_of_scikit_learn_as_means_over_the_repeats(run):
    metrics = read_json(run / "metrics.json")["metrics"]
    found = {"macro_f1": [], "micro_f1": [], "exact_match": [], "mean_average_precision": []}
    for repeat in range(2):
        rows = [row for row in rows_of(run, "grouped") if row["repeat"] == repeat]
        true, decided = (has([row[field] for row in rows]) for field in ("labels", "prediction"))
        probabilities = np.array([list(row["probabilities"].values()) for row in rows])
        found["macro_f1"].append(f1_score(true, decided, average="macro"))
        found["micro_f1"].append(f1_score(true, decided, average="micro"))
        found["exact_match"].append((true == decided).all(axis=1).mean())
        precision = average_precision_score(true, probabilities, average="macro")
        found["mean_average_precision"].append(precision)
    assert set(metrics) == set(found)
    for name, values in found.items():
        assert metrics[name]["value"] == pytest.approx(np.mean(values), rel=1e-6)


def test_scores_have_intervals_baselines_and_the_scores_of_each_class(run):
    record = read_json(run / "metrics.json")
    assert (record["data"]["classes"], record["data"]["target"]) == (NAMES, "classes")
    for name, entry in record["metrics"].items():
        assert entry["ci"][0] < entry["value"] < entry["ci"][1], name
        assert entry["baseline"] is not None
    assert record["per_class"]["calm"]["f1"] > 0.9
    assert record["per_class"]["calm"]["average_precision"] > 0.9
    assert record["per_class"]["sad"]["average_precision"] < 0.7
    scores = {name: one["metrics"]["macro_f1"] for name, one in record["other_splits"].items()}
    assert scores["view_1"]["value"] > scores["view_0"]["value"]
    assert record["details"]["halves"] is None
    assert record["details"]["permutation"]["p"] <= 2 / 11
    assert set(record["details"]["choices"][0]["class_thresholds"]) == set(NAMES)
    text = (run / "results.txt").read_text()
    assert "3 classes, any of them for each item, 2 repeats" in text
    assert "permutation test (10): mean average precision" in text
    for name in ("precision_recall", "schemes", "layers"):
        assert (run / "figures" / f"{name}.svg").stat().st_size > 0


def test_the_baseline_is_the_strongest_of_all(run):
    """That of exact match, by its definition, over the repeats."""
    record = read_json(run / "metrics.json")
    sets = [
        tuple(name for name in NAMES if row["commonest_set"][name])
        for row in (rows_of(run, "grouped"))
    ]
    rows = rows_of(run, "grouped")
    commonest = np.mean([tuple(row["labels"]) == own for row, own in zip(rows, sets, strict=True)])
    others = record["other_splits"]
    probes = [
        others[name]["metrics"]["exact_match"]["value"]
        for name in ("duration", "loudness", "conditions")
    ]
    found = record["metrics"]["exact_match"]["baseline"]["value"]
    assert found >= max(commonest, *probes) - 1e-7


def test_a_run_is_compared_with_itself(run):
    metrics = read_json(run / "metrics.json")
    other = run / "other.json"
    other.write_text(json.dumps(metrics | {"run": "other"}))
    compare(
        metrics_paths=[run / "metrics.json", other],
        predictions_paths=[run / "predictions.jsonl"] * 2,
        data_paths={"tagged": (run / "records.jsonl", run / "measures.jsonl")},
        baseline=None,
        bootstrap=BOOTSTRAP,
        schema=SCHEMAS / "comparison.schema.json",
        output_path=run / "comparison.json",
        forest_path=run / "figures" / "forest",
    )
    found = read_json(run / "comparison.json")
    assert found["headline"] == ["macro_f1", "exact_match"]
    (pair,) = found["pairs"]
    assert pair["differences"]["macro_f1"]["value"] == 0
    assert (run / "figures" / "forest.svg").stat().st_size > 0


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"labels": ["calm", "calm"]}, "labels: expected different texts"),
        ({"labels": ["merry"]}, "labels: expected some of"),
        ({"thresholds": {"calm": 0.5}}, "thresholds: expected a number for each of"),
        ({"class_shares": None}, "class_shares: expected in all predictions of grouped"),
    ],
)
def test_predictions_of_label_sets_are_checked(run, tmp_path, changes, problem):
    rows = rows_of(run, "grouped")
    rows[1] = {key: one for key, one in {**rows[1], **changes}.items() if one is not None}
    write_jsonl(tmp_path / "predictions.jsonl", rows, sealed=True)
    corpus = read_corpus(run / "records.jsonl", run / "measures.jsonl", "label", "clip")
    with pytest.raises(DataError, match=problem):
        read_set_predictions(tmp_path / "predictions.jsonl", NAMES, corpus, "grouped")


def test_labels_that_are_not_those_of_the_records_are_refused(run, tmp_path):
    rows = rows_of(run, "grouped")
    rows[1]["labels"] = [name for name in NAMES if name not in rows[1]["labels"]]
    write_jsonl(tmp_path / "predictions.jsonl", rows, sealed=True)
    corpus = read_corpus(run / "records.jsonl", run / "measures.jsonl", "label", "clip")
    with pytest.raises(DataError, match="the labels are not those of the records"):
        read_set_predictions(tmp_path / "predictions.jsonl", NAMES, corpus, "grouped")


def card_of(folder):
    write_card(
        metrics_path=folder / "metrics.json",
        audit_path=folder / "audit.json",
        recipe=RECIPE,
        dataset={"licence": "x", "terms": "y", "citation": "z", "title": "tagged", "sources": []},
        encoder=Encoder(kind="logmel"),
        model=None,
        model_manifest_path=None,
        card_path=folder / "card.md",
        example_path=folder / "example.py",
        licence_path=folder / "LICENSE.md",
    )
    return (folder / "card.md").read_text()


def test_the_card_describes_several_classes(run):
    card = card_of(run)
    assert "which classes a recording is labelled with\n(calm, glad, sad)" in card
    assert "A recording may have several classes, or none." in card
    assert "The probe was not fitted again to halves of the\nsubjects." in card
    assert "calibration error" not in card
    assert "UAR" not in card
    assert check_front_matter(card).data.metrics == ["f1", "exact_match"]
    example = (run / "example.py").read_text()
    assert "AudioMultilabelProbe" in example
    assert "found.labels, found.probabilities" in example
    compile(example, "example.py", "exec")


def test_clips_without_subjects_are_items_and_the_card_warns(tmp_path):
    folder = fitted(tmp_path, stated=False)
    record = read_json(folder / "metrics.json")
    assert record["data"]["groups"] == record["data"]["n"] == 60
    assert "who speaks is not stated" in card_of(folder)
