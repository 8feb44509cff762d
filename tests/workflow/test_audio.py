"""The audio experiment on synthetic voices: what a run leaves, and what runs again."""

import json
import shutil

import numpy as np
import pytest
import yaml
from card_checks import check_card

RUNS = ("sample_3emo_logmel", "sample_3emo_whisper_published")
AFTER_PROBE = {"audio_evaluate", "audio_compare", "audio_card", "report_build"}


@pytest.fixture(scope="session")
def overlays(project):
    alone = project.write_overlay("audio_alone", {"experiments": ["audio"]})
    return [project.root / "config" / "demo.yaml", project.overlay, alone]


@pytest.fixture(scope="session")
def finished_audio(project, overlays):
    """The folder of a complete run; for reading only."""
    directory = project.directory("audio")
    result = project.snakemake(directory=directory, overlays=overlays)
    assert result.status == 0, result.output
    return directory


def test_a_run_leaves_every_artefact(finished_audio):
    results = finished_audio / "results"
    for run in RUNS:
        folder = results / "audio" / run / "seed0"
        for name in (
            "metrics.json",
            "run.json",
            "evaluation_results.txt",
            "predictions.jsonl",
            "details.json",
            "model_card.md",
            "inference_example.py",
            "model/probe.safetensors",
            "figures/confusion_matrix.png",
            "figures/schemes.svg",
        ):
            assert (folder / name).stat().st_size > 0, name
        assert "Not a diagnostic instrument" in check_card(folder)
    with np.load(
        results / "audio/embeddings/eatd_sample/logmel/embeddings.npz", allow_pickle=False
    ) as stored:
        assert stored["vectors"].shape == (72, 1, 2, 80)
    assert (results / "audio/figures/forest.svg").stat().st_size > 0
    page = (results / "report" / "index.html").read_text()
    assert 'id="audio-scores"' in page
    assert "sample_3emo_logmel" in (results / "tables" / "results.csv").read_text()


def test_predictions_fit_their_schema(finished_audio, misfits):
    for run in RUNS:
        path = finished_audio / "results" / "audio" / run / "seed0" / "predictions.jsonl"
        assert misfits(path, "audio") == []


def test_the_sound_protocol_shows_its_baselines(finished_audio):
    path = finished_audio / "results/audio/sample_3emo_logmel/seed0/metrics.json"
    record = json.loads(path.read_text())
    assert {"clip_random", "official", "duration", "loudness"} <= set(record["other_splits"])
    assert record["data"]["groups"] == 24
    assert 0 < record["details"]["permutation"]["p"] <= 1


def test_a_second_run_does_nothing(project, overlays, finished_audio):
    result = project.snakemake(directory=finished_audio, overlays=overlays)
    assert result.status == 0, result.output
    assert "Nothing to be done" in result.output


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            {"runs": {"sample_3emo_logmel": {"probe": {"repeats": 2}}}},
            {"audio_probe": 1, "audio_evaluate": 1, "audio_card": 1},
        ),
        (
            {"encoders": {"whisper_tiny": {"layers": "last"}}},
            {
                "audio_embed": 2,
                "audio_gather": 1,
                "audio_probe": 1,
                "audio_evaluate": 1,
                "audio_card": 1,
            },
        ),
        ({"bootstrap": {"resamples": 101}}, {"audio_evaluate": 2, "audio_card": 2}),
    ],
)
def test_a_changed_parameter_runs_its_consumers_again(
    project, overlays, finished_audio, change, expected
):
    name = f"audio_{next(iter(change))}"
    path = project.write_overlay(name, {"audio": change})
    result = project.snakemake("--dry-run", directory=finished_audio, overlays=[*overlays, path])
    assert result.status == 0, result.output
    always = ("all", "store_config", "audio_compare", "report_build")
    assert result.jobs == expected | dict.fromkeys(always, 1)


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        ("audio/model_card.md.j2", {"audio_card", "report_build"}),
        ("audio/solver.py", {"audio_probe"} | AFTER_PROBE),
        ("audio/encoders/tower.py", {"audio_embed", "audio_gather", "audio_probe"} | AFTER_PROBE),
        ("audio/report.py", {"report_build"}),
        ("audio/cli.py", set()),
    ],
)
def test_an_edited_module_reruns_its_users(project, overlays, finished_audio, module, expected):
    with project.edited(module):
        result = project.snakemake("-n", directory=finished_audio, overlays=overlays)
    assert result.rules == expected


def test_a_killed_embedding_goes_on_to_the_same_bytes(project, overlays, finished_audio):
    """kill -9 of everything as the first shard is begun; then unlock and go on."""
    directory = project.directory("killed_audio")
    target = "results/audio/embeddings/eatd_sample/whisper_tiny/embeddings.npz"
    started = directory / "logs" / "audio_embed" / "eatd_sample" / "whisper_tiny" / "shard0.log"
    project.kill_once(started, target, directory=directory, overlays=overlays)
    assert not (directory / target).exists()
    assert project.snakemake("--unlock", directory=directory, overlays=overlays).status == 0
    result = project.snakemake("--rerun-incomplete", target, directory=directory, overlays=overlays)
    assert {"audio_embed", "audio_gather"} <= result.rules
    # What was finished before is not done again.
    assert "audio_convert" not in result.jobs
    assert (directory / target).read_bytes() == (finished_audio / target).read_bytes()


def test_a_bad_clip_stops_the_run_by_name(project, overlays, finished_audio, tmp_path):
    corpus = finished_audio / "resources/raw/eatd_sample/files"
    shutil.copytree(corpus, tmp_path / "eatd_sample")
    victim = sorted((tmp_path / "eatd_sample").rglob("*_out.wav"))[0]
    victim.write_bytes(victim.read_bytes()[:-100])
    directory = project.directory("bad_audio")
    overlay = project.write_overlay("bad_audio", {"data_root": str(tmp_path)})
    result = project.snakemake(
        "results/audio/data/eatd_sample/audit.json",
        directory=directory,
        overlays=[*overlays, overlay],
    )
    assert result.status != 0
    assert f"{victim.name}: cut short" in result.output
    assert not (directory / "results/audio/data/eatd_sample/audit.json").exists()


def test_the_effective_overlay_is_what_was_asked_for(finished_audio):
    config = yaml.safe_load((finished_audio / "results" / "config.yaml").read_text())
    assert config["audio"]["shards"] == 2
