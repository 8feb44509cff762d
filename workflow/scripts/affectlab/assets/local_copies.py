"""Whether a user's own copy of a data set or model has changed since it was fetched.

By content, not by date: files that are moved in place keep an older date, and a copy that is made
again gives every file a new one. What was fetched is remembered next to its manifest as size,
times, inode and SHA-256 of every file. Only files of another size, time or inode are hashed again.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from affectlab.errors import DataError
from affectlab.files.integrity import sha256_file
from affectlab.files.io import folders_below, read_json, write_text

STATE_NAME = ".local_state.json"
MARKER_NAME = ".local_copy"
"""A file that is newer than the manifest exactly if the copy has changed since."""

LONG_AGO = 946_684_800
"""Its time in the other case: 1 January 2000, in seconds."""

_State = dict[str, list[Any]]
"""Path below the copy -> size, two times, inode, SHA-256."""


def copy_files(copy: Path) -> list[Path]:
    """The files of a copy, those in linked folders too, sorted; of an archive the archive itself.

    Hidden files and links that lead nowhere are left out. A folder that cannot be listed is among
    them, for what is in it is missing.
    """
    if copy.is_file():
        return [copy]
    denied: list[Path] = []
    folders = folders_below(copy, lambda error: denied.append(error.path))
    files = [folder / name for folder, names in folders for name in names] + denied
    # Not by `Path`, which raises where it may not look.
    return sorted(filter(os.path.exists, files))


def remember(copy: Path, folder: Path) -> dict[Path, str]:
    """Store in *folder*, that of the manifest, what the copy is like while it is fetched.

    Returns:
        SHA-256 of every file.
    """
    state = _present_state(copy, {})
    _write_state(folder, copy, state)
    return {_file(copy, name): str(entry[-1]) for name, entry in state.items()}


def marker(copy: Path, folder: Path) -> Path:
    """The file that tells Snakemake, by its time and content, whether to fetch the copy again.

    Args:
        copy: folder or archive.
        folder: of the manifest.
    """
    path = folder / MARKER_NAME
    known = _known_state(folder, copy)
    if not known:
        manifest = folder / "manifest.json"
        made = sha256_file(manifest) if manifest.is_file() else "nothing"
        _mark(path, f"not fetched from {copy.resolve()}, but {made}", changed=True)
        return path
    present = _present_state(copy, known)
    unchanged = _contents(present) == _contents(known)
    if unchanged and present != known:
        # New dates or inodes: the next start need not hash these files again.
        _write_state(folder, copy, present)
    _mark(path, ascii(_contents(present)), changed=not unchanged)
    return path


def _mark(path: Path, content: str, *, changed: bool) -> None:
    text = hashlib.sha256(ascii(content).encode("ascii")).hexdigest() + "\n"
    # Written once for each content: after the copy was fetched, the manifest is the newer file.
    # Compared as bytes: a corrupt marker is replaced, whatever it holds.
    if not path.is_file() or path.read_bytes() != text.encode("ascii"):
        write_text(path, text)
        if not changed:
            os.utime(path, (LONG_AGO, LONG_AGO))


def _contents(state: Mapping[str, list[Any]]) -> list[tuple[str, str]]:
    return sorted((name, entry[-1]) for name, entry in state.items())


def _present_state(copy: Path, known: Mapping[str, list[Any]]) -> _State:
    """The state of every file; what has not changed is not read."""
    found: _State = {}
    for path in copy_files(copy):
        if not os.access(path, os.R_OK) or path.is_dir():
            continue
        status = path.stat()
        state = [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
        name = path.name if path == copy else path.relative_to(copy).as_posix()
        before = known.get(name)
        digest = before[-1] if before is not None and before[:-1] == state else sha256_file(path)
        found[name] = [*state, digest]
    return found


def _file(copy: Path, name: str) -> Path:
    return copy if copy.is_file() else copy / name


def _known_state(folder: Path, copy: Path) -> _State:
    """What was stored of this copy; empty if it was not fetched, or from another place."""
    try:
        stored = read_json(folder / STATE_NAME)
        if stored["copy"] != str(copy.resolve()):
            return {}
        return {
            name: [*numbers, str(digest)] for name, (*numbers, digest) in stored["files"].items()
        }
    except (AttributeError, DataError, KeyError, TypeError, ValueError):
        # Without it the copy counts as changed, and is fetched again.
        return {}


def _write_state(folder: Path, copy: Path, state: _State) -> None:
    # ASCII: a name that is no UTF-8 cannot be written otherwise.
    stored = {"copy": str(copy.resolve()), "files": state}
    write_text(folder / STATE_NAME, json.dumps(stored, sort_keys=True) + "\n")
