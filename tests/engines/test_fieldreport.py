"""`nanoface report`: one file with all about a board, whatever of it is missing, and nothing of who owns it."""
import hashlib
import json
import os
import pathlib
import re
import signal
import time

import pytest
from fakes import SIMULATOR
from fakes.board import CLOCK, GPU, RAIL, RUNNING, THERMAL

pytest.importorskip("cv2")

from fakes.recordings import replayed
from patience import wait_until
from whole_runs import (
    DEFAULT_NETWORKS,
    copy_home,
    finish,
    launch,
    need_networks,
    need_runtime,
    one_line,
    python_path,
)

from edge.core.errors import EngineError, OutputError, SourceError
from edge.doctor.machine import Machine
from edge.doctor.packages import Probe, Software
from edge.store import plans
from edge.store.models import StoredNetwork
from engines.report import engines, facts, readings
from engines.report.command import TITLE, ReportFile
from engines.report.privacy import Privacy
from engines.report.recording import Along
from engines.verify import timing

SOFTWARE = {
    "proc/meminfo": RUNNING["proc/meminfo"] + "NvMapMemUsed: 102400 kB\n",
    "proc/sys/kernel/osrelease": "4.9.253-tegra\n",
    "usr/local/cuda/version.txt": "CUDA Version 10.2.300\n",
    "var/lib/dpkg/status": "Package: bash\nVersion: 4.4\n\nPackage: libnvinfer8\nStatus: install ok installed\n"
                           "Version: 8.2.1-1+cuda10.2\n\n",
}
SECTIONS = ["software", "board", "doctor", "plans", "network: detect", "network: align", "network: pose",
            "network: iris", "estimate and actual", "run", "board during the run", "board after the run", "end"]
ONLY_TWO = ("--set", "models.pose=none", "--set", "models.iris=none")  # networks, to be quick
# the whole command as the command line calls it, on a tree in the place of /
ON_A_TREE = ("import os, sys; from edge.config.load import load_config; from engines.report.command import run_report; "
             "config = load_config(None, {'source.spec': sys.argv[2]}, os.environ); "
             "sys.exit(run_report(config, 'report.txt', 1, sys.stdout, sys.argv[1]))")


def board(folder, **changes):
    for name, text in dict(RUNNING, **dict(SOFTWARE, **changes)).items():
        path = os.path.join(str(folder), name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as f:
            f.write(text)
    return Machine({}, str(folder))


def reading(folder, number=0, **changes):
    return readings.read(board(folder / str(number), **changes))


def sections_of(path):
    with open(path, encoding="ascii") as f:
        text = f.read()
    parts = re.split(r"^== (.+)$", text, flags=re.MULTILINE)
    assert parts[0].startswith(TITLE)
    return dict(zip(parts[1::2], parts[2::2])), parts[1::2]


@pytest.mark.parametrize("text, expected", [
    ("/users/ann/nano/engines, 3 GiB free", "~/nano/engines, 3 GiB free"),
    ("/users/anna/x /users/ann", "/users/anna/x ~"),
    ("rtsp://ann:secret@10.0.0.5:554/live cannot be opened", "rtsp://(address) cannot be opened"),
    ("camera at 192.168.0.7 or 80.90.1.2:554", "camera at (address) or (address)"),
    ("TensorRT 8.2.1.8, opencv 4.1.1.26", "TensorRT 8.2.1.8, opencv 4.1.1.26"),
    ("mac 00:04:4b:a1:b2:c3, 00-04-4B-A1-B2-C3, 0004.4ba1.b2c3, wlx00044ba1b2c3",
     "mac (address), (address), (address), wlx(address)"),
    ("from 2001:db8::7 by fe80::1ff:fe23:4567:890a%eth0 to [2001:db8::1]:80", "from (address) by (address) to [(address)]:80"),
    ("::1 and ::ffff:10.0.0.7 at 12:34:56", "::1 and (address) at 12:34:56"),
    ("dns 8.8.8.8, 1.1.1.1:53 or 9.20.1.4", "dns (address), (address) or (address)"),
    ("plan of 8.2.1.8, JetPack 4.6.6", "plan of 8.2.1.8, JetPack 4.6.6"),
    ("numpy 1.19.5, kernel 4.9.253", "numpy 1.19.5, kernel 4.9.253"),
    ("TensorRT at 10.0.0.7 and 172.16.1.2", "TensorRT at (address) and (address)"),
    ("/dev/v4l/by-id/usb-046d_HD_Webcam_C525_A1B2C3D4-video-index0 gives nothing", "/dev/v4l/by-id/(camera) gives nothing"),
    ("srt://cam:9000?passphrase=it's! mqtt://a:b c!@h", "srt://(address) mqtt://(address)"),
    ("gst:rtspsrc location=rtsp://cam/x user-pw='a b!' ! fakesink",
     "gst:rtspsrc location=rtsp://(address) user-pw=*** ! fakesink"),
    ("csi://0", "csi://0"),
    ("/media/ann/disk on den-box, nanoface", "/media/(user)/disk on (host), nanoface"),
    ("ann.onnx and den-box-2", "ann.onnx and den-box-2"),
])
def test_owner_host_and_addresses_are_not_reported(text, expected):
    assert Privacy("/users/ann", "ann", "den-box").hide(text) == expected.replace("ann.onnx", "(user).onnx")


def test_names_that_tell_nothing_stay():
    assert Privacy("/users/root", "root", "nano").hide("nano by root") == "nano by root"


def test_board_is_read_below_its_root(tmp_path):
    found = reading(tmp_path)
    assert found.gpu_mhz == 921.6 and found.gpu_range_mhz == (76.8, 921.6) and found.gpu_load == 0.42
    assert found.temperatures_c == {"AO-therm": 41.5, "GPU-therm": 39.0} and found.slowed_by == {}
    assert found.power_mw == {"POM_5V_IN": 4523.0, "POM_5V_GPU": 1210.0}
    assert found.voltage_mv == {"POM_5V_IN": 5032.0, "POM_5V_GPU": 5010.0}
    assert found.cpu_mhz == (1428.0, 918.0) and found.memory_mb["NvMapMemUsed"] == 100.0
    text = "\n".join(readings.lines(found))
    for part in ("GPU 922 MHz (may be 77 to 922)", "42 % busy", "schedutil", "AO-therm 41.5 C", "4523 mW at 5032 mV"):
        assert part in text
    assert readings.throttling([found]) == []


def test_board_that_reports_nothing_is_no_error(tmp_path):
    found = readings.read(Machine({}, str(tmp_path)))
    assert found.gpu_mhz is None and readings.lines(found) == ["memory: not known"]
    assert readings.throttling([found]) == [] and readings.over_time([found]) == []
    assert "no Jetson" in facts.board(Machine({}, str(tmp_path)))[0]


@pytest.mark.parametrize("changes, part", [
    ({THERMAL + "cooling_device1/cur_state": "2\n"}, "slowed down by gpu-balanced"),
    ({THERMAL + "thermal_zone1/temp": "96500\n"}, "96 C: give it a fan"),
    ({RAIL + "in_voltage0_input": "4610\n"}, "only 4610 mV at POM_5V_IN: take a supply"),
    ({GPU + "load": "990\n", CLOCK + "cur_freq": "614400000\n"}, "below its full clock in 1 of 2 looks"),
])
def test_every_sign_of_throttling_is_reported_with_its_cure(tmp_path, changes, part):
    signs = readings.throttling([reading(tmp_path, 0), reading(tmp_path, 1, **changes)])
    assert len(signs) == 1 and part in signs[0]


def test_run_is_summarised_by_least_median_and_most(tmp_path):
    moments = [reading(tmp_path, n, **{GPU + "load": "{}\n".format(load)}) for n, load in enumerate((100, 900, 500))]
    line = next(line for line in readings.over_time(moments) if line.startswith("GPU busy"))
    assert line.split()[-3:] == ["10", "50", "90"]


def test_software_and_board_of_a_nano_are_reported(tmp_path):
    machine = board(tmp_path)._replace(environ={"LD_PRELOAD": "libgomp.so.1", "SECRET": "x"})
    versions = {"pycuda": "2022.1", "tensorrt": "8.2.1.8"}
    probes = {"numpy": Probe("1.13.3", "", ""), "cv2": Probe("4.1.1", "    GStreamer:   YES (1.14.5)\n", ""),
              "tensorrt": Probe("", "", "cannot allocate memory in static TLS block")}
    lines = facts.software(machine, Software((3, 6, 9), probes.get, versions.get))
    for line in ("numpy 1.13.3", "cv2 4.1.1, GStreamer:   YES (1.14.5)", "pycuda 2022.1", "onnx not installed",
                 "tensorrt cannot allocate memory in static TLS block", "CUDA: CUDA Version 10.2.300",
                 "libnvinfer8 8.2.1-1+cuda10.2", "LD_PRELOAD=libgomp.so.1"):
        assert line in lines
    assert not any("SECRET" in line for line in lines)
    text = "\n".join(facts.board(machine))
    for part in ("Jetson Nano Developer Kit, L4T 32.7.1 (JetPack 4.6.1)", "power mode 0 MAXN", "kernel 4.9.253-tegra"):
        assert part in text
    assert engines.board_name(machine) == "nano"
    assert engines.board_name(board(tmp_path, **{"var/lib/nvpmodel/status": "pmode:0001\n"})) == "nano-5w"


def plan(home, role, network, content=b"plan", **changes):
    sidecar = {
        "schema": 1, "role": role, "network": network, "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(), "onnx_sha256": "0" * 64, "tensorrt": "8.2.1.8",
        "gpu": "NVIDIA Tegra X1", "compute_capability": "5.3",
        "l4t": "32.7.1", "precision": "fp16", "build_s": 61.25, "built_at": "2026-11-26T10:00:00Z", "verified": None,
        "flags": {"workspace_mb": 256, "tactic_sources": ["CUBLAS"], "fp32_layers": ["Conv_3"]},
        "measured": {"device_ms": {"p50": 3.14159, "p95": 4.0}, "host_ms": {"p50": 4.0, "p95": 5.0}},
    }
    sidecar.update(changes)
    os.makedirs(plans.plans_dir(home), exist_ok=True)
    with open(plans.plan_path(home, role, network), "wb") as f:
        f.write(content)
    with open(plans.sidecar_path(home, role, network), "w") as f:
        json.dump(sidecar, f)


def test_each_plan_is_summarised_and_a_damaged_one_does_not_hide_the_others(tmp_path):
    home = str(tmp_path)
    assert facts.plans(home)[0].startswith("no plan in ")
    plan(home, "align", "face_landmark")
    plan(home, "detect", "yunet_s", size=7)
    plan(home, "pose", "mb05", schema=9)
    with open(os.path.join(plans.plans_dir(home), plans.CUBIN_SIDECAR), "w") as f:
        f.write('{"arch": "sm_53"}')
    lines = facts.plans(home)
    text = "\n".join(lines)
    for part in ("align face_landmark: fp16, 4 bytes, whole", "TensorRT 8.2.1.8, NVIDIA Tegra X1 (5.3), L4T 32.7.1",
                 "in 61.25 s; workspace_mb 256, tactic_sources [CUBLAS], 1 layers in fp32", "p50 3.142",
                 "not verified", "is 4 bytes and not 7", "pose-mb05.json is damaged", "crop.json: arch sm_53"):
        assert part in text
    assert all(len(line) < 300 for line in lines)


class Runner:
    """Tells device times as TensorRT's runner does."""

    backend, runs = "pretended", 0

    def submit(self, image, crops):
        self.runs += 1
        return self

    def result(self):
        return {}

    def take_device_ms(self):
        taken, self.runs = [2.5] * self.runs, 0
        return taken


def test_network_is_timed_on_host_and_device_without_its_warm_up():
    timed = timing.time_runner(Runner(), StoredNetwork("yunet_s", "", "", {}, "detect"))
    assert len(timed.host_ms) == len(timed.device_ms) == timing.MOST_RUNS
    assert timing.spread(timed.device_ms).startswith("p50 2.50 ms, p95 2.50 ms")


def test_estimate_stands_beside_what_was_measured(monkeypatch):
    timed = {"detect": timing.Timed("yunet_s", "x", [4.0], [2.5]),
             "pose": timing.Timed("mb05", "x", [1.0], [])}

    def engine_ms(home, network, board_of):
        if network == "mb05":
            raise EngineError("mb05 is not there")
        return (1.0, 2.0, 4.0)

    monkeypatch.setattr(engines, "engine_ms", engine_ms)
    lines = engines.against_estimate(timed, "home", "nano")
    assert "1.00  2.00  4.00      2.50  4.00" in lines[2] and "(mb05 is not there)" in lines[3]


def test_file_of_somebody_else_is_not_overwritten_and_a_refusal_has_its_cure(tmp_path):
    theirs = tmp_path / "clip.mp4"
    theirs.write_bytes(b"a film")
    for path, part in ((theirs, "is no report"), (tmp_path, "name another"), (tmp_path / "no" / "x", "name another")):
        with pytest.raises(OutputError, match=part), ReportFile(str(path), Privacy("", "", "")):
            pass
    assert theirs.read_bytes() == b"a film"
    for text in ("one", "two"):
        with ReportFile(str(tmp_path / "r.txt"), Privacy("", "", "")) as file:
            file.add([TITLE, text])
    assert (tmp_path / "r.txt").read_text() == TITLE + "\ntwo\n"


@pytest.fixture(scope="module")
def home(models_home, tmp_path_factory):
    """A home of its own: the answers of ONNX Runtime may be made in it."""
    need_runtime("openvino", "onnxruntime")
    need_networks(models_home, *DEFAULT_NETWORKS)
    return copy_home(models_home, str(tmp_path_factory.mktemp("report") / "home"), DEFAULT_NETWORKS)


def test_whole_report_of_this_machine(home, tmp_path):
    words = ("report", "--seconds", "1", "--source", "portrait", "--loop", "--realtime")
    done = finish(str(tmp_path), launch(str(tmp_path), home, words, HOME=str(tmp_path)))
    assert done.code == 0, done.err
    lines, order = sections_of(done.path("nanoface-report.txt"))
    assert order == SECTIONS and "not known" not in lines["run"] and "nanoface-report.txt is written" in done.out
    for role, network in (("detect", "yunet_s"), ("align", "face_attention"), ("pose", "mb05")):
        assert network + " on " in lines["network: " + role] and "runs)" in lines["network: " + role]
    assert lines["network: iris"].split() == "filled by face_attention".split()
    assert "portrait, 1 face" in lines["run"] and "stop requested" in lines["run"]
    assert "no sign of throttling" in lines["board during the run"]
    assert str(tmp_path) not in "".join(lines.values()) and os.uname().nodename not in "".join(lines.values())


def test_engine_is_reported_with_its_plan_its_device_time_and_its_estimate(home, tmp_path):
    for package in ("onnx", "onnxruntime"):
        pytest.importorskip(package, reason="the simulator of TensorRT needs the package " + package)
    path = python_path(SIMULATOR)
    done = finish(str(tmp_path), launch(str(tmp_path), home, ("build", "--only", "detect"), PYTHONPATH=path))
    assert done.code == 0, done.out + done.err
    words = ("report", "--seconds", "1", "--source", "portrait", "--realtime") + ONLY_TWO
    done = finish(str(tmp_path), launch(str(tmp_path), home, words, PYTHONPATH=path))
    assert done.code == 0, done.err
    lines, _ = sections_of(done.path("nanoface-report.txt"))
    assert "detect yunet_s: fp16" in lines["plans"] and "verified (" in lines["plans"]
    network = lines["network: detect"]
    assert "yunet_s on tensorrt 8.2 fp16" in network and "  device  p50" in network and "WRONG" not in network
    assert re.search(r"^yunet_s +[0-9.]+  [0-9.]+  [0-9.]+ +[0-9.]+  [0-9.]+$", lines["estimate and actual"], re.MULTILINE)
    assert "tensorrt 8.2 fp16" in lines["run"] and "device ms" in lines["run"]


def test_report_survives_what_is_missing(tmp_path):
    board(tmp_path / "board")
    os.makedirs(str(tmp_path / "empty" / "plans"))
    (tmp_path / "empty" / "plans" / plans.CHOICE).write_text("{")
    words = (str(tmp_path / "board"), "absent.mp4")
    done = finish(str(tmp_path), launch(str(tmp_path), tmp_path / "empty", words, program=("-c", ON_A_TREE)))
    assert done.code == 0 and "Traceback" not in done.err, done.err
    lines, order = sections_of(done.path("report.txt"))
    assert order == SECTIONS
    assert "JetPack 4.6.1" in lines["board"] and "nanoface models fetch" in lines["doctor"]
    for title in ("network: detect", "network: align", "run", "board during the run"):
        assert lines[title].strip().startswith("not known: "), lines[title]
    assert "GPU 922 MHz" in lines["board after the run"] and "chosen.json: is no JSON" in lines["plans"]


def test_without_a_camera_the_demo_is_tracked_and_it_is_reported(home, tmp_path):
    if any(os.path.exists("/dev/video{}".format(n)) for n in range(10)):
        pytest.skip("a camera is connected here")
    done = finish(str(tmp_path), launch(str(tmp_path), home, ("report", "--seconds", "1", "--pose", "none")))
    assert done.code == 2 and "--pose is unknown" in one_line(done.err)
    words = ("report", "x.txt", "--seconds", "1") + ONLY_TWO
    done = finish(str(tmp_path), launch(str(tmp_path), home, words))
    lines, _ = sections_of(done.path("x.txt"))
    assert "no camera" in lines["run"] and "source   portrait" in lines["run"]
    assert "switched off" in lines["network: pose"]


def test_interrupt_ends_the_run_and_keeps_what_was_reported(home, tmp_path):
    words = ("report", "--seconds", "60", "--source", "portrait", "--loop", "--realtime") + ONLY_TWO
    process = launch(str(tmp_path), home, words)
    path = os.path.join(str(tmp_path), "nanoface-report.txt")
    lines = pathlib.Path(path)  # read while it is written
    wait_until(lambda: process.poll() is not None or lines.exists() and "== estimate and actual" in lines.read_text())
    time.sleep(1.5)
    process.send_signal(signal.SIGINT)
    done = finish(str(tmp_path), process)
    assert done.code == 130 and "Traceback" not in done.err
    lines, order = sections_of(path)
    assert "source   portrait" in lines["run"] and order[-1] == "interrupted before: board during the run"


def test_place_that_cannot_be_written_is_one_line(tmp_path):
    done = finish(str(tmp_path), launch(str(tmp_path), tmp_path, ("report", "absent/report.txt")))
    assert done.code == 5 and "the report absent/report.txt cannot be written" in one_line(done.err)


def test_a_line_of_many_addresses_is_looked_through_once():
    began_at = time.process_time()
    assert "1.1" not in Privacy("/h/bob", "bob", "box").hide("1.1.1.1 " * 25000)
    assert time.process_time() - began_at < 20.0


def test_a_recording_is_read_through_described_and_copied_beside_the_report(tmp_path):
    path, report = replayed(tmp_path / "mine.nfr", source="camera"), str(tmp_path / "out.txt")
    along = Along(path, report)
    along.take()
    assert (tmp_path / "out.nfr").read_bytes() == (tmp_path / "mine.nfr").read_bytes()
    text = "\n".join(along.lines())
    assert "out.nfr: {} bytes".format(os.path.getsize(path)) in text and "137 frames in 4.6 s, 139 faces" in text
    assert "no picture" in text and "source: camera" in text and "mine" not in text and "cut off" not in text
    along.take()  # an older copy
    Along(str(tmp_path / "out.nfr"), report).take()  # the copy itself
    assert (tmp_path / "out.nfr").read_bytes() == (tmp_path / "mine.nfr").read_bytes()


def test_a_recording_that_was_cut_off_goes_along_and_a_damaged_one_does_not(tmp_path):
    path, report = replayed(tmp_path / "mine.nfr"), str(tmp_path / "out.txt")
    data = (tmp_path / "mine.nfr").read_bytes()
    (tmp_path / "mine.nfr").write_bytes(data[:20000])
    assert any("it was cut off behind frame" in line for line in Along(path, report).lines())
    for wrong in (b"GIF89a", b"", data[:9000] + b"??" + data[9002:]):
        (tmp_path / "mine.nfr").write_bytes(wrong)
        with pytest.raises(SourceError, match="mine.nfr"):
            Along(path, report)
    for absent in (str(tmp_path), str(tmp_path / "none.nfr")):
        with pytest.raises(SourceError, match="cannot be read"):
            Along(absent, report)


def test_no_file_of_somebody_else_is_replaced_by_the_copy(tmp_path):
    (tmp_path / "out.nfr").write_text("mine")
    with pytest.raises(OutputError, match="out.nfr is there and is no recording: name another place for the report"):
        Along(replayed(tmp_path / "a.nfr"), str(tmp_path / "out.txt")).take()
    assert (tmp_path / "out.nfr").read_text() == "mine"
