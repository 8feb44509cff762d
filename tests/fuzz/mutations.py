"""Mutations of a valid file: of its bytes, and of the parts that its format names."""

import csv
import io
import json
import struct
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

from hypothesis import strategies as st

DIGITS, DEEP = "@digits@", "@deep@"
RAW = {f'"{DIGITS}"': "9" * 5000, f'"{DEEP}"': "[" * 20_000 + "]" * 20_000}
"""Stand-ins for what `json.dumps` cannot write."""

VALUES: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    1,
    0.5,
    2**31,
    2**63,
    -(2**63) - 1,
    10**300,
    1e308,
    float("nan"),
    float("inf"),
    float("-inf"),
    "",
    " ",
    "0",
    "nan",
    "x" * 3000,
    "\ud800",
    "a\0b",
    "\u202e<script>",
    "../../etc/passwd",
    "{0}",
    [],
    [None],
    [[]],
    ["x", 1],
    {},
    {"a": 1},
    {"": []},
    DIGITS,
    DEEP,
)

CELLS = (
    *("", " ", "-1", "0", "1e309", "nan", "inf", "9" * 5000, "x" * 3000, '"', "'", "\0", "\r"),
    *("\ud800", "..", "/etc/passwd", "=1+1", "\ufeff", "a\nb", "a,b", "a\tb", "a;b", "٣", "1_000"),
)
TOKENS = (
    *(b"", b"\0", b"\xff", b"\xff\xfe", b"\xef\xbb\xbf", b"\r", b"\n", b"\r\n", b'"', b",", b"\t"),
    *(b"{", b"}", b"[", b"]", b"null", b"NaN", b"-", b"1e999", b"\xed\xa0\x80", b"\x00" * 16),
    *(b"\xff" * 8, b"\x7f\xff\xff\xff", b"\x80\0\0\0", b"PK\x03\x04", b"<html>", b"'", b"(", b"|O"),
)


class Change(NamedTuple):
    """One step of a mutation; the numbers are taken modulo what there is."""

    kind: int
    place: int
    value: int


class Mutation(NamedTuple):
    """Which file is changed, and how."""

    file: int
    structured: bool
    changes: list[Change]


CHANGE = struct.Struct(">HIH")
HEAD = struct.Struct(">HBB")


def _decoded(data: bytes) -> Mutation:
    """The mutation that these bytes stand for."""
    file, structured, more = HEAD.unpack_from(data)
    used = data[HEAD.size :][: CHANGE.size * (1 + more % 3)]
    changes = [Change(*numbers) for numbers in CHANGE.iter_unpack(used)]
    return Mutation(file, bool(structured % 2), changes)


# One draw for all numbers: drawn one by one, they cost more than most readers.
MUTATIONS = st.binary(
    min_size=HEAD.size + 3 * CHANGE.size, max_size=HEAD.size + 3 * CHANGE.size
).map(_decoded)


def mutated(path: Path, data: bytes, mutation: Mutation) -> bytes:
    """*data* of the file *path*, changed; by its format if that is known and asked for."""
    if mutation.structured:
        for change in mutation.changes:
            data = _by_format(path.suffix.lower(), data, change)
        return data
    for change in mutation.changes:
        data = _bytes(data, change)
    return data


def _by_format(suffix: str, data: bytes, change: Change) -> bytes:
    match suffix:
        case ".json":
            return _json(data, change)
        case ".jsonl":
            return _line(data, change, _json)
        case ".csv" | ".tsv" | ".txt":
            delimiter = {".tsv": "\t", ".txt": ";"}.get(suffix, ",")
            return _cells(data, change, delimiter)
        case ".safetensors":
            return _safetensors(data, change)
        case ".npz" | ".zip" | ".pt":
            return _members(data, change)
        case ".npy":
            return _npy_header(data, change)
        case ".parquet":
            return _parquet(data, change)
        case ".yaml":
            return _yaml(data, change)
        case _:
            return _bytes(data, change)


def _bytes(data: bytes, change: Change) -> bytes:
    place = change.place % (len(data) + 1)
    length = 1 + change.value % 64
    token = TOKENS[change.value % len(TOKENS)]
    match change.kind % 8:
        case 0:
            place = min(place, len(data) - 1)
            flipped = bytes([data[place] ^ (1 << change.value % 8)]) if data else b""
            return data[:place] + flipped + data[place + 1 :]
        case 1:
            return data[:place] + bytes([change.value % 256]) + data[place + 1 :]
        case 2:
            return data[:place]
        case 3:
            return data[:place] + data[place + length :]
        case 4:
            return data[:place] + token + data[place:]
        case 5:
            return data[:place] + token + data[place + len(token) :]
        case 6:
            return data[: place + length] + data[place:]
        case _:
            other = (change.value * 2654435761) % (len(data) + 1)
            return data[:place] + data[other : other + length] + data[place + length :]


def _nodes(value: Any, found: list[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    """Container and key of every value, outermost first."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, below in items:
        found.append((value, key))
        if isinstance(below, dict | list) and len(found) < 3000:
            _nodes(below, found)
    return found


def _json(data: bytes, change: Change) -> bytes:
    try:
        root = [json.loads(data)]
    except (ValueError, RecursionError):
        return _bytes(data, change)
    nodes = _nodes(root, [])
    container, key = nodes[change.place % len(nodes)]
    value = VALUES[change.value % len(VALUES)]
    kind = change.kind % 6
    if kind == 1 and isinstance(container, dict):
        del container[key]
    elif kind == 2 and isinstance(container, dict):
        container[str(value)[:50]] = container.pop(key)
    elif kind == 3 and container is not root and isinstance(container, list):
        container.append(container[key])
    elif kind == 4:
        container[key] = [container[key]]
    else:
        container[key] = value
    text = json.dumps(root[0])
    for name, raw in RAW.items():
        text = text.replace(name, raw)
    return text.encode()


def _line(data: bytes, change: Change, of_line: Any) -> bytes:
    lines = data.split(b"\n")
    place = change.place % len(lines)
    if change.kind % 7 == 6:
        return b"\n".join([*lines, lines[place]])
    lines[place] = of_line(lines[place], change._replace(place=change.place // len(lines)))
    return b"\n".join(lines)


def _cells(data: bytes, change: Change, delimiter: str) -> bytes:
    try:
        rows = list(csv.reader(io.StringIO(data.decode(), newline=""), delimiter=delimiter))
    except (UnicodeDecodeError, csv.Error):
        return _bytes(data, change)
    full = [row for row in rows if row]
    if not full:
        return _bytes(data, change)
    # The header is changed as often as all other lines together.
    row = full[0] if change.place % 2 else full[change.place // 2 % len(full)]
    place = change.place // 7 % len(row)
    value = CELLS[change.value % len(CELLS)]
    match change.kind % 5:
        case 0:
            del row[place]
        case 1:
            row.insert(place, value)
        case 2:
            rows.append(row)
        case _:
            row[place] = value
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
    try:
        writer.writerows(rows)
    except csv.Error:
        return _bytes(data, change)
    return text.getvalue().encode(errors="surrogatepass")


def _safetensors(data: bytes, change: Change) -> bytes:
    """Change the header, whose length is kept right, or one number among the tensors."""
    length = int.from_bytes(data[:8], "little")
    body = data[8 + length :]
    if change.kind % 3 == 0 and len(body) >= 4:
        place = change.place % (len(body) // 4) * 4
        special = (b"\0\0\xc0\x7f", b"\0\0\x80\x7f", b"\xff\xff\x7f\x7f", b"\0\0\0\0")
        body = body[:place] + special[change.value % 4] + body[place + 4 :]
        return data[: 8 + length] + body
    header = _json(data[8 : 8 + length], change)
    return len(header).to_bytes(8, "little") + header + body


def _members(data: bytes, change: Change) -> bytes:
    """Change a member of a zip file, its name, or which ones there are; checksums are right."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as bundle:
            members = [(info.filename, bundle.read(info)) for info in bundle.infolist()]
    except Exception:
        return _bytes(data, change)
    if not members:
        return _bytes(data, change)
    place = change.place % len(members)
    name, content = members[place]
    inner = change._replace(kind=change.kind // 8, place=change.place // len(members))
    names = ("../x", "/x", "", "a\\b", "x" * 300, "\udcff", name.upper(), f"{name}/", "a:b", "é\0")
    match change.kind % 8:
        case 0:
            del members[place]
        case 1:
            members.append((name, content))
        case 2:
            members[place] = names[change.value % len(names)], content
        case _:
            members[place] = name, _by_format(Path(name).suffix.lower(), content, inner)
    target = io.BytesIO()
    try:
        with zipfile.ZipFile(target, "w") as bundle:
            for member, content in members:
                bundle.writestr(zipfile.ZipInfo(member), content)
    except (ValueError, UnicodeError):
        return _bytes(data, change)
    return target.getvalue()


NPY_HEADERS = (
    "{'descr': '|O', 'fortran_order': False, 'shape': (2,)}",
    "{'descr': '<U3', 'fortran_order': False, 'shape': (2,)}",
    "{'descr': '<f4', 'fortran_order': True, 'shape': (3, 1)}",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000,)}",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 2)}",
    "{'descr': '<f4', 'fortran_order': False, 'shape': ()}",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (0, 0)}",
    "{'descr': [('a', '<f4'), ('b', '|O')], 'fortran_order': False, 'shape': (1,)}",
    "{'descr': '<c8', 'fortran_order': False, 'shape': (1,)}",
    "{'descr': '<M8[s]', 'fortran_order': False, 'shape': (1,)}",
    "{'descr': '|S4', 'fortran_order': False, 'shape': (2, 1)}",
    "{'descr': '|V4', 'fortran_order': False, 'shape': (2,)}",
    "{'descr': '<f4', 'shape': (1,)}",
    "{'descr': 3, 'fortran_order': False, 'shape': (1,)}",
    "{'descr': 'x' * 9, 'fortran_order': 1, 'shape': 'ab'}",
    "[" * 5000,
    "9" * 5000,
    "(" * 200,
    "{1: 2}",
    "\0",
)


def _npy_header(data: bytes, change: Change) -> bytes:
    if data[:6] != b"\x93NUMPY" or change.kind % 2:
        return _bytes(data, change)
    length = int.from_bytes(data[8:10], "little")
    header = NPY_HEADERS[change.value % len(NPY_HEADERS)].encode() + b"\n"
    return data[:8] + len(header).to_bytes(2, "little") + header + data[10 + length :]


def _parquet(data: bytes, change: Change) -> bytes:
    """Write the table again with a changed column or changed metadata."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        table = parquet.read_table(pa.BufferReader(data))
    except Exception:
        return _bytes(data, change)
    kind = change.kind % 6
    if kind < 2:
        return _bytes(data, change)
    try:
        names = table.column_names
    except UnicodeDecodeError:
        # An earlier change broke a name.
        names = []
    if not names:
        return _bytes(data, change)
    column = names[change.place % len(names)]
    values: list[Any] = [None, b"\xff", 1, 2.5, True, ["x"], {"a": 1}, "x", float("nan"), 2**40]
    if kind == 2:
        table = table.drop_columns([column])
    elif kind == 3:
        table = table.append_column(column, table[column])
    elif kind == 4:
        filler = pa.array([values[change.value % len(values)]] * len(table))
        table = table.set_column(names.index(column), column, filler)
    else:
        stored = table.schema.metadata or {}
        names_of = {"info": {"features": {"label": {"names": ["a", "b"]}}}}
        old = stored.get(b"huggingface", json.dumps(names_of).encode())
        table = table.replace_schema_metadata({**stored, b"huggingface": _json(old, change)})
    sink = pa.BufferOutputStream()
    parquet.write_table(table, sink)
    return sink.getvalue().to_pybytes()


YAML = (
    *(
        "~",
        "[",
        "{",
        "{}",
        "[]",
        "!!bool x",
        "!!int x",
        "!!float x",
        "!!timestamp x",
        "!!python/x y",
    ),
    *(
        "!!binary $",
        "&a [*a]",
        "*a",
        "<<: *b",
        "<<: 3",
        "<<: [1]",
        "? [a]",
        "- ",
        "%YAML 9.9",
        "---",
    ),
    *("2001-99-99", "1:60:60:99", "0x" + "f" * 5000, "9" * 5000, "[" * 5000, "{a: " * 3000, ".inf"),
    *("!!set {a, b}", "!!omap [a: 1]", "!!pairs [a: 1]", "!!null x", "!!str 3", "\t", "\0", "\x85"),
    *(
        "0b2",
        "1_000",
        "0o9",
        "!!int 1.5",
        "!!int ''",
        "~nobody/x",
        "'x\n\ny'",
        '"\\ud800"',
        "|\n x",
    ),
)


def _yaml(data: bytes, change: Change) -> bytes:
    lines = data.decode(errors="replace").split("\n")
    place = change.place % len(lines)
    value = YAML[change.value % len(YAML)]
    head, colon, _ = lines[place].partition(":")
    match change.kind % 4:
        case 0:
            lines.insert(place, value)
        case 1:
            del lines[place]
        case 2:
            lines[place] = f"{' ' * (len(head) - len(head.lstrip()))}{value}: 1"
        case _:
            lines[place] = f"{head}{colon or ':'} {value}"
    return "\n".join(lines).encode(errors="surrogatepass")
