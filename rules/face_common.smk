# What the rules of the face experiment ask of the configuration.

from affectlab.face.settings import PUBLISHED_LAYOUT, selected_runs

FACE = config["face"]
FACE_RUNS = Runs("face", selected_runs(FACE))
FACE_OUTSIDE = [name for name in FACE["runs"] if FACE_RUNS.is_outside(name)]
FACE_NETWORKS = [name for name in FACE["runs"] if name not in FACE_OUTSIDE]
FACE_SPLITS = list(dict.fromkeys(["validation", FACE["result_split"]]))


def face_votes_of(wildcards):
    """The manifest of the FER+ votes of a data set, if it has any."""
    votes = FACE["votes"].get(wildcards.data)
    return f"<resources>/raw/{votes}/manifest.json" if votes else []


def has_proxies(data):
    """Whether a data set has the classes that the proxies are made of: those of FER2013."""
    return REGISTRIES.datasets[data]["layout"] == PUBLISHED_LAYOUT


def face_runs_with_proxies():
    """Names of the runs on data that have proxies."""
    return [name for name, run in FACE["runs"].items() if has_proxies(run["data"])]


def face_proxies_of_run(filename):
    """An input function: *filename* of a run's data set, if that has proxies."""
    of_run = FACE_RUNS.data_of_run(filename)
    return lambda wildcards: (
        of_run(wildcards) if wildcards.run in face_runs_with_proxies() else []
    )


def face_blur_of(wildcards):
    """The blur test of a run and seed, if its data have proxies."""
    if wildcards.run not in set(face_runs_with_proxies()) - set(FACE_OUTSIDE):
        return []
    return f"<results>/face/{wildcards.run}/seed{wildcards.seed}/blur.json"


def face_result_split(wildcards):
    """The split that a kept model has not been trained on, whose scores are shown.

    Of a cross-validation that is the validation split, which its weights were chosen by.
    """
    return "validation" if FACE_RUNS.folds(wildcards.run) else FACE["result_split"]


def face_labels(*keys):
    """Part of the block that says how labels are made."""
    return {key: FACE["labels"][key] for key in keys}


def face_votes_entry(wildcards):
    """The registry's entry of the votes on a run's data set, by name, if there are any."""
    votes = FACE["votes"].get(FACE_RUNS[wildcards.run]["data"])
    return {votes: dataset_entry(votes)} if votes else {}


def face_proxy_files(filename):
    """*filename* in the folder of every data set that has proxies."""
    return [
        f"{FACE_RUNS.folder}/data/{name}/{filename}"
        for name in FACE_RUNS.data
        if has_proxies(name)
    ]


def face_data_targets(wildcards):
    return [
        *FACE_RUNS.data_files("audit.json"),
        *face_proxy_files("label_check.json"),
    ]


def face_targets(wildcards):
    return [
        *face_data_targets(wildcards),
        *FACE_RUNS.results("metrics.json"),
        *FACE_RUNS.other_audits(),
        *FACE_RUNS.other_results("metrics.json"),
        *FACE_RUNS.results("figures/training_curves.svg", FACE_NETWORKS),
        *FACE_RUNS.results("model_card.md", FACE_NETWORKS),
        *(
            FACE_RUNS.of_first_seed(name, "export/export.json")
            for name in FACE["export"]
            if name in FACE_RUNS.selected
        ),
        "<results>/face/comparison.json",
    ]


EXPERIMENT_TARGETS["face"] = face_targets
NETWORKS["face"] = FACE_NETWORKS
