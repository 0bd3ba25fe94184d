"""The tests that need a real GPU are marked `device` and skipped by name where there is none."""
import os
import subprocess
import sys

import pytest

FOLDER = os.path.dirname(os.path.abspath(__file__))
CANNOT_RUN = 2


def pytest_configure(config):
    config.addinivalue_line("markers", "device: needs a real GPU with CUDA, skipped by name where there is none")


@pytest.fixture
def on_gpu():
    """What a script of this folder prints in a process of its own; `unset` begins the names that it is not to find set."""
    def run(script, unset="NANOFACE_SIM_"):
        environ = {name: value for name, value in os.environ.items() if not name.startswith(unset)}
        done = subprocess.run([sys.executable, os.path.join(FOLDER, script)], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, env=environ)
        text = done.stdout.decode("utf-8", "replace")
        if done.returncode == CANNOT_RUN:
            pytest.skip(text.strip().splitlines()[-1])
        assert done.returncode == 0, text
        return text
    return run
