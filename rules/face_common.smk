# What the rules of the face experiment ask of the configuration.

from affectlab.face.settings import selected_runs

FACE = config["face"]
FACE_RUNS = selected_runs(FACE)
FACE_DATA = sorted({run["data"] for run in FACE_RUNS.values()})
FACE_SPLITS = list(dict.fromkeys(["validation", FACE["result_split"]]))


def face_votes_of(wildcards):
    """The manifest of the FER+ votes of a data set, if it has any."""
    votes = FACE["votes"].get(wildcards.data)
    return f"<resources>/raw/{votes}/manifest.json" if votes else []


def face_labels(*keys):
    """Part of the block that says how labels are made."""
    return {key: FACE["labels"][key] for key in keys}


def face_data_of(filename):
    """An input function: *filename* in the folder of the data set of the wildcard `run`."""
    return lambda wildcards: (
        f"<results>/face/data/{FACE['runs'][wildcards.run]['data']}/{filename}"
    )


def face_model_of(wildcards):
    """The manifest of the pretrained backbone of a run, if it has one."""
    model = FACE["runs"][wildcards.run].get("model")
    return f"<resources>/models/{model}/manifest.json" if model else []


def face_recipe(wildcards):
    """What decides how a run is trained: not its seeds, nor how it is judged."""
    run = FACE["runs"][wildcards.run]
    return {key: run[key] for key in run if key not in ("protocol", "seeds", "data")}


def face_run(wildcards):
    """A run's own block of the configuration, less the list of its seeds."""
    run = FACE["runs"][wildcards.run]
    return {key: run[key] for key in run if key != "seeds"}


def face_dataset_entry(wildcards):
    """The registry's entry of a run's data set."""
    return dataset_entry(FACE["runs"][wildcards.run]["data"])


def face_votes_entry(wildcards):
    """The registry's entry of the votes on a run's data set, by name, if there are any."""
    votes = FACE["votes"].get(FACE["runs"][wildcards.run]["data"])
    return {votes: dataset_entry(votes)} if votes else {}


def face_model_entry(wildcards):
    """The registry's entry of a run's pretrained backbone, if it has one."""
    return REGISTRIES.models.get(FACE["runs"][wildcards.run].get("model"))


def face_results(filename):
    """*filename* in the folder of every selected run and seed."""
    return [
        f"<results>/face/{name}/seed{seed}/{filename}"
        for name, run in FACE_RUNS.items()
        for seed in run["seeds"]
    ]


def face_exports():
    """What is exported: the first seed of the runs that `export` names."""
    return [
        f"<results>/face/{name}/seed{FACE['runs'][name]['seeds'][0]}/export/export.json"
        for name in FACE["export"]
    ]


def face_data_files(filename):
    """*filename* in the folder of every data set that a selected run uses."""
    return [f"<results>/face/data/{name}/{filename}" for name in FACE_DATA]


def face_data_targets(wildcards):
    return [*face_data_files("audit.json"), *face_data_files("label_check.json")]


def face_targets(wildcards):
    return [
        *face_data_targets(wildcards),
        *face_results("metrics.json"),
        *face_results("figures/training_curves.svg"),
        *face_results("model_card.md"),
        *face_exports(),
        "<results>/face/comparison.json",
    ]


WING_TARGETS["face"] = face_targets
