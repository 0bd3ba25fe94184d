"""Which camera the configuration of the service names: found, asked for, written, and kept over an upgrade."""
import io
import os

import pytest
import yaml

from edge.service import configuration, places
from edge.service.camerachoice import named_in, with_camera
from edge.service.places import Places
from edge.service.steps import Steps
from edge.sources.live.v4l2 import Camera

USB, RIBBON, NOTHING = Camera("C920"), Camera("imx219", raw=True), None
LINK = "/dev/v4l/by-id/usb-Maker_C920-video-index0"


class Person(io.StringIO):
    """Sits at a terminal and types."""

    def isatty(self):
        return True


class Machine:
    def __init__(self, folder, monkeypatch):
        self.tree, self.folder, self.monkeypatch = Places(str(folder)), folder, monkeypatch
        for name in ("dev/v4l/by-id", "etc/nanoface"):
            (folder / name).mkdir(parents=True)
        self.config = folder / "etc/nanoface/nanoface.yaml"

    def plug(self, **nodes):
        """video0=USB and so on; USB cameras get their stable name, if there is none yet."""
        for name, camera in nodes.items():
            (self.folder / "dev" / name).write_text("")
            link = self.folder / LINK.lstrip("/")
            if camera is USB and not link.exists():
                link.symlink_to("../../" + name)
        self.monkeypatch.setattr("edge.sources.live.v4l2.look", lambda path: nodes[os.path.basename(path)])

    def install(self, typed=None, yes=False, dry=False):
        """The output."""
        out = io.StringIO()
        self.monkeypatch.setattr("sys.stdin", io.StringIO() if typed is None else Person(typed))
        configuration.install_config(Steps(out, dry, yes), self.tree)
        return out.getvalue()

    @property
    def spec(self):
        return yaml.safe_load(self.config.read_text())["source"]["spec"]


@pytest.fixture
def machine(tmp_path, monkeypatch):
    return Machine(tmp_path, monkeypatch)


@pytest.mark.parametrize("nodes, typed, yes, spec", [
    ({}, None, True, 0),
    ({"video0": USB}, "2\n", False, 0),  # nothing to choose
    ({"video0": USB, "video1": NOTHING}, None, True, 0),
    ({"video2": USB}, None, False, LINK),
    ({"video0": RIBBON}, "\n", False, "csi://0"),
    ({"video0": RIBBON}, None, False, "csi://0"),
    ({"video0": RIBBON}, None, True, "csi://0"),
    ({"video0": RIBBON}, "2\n", False, 0),  # a USB camera comes later
    ({"video0": RIBBON, "video1": RIBBON}, "2\n", False, "csi://1"),
    ({"video0": RIBBON, "video1": USB}, None, True, LINK),
    ({"video0": RIBBON, "video1": USB}, "2\n", False, "csi://0"),
    ({"video0": USB, "video1": RIBBON}, "9\nx\n1\n", False, LINK),
    ({"video0": RIBBON, "video1": USB}, "", False, LINK),  # the terminal is closed
    ({"video0": USB, "video1": NOTHING, "video2": USB}, "2\n", False, "/dev/video2"),  # two of a kind share one name
])
def test_the_camera_is_asked_for_where_there_is_a_choice(machine, nodes, typed, yes, spec):
    machine.plug(**nodes)
    said = machine.install(typed, yes)
    assert machine.spec == spec and ("the configuration names the camera" in said) is ("1  " in said or spec != 0)


def test_the_choice_is_kept_over_an_upgrade_and_asked_once(machine):
    machine.plug(video0=RIBBON)
    machine.install("1\n")
    before = machine.config.read_bytes()
    assert machine.install("2\n") == "" and machine.config.read_bytes() == before
    machine.config.write_bytes(before.replace(b"# width: 640", b"# width: 320"))  # a configuration of an older version
    machine.monkeypatch.setattr(configuration, "shipped", lambda tree: {
        with_camera(machine.config.read_bytes(), "0"), with_camera(before, "0")})
    machine.install()
    assert machine.config.read_bytes() == before and not os.path.exists(str(machine.config) + ".old")


@pytest.mark.parametrize("text, told", [
    ("source: {spec: 0}\n", ""), ("source:\n  spec: 0\n", "write csi://0"), ("source:\n  spec: csi://0\n", ""),
])
def test_a_configuration_that_somebody_changed_is_not_touched(machine, text, told):
    machine.plug(video0=RIBBON)
    machine.config.write_text(text)
    said = machine.install("n\n")
    assert machine.config.read_text() == text and "stays as it is" in said and told in said
    assert ("but" in said) is bool(told)


def test_a_dry_run_asks_and_writes_nothing(machine):
    machine.plug(video0=RIBBON)
    assert "csi://0" in machine.install("2\n", dry=True) and not machine.config.exists()


@pytest.mark.parametrize("line, named", [
    ("  spec: 0", "0"), ("  spec: 0   # mine", "0"), ('  spec: "a b"  # c', '"a b"'), ("  spec: rtsp://h/#x\r", "rtsp://h/#x"),
    ("  spec:   # none", ""), ("  spec: null", "null"), ("# spec: 0", ""), ("spec: 0", ""),
])
def test_only_the_camera_is_replaced(line, named):
    config = "source:\n{}\n  wait: true\n".format(line).encode()
    assert named_in(config) == named and with_camera(config, named) == config
    assert with_camera(config, "7") == (config.replace(named.encode(), b"7", 1) if named else config)


def test_what_is_shipped_has_the_place():
    with open(os.path.join(places.shipped_folder(), "nanoface.yaml"), "rb") as f:
        assert named_in(f.read()) == "0"
