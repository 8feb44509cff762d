"""What differs from the registry is printed on the console by the audit, not only stored."""

import logging

import pytest
from emotion_tables import converted, data_in

from affectlab.emotion import audit
from affectlab.evaluation.expectations import report_differences, share_rows
from affectlab.files.io import write_json
from affectlab.samples.emotion import write_corpus


def test_shares_differ_only_beyond_chance():
    shares = {"a": 0.5, "b": 0.3, "c": 0.2}
    rows = share_rows(shares, {"a": 48, "b": 33, "c": 19}, "texts")
    assert [row["status"] for row in rows] == ["ok", "ok", "ok"]
    rows = share_rows(shares, {"a": 4800, "b": 3300, "c": 1900}, "texts")
    assert [row["status"] for row in rows] == ["differs", "differs", "ok"]
    assert rows[1] == {
        "what": "share of class b among texts",
        "expected": 0.3,
        "found": 0.33,
        "status": "differs",
    }
    assert [row["found"] for row in share_rows(shares, {}, "texts")] == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("kind", ["local", "sample"])
def test_the_audit_prints_counts_shares_and_files_that_differ(tmp_path, caplog, kind):
    write_corpus(tmp_path / "raw")
    outputs = converted(tmp_path / "raw", tmp_path)
    manifest = {
        "verified": False,
        "source": {"kind": kind},
        "notes": ["train.txt: sha256 12ab is not the pinned 34cd"],
    }
    write_json(tmp_path / "manifest.json", manifest)
    expected = {
        "counts": {"train": 900, "test": 2000},
        "shares": {"joy": 0.6, "sadness": 0.29},
        "known_issues": {"conflicting_texts": 30},
    }
    with caplog.at_level(logging.WARNING):
        audit.write_audit(
            data_in(tmp_path),
            outputs.quarantine,
            tmp_path / "audit.json",
            expected,
            tmp_path / "manifest.json",
        )
    assert "records of test: expected 2000, found 200" in caplog.text
    assert "share of class joy among records: expected 0.6, found 0.3" in caplog.text
    assert "conflicting texts: expected 30, found 6" in caplog.text
    assert "records of train" not in caplog.text
    assert "class sadness" not in caplog.text
    assert ("sha256 12ab is not the pinned 34cd" in caplog.text) == (kind == "local")


def test_data_as_expected_print_nothing(tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        report_differences(tmp_path / "audit.json", {"expected": [{"status": "ok"}]})
    assert not caplog.records
