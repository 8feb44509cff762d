"""The recordings in a corpus' folder."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath

from affectlab.datasets.media import RECORDINGS, read_head, sort_files
from affectlab.files.io import folders_below


@dataclass(frozen=True, slots=True)
class Recording:
    """A recording of a corpus; *advice* tells how to convert one that cannot be read."""

    path: Path
    advice: str | None


def recordings_in(root: Path, *, only_here: bool = False) -> list[Recording]:
    """Find all recordings below *root*, or *only_here* in it, in sorted order."""
    folders = islice(folders_below(root), 1) if only_here else folders_below(root)
    names = sorted(
        (folder / name).relative_to(root).as_posix()
        for folder, names in folders
        for name in names
        if (folder / name).is_file()
    )
    found = sort_files(RECORDINGS, names, lambda name: read_head(root / name))
    advice: dict[str, str | None] = {**dict.fromkeys(found.read), **dict(found.unread)}
    return [Recording(root / name, advice[name]) for name in names if name in advice]


def listed_file(root: Path, folder: Path, name: str) -> PurePosixPath | str:
    """Find a recording that a table lists.

    Args:
        root: the corpus' folder.
        folder: of the table, in *root*.
        name: of the file, relative to *folder*.

    Returns:
        Its path inside *root*; a text that describes the problem if there is no such file.
    """
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts:
        return f"{path} leads out of the folder of the table"
    try:
        found = (folder / path).is_file()
    except OSError as error:
        # Such as a whole sentence, which is longer than a name may be and nothing to print.
        return f"clip names no file: {error.strerror}"
    if not found:
        return f"there is no file {path}"
    if not (folder / path).resolve().is_relative_to(root.resolve()):
        return f"{path} is a link that leads out of the folder of the table"
    return PurePosixPath((folder / path).relative_to(root).as_posix())


def listed_owner(root: Path, folder: Path, values: Mapping[str, object]) -> tuple[str, str | None]:
    """The id that a row of a table gives a clip, and its subject, whether it can be used or not.

    Args:
        root: the corpus' folder.
        folder: of the table, in *root*.
        values: role -> cell; ``clip`` and ``subject`` may be missing.
    """
    clip, subject = (str(values.get(role) or "").strip() for role in ("clip", "subject"))
    path = folder.relative_to(root) / PurePosixPath(clip.replace("\\", "/"))
    return path.as_posix() if clip else "", subject or None


def unused_recordings(root: Path, used: Iterable[str]) -> list[str]:
    """Find recordings below *root* that neither the records nor the quarantine of a corpus name.

    Args:
        root: the corpus' folder.
        used: paths inside it, with forward slashes.

    Returns:
        Their paths inside it, sorted; a path that is not UTF-8 with escapes.
    """
    known = set(used)
    names = (one.path.relative_to(root).as_posix() for one in recordings_in(root))
    return [name.encode(errors="backslashreplace").decode() for name in names if name not in known]
