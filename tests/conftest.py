"""What every test may use: the shared media, the built networks, and hypothesis that tries the same cases each time."""
import os
import pathlib
import shutil
import signal
import sys
import tempfile

import pytest
from apart import Apart
from hypothesis import HealthCheck, settings
from where import VARIABLE, left_out

from edge.core import redact
from edge.host.analytics import switch_off_analytics

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SHARED = os.path.join(os.path.dirname(ROOT), "shared")

# the cases are the same each time: that drawing them takes long on a busy machine says nothing
settings.register_profile("nanoface", derandomize=True, deadline=None, database=None,
                          suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("nanoface")


def pytest_configure(config):
    config.pluginmanager.register(Apart(ROOT), "apart")
    switch_off_analytics()  # also for what the tests start
    config.addinivalue_line("markers", "shared(path): needs ../shared/path, skipped by name where it is not")
    # as in an activated environment: what is said names the command as `nanoface`
    os.environ["PATH"] = os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", os.defpath)])
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):  # no test opens a window on a person's desktop
        os.environ.pop(name, None)
    # whoever runs the tests in the background or under nohup hands ignored signals on; a terminal does not
    for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, usual)


def pytest_runtest_setup(item):
    reason = left_out(os.path.relpath(str(item.fspath), os.path.join(ROOT, "tests")).replace(os.sep, "/"),
                      os.environ.get(VARIABLE))
    if reason:
        pytest.skip(reason)
    for marker in item.iter_markers("shared"):
        for path in marker.args:
            if not os.path.exists(os.path.join(SHARED, path)):
                pytest.skip("needs ../shared/{}".format(path))


@pytest.fixture(scope="session")
def shared():
    """The folder beside the project; mark the test with @pytest.mark.shared("media/...")."""
    return SHARED


@pytest.fixture
def open_folder():
    """Where other accounts may enter: pytest's own folders are its user's alone."""
    folder = pathlib.Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(str(folder))


@pytest.fixture(autouse=True)
def forgotten():
    """The secrets that a test lets this process learn are hidden in no other test."""
    yield
    redact.OWN.forget()


@pytest.fixture(scope="session")
def models_home():
    """The store of networks that `nanoface models fetch` filled: $NANOFACE_TEST_HOME or the checkout's engines/."""
    home = os.environ.get("NANOFACE_TEST_HOME") or os.path.join(ROOT, "engines")
    if not os.path.exists(os.path.join(home, "onnx", "index.json")):
        pytest.skip("needs fetched networks: run `nanoface models fetch --all` or set NANOFACE_TEST_HOME")
    return home


@pytest.fixture(scope="session")
def stored_network(tmp_path_factory):
    """name, any_size -> StoredNetwork: a fetched one, else converted once from $NANOFACE_MIRROR or ../shared/models."""
    from edge.store import models

    fetched = os.environ.get("NANOFACE_TEST_HOME") or os.path.join(ROOT, "engines")
    converted = str(tmp_path_factory.mktemp("networks"))
    mirror = os.environ.get("NANOFACE_MIRROR") or os.path.join(SHARED, "models")

    def find(name, any_size=False):
        for home in (fetched, converted):
            if "sizes_file" in models.read_index(home).get(name, {}) or not any_size and name in models.read_index(home):
                return models.locate(home, name, any_size)
        _convert(name, mirror, converted)
        return models.locate(converted, name, any_size)
    return find


def _convert(name, mirror, home):
    pytest.importorskip("onnx", reason="converting {} needs the package onnx".format(name))
    pytest.importorskip("tflite", reason="converting {} needs the package tflite".format(name))
    from engines.fetch.store import build_network
    from engines.manifest.read import read_manifest

    network = read_manifest().network(name)
    files = [os.path.join(mirror, *source.location.split("/")) for source in network.sources]
    for path, source in zip(files, network.sources):
        if not os.path.exists(path):
            pytest.skip("needs {}: fetched, in $NANOFACE_MIRROR or in ../shared/models".format(source.location))
    build_network(network, files, home)
