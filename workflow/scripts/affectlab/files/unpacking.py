"""Unpacking zip and tar archives from strangers.

Nothing is trusted: a member that is absolute, climbs out, is a link or a device, or comes twice
refuses the whole archive, and limits on size, number and compression ratio stop bombs. Either
every file arrives or none does.

The standard library's own protection is not enough. `tarfile.data_filter` is applied, but it
removes a leading slash and admits links, and ``zipfile`` removes ``..`` and a leading slash: what
such a member would overwrite then depends on the program that unpacks it. Neither counts bytes.
"""

from __future__ import annotations

import errno
import lzma
import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from affectlab.errors import DataError
from affectlab.files.io import CHUNK_BYTES, atomic_path

FOREIGN_STARTS = {b"7z\xbc\xaf\x27\x1c": "7z", b"Rar!\x1a\x07": "RAR"}
"""First bytes of such archives, whatever their names are."""

UNPACK = "unpack it into the folder of the data, and move the archive away"
"""What to do with an archive that is not read."""

ENCRYPTED_FLAG = 0x1

LONGEST_HEADER = 64 << 10
"""Bytes of a header that extends a member's: of paths of 4096 characters and a few attributes."""

_DIGITS = re.compile(rb"\d++")
LONGEST_NUMBER = 100
"""Digits in a row in such a header: before Python 3.11.10 `tarfile` takes their square in time
(https://nvd.nist.gov/vuln/detail/CVE-2024-6232)."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What an archive may hold before it counts as a bomb.

    Attributes:
        total_bytes: unpacked size of all files together.
        files: number of members, folders included.
        ratio: unpacked bytes per byte of archive; text reaches about 20, a bomb thousands.
        ratio_floor_bytes: below this unpacked size the ratio does not matter.
    """

    total_bytes: int = 50 << 30
    files: int = 500_000
    ratio: float = 200.0
    ratio_floor_bytes: int = 64 << 20


DEFAULT_LIMITS = Limits()


def member_name(info: zipfile.ZipInfo) -> str:
    """The name of a member of a zip archive, with forward slashes.

    Some programs on Windows separate folders by backslashes, which the format forbids.
    """
    return info.filename.replace("\\", "/")


def extract(
    archive: Path | str, destination: Path | str, limits: Limits = DEFAULT_LIMITS
) -> list[Path]:
    """Unpack *archive* into the folder *destination*, all of it or nothing.

    An existing *destination* is replaced. Only names and contents are taken over: permissions,
    owners and times of the archive are not.

    Returns:
        The unpacked files, relative to *destination*, sorted.

    Raises:
        DataError: the archive is corrupt, encrypted, unsafe or larger than *limits* allow;
            names the archive and the member.
        UserError: the destination cannot be written.
    """
    source = Path(archive)
    if not source.is_file():
        raise DataError(source, None, "no such file")
    with source.open("rb") as stream:
        start = stream.read(max(map(len, FOREIGN_STARTS)))
    for magic, kind in FOREIGN_STARTS.items():
        if start.startswith(magic):
            problem = f"a {kind} archive, whatever its name is, and not read here; {UNPACK}"
            raise DataError(source, None, problem)
    with atomic_path(destination) as fresh, _clear_errors(source):
        fresh.mkdir()
        budget = _Budget(source, limits)
        if source.name.lower().endswith(".zip"):
            _extract_zip(source, fresh, budget)
        else:
            _extract_tar(source, fresh, budget)
        return sorted(Path(name) for name in budget.files)


def is_corruption(error: OSError) -> bool:
    """Whether what went wrong with an archive is the archive's fault, and not the disk's.

    Corrupt gzip and bzip2 data raise an error without number, a zip directory that points before
    the beginning of its file "invalid argument".
    """
    return error.errno in (None, errno.EINVAL)


@contextmanager
def _clear_errors(archive: Path) -> Iterator[None]:
    try:
        yield
    except (
        zipfile.BadZipFile,
        tarfile.TarError,
        EOFError,
        lzma.LZMAError,
        zlib.error,
        NotImplementedError,
        # What tarfile makes of a header that is cut short or that thousands of others follow, and
        # zipfile of a member without a name, with one that is not UTF-8 or in an unknown method.
        TypeError,
        ValueError,
        IndexError,
        KeyError,
        RuntimeError,
        AssertionError,
        OverflowError,
    ) as error:
        raise DataError(archive, None, f"cannot be unpacked: {error}") from error
    except OSError as error:
        if not is_corruption(error):
            raise
        raise DataError(archive, None, f"cannot be unpacked: {error}") from error


class _Budget:
    """Checks each member name and counts what has been unpacked so far."""

    def __init__(self, archive: Path, limits: Limits) -> None:
        self.archive = archive
        self.archive_bytes = max(1, archive.stat().st_size)
        self.limits = limits
        self.files: set[str] = set()
        self.folders: set[str] = set()
        self.members = 0
        self.bytes = 0

    def refuse(self, member: str, problem: str) -> DataError:
        return DataError(self.archive, f"member {member!r}", problem)

    def admit(self, name: str, is_folder: bool) -> PurePosixPath | None:
        """The member's safe relative path; None for one that is not to be unpacked."""
        self.members += 1
        if self.members > self.limits.files:
            problem = f"more than {self.limits.files} members; refused as a bomb"
            raise DataError(self.archive, None, problem)
        if not name or "\0" in name or "\\" in name or ":" in name.split("/")[0]:
            raise self.refuse(name, "unsafe name")
        if name.startswith("/"):
            raise self.refuse(name, "absolute path")
        path = PurePosixPath(name)
        if ".." in path.parts:
            raise self.refuse(name, "leads outside the archive")
        if path.parts[:1] == ("__MACOSX",):
            # What the Finder writes beside the files themselves.
            return None
        if path == PurePosixPath():
            if is_folder:
                return None
            raise self.refuse(name, "unsafe name")
        parents = {str(parent) for parent in path.parents} - {"."}
        if is_folder:
            self.folders.add(str(path))
        elif str(path) in self.files:
            raise self.refuse(name, "comes twice")
        else:
            self.files.add(str(path))
        self.folders |= parents
        clash = (parents & self.files) | ({str(path)} & self.files & self.folders)
        if clash:
            raise self.refuse(name, f"{min(clash)!r} is both a file and a folder")
        return path

    def copy(self, stream: IO[bytes], target: Path) -> None:
        """Write *stream* to the new file *target*, counting as the bytes come.

        What the archive's own directory claims about sizes is not relied on.
        """
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as out:
            while chunk := stream.read(CHUNK_BYTES):
                self.spend(len(chunk))
                out.write(chunk)

    def spend(self, count: int) -> None:
        """Count *count* bytes that came out of the archive, whatever they are for."""
        self.bytes += count
        if self.bytes > self.limits.total_bytes:
            size = f"{self.limits.total_bytes / 1e9:g} GB"
            raise DataError(self.archive, None, f"unpacks to more than {size}; refused as a bomb")
        if (
            self.bytes > self.limits.ratio_floor_bytes
            and self.bytes > self.limits.ratio * self.archive_bytes
        ):
            problem = f"expands more than {self.limits.ratio:g} times; refused as a bomb"
            raise DataError(self.archive, None, problem)


def _extract_zip(archive: Path, destination: Path, budget: _Budget) -> None:
    with zipfile.ZipFile(archive) as bundle:
        for info in bundle.infolist():
            kind = stat.S_IFMT(info.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise budget.refuse(info.filename, "a link or special file")
            if info.flag_bits & ENCRYPTED_FLAG:
                problem = "encrypted; unpack it with its password and put the folder here instead"
                raise budget.refuse(info.filename, problem)
            name = member_name(info)
            path = budget.admit(name, name.endswith("/"))
            if path is None:
                continue
            if name.endswith("/"):
                (destination / path).mkdir(parents=True, exist_ok=True)
                continue
            with bundle.open(info) as stream:
                budget.copy(stream, destination / path)


class _Replayed:
    """A stream of which one block was read ahead."""

    def __init__(self, block: bytes, stream: Any) -> None:
        self._block: bytes | None = block
        self._stream = stream

    def read(self, size: int) -> bytes:
        """The block first, then what follows it."""
        block, self._block = self._block, None
        return self._stream.read(size) if block is None else block

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _guarded(budget: _Budget) -> type[tarfile.TarInfo]:
    """A `TarInfo` that looks at the headers which `tarfile` takes in as a whole, before it does.

    `tarfile` calls these methods by their names for each type of header; a test holds the names.
    """

    class Guarded(tarfile.TarInfo):
        def _refuse(self, problem: str) -> DataError:
            return DataError(budget.archive, f"member {self.name[:80]!r}", problem)

        def _check_length(self) -> None:
            if not 0 <= self.size <= LONGEST_HEADER:
                raise self._refuse(f"its name or attributes take {self.size} bytes; refused")
            budget.spend(self.size)

        def _proc_gnulong(self, bundle: Any) -> Any:
            self._check_length()
            return super()._proc_gnulong(bundle)  # type: ignore[misc]

        def _proc_pax(self, bundle: Any) -> Any:
            self._check_length()
            stream = bundle.fileobj
            block = stream.read(self._block(self.size))  # type: ignore[attr-defined]
            if any(len(found[0]) > LONGEST_NUMBER for found in _DIGITS.finditer(block)):
                raise self._refuse("an attribute of hundreds of digits; refused")
            if b"GNU.sparse." in block:
                raise self._refuse("a sparse file, expected a plain one")
            bundle.fileobj = _Replayed(block, stream)
            try:
                return super()._proc_pax(bundle)  # type: ignore[misc]
            finally:
                bundle.fileobj = stream

        def _proc_sparse(self, bundle: Any) -> Any:
            # The list of its holes may be as long as the archive.
            raise self._refuse("a sparse file, expected a plain one")

    return Guarded


def _extract_tar(archive: Path, destination: Path, budget: _Budget) -> None:
    # Read as a stream ("r|*"): one pass, so a compressed bomb is stopped where it passes a limit
    # instead of being decompressed once for the listing.
    with tarfile.open(archive, "r|*", tarinfo=_guarded(budget)) as bundle:
        for member in bundle:
            if not (member.isfile() or member.isdir()):
                raise budget.refuse(member.name, "a link or special file")
            path = budget.admit(member.name, member.isdir())
            if path is None:
                budget.spend(max(member.size, 0))
                continue
            tarfile.data_filter(member, str(destination))
            if member.isdir():
                (destination / path).mkdir(parents=True, exist_ok=True)
                continue
            stream = bundle.extractfile(member)
            if stream is None:
                raise budget.refuse(member.name, "has no contents")
            with stream:
                budget.copy(stream, destination / path)
