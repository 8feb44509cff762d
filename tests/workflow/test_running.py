"""What a run leaves, what a change runs again, and training that is split or killed."""

import csv
import html
import json
import re
import shlex
import shutil
import subprocess
import sys
import zipfile

import pytest
from card_checks import check_card
from conftest import Result, environment

from affectlab.config.registries import load_registries

RUNS = ("qwen3_tiny/seed42", "tfidf_demo/seed0")
TRAINED = "results/emotion/qwen3_tiny/seed42"
AFTER_EVALUATION = {"emotion_evaluate", "emotion_card", "emotion_compare", "report_build"}


def test_a_run_leaves_every_artefact(finished):
    for run in RUNS:
        folder = finished / "results" / "emotion" / run
        for name in (
            "metrics.json",
            "run.json",
            "evaluation_results.txt",
            "predictions.jsonl",
            "history.csv",
            "training.json",
            "model_card.md",
            "inference_example.py",
            "figures/confusion_matrix.png",
            "figures/reliability.svg",
        ):
            assert (folder / name).stat().st_size > 0, name
        assert any((folder / "model").iterdir())
        check_card(folder)
        assert json.loads((folder / "metrics.json").read_text())["experiment"] == "emotion"
    results = finished / "results"
    exported = json.loads((results / "emotion/qwen3_tiny/seed42/export/export.json").read_text())
    assert exported
    assert (results / "report" / "index.html").stat().st_size > 0
    assert (results / "tables" / "results.csv").read_text().count("\n") >= 3
    audit = json.loads((results / "emotion/data/emotion_sample/audit.json").read_text())
    assert audit["overlap"]["test_in_train"]


def test_predictions_fit_their_schema(finished, misfits):
    for run in RUNS:
        path = finished / "results" / "emotion" / run / "predictions.jsonl"
        assert misfits(path, "emotion") == []


def test_every_job_leaves_a_log_and_a_benchmark(finished):
    benchmarks = finished / "logs" / "benchmarks"
    for path in benchmarks.rglob("*.jsonl"):
        log = finished / "logs" / path.relative_to(benchmarks).with_suffix(".log")
        assert log.is_file(), log
        assert json.loads(path.read_text().split("\n")[0])["s"] > 0
    assert (benchmarks / "emotion_train" / "qwen3_tiny" / "seed42.jsonl").is_file()


def test_nothing_is_written_beside_the_workflow(project, finished):
    for folder in (project.root, project.folder):
        names = {path.name for path in folder.iterdir()}
        assert not {"results", "resources", "logs", ".snakemake"} & names


def test_the_effective_config_is_stored(finished):
    text = (finished / "results" / "config.yaml").read_text()
    assert "- qwen3_tiny\n" in text
    assert "resamples: 100\n" in text
    # Complete: what runs take over from others, and every default.
    assert "like:" not in text
    assert "gradient_accumulation: 1\n" in text


def test_a_second_run_does_nothing(project, finished):
    result = project.snakemake(directory=finished)
    assert result.status == 0, result.output
    assert "Nothing to be done" in result.output


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            {"bootstrap": {"resamples": 101}},
            AFTER_EVALUATION | {"store_config"},
        ),
        ({"label_noise": {"seed": 1}}, {"emotion_noise", "report_build", "store_config"}),
        (
            {"runs": {"qwen3_tiny": {"training": {"weight_decay": 0.02}}}},
            AFTER_EVALUATION
            | {"emotion_train", "emotion_predict", "curves", "emotion_export"}
            | {"store_config"},
        ),
        # How another run is judged or trained is no matter of a run that is not selected.
        ({"runs": {"minilm_demo": {"training": {"epochs": 9}}}}, {"store_config", "report_build"}),
    ],
    ids=["bootstrap", "label_noise", "recipe", "other_run"],
)
def test_a_changed_setting_reruns_what_it_decides(project, finished, change, expected, request):
    name = request.node.callspec.id
    overlay = project.write_overlay(f"change_{name}", {"emotion": change})
    overlays = [project.root / "config" / "demo.yaml", project.overlay, overlay]
    result = project.snakemake("-n", directory=finished, overlays=overlays)
    assert result.rules == expected


def test_a_root_without_copies_and_a_corrected_entry_fetch_nothing_again(
    project, finished, tmp_path
):
    entry = load_registries(project.root, {}).datasets["emotion_sample"]
    changes = {
        "data_root": str(tmp_path),
        "model_root": str(tmp_path),
        "datasets": {"emotion_sample": entry | {"citation": "corrected"}},
    }
    overlay = project.write_overlay("roots", changes)
    overlays = [project.root / "config" / "demo.yaml", project.overlay, overlay]
    result = project.snakemake("-n", directory=finished, overlays=overlays)
    assert result.status == 0, result.output
    assert not result.rules & {"fetch_dataset", "fetch_model", "emotion_convert", "emotion_train"}


def test_a_changed_recipe_trains_no_other_run(project, finished):
    overlay = project.write_overlay(
        "tfidf_c", {"emotion": {"runs": {"tfidf_demo": {"tfidf": {"C": 5.0}}}}}
    )
    overlays = [project.root / "config" / "demo.yaml", project.overlay, overlay]
    result = project.snakemake("-n", directory=finished, overlays=overlays)
    assert "emotion_tfidf" in result.jobs
    assert "emotion_train" not in result.jobs


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        ("report/model_cards.py", {"emotion_card", "report_build"}),
        ("emotion/model_card.md.j2", {"emotion_card", "report_build"}),
        # An audit is a gate: no network is trained again for what it says.
        ("emotion/audit.py", {"emotion_audit"} | AFTER_EVALUATION),
        ("emotion/noise.py", {"emotion_noise", "report_build"}),
        ("emotion/export.py", {"emotion_export", "emotion_card", "report_build"}),
        ("report/page.css", {"report_build"}),
        ("cli.py", set()),
    ],
)
def test_an_edited_module_reruns_its_users(project, finished, module, expected):
    ending = b"\n/* edited */\n" if module.endswith(".css") else b"\n# edited\n"
    with project.edited(module, ending):
        assert project.snakemake("-n", directory=finished).rules == expected
    # A new date alone, as a fresh checkout gives every file, is no edit.
    assert project.snakemake("-n", directory=finished).rules == set()


def test_a_killed_run_goes_on_to_the_same_numbers(project, finished):
    """kill -9 of everything in the midst of a job; then unlock and go on."""
    directory = project.directory("killed")
    target = "results/emotion/tfidf_demo/seed0/metrics.json"
    started = directory / "logs" / "emotion_tfidf" / "tfidf_demo" / "seed0.log"
    project.kill_once(started, target, directory=directory)
    assert not (directory / target).exists()

    locked = project.snakemake(target, directory=directory)
    assert locked.status == 1
    assert "--unlock" in locked.output
    assert project.snakemake("--unlock", directory=directory).status == 0
    # As of a job that was stopped between two of its outputs: Snakemake counts it as incomplete.
    (directory / target).with_name("predictions.jsonl").write_text("")
    result = project.snakemake(target, directory=directory)
    assert result.status == 0, result.output
    # What was finished before is not done again.
    assert "emotion_convert" not in result.jobs
    assert (directory / target).read_bytes() == (finished / target).read_bytes()


def test_corrupt_data_stops_with_its_cause_on_the_console(project):
    directory = project.directory("corrupt")
    corpus = directory / "mine" / "emotion"
    corpus.mkdir(parents=True)
    (corpus / "train.txt").write_text("i am glad;joy\ni am;what;ever\n")
    for name in ("val.txt", "test.txt"):
        (corpus / name).write_text("i am glad;joy\n")
    target = "results/emotion/data/emotion/records.jsonl"
    result = project.snakemake(
        target, "--config", f"data_root={directory}/mine", directory=directory
    )
    assert result.status == 1
    assert "train.txt, line 2" in result.output
    assert not (directory / target).exists()


def own_corpus(directory):
    """A user's own copy of the emotion data, with `data_root=mine`."""
    corpus = directory / "mine" / "emotion"
    corpus.mkdir(parents=True)
    for name in ("train.txt", "val.txt", "test.txt"):
        (corpus / name).write_text("i am glad;joy\ni am low;sadness\n")
    return corpus


def test_an_edited_local_copy_is_read_again(project):
    directory = project.directory("edited")
    corpus = own_corpus(directory)
    target = "results/emotion/data/emotion/records.jsonl"
    arguments = (target, "--config", "data_root=mine")
    first = project.snakemake(*arguments, directory=directory)
    assert first.status == 0, first.output
    with (corpus / "train.txt").open("a") as stream:
        stream.write("i am cross;anger\n")
    second = project.snakemake(*arguments, directory=directory)
    assert second.status == 0, second.output
    assert len((directory / target).read_text().splitlines()) == 7


def test_a_local_copy_put_there_anew_with_the_same_content_reruns_nothing(project):
    directory = project.directory("copied")
    corpus = own_corpus(directory)
    # Of a size that Snakemake does not compare by content itself.
    with (corpus / "train.txt").open("a") as stream:
        stream.writelines(f"i am number {number};joy\n" for number in range(60_000))
    target = "results/emotion/data/emotion/records.jsonl"
    arguments = (target, "--config", "data_root=mine")
    first = project.snakemake(*arguments, directory=directory)
    assert first.status == 0, first.output
    for path in corpus.iterdir():
        path.touch()
    assert project.snakemake(*arguments, directory=directory).rules == set()
    path = corpus / "train.txt"
    path.write_bytes(path.read_bytes()[:-5] + b"fear\n")
    third = project.snakemake(*arguments, "--dry-run", directory=directory)
    assert "fetch_dataset" in third.rules


def test_snakemake_s_own_report_shows_pages_and_captions(project, finished, tmp_path):
    target = tmp_path / "report.zip"
    result = project.snakemake("--report", str(target), directory=finished)
    assert result.status == 0, result.output
    with zipfile.ZipFile(target) as archive:
        names = archive.namelist()
        (main,) = (name for name in names if name.endswith("report.html"))
        text = archive.read(main).decode()
    assert any(name.endswith(".svg") for name in names)
    assert not any(name.endswith(".json") for name in names)
    categories = json.loads(re.search(r"var categories = (\{.*\})", text)[1])
    # Its menu is in the order of the alphabet.
    assert sorted(categories) == ["All results", "Short texts"]
    shown = categories["Short texts"]
    assert "results/report/scores/emotion/tfidf_demo/seed0.html" in shown["tfidf_demo"]
    assert shown["Data"] == ["results/report/audits/emotion/emotion_sample.html"]
    results = json.loads(re.search(r"var results = (\{.*\})", text)[1])
    page = results["results/report/scores/emotion/tfidf_demo/seed0.html"]
    assert page["labels"] == {"seed": "0", "what": "scores"}
    assert "tfidf_demo" in page["caption"]
    assert "corrected" in page["caption"]


def copy_of(project, finished, name):
    """A run directory of one's own that has all but what a changed recipe makes anew."""
    return shutil.copytree(finished, project.folder / "runs" / name, symlinks=True)


def recipe_overlays(project, name, **training):
    """Overlays for a recipe that draws no dropout, since each process draws its own."""
    changed = {"lora": {"dropout": 0.0}, "training": training}
    overlay = project.write_overlay(name, {"emotion": {"runs": {"qwen3_tiny": changed}}})
    return [project.root / "config" / "demo.yaml", project.overlay, overlay]


def history(directory):
    """The numbers of the training history, row by row, by the names of their columns."""
    with (directory / TRAINED / "history.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    return [
        {name: float(cell) for name, cell in row.items() if cell and name != "split"}
        for row in rows
    ]


def test_two_processes_train_as_one(project, finished):
    overlays = recipe_overlays(project, "no_dropout", epochs=2)
    found = {}
    for processes in (1, 2):
        directory = copy_of(project, finished, f"processes{processes}")
        result = project.snakemake(
            f"{TRAINED}/model",
            *("--resources", f"gpu={processes}"),
            *("--set-resources", f"emotion_train:gpu={processes}"),
            directory=directory,
            overlays=overlays,
        )
        assert result.status == 0, result.output
        assert set(result.jobs) == {"emotion_train"}
        facts = json.loads((directory / TRAINED / "training.json").read_text())
        assert facts["processes"] == processes
        assert not (directory / TRAINED / "work" / "checkpoints").exists()
        found[processes] = directory
    # Not weight by weight, as the unit tests do: Adam divides by the root of the squared gradient,
    # and where that is tiny, rounding moves a weight by a whole step.
    # One text may so end on the other side of the border between two classes; the loss stays.
    one_text = dict.fromkeys(("accuracy", "macro_f1"), 1.1 / 200)
    for ours, theirs in zip(history(found[2]), history(found[1]), strict=True):
        assert ours.keys() == theirs.keys()
        for name, value in theirs.items():
            assert ours[name] == pytest.approx(value, rel=1e-3, abs=one_text.get(name, 0.0)), name
    # How many processes there are is no part of the recipe.
    again = project.snakemake("-n", f"{TRAINED}/model", directory=found[2], overlays=overlays)
    assert "Nothing to be done" in again.output


@pytest.mark.nightly
def test_training_that_is_killed_goes_on_to_the_same_bytes(project, finished):
    """kill -9 of everything after some checkpoints; the network ends in the very same bytes."""
    overlays = recipe_overlays(project, "checkpoints", epochs=2, checkpoint_minutes=1e-6)
    whole = copy_of(project, finished, "undisturbed")
    result = project.snakemake(f"{TRAINED}/model", directory=whole, overlays=overlays)
    assert result.status == 0, result.output
    killed = copy_of(project, finished, "training_killed")
    checkpoint = killed / TRAINED / "work" / "checkpoints" / "checkpoint.pt"
    project.kill_once(checkpoint, f"{TRAINED}/model", directory=killed, overlays=overlays)
    assert checkpoint.exists()
    assert project.snakemake("--unlock", directory=killed).status == 0
    result = project.snakemake(
        "--rerun-incomplete", f"{TRAINED}/model", directory=killed, overlays=overlays
    )
    assert result.status == 0, result.output
    log = (killed / "logs" / "emotion_train" / "qwen3_tiny" / "seed42.log").read_text()
    assert "resuming from update" in log
    assert "starting anew" not in log
    for name in ("model/model.safetensors", "history.csv"):
        assert (killed / TRAINED / name).read_bytes() == (whole / TRAINED / name).read_bytes()


def test_the_commands_of_the_report_make_its_numbers_again(project, finished):
    """Every command that the page prints, as a reader would copy it; a dry run of all at once."""
    page = html.unescape((finished / "results" / "report" / "index.html").read_text())
    everything, *commands = map(shlex.split, re.findall(r"<code>(snakemake .*?)</code>", page))
    targets = [words[-1] for words in commands]
    made = finished.glob("results/emotion/*/seed*/metrics.json")
    assert sorted(targets) == sorted(str(path.relative_to(finished)) for path in made)
    assert {tuple(words[:-2]) for words in commands} == {tuple(everything)}
    done = subprocess.run(
        [sys.executable, "-m", *everything, "--dry-run", "--", *targets],
        cwd=finished,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    again = Result(0, done.stdout + done.stderr).jobs
    assert again["emotion_evaluate"] == len(targets)
    assert again["fetch_dataset"] >= 1
