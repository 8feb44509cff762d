"""How many jobs a run hands to a cluster: counted in dry runs, which need no cluster."""

import re
from collections import Counter
from pathlib import Path

import pytest

from affectlab.emotion.settings import selected_runs
from affectlab.experiments import read_config

CHECKOUT = Path(__file__).parents[2]
LOCAL = {"all", "fetch_dataset", "fetch_model", "store_config"}


def submitted(project, *overlays, experiment="emotion"):
    """Jobs that one experiment would submit, by rule or group."""
    experiments = project.write_overlay(f"{experiment}_only", {"experiments": [experiment]})
    directory = project.folder / "runs" / "cluster_plan"
    directory.mkdir(parents=True, exist_ok=True)
    result = project.snakemake(
        *("-n", "--workflow-profile", str(project.root / "profiles" / "slurm")),
        directory=directory,
        overlays=[*overlays, experiments],
    )
    assert result.status == 0, result.output
    single = re.findall(r"^rule (\w+):$", result.output, re.MULTILINE)
    groups = re.findall(r"^\[.*\] Group job (\w+) ", result.output, re.MULTILINE)
    return Counter(name for name in [*single, *groups] if name not in LOCAL)


def expected(config):
    """One training and one scoring per network and seed; the rest does not grow with seeds."""
    runs = selected_runs(config["emotion"])
    seeds = {name: len(run["seeds"]) for name, run in runs.items()}
    networks = [name for name, run in runs.items() if run["method"] != "tfidf"]
    return Counter(
        emotion_data=1,
        emotion_train=sum(seeds[name] for name in networks),
        emotion_score=sum(seeds.values()),
        emotion_export=len(config["emotion"]["export"]),
        report=1,
    )


@pytest.mark.parametrize("name", ["config", "cpu", "demo"])
def test_short_steps_share_jobs(project, name):
    overlays = [] if name == "config" else [project.root / "config" / f"{name}.yaml"]
    assert submitted(project, *overlays) == expected(read_config(project.root, overlays))


def test_each_further_seed_costs_two_jobs(project):
    more = project.write_overlay(
        "more_seeds", {"emotion": {"runs": {"minilm": {"seeds": list(range(13))}}}}
    )
    grown, usual = submitted(project, more), submitted(project)
    assert grown - usual == Counter(emotion_train=10, emotion_score=10)


def test_the_documented_number_of_jobs(project):
    total = submitted(project).total()
    documentation = (CHECKOUT / "docs" / "cluster.md").read_text()
    assert f"The full emotion experiment submits {total} jobs" in documentation


@pytest.mark.parametrize("experiment", ["face", "entity", "summary", "audio"])
def test_the_documented_number_of_jobs_of_the_others(project, experiment):
    jobs = submitted(project, experiment=experiment)
    # The report is counted with the emotion experiment.
    total = jobs.total() - jobs["report"]
    documentation = (CHECKOUT / "docs" / "cluster.md").read_text()
    assert re.search(rf"\b{experiment}( submits)? {total}( jobs)?\s\(", documentation), jobs


def test_what_runs_on_the_login_node_is_what_needs_the_network(project):
    text = "\n".join(path.read_text() for path in (project.root / "rules").glob("*.smk"))
    rules = re.findall(r"^rule (\w+):\n(.*?)(?=^rule |\Z)", text, re.MULTILINE | re.DOTALL)
    local = {name for name, body in rules if "    localrule: True\n" in body}
    assert {name for name, _ in rules if name.startswith("fetch_")} <= local
    assert local <= LOCAL | {
        "check",
        "summary_judge",
        "emotion_prompt_endpoint",
        "entity_prompt_endpoint",
    }
