"""Files that are dated in the future."""

import os


def test_nothing_starts_from_an_input_of_the_future(project, tmp_path):
    """Snakemake fails the job after it has run, for its output is older than its input."""
    module = project.root / "workflow" / "scripts" / "affectlab" / "config" / "load.py"
    before = module.stat()
    try:
        os.utime(module, (before.st_mtime, 2e9))
        result = project.snakemake("results/config.yaml", directory=tmp_path, overlays=())
    finally:
        os.utime(module, (before.st_atime, before.st_mtime))
    assert result.status == 1
    assert "dated in the future, so nothing was started" in result.output
    assert "config/load.py: 2033-05-18 " in result.output
    assert "Traceback" not in result.output
    assert not (tmp_path / "results").exists()
    assert "rule store_config" not in result.output
    done = project.snakemake("results/config.yaml", directory=tmp_path, overlays=())
    assert done.status == 0, done.output
