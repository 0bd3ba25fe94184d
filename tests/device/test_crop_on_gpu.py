"""On a real GPU the crop kernel shows, to the bit, what its reference shows."""
import os
import subprocess
import sys

import pytest

SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "run_on_gpu.py")
CANNOT_RUN = 2


@pytest.mark.device
def test_every_crop_is_what_the_twin_the_exact_sample_and_the_cpu_path_show():
    environ = {name: value for name, value in os.environ.items() if not name.startswith("NANOFACE_SIM_")}
    done = subprocess.run([sys.executable, SCRIPT], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environ)
    text = done.stdout.decode("utf-8", "replace")
    if done.returncode == CANNOT_RUN:
        pytest.skip(text.strip().splitlines()[-1])
    assert done.returncode == 0, text
    assert "all agree" in text and "DIFFERS" not in text
