"""What the workflow itself costs: a dry run, a run with nothing to do, the start of each job.

    python benchmarks/workflow_overhead.py [RESULTS_DIRECTORY --configfile config/demo.yaml]

With a finished run's directory (e.g. `demo`), the run with nothing to do is timed in it.
"""

import argparse
import ast
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROJECT = Path(__file__).parents[1]
SCRIPTS = PROJECT / "workflow" / "scripts"
REPEATS = 5


def seconds(command: list[str], folder: Path) -> float:
    """Median wall time of *command* in *folder*, after one unmeasured run."""
    times = []
    for _ in range(REPEATS + 1):
        started = time.perf_counter()
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        times.append(time.perf_counter() - started)
        if done.returncode:
            sys.exit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return statistics.median(times[1:])


def imports_of(script: Path) -> str:
    """The imports at the top of a thin script, as a program."""
    statements = ast.parse(script.read_text(encoding="utf-8")).body
    return "\n".join(
        ast.unparse(s) for s in statements if isinstance(s, ast.Import | ast.ImportFrom)
    )


def main() -> None:
    """Time everything and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path, nargs="?")
    parser.add_argument("--configfile", type=Path, default=PROJECT / "config" / "demo.yaml")
    options = parser.parse_args()
    snakemake = [sys.executable, "-m", "snakemake", "--snakefile", str(PROJECT / "Snakefile")]
    with tempfile.TemporaryDirectory() as empty:
        report = {"dry run, full config": seconds([*snakemake, "-n"], Path(empty))}
    if options.results:
        again = [*snakemake, "--cores", "2", "--configfile", str(options.configfile.resolve())]
        report["nothing to do"] = seconds(again, options.results)
    report["job start"] = {}
    for script in sorted(SCRIPTS.glob("*.py")):
        program = (
            f"import sys; sys.path.insert(0, {str(SCRIPTS)!r})\n{imports_of(script)}\n"
            "print('torch' in sys.modules)"
        )
        command = [sys.executable, "-c", program]
        shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        report["job start"][script.stem] = {
            "seconds": seconds(command, PROJECT),
            "imports torch": shown.strip() == "True",
        }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
