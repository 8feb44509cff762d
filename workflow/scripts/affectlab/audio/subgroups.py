"""The subgroups of recordings, from a user's table or from the speakers of a corpus."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from affectlab.audio.corpora import emodb, folder, manifest, ravdess
from affectlab.audio.corpora.recordings import listed_file
from affectlab.audio.data import read_clips
from affectlab.audio.predictions import Corpus
from affectlab.datasets.own_tables import OwnFile, own_rows
from affectlab.datasets.subgroups import (
    Cells,
    Subgroups,
    subgroup_cells,
    subgroup_roles,
    with_subgroup_roles,
)

SEX: Mapping[str, Callable[[str], str | None]] = {
    "ravdess": ravdess.sex_of,
    "emodb": emodb.sex_of,
}
"""Layout of a published corpus -> the sex of a subject."""


def of_recordings(
    directory: Path, records: Path, entry: Mapping[str, Any]
) -> tuple[list[str], Iterator[tuple[str, Cells]]]:
    """The clips of a data set, and the rows with their subgroups.

    Args:
        directory: of the raw data.
        records: records.jsonl of the data set.
        entry: of the data set in the registry.

    Returns:
        Ids of the clips, and id and cells of each row.

    Raises:
        DataError: a table cannot be read, or lacks a column.
    """
    clips, layout = read_clips(records), entry["layout"]
    ids = [clip.id for clip in clips]
    if layout in SEX:
        return ids, ((clip.id, {"sex": SEX[layout](clip.subject)}) for clip in clips)
    if layout == "audio_manifest":
        return ids, _rows(directory, [OwnFile(manifest.table_in(directory), None)], entry, "clip")
    tables = folder.metadata_tables(directory, entry.get("split", {}))
    return ids, _rows(directory, tables, entry, "file_name")


def _rows(
    root: Path, tables: Sequence[OwnFile], entry: Mapping[str, Any], column: str
) -> Iterator[tuple[str, Cells]]:
    """Id and cells of the rows of *tables*, whose paths are in *column* by default."""
    columns = {"clip": entry.get("columns", {}).get("clip", column)}
    named = with_subgroup_roles({"subgroups": entry["subgroups"], "columns": columns})
    for table in tables:
        for row in own_rows([table], named, ["clip", *subgroup_roles(entry)]):
            if row.problem is None:
                path = listed_file(root, table.path.parent, str(row.values["clip"]).strip())
                # The conversion reports a recording that is not there.
                if not isinstance(path, str):
                    yield path.as_posix(), subgroup_cells(row.values)


def item_subgroups(subgroups: Subgroups, corpus: Corpus, unit: str) -> Subgroups:
    """The subgroups of the items of a run.

    Where all clips of a subject are one item, it has the subgroup that all its clips have. It is
    not stated where they differ.

    Args:
        subgroups: of the clips.
        corpus: what the run predicts.
        unit: of the run, ``clip`` or ``subject``.
    """
    if unit == "clip":
        return subgroups
    found: dict[str, dict[str, str | None]] = {}
    for column, of_clip in subgroups.items():
        named: dict[str, set[str | None]] = {}
        for name, known in corpus.clips.items():
            named.setdefault(known.subject, set()).add(of_clip.get(name))
        found[column] = {
            subject: names.copy().pop() if len(names) == 1 else None
            for subject, names in named.items()
        }
    return found
