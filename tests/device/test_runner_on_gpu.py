"""On a real GPU the runner's contexts, streams, memory and frames behave as they do on the simulator."""
import os
import subprocess
import sys

import pytest

SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "runner_on_gpu.py")
CANNOT_RUN = 2


@pytest.mark.device
def test_every_kind_of_memory_and_crops_keeps_its_promises():
    environ = {name: value for name, value in os.environ.items() if not name.startswith("NANOFACE_")}
    done = subprocess.run([sys.executable, SCRIPT], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environ)
    text = done.stdout.decode("utf-8", "replace")
    if done.returncode == CANNOT_RUN:
        pytest.skip(text.strip().splitlines()[-1])
    assert done.returncode == 0, text
    assert "all is as promised" in text and "NOT SO" not in text
