"""From a corpus to an answer about a recording, with the encoder that has no weights."""

import json
import shutil
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from blocks import changed
from card_checks import check_front_matter
from example_programs import run_example
from predictor_checks import check_predictor
from scored_runs import scored_run

from affectlab import cli
from affectlab.audio import settings
from affectlab.audio.audit import write_audit
from affectlab.audio.card import write_card
from affectlab.audio.convert import Outputs, convert
from affectlab.audio.encoders import kinds
from affectlab.audio.evaluate import evaluate
from affectlab.audio.experiment import run_probe
from affectlab.audio.model import load
from affectlab.audio.pipeline import embed_shard, gather_shards
from affectlab.audio.predict import AudioProbe
from affectlab.audio.settings import AudioRun, Encoder, Probe
from affectlab.audio.store import VERSION, read_embeddings, write_embeddings
from affectlab.config.checks import misplaced_keys
from affectlab.config.models import given
from affectlab.config.registries import Registries
from affectlab.errors import DataError, UserError
from affectlab.files.io import read_json, read_jsonl, write_json, write_jsonl
from affectlab.samples.audio import write_corpus
from affectlab.samples.audio_models import write_tiny_whisper

pytestmark = pytest.mark.usefixtures("edited_models")

RECIPE = AudioRun(
    task="3emo",
    data="eatd_sample",
    encoder="logmel",
    probe=Probe(
        combine="choose",
        strengths=[0.01, 1.0],
        outer_folds=3,
        inner_folds=2,
        repeats=2,
        permutations=5,
    ),
)
SPEC = Encoder(kind="logmel")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    write_corpus(folder / "raw", subjects=8)
    records, quarantine = folder / "records.jsonl", folder / "bad.jsonl"
    description = folder / "description.json"
    outputs = Outputs(records, quarantine, description)
    convert(folder / "raw", outputs, {"layout": "eatd"}, "fail")
    data = {"records_path": records, "measures_path": folder / "measures.jsonl"}
    write_audit(
        records_path=records,
        quarantine_path=quarantine,
        description_path=description,
        raw_directory=folder / "raw",
        audit_path=folder / "audit.json",
        measures_path=folder / "measures.jsonl",
        expected={},
        on_bad_record="fail",
        threads=1,
    )
    parts = [folder / f"shard{number}.npz" for number in range(2)]
    for number, path in enumerate(parts):
        embed_shard(
            **data,
            raw_directory=folder / "raw",
            model_manifest_path=None,
            name="logmel",
            spec=SPEC,
            number=number,
            of=2,
            threads=1,
            cache=folder / "cache",
            output_path=path,
        )
    gather_shards(
        **data,
        shard_paths=parts,
        cache=folder / "cache",
        output_path=folder / "embeddings.npz",
    )
    fitted = {
        "predictions_path": folder / "predictions.jsonl",
        "details_path": folder / "details.json",
        "model_directory": folder / "model",
    }
    run_probe(
        **data,
        **fitted,
        description_path=description,
        training_path=folder / "training.json",
        embeddings_path=folder / "embeddings.npz",
        recipe=RECIPE,
        seed=0,
        threads=1,
    )
    evaluate(
        scored_run(folder, RECIPE, training_path=folder / "training.json"),
        **fitted,
        **data,
        text_path=folder / "results.txt",
        figures=folder / "figures",
    )
    return folder


def clips(run):
    return sorted((run / "raw").rglob("*_out.wav"))


def test_a_probe_answers_about_recordings(run):
    probe = AudioProbe.from_directory(run / "model")
    answers = probe.predict(clips(run))
    assert [answer.file for answer in answers] == [str(path) for path in clips(run)]
    assert all(sum(a.probabilities.values()) == pytest.approx(1) for a in answers)
    # It was fitted to these very clips.
    right = [
        answer.label == path.name.split("_")[0]
        for answer, path in zip(answers, clips(run), strict=True)
    ]
    assert np.mean(right) > 0.6
    assert "Not a diagnostic instrument" in probe.warning
    assert probe.predict([]) == []


def test_silence_is_answered_about_too(run, tmp_path):
    """Its log-mel frames are all the same, so that their deviation is 0."""
    soundfile.write(tmp_path / "silence.wav", np.zeros(16000), 16000)
    answers = AudioProbe.from_directory(run / "model").predict([tmp_path / "silence.wav"])
    assert sum(answers[0].probabilities.values()) == pytest.approx(1)


def test_the_command_line_warns_and_answers(run, capsys):
    files = [str(path) for path in clips(run)[:2]]
    assert cli.main(["predict", "audio", "--model", str(run / "model"), *files]) == 0
    printed = capsys.readouterr()
    assert [json.loads(line)["file"] for line in printed.out.splitlines()] == files
    assert "Not a diagnostic instrument" in printed.err


def test_what_cannot_be_asked_is_named(run, tmp_path):
    with pytest.raises(UserError, match="not the model directory of an audio run"):
        AudioProbe.from_directory(tmp_path)
    (tmp_path / "a.wav").write_text("<html>")
    with pytest.raises(DataError, match="a web page"):
        AudioProbe.from_directory(run / "model").predict([tmp_path / "a.wav"])
    facts = read_json(run / "model" / "probe.json")
    facts["encoder"] = {"kind": "whisper", "model": "whisper-base"}
    write_json(tmp_path / "probe.json", facts)
    (tmp_path / "probe.safetensors").write_bytes((run / "model/probe.safetensors").read_bytes())
    with pytest.raises(UserError, match="name the directory of its encoder, whisper-base"):
        AudioProbe.from_directory(tmp_path)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda facts: 7, r"probe\.json: lacks classes, encoder, .*: not an audio probe"),
        (lambda facts: facts | {"encoder": {}}, r"probe\.json, encoder: expected an object that"),
        (lambda facts: facts | {"encoder": "logmel"}, r"probe\.json, encoder: expected an object"),
        (lambda facts: facts | {"encoder": {"kind": "ge2e"}}, "directory of its encoder, ge2e"),
        (lambda facts: facts | {"statistics": ["x", "y"]}, "statistics: expected mean or std"),
    ],
)
def test_a_spoilt_probe_is_named(run, tmp_path, spoil, message):
    shutil.copytree(run / "model", tmp_path / "model")
    stored = read_json(tmp_path / "model" / "probe.json")
    write_json(tmp_path / "model" / "probe.json", spoil(stored))
    with pytest.raises(UserError, match=message):
        AudioProbe.from_directory(tmp_path / "model")


@pytest.mark.parametrize("facts", [{"view": "layer5"}, {"view": "mix", "statistics": ["mean"]}])
def test_an_encoder_that_is_not_the_probes_own_is_refused(run, tmp_path, facts):
    shutil.copytree(run / "model", tmp_path / "model")
    stored = read_json(tmp_path / "model" / "probe.json")
    write_json(tmp_path / "model" / "probe.json", stored | facts)
    message = r"fitted to 160 features of logmel, .*; this encoder gives 80 a layer, for logmel"
    with pytest.raises(UserError, match=message):
        AudioProbe.from_directory(tmp_path / "model")


def test_other_weights_of_the_same_shape_are_refused(run, tmp_path):
    for seed in (0, 1):
        write_tiny_whisper(tmp_path / f"seed{seed}", seed)
    source = {"kind": "local", "revision": "1"}
    manifest = {"directory": "seed0", "files": [], "source": source}
    write_json(tmp_path / "manifest.json", manifest)
    embed_shard(
        records_path=run / "records.jsonl",
        measures_path=run / "measures.jsonl",
        raw_directory=run / "raw",
        model_manifest_path=tmp_path / "manifest.json",
        name="whisper",
        spec=Encoder(kind="whisper", model="tiny"),
        number=0,
        of=1,
        threads=1,
        cache=tmp_path / "cache",
        output_path=tmp_path / "embeddings.npz",
    )
    run_probe(
        records_path=run / "records.jsonl",
        measures_path=run / "measures.jsonl",
        description_path=run / "description.json",
        embeddings_path=tmp_path / "embeddings.npz",
        recipe=changed(RECIPE, encoder="whisper"),
        seed=0,
        threads=1,
        predictions_path=tmp_path / "predictions.jsonl",
        details_path=tmp_path / "details.json",
        training_path=tmp_path / "training.json",
        model_directory=tmp_path / "model",
    )
    AudioProbe.from_directory(tmp_path / "model", encoder=tmp_path / "seed0")
    with pytest.raises(UserError, match="seed1: its weights are not those of tiny"):
        AudioProbe.from_directory(tmp_path / "model", encoder=tmp_path / "seed1")

    # The example finds the encoder where the workflow did, wherever it is started.
    entry = {"title": "T", "licence": "L", "terms": "X", "citation": "C", "sources": []}
    write_card(
        metrics_path=run / "metrics.json",
        audit_path=run / "audit.json",
        recipe=changed(RECIPE, encoder="whisper"),
        dataset=entry,
        encoder=Encoder(kind="whisper", model="tiny"),
        model=entry,
        model_manifest_path=tmp_path / "manifest.json",
        card_path=tmp_path / "card.md",
        example_path=tmp_path / "inference_example.py",
        licence_path=tmp_path / "LICENSE.md",
    )
    (line,) = run_example(tmp_path, clips(run)[0])
    (answer,) = AudioProbe.from_directory(tmp_path / "model", encoder=tmp_path / "seed0").predict(
        clips(run)[:1]
    )
    assert line == f"{answer.file} {answer.label} {answer.probabilities}"


def test_what_embeddings_are_of_is_stored_with_them(run):
    provenance = dict(read_embeddings(run / "embeddings.npz").provenance)
    assert provenance.pop("encoder")["kind"] == "logmel"
    assert provenance == {"rate": 16_000, "window": 480_000, "version": VERSION}


def test_answers_that_listen_to_nothing_are_printed_beside(run):
    text = (run / "results.txt").read_text()
    for answer in ("negative", "neutral", "positive"):
        assert f"always {answer}: uar 0.3333, accuracy 0.3333, macro_f1 0.1667" in text


def test_the_card_says_what_it_is_not(run):
    entry = {"title": "T", "licence": "L", "terms": "X", "citation": "C", "sources": []}
    write_json(run / "differs.json", {"expected": [{"what": "clips", "status": "differs"}]})
    write_card(
        metrics_path=run / "metrics.json",
        audit_path=run / "differs.json",
        recipe=RECIPE,
        dataset=entry,
        encoder=SPEC,
        model=None,
        model_manifest_path=None,
        card_path=run / "card.md",
        example_path=run / "inference_example.py",
        licence_path=run / "LICENSE.md",
    )
    text = (run / "card.md").read_text()
    assert "Not a diagnostic instrument" in text
    assert "it differs in clips." in text
    assert check_front_matter(text).data.metrics == ["recall", "accuracy"]
    assert "clips split at random" in text
    printed = run_example(run, *clips(run)[:2])
    answers = AudioProbe.from_directory(run / "model").predict(clips(run)[:2])
    assert printed == [f"{one.file} {one.label} {one.probabilities}" for one in answers]


def with_probe(**values):
    """The recipe with other settings of its probe."""
    return changed(RECIPE, probe=given(RECIPE.probe) | values)


def probed(run, folder, recipe, **paths):
    """Fit another recipe to the embeddings of the run; return its details."""
    files = {
        "records_path": run / "records.jsonl",
        "measures_path": run / "measures.jsonl",
        "description_path": run / "description.json",
        "embeddings_path": run / "embeddings.npz",
        "predictions_path": folder / "predictions.jsonl",
        "details_path": folder / "details.json",
        "training_path": folder / "training.json",
        "model_directory": folder / "model",
    }
    run_probe(**files | paths, recipe=recipe, seed=0, threads=1)
    return read_json(folder / "details.json")


@pytest.mark.parametrize(("kind", "width"), [("logmel", 160), ("clap", 80), ("precomputed", 80)])
def test_deviations_between_windows_are_no_features(run, tmp_path, kind, width):
    """Here every clip has some, as if each had several windows."""
    stored = read_embeddings(run / "embeddings.npz")
    assert stored.vectors[:, :, 1].any()
    write_embeddings(
        tmp_path / "embeddings.npz", replace(stored, provenance={"encoder": {"kind": kind}})
    )
    probed(run, tmp_path, RECIPE, embeddings_path=tmp_path / "embeddings.npz")
    model = load(tmp_path / "model")
    assert model.facts["statistics"] == (["mean", "std"] if kind == "logmel" else ["mean"])
    assert len(model.mean) == width


@pytest.mark.parametrize("kind", [str, Path])
def test_one_path_has_one_prediction(run, kind):
    probe = AudioProbe.from_directory(run / "model")
    path = clips(run)[0]
    assert probe.predict(kind(path)) == probe.predict([path])[0]


def test_a_probe_of_deviations_alone_is_asked_about_deviations(run, tmp_path):
    probed(run, tmp_path, with_probe(statistics=["std"]))
    stored = read_embeddings(run / "embeddings.npz")
    expected = load(tmp_path / "model").probabilities(stored.vectors[:, 0, 1])
    files = {f"{path.parent.name}_{path.name[:-8]}": path for path in clips(run)}
    answers = AudioProbe.from_directory(tmp_path / "model").predict(
        [files[name] for name in stored.ids]
    )
    found = [list(answer.probabilities.values()) for answer in answers]
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("repeat", ["corrected", "pooled"])
def test_a_leak_is_shown_on_clips_even_where_subjects_are_pooled(run, tmp_path, repeat):
    unit = "clip" if repeat == "corrected" else "subject"
    recipe = changed(RECIPE, task="2dep", unit=unit)
    found = probed(run, tmp_path, recipe)
    schemes = defaultdict(set)
    for row in read_jsonl(tmp_path / "predictions.jsonl"):
        schemes[row["scheme"]].add(row["id"])
    assert len(schemes["grouped"]) == (24 if repeat == "corrected" else 8)
    # With one item a subject nothing could leak, and nobody could be recognised.
    assert len(schemes["clip_random"]) == 24
    assert found["speaker"]["chance"] == pytest.approx(1 / 8)


@pytest.mark.parametrize(
    ("names", "predicted"),
    [
        (("train", "validation"), "validation"),
        (("train", "validation", "test"), "test"),
        (("train", "test"), "test"),
        (("validation", "test"), None),
        ((None,), None),
    ],
)
def test_the_corpus_own_split_is_used(run, tmp_path, names, predicted):
    rows = list(read_jsonl(run / "records.jsonl"))
    subjects = sorted({row["subject"] for row in rows})
    # The first half trains, so that there are enough for the inner folds.
    split_of = {
        name: names[0]
        if place < 4
        else names[1 + place % (len(names) - 1)]
        if len(names) > 1
        else None
        for place, name in enumerate(subjects)
    }
    records = tmp_path / "records.jsonl"
    write_jsonl(records, (row | {"split": split_of[row["subject"]]} for row in rows))
    probed(run, tmp_path, RECIPE, records_path=records)
    found = {
        row["subject"]
        for row in read_jsonl(tmp_path / "predictions.jsonl")
        if row["scheme"] == "official"
    }
    assert found == {name for name, split in split_of.items() if predicted and split == predicted}


@pytest.mark.parametrize(
    ("recipe", "trained", "message"),
    [
        ({"outer_folds": 9}, 4, "scheme grouped: 9 folds need as many subjects; there are 8"),
        ({"inner_folds": 7}, 4, "scheme grouped: 7 folds need as many subjects; there are [56]"),
        ({}, 1, "official, trained on the corpus' split train: 2 folds .* there are 1"),
    ],
)
def test_data_too_few_for_the_folds_of_a_scheme_are_named_first(
    run, tmp_path, monkeypatch, recipe, trained, message
):
    def fitted(*_, **__):
        raise AssertionError("fitted before the folds were looked at")

    monkeypatch.setattr("affectlab.audio.probe.nested", fitted)
    rows = list(read_jsonl(run / "records.jsonl"))
    training = sorted({row["subject"] for row in rows})[:trained]
    records = tmp_path / "records.jsonl"
    write_jsonl(
        records,
        (row | {"split": "train" if row["subject"] in training else "validation"} for row in rows),
    )
    with pytest.raises(UserError, match=message):
        probed(run, tmp_path, with_probe(**recipe), records_path=records)


def test_mistakes_between_parts_are_named():
    registries = Registries(
        datasets={"r": {"layout": "ravdess"}, "e": {"layout": "emotion"}},
        models={},
        reference_results=[],
    )
    block = {
        "selected": ["a", "gone"],
        "baseline": None,
        "encoders": {"w": {"kind": "whisper"}, "l": {"kind": "logmel", "path": "x"}},
        "runs": {
            "a": {"protocol": "corrected", "task": "2dep", "data": "r", "encoder": "x"},
            "b": {
                "protocol": "published",
                "task": "8emo",
                "data": "e",
                "encoder": "w",
                "probe": {"strengths": [1, 0.1]},
            },
        },
    }
    misplaced = misplaced_keys("audio.runs.b", settings.AudioRun, block["runs"]["b"])
    text = "\n".join([*settings.mistakes(block, registries), *misplaced])
    for expected in (
        "audio.encoders.w.model: missing",
        "audio.encoders.l.path: belongs to the kind 'precomputed'",
        "audio.runs.a.encoder: no encoder is called 'x'",
        "audio.runs.a.task: 'r' has no labels for '2dep'; it has: 3valence, 8emo",
        "audio.runs.b.data: 'e' has the layout 'emotion'",
        "audio.runs.b.probe: does not go with protocol 'published'",
        "audio.runs.b.probe.strengths: the values of C must rise",
        "audio.selected.1: no run is called 'gone'",
    ):
        assert expected in text


def test_ids_beside_vectors_are_watched_too():
    assert kinds.vector_files(None) == []
    assert kinds.vector_files("v/a.npz") == ["v/a.npz"]
    assert kinds.vector_files("v/a.npy") == ["v/a.npy", "v/a.csv"]


def test_every_bad_recording_of_a_command_is_reported_and_the_rest_goes_on(run, tmp_path, capsys):
    good = clips(run)[0]
    empty, page, cut = (tmp_path / name for name in ("b.wav", "c.wav", "d.wav"))
    empty.write_bytes(b"")
    page.write_text("<html>")
    cut.write_bytes(good.read_bytes()[:3000])
    bad = [tmp_path / "absent.wav", empty, page, cut, tmp_path]
    command = ["predict", "audio", "--model", str(run / "model")]
    assert cli.main([*command, *map(str, bad), str(good)]) == 1
    printed = capsys.readouterr()
    rows = [json.loads(line) for line in printed.out.splitlines()]
    assert [row["file"] for row in rows] == [*map(str, bad), str(good)]
    assert ["error" in row for row in rows] == [True] * len(bad) + [False]
    lines = printed.err.splitlines()
    assert lines[-1] == "affectlab: 5 recordings could not be read"
    for path, line in zip(bad, lines[1:], strict=False):
        assert line.startswith(f"affectlab: {path}: ")


def test_the_probe_is_a_predictor_like_the_others(run):
    check_predictor(AudioProbe, run / "model", [str(path) for path in clips(run)[:3]])
