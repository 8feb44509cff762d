# Shared by all stages: the checked configuration, the sources that a script imports, the
# targets of each experiment. Parsed again by every job on a cluster, so only light modules.

import os
import re
import sys
from pathlib import Path

from snakemake.logging import logger

ROOT = Path(str(workflow.current_basedir)).parent.resolve()
SCRIPTS = ROOT / "workflow" / "scripts"
sys.path.insert(0, str(SCRIPTS))

from affectlab.core.assets import (
    asset_status,
    check_config,
    format_table,
    local_files,
    preflight,
)
from affectlab.core.config import selected_runs, validate_config
from affectlab.core.errors import ConfigError, UserError
from affectlab.core.sources import imported_sources

try:
    REGISTRIES = validate_config(config, ROOT)
except ConfigError as error:
    # An exception would be printed twice, with a traceback.
    sys.exit(str(error))

EMOTION = config["emotion"]
EMOTION_RUNS = selected_runs(EMOTION)
EMOTION_NETWORKS = [
    name for name, run in EMOTION["runs"].items() if run["method"] != "tfidf"
]
EMOTION_TFIDF = [
    name for name, run in EMOTION["runs"].items() if run["method"] == "tfidf"
]
EMOTION_DATA = sorted({run["data"] for run in EMOTION_RUNS.values()})
# Name and seed of the predictions that every other run is held against.
EMOTION_BASELINE = (
    EMOTION["baseline"],
    EMOTION["runs"][EMOTION["baseline"]]["seeds"][0],
)

# (kind, name) of the data sets and models that the requested targets lead to.
REQUESTED = set()


def lib(script):
    """The modules that *script* imports, so that editing one reruns exactly its users.

    Relative paths: their checksums then decide, and neither a `touch` nor a fresh
    checkout reruns anything.
    """
    return [
        os.path.relpath(path)
        for path in imported_sources(SCRIPTS / f"{script}.py", SCRIPTS / "affectlab")
    ]


def schema(name):
    """The JSON Schema that a record is checked against before it is written."""
    return os.path.relpath(ROOT / "workflow" / "schemas" / f"{name}.schema.json")


def one_of(names):
    """A wildcard pattern that matches these names and nothing else."""
    return "|".join(re.escape(name) for name in sorted(names)) or "(?!)"


def scaled(megabytes):
    """Memory that doubles, trebles, ... with each attempt at a job."""
    return lambda wildcards, attempt: megabytes * attempt


def status_of(kind, name):
    """Where one data set or model stands."""
    entries, root = {
        "dataset": (REGISTRIES.datasets, config["data_root"]),
        "model": (REGISTRIES.models, config["model_root"]),
    }[kind]
    return asset_status(
        kind, name, entries[name], root, workflow.pathvars.get("resources")
    )


def note_request(kind, name):
    """Remember that the requested targets lead to this; a dry run says so if it is missing."""
    if (kind, name) not in REQUESTED:
        REQUESTED.add((kind, name))
        status = status_of(kind, name)
        if workflow.dryrun and status.state == "missing":
            logger.warning(f"Missing: {name}. {status.detail}")


def local_data(wildcards):
    """The user's own copy of a data set, if there is one."""
    note_request("dataset", wildcards.data)
    return local_files(wildcards.data, config["data_root"])


def local_model(wildcards):
    """The user's own copy of a model, if there is one."""
    note_request("model", wildcards.model)
    return local_files(wildcards.model, config["model_root"])


def stop_if_missing():
    """Before the first job: name everything that is missing, and start nothing."""
    try:
        preflight(status_of(kind, name) for kind, name in sorted(REQUESTED))
    except UserError as error:
        sys.exit(str(error))


def asset_table():
    """Everything that the configuration needs and where it stands, as text."""
    resources = workflow.pathvars.get("resources")
    return format_table(check_config(config, REGISTRIES, resources))


def generated_data():
    """Names of the data sets that are made on the spot: no score on them is a result."""
    return sorted(
        name
        for name, entry in REGISTRIES.datasets.items()
        if any(source["kind"] == "sample" for source in entry["sources"])
    )


def emotion_recipe(wildcards):
    """What decides how a run is trained: not its seeds, nor how it is judged."""
    run = EMOTION["runs"][wildcards.run]
    return {key: run[key] for key in run if key not in ("protocol", "seeds", "data")}


def emotion_data_of(pattern):
    """An input function: *pattern* for the data set of the wildcard `run`."""
    return lambda wildcards: pattern.format(data=EMOTION["runs"][wildcards.run]["data"])


def emotion_model_of(wildcards):
    """The manifest of the pretrained model of a run, if it has one."""
    model = EMOTION["runs"][wildcards.run].get("model")
    return f"<resources>/models/{model}/manifest.json" if model else []


def emotion_run(wildcards):
    """A run's own block of the configuration, less the list of its seeds."""
    run = EMOTION["runs"][wildcards.run]
    return {key: run[key] for key in run if key != "seeds"}


def emotion_dataset_entry(wildcards):
    """The registry's entry of a run's data set."""
    return REGISTRIES.datasets[EMOTION["runs"][wildcards.run]["data"]]


def emotion_model_entry(wildcards):
    """The registry's entry of a run's pretrained model, if it has one."""
    return REGISTRIES.models.get(EMOTION["runs"][wildcards.run].get("model"))


def emotion_baseline_of(wildcards):
    """Predictions of the baseline, unless the run is the baseline."""
    name, seed = EMOTION_BASELINE
    if wildcards.run == name:
        return []
    return f"<results>/emotion/{name}/seed{seed}/predictions.jsonl"


def emotion_results(filename, runs=None):
    """*filename* in the folder of every selected run (or of those of *runs*) and seed."""
    return [
        f"<results>/emotion/{name}/seed{seed}/{filename}"
        for name, run in EMOTION_RUNS.items()
        if runs is None or name in runs
        for seed in run["seeds"]
    ]


def emotion_data_files(filename):
    """*filename* in the folder of every data set that a selected run uses."""
    return [f"<results>/emotion/data/{name}/{filename}" for name in EMOTION_DATA]


def emotion_exports():
    """What is exported: the first seed of the runs that `export` names."""
    return [
        f"<results>/emotion/{name}/seed{EMOTION['runs'][name]['seeds'][0]}/export/export.json"
        for name in EMOTION["export"]
    ]


def emotion_noise_target():
    """The search for wrong labels, in the data set that `label_noise` names."""
    return f"<results>/emotion/data/{EMOTION['label_noise']['data']}/label_noise.json"


def emotion_data_targets(wildcards):
    return [*emotion_data_files("audit.json"), emotion_noise_target()]


def emotion_targets(wildcards):
    return [
        *emotion_data_targets(wildcards),
        *emotion_results("metrics.json"),
        *emotion_results("figures/training_curves.svg", EMOTION_NETWORKS),
        *emotion_results("model_card.md"),
        *emotion_exports(),
        "<results>/emotion/comparison.json",
    ]


def wing_targets(wildcards):
    """What the experiments that `wings` names come to."""
    targets = {"emotion": emotion_targets}
    return [path for wing in config["wings"] for path in targets[wing](wildcards)]


onstart:
    stop_if_missing()
