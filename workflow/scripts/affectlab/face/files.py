"""The files of a folder, or of the one zip archive in it, which is read in place."""

from __future__ import annotations

import lzma
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from affectlab.datasets.media import HEAD_BYTES
from affectlab.errors import DataError
from affectlab.files.io import folders_below
from affectlab.files.unpacking import is_corruption, member_name


@dataclass(frozen=True, slots=True)
class Files:
    """The files of a folder or of a zip archive: names, and how to open one."""

    root: Path
    names: list[str]
    open: Callable[[str], IO[bytes]]

    def head(self, name: str) -> bytes:
        """Return the first bytes of a file."""
        with self.open(name) as stream:
            return stream.read(HEAD_BYTES)

    def locate(self, name: str) -> Path:
        """Return the name of a file in messages."""
        return self.root / name


@contextmanager
def open_files(directory: Path) -> Iterator[Files]:
    """Open the files of *directory*, or of the one zip archive in it.

    Raises:
        DataError: no such folder, more than one archive, or one that is corrupt.
    """
    if not directory.is_dir():
        raise DataError(directory, None, "no such folder")
    archives = sorted(directory.glob("*.zip"))
    if not archives:
        paths = (folder / name for folder, names in folders_below(directory) for name in names)
        names = sorted(path.relative_to(directory).as_posix() for path in paths if path.is_file())
        yield Files(directory, names, lambda name: (directory / name).open("rb"))
        return
    if len(archives) > 1:
        listed = ", ".join(path.name for path in archives)
        raise DataError(directory, None, f"more than one archive, keep one: {listed}")
    [archive] = archives
    try:
        with zipfile.ZipFile(archive) as stream:
            members = {member_name(info): info for info in stream.infolist()}
            # Also those that come twice, which are reported where images are read.
            names = [
                name
                for name in map(member_name, stream.infolist())
                if not name.endswith("/") and not _is_hidden(name)
            ]
            yield Files(archive, names, lambda name: stream.open(members[name]))
    except (
        zipfile.BadZipFile,
        zlib.error,
        lzma.LZMAError,
        RuntimeError,
        EOFError,
        # Of a name that is not UTF-8.
        UnicodeDecodeError,
        OSError,
    ) as error:
        if isinstance(error, OSError) and not is_corruption(error):
            raise
        raise DataError(archive, None, f"not a whole zip archive: {error}") from error


def _is_hidden(name: str) -> bool:
    """Whether a file, or a folder it is in, is one that systems leave behind, such as macOS."""
    return any(part.startswith(".") for part in PurePosixPath(name).parts)
