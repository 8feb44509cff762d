"""Files that are dated in the future."""

import os


def test_nothing_starts_from_an_input_of_the_future(project, tmp_path):
    """Snakemake fails the job after it has run, for its output is older than its input."""
    fetched = project.snakemake("resources/raw/emotion_sample/manifest.json", directory=tmp_path)
    assert fetched.status == 0, fetched.output
    manifest = tmp_path / "resources" / "raw" / "emotion_sample" / "manifest.json"
    before = manifest.stat()
    os.utime(manifest, (before.st_atime, 2e9))
    target = "results/emotion/data/emotion_sample/records.jsonl"
    result = project.snakemake(target, directory=tmp_path)
    assert result.status == 1
    assert "dated in the future, so nothing was started" in result.output
    assert "emotion_sample/manifest.json: 2033-05-18 " in result.output
    assert "Traceback" not in result.output
    assert not (tmp_path / "results").exists()
    assert "rule emotion_convert" not in result.output
    os.utime(manifest, (before.st_atime, before.st_mtime))
    done = project.snakemake(target, directory=tmp_path)
    assert done.status == 0, done.output
