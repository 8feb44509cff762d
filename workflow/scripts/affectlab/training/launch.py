"""Running one function in several processes that train together.

torchrun starts them, on one machine or, through `srun`, on each node of a SLURM allocation.
`accelerate` finds its place among them by the environment; the function itself takes care that
only the main process writes results.
"""

from __future__ import annotations

import logging
import os
import pickle
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from affectlab.errors import UserError
from affectlab.files.logs import configure_logging

PACKAGE_PARENT = Path(__file__).resolve().parents[2]
TERMINATED_EXIT_STATUS = 128 + signal.SIGTERM


def call(
    function: Callable[..., None],
    arguments: Mapping[str, Any],
    *,
    gpus: int = 1,
    nodes: int = 1,
    threads: int,
    scratch: Path,
    log_file: Path | str,
) -> None:
    """Call ``function(**arguments, threads=...)`` here, or in one process per GPU.

    Of several processes the main one logs what would have been logged here, the others only
    warnings. SIGTERM is handed on, and waited for, so that checkpoints are written. Where there
    is no GPU, the processes compute on the CPU.

    Args:
        function: importable by its name; writes results in the main process only.
        arguments: values that can be pickled.
        gpus: how many were asked for, over all nodes.
        nodes: how many nodes of the SLURM allocation that this process runs in; each gets one
            process at least.
        threads: CPU threads of each node, shared by its processes.
        scratch: a folder that all nodes see.
        log_file: where this process logs.

    Raises:
        UserError: *gpus* cannot be shared evenly by *nodes*, or a process failed; its own message
            is in the log already.
        SystemExit: with status 143, after SIGTERM.
    """
    if gpus % nodes:
        raise UserError(f"{gpus} GPUs cannot be shared evenly by {nodes} nodes")
    per_node = max(1, gpus // nodes)
    arguments = {**arguments, "threads": max(1, threads // per_node)}
    if per_node * nodes == 1:
        function(**arguments)
        return
    scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=scratch, prefix="call.", suffix=".pickle") as task:
        pickle.dump((function, arguments, str(log_file)), task)
        task.flush()
        status, terminated = _run(_command(Path(task.name).resolve(), per_node, nodes))
    if terminated:
        raise SystemExit(TERMINATED_EXIT_STATUS)
    if status:
        raise UserError(f"one of {per_node * nodes} processes failed; its message is in {log_file}")


def _command(task: Path, processes_per_node: int, nodes: int) -> list[str]:
    """torchrun, once; or once on each of several nodes, the first of which is this machine."""
    torchrun = [
        *(sys.executable, "-m", "torch.distributed.run"),
        *("--nproc-per-node", str(processes_per_node)),
    ]
    worker = ["-m", __name__, str(task)]
    if nodes == 1:
        return [*torchrun, "--standalone", *worker]
    return [
        *("srun", f"--nodes={nodes}", f"--ntasks={nodes}", "--ntasks-per-node=1"),
        *torchrun,
        *("--nnodes", str(nodes), "--rdzv-backend", "c10d", "--rdzv-id", secrets.token_hex(8)),
        *("--rdzv-endpoint", f"{socket.gethostname()}:{_free_port()}"),
        *worker,
    ]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("", 0))
        port: int = probe.getsockname()[1]
        return port


def _run(command: list[str]) -> tuple[int, bool]:
    """Run *command* to its end; return its status and whether SIGTERM came."""
    paths = [str(PACKAGE_PARENT), os.environ.get("PYTHONPATH")]
    environment = {
        # torchrun would set one thread, with a warning; the function sets its own number.
        "OMP_NUM_THREADS": "1",
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path for path in paths if path),
    }
    terminated = False
    with subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL) as child:

        def hand_on(_signal: int, _frame: Any) -> None:
            nonlocal terminated
            terminated = True
            child.send_signal(signal.SIGTERM)

        previous = signal.signal(signal.SIGTERM, hand_on)
        try:
            status = child.wait()
        except BaseException:
            child.terminate()
            raise
        finally:
            signal.signal(signal.SIGTERM, previous)
    return status, terminated


def _worker(task: Path) -> None:
    """What torchrun starts: one of the processes."""
    function, arguments, log_file = pickle.loads(task.read_bytes())
    is_main = os.environ["RANK"] == "0"
    configure_logging(log_file, logging.INFO if is_main else logging.WARNING, append=True)
    function(**arguments)


if __name__ == "__main__":
    _worker(Path(sys.argv[1]))
