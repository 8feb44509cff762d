"""What several of the unit tests need."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from local_server import nobody_listens


@pytest.fixture(autouse=True)
def no_proxy(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests to 127.0.0.1 go there, not to the proxy of this machine."""
    if request.node.get_closest_marker("network") is None:
        for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
            monkeypatch.delenv(name)


@pytest.fixture
def dead_url() -> Iterator[str]:
    """The address of a server that is not there."""
    with nobody_listens() as url:
        yield url


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a tmpfs")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)
