"""One function in several processes. That they train as one is tested elsewhere."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from affectlab.errors import UserError
from affectlab.training import launch

SCRIPTS = Path(__file__).parents[2] / "workflow" / "scripts"
WORK = """
import logging, os, signal, time
from pathlib import Path
from affectlab.errors import UserError

def note(folder, threads):
    rank = os.environ.get("RANK", "alone")
    Path(folder, rank).write_text(str(threads))
    logging.getLogger("affectlab").info("hello from %s", rank)

def fail(folder, threads):
    if os.environ["RANK"] == "1":
        raise UserError("the loss became nan")

def checkpoint(folder, threads):
    rank = os.environ["RANK"]
    asked = []
    signal.signal(signal.SIGTERM, lambda *_: asked.append(1))
    Path(folder, rank).touch()
    while not asked:
        time.sleep(0.05)
    time.sleep(0.5)
    Path(folder, rank + ".saved").touch()
    raise SystemExit(143)
"""


@pytest.fixture
def work(tmp_path, monkeypatch):
    """A module that other processes can import too."""
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "launched_work.py").write_text(WORK)
    (tmp_path / "out").mkdir()
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "lib"))
    monkeypatch.syspath_prepend(tmp_path / "lib")
    import launched_work

    yield launched_work
    del sys.modules["launched_work"]


def run(function, tmp_path, **counts):
    launch.call(
        function,
        {"folder": tmp_path / "out"},
        **{"threads": 6} | counts,
        scratch=tmp_path / "scratch",
        log_file=tmp_path / "log",
    )


@pytest.mark.parametrize("gpus", [0, 1])
def test_one_process_is_this_one(work, tmp_path, gpus):
    run(work.note, tmp_path, gpus=gpus)
    assert (tmp_path / "out" / "alone").read_text() == "6"
    assert not (tmp_path / "scratch").exists()


def test_several_processes_share_threads_and_the_main_one_logs(work, tmp_path):
    (tmp_path / "log").write_text("begun\n")
    run(work.note, tmp_path, gpus=2)
    assert {p.name: p.read_text() for p in (tmp_path / "out").iterdir()} == {"0": "3", "1": "3"}
    log = (tmp_path / "log").read_text()
    assert log.startswith("begun\n")
    assert log.count("hello from 0") == 1
    assert "hello from 1" not in log
    assert list((tmp_path / "scratch").iterdir()) == []


def test_the_cause_of_a_failure_is_in_the_log(work, tmp_path):
    with pytest.raises(UserError, match="one of 2 processes failed; its message is in"):
        run(work.fail, tmp_path, gpus=2)
    assert "the loss became nan" in (tmp_path / "log").read_text()


def test_the_last_word_of_this_process_stands_below_the_others(work, tmp_path):
    program = f"""
        import logging, sys
        from pathlib import Path
        sys.path[:0] = [{str(SCRIPTS)!r}]
        import launched_work
        from affectlab.training.launch import call
        from affectlab.files.logs import configure_logging
        folder = Path(sys.argv[1])
        configure_logging(folder / "log")
        logging.info("begun")
        call(launched_work.fail, dict(folder=str(folder)), gpus=2, threads=1, scratch=folder,
             log_file=folder / "log")
    """
    command = [sys.executable, "-c", textwrap.dedent(program), str(tmp_path)]
    assert subprocess.run(command, check=False, capture_output=True).returncode == 1
    lines = (tmp_path / "log").read_text().splitlines()
    assert lines[0].endswith("begun")
    assert any("ERROR" in line and line.endswith("the loss became nan") for line in lines[1:-1])
    assert lines[-1].endswith(f"its message is in {tmp_path / 'log'}")


def test_gpus_that_nodes_cannot_share_are_an_error(work, tmp_path):
    with pytest.raises(UserError, match="3 GPUs cannot be shared evenly by 2 nodes"):
        run(work.note, tmp_path, gpus=3, nodes=2)


def test_sigterm_is_handed_on_and_waited_for(work, tmp_path):
    program = f"""
        import sys
        from pathlib import Path
        sys.path[:0] = [{str(SCRIPTS)!r}]
        import launched_work
        from affectlab.training.launch import call
        call(launched_work.checkpoint, dict(folder=sys.argv[1]), gpus=2, threads=1,
             scratch=Path(sys.argv[1]), log_file=Path(sys.argv[1], "log"))
    """
    out = tmp_path / "out"
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(program), str(out)])
    deadline = time.monotonic() + 120
    while not ((out / "0").exists() and (out / "1").exists()):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGTERM)
    assert process.wait() == launch.TERMINATED_EXIT_STATUS
    assert (out / "0.saved").exists()
    assert (out / "1.saved").exists()
