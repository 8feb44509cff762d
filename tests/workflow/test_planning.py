"""What Snakemake plans, before anything runs: jobs, targets, mistakes, missing data."""

import os
import re
import subprocess

import pytest
import yaml

from affectlab.config.registries import load_registries
from affectlab.emotion.settings import selected_runs
from affectlab.experiments import read_config

FULL = ()


@pytest.mark.parametrize("name", ["config", "cpu", "demo"])
def test_a_dry_run_plans_every_selected_run_and_seed(project, name):
    overlays = [] if name == "config" else [project.root / "config" / f"{name}.yaml"]
    overlays.append(project.write_overlay("emotion_only", {"experiments": ["emotion"]}))
    config = read_config(project.root, overlays)
    runs = selected_runs(config["emotion"])
    seeds = {run: len(block["seeds"]) for run, block in runs.items()}
    networks = sum(n for run, n in seeds.items() if runs[run]["method"] != "tfidf")
    directory = project.directory(f"plan_{name}")
    result = project.snakemake("-n", directory=directory, overlays=overlays)
    assert result.status == 0, result.output
    assert result.jobs == {
        "all": 1,
        "store_config": 1,
        "fetch_dataset": 1,
        "fetch_model": len({block["model"] for block in runs.values() if "model" in block}),
        "emotion_convert": 1,
        "emotion_audit": 1,
        "emotion_noise": 1,
        "emotion_train": networks,
        "emotion_predict": networks,
        "curves": networks,
        "emotion_tfidf": sum(seeds.values()) - networks,
        "emotion_evaluate": sum(seeds.values()),
        "emotion_card": sum(seeds.values()),
        "emotion_compare": 1,
        "emotion_export": len(config["emotion"]["export"]),
        "report_build": 1,
    }
    # Planning leaves nothing behind but Snakemake's own folder.
    assert {path.name for path in directory.iterdir()} <= {".snakemake"}


@pytest.mark.parametrize(
    ("target", "absent"),
    [
        ("emotion_data", {"emotion_train", "report_build"}),
        ("emotion", {"report_build"}),
        ("report", {"all"}),
        ("results/emotion/tfidf/seed0/metrics.json", {"emotion_train", "emotion_noise"}),
    ],
)
def test_each_target_plans_what_it_needs(project, target, absent, tmp_path):
    result = project.snakemake("-n", target, directory=tmp_path, overlays=FULL)
    assert result.status == 0, result.output
    assert "fetch_dataset" in result.jobs
    assert not absent & set(result.jobs)


@pytest.mark.parametrize("experiment", ["face", "entity", "emotion", "summary", "audio"])
def test_a_run_of_another_experiment_is_no_target(project, experiment, tmp_path):
    run = "resnet18" if experiment != "face" else "tfidf"
    target = f"results/{experiment}/{run}/seed42/metrics.json"
    result = project.snakemake("-n", target, directory=tmp_path, overlays=FULL)
    assert result.status != 0
    assert f"No rule to produce {target}" in result.output
    assert "Traceback" not in result.output


def test_the_catalogue_s_snakefile_is_the_same_workflow(project, tmp_path):
    shim = project.root / "workflow" / "Snakefile"
    main = project.snakemake("-n", directory=tmp_path, overlays=FULL)
    other = project.snakemake("-n", "--snakefile", str(shim), directory=tmp_path, overlays=FULL)
    assert "emotion_train" in main.jobs
    # Its own target stands in for `all`, whose inputs it takes.
    renamed = {"default" if name == "all" else name: count for name, count in main.jobs.items()}
    assert other.jobs == renamed


def test_several_typos_come_as_one_error_without_noise(project, tmp_path):
    overlay = project.write_overlay(
        "typos",
        {"dataroot": "x", "emotion": {"selectd": ["minilm"], "runs": {"tfidf": {"metod": "m"}}}},
    )
    result = project.snakemake("-n", directory=tmp_path, overlays=[overlay])
    assert result.status == 1
    assert (
        "3 mistakes in the configuration:\n"
        "  dataroot: unknown key; did you mean 'data_root'?\n"
        "  emotion.runs.tfidf.metod: unknown key; did you mean 'method'?\n"
        "  emotion.selectd: unknown key; did you mean 'selected'?\n"
    ) in result.output
    assert "Traceback" not in result.output
    assert "WorkflowError" not in result.output


def test_a_block_that_stands_twice_in_an_overlay_is_named(project, tmp_path):
    """Snakemake reads the last one, and the runs that the first one chose would be others."""
    overlay = tmp_path / "twice.yaml"
    overlay.write_text("emotion: {selected: [tfidf]}\nemotion: {export: []}\n", encoding="utf-8")
    result = project.snakemake("-n", directory=tmp_path / "run", overlays=[overlay])
    assert result.status == 1
    assert f"{overlay}, line 2, column 1: the key 'emotion' stands here twice\n" in result.output
    assert "Traceback" not in result.output


def test_an_unknown_model_and_data_set_are_named(project, tmp_path):
    overlay = project.write_overlay(
        "unknown",
        {"emotion": {"runs": {"minilm": {"model": "minilm-l7", "data": "emotoin"}}}},
    )
    result = project.snakemake("-n", directory=tmp_path, overlays=[overlay])
    assert result.status == 1
    assert "no model is called 'minilm-l7'; did you mean 'minilm-l6'?" in result.output
    assert "no data set is called 'emotoin'; did you mean 'emotion'?" in result.output


@pytest.fixture
def gated(project):
    """A config whose data set and one of whose models nobody may hand on."""
    config = read_config(project.root)
    registries = load_registries(project.root, config)
    entry = registries.datasets["emotion"] | {
        "access": "gated",
        "ask": "Ask its authors",
        "sources": [],
    }
    return project.write_overlay(
        "gated",
        {
            "experiments": ["emotion"],
            "datasets": {"closed": entry},
            "models": {"own": registries.models["minilm-l6"] | {"sources": []}},
            "emotion": {
                "selected": ["minilm", "tfidf"],
                "runs": {
                    "minilm": {"data": "closed", "model": "own"},
                    "tfidf": {"data": "closed"},
                },
            },
        },
    )


def test_a_run_on_other_data_waits_for_no_baseline(project, tmp_path):
    run = read_config(project.root)["emotion"]["runs"]["tfidf"] | {"data": "emotion_sample"}
    overlay = project.write_overlay("other_data", {"emotion": {"runs": {"mine": run}}})
    target = "results/emotion/mine/seed0/metrics.json"
    result = project.snakemake("-n", target, directory=tmp_path, overlays=[overlay])
    assert result.status == 0, result.output
    assert result.jobs["emotion_tfidf"] == 1
    assert result.jobs["fetch_dataset"] == 1


def test_everything_missing_is_named_before_any_job_starts(project, gated, tmp_path):
    result = project.snakemake(directory=tmp_path, overlays=[gated])
    assert result.status == 1
    assert "2 things are missing, so nothing was started:" in result.output
    assert "data set closed: Ask its authors; then put it into a folder closed/" in result.output
    assert "model own: " in result.output
    assert "Traceback" not in result.output
    assert "To run" not in result.output
    assert not (tmp_path / "results").exists()
    # Nothing is left locked: a second try gets as far.
    again = project.snakemake(directory=tmp_path, overlays=[gated])
    assert "2 things are missing" in again.output


def test_experiments_that_need_nothing_missing_are_named(project, tmp_path):
    overlay = project.write_overlay("two_experiments", {"experiments": ["face", "emotion"]})
    result = project.snakemake(directory=tmp_path, overlays=[overlay])
    assert "data set fer2013: " in result.output
    assert (
        "Experiments that need none of this: emotion. "
        "To run these alone: --config 'experiments=[emotion]'" in result.output
    )


def test_a_target_that_does_not_need_it_is_not_held_up(project, gated, tmp_path):
    result = project.snakemake("emotion_data", directory=tmp_path, overlays=[gated])
    assert "1 thing is missing, so nothing was started:" in result.output
    assert "model own" not in result.output


def test_a_dry_run_works_without_the_data_and_says_what_is_missing(project, gated, tmp_path):
    result = project.snakemake("-n", directory=tmp_path, overlays=[gated])
    assert result.status == 0
    assert result.output.count("Missing: ") == 2
    assert "Missing: closed. Ask its authors" in result.output


def test_check_lists_what_is_needed_and_where_it_stands(project, gated, tmp_path):
    result = project.snakemake("check", directory=tmp_path, overlays=[gated])
    assert result.status == 1
    lines = [line.split()[:2] for line in result.output.split("\n") if line.startswith("missing ")]
    assert lines == [["missing", "data"], ["missing", "model"]]
    assert "Cannot run yet, because something is missing: emotion." in result.output
    result = project.snakemake("check", directory=tmp_path)
    assert result.status == 0, result.output
    assert "Can run: emotion." in result.output
    result = project.snakemake("check", directory=tmp_path, overlays=FULL)
    assert "downloadable  model     qwen3-0.6b" in result.output


def test_a_local_copy_is_found_from_the_run_directory(project, tmp_path):
    (tmp_path / "mine" / "emotion").mkdir(parents=True)
    (tmp_path / "mine" / "emotion" / "train.txt").write_text("a;joy\n")
    result = project.snakemake(
        "check", "--config", "data_root=mine", directory=tmp_path, overlays=FULL
    )
    assert re.search(r"present +data set +emotion +mine/emotion", result.output)


def test_lint_finds_nothing(project, tmp_path):
    result = project.snakemake("--lint", directory=tmp_path, overlays=FULL)
    assert result.status == 0, result.output


def test_every_rule_is_complete(project):
    wanted = {"input", "output", "log", "benchmark", "conda", "resources", "script"}
    for path in sorted((project.root / "rules").glob("*.smk")):
        if path.name == "targets.smk":
            continue
        for block in path.read_text().split("\nrule ")[1:]:
            name = block.partition(":")[0]
            found = set(re.findall(r"^    (\w+):", block, re.MULTILINE))
            # `check` prints, each time it is asked to: it has nothing to keep.
            allowed = {"check": {"input", "output", "benchmark"}, "store_config": {"input"}}.get(
                name, set()
            )
            assert wanted - found <= allowed, name
            script = re.search(r"/scripts/(\w+)\.py", block).group(1)
            assert f'lib=lib("{script}"' in block, name


def test_targets_only_collect(project):
    text = (project.root / "rules" / "targets.smk").read_text()
    for block in text.split("\nrule ")[1:]:
        assert re.findall(r"^    (\w+):", block, re.MULTILINE) == ["input"]


def test_the_snakefile_is_a_table_of_contents(project):
    text = (project.root / "Snakefile").read_text()
    assert len(text.split("\n")) <= 80
    assert "def " not in text


@pytest.fixture
def read_only_results(tmp_path):
    """A run directory whose `results` refuses every write, root's included."""
    results = tmp_path / "results"
    results.mkdir(mode=0o500)
    if os.geteuid() != 0:
        yield tmp_path
        return
    mount = ["mount", "-t", "tmpfs", "-o", "ro,size=64k", "tmpfs", str(results)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("root may write everywhere, and no right to mount a tmpfs")
    yield tmp_path
    subprocess.run(["umount", "--lazy", str(results)], check=True)


def test_a_folder_that_may_not_be_written_to_is_named(project, read_only_results):
    result = project.snakemake("emotion_data", directory=read_only_results)
    assert result.status == 1
    assert "Failed to create output directory results/" in result.output
    assert re.search("Permission denied|Read-only file system", result.output)
    assert "Traceback" not in result.output
    assert list((read_only_results / "results").iterdir()) == []


def test_a_results_path_that_is_a_file_is_named(project, tmp_path):
    (tmp_path / "results").write_text("")
    result = project.snakemake("results/config.yaml", directory=tmp_path)
    assert result.status == 1
    assert re.search(r"(NotADirectory|FileExists)Error.*results", result.output)


def test_the_profiles_name_rules_that_exist(project):
    rules = "\n".join(path.read_text() for path in (project.root / "rules").glob("*.smk"))
    for name in ("default", "slurm"):
        profile = yaml.safe_load((project.root / "profiles" / name / "profile.yaml").read_text())
        for rule in profile.get("groups", {}):
            assert re.search(rf"^(rule {rule}:|use rule \w+ as {rule} with:)$", rules, re.M)
        # On a cluster, it would submit again what is still running after Snakemake was killed.
        assert profile.get("rerun-incomplete", False) is (name == "default")
