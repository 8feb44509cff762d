# What the rules of the face experiment ask of the configuration.

from affectlab.face.settings import selected_runs

FACE = config["face"]
FACE_RUNS = Runs("face", selected_runs(FACE))
FACE_SPLITS = list(dict.fromkeys(["validation", FACE["result_split"]]))


def face_votes_of(wildcards):
    """The manifest of the FER+ votes of a data set, if it has any."""
    votes = FACE["votes"].get(wildcards.data)
    return f"<resources>/raw/{votes}/manifest.json" if votes else []


def face_labels(*keys):
    """Part of the block that says how labels are made."""
    return {key: FACE["labels"][key] for key in keys}


def face_votes_entry(wildcards):
    """The registry's entry of the votes on a run's data set, by name, if there are any."""
    votes = FACE["votes"].get(FACE_RUNS[wildcards.run]["data"])
    return {votes: dataset_entry(votes)} if votes else {}


def face_data_targets(wildcards):
    return [
        *FACE_RUNS.data_files("audit.json"),
        *FACE_RUNS.data_files("label_check.json"),
    ]


def face_targets(wildcards):
    return [
        *face_data_targets(wildcards),
        *FACE_RUNS.results("metrics.json"),
        *FACE_RUNS.results("figures/training_curves.svg"),
        *FACE_RUNS.results("model_card.md"),
        *(
            FACE_RUNS.of_first_seed(name, "export/export.json")
            for name in FACE["export"]
            if name in FACE_RUNS.selected
        ),
        "<results>/face/comparison.json",
    ]


EXPERIMENT_TARGETS["face"] = face_targets
NETWORKS["face"] = FACE["runs"]
