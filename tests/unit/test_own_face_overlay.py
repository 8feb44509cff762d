"""`affectlab init face`: what it makes of a folder of images, or of a table with them."""

import numpy as np
import pyarrow as pa
import pytest
import yaml
from own_images import KINDS, drawn, with_table, write_classes, write_image
from pyarrow import parquet

from affectlab import cli
from affectlab.config.load import load_config, merge
from affectlab.experiments import validate_config

PROJECT = cli._project()


def printed(capsys, path):
    assert cli.main(["init", "face", str(path)]) == 0
    return capsys.readouterr().out


def test_a_folder_of_classes_gives_a_configuration_that_is_valid_as_it_is(
    tmp_path, capsys, monkeypatch
):
    write_classes(tmp_path / "My faces", 30)
    monkeypatch.chdir(tmp_path)
    text = printed(capsys, "My faces")
    assert sum(not line.lstrip().startswith("#") for line in text.splitlines()) <= 20
    overlay = yaml.safe_load(text)
    assert overlay["datasets"]["my_faces"] == {
        "path": "My faces",
        "layout": "image_folder",
        "classes": list(KINDS),
        "image": {"size": 96, "color": True},
        "split": {"folds": 5},
    }
    assert list(overlay["face"]["runs"]) == ["my_faces_tiny", "my_faces_small", "my_faces_resnet18"]
    complete, _ = validate_config(merge(load_config(PROJECT), overlay), PROJECT)
    assert complete["face"]["runs"]["my_faces_small"]["loss"]["votes_weight"] == 0


def test_grey_images_with_splits_and_one_that_cannot_be_used(tmp_path, capsys):
    for split in ("train", "val", "test"):
        for number, (name, image) in enumerate(zip(*drawn(12), strict=True)):
            grey = np.repeat(image[::2, ::2].mean(axis=2, keepdims=True), 3, axis=2)
            path = tmp_path / "mine" / split / name / f"{number}.png"
            write_image(path, grey.astype(np.uint8))
    write_image(tmp_path / "mine" / "lost.png", drawn(1)[1][0])
    text = printed(capsys, tmp_path / "mine")
    assert "Images that cannot be used: 1; the first" in text
    assert "lost.png" in text
    entry = yaml.safe_load(text)["datasets"]["mine"]
    assert entry["image"] == {"size": 48, "color": False}
    assert "split" not in entry
    assert "test 12, train 12, validation 12" in text


def test_persons_are_found(tmp_path, capsys):
    with_table(tmp_path / "mine")
    entry = yaml.safe_load(printed(capsys, tmp_path / "mine"))["datasets"]["mine"]
    assert entry["columns"] == {"group": "subject"}


def test_there_are_no_more_folds_than_persons(tmp_path, capsys):
    with_table(tmp_path / "mine", people=3)
    entry = yaml.safe_load(printed(capsys, tmp_path / "mine"))["datasets"]["mine"]
    assert entry["split"] == {"folds": 3}
    with_table(tmp_path / "few", people=2)
    assert "subject has 2 values, too few to divide" in printed(capsys, tmp_path / "few")


def test_a_table_with_images(tmp_path, capsys):
    names, images = drawn(12)
    write_image(tmp_path / "one.png", images[0])
    content = (tmp_path / "one.png").read_bytes()
    rows = [{"image": {"bytes": content, "path": None}, "label": name} for name in names]
    parquet.write_table(pa.Table.from_pylist(rows), tmp_path / "mine.parquet")
    entry = yaml.safe_load(printed(capsys, tmp_path / "mine.parquet"))["datasets"]["mine"]
    assert entry["classes"] == list(KINDS)
    assert entry["split"] == {"folds": 5}


@pytest.mark.parametrize("kind", ["nothing there", "one class", "no images"])
def test_what_is_no_data_set_is_refused(tmp_path, capsys, kind):
    folder = tmp_path / "mine"
    if kind == "one class":
        write_image(folder / "only" / "one.png", drawn(1)[1][0])
    elif kind == "no images":
        folder.mkdir()
    assert cli.main(["init", "face", str(folder)]) == 2
    expected = {
        "nothing there": "no such file or folder",
        "one class": "expected 2 to 64 classes, found 1",
        "no images": "no images here",
    }[kind]
    assert expected in capsys.readouterr().err
