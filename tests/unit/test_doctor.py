"""The doctor: what it finds on machines that are trees of files made here, and that every problem has a cure."""
import json
import os
import sys

import pytest
from fakes.board import MEASURED, NANO, ROLES, command, planned, stored, tree

from edge.config import file as configfile
from edge.config.load import load_config
from edge.doctor import board as boardchecks
from edge.doctor import cameras as camerachecks
from edge.doctor import examine as doctor
from edge.doctor import machine, packages, system
from edge.doctor.machine import FAIL, OK, WARN
from edge.sources.live.v4l2 import Camera
from edge.telemetry.board import files

CONFIG = load_config(None, {}, {"NANOFACE_CONFIG": os.devnull})
BUILD = "  Video I/O:\n    GStreamer:                   {}\n"


def software(versions=None, probes=None, python=(3, 11, 7)):
    versions = {"onnxruntime": "1.18.0"} if versions is None else versions
    fine = {"numpy": packages.Probe("1.26.4", "", ""), "cv2": packages.Probe("4.11.0", BUILD.format("YES (1.20.3)"), "")}
    fine.update(probes or {})
    return packages.Software(python, fine.get, versions.get)


@pytest.mark.parametrize("version, state", [
    ((3, 5, 2), FAIL), ((3, 6, 9), OK), ((3, 11, 7), OK), ((3, 13, 0), OK), ((3, 14, 0), WARN), ((4, 0, 0), WARN),
])
def test_python_is_judged_by_what_was_tested(version, state):
    assert packages.check_python(version).state == state


def test_doctor_says_which_configuration_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(doctor, "SYSTEM_FILE", str(tmp_path / "etc.yaml"))
    monkeypatch.setattr(configfile, "SYSTEM_FILE", str(tmp_path / "etc.yaml"))
    own = tmp_path / "nanoface.yaml"
    here = machine.Machine({"XDG_CONFIG_HOME": str(tmp_path)})
    assert doctor.check_config(None, here).text == "the defaults: there is no {} and no {}".format(own, tmp_path / "etc.yaml")
    own.write_text("")
    assert doctor.check_config(None, here).text == "{} (your own configuration)".format(own)
    assert doctor.check_config("my.yaml", here).text == "my.yaml (--config)"
    assert doctor.check_config(None, machine.Machine({"NANOFACE_CONFIG": "x"})).text == "x ($NANOFACE_CONFIG)"


@pytest.mark.parametrize("version, gstreamer, jetson, state, part", [
    ("4.11.0", "NO", False, OK, "only csi:// and gst: sources need it"),
    ("4.11.0", "YES (1.20.3)", False, OK, "with GStreamer"),
    ("4.1.1", "YES (1.14.5)", True, OK, "with GStreamer"),
    ("4.1.1", "NO", True, WARN, "csi:// and gst: sources will not open"),
    ("4.12.0", "NO", False, WARN, "ten times slower"),
    ("4.13.0.92", "YES", False, WARN, "ten times slower"),
    ("4.10.0", "NO", False, OK, "4.10.0"),
])
def test_opencv_is_judged_by_version_and_gstreamer(version, gstreamer, jetson, state, part):
    finding = packages.check_opencv(software(probes={"cv2": packages.Probe(version, BUILD.format(gstreamer), "")}), jetson)
    assert finding.state == state and part in finding.text and bool(finding.cure) == (state != OK)


@pytest.mark.parametrize("needed, state", [(False, WARN), (True, FAIL)])
def test_opencv_of_pip_in_the_place_of_jetpacks_is_named_with_its_folder(needed, state):
    found = packages.Probe("4.6.0", BUILD.format("NO"), "", "/opt/venv/lib/python3.6/site-packages/cv2/__init__.py")
    finding = packages.check_opencv(software(probes={"cv2": found}), True, needed)
    assert finding.state == state and "pip's has taken the place" in finding.text
    assert "/opt/venv/lib/python3.6/site-packages/cv2" in finding.text and "pip uninstall" in finding.cure


@pytest.mark.parametrize("trouble, cure", [
    ("illegal instruction", "OPENBLAS_CORETYPE=ARMV8"),
    ("ModuleNotFoundError: No module named 'numpy'", "pip install"),
])
def test_package_that_does_not_load_is_a_failure_with_its_cure(trouble, cure):
    broken = packages.Probe("", "", trouble)
    ill = software(probes={"numpy": broken, "cv2": broken})
    for finding in [packages.check_numpy(ill)] + [packages.check_opencv(ill, jetson) for jetson in (False, True)]:
        assert finding.state == FAIL and trouble in finding.text and finding.cure
    assert cure in packages.check_numpy(ill).cure


@pytest.mark.parametrize("versions, jetson, python, states, part", [
    ({"onnxruntime": "1.18.0"}, False, (3, 11), [OK], "onnxruntime 1.18.0"),
    ({"onnxruntime": "1.18.0", "openvino": "2024.4.0"}, False, (3, 11), [OK, OK], "openvino 2024.4.0"),
    ({"onnxruntime": ""}, False, (3, 11), [OK], "onnxruntime"),
    ({}, False, (3, 11), [FAIL], "-m pip install 'openvino>="),
    ({}, False, (3, 6), [FAIL], "-m pip install 'onnxruntime>=1.10,<1.11'"),
    ({"tensorrt": "8.2.1.8", "pycuda": "2021.1"}, True, (3, 6), [OK], "tensorrt 8.2.1.8"),
    ({"tensorrt": "8.2.1.8"}, True, (3, 6), [OK, WARN], "no pycuda"),
    ({"onnxruntime": "1.10.0"}, True, (3, 6), [OK, WARN], "python3-libnvinfer"),
    ({}, True, (3, 6), [WARN, FAIL], "no TensorRT"),
])
def test_one_runtime_is_enough_and_on_the_board_it_should_be_tensorrt(versions, jetson, python, states, part):
    findings = packages.check_runtimes(software(versions, python=python), jetson, "auto")
    assert sorted(f.state for f in findings) == sorted(states)
    assert any(part in f.text + f.cure for f in findings)


@pytest.mark.parametrize("wanted, states", [
    ("onnxruntime", [OK]), ("openvino", [OK, FAIL]), ("tensorrt", [OK, FAIL]), ("auto", [OK]),
])
def test_runtime_that_was_asked_for_must_be_there(wanted, states):
    assert [f.state for f in packages.check_runtimes(software(), False, wanted)] == states


def test_what_is_installed_is_found_without_being_imported():
    assert packages.installed_version("yaml") is not None and packages.installed_version("no_such_package") is None
    assert packages.installed_version("pytest") == pytest.__version__


def test_import_elsewhere_reports_a_version_or_the_last_line_of_the_trouble(tmp_path, monkeypatch):
    found = packages.import_elsewhere("platform")
    assert (found.version, found.file) == (__import__("platform").__version__, __import__("platform").__file__)
    assert packages.import_elsewhere("no_such_package").trouble.endswith("No module named 'no_such_package'")
    (tmp_path / "dies.py").write_text("import os, signal; os.kill(os.getpid(), signal.SIGILL)\n")
    (tmp_path / "leaves.py").write_text("import os; os._exit(3)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert packages.import_elsewhere("dies").trouble == "illegal instruction"
    assert packages.import_elsewhere("leaves").trouble == "its import ends with exit code 3"
    monkeypatch.setattr(sys, "executable", str(tmp_path / "absent"))
    assert packages.import_elsewhere("platform").trouble.startswith("cannot be tried")


@pytest.mark.parametrize("names, damage, expected", [
    (["yunet_s", "face_attention", "mb05", "iris_landmark"], [], [OK, OK, OK, OK]),
    (["blazeface_full", "face_landmark", "iris_landmark"], [], [WARN, WARN, WARN, OK]),
    (["yunet_s", "face_attention"], [], [OK, OK, WARN, WARN]),
    (["yunet_s"], [], [OK, FAIL, WARN, WARN]),
    ([], [], [FAIL, FAIL, WARN, WARN]),
    (["yunet_s", "face_attention", "mb05", "iris_landmark"], ["mb05", "yunet_s"], [FAIL, OK, FAIL, OK]),
])
def test_models_are_judged_by_what_a_run_would_use(tmp_path, names, damage, expected):
    stored(tmp_path, names, damage)
    findings = doctor.check_models(CONFIG, tree(tmp_path, {}))
    assert [f.state for f in findings] == expected
    assert all(bool(f.cure) == (f.state != OK) for f in findings)
    assert all("models fetch" in f.cure for f in findings if f.cure)


def test_a_role_that_the_network_of_an_earlier_one_fills_needs_no_network(tmp_path):
    stored(tmp_path, ["yunet_s", "face_attention"])
    path = tmp_path / "home" / "onnx" / "index.json"
    index = json.loads(path.read_text())
    index["networks"]["face_attention"].update(role="align", roles=["align", "iris"])
    path.write_text(json.dumps(index))
    found = {f.name: f for f in doctor.check_models(CONFIG, tree(tmp_path, {}))}
    assert (found["model iris"].state, found["model iris"].text) == (OK, "face_attention fills it as well")
    assert found["model pose"].state == WARN and found["model align"].state == OK


def test_a_network_of_ones_own_is_looked_at_by_its_name_and_fills_what_the_one_that_it_is_like_fills(tmp_path):
    stored(tmp_path, ["yunet_s", "mb05"])
    path = tmp_path / "my.onnx"
    keys = {"models.align": str(path), "models.align_like": "face_attention"}
    config = load_config(None, keys, {"NANOFACE_CONFIG": os.devnull})
    absent = {f.name: f for f in doctor.check_models(config, tree(tmp_path, {}))}["model align"]
    assert absent.state == FAIL and "there is no" in absent.text and "models.align" in absent.cure
    path.write_bytes(b"\x08\x07\x3a\x00")
    found = {f.name: f for f in doctor.check_models(config, tree(tmp_path, {}))}
    assert [found["model " + role].state for role in ("detect", "align", "pose", "iris")] == [OK] * 4
    assert found["model align"].text == "my.onnx, a file of your own, like face_attention"
    assert found["model iris"].text == "my.onnx fills it as well"


def test_a_detector_at_a_scale_needs_a_file_for_it_and_no_engine(tmp_path):
    stored(tmp_path, ["yunet_s", "face_attention", "mb05", "iris_landmark"])
    config = load_config(None, {"models.detector_scale": 0.5}, {"NANOFACE_CONFIG": os.devnull})
    found = doctor.check_models(config, tree(tmp_path, {}))[0]
    assert found.state == FAIL and "for other sizes" in found.text and "models fetch yunet_s" in found.cure
    path = tmp_path / "home" / "onnx" / "index.json"
    index = json.loads(path.read_text())
    entry = index["networks"]["yunet_s"]
    entry.update(sizes_file=entry["file"], sizes_sha256=entry["sha256"])
    path.write_text(json.dumps(index))
    assert doctor.check_models(config, tree(tmp_path, {}))[0].state == OK


def test_index_that_is_no_json_is_a_failure_and_roles_switched_off_are_none(tmp_path):
    stored(tmp_path, [])
    (tmp_path / "home" / "onnx" / "index.json").write_text("{")
    config = load_config(None, {"models.pose": "none", "models.iris": ["none"]}, {"NANOFACE_CONFIG": os.devnull})
    findings = doctor.check_models(config, tree(tmp_path, {}))
    assert [f.state for f in findings] == [FAIL, FAIL, OK, OK]
    assert "delete it" in findings[0].cure and "index.json" in findings[0].text


@pytest.mark.parametrize("error, state, part", [
    (PermissionError(13, "Permission denied"), WARN, "usermod -aG video"),
    (OSError(16, "Device or resource busy"), WARN, "close the program that uses it"),
    (None, OK, ""),
])
def test_camera_that_cannot_be_opened_has_its_cure(tmp_path, error, state, part):
    def ask(path):
        if error is not None:
            raise error
        return Camera("C920") if path.endswith("2") else None

    box = tree(tmp_path, {"dev/video10": "", "dev/video2": ""})._replace(ask_camera=ask)
    findings = camerachecks.check_cameras(box)
    assert [f.state for f in findings] == ([state, state] if error else [OK])
    assert part in findings[0].cure and findings[0].text.startswith("/dev/video2")


SENSOR, WEBCAM = Camera("vi-output, imx219 6-0010", raw=True), Camera("C920")


@pytest.mark.parametrize("cameras, spec, warned", [
    ([SENSOR], None, ["csi://0"]), ([SENSOR], "0", ["csi://0"]), ([SENSOR], "/dev/video0", ["csi://0"]),
    ([SENSOR], "csi://0", []), ([SENSOR], "rtsp://h/s", []), ([SENSOR, WEBCAM], "1", []),
    ([WEBCAM, SENSOR, SENSOR], "2", ["csi://1"]), ([WEBCAM, SENSOR], "0", []), ([WEBCAM], None, []),
])
def test_a_ribbon_camera_is_named_as_the_source_that_it_is(tmp_path, cameras, spec, warned):
    box = tree(tmp_path, {"dev/video{}".format(n): "" for n in range(len(cameras))})
    findings = camerachecks.check_cameras(box._replace(ask_camera=lambda path: cameras[int(path[-1])]), spec)
    assert [f.cure.split("source.spec: ")[1] for f in findings if f.state == WARN] == warned
    assert sum("read as csi://" in f.text for f in findings) == cameras.count(SENSOR)


def test_no_camera_names_the_demo(tmp_path):
    only_metadata = tree(tmp_path, {"dev/video1": ""})._replace(ask_camera=lambda path: None)
    for box in (only_metadata, only_metadata._replace(root=str(tmp_path / "nothing"))):
        finding, = camerachecks.check_cameras(box)
        assert finding.state == WARN and "--source portrait" in finding.cure


@pytest.mark.parametrize("release, version", [
    ("# R32 (release), REVISION: 7.1, GCID: 1", (32, 7, 1)), ("# R32 (release), REVISION: 7.6, GCID", (32, 7, 6)),
    ("# R35 (release), REVISION: 4.1, x", (35, 4, 1)), ("# R36 (release), REVISION: 3, x", (36, 3, 0)),
    ("", None), ("something else", None),
])
def test_release_of_the_board(release, version):
    assert files.l4t_version(release) == version


@pytest.mark.parametrize("changes, states, part", [
    ({}, [OK, OK, OK, OK], "JetPack 4.6.1"),
    ({"etc/nv_tegra_release": "# R32 (release), REVISION: 6.1"}, [WARN, OK, OK, OK], "older than 8.2"),
    ({"etc/nv_tegra_release": ""}, [WARN, OK, OK, OK], "unknown"),
    ({"proc/meminfo": "SwapTotal: 2029640 kB\n"}, [OK, WARN, OK, OK], "1.9 GiB of swap"),
    ({"proc/meminfo": ""}, [OK, OK, OK], "Nano"),
    ({"var/lib/nvpmodel/status": "pmode:0001 fmode:x"}, [OK, OK, WARN, OK], "power mode 1 5W"),
    ({"var/lib/nvpmodel/status": "", "sys/devices/system/cpu/online": "0-1"}, [OK, OK, WARN, OK], "a saving mode"),
    ({"var/lib/nvpmodel/status": "nonsense"}, [OK, OK, OK, OK], "cores 0-3 are on"),
    ({"var/lib/nvpmodel/status": "", "sys/devices/system/cpu/online": ""}, [OK, OK, OK], "Nano"),
])
def test_board_is_read_from_its_own_files(tmp_path, changes, states, part):
    findings = boardchecks.check_board(tree(tmp_path, dict(NANO, **changes)))
    assert [f.state for f in findings] == states
    assert any(part in f.text for f in findings)
    assert all(bool(f.cure) == (f.state != OK) for f in findings)


def test_gpu_that_this_user_may_not_use_names_the_group(tmp_path):
    box = tree(tmp_path, NANO)._replace(may_use=lambda path: "nvhost" not in path)
    gpu = boardchecks.check_board(box)[-1]
    assert gpu.state == WARN and "video" in gpu.cure


def test_pc_has_no_board(tmp_path):
    assert boardchecks.check_board(tree(tmp_path, {"proc/meminfo": NANO["proc/meminfo"]})) == []


def test_board_with_unreadable_bytes_is_still_one(tmp_path):
    box = tree(tmp_path, NANO)
    (tmp_path / "proc/device-tree/model").write_bytes(b"Jetson \xff\0")
    assert boardchecks.check_board(box)[0].state == OK


@pytest.mark.parametrize("status, writable, states", [
    (None, True, [OK, OK]), ("none", True, [OK, OK]), (None, False, [WARN, WARN]), ("none", False, [WARN, OK]),
])
def test_folders_are_judged_by_whether_they_can_be_written(tmp_path, status, writable, states):
    overrides = {} if status is None else {"status.path": status}
    config = load_config(None, overrides, {"NANOFACE_CONFIG": os.devnull})
    box = tree(tmp_path, {})._replace(may_use=lambda path: writable)
    findings = system.check_folders(config, box)
    assert [f.state for f in findings] == states
    assert all(bool(f.cure) == (f.state != OK) for f in findings)


def test_full_disk_is_found(tmp_path, monkeypatch):
    usage = system.shutil.disk_usage(str(tmp_path))
    monkeypatch.setattr(system.shutil, "disk_usage", lambda path: type(usage)(10 ** 9, 10 ** 9 - 5, 5))
    finding = system.check_folders(CONFIG, tree(tmp_path, {}))[0]
    assert finding.state == WARN and "make room" in finding.cure and "0.0 GiB" in finding.text


def test_everything_together_on_a_board_and_on_a_pc(tmp_path):
    stored(tmp_path, sorted(ROLES.values()))
    planned(tmp_path, sorted(ROLES))
    command(tmp_path, "gst-inspect-1.0", "exit 0")
    command(tmp_path, "timedatectl", "echo System clock synchronized: yes")
    jetpack = software({"tensorrt": "8.2.1.8", "pycuda": "2021.1"}, python=(3, 6, 9))
    board = doctor.examine(CONFIG, tree(tmp_path, dict(NANO, **dict(MEASURED, **{"dev/video0": ""}))), jetpack)
    assert [f for f in board if f.state != OK] == []
    for name in ("python", "numpy", "opencv", "runtime", "model align", "plan align", "crop kernel", "home", "camera",
                 "gstreamer", "board", "swap", "memory", "clocks", "heat", "jtop", "time"):
        assert name in {f.name for f in board}
    pc = doctor.examine(CONFIG, tree(tmp_path, {})._replace(root=str(tmp_path / "pc")), software({}))
    assert {f.name for f in pc if f.state == FAIL} == {"runtime"}
    assert all(f.cure for f in pc if f.state != OK)
    told = doctor.as_json(pc)
    assert told["can_run"] is False and told["counts"][FAIL] == 1
    assert {"name": "runtime", "state": FAIL} == {k: v for k, v in next(
        f for f in told["findings"] if f["state"] == FAIL).items() if k in ("name", "state")}
