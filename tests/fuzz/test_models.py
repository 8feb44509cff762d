"""Whatever is in a model directory, it loads and predicts, or is refused in one line."""

import pytest
from fuzz.bench import search_reader
from fuzz.readers import model_readers

READERS = model_readers()


@pytest.mark.parametrize("name", list(READERS))
def test_nothing_but_user_errors_escapes(name, tmp_path, monkeypatch):
    search_reader(name, READERS[name](), tmp_path, monkeypatch)
