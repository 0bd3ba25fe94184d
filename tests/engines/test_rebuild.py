"""`nanoface build --unattended` on the simulator: after an update of TensorRT the tracker has its engines rebuilt, once."""
import io
import json
import os
import signal
import socket
import subprocess
import sys

import pytest

pytest.importorskip("onnx", reason="the simulator needs the package onnx")
pytest.importorskip("onnxruntime", reason="the simulator needs the package onnxruntime")

from fakes import SIMULATOR
from fakes.plans import tiny_network, write_sidecar
from patience import PATIENCE_S, wait_until
from whole_runs import environment, python_path

from edge.config.load import load_config
from edge.core.errors import EngineError
from edge.host.disk import StorageError
from edge.store import lock, plans, renewal
from edge.store.models import sha256_of
from engines.build import unattended as rebuild
from engines.build.selection import BuildOptions

NEW = "8.2.5.1"


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A store of one network, with an engine for the TensorRT of before."""
    folder = tmp_path / "home"
    (folder / "onnx").mkdir(parents=True)
    (folder / "plans").mkdir()
    stored = tiny_network(str(folder / "onnx" / "iris_landmark.onnx"))._replace(name="iris_landmark")
    (folder / "onnx" / "index.json").write_text(json.dumps({"schema": 1, "networks": {
        "iris_landmark": {"role": "iris", "file": "iris_landmark.onnx", "sha256": stored.sha256}}}))
    path = plans.plan_path(str(folder), "iris", "iris_landmark")
    with open(path, "w") as f:
        f.write("a plan of before")
    write_sidecar(str(folder), stored, dict(
        schema=1, role="iris", network="iris_landmark", sha256=sha256_of(path), size=os.path.getsize(path),
        onnx_sha256=stored.sha256, tensorrt="8.2.1.8", gpu="NVIDIA Tegra X1", compute_capability="5.3", precision="fp16"))
    monkeypatch.syspath_prepend(SIMULATOR)
    monkeypatch.setenv("PYTHONPATH", python_path(SIMULATOR))
    monkeypatch.setenv("NANOFACE_SIM_TENSORRT", NEW)
    monkeypatch.setattr("engines.build.cubin.find_nvcc", lambda folders: None)
    return str(folder)


def unattended(home, request, **overrides):
    """(exit code, what was said) of the unit's command, in this process; `request` is there as a tracker left it."""
    with open(request, "w") as f:
        f.write(NEW)
    config, out = load_config(os.devnull, overrides, {}), io.StringIO()
    options = BuildOptions(candidates={"iris": ("iris_landmark",)}, lint=False)
    try:
        return rebuild.run_unattended(home, config, options, {renewal.REQUEST: request}, out), out.getvalue()
    finally:
        assert not os.path.exists(request) and not os.path.exists(request + renewal.PROGRESS)


def sidecar(home):
    return plans.find(home, "iris", "iris_landmark").sidecar


def tried(home):
    return os.path.exists(os.path.join(home, "plans", renewal.TRIED))


def test_what_does_not_fit_is_built_and_then_nothing_more(home, tmp_path):
    request = str(tmp_path / "request")
    code, output = unattended(home, request)
    assert code == 0 and "was built for TensorRT 8.2.1.8, here is 8.2.5.1" in output and "1 of 1 plan is ready" in output
    assert sidecar(home)["tensorrt"] == NEW and not tried(home)
    assert unattended(home, request) == (0, "nothing is built: all engines fit TensorRT 8.2.5.1\n")


def test_switched_off_or_without_tensorrt_it_does_nothing_at_once(home, tmp_path, monkeypatch):
    request = str(tmp_path / "request")
    assert unattended(home, request, **{"engines.rebuild": "never"}) == (0, "nothing is built: engines.rebuild is never\n")
    monkeypatch.setenv("NANOFACE_SIM_FAULTS", '{"tensorrt_missing": true}')
    assert unattended(home, request) == (0, "nothing is built: there is no TensorRT here\n")
    assert sidecar(home)["tensorrt"] == "8.2.1.8" and not tried(home)


def test_what_fails_is_noted_and_a_build_that_then_goes_well_takes_the_note_away(home, tmp_path, monkeypatch):
    request = str(tmp_path / "request")
    monkeypatch.setenv("NANOFACE_SIM_FAULTS", json.dumps({"build_none": True}))
    code, output = unattended(home, request)
    assert code == 4 and "not built" in output
    config = load_config(os.devnull, {}, {})
    why = renewal.settle(home, config, {renewal.REQUEST: request}, lambda text: pytest.fail(text), lambda: False)
    assert "TensorRT 8.2.5.1 (iris: " in why and not os.path.exists(request)
    monkeypatch.delenv("NANOFACE_SIM_FAULTS")
    assert unattended(home, request)[0] == 0 and not tried(home)


def test_beside_a_tracker_it_is_refused_and_that_is_no_try(home, tmp_path):
    with lock.tracking(home, lambda: None, lambda: False):
        with pytest.raises(EngineError, match="a tracker is running"):
            unattended(home, str(tmp_path / "request"))
    assert not tried(home)


@pytest.mark.parametrize("error, noted", [(StorageError("the disk is full"), True), (RuntimeError("a bug"), True),
                                          (KeyboardInterrupt(), False)])
def test_every_end_but_an_interruption_is_noted(home, tmp_path, monkeypatch, error, noted):
    def build(home, options, report):
        raise error

    monkeypatch.setattr(rebuild, "run_build", build)
    with pytest.raises(type(error)):
        unattended(home, str(tmp_path / "request"))
    assert tried(home) == noted


def test_the_service_manager_and_the_tracker_get_the_progress_and_a_signal_is_no_try(home, tmp_path):
    request = str(tmp_path / "request")
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(str(tmp_path / "notify"))
    manager.settimeout(PATIENCE_S)
    with open(request, "w") as f:
        f.write(NEW)
    env = environment(tmp_path, home, PYTHONPATH=python_path(SIMULATOR), NANOFACE_SIM_TENSORRT=NEW,
                      NANOFACE_SIM_BUILD_S="600", NOTIFY_SOCKET=str(tmp_path / "notify"), **{renewal.REQUEST: request})
    words = ["build", "--unattended", "--no-lint", "--set", "models.pose=none"]
    process = subprocess.Popen([sys.executable, "-m", "edge"] + words, env=env, cwd=str(tmp_path),
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)
    try:
        output = ""
        while not output.startswith("STATUS="):  # tools of systemd tell their own troubles
            output = manager.recv(1000).decode()
        assert "iris iris_landmark, " in output
        wait_until(lambda: os.path.exists(request + renewal.PROGRESS))
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 130, out
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
        manager.close()
    assert not os.path.exists(request) and not tried(home)
