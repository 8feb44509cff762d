"""`affectlab export-data face/...`: the images of a run as a data set."""

import numpy as np
import pytest
import yaml
from datasets import load_from_disk
from own_images import converted, with_table, write_classes

from affectlab import cli
from affectlab.errors import DataError
from affectlab.face.data_export import export_faces


def test_images_and_what_is_known_of_them_come_back(tmp_path):
    with_table(tmp_path / "raw", valence=lambda n: (n % 5) / 4, arousal=lambda n: -(n % 3) / 2)
    faces = converted(tmp_path)
    sizes = export_faces(tmp_path, tmp_path / "out")
    found = load_from_disk(str(tmp_path / "out"))
    assert sizes == {split: len(part) for split, part in found.items()}
    place_of = {name: number for number, name in enumerate(faces.paths)}
    seen = []
    for split, part in found.items():
        names = part.features["label"].names
        assert names == list(faces.classes)
        for row in part:
            place = place_of[row["id"]]
            seen.append(row["id"])
            np.testing.assert_array_equal(np.asarray(row["image"]), faces.images[place])
            assert names[row["label"]] == faces.emotions[place]
            assert (row["split"], faces.splits[place]) == (split, split)
            assert row["group"] == faces.groups[place]
            assert [row["valence"], row["arousal"]] == faces.affect[place].tolist()
    assert sorted(seen) == sorted(faces.paths)


@pytest.mark.parametrize("color", [False, True])
def test_an_exported_data_set_is_one_that_can_be_read_as_own_data(tmp_path, color):
    write_classes(tmp_path / "raw", 30)
    entry = {"layout": "image_folder", "image": {"size": 48, "color": color}}
    before = converted(tmp_path, entry)
    export_faces(tmp_path, tmp_path / "again" / "raw")
    faces = converted(tmp_path / "again", entry)
    assert faces.classes == before.classes
    pixels = dict(zip(before.paths, before.images, strict=True))
    for name, split, image in zip(faces.paths, faces.splits, faces.images, strict=True):
        np.testing.assert_array_equal(image, pixels[name])
        assert before.splits[before.paths.index(name)] == split


def test_the_command_exports_images_if_the_user_may(tmp_path, capsys):
    results = tmp_path / "results"
    folder = results / "face" / "data" / "mine"
    write_classes(folder / "raw", 30)
    converted(folder)
    data = {"datasets": {"mine": {"path": "raw", "layout": "image_folder"}}}
    (results / "config.yaml").write_text(yaml.safe_dump(data))
    command = ["export-data", "face/mine", "--to", str(tmp_path / "out")]
    command += ["--results", str(results)]
    assert cli.main(command) == 2
    assert "If you may copy these data, add --allowed" in capsys.readouterr().err
    assert cli.main([*command, "--allowed"]) == 0
    printed = dict(line.split("\t") for line in capsys.readouterr().out.splitlines())
    assert sum(map(int, printed.values())) == 30


def test_a_folder_without_images_is_reported(tmp_path):
    with pytest.raises(DataError, match=r"description\.json"):
        export_faces(tmp_path, tmp_path / "out")
