"""Half a surrogate pair, which JSON can hold and UTF-8 cannot."""

import json

import pytest

from affectlab.assets.manifest import read_manifest
from affectlab.config.load import parse_yaml
from affectlab.errors import ConfigError, DataError, FetchError, UserError


def test_a_yaml_text(tmp_path):
    with pytest.raises(ConfigError, match="value: not YAML"):
        parse_yaml("\ud800", "value")


@pytest.mark.parametrize("odd", ["\ud800", "a\0b"])
@pytest.mark.parametrize("key", ["path", "directory"])
def test_a_path_in_a_manifest(tmp_path, key, odd):
    names = {"path": "a.txt", "directory": "files", key: odd}
    files = [{"path": names["path"], "bytes": 1, "sha256": "0"}]
    content = {"directory": names["directory"], "files": files, "source": {"kind": "sample"}}
    (tmp_path / "manifest.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match="holds what no path can hold"):
        read_manifest(tmp_path / "manifest.json", ["directory"])


@pytest.mark.parametrize("message", ["m/\ud800: no such file", "caf\udce9.csv: no such file"])
def test_the_message_of_every_error_of_a_user_can_be_printed(message):
    for kind in (UserError, ConfigError, FetchError):
        assert str(kind(message)).encode("utf-8").endswith(b": no such file")
