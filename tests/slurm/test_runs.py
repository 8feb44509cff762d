"""The small pipeline on a real cluster, with the project's own profile."""

import re
import shutil

import pytest
from environment_files import read_rules

from affectlab.experiments import EXPERIMENTS

LOG = "logs/emotion_train/qwen3_tiny/seed42.log"
# Rules, by what their SLURM job is called.
JOBS = {
    "emotion_data": ("convert", "audit", "noise", "tfidf"),
    "emotion_train": (),
    "emotion_score": ("evaluate", "card"),
    "report": ("emotion_compare", "curves", "report_build"),
}


def named(jobs, name):
    return [job for job in jobs if re.match(f"(rule|group)_{name}(_|$)", job["Comment"])]


def test_every_job_but_the_local_ones_ran_under_slurm(cluster, pipeline):
    jobs = cluster.jobs(pipeline)
    assert (pipeline.directory / "results" / "report" / "index.html").stat().st_size > 0
    # One scoring per run; training twice, the first time with too little memory.
    counts = {name: len(named(jobs, name)) for name in JOBS}
    assert counts == {
        "emotion_data": 1,
        "emotion_train": 2,
        "emotion_score": 2,
        "report": 1,
    }
    assert len(jobs) == sum(counts.values())
    for name, members in JOBS.items():
        for job in named(jobs, name):
            assert all(member in job["Comment"] for member in members)
    for rule in ("fetch_dataset", "fetch_model", "store_config"):
        assert re.search(f"^localrule {rule}:", pipeline.output, re.MULTILINE)
        assert not any(rule in job["Comment"] for job in jobs)


def assert_gpu_rules_had_one_gpu(jobs):
    gpu_rules = [rule.name for rule in read_rules() if rule.gpu]
    for job in jobs:
        wants_gpu = any(rule in job["Comment"] for rule in gpu_rules)
        assert job["Partition"] == ("gpu" if wants_gpu else "cpu")
        assert ("gres/gpu=1" in job["AllocTRES"].split(",")) == wants_gpu


def test_gpu_rules_ran_on_the_gpu_partition_with_one_gpu(cluster, pipeline):
    assert_gpu_rules_had_one_gpu(cluster.jobs(pipeline))


# Forty jobs, each with two Snakemakes to start: ten minutes.
@pytest.mark.nightly
def test_every_other_experiment_runs_under_slurm_too(cluster, fresh_run):
    others = [experiment for experiment in EXPERIMENTS if experiment != "emotion"]
    run = fresh_run(experiments=others)
    assert run.wait(1500) == 0, run.output
    for experiment in others:
        assert any((run.directory / "results" / experiment).rglob("metrics.json"))
    jobs = cluster.jobs(run)
    assert {job["State"] for job in jobs} == {"COMPLETED"}
    assert_gpu_rules_had_one_gpu(jobs)


# Gigabytes are downloaded and unpacked before the first job.
@pytest.mark.nightly
@pytest.mark.skipif(shutil.which("conda") is None, reason="there is no conda on the PATH")
def test_jobs_in_environments_of_their_own_end_in_the_same_scores(cluster, pipeline, fresh_run):
    run = fresh_run("--use-conda")
    assert run.wait(1500) == 0, run.output
    jobs = cluster.jobs(run)
    assert {job["State"] for job in jobs} == {"COMPLETED"}
    logs = [path.read_text() for path in (run.directory / "logs" / "slurm").rglob("*.log")]
    assert len(logs) == len(jobs)
    assert all("Activating conda environment: .snakemake/conda/" in log for log in logs)
    scores = list(pipeline.directory.rglob("metrics.json"))
    assert len(scores) == 2
    for path in scores:
        same = run.directory / path.relative_to(pipeline.directory)
        assert same.read_bytes() == path.read_bytes()


def test_a_job_that_ran_out_of_memory_is_a_new_job_with_more(cluster, pipeline):
    first, second = named(cluster.jobs(pipeline), "emotion_train")
    # OUT_OF_MEMORY where the kernel enforces limits (cgroups); here SLURM looks every two seconds.
    assert (first["State"], first["ReqMem"]) == ("FAILED", "400M")
    assert (second["State"], second["ReqMem"]) == ("COMPLETED", "4000M")
    assert "Error in rule emotion_train" in pipeline.output
    log = pipeline.directory / "logs/slurm/rule_emotion_train/qwen3_tiny_42" / first["JobIDRaw"]
    assert f"{log}.log" in pipeline.output
    assert "Exceeded job memory limit" in log.with_suffix(".log").read_text()
    others = [job for job in cluster.jobs(pipeline) if job not in (first, second)]
    assert {job["State"] for job in others} == {"COMPLETED"}


def test_the_account_is_the_one_in_the_environment(cluster, pipeline):
    assert {job["Account"] for job in cluster.jobs(pipeline)} == {"lab"}


def test_logs_are_kept(cluster, pipeline):
    logs = pipeline.directory / "logs"
    kept = {path.stem for path in (logs / "slurm").rglob("*.log")}
    assert kept == {job["JobIDRaw"] for job in cluster.jobs(pipeline)}
    assert (pipeline.directory / LOG).stat().st_size > 0


def test_ctrl_c_leaves_no_job_behind(cluster, training):
    run = training(training={"epochs": 2000})
    [job] = cluster.wait_for(lambda: cluster.running(run), 120, "no training runs")
    run.interrupt()
    assert run.process.returncode != 0
    cluster.wait_for(lambda: not cluster.queue(run), 30, f"job {job} is still in the queue")
    # Nor a lock; but what the job had begun counts as incomplete.
    run.start("--rerun-incomplete")
    cluster.wait_for(lambda: cluster.running(run), 120, "no second training runs")


def test_a_runtime_limit_is_enforced_and_reported(cluster, training):
    run = training(
        *("--set-resources", "emotion_train:runtime=1", "--retries", "0"),
        training={"epochs": 2000},
    )
    assert run.wait(300) == 1
    [job] = cluster.jobs(run, "emotion_train")
    assert job["State"] == "TIMEOUT"
    assert "Error in rule emotion_train:" in run.output
    assert "SLURM status is: 'TIMEOUT'" in run.output
    assert LOG in run.output
    assert f"{job['JobIDRaw']}.log" in run.output
