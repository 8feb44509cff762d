"""The program that stands beside a trained model, run as its reader would run it."""

import os
import subprocess
import sys
from pathlib import Path

SCRIPTS = Path(__file__).parents[1] / "workflow" / "scripts"


def run_example(folder: Path, *arguments: Path | str, affectlab: bool = True) -> list[str]:
    """The lines that inference_example.py prints; *affectlab*: whether it may import that."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    environment |= {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    if affectlab:
        environment["PYTHONPATH"] = str(SCRIPTS)
    done = subprocess.run(
        [sys.executable, "inference_example.py", *map(str, arguments)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()
