"""The face corpus: every layout, every kind of bad input, votes, and the converted files."""

import csv
import json
import os
import struct
import zipfile
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from affectlab.errors import DataError, UserError
from affectlab.face.convert import convert
from affectlab.face.data import read_faces, require_images
from affectlab.face.faces import CLASSES, CSV_CLASSES
from affectlab.face.pixels import decode_image, parse_pixels
from affectlab.face.raw import read_raw
from affectlab.face.votes import TAGS, match_pixels
from affectlab.files.quarantine import BadRecord
from affectlab.samples import face as samples

COUNTS = {"Training": 30, "PublicTest": 12, "PrivateTest": 12}


@pytest.fixture(scope="module")
def corpus():
    return samples.make_corpus(3, COUNTS)


def write(directory: Path, layout: str) -> Path:
    samples.write_corpus(directory, 3, layout, COUNTS)
    return directory


def converted(directory: Path, votes: Path | None = None, **changes):
    paths = {
        "faces_path": directory / "out" / "faces.npy",
        "metadata_path": directory / "out" / "metadata.csv",
        "quarantine_path": directory / "out" / "quarantine.jsonl",
        "description_path": directory / "out" / "description.json",
    }
    convert(
        raw_directory=directory / "raw",
        votes_directory=votes,
        entry={"layout": "fer2013"},
        **paths,
        **changes,
    )
    return read_faces(paths["faces_path"], paths["metadata_path"])


@pytest.mark.parametrize("layout", samples.LAYOUTS)
def test_every_layout_gives_the_same_corpus(tmp_path, corpus, layout):
    write(tmp_path / "raw", layout)
    faces = converted(tmp_path)
    exact = layout in ("csv", "icml")
    # Files come in the order of their names, rows in the order of the table.
    order = (
        np.arange(len(faces))
        if exact
        else np.array([int(path.rsplit("_", 1)[1].removesuffix(".jpg")) for path in faces.paths])
    )
    assert sorted(order) == list(range(len(corpus.images)))
    error = np.abs(faces.images.astype(int) - corpus.images[order]).mean()
    assert error == 0 if exact else error < 4
    assert [str(name) for name in faces.emotions] == [
        CSV_CLASSES[corpus.labels[row]] for row in order
    ]
    splits = {"Training": "train", "PublicTest": "validation", "PrivateTest": "test"}
    assert faces.splits.tolist() == [splits[corpus.usages[row]] for row in order]
    assert faces.images.dtype == np.uint8
    assert (tmp_path / "out" / "quarantine.jsonl").read_text() == ""


def test_the_same_seed_gives_the_same_bytes(tmp_path):
    for layout in samples.LAYOUTS:
        for name in ("a", "b"):
            write(tmp_path / layout / name, layout)
        first, second = (
            {p.relative_to(root): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}
            for root in (tmp_path / layout / "a", tmp_path / layout / "b")
        )
        assert first == second


def test_synonyms_and_names_in_the_label_column_are_read(tmp_path, corpus):
    pixels = " ".join(map(str, corpus.images[0].ravel()))
    (tmp_path / "fer2013.csv").write_text(
        f"emotion,pixels,Usage\nHappiness,{pixels},Training\n,{pixels},Training\n"
    )
    assert [face.emotion for face in read_raw(tmp_path)] == ["happy", ""]


def test_valence_and_arousal_are_taken_over(tmp_path, corpus):
    pixels = " ".join(map(str, corpus.images[0].ravel()))
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "fer2013.csv").write_text(
        f"emotion,pixels,Usage,valence,arousal\n3,{pixels},Training,0.5,-0.25\n"
    )
    assert converted(tmp_path).affect.tolist() == [[0.5, -0.25]]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("3,{short},Training", "record 2: expected 2304 pixels, found 2303"),
        ("3,{letters},Training", "record 2: pixels: expected integers"),
        ("3,{large},Training", "record 2: pixels: expected integers of 0 to 255"),
        ("7,{pixels},Training", "record 2: emotion 7: expected 0 to 6"),
        ("-1,{pixels},Training", "record 2: emotion -1: expected 0 to 6"),
        ("hapy,{pixels},Training", "record 2: unknown class 'hapy'.*did you mean happy"),
        ("3,{pixels},Test", "record 2: Usage 'Test': expected one of Training"),
        ("3,{pixels}", "record 2: expected 3 cells, found 2"),
    ],
)
def test_a_bad_row_is_named_or_set_aside(tmp_path, corpus, row, message):
    values = list(map(str, corpus.images[0].ravel()))
    texts = {
        "pixels": " ".join(values),
        "short": " ".join(values[:-1]),
        "letters": " ".join([*values[:-1], "x"]),
        "large": " ".join([*values[:-1], "256"]),
    }
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "fer2013.csv").write_text(
        f"emotion,pixels,Usage\n3,{texts['pixels']},Training\n{row.format(**texts)}\n"
    )
    with pytest.raises(DataError, match=rf"fer2013\.csv, {message}"):
        converted(tmp_path)
    assert not (tmp_path / "out" / "faces.npy").exists()
    assert len(converted(tmp_path, on_bad_record="skip")) == 1
    (line,) = (tmp_path / "out" / "quarantine.jsonl").read_text().splitlines()
    assert BadRecord(**json.loads(line)).place == "record 2"


@pytest.mark.parametrize("value", ["nan", "", "1.5", "high"])
def test_valence_must_be_a_number_within_its_range(tmp_path, corpus, value):
    pixels = " ".join(map(str, corpus.images[0].ravel()))
    (tmp_path / "fer2013.csv").write_text(
        f"emotion,pixels,Usage,valence,arousal\n3,{pixels},Training,{value},0\n"
    )
    with pytest.raises(DataError, match=r"valence .*: expected a number of -1 to 1"):
        list(read_raw(tmp_path))


def test_a_picture_in_the_wrong_column_is_not_shown(tmp_path, corpus):
    pixels = " ".join(map(str, corpus.images[0].ravel()))
    (tmp_path / "fer2013.csv").write_text(
        f"emotion,valence,Usage,pixels,arousal\n3,{pixels},Training,{pixels},0\n"
    )
    with pytest.raises(DataError) as caught:
        list(read_raw(tmp_path))
    assert "expected a number of -1 to 1" in str(caught.value)
    assert pixels[:60] not in str(caught.value)


def test_lines_with_nothing_in_them_are_no_records(tmp_path, corpus):
    pixels = " ".join(map(str, corpus.images[0].ravel()))
    row = f"3,{pixels},Training\n"
    (tmp_path / "fer2013.csv").write_text(f"emotion,pixels,Usage\n{row}\n{row}\n")
    assert [face.image_path for face in read_raw(tmp_path)] == ["fer2013.csv#1", "fer2013.csv#2"]


def test_a_quote_that_is_left_open_is_an_error_that_names_the_table(tmp_path, corpus, votes):
    pixels = " ".join(map(str, corpus.images[0].ravel()))
    rows = f'3,"{pixels},Training\n' + f"3,{pixels},Training\n" * 20
    (tmp_path / "fer2013.csv").write_text(f"emotion,pixels,Usage\n{rows}")
    with pytest.raises(DataError, match=r"fer2013\.csv: not a CSV: .*is a quote left open"):
        list(read_raw(tmp_path))
    write(tmp_path / "raw", "csv")
    with (votes / "fer2013new.csv").open("a") as stream:
        stream.write('Training,"' + "x" * 200_000 + "\n")
    with pytest.raises(DataError, match=r"fer2013new\.csv: not a CSV"):
        converted(tmp_path, votes)


def test_valence_needs_arousal(tmp_path, corpus):
    pixels = " ".join(map(str, corpus.images[0].ravel()))
    (tmp_path / "fer2013.csv").write_text(
        f"emotion,pixels,Usage,valence\n3,{pixels},Training,0.5\n"
    )
    with pytest.raises(DataError, match="of valence and arousal, expected both or neither"):
        list(read_raw(tmp_path))


def write_image(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encoded(np.zeros((48, 48), np.uint8)))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("train/happy/1.jpg,0.5,-0.25\n", None),
        ("train/happy/1.jpg,nan,0\n", r"affect\.csv, line 2: valence 'nan': expected a number"),
        ("train/happy/1.jpg,0.5\n", r"affect\.csv, line 2: arousal None: expected a number"),
        ("train/happy/2.jpg,0,0\n", r"1\.jpg: no row in affect\.csv"),
        (
            "train/happy/1.jpg,0,0\ntrain/happy/1.jpg,1,0\n",
            r"affect\.csv, line 3: a second row for train/happy/1\.jpg",
        ),
    ],
)
def test_folders_may_have_a_table_of_valence_and_arousal(tmp_path, rows, message):
    write_image(tmp_path / "train" / "happy" / "1.jpg")
    (tmp_path / "affect.csv").write_text(f"image_path,valence,arousal\n{rows}")
    if message is None:
        (face,) = read_raw(tmp_path)
        assert (face.valence, face.arousal) == (0.5, -0.25)
    else:
        with pytest.raises(DataError, match=message):
            list(read_raw(tmp_path))


def test_bad_valence_puts_its_image_into_quarantine(tmp_path):
    for name in "12":
        write_image(tmp_path / "raw" / "train" / "happy" / f"{name}.jpg")
    rows = "image_path,valence,arousal\ntrain/happy/1.jpg,nan,0\ntrain/happy/2.jpg,0.5,0\n"
    (tmp_path / "raw" / "affect.csv").write_text(rows)
    faces = converted(tmp_path, on_bad_record="skip")
    assert faces.paths == ["train/happy/2.jpg"]
    kept = (tmp_path / "out" / "quarantine.jsonl").read_text()
    assert "affect.csv, line 2: valence 'nan': expected a number" in kept


def test_a_corrupt_image_file_can_be_left_out(tmp_path):
    for name in "12":
        write_image(tmp_path / "raw" / "train" / "happy" / f"{name}.jpg")
    path = tmp_path / "raw" / "train" / "happy" / "1.jpg"
    path.write_bytes(path.read_bytes()[:-30])
    assert converted(tmp_path, on_bad_record="skip").paths == ["train/happy/2.jpg"]
    assert "happy/1.jpg" in (tmp_path / "out" / "quarantine.jsonl").read_text()


def test_a_table_in_a_zip_archive_is_read_in_place(tmp_path, corpus):
    write(tmp_path / "table", "csv")
    (tmp_path / "raw").mkdir()
    with zipfile.ZipFile(tmp_path / "raw" / "archive.zip", "w") as bundle:
        bundle.write(tmp_path / "table" / "fer2013.csv", "fer2013/fer2013.csv")
    faces = converted(tmp_path)
    assert np.array_equal(faces.images, corpus.images)
    assert sorted(path.name for path in (tmp_path / "raw").iterdir()) == ["archive.zip"]


def test_two_images_of_one_name_are_told_apart_or_refused(tmp_path):
    for copy in ("first", "second"):
        write_image(tmp_path / "raw" / copy / "train" / "happy" / "Training_1.jpg")
    message = r"second/train.*: a second image called train/happy/Training_1\.jpg, as first/train"
    with pytest.raises(DataError, match=message):
        converted(tmp_path)
    assert len(converted(tmp_path, on_bad_record="skip")) == 1
    assert "a second image" in (tmp_path / "out" / "quarantine.jsonl").read_text()


@pytest.mark.parametrize("packed", [False, True])
def test_files_that_macos_leaves_are_no_images(tmp_path, packed):
    hidden = "train/happy/._Training_1.jpg"
    if packed:
        write_image(tmp_path / "image.jpg")
        with zipfile.ZipFile(tmp_path / "archive.zip", "w") as bundle:
            bundle.write(tmp_path / "image.jpg", "train/happy/Training_1.jpg")
            bundle.writestr(hidden, b"what macOS leaves")
            bundle.writestr(f"__MACOSX/{hidden}", b"what macOS leaves")
    else:
        write_image(tmp_path / "train" / "happy" / "Training_1.jpg")
        (tmp_path / hidden).write_bytes(b"what macOS leaves")
    assert [face.image_path for face in read_raw(tmp_path)] == ["train/happy/Training_1.jpg"]


@pytest.mark.parametrize("packed", [False, True])
def test_images_in_hidden_folders_are_none_of_the_corpus(tmp_path, packed):
    name, hidden = "train/happy/a.jpg", "train/happy/.ipynb_checkpoints/a-checkpoint.jpg"
    write_image(tmp_path / name)
    write_image(tmp_path / hidden)
    if packed:
        with zipfile.ZipFile(tmp_path / "archive.zip", "w") as bundle:
            bundle.write(tmp_path / name, name)
            bundle.write(tmp_path / hidden, hidden)
    assert [face.image_path for face in read_raw(tmp_path)] == [name]


def test_splits_that_are_links_are_read(tmp_path):
    write_image(tmp_path / "disk" / "happy" / "a.jpg")
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "train").symlink_to(tmp_path / "disk")
    (tmp_path / "disk" / "back").symlink_to(tmp_path / "raw")
    assert [face.image_path for face in read_raw(tmp_path / "raw")] == ["train/happy/a.jpg"]


def test_a_file_name_that_is_not_utf_8_is_a_bad_image(tmp_path):
    for name in (b"a.jpg", b"\xe9.jpg"):
        write_image(tmp_path / "raw" / "train" / "happy" / os.fsdecode(name))
    with pytest.raises(DataError, match=r"udce9\.jpg: expected a name in UTF-8"):
        converted(tmp_path)
    assert converted(tmp_path, on_bad_record="skip").paths == ["train/happy/a.jpg"]
    (bad,) = (tmp_path / "out" / "quarantine.jsonl").read_text().splitlines()
    assert json.loads(bad)["file"] == r"train/happy/\udce9.jpg"


def encoded(image: np.ndarray, ending: str = ".jpg") -> bytes:
    return cv2.imencode(ending, image)[1].tobytes()


def colour_image() -> np.ndarray:
    image = np.zeros((48, 48, 3), np.uint8)
    image[..., 2] = 200
    return image


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (encoded(np.zeros((48, 48), np.uint8))[:-200], "cut off"),
        (encoded(np.zeros((48, 48), np.uint8), ".png")[:-20], "cut off"),
        (b"", "an empty file"),
        (b"<html>", "a web page saved under"),
        (encoded(colour_image(), ".png"), "grey image, found one in colour"),
        (encoded(np.zeros((48, 47), np.uint8)), "48x48 pixels, found 47x48"),
    ],
)
def test_a_bad_image_is_named(tmp_path, data, message):
    path = tmp_path / "train" / "happy" / "Training_1.jpg"
    path.parent.mkdir(parents=True)
    path.write_bytes(data)
    with pytest.raises(DataError, match=rf"Training_1\.jpg: .*{message}"):
        list(read_raw(tmp_path))


def test_grey_stored_as_colour_is_grey():
    image = np.full((48, 48), 77, np.uint8)
    stored = encoded(np.repeat(image[..., None], 3, axis=2), ".png")
    assert np.array_equal(decode_image(stored), image)


def test_an_image_that_claims_more_pixels_than_opencv_takes_is_no_image():
    size = struct.pack(">II", 40_000, 40_000) + b"\x08\0\0\0\0"
    header = struct.pack(">I", 13) + b"IHDR" + size + struct.pack(">I", zlib.crc32(b"IHDR" + size))
    end = struct.pack(">I", 0) + b"IEND" + struct.pack(">I", zlib.crc32(b"IEND"))
    with pytest.raises(ValueError, match="expected at most 100,000,000 pixels"):
        decode_image(b"\x89PNG\r\n\x1a\n" + header + end)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("train/hapy/Training_1.jpg", "unknown class 'hapy'.*did you mean happy"),
        ("other/happy/1.jpg", "unknown split 'other'"),
        ("happy/1.jpg", "expected <split>/<emotion>/<image>"),
    ],
)
def test_a_folder_that_is_no_class_or_split_is_named(tmp_path, name, message):
    (tmp_path / name).parent.mkdir(parents=True)
    (tmp_path / name).write_bytes(encoded(np.zeros((48, 48), np.uint8)))
    with pytest.raises(DataError, match=message):
        list(read_raw(tmp_path))


def test_a_folder_without_a_corpus_says_what_was_expected(tmp_path):
    with pytest.raises(DataError, match=r"no FER2013 here: expected fer2013\.csv"):
        list(read_raw(tmp_path))
    (tmp_path / "a.zip").write_bytes(b"PK no zip")
    with pytest.raises(DataError, match="not a whole zip archive"):
        list(read_raw(tmp_path))


def test_a_corrupt_member_of_an_archive_is_an_error(tmp_path):
    write(tmp_path / "raw", "zip")
    archive = tmp_path / "raw" / "archive.zip"
    with zipfile.ZipFile(archive) as bundle:
        start = bundle.infolist()[5].header_offset
    data = bytearray(archive.read_bytes())
    data[start + 120] ^= 0xFF
    archive.write_bytes(bytes(data))
    with pytest.raises(DataError, match=r"archive\.zip.*CRC"):
        converted(tmp_path)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_corrupt_archive_of_another_compression_is_named(tmp_path, method):
    archive = tmp_path / "archive.zip"
    with zipfile.ZipFile(archive, "w", method) as bundle:
        bundle.writestr("train/happy/Training_1.png", encoded(samples.make_corpus(3).images[0]))
    data = bytearray(archive.read_bytes())
    data[90:150] = bytes(byte ^ 0x5A for byte in data[90:150])
    archive.write_bytes(bytes(data))
    with pytest.raises(DataError, match=r"archive\.zip: not a whole zip archive"):
        list(read_raw(tmp_path))


def test_an_archive_whose_images_would_lie_before_its_beginning_is_named(tmp_path):
    archive = tmp_path / "archive.zip"
    with zipfile.ZipFile(archive, "w") as bundle:
        bundle.writestr("train/happy/Training_1.png", encoded(samples.make_corpus(3).images[0]))
    data = bytearray(archive.read_bytes())
    # Where the directory is said to begin, in the record at the end.
    data[-6] += 1
    archive.write_bytes(bytes(data))
    with pytest.raises(DataError, match=r"archive\.zip: not a whole zip archive"):
        list(read_raw(tmp_path))


def test_a_name_in_an_archive_that_is_not_the_utf_8_it_claims_to_be(tmp_path):
    archive = tmp_path / "archive.zip"
    with zipfile.ZipFile(archive, "w") as bundle:
        bundle.writestr("train/happy/\u00e9.jpg", b"")
    archive.write_bytes(archive.read_bytes().replace("\u00e9".encode(), b"\xf6\xf6"))
    with pytest.raises(DataError, match=r"archive\.zip: not a whole zip archive"):
        list(read_raw(tmp_path))


def test_parsed_pixels_are_row_by_row():
    image = parse_pixels(" ".join(str(i % 256) for i in range(2304)))
    assert image[1, 0] == 48
    assert image[0, 1] == 1


def test_a_corrupt_array_of_images_is_named(tmp_path):
    samples.write_corpus(tmp_path / "raw", 0, "csv", {"Training": 8})
    converted(tmp_path)
    faces, metadata = tmp_path / "out" / "faces.npy", tmp_path / "out" / "metadata.csv"
    for data in (faces.read_bytes()[:-10], b"no array", b""):
        faces.write_bytes(data)
        with pytest.raises(DataError, match=r"faces\.npy: expected an array of images"):
            read_faces(faces, metadata)


def test_an_empty_split_is_an_error(tmp_path):
    samples.write_corpus(tmp_path / "raw", 0, "csv", {"Training": 20})
    faces = converted(tmp_path)
    with pytest.raises(UserError, match="no labelled images in the test split"):
        require_images(faces, "test", "metadata.csv")


# --- votes


@pytest.fixture
def votes(tmp_path):
    samples.write_votes(tmp_path / "votes", 3, COUNTS)
    return tmp_path / "votes"


def test_votes_of_a_table_are_joined_row_by_row(tmp_path, corpus, votes):
    write(tmp_path / "raw", "csv")
    faces = converted(tmp_path, votes)
    assert np.array_equal(faces.votes, corpus.votes)
    assert set(faces.votes_status) == {"own"}


@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
def test_votes_of_image_files_are_joined_by_a_mapping(tmp_path, corpus, votes, quoting):
    write(tmp_path / "raw", "folder")
    names = [
        path.relative_to(tmp_path / "raw").as_posix()
        for path in sorted((tmp_path / "raw").rglob("*.jpg"))
    ]
    rows = [["image_path", "ferplus_image", "mae", "n_identical_candidates"]]
    order = [int(name.rsplit("_", 1)[1].removesuffix(".jpg")) for name in names]
    is_face = corpus.votes[order, TAGS.index("NF")] == 0
    twin = int(np.flatnonzero(is_face)[0])
    for place, (name, number) in enumerate(zip(names, order, strict=True)):
        image = f"fer{number:07d}.png" if is_face[place] else ""
        rows.append([name, image, "1.0", 2 if place == twin else 1])
    with (votes / "mapping.csv").open("w", newline="") as stream:
        csv.writer(stream, quoting=quoting).writerows(rows)
    faces = converted(tmp_path, votes)
    expected = np.where(is_face, "own", "none").astype(object)
    expected[twin] = "twin"
    assert faces.votes_status.tolist() == expected.tolist()
    assert np.array_equal(faces.votes, np.where(is_face[:, None], corpus.votes[order], 0))


def test_votes_of_image_files_are_joined_by_pixels(tmp_path, corpus, votes):
    write(tmp_path / "raw", "zip")
    samples.write_corpus(tmp_path / "table", 3, "csv", COUNTS)
    (tmp_path / "table" / "fer2013.csv").rename(votes / "fer2013.csv")
    faces = converted(tmp_path, votes)
    order = [int(path.rsplit("_", 1)[1].removesuffix(".jpg")) for path in faces.paths]
    groups = {image.tobytes(): [] for image in corpus.images}
    for row, image in enumerate(corpus.images):
        groups[image.tobytes()].append(row)
    for place, row in enumerate(order):
        same = groups[corpus.images[row].tobytes()]
        assert faces.votes_status[place] == ("own" if len(same) == 1 else "twin")
        assert np.array_equal(faces.votes[place], corpus.votes[same].sum(axis=0))


@pytest.mark.parametrize("text", ["", "emotion,pixels,Usage\n"])
def test_a_table_without_images_to_join_by_is_named(tmp_path, votes, text):
    write(tmp_path / "raw", "folder")
    (votes / "fer2013.csv").write_text(text)
    with pytest.raises(DataError, match=r"fer2013\.csv: no images"):
        converted(tmp_path, votes)


def test_an_image_that_is_no_copy_matches_nothing(corpus):
    other = samples.draw_faces(np.arange(5), np.random.default_rng(99))
    assert match_pixels(other, corpus.images).tolist() == [-1] * 5
    assert match_pixels(corpus.images[:4], corpus.images).tolist() == [0, 1, 2, 3]


def test_a_mapping_must_have_every_image_and_the_votes_every_name(tmp_path, votes):
    write(tmp_path / "raw", "folder")
    names = [
        path.relative_to(tmp_path / "raw").as_posix()
        for path in sorted((tmp_path / "raw").rglob("*.jpg"))
    ]
    header = "image_path,ferplus_image,n_identical_candidates\n"
    rows = [f"{name},fer0000020.png,1\n" for name in names]
    (votes / "mapping.csv").write_text(header + "".join(rows[:-1]))
    with pytest.raises(DataError, match=rf"mapping\.csv: no row for {names[-1]}"):
        converted(tmp_path, votes)
    rows[2] = f"{names[2]},fer9999999.png,1\n"
    (votes / "mapping.csv").write_text(header + "".join(rows))
    message = rf"fer2013new\.csv: no row for fer9999999\.png, which mapping\.csv gives {names[2]}"
    with pytest.raises(DataError, match=message):
        converted(tmp_path, votes)


@pytest.mark.parametrize("cut", ["the last row", "a row in the middle"])
def test_votes_with_missing_rows_are_refused(tmp_path, votes, cut):
    write(tmp_path / "raw", "csv")
    path = votes / "fer2013new.csv"
    lines = path.read_text().splitlines()
    del lines[-1 if cut == "the last row" else 10]
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(DataError, match="rows are missing"):
        converted(tmp_path, votes)


def test_votes_with_missing_rows_are_refused_where_pixels_join_them(tmp_path, votes):
    write(tmp_path / "raw", "zip")
    samples.write_corpus(tmp_path / "table", 3, "csv", COUNTS)
    (tmp_path / "table" / "fer2013.csv").rename(votes / "fer2013.csv")
    path = votes / "fer2013new.csv"
    path.write_text("\n".join(path.read_text().splitlines()[:-1]) + "\n")
    with pytest.raises(DataError, match=r"fer2013new\.csv: \d+ rows for \d+ rows of fer2013\.csv"):
        converted(tmp_path, votes)
    lines = (votes / "fer2013.csv").read_text().splitlines()
    (votes / "fer2013.csv").write_text("\n".join([*lines[:3], lines[3].split(",")[0]]) + "\n")
    with pytest.raises(DataError, match=r"fer2013\.csv, record 3: expected 2304 pixels, found 0"):
        converted(tmp_path, votes)


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("{name},fer0000020.png\n", r"line 3: expected 3 cells"),
        ("{first},fer0000021.png,1\n", r"line 3: a second row for train/"),
    ],
)
def test_a_mapping_with_a_bad_row_is_refused(tmp_path, votes, row, problem):
    write(tmp_path / "raw", "folder")
    first, second = (
        path.relative_to(tmp_path / "raw").as_posix()
        for path in sorted((tmp_path / "raw").rglob("Training*.jpg"))[:2]
    )
    text = "image_path,ferplus_image,n_identical_candidates\n" + f"{first},fer0000020.png,1\n"
    (votes / "mapping.csv").write_text(text + row.format(first=first, name=second))
    with pytest.raises(DataError, match=rf"mapping\.csv, {problem}"):
        converted(tmp_path, votes)


def test_an_image_file_with_a_number_sign_is_no_record_of_a_table(tmp_path, votes):
    write(tmp_path / "raw", "folder")
    path = sorted((tmp_path / "raw").rglob("*.jpg"))[0]
    path.rename(path.with_name("Training_a#b.jpg"))
    with pytest.raises(DataError, match="image files need a mapping table"):
        converted(tmp_path, votes)


def test_votes_of_image_files_need_something_to_join_by(tmp_path, votes):
    write(tmp_path / "raw", "folder")
    with pytest.raises(DataError, match="image files need a mapping table"):
        converted(tmp_path, votes)


@pytest.mark.parametrize("cell", ["1.5", "\u00b2", "9" * 20])
def test_votes_must_be_whole_numbers(tmp_path, votes, cell):
    write(tmp_path / "raw", "csv")
    path = votes / "fer2013new.csv"
    path.write_text(
        path.read_text().replace("Training,fer0000000.png,", f"Training,x.png,{cell}", 1)
    )
    with pytest.raises(DataError, match=r"fer2013new\.csv, line 2: expected whole numbers"):
        converted(tmp_path, votes)


def test_class_names_of_all_tables_agree():
    assert sorted(CLASSES) == sorted(CSV_CLASSES) == sorted(samples.CSV_CLASSES)
    assert samples.CSV_CLASSES == CSV_CLASSES
    assert samples.TAGS == TAGS
