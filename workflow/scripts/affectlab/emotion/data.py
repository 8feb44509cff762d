"""The emotion corpus: from any of its raw layouts to one tidy table of records.

A raw folder holds one file (Parquet: one or more) for each of the three splits, in one of four
layouts; see `LAYOUTS`. Labels are class names or ids. Every record is checked; nothing is
guessed, mended or dropped in silence.
"""

from __future__ import annotations

import csv
import difflib
import gzip
import json
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from itertools import chain
from pathlib import Path
from typing import IO, Any

from affectlab.datasets.label_order import LabelIds
from affectlab.datasets.names import Ids, name_key
from affectlab.datasets.separators import other_separator, wrong_separator
from affectlab.datasets.texts import kind_of
from affectlab.errors import DataError, UserError
from affectlab.files.io import bounded_lines, is_encodable, read_jsonl, sealed_writer
from affectlab.files.quarantine import ON_BAD_RECORD, BadRecord

CLASSES = ("sadness", "joy", "love", "anger", "fear", "surprise")
"""Class names; the position is the id that the corpus uses."""

SPLITS = ("train", "validation", "test")

STEMS = {
    "train": ("train", "training"),
    "validation": ("val", "validation", "valid", "dev"),
    "test": ("test",),
}
"""What the file of a split may be called, without its ending."""

FOLDERS = ("", "data", "split")
"""Where the files may lie inside the raw folder."""

_UNDECODED = re.compile("[\udc80-\udcff]")
_SHARD = re.compile(r"-(\d{5})-of-(\d{5})$")


@dataclass(frozen=True, slots=True)
class Record:
    """One labelled text; *id* is its split and its 1-based line or record number."""

    id: str
    text: str
    label: str
    split: str


@dataclass(frozen=True, slots=True)
class RawFiles:
    """The files of a raw folder: the layout's name, and for each split its files in order."""

    layout: str
    files: dict[str, tuple[Path, ...]]


@dataclass(frozen=True, slots=True)
class _Row:
    """What a reader found at one place: the values of the columns, or what is wrong with it.

    ``order`` is the order of the class names in which a label that is a number is read.
    """

    number: int
    place: str
    values: dict[str, Any] = field(default_factory=dict)
    problem: str | None = None
    order: tuple[str, ...] = CLASSES


def read_records(path: Path | str) -> list[Record]:
    """Read the table that `convert` wrote.

    Raises:
        DataError: the file is missing, or a line is not such a record or repeats an id.
    """
    records: list[Record] = []
    seen: set[str] = set()
    for number, row in enumerate(read_jsonl(path), start=1):
        place = f"record {number}"
        if set(row) != {"id", "text", "label", "split"}:
            raise DataError(path, place, "expected the fields id, text, label and split")
        if not all(isinstance(value, str) for value in row.values()):
            raise DataError(path, place, "expected every field to be a string")
        if row["label"] not in CLASSES:
            raise DataError(path, place, _unknown_label(row["label"]))
        if row["split"] not in SPLITS:
            raise DataError(path, place, f"unknown split, expected one of {', '.join(SPLITS)}")
        if row["id"] in seen:
            raise DataError(path, place, f"the id {row['id']} occurs a second time")
        seen.add(row["id"])
        records.append(Record(**row))
    return records


def convert(
    raw_directory: Path | str,
    records_path: Path | str,
    quarantine_path: Path | str,
    on_bad_record: str = "fail",
    *,
    similar_names: str = "refuse",
    expected: Mapping[str, Any] | None = None,
) -> None:
    """Write the records of a raw folder, and its bad records, as JSON Lines.

    Neither file is touched unless the whole folder could be read.

    Args:
        raw_directory: folder with the raw files of all three splits.
        records_path: gets ``{"id", "text", "label", "split"}`` a line.
        quarantine_path: gets ``{"file", "place", "problem"}`` a line, never the text.
        on_bad_record: ``fail`` or ``skip``, see `read_raw`.
        similar_names: ``refuse`` or ``merge``, see `read_raw`.
        expected: ``expected`` of the data registry; labels that came as numbers must fit its
            ``classes`` or ``shares``.

    Raises:
        DataError: see `read_raw`; or the label ids fit another order of the classes better.
        UserError: an output cannot be written.
    """
    ids = LabelIds()
    with sealed_writer(records_path) as records, sealed_writer(quarantine_path) as quarantine:
        for item in read_raw(raw_directory, on_bad_record, similar_names, ids):
            stream = records if isinstance(item, Record) else quarantine
            stream.write(json.dumps(asdict(item), ensure_ascii=False) + "\n")
        ids.check(raw_directory, expected or {})


def read_raw(
    directory: Path | str,
    on_bad_record: str = "fail",
    similar_names: str = "refuse",
    ids: LabelIds | None = None,
) -> Iterator[Record | BadRecord]:
    """Yield the records of a raw folder, one split after the other.

    Args:
        directory: folder with the raw files of all three splits.
        on_bad_record: ``fail`` raises at the first bad record; ``skip`` yields it as `BadRecord`.
        similar_names: ``refuse`` takes class names as they are spelled in `CLASSES` only;
            ``merge`` also in other case, white space or Unicode form.
        ids: gets the labels that came as numbers.

    Raises:
        DataError: a record is bad and *on_bad_record* is ``fail``; or, in either case, a whole
            file is: missing, empty, cut off, not what its name says, without a column, or
            without a single good record.
    """
    if on_bad_record not in ON_BAD_RECORD:
        raise ValueError(f"on_bad_record must be fail or skip, not {on_bad_record!r}")
    root = Path(directory)
    raw = find_layout(root)
    read_rows = LAYOUTS[raw.layout].read_rows
    for split in SPLITS:
        before = 0  # records in earlier files of the split, so that ids stay unique
        own_ids = Ids(similar_names)
        for path in raw.files[split]:
            last = good = 0
            for row in read_rows(path):
                last = row.number
                if similar_names == "merge":
                    _respell(row.values)
                problem = row.problem or _problem_of(row, path.name, own_ids)
                if problem is None:
                    good += 1
                    label = row.values["label"]
                    if ids is not None and isinstance(label, int) and not _is_named(row.values):
                        ids.add(split, row.order, label)
                    yield Record(
                        id=f"{split}-{before + row.number:05d}",
                        text=row.values["text"],
                        label=label if isinstance(label, str) else row.order[label],
                        split=split,
                    )
                elif on_bad_record == "fail":
                    raise DataError(path, row.place, problem)
                else:
                    yield BadRecord(path.relative_to(root).as_posix(), row.place, problem)
            if last == 0:
                raise DataError(path, None, "the file holds no records")
            if good == 0:
                raise DataError(path, None, "not one good record in the file; is it another kind?")
            before += last


def find_layout(directory: Path | str) -> RawFiles:
    """Find out which layout a raw folder has.

    The files lie in the folder itself, in ``data/`` or ``split/``, or all of that inside one
    only subfolder, as an unpacked archive leaves them.

    Raises:
        DataError: there is no layout, more than one, or a file of a split is missing or double.
    """
    root = Path(directory)
    if not root.is_dir():
        raise DataError(root, None, "no such folder")
    found = _files_by_layout(root)
    if not found:
        folders = [entry for entry in sorted(root.iterdir()) if entry.is_dir()]
        folders = [entry for entry in folders if not entry.name.startswith((".", "__"))]
        if len(folders) == 1:
            found = _files_by_layout(folders[0])
    if not found:
        looked_for = "; ".join(f"{name}: {layout.form}" for name, layout in LAYOUTS.items())
        there = sorted(entry.name for entry in root.iterdir())
        listing = ", ".join(there[:8]) + (", ..." if len(there) > 8 else "") if there else "nothing"
        raise DataError(
            root, None, f"no emotion corpus here. Looked for {looked_for}. Found {listing}"
        )
    if len(found) > 1:
        both = "; ".join(
            f"{name}: {', '.join(_names(files, root))}" for name, files in found.items()
        )
        raise DataError(root, None, f"files of more than one layout, keep one of them: {both}")
    name, files = found.popitem()
    missing = [split for split in SPLITS if not files[split]]
    if missing:
        raise DataError(
            root,
            None,
            f"no file of the split {' and '.join(missing)}; expected {LAYOUTS[name].form}, "
            f"found {', '.join(_names(files, root))}",
        )
    for split in SPLITS:
        _check_single(root, split, files[split])
    return RawFiles(name, {split: tuple(files[split]) for split in SPLITS})


def _files_by_layout(root: Path) -> dict[str, dict[str, list[Path]]]:
    """For each layout of which *root* has at least one file: split -> files, sorted."""
    found: dict[str, dict[str, list[Path]]] = {}
    for folder in FOLDERS:
        if not (root / folder).is_dir():
            continue
        for path in sorted((root / folder).iterdir()):
            for name, layout in LAYOUTS.items():
                ending = next((end for end in layout.endings if path.name.endswith(end)), None)
                if ending is None:
                    continue
                stem = path.name.removesuffix(ending)
                if ending == ".parquet":
                    stem = _SHARD.sub("", stem)
                for split, stems in STEMS.items():
                    if stem in stems:
                        found.setdefault(name, {s: [] for s in SPLITS})[split].append(path)
    return found


def _names(files: dict[str, list[Path]], root: Path) -> list[str]:
    return [path.relative_to(root).as_posix() for split in SPLITS for path in files[split]]


def _check_single(root: Path, split: str, paths: list[Path]) -> None:
    """A split is one file, or all the numbered parts of one."""
    parts = [_SHARD.search(path.name.removesuffix(".parquet")) for path in paths]
    if len(paths) == 1 and parts[0] is None:
        return
    names = ", ".join(path.relative_to(root).as_posix() for path in paths)
    stems = {_SHARD.sub("", path.as_posix().removesuffix(".parquet")) for path in paths}
    if not all(parts) or len(stems) > 1:
        raise DataError(root, None, f"more than one file of the split {split}: {names}")
    totals = {int(part.group(2)) for part in parts if part}
    numbers = [int(part.group(1)) for part in parts if part]
    if len(totals) > 1 or numbers != list(range(max(totals))):
        raise DataError(
            root, None, f"the split {split} should have {max(totals)} parts, found {names}"
        )


def _problem_of(row: _Row, file: str, own_ids: Ids) -> str | None:
    """What is wrong with the values of a row; *own_ids*, those of the rows before it, grow."""
    text, label = row.values["text"], row.values["label"]
    if not isinstance(text, str):
        return f"the text is {kind_of(text)}, expected a string"
    if _UNDECODED.search(text):
        return _not_utf8(text)
    if not is_encodable(text):
        return "the text holds half a surrogate pair, expected valid Unicode"
    if not text.strip():
        return "the text is empty"
    if "\0" in text:
        return "the text holds a NUL character"
    if isinstance(label, str):
        if label not in CLASSES:
            return _unknown_label(label)
    elif isinstance(label, bool) or not isinstance(label, int):
        return f"the label is {kind_of(label)}, expected a class name or an integer"
    elif not 0 <= label < len(CLASSES):
        return f"the label is {label}, expected 0 to {len(CLASSES) - 1}"
    elif _is_named(row.values) and name_key(row.values["label_text"]) != row.order[label]:
        return (
            f"the label is {label}, which is read as {row.order[label]}, but label_text is "
            f"{row.values['label_text'][:24]!r}"
        )
    if "id" in row.values:
        own = row.values["id"]
        if not isinstance(own, (str, int)):
            return f"the id is {kind_of(own)}, expected a string or an integer"
        if repeated := own_ids.add(str(own), f"{file}, {row.place}"):
            return repeated.problem(file)
    return None


def _is_named(values: Mapping[str, Any]) -> bool:
    """Whether a row has its class as a name, too, as some copies of the corpus do."""
    return isinstance(values.get("label_text"), str) and values["label_text"] in CLASSES


def _respell(values: dict[str, Any]) -> None:
    """Spell a class name as `CLASSES` does, in place."""
    for column in ("label", "label_text"):
        if isinstance(values.get(column), str) and name_key(values[column]) in CLASSES:
            values[column] = name_key(values[column])


def _unknown_label(label: str) -> str:
    """Say which label was meant; a long one may be a text and is not shown."""
    shown = f" {label!r}" if len(label) <= 24 else ""
    near = difflib.get_close_matches(label.strip().lower(), CLASSES, n=1)
    meant = f"; did you mean {near[0]}?" if near else ""
    return f"unknown label{shown}, expected one of {', '.join(CLASSES)}{meant}"


def _not_utf8(text: str) -> str:
    """Name the first byte that `surrogateescape` could not decode."""
    found = _UNDECODED.search(text)
    assert found is not None
    return f"expected UTF-8, found byte 0x{ord(found.group()) - 0xDC00:02x}"


def _read_semicolon(path: Path) -> Iterator[_Row]:
    for number, line in _lines(path):
        place = f"line {number}"
        fields = line.split(";")
        if not line.strip():
            continue
        if _UNDECODED.search(line):
            yield _Row(number, place, problem=_not_utf8(line))
        elif len(fields) != 2:
            other = other_separator(line, 2, ";")
            problem = f"expected 2 fields (text;label), found {len(fields)}{other}"
            yield _Row(number, place, problem=problem)
        else:
            yield _Row(number, place, {"text": fields[0], "label": _id_or_name(fields[1])})


def _id_or_name(label: str) -> str | int:
    """A label of a text file, which has no types, as what it reads as."""
    return int(label) if re.fullmatch(r"[0-9]{1,9}", label) else label


def _read_jsonl(path: Path) -> Iterator[_Row]:
    for number, line in _lines(path):
        place = f"line {number}"
        if not line.strip():
            continue
        if _UNDECODED.search(line):
            yield _Row(number, place, problem=_not_utf8(line))
            continue
        try:
            values = json.loads(line)
        except json.JSONDecodeError as error:
            yield _Row(number, place, problem=f"not valid JSON: {error.msg}")
            continue
        except (ValueError, RecursionError):  # thousands of digits, or of brackets
            yield _Row(number, place, problem="not valid JSON: a number or nesting out of bounds")
            continue
        if not isinstance(values, dict):
            problem = f'expected an object {{"text", "label"}}, found {kind_of(values)}'
            yield _Row(number, place, problem=problem)
        elif missing := [name for name in ("text", "label") if name not in values]:
            yield _Row(number, place, problem=f"missing field {' and '.join(missing)}")
        else:
            yield _Row(number, place, values)


def _read_csv(path: Path) -> Iterator[_Row]:
    lines = (f"{line}\n" for _, line in _lines(path))
    first = next(lines, "")
    if other := wrong_separator(first.split(","), ["text", "label"]):
        raise DataError(path, "line 1", other)
    reader = csv.reader(chain([first] if first else [], lines), strict=True)
    start = 1
    try:
        header = next(reader, None)
        if header is None:
            return
        _check_columns(path, header)
        number = 0
        start = reader.line_num + 1
        for fields in reader:
            place, start = f"line {start}", reader.line_num + 1
            if not fields:
                continue
            number += 1
            if len(fields) != len(header):
                problem = f"expected {len(header)} fields, as in the header, found {len(fields)}"
                yield _Row(number, place, problem=problem)
                continue
            values: dict[str, Any] = dict(zip(header, fields, strict=True))
            values["label"] = _id_or_name(values["label"])
            yield _Row(number, place, values)
    except csv.Error as error:
        # Where its record begins: an open quote is noticed at the end of the file.
        raise DataError(path, f"line {start}", f"not valid CSV: {error}") from error


def _read_parquet(path: Path) -> Iterator[_Row]:
    _check_kind(path, compressed=False)
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise UserError(f"{path}: reading Parquet needs the package pyarrow") from error
    try:
        with parquet.ParquetFile(path) as file:
            names = file.schema_arrow.names
            _check_columns(path, names)
            class_names = _class_names_inside(path, file.schema_arrow.metadata or {})
            number = 0
            columns = ("text", "label", "label_text", "id")
            wanted = [name for name in columns if name in names]
            for batch in file.iter_batches(columns=wanted):
                for values in _rows_of(batch):
                    number += 1
                    if values is None:
                        problem = "expected UTF-8, found other bytes"
                        yield _Row(number, f"record {number}", problem=problem)
                        continue
                    order = tuple(class_names) if class_names else CLASSES
                    yield _Row(number, f"record {number}", values, order=order)
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DataError(
            path, None, "not a readable Parquet file; it is cut off or corrupt, get it again"
        ) from error


def _rows_of(batch: Any) -> Iterator[dict[str, Any] | None]:
    """The rows of a batch of Parquet; None for one with text that is not UTF-8."""
    try:
        rows = batch.to_pylist()
    except UnicodeDecodeError:
        if batch.num_rows == 1:
            yield None
            return
        for place in range(batch.num_rows):
            yield from _rows_of(batch.slice(place, 1))
        return
    yield from rows


def _class_names_inside(path: Path, metadata: dict[bytes, bytes]) -> list[str] | None:
    """The class names, in the order of their ids, that the `datasets` library stores in a file.

    Raises:
        DataError: the names are not those of this corpus.
    """
    try:
        features = json.loads(metadata[b"huggingface"])["info"]["features"]
        names = features["label"]["names"]
    except (KeyError, TypeError, ValueError, RecursionError):
        return None
    # Whatever the names are, each is compared; a list may hold what cannot be sorted.
    same = isinstance(names, list) and len(names) == len(CLASSES)
    if not same or not all(name in names for name in CLASSES):
        raise DataError(path, None, f"expected the classes {', '.join(CLASSES)}, found others")
    return list(names)


def _check_columns(path: Path, columns: list[str]) -> None:
    doubled = sorted({name for name in columns if columns.count(name) > 1})
    if doubled:
        raise DataError(path, None, f"the column {' and '.join(doubled)} occurs more than once")
    missing = [name for name in ("text", "label") if name not in columns]
    if missing:
        found = ", ".join(name[:40] for name in columns[:10])
        raise DataError(path, None, f"missing column {' and '.join(missing)}; found: {found}")


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Number and yield the lines of a UTF-8 file without their ends.

    A byte order mark is dropped. Bytes that are not UTF-8 come as lone surrogates, so that one
    bad line is one bad record.
    """
    number = 0
    with _open_binary(path) as stream:
        try:
            for number, line in enumerate(bounded_lines(stream, path), start=1):
                if number == 1:
                    line = line.removeprefix(b"\xef\xbb\xbf")
                text = line.decode("utf-8", errors="surrogateescape")
                yield number, text.removesuffix("\n").removesuffix("\r")
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise DataError(
                path,
                f"after line {number}",
                "the gzip data is cut off or corrupt, get the file again",
            ) from error


@contextmanager
def _open_binary(path: Path) -> Iterator[IO[bytes]]:
    compressed = path.name.endswith(".gz")
    _check_kind(path, compressed)
    if compressed:
        with gzip.open(path, "rb") as unpacked:
            yield unpacked  # type: ignore[misc]
    else:
        with path.open("rb") as plain:
            yield plain


def _check_kind(path: Path, compressed: bool) -> None:
    """Tell from the first bytes that a file is something else than its name says."""
    try:
        with path.open("rb") as stream:
            head = stream.read(512)
    except OSError as error:
        raise DataError(path, None, f"cannot be read: {error.strerror}") from error
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    is_gzip = head.startswith(b"\x1f\x8b")
    if not head:
        problem = "the file is empty"
    elif start.startswith((b"<!doctype html", b"<html", b"<head", b"<?xml")):
        problem = "this is a web page saved under the name of the data; download it again"
    elif start.startswith(b"version https://git-lfs"):
        problem = "this is a Git LFS pointer, not the data; fetch it with git lfs pull"
    elif head.startswith((b"\xff\xfe", b"\xfe\xff")):
        problem = "the text is UTF-16, expected UTF-8"
    elif is_gzip and not compressed:
        problem = "the file is gzip-compressed; end its name in .gz or unpack it"
    elif compressed and not is_gzip:
        problem = "the name ends in .gz but the file is not gzip-compressed"
    else:
        return
    raise DataError(path, None, problem)


@dataclass(frozen=True, slots=True)
class Layout:
    """A raw layout: the form of its files in words, their endings, and their reader."""

    form: str
    endings: tuple[str, ...]
    read_rows: Callable[[Path], Iterator[_Row]]


LAYOUTS = {
    "semicolon": Layout(
        "train.txt, val.txt and test.txt (text;label a line)", (".txt", ".txt.gz"), _read_semicolon
    ),
    "parquet": Layout(
        "split/train-00000-of-00001.parquet and the same of validation and test (text, label)",
        (".parquet",),
        _read_parquet,
    ),
    "jsonl": Layout(
        'train.jsonl, validation.jsonl and test.jsonl ({"text": ..., "label": ...} a line)',
        (".jsonl", ".jsonl.gz"),
        _read_jsonl,
    ),
    "csv": Layout(
        "train.csv, validation.csv and test.csv (header text,label)", (".csv", ".csv.gz"), _read_csv
    ),
}
"""The layouts that `read_raw` understands; all but Parquet may also be gzip-compressed."""
