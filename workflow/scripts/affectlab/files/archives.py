"""Which files are archives, and which folders and archives are a user's copy of some data."""

from __future__ import annotations

import glob
import re
from pathlib import Path

from affectlab.files.io import user_path

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.bz2", ".tbz2")
FOREIGN = re.compile(
    r"\.(7z|rar|zipx|tar\.zst|tzst|arj|lzh|cab|iso|dmg)(\.\d{3})?$|\.(zip\.\d{3}|z\d{2})$",
    re.IGNORECASE,
)
"""Endings of archives, and of parts of archives, that are not read here."""


def is_archive(path: Path | str) -> bool:
    """Whether the file name is one that `extract` reads."""
    return Path(path).name.lower().endswith(SUFFIXES)


def local_copy(name: str, root: Path | str | None, path: Path | str | None = None) -> Path | None:
    """The user's own copy of *name*: what lies at *path*, or is called so under *root*.

    Under *root* it is a folder or an archive. Hidden files do not make a folder a copy. What may
    not be read is a copy all the same.

    Returns:
        The path, or None where there is no such thing.
    """
    if path is not None:
        own = user_path(path)
        return own if own.exists() else None
    if root is None:
        return None
    base = user_path(root)
    for candidate in [base / name, *(base / f"{name}{suffix}" for suffix in SUFFIXES)]:
        if candidate.is_dir() and _holds_anything(candidate):
            return candidate
        if candidate.is_file() and is_archive(candidate):
            return candidate
    return None


def foreign_copy(name: str, root: Path | str | None) -> Path | None:
    """An archive under *root* that is called *name*, but of a kind that is not read here."""
    if root is None or not user_path(root).is_dir():
        return None
    candidates = sorted(user_path(root).glob(f"{glob.escape(name)}.*"))
    return next((path for path in candidates if FOREIGN.fullmatch(path.name[len(name) :])), None)


def _holds_anything(folder: Path) -> bool:
    try:
        return not all(entry.name.startswith(".") for entry in folder.iterdir())
    except PermissionError:
        return True


def single_archive(folder: Path) -> Path | None:
    """The archive that a folder stands for, as it holds nothing else.

    Hidden files, a README and a LICENSE do not count.
    """
    entries = _contents(folder)
    if len(entries) == 1 and entries[0].is_file() and is_archive(entries[0]):
        return entries[0]
    return None


def archives_problem(folder: Path) -> str | None:
    """Why a folder that holds archives only cannot stand for its data; None if it can."""
    entries = _contents(folder)
    if not entries or not all(
        (is_archive(entry) or FOREIGN.search(entry.name)) and entry.is_file() for entry in entries
    ):
        return None
    packed = [entry.name for entry in entries]
    if len(packed) > 1:
        listed = ", ".join(packed[:3]) + (", ..." if len(packed) > 3 else "")
        problem = f"holds {len(packed)} archives ({listed}), expected one"
        return f"{folder}: {problem}; unpack them there, and move the archives away"
    if is_archive(packed[0]):
        return None
    problem = f"holds {packed[0]}, an archive of a kind that is not read here"
    return f"{folder}: {problem}; unpack it there"


def _contents(folder: Path) -> list[Path]:
    """What a folder holds, sorted, without hidden files, a README and a LICENSE."""
    return [
        entry
        for entry in sorted(folder.iterdir())
        if not entry.name.startswith(".")
        and not entry.name.upper().startswith(("README", "LICENSE", "LICENCE"))
    ]
