# What the rules of the summary experiment ask of the configuration.

from affectlab.summary.methods import BASELINE_METHODS, TRAINED_METHODS, training_part
from affectlab.summary.settings import SCORING_MODELS
from affectlab.summary.settings import selected_runs as selected_summary_runs

SUMMARY = config["summary"]
SUMMARY_RUNS = Runs("summary", selected_summary_runs(SUMMARY))
# Name and seed of the summaries that every other run on the same cases is held against.
SUMMARY_BASELINE = (SUMMARY["baseline"], SUMMARY_RUNS.first_seed(SUMMARY["baseline"]))
SUMMARY_TRAINED = [
    name for name, run in SUMMARY["runs"].items() if run["method"] in TRAINED_METHODS
]
SUMMARY_BASELINES = [
    name for name, run in SUMMARY["runs"].items() if run["method"] in BASELINE_METHODS
]
SUMMARY_MODELS = [name for name in SUMMARY["runs"] if name not in SUMMARY_BASELINES]


def summary_trained(filename):
    """An input function: *filename* in the run's folder, if the run is trained."""
    return lambda wildcards: (
        f"<results>/summary/{wildcards.run}/seed{wildcards.seed}/{filename}"
        if wildcards.run in SUMMARY_TRAINED
        else []
    )


def summary_baseline_of(wildcards):
    """Predictions and details of the baseline, where the run is another on the same cases."""
    name = SUMMARY["baseline"]
    run, baseline = SUMMARY_RUNS[wildcards.run], SUMMARY_RUNS[name]
    if wildcards.run == name or any(
        run[key] != baseline[key] for key in ("data", "fold")
    ):
        return []
    return [
        SUMMARY_RUNS.of_first_seed(name, filename)
        for filename in ("predictions.jsonl", "details.jsonl")
    ]


def summary_judge_of(wildcards):
    """Marks of the run, if a judge is configured: for the benchmark's own task only."""
    data = SUMMARY_RUNS[wildcards.run]["data"]
    if SUMMARY["judge"] is None or REGISTRIES.datasets[data]["layout"] != "longemotion":
        return []
    return f"<results>/summary/{wildcards.run}/seed{wildcards.seed}/judge.json"


def summary_neural_of(wildcards):
    """Scores of the run by further models, if one is configured."""
    if not any(SUMMARY[key] for key in SCORING_MODELS):
        return []
    return f"<results>/summary/{wildcards.run}/seed{wildcards.seed}/neural.json"


def summary_scoring_model(key):
    """An input function: the manifest of the model that `summary.KEY` names, if it names one."""
    return lambda wildcards: (
        f"<resources>/models/{SUMMARY[key]}/manifest.json" if SUMMARY[key] else []
    )


def summary_data_targets(wildcards):
    return [
        *SUMMARY_RUNS.data_files("audit.json"),
        *(
            f"<results>/summary/{name}/lengths.json"
            for name in SUMMARY_RUNS.selected
            if name in SUMMARY_MODELS
        ),
    ]


def summary_targets(wildcards):
    return [
        *summary_data_targets(wildcards),
        *SUMMARY_RUNS.results("metrics.json"),
        *SUMMARY_RUNS.results("figures/training_curves.svg", SUMMARY_TRAINED),
        *SUMMARY_RUNS.results("model_card.md", SUMMARY_TRAINED),
        "<results>/summary/comparison.json",
    ]


EXPERIMENT_TARGETS["summary"] = summary_targets
NETWORKS["summary"] = SUMMARY_TRAINED
