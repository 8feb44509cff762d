"""What several of the unit tests need."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from local_server import nobody_listens

from affectlab.files import integrity


@pytest.fixture(autouse=True)
def no_proxy(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests to 127.0.0.1 go there, not to the proxy of this machine."""
    if request.node.get_closest_marker("network") is None:
        for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
            monkeypatch.delenv(name)


@pytest.fixture
def edited_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of model directories may be changed on purpose, as if each test deleted their list.

    That such changes are found is tested in test_integrity.py.
    """
    monkeypatch.setattr(integrity, "check_sums", lambda *_: None)


@pytest.fixture
def dead_url() -> Iterator[str]:
    """The address of a server that is not there."""
    with nobody_listens() as url:
        yield url


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte, where root's rights are to be had; on GitHub they are."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if as_root("mount", "-t", "tmpfs", "-o", "size=1m,mode=777", "tmpfs", str(folder)):
        give_up = pytest.fail if "GITHUB_ACTIONS" in os.environ else pytest.skip
        give_up("needs the right to mount a tmpfs")
    yield folder
    assert as_root("umount", "--lazy", str(folder)) == 0


@pytest.fixture
def read_only_disk(small_disk: Path) -> Path:
    """A file system that nobody may write to, not even root."""
    assert as_root("mount", "-o", "remount,ro", str(small_disk)) == 0
    return small_disk


def as_root(*command: str) -> int:
    """The exit status of *command*, run by root if sudo asks for no password."""
    sudo = [] if os.geteuid() == 0 else ["sudo", "--non-interactive"]
    try:
        return subprocess.run([*sudo, *command], capture_output=True, check=False).returncode
    except FileNotFoundError:
        return 127
