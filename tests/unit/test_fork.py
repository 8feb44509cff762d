"""A process that is forked after a prediction predicts, too: it must not wait for lost threads."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

SCRIPTS = Path(__file__).parents[2] / "workflow" / "scripts"

PROGRAM = """
    import os, sys
    import numpy as np
    import torch
    from pathlib import Path
    from affectlab.models import devices
    from affectlab.face import model
    from affectlab.face.interface import Interface
    from affectlab.face.predict import FacePredictor
    from affectlab.face.settings import FaceRun, Network

    run = FaceRun(network=Network(widths=[64], depths=[1], dropout=0.0))
    model.save_network(model.build_network(run, None, Interface()), run, Path(sys.argv[1]))
    predictor = FacePredictor.from_directory(sys.argv[1], threads=2)
    images = np.random.default_rng(0).integers(0, 256, (64, 48, 48), dtype=np.uint8)
    expected = [one.valence for one in predictor.predict(images)]
    table = torch.ones(512, 512)
    table @ table
    child = os.fork()
    if child == 0:
        try:
            found = [one.valence for one in predictor.predict(images)]
            assert np.allclose(found, expected, atol=1e-5)
            # A model that is loaded in the child may ask for more threads again.
            again = FacePredictor.from_directory(sys.argv[1], threads=2)
            assert np.allclose([one.valence for one in again.predict(images)], expected, atol=1e-5)
            assert float((table @ table)[0, 0]) == 512
            assert torch.get_num_threads() == 1
        except BaseException as error:
            print(repr(error), flush=True)
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert torch.get_num_threads() == 2
    sys.exit(os.waitstatus_to_exitcode(status))
"""


def test_a_forked_process_predicts(tmp_path):
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PROGRAM), str(tmp_path / "model")],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment | {"PYTHONPATH": str(SCRIPTS)},
        start_new_session=True,
    ) as process:
        try:
            output, _ = process.communicate(timeout=240)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            raise
    assert process.returncode == 0, output
    assert "computes with one thread in place of 2" in output
