"""A user's own face images: every layout, what is wrong with them, and what the audit finds."""

import shutil

import numpy as np
import pyarrow as pa
import pytest
from own_images import (
    ENTRY,
    KINDS,
    SIDE,
    converted,
    drawn,
    with_table,
    write_classes,
    write_image,
    write_metadata,
)
from pyarrow import parquet

from affectlab.errors import DataError
from affectlab.face.audit import audit
from affectlab.files.quarantine import read_quarantine

SPLITS = ("train", "validation", "test")


def traps(faces):
    """Name -> sentence of what the audit finds."""
    found = audit(faces, [], SPLITS, {})
    return {trap["name"]: trap["sentence"] for trap in found["traps"]}


def test_folders_are_classes(tmp_path):
    paths = write_classes(tmp_path / "raw", 60)
    faces = converted(tmp_path)
    assert faces.classes == tuple(KINDS)
    assert sorted(faces.paths) == sorted(paths)
    assert faces.images.shape == (60, SIDE, SIDE, 3)
    assert set(faces.sizes) == {"96x96"}
    assert set(faces.formats) == {"webp"}
    assert [path.partition("/")[0] for path in faces.paths] == faces.emotions.tolist()
    counts = {split: len(faces.rows_of(split)) for split in SPLITS}
    assert counts["test"] == pytest.approx(12, abs=4)
    assert counts["validation"] == pytest.approx(6, abs=3)
    _, images = drawn(60)
    number = int(faces.paths[0][-8:-5])
    difference = np.abs(faces.images[0].astype(int) - images[number])
    assert difference.mean() < 12
    again = converted(tmp_path)
    assert again.description == faces.description


def test_without_settings_images_are_made_small_and_grey(tmp_path):
    write_classes(tmp_path / "raw", 30)
    faces = converted(tmp_path, {"layout": "image_folder"})
    assert faces.images.shape == (30, 48, 48)


def test_folders_of_splits_and_a_common_folder_above_them(tmp_path):
    for split, name, count in (
        ("train", "train", 30),
        ("validation", "dev", 9),
        ("test", "test", 9),
    ):
        write_classes(tmp_path / "raw" / "faces-1.0" / name, count, seed=len(split))
    faces = converted(tmp_path)
    assert {split: len(faces.rows_of(split)) for split in SPLITS} == {
        "train": 30,
        "validation": 9,
        "test": 9,
    }
    assert faces.description.seed is None
    assert faces.classes == tuple(KINDS)


def test_a_table_says_what_images_show(tmp_path):
    rows = with_table(
        tmp_path / "raw", valence=lambda n: (n % 5) / 4, arousal=lambda n: -(n % 3) / 2
    )
    faces = converted(tmp_path)
    by_path = {row["file_name"]: row for row in rows}
    assert [by_path[path]["label"] for path in faces.paths] == faces.emotions.tolist()
    assert [by_path[path]["subject"] for path in faces.paths] == faces.groups
    valence = [by_path[path]["valence"] for path in faces.paths]
    assert faces.affect[:, 0].tolist() == valence
    places = {}
    for group, split in zip(faces.groups, faces.splits, strict=True):
        places.setdefault(group, set()).add(split)
    assert all(len(found) == 1 for found in places.values())
    assert faces.description.group == "subject"


def test_columns_may_have_other_names_and_folders_may_be_the_classes(tmp_path):
    paths = write_classes(tmp_path / "raw", 30)
    rows = [{"file": path, "who": f"p{n % 7}"} for n, path in enumerate(paths)]
    write_metadata(tmp_path / "raw", rows)
    entry = ENTRY | {"columns": {"image": "file", "group": "who"}}
    faces = converted(tmp_path, entry)
    assert faces.classes == tuple(KINDS)
    assert faces.description.group == "who"
    assert set(faces.groups) == {f"p{n}" for n in range(7)}


def test_a_split_column_is_used(tmp_path):
    with_table(tmp_path / "raw", split=lambda n: ("train", "val", "test")[n % 3 if n > 30 else 0])
    faces = converted(tmp_path)
    assert faces.description.seed is None
    assert len(faces.rows_of("train")) > 30


def test_images_in_a_table(tmp_path):
    names, images = drawn(30)
    rows = []
    for number, (name, image) in enumerate(zip(names, images, strict=True)):
        path = tmp_path / f"{number}.png"
        write_image(path, image)
        rows.append({"image": {"bytes": path.read_bytes(), "path": path.name}, "emotion": name})
    (tmp_path / "raw").mkdir()
    parquet.write_table(pa.Table.from_pylist(rows), tmp_path / "raw" / "train.parquet")
    faces = converted(tmp_path, ENTRY | {"columns": {"label": "emotion"}})
    assert np.array_equal(faces.images, images)
    assert faces.emotions.tolist() == names


def test_folds_test_every_image_once_and_keep_persons_together(tmp_path):
    with_table(tmp_path / "raw")
    faces = converted(tmp_path, ENTRY | {"split": {"folds": 3}})
    tested = [faces.paths[row] for fold in range(3) for row in faces.for_fold(fold).rows_of("test")]
    assert sorted(tested) == sorted(faces.paths)
    for fold in range(3):
        seen = faces.for_fold(fold)
        split_of = dict(zip(seen.groups, seen.splits, strict=True))
        assert all(split_of[g] == s for g, s in zip(seen.groups, seen.splits, strict=True))
    assert faces.rows_of("validation").tolist() == np.flatnonzero(faces.folds == 0).tolist()


def damaged(folder, kind):
    """Add one bad image or line to good ones; the file that is at fault."""
    rows = with_table(folder)
    match kind:
        case "no image":
            (folder / "images" / "003.png").write_bytes(b"not an image")
            return "images/003.png"
        case "cut":
            path = folder / "images" / "003.png"
            write_image(path.with_suffix(".jpg"), drawn(1)[1][0])
            whole = path.with_suffix(".jpg").read_bytes()
            path.with_suffix(".jpg").unlink()
            path.write_bytes(whole[: len(whole) // 2])
            return "images/003.png"
        case "no line":
            write_metadata(folder, [row for row in rows if "003" not in row["file_name"]])
            return "images/003.png"
        case "no file":
            (folder / "images" / "003.png").unlink()
            return "metadata.csv"
        case "two lines":
            write_metadata(folder, [*rows, rows[3]])
            return "metadata.csv"
        case "no label":
            write_metadata(
                folder,
                [
                    row | {"label": " " * (n == 3) or "a" * (1 + n % 2)}
                    for n, row in enumerate(rows)
                ],
            )
            return "images/003.png"


@pytest.mark.parametrize(
    ("kind", "problem"),
    [
        ("no image", "expected a whole image file"),
        ("cut", "cut off"),
        ("no line", "no line of metadata is about this image"),
        ("no file", "no image called 'images/003.png'"),
        ("two lines", "a second line about 'images/003.png'"),
        ("no label", "the label is empty"),
    ],
)
def test_what_is_wrong_is_named_and_set_aside(tmp_path, kind, problem):
    file = damaged(tmp_path / "raw", kind)
    with pytest.raises(DataError, match=problem) as caught:
        converted(tmp_path)
    assert str(caught.value.path).endswith(file)
    faces = converted(tmp_path, on_bad_record="skip")
    assert len(faces) == (60 if kind == "two lines" else 59)
    [bad] = read_quarantine(tmp_path / "quarantine.jsonl")
    assert bad.file == file
    assert problem in bad.problem
    if file == "metadata.csv":
        assert bad.place.startswith("line ")


def test_classes_of_the_entry_decide_their_order(tmp_path):
    write_classes(tmp_path / "raw", 30)
    order = ["traurig", "froh", "staunend"]
    faces = converted(tmp_path, ENTRY | {"classes": order})
    assert faces.classes == tuple(order)
    assert faces.class_ids().max() == 2
    with pytest.raises(DataError, match="unknown label 'traurig', expected one of froh, staunend"):
        converted(tmp_path, ENTRY | {"classes": order[1:]})


def test_images_without_a_class_are_named(tmp_path):
    write_image(tmp_path / "raw" / "one.png", drawn(1)[1][0])
    with pytest.raises(DataError, match="expected <class>/<image>"):
        converted(tmp_path)
    shutil.rmtree(tmp_path / "raw")
    (tmp_path / "raw").mkdir()
    with pytest.raises(DataError, match="no images here"):
        converted(tmp_path)


def test_classes_in_two_spellings_are_refused_or_merged(tmp_path):
    write_classes(tmp_path / "raw", 30)
    write_image(tmp_path / "raw" / "Froh" / "one.png", drawn(40)[1][36])
    with pytest.raises(DataError, match="'Froh' and 'froh' differ in spelling only"):
        converted(tmp_path)
    assert converted(tmp_path, similar_names="merge").classes == tuple(KINDS)


def test_an_image_in_two_splits_and_a_near_duplicate_are_found(tmp_path):
    raw = tmp_path / "raw"
    for split, count in (("train", 30), ("validation", 9), ("test", 9)):
        write_classes(raw / split, count, seed=count + len(split))
    shutil.copy(raw / "train" / "froh" / "000.webp", raw / "test" / "froh" / "copy.webp")
    faces = converted(tmp_path)
    assert "item_in_two_splits" in traps(faces)
    assert audit(faces, [], SPLITS, {})["overlap"]["test_in_train"] == ["test/froh/copy.webp"]
    _, images = drawn(30, seed=35)
    write_image(raw / "validation" / "froh" / "small.jpg", images[3][::1, ::1] // 2 + 60)
    found = traps(converted(tmp_path))
    assert "train/froh/003.webp and validation/froh/small.jpg" in found["near_duplicates"]


def test_persons_in_two_spellings_and_labels_constant_per_person_are_found(tmp_path):
    rows = with_table(tmp_path / "raw", people=9)
    found = traps(converted(tmp_path))
    assert (
        "In 9 of 9 groups by subject, all images have the same class"
        in found["label_constant_per_group"]
    )
    write_metadata(
        tmp_path / "raw",
        [
            row | {"subject": row["subject"].lower()} if n == 5 else row
            for n, row in enumerate(rows)
        ],
    )
    faces = converted(tmp_path)
    sentence = traps(faces)["name_in_two_spellings"]
    assert "1 name is spelled in more than one way" in sentence
    # It is printed on the card.
    assert "05" not in sentence
    split_of = dict(zip(faces.groups, faces.splits, strict=True))
    assert split_of["p05"] == split_of["P05"]


def test_a_size_that_predicts_the_class_is_found(tmp_path):
    raw = tmp_path / "raw"
    for number, (name, image) in enumerate(zip(*drawn(60), strict=True)):
        shown = image[:-8] if name == "froh" else image
        write_image(raw / name / f"{number}.png", shown)
    assert "size" in traps(converted(tmp_path))["condition_predicts_class"]


def test_a_class_with_fewer_images_than_folds_is_found(tmp_path):
    write_classes(tmp_path / "raw", 30)
    for number, image in enumerate(drawn(33)[1][30:32]):
        write_image(tmp_path / "raw" / "selten" / f"{number}.png", image)
    found = traps(converted(tmp_path, ENTRY | {"split": {"folds": 5}}))
    assert "The class selten is rare (number of images: 2)" in found["class_smaller_than_folds"]


def test_a_listed_image_that_is_not_there_is_refused(tmp_path):
    from PIL import Image

    from affectlab.face.own import OwnImages

    for name in ("froh/a.png", "froh/b.png", "ruhig/c.png"):
        path = tmp_path / "raw" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((20, 20), np.uint8)).save(path)
    lists = tmp_path / "test.txt"
    entry = {"layout": "image_folder", "split": {"items": {"test": str(lists)}}}
    lists.write_text("froh/a.png\n")
    found = list(OwnImages(tmp_path / "raw", entry, "fail").items())
    assert [face.split for face in found] == ["test", "train", "train"]
    lists.write_text("froh/a.png\na.png\n")
    with pytest.raises(DataError, match=r"\(1 of 2 in the lists of split\.items\): 'a\.png'"):
        list(OwnImages(tmp_path / "raw", entry, "fail").items())


def test_a_listed_image_may_be_left_out(tmp_path):
    from PIL import Image

    from affectlab.datasets.exclusions import listed_digests, read_exclusion
    from affectlab.face.own import OwnImages

    for name in ("froh/a.png", "froh/b.png", "ruhig/c.png"):
        path = tmp_path / "raw" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((20, 20), np.uint8)).save(path)
    (tmp_path / "test.txt").write_text("froh/a.png\nfroh/b.png\n")
    split = {"items": {"test": str(tmp_path / "test.txt")}}
    entry = {"layout": "image_folder", "split": split}
    left_out = read_exclusion(listed_digests({"items": ["froh/a.png"]}), None)
    found = list(OwnImages(tmp_path / "raw", entry, "fail", left_out).items())
    assert [face.split for face in found] == ["test", "train"]
