"""A run that predicts numbers, from records and vectors to scores, comparison and card."""

import json

import numpy as np
import pytest
import soundfile
from card_checks import check_front_matter
from scored_runs import BOOTSTRAP, SCHEMAS, scored_run

from affectlab.audio.audit import write_audit
from affectlab.audio.card import write_card
from affectlab.audio.compare import compare
from affectlab.audio.convert import Outputs, convert
from affectlab.audio.data import read_clips
from affectlab.audio.evaluate import evaluate
from affectlab.audio.experiment import run_probe
from affectlab.audio.settings import AudioRun, Encoder, Probe
from affectlab.audio.store import Embeddings, write_embeddings
from affectlab.files.io import read_json, read_jsonl

RATE = 8000
NAMES = ["valence", "arousal"]
ENTRY = {
    "layout": "audio_folder",
    "target": "numbers",
    "columns": {"label": NAMES},
    "split": {"test": 0.3, "validation": 0.1},
}
RECIPE = AudioRun(
    task="label",
    data="rated",
    encoder="made",
    probe=Probe(strengths=[0.01, 0.1], outer_folds=4, inner_folds=3, repeats=2, permutations=10),
)


def write_corpus(root, subjects=20, takes=2, stated=True):
    """Clips of noise with numbers; the folder of the recordings."""
    generator = np.random.default_rng(0)
    (root / "audio").mkdir(parents=True)
    rows = ["file_name,valence,arousal" + (",subject" if stated else "")]
    for number in range(subjects * takes):
        name = f"audio/{number:02d}.wav"
        sound = generator.normal(0, generator.uniform(0.05, 0.2), RATE // 4)
        soundfile.write(root / name, np.clip(sound, -0.9, 0.9), RATE)
        cells = [f"{one:.3f}" for one in generator.normal([5, 50], [1, 10])]
        subject = [f"S{number // takes:02d}"] if stated else []
        rows.append(",".join([name, *cells, *subject]))
    (root / "metadata.csv").write_text("\n".join(rows) + "\n")


def fitted(folder, stated=True):
    """Everything up to the scores, in *folder*."""
    write_corpus(folder / "raw", stated=stated)
    records, description = folder / "records.jsonl", folder / "description.json"
    outputs = Outputs(records, folder / "bad.jsonl", description)
    convert(folder / "raw", outputs, ENTRY, "fail")
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
    """Two layers; the second one knows the valence."""
    generator = np.random.default_rng(1)
    vectors = generator.normal(size=(len(clips), 2, 2, 6)).astype(np.float32)
    vectors[:, 1, 0, 0] += [clip.values["valence"] * 3 for clip in clips]
    ids, subjects = zip(*((clip.id, clip.subject) for clip in clips), strict=True)
    provenance = {"encoder": {"name": "made", "kind": "whisper"}}
    return Embeddings(ids, subjects, ("",) * len(ids), ("0", "1"), vectors, provenance)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return fitted(tmp_path_factory.mktemp("numbers"))


def test_every_scheme_predicts_its_items_in_units_of_the_data(run):
    rows = list(read_jsonl(run / "predictions.jsonl"))
    schemes = {row["scheme"] for row in rows}
    trivial = {"duration", "loudness", "conditions"}
    views = {"view_0", "view_1", "view_mix"}
    assert schemes == {"grouped", "clip_random", "official", *trivial, *views}
    values = [row["prediction"]["arousal"] for row in rows if row["scheme"] == "grouped"]
    assert np.mean(values) == pytest.approx(50, abs=5)
    tested = {row["id"] for row in rows if row["scheme"] == "official"}
    assert tested == {clip.id for clip in read_clips(run / "records.jsonl") if clip.split == "test"}


def test_the_official_scheme_has_the_mean_of_the_training_split(run):
    clips = read_clips(run / "records.jsonl")
    train = [clip.values["arousal"] for clip in clips if clip.split == "train"]
    rows = [row for row in read_jsonl(run / "predictions.jsonl") if row["scheme"] == "official"]
    (found,) = {row["training_mean"]["arousal"] for row in rows}
    assert found == pytest.approx(np.mean(train), rel=1e-6)


def test_scores_have_baselines_and_the_run_a_hash_of_its_folds(run):
    record = read_json(run / "metrics.json")
    assert record["data"]["numbers"] == NAMES
    assert record["metrics"]["valence_ccc"]["value"] > 0.5
    assert record["other_splits"]["view_1"]["metrics"]["valence_ccc"]["value"] > 0.7
    assert abs(record["other_splits"]["view_0"]["metrics"]["valence_ccc"]["value"]) < 0.5
    for name, entry in record["metrics"].items():
        assert entry["ci"][0] < entry["value"] < entry["ci"][1], name
        assert entry["baseline"] is not None
    official = record["other_splits"]["official"]["metrics"]["mae"]["baseline"]
    assert official["name"] == "training_mean"
    assert len(record["details"]["folds_sha256"]) == 64
    assert record["details"]["permutation"]["p"] <= 1
    assert {"scheme", "temperature"}.isdisjoint(record["details"]["choices"][0])
    text = (run / "results.txt").read_text()
    assert "numbers valence, arousal, 2 repeats" in text
    assert "permutation test (10): CCC" in text
    for name in ("predicted_values", "schemes", "layers"):
        assert (run / "figures" / f"{name}.svg").stat().st_size > 0


def test_a_run_is_compared_with_itself(run):
    metrics = read_json(run / "metrics.json")
    other = run / "other.json"
    other.write_text(json.dumps(metrics | {"run": "other"}))
    compare(
        metrics_paths=[run / "metrics.json", other],
        predictions_paths=[run / "predictions.jsonl"] * 2,
        data_paths={"rated": (run / "records.jsonl", run / "measures.jsonl")},
        baseline=None,
        bootstrap=BOOTSTRAP,
        schema=SCHEMAS / "comparison.schema.json",
        output_path=run / "comparison.json",
        forest_path=run / "figures" / "forest",
    )
    found = read_json(run / "comparison.json")
    assert found["headline"] == ["ccc", "mae"]
    (pair,) = found["pairs"]
    assert pair["differences"]["ccc"]["value"] == 0
    assert (run / "figures" / "forest.svg").stat().st_size > 0


def card_of(folder):
    write_card(
        metrics_path=folder / "metrics.json",
        audit_path=folder / "audit.json",
        recipe=RECIPE,
        dataset={"licence": "x", "terms": "y", "citation": "z", "title": "rated", "sources": []},
        encoder=Encoder(kind="logmel"),
        model=None,
        model_manifest_path=None,
        card_path=folder / "card.md",
        example_path=folder / "example.py",
        licence_path=folder / "LICENSE.md",
    )
    return (folder / "card.md").read_text()


def test_the_card_describes_numbers(run):
    card = card_of(run)
    assert "the numbers that a recording is rated with\n(valence, arousal)" in card
    assert "The concordance correlation coefficient (CCC) is 1 for perfect predictions" in card
    assert "calibration error" not in card
    assert "UAR" not in card
    front = check_front_matter(card).data
    # The hub has no task for numbers of recordings, and no metric for concordance.
    assert front.pipeline_tag is None
    assert front.metrics == ["mae"]
    assert [one.metric_name for one in front.eval_results] == ["concordance", "mean absolute error"]
    assert "AudioRegressor" in (run / "example.py").read_text()


def test_clips_without_subjects_are_items_and_the_card_warns(tmp_path):
    folder = fitted(tmp_path, stated=False)
    record = read_json(folder / "metrics.json")
    assert record["data"]["groups"] == record["data"]["n"] == 40
    card = card_of(folder)
    assert "who speaks is not stated" in card
    assert "The data do not tell who speaks. Clips of one person can be in training and" in card
