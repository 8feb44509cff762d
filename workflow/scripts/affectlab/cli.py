"""The command ``affectlab``: ask a trained model, see which data are there and what came out."""

from __future__ import annotations

import argparse
import errno
import io
import json
import re
import shutil
import signal
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from affectlab import __version__
from affectlab.config.dotted import load
from affectlab.config.experiment import Experiment
from affectlab.errors import ConfigError, UserError
from affectlab.experiments import EXPERIMENTS
from affectlab.model_owner import with_own_model

USER_ERROR_STATUS = 2
INTERRUPTED_STATUS = 128 + signal.SIGINT


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status.

    0: done. 1: something is missing. 2: misuse, or a full disk. 130: interrupted.
    """
    options = _parser(EXPERIMENTS.values()).parse_args(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # JSON is UTF-8 whatever the locale; a byte of a file's name that is none stays what it is.
        sys.stdout.reconfigure(encoding="utf-8", errors="surrogateescape")
    try:
        if sys.stdout is None:
            raise UserError("standard output is closed")
        status: int = options.run(with_own_model(options))
        sys.stdout.flush()
        return status
    except UserError as error:
        print(f"affectlab: {error}", file=sys.stderr)
        return USER_ERROR_STATUS
    except KeyboardInterrupt:
        print("affectlab: interrupted", file=sys.stderr)
        return INTERRUPTED_STATUS
    except BrokenPipeError:
        # The reader (`| head`) has seen enough; keep Python from flushing into the closed pipe.
        sys.stdout = None
        return 0
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        place = error.filename or "standard output"
        print(f"affectlab: {place}: cannot be written: {error.strerror}", file=sys.stderr)
        sys.stdout = None
        return USER_ERROR_STATUS


class _Once(argparse.Action):
    """An option that may not be repeated: Snakemake would silently use the last one alone."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        if getattr(namespace, self.dest):
            parser.error(f"{option_string} is given twice; write all values after one of them")
        setattr(namespace, self.dest, values)


def _parser(experiments: Iterable[Experiment]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="affectlab",
        description="Ask a trained model, see which data are there and what came out.",
        epilog="docs/commands.md explains them. Training and scoring are Snakemake's.",
    )
    parser.add_argument("--version", action="version", version=f"affectlab {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    predict = commands.add_parser("predict", help="ask a trained model")
    predictors = predict.add_subparsers(required=True, metavar="EXPERIMENT", dest="predictor")
    for experiment in experiments:
        load(experiment.commands)(predictors, commands)

    init = commands.add_parser(
        "init", help="look at data of your own, and print a configuration for them"
    )
    own = [experiment.name for experiment in experiments if experiment.overlay]
    init.add_argument("experiment", choices=own, help=", ".join(own), metavar="EXPERIMENT")
    init.add_argument("path", type=Path, help="file or folder of the data")
    init.add_argument("--name", help="name of the data set (default: that of the file)")
    init.set_defaults(run=_init)

    export = commands.add_parser(
        "export-data", help="write the records of a run as a data set that `datasets` reads"
    )
    export.add_argument("data", metavar="EXPERIMENT/DATA", help="such as emotion/tweets")
    export.add_argument("--to", type=Path, required=True, help="folder to write; must not exist")
    export.add_argument(
        "--results", type=Path, default=Path("results"), help="results folder (default: results)"
    )
    export.add_argument(
        "--allowed",
        action="store_true",
        help="say that you may copy data whose terms do not let everybody do so",
    )
    export.set_defaults(run=_export_data)

    _add_plan(commands, experiments)

    check = commands.add_parser(
        "check", help="list every data set and model that a configuration needs"
    )
    check.add_argument(
        "--configfile",
        type=Path,
        nargs="*",
        default=[],
        action=_Once,
        help="overlays, as for snakemake",
    )
    check.add_argument(
        "--config",
        nargs="*",
        default=[],
        action=_Once,
        metavar="KEY=VALUE",
        help="values, as for snakemake",
    )
    check.add_argument(
        "--resources", type=Path, help="folder of fetched things (default: the configuration's)"
    )
    check.add_argument("--experiment", help="what a single experiment needs")
    check.add_argument("--json", action="store_true", help="print JSON instead of a table")
    check.set_defaults(run=_check)

    results = commands.add_parser("results", help="print the results of a run in a few lines")
    results.add_argument(
        "folder",
        nargs="?",
        type=Path,
        default=Path("results"),
        help="where the results lie (default: results)",
    )
    results.add_argument("--experiment", help="a single experiment")
    results.add_argument(
        "--headline",
        action="store_true",
        help="headline scores alone; the plain table has the main score of each run in any case",
    )
    kinds = results.add_mutually_exclusive_group()
    for kind, what in (("json", "JSON"), ("csv", "CSV"), ("markdown", "a Markdown table")):
        kinds.add_argument(
            f"--{kind}",
            dest="kind",
            action="store_const",
            const=kind,
            help=f"print {what} of all scores",
        )
    results.set_defaults(run=_results)

    referee = commands.add_parser(
        "referee", help="judge predictions that somebody else made, without training"
    )
    referee.add_argument(
        "experiment",
        choices=[one.name for one in experiments],
        help="of the data",
        metavar="EXPERIMENT",
    )
    referee.add_argument("--data", type=Path, required=True, help="your data, with labels")
    referee.add_argument(
        "--predictions", type=Path, required=True, help="table with ids and predicted classes"
    )
    referee.add_argument("--claim", help="what is claimed, such as accuracy=0.94")
    referee.add_argument(
        "--classes",
        nargs="*",
        default=[],
        action=_Once,
        metavar="THEIRS=OURS",
        help="their name of a class, and yours, where they differ",
    )
    referee.add_argument(
        "--trained-on", type=Path, help="ids that the model was trained on, one a line"
    )
    referee.add_argument(
        "--allow-missing", action="store_true", help="score the items that have a prediction"
    )
    referee.add_argument(
        "--to", type=Path, default=Path("referee"), help="folder of the run (default: referee)"
    )
    referee.set_defaults(run=_referee)

    cluster = commands.add_parser("cluster", help="runs on a SLURM cluster")
    cluster_commands = cluster.add_subparsers(required=True, metavar="COMMAND")
    orphans = cluster_commands.add_parser(
        "orphans", help="list the jobs that a killed Snakemake left behind"
    )
    orphans.add_argument(
        "folder", nargs="?", type=Path, default=Path(), help="its run directory (default: here)"
    )
    orphans.add_argument("--cancel", action="store_true", help="cancel them, and wait for it")
    orphans.set_defaults(run=_orphans)
    return parser


def _add_plan(commands: Any, experiments: Iterable[Experiment]) -> None:
    plan = commands.add_parser(
        "plan", help="compute what the scored items of a data set can show, before any training"
    )
    planned = [experiment.name for experiment in experiments if experiment.plan]
    plan.add_argument("data", metavar="EXPERIMENT/DATA", help=f"EXPERIMENT: {', '.join(planned)}")
    plan.add_argument("--score", help="a single score (default: the headline scores)")
    plan.add_argument(
        "--expect",
        type=float,
        metavar="VALUE",
        help="score that is assumed (default: one above the trivial baseline, which is printed)",
    )
    plan.add_argument(
        "--agree",
        type=float,
        metavar="SHARE",
        help="how often two runs agree (default: as with errors that have a correlation of 0.5)",
    )
    plan.add_argument(
        "--within",
        type=float,
        metavar="CORRELATION",
        help="of the outcomes of items of one group (default: both 1 and 0)",
    )
    plan.add_argument("--width", type=float, help="interval that is wanted: print the items needed")
    plan.add_argument(
        "--results", type=Path, default=Path("results"), help="results folder (default: results)"
    )
    plan.add_argument("--json", action="store_true", help="print JSON instead of a table")
    plan.set_defaults(run=_plan)


def _init(options: argparse.Namespace) -> int:
    from affectlab.config.models import ASSET_NAME
    from affectlab.datasets.overlay import as_yaml, data_name

    name = options.name or data_name(options.path)
    if not re.fullmatch(ASSET_NAME, name):
        raise UserError(f"--name {name}: expected lower-case letters, digits and underscores")
    found = load(EXPERIMENTS[options.experiment].overlay)(options.path)
    sys.stdout.write(as_yaml(found, name, options.path))
    return 0


def _export_data(options: argparse.Namespace) -> int:
    from affectlab.config.load import parse_yaml
    from affectlab.config.registries import load_registries
    from affectlab.datasets.export import may_be_exported
    from affectlab.files.text import read_text

    experiment, _, name = options.data.partition("/")
    path = options.results / "config.yaml"
    registries = load_registries(_project(), parse_yaml(read_text(path), path))
    if experiment not in EXPERIMENTS or name not in registries.datasets:
        raise UserError(f"{options.data}: expected EXPERIMENT/DATA, such as emotion/tweets")
    entry = registries.datasets[name]
    if not options.allowed and not may_be_exported(entry):
        problem = f"licence {entry['licence']}; terms: {entry['terms']}"
        raise UserError(f"{name}: {problem}. If you may copy these data, add --allowed")
    folder = options.results / experiment / "data" / name
    export = load(EXPERIMENTS[experiment].data_export)
    for split, number in export(folder, options.to).items():
        print(split, number, sep="\t")
    return 0


def _plan(options: argparse.Namespace) -> int:
    from affectlab.config.load import load_config, parse_yaml
    from affectlab.evaluation.plan_text import as_record, table
    from affectlab.evaluation.planning import make_plan, questions_of
    from affectlab.files.text import read_text

    experiment, _, name = options.data.partition("/")
    if experiment not in EXPERIMENTS or not EXPERIMENTS[experiment].plan or not name:
        raise UserError(f"{options.data}: expected EXPERIMENT/DATA, such as emotion/tweets")
    folder = options.results / experiment / "data" / name
    if not (folder / "description.json").is_file():
        raise UserError(
            f"{folder}: these data are not converted yet. Convert them, with the --configfile that"
            f" has them: snakemake --cores 1 {folder / 'description.json'}"
        )
    stored = options.results / "config.yaml"
    config = parse_yaml(read_text(stored), stored) if stored.exists() else load_config(_project())
    parts = load(EXPERIMENTS[experiment].plan)(folder, config[experiment])
    found = [
        (
            part,
            [
                make_plan(
                    question,
                    expected=options.expect,
                    agree=options.agree,
                    within=options.within,
                    width=options.width,
                )
                for question in asked
            ],
        )
        for part, asked in questions_of(parts, options.score)
    ]
    if options.json:
        print(
            json.dumps([as_record(part, one) for part, plans in found for one in plans], indent=2)
        )
    else:
        print("\n\n".join(table(part, plans) for part, plans in found))
    return 0


def _check(options: argparse.Namespace) -> int:
    from dataclasses import asdict

    from affectlab.config.load import load_config, merge, parse_yaml
    from affectlab.experiments import check_config, check_text, validate_config

    project = _project()
    config = load_config(project, options.configfile)
    for setting in options.config:
        key, separator, value = setting.partition("=")
        if not separator:
            raise UserError(f"--config {setting}: expected KEY=VALUE")
        try:
            config = merge(config, {key: parse_yaml(value, key)})
        except ConfigError as error:
            problem = f"--config {setting[:80]}: the value is not valid YAML: {error}"
            raise UserError(problem) from error
    config, registries = validate_config(config, project)
    if options.experiment is not None:
        if options.experiment not in config["experiments"]:
            known = ", ".join(config["experiments"])
            raise UserError(f"--experiment {options.experiment}: the configuration has {known}")
        config = {**config, "experiments": [options.experiment]}
    resources = options.resources or config["pathvars"]["resources"]
    statuses = check_config(config, registries, resources)
    if options.json:
        print(json.dumps([asdict(one) for one in statuses], indent=2, ensure_ascii=False))
    else:
        print(check_text(config, statuses))
    return 1 if any(status.state == "missing" for status in statuses) else 0


def _results(options: argparse.Namespace) -> int:
    from affectlab.report.results_file import as_csv, as_json, chosen, read_results
    from affectlab.report.summary import as_markdown, summarise

    found = read_results(options.folder)
    rows = chosen(found, options.experiment, headline=options.headline)
    if options.kind is None:
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
        print(summarise(options.folder, rows, width))
    else:
        print({"json": as_json, "csv": as_csv, "markdown": as_markdown}[options.kind](rows))
    return 0


def _referee(options: argparse.Namespace) -> int:
    from affectlab.referee import Case, referee
    from affectlab.report.verdict import parse_claim

    case = Case(
        options.experiment,
        options.data,
        options.predictions,
        None if options.claim is None else parse_claim(options.claim),
        dict(_pair(one) for one in options.classes),
        options.trained_on,
        options.allow_missing,
    )
    for path in (case.data, case.predictions, case.trained_on):
        if path is not None and not path.exists():
            raise UserError(f"{path}: no such file or folder")
    if options.to.exists() and not options.to.is_dir():
        raise UserError(f"--to {options.to}: expected a folder, found a file")
    options.to.mkdir(parents=True, exist_ok=True)
    # As an interrupt: Snakemake, which it starts, is ended, too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.stdout.write(referee(case, options.to, _project()))
    return 0


def _pair(text: str) -> tuple[str, str]:
    """The two sides of ``THEIRS=OURS``."""
    theirs, separator, ours = text.partition("=")
    if not (theirs and separator and ours):
        raise UserError(f"--classes {text}: expected THEIRS=OURS")
    return theirs, ours


def _orphans(options: argparse.Namespace) -> int:
    from affectlab.config import slurm

    folder = options.folder.resolve()
    jobs = slurm.queued_jobs(folder)
    controller = slurm.controlling_process(folder)
    if controller is not None:
        raise UserError(
            f"{folder}: Snakemake (process {controller}) is at work here, the {len(jobs)} jobs in "
            "the queue are its own; to end them, interrupt it"
        )
    for job in jobs:
        print(job.identifier, job.state, job.rule, sep="\t")
    if not jobs:
        print(f"no jobs of {folder} in the queue")
    elif options.cancel:
        slurm.cancel(jobs, folder)
        print(f"{len(jobs)} cancelled; go on with: snakemake --unlock, then --rerun-incomplete")
    return 1 if jobs and not options.cancel else 0


def _project() -> Path:
    """The checkout that this package belongs to, else the folder one is in.

    Raises:
        UserError: neither is a checkout of affectlab.
    """
    for folder in (Path(__file__).resolve().parents[3], Path.cwd()):
        if (folder / "Snakefile").is_file() and (folder / "config").is_dir():
            return folder
    raise UserError("no affectlab checkout here: change to its folder")


if __name__ == "__main__":
    sys.exit(main())
