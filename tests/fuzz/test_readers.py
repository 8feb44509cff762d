"""Whatever is in a file, its reader returns or raises the one error type that users see."""

import pytest
from fuzz.bench import search_reader
from fuzz.readers import data_readers

READERS = data_readers()


@pytest.mark.parametrize("name", list(READERS))
def test_nothing_but_user_errors_escapes(name, tmp_path, monkeypatch):
    search_reader(name, READERS[name](), tmp_path, monkeypatch)
