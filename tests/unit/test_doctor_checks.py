"""The doctor's findings on plans, GStreamer, the service, jtop, clocks and time; each trouble has its cure."""
import json
import os
import re

import pytest
from fakes.board import CLOCK, MEASURED, NANO, RAIL, ROLES, THERMAL, command, kernel, planned, stored, tree

from edge.config.load import load_config
from edge.doctor import board, gstreamer, plans, service, system
from edge.doctor.machine import FAIL, OK, WARN
from edge.host import ffmpeg
from edge.store import plans as planstore

UNIT = "[Service]\nUser=nanoface\nGroup=nanoface\nSupplementaryGroups=video render\n"
KNOWN = {"etc/passwd": "root:x:0:0::/:\nnanoface:x:998:998::/:\n",
         "etc/group": "video:x:44:\nrender:x:100:\nnanoface:x:998:\n"}


def configured(**keys):
    overrides = {key.replace("__", "."): value for key, value in keys.items()}
    return load_config(None, overrides, {"NANOFACE_CONFIG": os.devnull})


def outcomes(findings):
    """State and name of each; every trouble has a cure."""
    assert all(bool(f.cure) == (f.state != OK) for f in findings)
    return [(f.state, f.name) for f in findings]


# system logs

ARGUS = "Nov 26 10:00:00 nano nvargus-daemon[4321]: SCF: Error Timeout:  (propagating from src/services/capture/)\n"
OTHER = "Nov 26 10:00:00 nano systemd[1]: Started Session 3 of user me.\n"


@pytest.mark.parametrize("logs, journal, reported", [
    ({}, 0, []),
    ({"syslog": OTHER, "syslog.1": OTHER}, 5, []),
    ({"syslog": ARGUS}, 0, []),  # not large
    ({"syslog": 300 * ARGUS}, 0, ["/var/log/syslog and its like, .* at its end mostly of nvargus-daemon"]),
    ({"syslog": 300 * OTHER, "syslog.1": 10 * ARGUS}, 0, ["/var/log/syslog and its like, [0-9.]+ GiB free$"]),
    ({"syslog": OTHER, "syslog.1": 300 * ARGUS}, 0, ["/var/log/syslog.1 and its like, .* of nvargus-daemon"]),
    ({"daemon.log": 200 * OTHER, "messages": 190 * OTHER}, 0, ["/var/log/daemon.log and its like"]),
    ({"syslog": OTHER}, 100, ["in the journal"]),
    ({"syslog": 300 * OTHER}, 100, ["/var/log/syslog", "in the journal"]),
])
def test_logs_of_the_system_that_fill_the_disk_are_found(tmp_path, monkeypatch, logs, journal, reported):
    monkeypatch.setattr(system, "SYSTEM_LOG_BYTES", 20000)
    monkeypatch.setattr(system, "JOURNAL_BYTES", 50000)
    files = {"var/log/" + name: text for name, text in logs.items()}
    files.update({"var/log/journal/0123/system.journal": journal * "0123456789" * 100, "var/log/auth.log": 1000 * OTHER})
    findings = system.check_system_logs(tree(tmp_path, files))
    assert outcomes(findings) == [(WARN, "system log")] * len(reported)
    for finding, words in zip(findings, reported):
        assert re.search(words, finding.text) and finding.cure.startswith("sudo journalctl") is ("journal" in words)
        assert "journal" in words or "sudo truncate -s 0 /var/log/" in finding.cure


def test_a_log_that_nobody_may_read_is_measured_all_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(system, "SYSTEM_LOG_BYTES", 20000)
    box = tree(tmp_path, {"var/log/syslog": 300 * ARGUS})
    (tmp_path / "var/log/syslog.2.gz").symlink_to("nowhere")
    monkeypatch.setattr("builtins.open", lambda *_: (_ for _ in ()).throw(PermissionError(13, "Permission denied")))
    finding, = system.check_system_logs(box)
    assert "nvargus" not in finding.text and "GiB in /var/log/syslog" in finding.text


# plans

def home_of(folder):
    return str(folder / "home")


def test_plans_that_fit_are_named_with_their_size(tmp_path):
    stored(tmp_path, sorted(ROLES.values()))
    planned(tmp_path, sorted(ROLES))
    findings = plans.check_plans(configured(), home_of(tmp_path), "8.2.1.8")
    assert outcomes(findings) == [(OK, "plan detect"), (OK, "plan align"), (OK, "plan pose"), (OK, "plan iris"),
                              (OK, "crop kernel")]
    assert findings[0].text == "yunet_s, fp16, 0.0 MB" and findings[-1].text == "sm_53"


@pytest.mark.parametrize("runtime, state", [("auto", WARN), ("tensorrt", FAIL)])
@pytest.mark.parametrize("changes, part", [
    ({"tensorrt": "8.0.1.6"}, "built for TensorRT 8.0.1.6, here is 8.2.1.8"), ({"onnx_sha256": "0"}, "another version"),
    ({"size": 3}, "cut short"), ({"sha256": "0" * 64}, "corrupt"), ({"schema": 9}, "damaged"),
])
def test_a_plan_that_is_stale_or_damaged_names_its_build(tmp_path, runtime, state, changes, part):
    stored(tmp_path, ["yunet_s"])
    planned(tmp_path, ["detect"], **changes)
    finding = plans.check_plans(configured(models__runtime=runtime), home_of(tmp_path), "8.2.1.8")[0]
    assert finding.state == state and part in finding.text and finding.cure == "nanoface build --only detect"


def test_a_plan_that_was_not_built_and_a_role_without_network(tmp_path):
    stored(tmp_path, ["yunet_s", "face_landmark"])
    planned(tmp_path, ["align"])
    findings = plans.check_plans(configured(models__iris="none"), home_of(tmp_path), "")
    assert outcomes(findings) == [(WARN, "plan detect"), (OK, "plan align"), (OK, "crop kernel")]
    assert "on the CPU" in findings[0].text


@pytest.mark.parametrize("keys, version", [({}, None), ({"models__runtime": "onnxruntime"}, "8.2.1.8")])
def test_where_no_plan_would_be_used_none_is_looked_at(tmp_path, keys, version):
    assert plans.check_plans(configured(**keys), home_of(tmp_path), version) == []


def test_the_tuned_network_is_the_one_that_counts(tmp_path):
    stored(tmp_path, ["yunet_s", "yunet_n"])
    planned(tmp_path, ["detect"])
    with open(os.path.join(planstore.plans_dir(home_of(tmp_path)), planstore.CHOICE), "w") as f:
        json.dump({"roles": {"detect": "yunet_n"}}, f)
    finding = plans.check_plans(configured(), home_of(tmp_path), "8.2.1.8")[0]
    assert finding.state == WARN and "none was built of yunet_n" in finding.text
    with open(os.path.join(planstore.plans_dir(home_of(tmp_path)), planstore.CHOICE), "w") as f:
        f.write("no json")
    finding, = plans.check_plans(configured(), home_of(tmp_path), "8.2.1.8")
    assert finding.state == WARN and finding.cure.startswith("nanoface build")


@pytest.mark.parametrize("change, part", [
    ({"code": "other"}, "cut short or altered"), ({"source_sha256": "0"}, "another version"), (None, "was not built"),
    ("no json", "cannot be read"), ("[1]", "cannot be read"),
])
def test_the_crop_kernel_is_judged_as_the_runner_would(tmp_path, change, part):
    stored(tmp_path, ["yunet_s"])
    planned(tmp_path, ["detect"])
    sidecar = tmp_path / "home" / "plans" / planstore.CUBIN_SIDECAR
    if change is None:
        sidecar.unlink()
    elif isinstance(change, str):
        sidecar.write_text(change)
    else:
        kernel(tmp_path, **change)
    finding = plans.check_plans(configured(), home_of(tmp_path), "8.2.1.8")[-1]
    assert (finding.state, finding.cure) == (WARN, "nanoface build") and part in finding.text
    assert plans.check_plans(configured(models__crops="cpu"), home_of(tmp_path), "8.2.1.8")[-1].name != "crop kernel"


# GStreamer

WITHOUT = 'case "$2" in {}) exit 1;; esac; exit 0'


@pytest.mark.parametrize("spec, jetson, missing, states", [
    ("csi://0", True, "none", [OK]), ("0", True, "none", [OK]),
    ("csi://0", True, "nvarguscamerasrc|nvvidconv", [FAIL, FAIL]), ("0", True, "nvarguscamerasrc", [WARN]),
    ("gst:rtsp://cam/live", False, "avdec_h264", [FAIL]), ("gst:rtsp://cam/live", True, "avdec_h264", [OK]),
    ("gst:/dev/video0", False, "jpegdec", [FAIL]), ("gst:videotestsrc ! timeoverlay ! appsink", False, "timeoverlay", [FAIL]),
    ("gst:videotestsrc ! timeoverlay ! appsink", False, "jpegdec", [OK]),
])
def test_elements_are_asked_for_one_by_one(tmp_path, spec, jetson, missing, states):
    command(tmp_path, "gst-inspect-1.0", WITHOUT.format(missing))
    findings = gstreamer.check_gstreamer(configured(source__spec=spec), tree(tmp_path, {}), jetson)
    assert [state for state, _ in outcomes(findings)] == states
    for name in missing.split("|") if states != [OK] else []:
        assert any("no {},".format(name) in f.text for f in findings)


def test_a_pc_without_pipelines_is_not_asked_and_a_missing_tool_is_named(tmp_path):
    assert gstreamer.check_gstreamer(configured(source__spec="0"), tree(tmp_path, {}), False) == []
    finding, = gstreamer.check_gstreamer(configured(source__spec="0"), tree(tmp_path, {}), True)
    assert finding.state == WARN and "gstreamer1.0-tools" in finding.cure


def test_a_tool_that_hangs_is_no_missing_element(tmp_path, monkeypatch):
    monkeypatch.setattr(gstreamer, "NEXT_S", 0.05)
    command(tmp_path, "gst-inspect-1.0", '[ "$1" = --version ] || exec /bin/sleep 20')
    assert outcomes(gstreamer.check_gstreamer(configured(source__spec="gst:a ! b"), tree(tmp_path, {}), False)) == [
        (OK, "gstreamer")]


def test_elements_of_a_pipelines_text():
    text = 'v4l2src device=/dev/video0 ! image/jpeg, width=640 ! jpegdec ! tee name=t t. ! queue ! "x" ! appsink'
    assert gstreamer.elements_of(text) == ["v4l2src", "jpegdec", "tee", "queue", "appsink"]


# the service

def serviced(folder, unit=UNIT, said="", **changes):
    files = dict(KNOWN, **{"etc/systemd/system/nanoface.service": unit, "run/systemd/system/x": ""})
    if said is not None:
        command(folder, "systemctl", "printf '{}'".format(said.replace("\n", "\\n")))
    return tree(folder, dict(files, **changes))


@pytest.mark.parametrize("said, state, part", [
    ("ActiveState=active\nSubState=running\nUnitFileState=enabled\nNRestarts=0\nStatusText=tracking, 30.0 frames per second",
     OK, "tracking, 30.0 frames per second"),
    ("ActiveState=active\nSubState=running\nUnitFileState=disabled", WARN, "not started at boot"),
    ("ActiveState=inactive\nSubState=dead\nUnitFileState=enabled", WARN, "inactive"),
    ("ActiveState=failed\nSubState=failed\nUnitFileState=enabled\nResult=watchdog\nNRestarts=5", FAIL,
     "restarted 5 times, watchdog"),
    ("ActiveState=activating\nSubState=auto-restart\nUnitFileState=enabled\nNRestarts=3", FAIL, "again and again"),
])
def test_the_service_is_reported_as_systemd_sees_it(tmp_path, said, state, part):
    finding, = service.check_service(serviced(tmp_path, said=said))
    assert outcomes([finding]) == [(state, "service")] and part in finding.text


def test_a_service_that_is_not_installed_is_no_trouble(tmp_path):
    assert service.check_service(tree(tmp_path, {})) == []
    assert outcomes(service.check_service(tree(tmp_path, {"run/systemd/system/x": ""}))) == [(OK, "service")]


def test_a_manager_that_does_not_answer_is_one(tmp_path):
    assert outcomes(service.check_service(serviced(tmp_path, said=None))) == [(WARN, "service")]
    command(tmp_path, "systemctl", "echo Failed to connect to bus; exit 1")
    assert outcomes(service.check_service(serviced(tmp_path, said=None))) == [(WARN, "service")]


@pytest.mark.parametrize("changes, part, cure", [
    ({"etc/group": "video:x:44:\nnanoface:x:998:\n"}, "group render", "groupadd --system render"),
    ({"etc/passwd": "root:x:0:0::/:\n"}, "user nanoface", "nanoface service install"),
])
def test_a_user_or_group_that_there_is_not_stops_the_service(tmp_path, changes, part, cure):
    said = "ActiveState=active\nSubState=running\nUnitFileState=enabled"
    findings = service.check_service(serviced(tmp_path, said=said, **changes))
    assert outcomes(findings) == [(FAIL, "service"), (OK, "service")]
    assert part in findings[0].text and cure in findings[0].cure


@pytest.mark.parametrize("version, socket, usable, state", [
    (None, False, True, OK), ("4.3.2", False, True, WARN), ("4.3.2", True, False, WARN), ("4.3.2", True, True, OK),
])
def test_jtop_is_judged_without_asking_it(tmp_path, version, socket, usable, state):
    box = tree(tmp_path, {"run/jtop.sock": ""} if socket else {})._replace(may_use=lambda path: usable)
    assert outcomes([service.check_jtop(box, version)]) == [(state, "jtop")]


# memory, clocks, heat, time

@pytest.mark.parametrize("changes, name, state, part", [
    ({}, "memory", OK, "2000 of 3964 MB free"), ({}, "heat", OK, "42 C"), ({}, "clocks", OK, "between 77 and 922"),
    ({"proc/meminfo": "MemTotal: 4059292 kB\nMemAvailable: 512000 kB\n"}, "memory", WARN, "500 of 3964 MB free"),
    ({CLOCK + "min_freq": "921600000\n"}, "clocks", OK, "held there"),
    ({"sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "powersave\n"}, "clocks", WARN, "powersave"),
    ({THERMAL + "cooling_device1/cur_state": "3\n"}, "heat", WARN, "slowed down by gpu-balanced, 42 C"),
    ({RAIL + "in_voltage0_input": "4610\n"}, "supply", WARN, "only 4610 mV"),
])
def test_memory_clocks_and_heat_are_read_from_the_boards_files(tmp_path, changes, name, state, part):
    findings = board.check_board(tree(tmp_path, dict(dict(NANO, **MEASURED), **changes)))
    outcomes(findings)
    found = {f.name: f for f in findings}
    assert found[name].state == state and part in found[name].text


def test_memory_that_the_running_service_has_taken_is_no_trouble(tmp_path):
    command(tmp_path, "systemctl", "echo active")
    little = {"proc/meminfo": "MemTotal: 4059292 kB\nMemAvailable: 512000 kB\nSwapTotal: 6220224 kB\n"}
    findings = board.check_board(tree(tmp_path, dict(dict(NANO, **MEASURED), **little)))
    assert {f.name: f.state for f in findings}["memory"] == OK


def test_a_desktop_that_takes_the_memory_is_named(tmp_path):
    little = {"proc/meminfo": "MemTotal: 4059292 kB\nMemAvailable: 512000 kB\n", "lib/graphical.target": ""}
    box = tree(tmp_path, dict(NANO, **little))
    (tmp_path / "etc/systemd/system").mkdir(parents=True)
    os.symlink("/lib/systemd/system/graphical.target", str(tmp_path / "etc/systemd/system/default.target"))
    finding = next(f for f in board.check_board(box) if f.name == "memory")
    assert finding.state == WARN and "set-default multi-user.target" in finding.cure


@pytest.mark.parametrize("wall_s, said, state, part", [
    (1.8e9, None, OK, "2027-01-15"), (1.8e9, "System clock synchronized: yes", OK, "kept by the network"),
    (1.8e9, "  NTP synchronized: no", WARN, "not kept by the network"), (1.5e9, None, WARN, "the clock is not set"),
])
def test_time_is_judged_by_year_and_network(tmp_path, wall_s, said, state, part):
    if said is not None:
        command(tmp_path, "timedatectl", "echo '{}'".format(said))
    finding = system.check_time(tree(tmp_path, {})._replace(wall=lambda: wall_s))
    assert outcomes([finding]) == [(state, "time")] and part in finding.text


@pytest.mark.parametrize("spec, files, usable, states", [
    ("0", {"dev/video0": ""}, True, []), ("0", {}, True, [WARN]), ("/dev/video0", {"dev/video0": ""}, False, [FAIL]),
    ("portrait", {}, True, []), (None, {}, True, []),
])
def test_the_camera_that_is_configured_must_be_there_and_usable(tmp_path, spec, files, usable, states):
    box = tree(tmp_path, files)._replace(may_use=lambda path: usable)
    findings = system.check_source(configured(source__spec=spec), box)
    assert [state for state, _ in outcomes(findings)] == states


@pytest.mark.parametrize("found, state, part", [
    (None, WARN, "no film can be read or written"), (ffmpeg.Ffmpeg("/opt/ffmpeg", (4, 2)), OK, "FFmpeg 4.2, /opt/ffmpeg"),
    (ffmpeg.Ffmpeg("/opt/ffmpeg", ffmpeg.NEWEST), OK, "FFmpeg, /opt/ffmpeg"),
])
def test_whether_films_can_be_read_is_reported(monkeypatch, found, state, part):
    monkeypatch.setattr("edge.host.ffmpeg.find", lambda: found)
    finding = system.check_films()
    assert finding.state == state and part in finding.text
    assert ("pip install 'imageio-ffmpeg" in finding.cure) == (found is None)
