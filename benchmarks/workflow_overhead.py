"""What the workflow itself costs: a dry run, a run with nothing to do, the start of each job.

    python benchmarks/workflow_overhead.py [RESULTS_DIRECTORY --configfile config/demo.yaml]

The peer of the dry run is a dry run of one trivial rule. The peer of a run with nothing to do is a
run of the same rule with nothing to do. Each pair is measured in turns. The figures are processor
time. With a finished run's directory (e.g. `demo`) the run with nothing to do is measured in it.
"""

import argparse
import ast
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

PROJECT = Path(__file__).parents[1]
SCRIPTS = PROJECT / "workflow" / "scripts"
REPEATS = 5
TRIVIAL = 'rule all:\n    output: "done"\n    shell: "touch {output}"\n'


def processor_seconds(command: list[str], folder: Path) -> float:
    """Processor time of *command* and its children in *folder*."""
    before = os.times()
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    after = os.times()
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return (
        after.children_user - before.children_user + after.children_system - before.children_system
    )


def against(ours: tuple[list[str], Path], peer: tuple[list[str], Path]) -> dict[str, float]:
    """Median processor time of two commands in their folders, in turns, and the ratio."""
    rounds = [[processor_seconds(*side) for side in (ours, peer)] for _ in range(REPEATS + 1)]
    # The first round fills caches.
    us, them = (statistics.median(times) for times in zip(*rounds[1:], strict=True))
    return {"ours": us, "one trivial rule": them, "ratio": us / them}


def stop_unless_finished(snakemake: list[str], results: Path) -> None:
    """End the program if a run in *results* would start a job."""
    if not (results / "results" / "config.yaml").is_file():
        sys.exit(f"{results}: no results/config.yaml: not the directory of a finished run")
    planned = subprocess.run(
        [*snakemake, "-n"], cwd=results, capture_output=True, text=True, check=False
    )
    if "Nothing to be done" not in planned.stdout + planned.stderr:
        sys.exit(f"{results}: not finished with this configuration; a run would start jobs")


def imports_of(script: Path) -> str:
    """The imports at the top of a thin script, as a program."""
    statements = ast.parse(script.read_text(encoding="utf-8")).body
    return "\n".join(
        ast.unparse(s) for s in statements if isinstance(s, ast.Import | ast.ImportFrom)
    )


def main() -> None:
    """Measure everything and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path, nargs="?")
    parser.add_argument("--configfile", type=Path, default=PROJECT / "config" / "demo.yaml")
    options = parser.parse_args()
    snakemake = [sys.executable, "-m", "snakemake"]
    ours = [*snakemake, "--snakefile", str(PROJECT / "Snakefile")]
    report: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
        empty, small = Path(first), Path(second)
        (small / "Snakefile").write_text(TRIVIAL)
        report["dry run, full config"] = against(
            ([*ours, "-n"], empty), ([*snakemake, "-n"], small)
        )
        if options.results:
            again = [*ours, "--cores", "2", "--configfile", str(options.configfile.resolve())]
            stop_unless_finished(again, options.results)
            (small / "done").touch()
            report["nothing to do"] = against(
                (again, options.results), ([*snakemake, "--cores", "2"], small)
            )
    starts = {}
    for script in sorted(SCRIPTS.glob("*.py")):
        program = (
            f"import sys; sys.path.insert(0, {str(SCRIPTS)!r})\n{imports_of(script)}\n"
            "print('torch' in sys.modules)"
        )
        command = [sys.executable, "-c", program]
        shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        times = [processor_seconds(command, PROJECT) for _ in range(REPEATS)]
        starts[script.stem] = {
            "processor seconds": statistics.median(times),
            "imports torch": shown.strip() == "True",
        }
    print(json.dumps(report | {"job start": starts}, indent=2))


if __name__ == "__main__":
    main()
