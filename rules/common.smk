# Shared by all stages: the checked configuration, the sources that a script imports, what is
# missing. Parsed again by every job on a cluster, so only light modules.

import json
import os
import re
import sys
from functools import cache
from pathlib import Path

from snakemake.io import strip_wildcard_constraints
from snakemake.logging import logger

from affectlab.assets.status import (
    asset_status,
    entry_in_use,
    fetched_part,
    local_marker,
    preflight,
)
from affectlab.datasets.exclusions import taken_exclusions
from affectlab.files.archives import local_copy
from affectlab.files.io import user_path
from affectlab.config.checks import OUTSIDE, WITHOUT_TRAINING
from affectlab.config.clock import check_dates
from affectlab.config.load import load_yaml
from affectlab.config.prompts import asks_endpoint, with_template
from affectlab.errors import UserError
from affectlab.config.sources import sources_digest
from affectlab.config.targets import check_seed, target_hint
from affectlab.experiments import (
    EXPERIMENTS,
    GENERATORS,
    MODEL_GENERATORS,
    check_config,
    check_text,
    experiments_without,
    needed_assets,
    validate_config,
)

try:
    for configuration in workflow.configfiles:
        # Of two equal keys, Snakemake takes the last without a word.
        load_yaml(configuration)
    COMPLETE, REGISTRIES = validate_config(config, ROOT)
except UserError as error:
    # An exception would be printed twice, with a traceback.
    sys.exit(str(error))
# Who withdrew is for the conversions alone: params and stored files would keep their names.
EXCLUSIONS, COMPLETE = taken_exclusions(COMPLETE, REGISTRIES.datasets)
# What rules and scripts see has every key.
config.update(COMPLETE)

# Name of an experiment -> the input function with all that it comes to; each experiment's own
# rules put theirs in.
EXPERIMENT_TARGETS = {}

# Name of an experiment -> the runs that train a network; put there as well.
NETWORKS = {}

# The menu of Snakemake's own report is in the order of the alphabet.
FIRST_CATEGORY = "All results"

# Snakemake's own message for a target that it does not know.
NO_RULE = re.compile(r"No rule to produce (?P<name>\S+) \(if you use")

# (kind, name) of the data sets and models that the requested targets lead to.
REQUESTED = set()


def lib(script, loaded=lambda wildcards: {}):
    """A digest of the modules that *script* uses, so that editing one reruns exactly its users.

    A parameter, and no list of input files: thousands of these would make up most of the time that
    Snakemake takes to plan. A `touch` or a fresh checkout reruns nothing.

    Args:
        script: its name.
        loaded: gives, by name, the dotted names that it loads beside what it imports.
    """

    @cache
    def digest(dotted):
        script_path = SCRIPTS / f"{script}.py"
        return sources_digest(script_path, SCRIPTS / "affectlab", dotted)

    return lambda wildcards: digest(tuple(loaded(wildcards).values()))


def generators(entry, known):
    """Generator -> dotted name, of those that a registry's entry names."""
    names = [source.get("generator") for source in entry["sources"]]
    return {name: known[name] for name in names if name in known}


def data_generators(wildcards):
    """The generators of the data set of the wildcard `data`."""
    return generators(REGISTRIES.datasets[wildcards.data], GENERATORS)


def model_generators(wildcards):
    """The generators of the model of the wildcard `model`."""
    return generators(REGISTRIES.models[wildcards.model], MODEL_GENERATORS)


def report_sections(wildcards):
    """Experiment -> dotted name of its section of the report."""
    return {name: EXPERIMENTS[name].report_section for name in config["experiments"]}


def schema(name):
    """The JSON Schema that a record is checked against before it is written."""
    path = os.path.relpath(ROOT / "workflow" / "schemas" / f"{name}.schema.json")
    return lambda wildcards: path


def one_of(names):
    """A wildcard pattern that matches these names and nothing else."""
    return "|".join(re.escape(name) for name in sorted(set(names))) or "(?!)"


def of_their_experiment(runs):
    """A pattern of runs that matches behind the folder of their own experiment alone."""
    return "|".join(
        rf"(?<=/{re.escape(experiment)}/)(?:{one_of(names)})"
        for experiment, names in runs.items()
    )


def nonempty(path):
    """An output file that must hold something."""
    return ensure(path, non_empty=True)


def ordering_only(path):
    """An input that must have been made before; its content is not read, nor its date."""
    return ancient(path)


def category_of(wildcards):
    """The category of an experiment in Snakemake's own report."""
    return EXPERIMENTS[wildcards.experiment].title


def shown(path):
    """An output that Snakemake's own report shows, under the names that its path holds."""
    experiment, name = path.split("/")[1], Path(path).stem
    if "{data}" in path:
        group, labels = "Data", {"data": "{data}"}
    elif "{run}" in path:
        group = "{run}"
        labels = {"seed": "{seed}" if "{seed}" in path else "all"}
    else:
        group, labels = "All runs", {}
    generic = experiment == "{experiment}"
    return report(
        nonempty(path),
        caption=f"../workflow/report/{name if generic else f'{experiment}_{name}'}.rst",
        category=category_of if generic else EXPERIMENTS[experiment].title,
        subcategory=group,
        labels=labels | {"what": name.replace("_", " ")},
    )


def figure(stem):
    """The outputs of a figure: an SVG for the report, called as its file, and a PNG."""
    name = Path(stem).name
    return {name: shown(f"{stem}.svg"), f"{name}_png": nonempty(f"{stem}.png")}


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
    entry = REGISTRIES.datasets[wildcards.data]
    return watched("dataset", wildcards.data, entry, config["data_root"])


def local_model(wildcards):
    """The user's own copy of a model, if there is one."""
    entry = REGISTRIES.models[wildcards.model]
    return watched("model", wildcards.model, entry, config["model_root"])


def watched(kind, name, entry, root):
    """A file that changes with the content of a local copy, whatever the dates of its files."""
    note_request(kind, name)
    return local_marker(kind, name, entry, root, workflow.pathvars.get("resources"))


def stop_if_missing():
    """Before the first job: name everything that is missing, and start nothing."""
    statuses = [status_of(kind, name) for kind, name in sorted(REQUESTED)]
    try:
        preflight(statuses)
    except UserError as error:
        missing = {(one.kind, one.name) for one in statuses if one.state == "missing"}
        free = ",".join(experiments_without(config, missing))
        hint = (
            f"\nExperiments that need none of this: {free}. "
            f"To run these alone: --config 'experiments=[{free}]'"
        )
        sys.exit(f"{error}{hint if free else ''}")


def stop_if_dated_ahead():
    """Before the first job: start nothing if an input of a job is dated in the future."""
    inputs = {str(path) for job in workflow.dag.needrun_jobs() for path in job.input}
    try:
        check_dates(inputs)
    except UserError as error:
        sys.exit(str(error))


def asset_statuses():
    """Where everything that the configuration needs stands."""
    return check_config(config, REGISTRIES, workflow.pathvars.get("resources"))


def sample_manifests(wildcards):
    """Manifests of the needed data sets that may be generated; they tell whether they were."""
    return [
        f"<resources>/raw/{name}/manifest.json"
        for name in needed_assets(config)[0]
        if any(
            source["kind"] == "sample"
            for source in REGISTRIES.datasets[name]["sources"]
        )
    ]


def dataset_entry(name):
    """The registry's entry of a data set, as cards describe it."""
    return entry_in_use(name, REGISTRIES.datasets[name], config["data_root"])


def data_layout(wildcards):
    """How the raw files of the data set of the wildcard `data` are laid out."""
    return REGISTRIES.datasets[wildcards.data]["layout"]


def folds_of(data):
    """Folds of the cross-validation of a data set; 0 where it has a test split."""
    return REGISTRIES.datasets[data].get("split", {}).get("folds", 0)


def fold_of(wildcards):
    """The number of the fold that a job is of, if it is of one."""
    return int(wildcards.fold) if "fold" in wildcards.keys() else None


def reading_part(wildcards):
    """What of the entry of the data set of the wildcard `data` decides how it is read."""
    entry = REGISTRIES.datasets[wildcards.data]
    keys = (
        *("layout", "columns", "classes", "fields", "target"),
        *("language", "split", "image", "expected"),
    )
    part = {key: entry[key] for key in keys if key in entry}
    languages = entry.get("facts", {}).get("languages")
    part |= {"facts": {"languages": languages}} if languages else {}
    # Params that differ in the order of their keys would convert the data again.
    return json.loads(json.dumps(part, sort_keys=True))


def listed_items(wildcards):
    """The lists of items that divide the data set of the wildcard `data`, if there are any."""
    plan = REGISTRIES.datasets[wildcards.data].get("split", {})
    return [str(user_path(path)) for path in plan.get("items", {}).values()]


def exclusion_digests(wildcards):
    """Digests of the names that the entry of the wildcard `data` leaves out."""
    return EXCLUSIONS.get(wildcards.data, {}).get("digests", {})


def exclusion_file(wildcards):
    """The file with the names that the entry of the wildcard `data` leaves out, if it has one."""
    file = EXCLUSIONS.get(wildcards.data, {}).get("file")
    return [] if file is None else str(user_path(file))


def expected_counts(wildcards):
    """What the registry expects an audit to find in the data set of the wildcard `data`."""
    found = REGISTRIES.datasets[wildcards.data].get("expected", {})
    # Params that differ in the order of their keys would convert the data again.
    return json.loads(json.dumps(found, sort_keys=True))


def subgroups_reader(wildcards):
    """The dotted name of what reads the subgroups of an experiment, by its name."""
    return {wildcards.experiment: EXPERIMENTS[wildcards.experiment].subgroups}


def subgroups_entry(wildcards):
    """What of the entry of a data set decides how its subgroups are read."""
    entry = REGISTRIES.datasets[wildcards.data]
    part = {key: entry[key] for key in ("layout", "columns", "split") if key in entry}
    # Params that differ in the order of their keys would read the data again.
    part = json.loads(json.dumps(part, sort_keys=True))
    return {**part, "subgroups": entry["subgroups"]}


class Runs:
    """The runs of one experiment, as its rules ask for them.

    Args:
        experiment: name of the experiment.
        selected: the runs that are carried out, by name.
        data: names of the data sets that these need; None for those that they are scored on.
        outside: methods that train nothing and whose predictions a rule of its own stores.
    """

    def __init__(self, experiment, selected, data=None, outside=WITHOUT_TRAINING):
        self.experiment = experiment
        self.outside = outside
        self.folder = f"<results>/{experiment}"
        self.blocks = config[experiment]["runs"]
        self.selected = selected
        if data is None:
            data = {run["data"] for run in selected.values()}
        self.data = sorted(data)

    def __getitem__(self, name):
        """The block of a run, selected or not."""
        return self.blocks[name]

    def recipe(self, *without):
        """A params function: a run's block less the keys that do not matter to the rule."""
        return lambda wildcards: {
            key: value
            for key, value in self[wildcards.run].items()
            # What it is tested on besides changes neither the model nor its own scores.
            if key not in (*without, "test_on")
        }

    def data_of_run(self, filename):
        """An input function: *filename* in the folder of a run's data set."""

        def path(wildcards):
            self.check_seed(wildcards)
            return f"{self.folder}/data/{self[wildcards.run]['data']}/{filename}"

        return path

    def folds(self, name):
        """Folds of the cross-validation of a run's data; 0 where they have a test split."""
        return folds_of(self[name]["data"])

    def with_folds(self, names):
        """Those of *names* whose data are cross-validated."""
        return [name for name in names if self.folds(name)]

    def without_folds(self, names):
        """Those of *names* whose data have a test split."""
        return [name for name in names if not self.folds(name)]

    def of_folds(self, filename):
        """An input function: *filename* of every fold of a run and seed."""

        def paths(wildcards):
            self.check_seed(wildcards)
            return [
                f"{self.folder}/{wildcards.run}/seed{wildcards.seed}/fold{fold}/{filename}"
                for fold in range(self.folds(wildcards.run))
            ]

        return paths

    def of_method(self, *methods):
        """Names of the runs of these methods, selected or not."""
        return [name for name, run in self.blocks.items() if run["method"] in methods]

    def is_outside(self, name):
        """Whether a run scores predictions for which it trained nothing."""
        return self[name]["method"] in self.outside

    def outside_files(self, wildcards):
        """The files that a run on a table of predictions names."""
        self.check_seed(wildcards)
        block = self[wildcards.run][OUTSIDE]
        names = [block["path"], block["trained_on"]]
        return [str(user_path(name)) for name in names if name is not None]

    def of_outside(self, filename):
        """An input function: *filename* of a run and seed that trained nothing."""
        return lambda wildcards: (
            f"{self.folder}/{wildcards.run}/seed{wildcards.seed}/{filename}"
            if self.is_outside(wildcards.run)
            else []
        )

    def of_trained(self, filename):
        """An input function: *filename* of a run and seed that has a model of its own."""
        return lambda wildcards: (
            []
            if self.is_outside(wildcards.run)
            else f"{self.folder}/{wildcards.run}/seed{wildcards.seed}/{filename}"
        )

    def subgroups_of_run(self, wildcards):
        """The subgroups of the items of a run, if the entry of its data names any."""
        self.check_seed(wildcards)
        data = self[wildcards.run]["data"]
        if "subgroups" not in REGISTRIES.datasets[data]:
            return []
        return f"{self.folder}/data/{data}/subgroups.jsonl"

    def other_results(self, filename):
        """*filename* of every selected run, seed and other data set that it is tested on."""
        return [
            f"{self.folder}/{name}/seed{seed}/on/{other}/{filename}"
            for name, run in self.selected.items()
            for seed in run["seeds"]
            for other in run.get("test_on", ())
        ]

    def other_audits(self):
        """The audits of the data sets that selected runs are tested on."""
        names = {
            name for run in self.selected.values() for name in run.get("test_on", ())
        }
        return [f"{self.folder}/data/{name}/audit.json" for name in sorted(names)]

    def other_block(self, wildcards):
        """The block of the data set of the wildcard `data` under `test_on` of a run."""
        tested = self[wildcards.run]["test_on"]
        if wildcards.data not in tested:
            path = f"{self.experiment}.runs.{wildcards.run}.test_on"
            sys.exit(f"{path}: expected {wildcards.data!r}, found {sorted(tested)}")
        return tested[wildcards.data]

    def other_data(self, filename):
        """An input function: *filename* of the data set that a run is tested on."""

        def path(wildcards):
            self.check_seed(wildcards)
            self.other_block(wildcards)
            return f"{self.folder}/data/{wildcards.data}/{filename}"

        return path

    def with_other_data(self):
        """Names of the runs that are tested on other data."""
        return [name for name, run in self.blocks.items() if run.get("test_on")]

    def copies_of_run(self, wildcards):
        """Which items of the data set of the wildcard `data` are near copies of a run's own."""
        own = self[wildcards.run]["data"]
        return f"{self.folder}/data/{own}/copies/{wildcards.data}.json"

    def model_of_run(self, wildcards):
        """The manifest of a run's pretrained model, if it has one."""
        self.check_seed(wildcards)
        run = self[wildcards.run]
        model = None if asks_endpoint(run) else run.get("model")
        return f"<resources>/models/{model}/manifest.json" if model else []

    def check_seed(self, wildcards):
        """Stop if a path was asked for whose seed is not one of its run."""
        # Some files are of a run, and of no seed.
        if "seed" in wildcards.keys():
            seeds = self[wildcards.run]["seeds"]
            try:
                check_seed(self.experiment, wildcards.run, wildcards.seed, seeds)
            except UserError as error:
                sys.exit(str(error))

    def dataset_entry(self, wildcards):
        """The registry's entry of a run's data set."""
        return dataset_entry(self[wildcards.run]["data"])

    def hub_ids(self, wildcards):
        """What the hub calls a run's data set; a model's card may name it as training data."""
        entry = REGISTRIES.datasets[self[wildcards.run]["data"]]
        named = [*entry["sources"], entry.get("hub", {})]
        return sorted({source["repo"] for source in named if "repo" in source})

    def model_entry(self, wildcards):
        """The registry's entry of a run's pretrained model, if it has one."""
        return REGISTRIES.models.get(self[wildcards.run].get("model"))

    def data_files(self, filename):
        """*filename* in the folder of every data set."""
        return [f"{self.folder}/data/{name}/{filename}" for name in self.data]

    def results(self, filename, names=None):
        """*filename* of every selected run (or of those of *names*) and seed."""
        return [
            f"{self.folder}/{name}/seed{seed}/{filename}"
            for name, run in self.selected.items()
            if names is None or name in names
            for seed in run["seeds"]
        ]

    def first_seed(self, name):
        """The first seed of the run *name*."""
        return self[name]["seeds"][0]

    def of_first_seed(self, name, filename):
        """*filename* of the run *name* with its first seed."""
        return f"{self.folder}/{name}/seed{self.first_seed(name)}/{filename}"


def experiment_targets(wildcards):
    """What the experiments that `experiments` names come to."""
    return [
        path
        for experiment in config["experiments"]
        for path in EXPERIMENT_TARGETS[experiment](wildcards)
    ]


def possible_files():
    """Every path that the rules make of the names and seeds in the configuration."""
    values = {"data": REGISTRIES.datasets, "model": REGISTRIES.models}
    generic = {
        strip_wildcard_constraints(str(pattern))
        for one in workflow.rules
        for pattern in one.products()
    }
    patterns = {
        pattern.replace("{experiment}", experiment)
        for pattern in generic
        for experiment in NETWORKS
    }
    for pattern in patterns:
        for experiment in (
            experiment
            for experiment in EXPERIMENT_TARGETS
            if f"/{experiment}/{{run}}/" in pattern
        ):
            for name, block in config[experiment]["runs"].items():
                yield from expand(
                    pattern, run=name, seed=block["seeds"], allow_missing=True
                )
        for key, names in values.items():
            if f"{{{key}}}" in pattern:
                yield from expand(pattern, **{key: list(names)}, allow_missing=True)
        if "{" not in pattern:
            yield pattern


def with_hint(record):
    """Add to Snakemake's message on an unknown target what may have been meant.

    It parses this file before it looks at the targets, so they cannot be checked here.
    """
    found = NO_RULE.search(record.getMessage())
    if found:
        known = [
            one.name
            for one in workflow.rules
            if not one.has_wildcards() and not one.output
        ]
        hint = target_hint(
            found["name"],
            known,
            lambda: filter(is_made, possible_files()),
        )
        if hint:
            before = record.getMessage()[: found.start()]
            record.msg = f"{before}No rule to produce {found['name']}. {hint}"
            record.args = ()
    return True


def is_made(path):
    """Whether a rule makes this path."""
    return any(one.is_producer(path) for one in workflow.rules)


def environments_with_braces():
    """Let the path of the checkout hold braces, which Snakemake takes for variables there."""
    for one in workflow.rules:
        if isinstance(one.conda_env, str) and set("{}") & set(str(ROOT)):
            path = os.path.join(ROOT, "rules", one.conda_env)
            one.conda_env = path.replace("{", "{{").replace("}", "}}")


logger.addFilter(with_hint)


wildcard_constraints:
    seed=r"\d+",
    fold=r"\d+",
    data=one_of(REGISTRIES.datasets),
    model=one_of(REGISTRIES.models),


onstart:
    stop_if_missing()
    stop_if_dated_ahead()
