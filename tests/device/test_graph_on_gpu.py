"""On a real GPU a CUDA graph of the crop kernel is captured, launched and refused as on the simulator."""
import os
import subprocess
import sys

import pytest

SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "graph_on_gpu.py")
CANNOT_RUN = 2


@pytest.mark.device
def test_a_graph_of_the_crop_kernel_keeps_its_promises():
    environ = {name: value for name, value in os.environ.items() if not name.startswith("NANOFACE_SIM_")}
    done = subprocess.run([sys.executable, SCRIPT], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environ)
    text = done.stdout.decode("utf-8", "replace")
    if done.returncode == CANNOT_RUN:
        pytest.skip(text.strip().splitlines()[-1])
    assert done.returncode == 0, text
    assert "all is as promised" in text and "NOT SO" not in text
