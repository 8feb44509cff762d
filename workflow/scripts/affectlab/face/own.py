"""A user's own face images, in folders or in tables, with classes of any names.

* ``<class>/<image>`` or ``<split>/<class>/<image>``;
* images in any folders, with a table ``metadata.csv`` (or ``.jsonl``, ...) that has a line for
  each: ``file_name`` and, where they are known, ``label``, ``group`` (or ``subject``), ``split``,
  ``valence`` and ``arousal``. Without a label there, the folder is the class;
* a table with an image in each row, as hubs store them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from affectlab.datasets.classes import class_order, merge_spellings, unknown_class
from affectlab.datasets.description import CONTENT, Description
from affectlab.datasets.exclusions import Exclusion
from affectlab.datasets.media import IMAGES, Sorted, read_head, sort_files
from affectlab.datasets.own_items import Keys, with_division
from affectlab.datasets.own_tables import (
    OwnFile,
    OwnRow,
    check_listed,
    listed_items,
    own_files,
    own_rows,
    split_called,
)
from affectlab.datasets.splits import divide
from affectlab.datasets.subgroups import subgroup_roles, with_subgroup_roles
from affectlab.datasets.tables import is_table
from affectlab.datasets.texts import kind_of
from affectlab.errors import DataError, printable
from affectlab.face.faces import SIDE, Face
from affectlab.face.images import MOST_BYTES, claimed_size
from affectlab.face.photographs import check_whole, decode_photograph, image_format, prepare
from affectlab.files.io import folders_below
from affectlab.files.quarantine import BadRecord
from affectlab.files.text import is_encodable

METADATA = "metadata"
"""What a table beside images is called, without its ending."""

FILE_COLUMN = "file_name"
IMAGE_COLUMN = "image"
GROUPS = ("group", "subject")
"""Columns that are taken for the group where the entry names none."""

AFFECT = ("valence", "arousal")
OPTIONAL = ("label", *GROUPS, "split", *AFFECT)


@dataclass(frozen=True, slots=True)
class Item:
    """An image that is not decoded yet, and what is stated about it.

    Attributes:
        name: unique, as the table of the corpus has it.
        file: that it is in, for messages.
        place: in that file.
        read: gives the content of the image file.
        values: role -> value, such as label.
        split: that a folder or a column gives; None if nothing does.
        problem: what is wrong with it; None if nothing is known to be.
    """

    name: str
    file: str
    place: str
    read: Callable[[], Any]
    values: Mapping[str, Any] = field(default_factory=dict)
    split: str | None = None
    problem: str | None = None

    @property
    def group(self) -> str | None:
        """The group of the image; None where its cell is empty, or there is none."""
        named = [str(self.values[role]) for role in GROUPS if self.values.get(role) is not None]
        return named[0] if named and named[0].strip() else None


class OwnImages:
    """A user's folder of images.

    Attributes:
        shape: of each image as it is stored, ``(side, side)`` or ``(side, side, 3)``.
        group_column: name of the column that the groups are from; None where there is none.
    """

    def __init__(
        self,
        directory: Path,
        entry: Mapping[str, Any],
        on_bad_record: str,
        exclusion: Exclusion | None = None,
    ) -> None:
        """Say what is to be read.

        Args:
            directory: of the raw data.
            entry: of the data set in the registry; ``image`` has the ``size`` in pixels and
                whether ``color`` is kept. With ``subgroups`` the tables must have these columns.
            on_bad_record: ``fail`` raises at the first bad image, ``skip`` yields it.
            exclusion: images that are passed over, good or bad; None for none.
        """
        image = entry.get("image", {})
        self._side, self._color = image.get("size", SIDE), image.get("color", False)
        self.shape = (self._side, self._side, 3) if self._color else (self._side, self._side)
        self.group_column: str | None = None
        self._directory = directory
        self._subgroups = subgroup_roles(entry) if "subgroups" in entry else []
        self._entry = with_subgroup_roles(entry) if self._subgroups else entry
        self._skips = on_bad_record == "skip"
        self._exclusion = exclusion or Exclusion()

    def items(self) -> Iterator[Face | BadRecord]:
        """Yield the images in the order of their names or rows; splits may be empty.

        Raises:
            DataError: there is no image, a table cannot be read, or an image is bad and is not to
                be skipped.
        """
        good, plan = 0, self._entry.get("split", {})
        missing, known = set(listed := listed_items(plan)), set[str]()
        for item in self.found():
            missing.discard(item.name)
            if listed:
                known.add(item.name)
            if self._exclusion.drops((item.name, item.group)):
                continue
            item = replace(item, split=listed.get(item.name, "train")) if listed else item
            try:
                face = self._face(item)
            except ValueError as error:
                file = printable(item.file)
                if not self._skips:
                    raise DataError(self._directory / file, item.place, str(error)) from error
                yield BadRecord(file, item.place, str(error))
                continue
            good += 1
            yield face
        check_listed(plan, missing, 0, known)
        if good == 0:
            raise DataError(self._directory, None, "not one good image")

    def found(self) -> Iterator[Item]:
        """Yield the images without decoding them.

        Raises:
            DataError: there is no image, or a table cannot be read.
        """
        names = sorted(
            (folder / name).relative_to(self._directory).as_posix()
            for folder, found in folders_below(self._directory)
            for name in found
        )
        images = sort_files(IMAGES, names, lambda name: read_head(self._directory / name))
        if images.read or images.unread:
            yield from self._of_files(names, images)
        elif any(map(is_table, map(Path, names))) or is_table(self._directory):
            yield from self._of_rows()
        else:
            raise DataError(
                self._directory,
                None,
                "no images here; expected <class>/<image>, <split>/<class>/<image>, or a table "
                "with images",
            )

    def _of_files(self, names: Sequence[str], images: Sorted) -> Iterator[Item]:
        """Images that are files, with what a table says of them."""
        advice = dict(images.unread)
        wanted = sorted([*images.read, *advice])
        tables = self._metadata(names)
        stated = {item.name: item for table in tables for item in self._stated(table)}
        top = _common_folder(wanted)
        for name in wanted:
            path = PurePosixPath(name)
            values, split, problem = _of_folders(path.parts[len(top) : -1])
            row = stated.pop(name, None)
            if row is not None:
                values, split = values | dict(row.values), row.split or split
                problem = row.problem or (problem if "label" not in values else None)
            elif any(path.is_relative_to(PurePosixPath(table).parent) for table in tables):
                problem = f"no line of {METADATA} is about this image"
            problem = advice.get(name) or problem
            yield Item(name, name, "image", _reader(self._directory / name), values, split, problem)
        # What is left are lines without an image.
        for name, row in stated.items():
            yield replace(row, problem=row.problem or f"no image called {name[:80]!r}")

    def _metadata(self, names: Sequence[str]) -> list[str]:
        """The tables that say something of image files."""
        tables = [name for name in names if is_table(Path(name))]
        if IMAGE_COLUMN in self._entry.get("columns", {}):
            return tables
        return [name for name in tables if PurePosixPath(name).name.partition(".")[0] == METADATA]

    def _stated(self, table: str) -> Iterator[Item]:
        """What the lines of a table say, under the names of the images that they are about."""
        folder = PurePosixPath(table).parent
        split = next((found for part in folder.parts if (found := split_called(part))), None)
        seen: set[str] = set()
        for row in self._rows([OwnFile(self._directory / table, split)], FILE_COLUMN):
            name, problem = str(row.values.get(IMAGE_COLUMN, "")), row.problem
            name = (folder / name).as_posix() if name else f"{table}#{row.place}"
            if name in seen:
                name, problem = f"{table}#{row.place}", f"a second line about {name[:80]!r}"
            seen.add(name)
            yield Item(name, table, row.place, bytes, row.values, row.split, problem)

    def _of_rows(self) -> Iterator[Item]:
        """Images that are in tables."""
        files = own_files(self._directory, self._entry.get("split", {}))
        seen: set[str] = set()
        for row in self._rows(files, IMAGE_COLUMN):
            problem = row.problem
            if row.id in seen:
                problem = problem or f"a second image with the id {row.id[:80]!r}"
            seen.add(row.id)
            image = row.values.get(IMAGE_COLUMN)
            yield Item(row.id, row.file, row.place, _content(image), row.values, row.split, problem)

    def _rows(self, files: Sequence[OwnFile], column: str) -> Iterator[OwnRow]:
        """The rows of tables whose images, or names of images, are in *column* by default."""
        columns = {IMAGE_COLUMN: column, **self._entry.get("columns", {})}
        # Lists name images, whose rows may have other ids.
        plan = {**self._entry.get("split", {}), "items": {}}
        entry = {**self._entry, "columns": columns, "split": plan}
        required = [IMAGE_COLUMN, *self._subgroups]
        optional = [role for role in OPTIONAL if role != "split" or "split" not in self._entry]
        for row in own_rows(files, entry, required, optional):
            group = next((role for role in GROUPS if role in row.values), None)
            if group is not None:
                self.group_column = str(columns.get(group, group))
            yield _with_split(row)

    def _face(self, item: Item) -> Face:
        """Decode an image and read what is stated about it.

        Raises:
            ValueError: something is wrong with it.
        """
        if item.problem is not None:
            raise ValueError(item.problem)
        if not is_encodable(item.name):
            raise ValueError("expected a name in UTF-8")
        label = _label(item.values, self._entry.get("classes"))
        valence, arousal = _affect(item.values)
        data = item.read()
        name = PurePosixPath(item.name).name
        width, height = claimed_size(data, name)
        check_whole(data)
        image = decode_photograph(data, name, color=self._color)
        return Face(
            prepare(image, self._side, color=self._color),
            item.name,
            item.split or "",
            label,
            valence,
            arousal,
            format=image_format(data),
            size=f"{width}x{height}",
            group=item.group,
        )


def divided(
    faces: Sequence[Face],
    contents: np.ndarray,
    entry: Mapping[str, Any],
    directory: Path,
    group_column: str | None,
    similar_names: str,
) -> tuple[list[Face], Description]:
    """Order the classes, and divide the images by group.

    Args:
        faces: of `OwnImages.items`.
        contents: a number per image; images that look the same have the same.
        entry: of the data set in the registry.
        directory: of the raw data, for messages.
        group_column: where the groups are from; None where there are none.
        similar_names: ``refuse`` stops at classes that differ in spelling only; ``merge`` takes
            their commonest spelling.

    Raises:
        DataError: there are fewer than two classes, or the images cannot be divided as planned.
    """
    counts = Counter(face.emotion for face in faces)
    spelled = (
        merge_spellings(counts) if similar_names == "merge" else {name: name for name in counts}
    )
    classes = class_order(set(spelled.values()), entry.get("classes"), directory)
    labels = [spelled[face.emotion] for face in faces]
    keys = Keys(
        [face.image_path for face in faces],
        [face.group for face in faces],
        contents.tolist(),
        [face.split or None for face in faces],
    )
    plan = entry.get("split", {})
    division = divide(keys.ids, labels, keys.joined(), keys.splits, plan, directory)
    group = group_column or CONTENT
    description = with_division(Description(classes), division, entry, group)
    folds = division.folds or [None] * len(faces)
    return [
        replace(face, emotion=label, split=split, fold=fold)
        for face, label, split, fold in zip(faces, labels, division.splits, folds, strict=True)
    ], description


def _common_folder(names: Sequence[str]) -> tuple[str, ...]:
    """The folders that all images are in and that are no class: archives often have one."""
    paths = [PurePosixPath(name).parts[:-1] for name in names]
    common: list[str] = []
    while all(len(path) > len(common) + 1 for path in paths):
        found = {path[len(common)] for path in paths}
        if len(found) > 1 or split_called(min(found)):
            break
        common.append(min(found))
    return tuple(common)


def _of_folders(folders: Sequence[str]) -> tuple[dict[str, Any], str | None, str | None]:
    """The class and the split that the folders of an image give, and what is wrong with them."""
    split = split_called(folders[0]) if folders else None
    rest = folders[1:] if split else folders
    if len(rest) == 1:
        return {"label": rest[0]}, split, None
    problem = "expected <class>/<image>, <split>/<class>/<image>, or a label in a table"
    return {}, split, problem


def _reader(path: Path) -> Callable[[], bytes]:
    def read() -> bytes:
        with path.open("rb") as stream:
            data = stream.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise ValueError(f"expected an image of at most {MOST_BYTES / 1e6:.0f} MB")
        return data

    return read


def _content(image: Any) -> Callable[[], bytes]:
    """What gives the content of an image in a table: its bytes, or a mapping that has them."""

    def read() -> bytes:
        data = image.get("bytes") if isinstance(image, Mapping) else image
        if not isinstance(data, bytes):
            raise ValueError(f"the image is {kind_of(image)}, expected the bytes of an image file")
        return data

    return read


def _with_split(row: OwnRow) -> OwnRow:
    """The row with the split of its column ``split``, where the entry plans none."""
    given = row.values.get("split")
    if given is None or not str(given).strip():
        return row
    split = split_called(str(given))
    if split is None:
        return replace(row, problem=f"the column split has {str(given)[:24]!r}, which is no split")
    return replace(row, split=split)


def _label(values: Mapping[str, Any], classes: Sequence[str] | None) -> str:
    label = values.get("label")
    if isinstance(label, bool) or not isinstance(label, str | int):
        raise ValueError(f"the label is {kind_of(label)}, expected the name or number of a class")
    if not str(label).strip():
        raise ValueError("the label is empty")
    if classes is not None and str(label) not in classes:
        raise ValueError(unknown_class(str(label), classes))
    return str(label)


def _affect(values: Mapping[str, Any]) -> tuple[float | None, float | None]:
    """Valence and arousal of an image; None where they are not known."""
    given = [values.get(name) for name in AFFECT]
    filled = [value for value in given if value is not None and str(value).strip()]
    if not filled:
        return None, None
    if len(filled) == 1:
        raise ValueError("of valence and arousal, expected both or neither")
    numbers = []
    for name, value in zip(AFFECT, filled, strict=True):
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = np.nan
        if not -1 <= number <= 1:
            raise ValueError(f"{name} {str(value)[:40]!r}: expected a number of -1 to 1")
        numbers.append(number)
    return numbers[0], numbers[1]
