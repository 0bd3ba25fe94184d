"""The service on a whole boot under systemd as process 1, installed as a user installs it.

The tests go on from each other in their order, as a life of the board; each leaves the service running.
"""
import json
import os
import re
import shutil
import subprocess
import time
from contextlib import contextmanager

import pytest
from bootedboard import MEDIA, PROJECT, BootedBoard, tail, wait_for
from fakes import SIMULATOR
from patience import stretch
from userspace import BIONIC, need_machine, user_space
from whole_runs import DEFAULT_NETWORKS, copy_home, need_networks

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SERVICE, ENGINES = "nanoface.service", "nanoface-engines.service"
FIRST_TENSORRT = "8.2.1.8"
SETTINGS = "/run/systemd/system/{}.d/simulator.conf".format(ENGINES)
CONFIG, STATUS = "/etc/nanoface/nanoface.yaml", "/run/nanoface/status.jsonl"
NET_CAMERA = "http://127.0.0.1:8090/"
NANOFACE = "/opt/nanoface/current/bin/nanoface"
RESTART_S, START_S = 5.0, 20.0  # RestartSec=; what a start may take on a busy machine
BUILD_S = 120.0  # and two engines of the simulator
CAMERA = """
source:
  spec: portrait
  pace: realtime
  loop: true
status:
  path: /run/nanoface/status.jsonl
  interval_s: 0.5
"""
# sooner than on a board, so that the tests are
QUICK = "[Service]\nWatchdogSec=5\nTimeoutStopSec=4\n"
NOTE = '#!/bin/sh\necho "$(basename "$0") $*" >> /var/log/clocks\n'  # in the place of the programs that set clocks
# stands where JetPack's daemon of the CSI cameras does
ARGUS = "[Service]\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n"
BUSY = ("/var/log/", "/var/lib/systemd/", "/var/tmp", "/etc/.pwd.lock", "/etc/passwd-", "/etc/shadow-", "/etc/group-",
        "/etc/gshadow-", "/var/cache/ldconfig", "/etc/subuid", "/etc/subgid", "/etc/ld.so.cache")


def checkout(folder):
    """What a clone holds, without environments and networks."""
    for name in ("edge", "engines", "calibration", "systemd"):
        shutil.copytree(os.path.join(ROOT, name), os.path.join(folder, name), ignore=shutil.ignore_patterns(
            "__pycache__", "onnx", "plans", "cache"))
    for name in ("setup.py", "nanoface.py"):
        shutil.copy(os.path.join(ROOT, name), folder)


@pytest.fixture(scope="module")
def board(tmp_path_factory, models_home):
    need_machine()
    need_networks(models_home, *DEFAULT_NETWORKS)
    folder = tmp_path_factory.mktemp("boot")
    source = folder / "checkout"
    source.mkdir()
    checkout(str(source))
    booted = BootedBoard(user_space(), folder / "board", str(source))
    copy_home(models_home, booted.layer(MEDIA), DEFAULT_NETWORKS)
    booted.put("/lib/systemd/system/nvargus-daemon.service", ARGUS)
    for path in ("/usr/bin/jetson_clocks", "/usr/sbin/nvpmodel"):
        booted.put(path, NOTE, 0o755)
    booted.put(CONFIG, CAMERA)
    shutil.copy(os.path.join(os.path.dirname(os.path.abspath(__file__)), "netcamera.py"), booted.layer("/srv"))
    booted.put("/etc/systemd/system/nanoface.service.d/quick.conf", QUICK)
    try:
        booted.power_on()
        booted.run("systemctl", "start", "nvargus-daemon")
        yield booted
    finally:
        booted.close()


@pytest.fixture
def running(board):
    """The board with a service that tracks; its budget of restarts is full again."""
    board.run("systemctl", "reset-failed", SERVICE, check=False)
    wait_for(lambda: active(board), "the service", START_S)
    yield board


def active(board):
    return board.show(SERVICE, "ActiveState")["ActiveState"] == "active"


def pid(board):
    return int(board.show(SERVICE, "MainPID")["MainPID"])


def service(board, *words, **more):
    """From a clone, as somebody does who has just made it."""
    env = {"PYTHONPATH": more.pop("source", PROJECT), "PYTHONDONTWRITEBYTECODE": "1"}
    return board.run("python3", "-m", "edge", "service", *words, env=env, **more)


def records(board):
    """The status log; each line is whole."""
    return [json.loads(line) for line in board.read(STATUS).splitlines()]


def journal(board, *words):
    return board.run("journalctl", "--no-pager", "--unit", SERVICE, *words).out


def new_process(board, old, patience_s):
    """Seconds until another process is up."""
    began = time.monotonic()
    wait_for(lambda: pid(board) not in (0, old) and active(board), "another process than {}".format(old), patience_s)
    return time.monotonic() - began


def listing(board):
    """Files that belong to the disk, without what any running system and Python change."""
    out = board.run("find", "/etc", "/opt", "/usr", "/var", "/lib", "-xdev", "-print").out.splitlines()
    cached = [path for path in out if path.startswith("/usr/") and "__pycache__" in path]
    return {path for path in out if not path.startswith(BUSY)} - set(cached)


def accounts(board):
    return {name: board.read("/etc/" + name) for name in ("passwd", "group", "shadow", "gshadow")}


@pytest.fixture(scope="module")
def installed(board):
    """What was there before, and the installer's output."""
    before = listing(board), accounts(board)
    dry = service(board, "install", "--networks", MEDIA, "--dry-run")
    assert (listing(board), accounts(board)) == before and "would: " in dry.out
    done = service(board, "install", "--networks", MEDIA)
    assert "is installed and runs" in done.out
    return before


def test_it_is_installed_and_ready_when_the_first_frame_has_passed(board, installed):
    assert active(board)  # Type=notify: only READY=1 makes it so
    record = wait_for(lambda: [r for r in records(board) if r.get("faces") and r["fps"]["output"] > 5], "frames", 10.0)[-1]
    assert record["state"] == "RUNNING" and record["stages"]["align"]["model"] == "face_attention"  # ONNX Runtime is there
    said = wait_for(lambda: "tracking" in board.show(SERVICE, "StatusText")["StatusText"], "STATUS= in words", 15.0)
    assert said
    shown = board.run(NANOFACE, "service", "status").out
    assert "active (running)" in shown and "at boot    started" in shown and "RUNNING" in shown
    assert board.run(NANOFACE, "service", "logs", "--lines", "5").code == 0


def test_systemd_understands_every_line_of_the_units(running):
    said = running.run("systemd-analyze", "verify", SERVICE, "nanoface-clocks.service", "nanoface-argus.path",
                       "nanoface-argus.service", "nanoface-engines.path", ENGINES, "multi-user.target", check=False).out
    ours = [line for line in said.splitlines() if "nanoface" in line and "jetson_clocks" not in line]
    assert not ours and "cycle" not in said, said
    assert "Unknown" not in running.run("journalctl", "--no-pager", "--boot").out


def test_it_has_no_rights_but_those_that_it_needs(running):
    status = dict(line.split(":\t", 1) for line in running.read("/proc/{}/status".format(pid(running))).splitlines()
                  if ":\t" in line)
    user = running.run("id", "-u", "nanoface").out.strip()
    video = running.run("getent", "group", "video").out.split(":")[2]
    assert status["Uid"].split() == [user] * 4 and video in status["Groups"].split()
    assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0
    assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2"
    inside = ("nsenter", "-t", str(pid(running)), "-m", "--", "sh", "-c")
    assert running.run(*inside, "touch /etc/x /usr/x /opt/x", check=False).out.count("Read-only file system") == 3
    assert running.run(*inside, "touch /var/lib/nanoface/x /var/cache/nanoface/x /var/log/nanoface/x && "
                       "rm /var/lib/nanoface/x /var/cache/nanoface/x /var/log/nanoface/x").code == 0


def test_what_it_records_is_not_for_every_account_and_its_status_is(running):
    modes = running.run("stat", "--format", "%a %U %G", CONFIG, STATUS).out.splitlines()
    assert modes == ["640 root nanoface", "644 nanoface nanoface"]
    recorded = "/run/nanoface/faces.jsonl"
    running.write(CONFIG, CAMERA + 'outputs: ["jsonl:{}"]\n'.format(recorded))
    running.run("systemctl", "restart", SERVICE)
    wait_for(lambda: os.path.getsize(running.disk(recorded)) > 0, "records", 10.0)
    assert running.run("stat", "--format", "%a %U", recorded).out.split() == ["640", "nanoface"]
    anybody = ("runuser", "-u", "nobody", "--")
    assert running.run(*anybody, "cat", recorded, check=False).code != 0
    assert running.run(*anybody, "cat", CONFIG, check=False).code != 0
    shown = running.run(*anybody, NANOFACE, "service", "status").out
    assert "active (running)" in shown and "RUNNING" in shown
    running.write(CONFIG, CAMERA)
    running.run("systemctl", "restart", SERVICE)
    running.run("rm", recorded)


def test_installing_again_changes_nothing(running):
    before = listing(running)
    said = service(running, "install", "--networks", MEDIA).out
    assert "is there already" in said and "write " not in said and listing(running) == before and active(running)


def test_the_clocks_are_set_where_that_was_wanted_and_given_back(running):
    assert "jetson_clocks" not in running.run("sh", "-c", "cat /var/log/clocks", check=False).out
    service(running, "install", "--networks", MEDIA, "--clocks")
    lines = running.read("/var/log/clocks").splitlines()
    assert lines[0] == "nvpmodel -m 0" and lines[-1].strip() == "jetson_clocks"
    running.run("systemctl", "stop", "nanoface-clocks")
    assert "--restore" in running.read("/var/log/clocks").splitlines()[-1]
    assert running.run("systemctl", "is-enabled", "nanoface-clocks").out.strip() == "enabled"


def test_killed_it_is_back_after_the_pause(running):
    old = pid(running)
    running.run("kill", "-9", str(old))
    assert new_process(running, old, RESTART_S + START_S) >= RESTART_S - 1.0
    assert running.show(SERVICE, "Result")["Result"] == "success" and records(running)


def test_one_that_hangs_is_restarted_by_the_watchdog(running):
    old = pid(running)
    running.run("kill", "-STOP", str(old))
    new_process(running, old, 5 + 4 + RESTART_S + START_S)
    assert "watchdog" in journal(running).lower()
    time.sleep(6.0)  # longer than the watchdog waits: the new one gives signs of life
    assert active(running) and pid(running) != old


def test_it_stops_at_once_and_does_not_come_back(running):
    began = time.monotonic()
    running.run("systemctl", "stop", SERVICE)
    assert time.monotonic() - began < 3.0 * stretch()
    assert running.show(SERVICE, "Result", "ActiveState") == {"Result": "success", "ActiveState": "inactive"}
    assert records(running)[-1]["state"] == "STOPPED"
    said = journal(running)
    assert "RUNNING" in said and "STOPPED" in said and said.count("fps") <= 10  # no line for every few seconds
    running.run("systemctl", "start", SERVICE)


def test_live_outputs_are_served_in_the_same_sandbox_by_a_process_that_comes_back(running):
    wanted = {"vmc://127.0.0.1:39539": "nothing listens at 127.0.0.1:39539", "ws://": "nobody receives it",
              "mqtt://127.0.0.1:1/rooms/board": "no broker at 127.0.0.1:1"}
    if os.environ.get(BIONIC):  # the tree has no wheels of the others there
        wanted = {name: state for name, state in wanted.items() if name.startswith("vmc")}

    def served():
        rows = records(running)[-1].get("outputs", {})
        return all(state in rows.get(name, {}).get("state", "") for name, state in wanted.items())

    running.write(CONFIG, CAMERA + "outputs: {}\n".format(json.dumps(sorted(wanted))))
    running.run("systemctl", "restart", SERVICE)
    main = pid(running)
    wait_for(served, "the outputs' rows", 20.0)
    relay, = running.run("pgrep", "--parent", str(main), "--full", "relay").out.split()
    said = [running.read("/proc/{}/{}".format(process, name)).splitlines() for name in ("status", "cgroup")
            for process in (main, relay)]
    for name in ("Uid:", "CapEff:", "CapBnd:", "NoNewPrivs:", "Seccomp:"):
        one, other = ([line for line in lines if line.startswith(name)] for lines in said[:2])
        assert one == other != []
    assert said[2] == said[3] and SERVICE in said[2][-1]
    running.run("kill", "-9", relay)
    wait_for(lambda: set(running.run("pgrep", "--parent", str(main), "--full", "relay", check=False).out.split()) - {relay},
             "another relay", 20.0)
    wait_for(served, "the outputs' rows again", 20.0)
    assert pid(running) == main
    running.write(CONFIG, CAMERA)
    running.run("systemctl", "restart", SERVICE)
    assert running.run("pgrep", "--full", "relay", check=False).out == ""


def test_a_wrong_configuration_fails_once_and_says_what_is_wrong(running):
    running.write(CONFIG, CAMERA + "sauce:\n  spec: 1\n")
    failed = running.run("systemctl", "restart", SERVICE, check=False)
    assert failed.code != 0
    time.sleep(RESTART_S + 2.0)
    shown = running.show(SERVICE, "ActiveState", "NRestarts", "ExecMainStatus")
    assert shown == {"ActiveState": "failed", "NRestarts": "0", "ExecMainStatus": "2"}
    assert "there is no key sauce" in journal(running)
    assert "there is no key sauce" in service(running, "install", check=False).out
    running.write(CONFIG, CAMERA)
    running.run("systemctl", "restart", SERVICE)


def test_a_camera_that_is_absent_is_waited_for_and_not_replaced(running):
    with source(running, "/dev/video0"):  # ready: what it waits for is told
        assert active(running)
        record = wait_for(lambda: told(running, "/dev/video0", "DEGRADED"), "a record", 10.0)
        assert "/dev/video0" in record["reason"]
        wait_for(lambda: "DEGRADED: " + record["reason"] in journal(running), "a line that outlasts the status log", 5.0)
        assert "degraded" in running.show(SERVICE, "StatusText")["StatusText"]
        began = time.monotonic()
        running.run("systemctl", "stop", SERVICE)
        assert time.monotonic() - began < 3.0 * stretch()


@pytest.mark.parametrize("number", ["-KILL", "-STOP"])
def test_a_capture_process_that_dies_or_hangs_is_replaced_and_the_main_process_goes_on(running, number):
    if running.run("systemctl", "is-active", "netcamera", check=False).code != 0:
        running.run("systemd-run", "--unit=netcamera", "--setenv=PYTHONPATH=" + PROJECT, "--setenv=PYTHONDONTWRITEBYTECODE=1",
                    "python3", "/srv/netcamera.py")
        time.sleep(1.0)
    with source(running, NET_CAMERA):
        main = pid(running)
        wait_for(lambda: told(running, NET_CAMERA, "RUNNING").get("faces"), "a face", 15.0)
        child = running.run("pgrep", "--parent", str(main)).out.split()[0]
        running.run("rm", STATUS)
        running.run("kill", number, child)
        assert wait_for(lambda: told(running, NET_CAMERA, "DEGRADED"), "the loss to be told", 6.0)["reason"]
        wait_for(lambda: told(running, NET_CAMERA, "RUNNING").get("faces"), "a face again", 10.0)
        assert pid(running) == main and running.show(SERVICE, "NRestarts")["NRestarts"] == "0"
        assert running.run("pgrep", "--parent", str(main)).out.split() not in ([], [child])


@contextmanager
def source(board, spec):
    """With another source than the demo; then with the demo again."""
    board.write(CONFIG, CAMERA.replace("spec: portrait\n  pace: realtime\n  loop: true", "spec: " + spec))
    try:
        board.run("systemctl", "restart", SERVICE)
        yield
    finally:
        board.write(CONFIG, CAMERA)
        board.run("systemctl", "restart", SERVICE)


def told(board, spec, state):
    """The newest record, if it has this source in this state; else an empty one."""
    try:
        record = records(board)[-1]
    except (FileNotFoundError, IndexError):
        return {}
    return record if record["state"] == state and spec.strip("/") in record["source"] else {}


def test_it_waits_for_a_build_that_is_at_work_and_says_so(running):
    running.run("systemctl", "stop", SERVICE)
    running.run("systemd-run", "--unit=build", "flock", "--exclusive", "/opt/nanoface/current/home/plans/.lock", "sleep", "60")
    wait_for(lambda: running.run("pgrep", "-x", "sleep", check=False).code == 0, "the lock", 5.0)
    running.run("systemctl", "start", "--no-block", SERVICE)
    wait_for(lambda: "nanoface build" in running.show(SERVICE, "StatusText")["StatusText"], "the words", 10.0)
    assert running.show(SERVICE, "ActiveState")["ActiveState"] == "activating"
    running.run("systemctl", "stop", "build")
    wait_for(lambda: active(running), "the service", START_S)


def test_what_fails_at_every_start_is_given_up(running):
    drop_in = "/run/systemd/system/nanoface.service.d"
    running.run("mkdir", "-p", drop_in)
    running.write(drop_in + "/pause.conf", "[Service]\nRestartSec=0.2\nEnvironment=NANOFACE_HOME=/var/lib/nowhere\n")
    running.run("systemctl", "daemon-reload")
    assert running.run("systemctl", "restart", SERVICE, check=False).code != 0
    wait_for(lambda: running.show(SERVICE, "ActiveState")["ActiveState"] == "failed", "the end of the budget", 60.0)
    shown = running.show(SERVICE, "ExecMainStatus", "NRestarts")
    assert shown["ExecMainStatus"] == "4" and 3 <= int(shown["NRestarts"]) <= 5
    running.run("rm", "-r", drop_in)
    running.run("systemctl", "daemon-reload")
    running.run("systemctl", "reset-failed", SERVICE)
    running.run("systemctl", "start", SERVICE)


def test_the_csi_daemon_is_restarted_at_a_request_and_not_again_soon(running):
    def daemon():
        return running.show("nvargus-daemon.service", "MainPID")["MainPID"]

    def request():
        running.run("runuser", "-u", "nanoface", "--", "touch", "/run/nanoface/restart-argus")
        wait_for(lambda: not os.path.exists(running.disk("/run/nanoface/restart-argus")), "an answer", 10.0)

    before = daemon()
    request()
    wait_for(lambda: daemon() not in ("0", before), "a new daemon", 10.0)
    second = daemon()
    request()
    time.sleep(0.5)
    assert daemon() == second
    assert "not again" in running.run("journalctl", "--no-pager", "--unit", "nanoface-argus.service").out


HOSTILE = """
cd /var/lib/nanoface/*/ && ln -s /etc/shadow onnx/evil.onnx && ln -s /etc plans/evil && ln -sf /etc/shadow plans/.lock &&
ln -s /opt ../99.0 && ln -s /opt ../99.0.part && mkfifo ../pipe
"""


def test_an_upgrade_with_hostile_links_in_the_state_folder_is_refused_by_name(running):
    def of_root():
        names = ("/etc/shadow", "/etc/passwd", "/etc", "/opt", CONFIG)
        return running.run("stat", "--format", "%n %a %u %g %h %i", *names).out + running.run("sha256sum", *names[:2]).out

    before, current = of_root(), os.readlink(running.disk("/opt/nanoface/current"))
    running.run("runuser", "-u", "nanoface", "--", "sh", "-c", HOSTILE)
    running.run("cp", "-r", PROJECT, "/srv/hostile")
    running.run("sed", "-i", 's/^__version__ = .*/__version__ = "99.0"/', "/srv/hostile/edge/__init__.py")
    refused = service(running, "install", "--networks", MEDIA, source="/srv/hostile", check=False)
    assert refused.code == 4 and refused.out.count("\n") == 1 and "sudo rm /var/lib/nanoface/" in refused.out
    by_hand = running.run(NANOFACE, "build", env={"NANOFACE_HOME": "/opt/nanoface/current/home"}, check=False)
    assert by_hand.code == 4 and "plans/.lock is a link" in by_hand.out
    while "sudo rm " in refused.out:  # the cure that is told
        assert running.run("sh", "-c", refused.out.partition("remove it: sudo ")[2]).code == 0
        refused = service(running, "install", "--networks", MEDIA, "--dry-run", source="/srv/hostile", check=False)
    assert refused.code == 0 and of_root() == before
    assert os.readlink(running.disk("/opt/nanoface/current")) == current and active(running)
    running.run("rm", "-r", "/srv/hostile")


@contextmanager
def tensorrt(board):
    """JetPack's packages, played by the simulator, and the engines of two networks; `apt upgrade` is release()."""
    packages = board.run("sh", "-c", "ls -d /usr/local/lib/python3*/dist-packages").out.strip()
    names = sorted(name for name in os.listdir(SIMULATOR) if os.path.isdir(os.path.join(SIMULATOR, name)))
    for name in names:
        shutil.copytree(os.path.join(SIMULATOR, name), board.disk(os.path.join(packages, name)),
                        ignore=shutil.ignore_patterns("__pycache__"))
    release(board, "_settings.board().tensorrt", '"{}"'.format(FIRST_TENSORRT))  # as the real one has it
    board.write(CONFIG, CAMERA + "models:\n  pose: none\n  iris: none\n")
    settings(board, "NANOFACE_SIM_BUILD_S=4")  # long enough to be seen
    try:
        service(board, "install", "--networks", MEDIA)
        yield
    finally:
        board.write(CONFIG, CAMERA)
        for name in names:
            board.run("rm", "-r", os.path.join(packages, name))
        board.run("rm", "-r", os.path.dirname(SETTINGS))
        board.run("systemctl", "daemon-reload")
        board.run("systemctl", "reset-failed", SERVICE, ENGINES, check=False)
        board.run("systemctl", "restart", SERVICE)


def settings(board, text):
    """Of the simulator, for the unit that builds engines."""
    board.run("mkdir", "-p", os.path.dirname(SETTINGS))
    board.write(SETTINGS, "[Service]\nEnvironment='{}'\n".format(text))
    board.run("systemctl", "daemon-reload")


def release(board, old, new):
    board.run("sh", "-c", "sed -i 's/{}/{}/' /usr/local/lib/python3*/dist-packages/tensorrt/__init__.py "
              "/usr/local/lib/python3*/dist-packages/nanoface_simulator/settings.py".format(old, new))


def began(board):
    """The last run of the unit that builds engines."""
    return board.show(ENGINES, "ExecMainStartTimestampMonotonic")["ExecMainStartTimestampMonotonic"]


def runs_on(board, backend):
    """Waits until the newest record has faces, found by this runtime in both networks."""
    def told_so():
        record = records(board)[-1]
        stages = record["stages"] if record.get("faces") else {}
        return [stages.get(name, {}).get("backend", "").split(" ")[0] for name in ("detect", "align")] == [backend] * 2

    wait_for(told_so, "faces by {}".format(backend), START_S)


def test_an_update_of_tensorrt_has_the_engines_rebuilt_with_nothing_to_type(running):
    with tensorrt(running):
        wait_for(lambda: active(running), "the service", START_S)
        runs_on(running, "tensorrt")
        assert began(running) == "0"
        release(running, FIRST_TENSORRT, "8.2.5.1")
        running.run("rm", STATUS)
        running.run("systemctl", "restart", "--no-block", SERVICE)
        wait_for(lambda: re.search(r"rebuilt for TensorRT 8.2.5.1: ./2 ", running.show(
            SERVICE, "StatusText")["StatusText"]), "the words", BUILD_S)
        assert running.show(SERVICE, "ActiveState")["ActiveState"] == "activating"
        assert "rebuilt now: " in running.run(NANOFACE, "service", "status", check=False).out
        record = records(running)[-1]
        assert record["state"] == "STARTING" and record["reason"].startswith("the engines are rebuilt for TensorRT 8.2.5.1")
        wait_for(lambda: active(running), "the service with engines that fit", BUILD_S)
        runs_on(running, "tensorrt")
        assert running.show(SERVICE, "NRestarts")["NRestarts"] == "0"
        said = running.run(NANOFACE, "service", "logs").out
        assert "2 of 2 plans are ready" in said and "STARTING: the engines are rebuilt" in said
        once = began(running)
        running.run("systemctl", "restart", SERVICE)
        runs_on(running, "tensorrt")
        assert began(running) == once != "0"


def test_engines_that_cannot_be_rebuilt_are_tried_once_and_reported_with_the_cure(running):
    with tensorrt(running):
        wait_for(lambda: active(running), "the service", START_S)
        settings(running, 'NANOFACE_SIM_FAULTS={"build_none": true}')
        release(running, FIRST_TENSORRT, "8.2.5.2")
        running.run("systemctl", "restart", SERVICE)
        runs_on(running, "onnxruntime")  # what else there is
        wait_for(lambda: records(running)[-1]["state"] == "DEGRADED", "the reason", START_S)
        assert "2 engines do not fit TensorRT 8.2.5.2" in records(running)[-1]["reason"]
        assert "could not be rebuilt" in running.run(NANOFACE, "service", "status").out
        once = began(running)
        running.write(CONFIG, running.read(CONFIG) + "  runtime: tensorrt\n")
        assert running.run("systemctl", "restart", SERVICE, check=False).code != 0
        time.sleep(RESTART_S + 2.0)
        shown = running.show(SERVICE, "ActiveState", "NRestarts", "ExecMainStatus", "StatusText")
        assert (shown["ActiveState"], shown["NRestarts"], shown["ExecMainStatus"]) == ("failed", "0", "6"), shown
        assert records(running)[-1]["state"] == "FAILED" and began(running) == once
        cure = "sudo " + NANOFACE + " service rebuild"
        assert "run `{}`".format(cure) in journal(running)
        running.run(*cure.split()[1:])
        wait_for(lambda: active(running), "the service", START_S)
        runs_on(running, "tensorrt")


def test_a_new_version_stands_beside_the_old_one_and_goes_back(running):
    first = os.readlink(running.disk("/opt/nanoface/current"))
    running.run("cp", "-r", PROJECT, "/srv/next")
    running.run("sed", "-i", 's/^__version__ = .*/__version__ = "99.0"/', "/srv/next/edge/__init__.py")
    service(running, "install", "--networks", MEDIA, source="/srv/next")
    assert running.run(NANOFACE, "--version").out.strip() == "nanoface 99.0" and active(running)
    running.run(NANOFACE, "service", "rollback")
    assert os.readlink(running.disk("/opt/nanoface/current")) == first and active(running)
    assert os.readlink(running.disk("/opt/nanoface/previous")) == "99.0"


def test_after_a_reboot_it_is_up_by_itself(running):
    running.run("systemctl", "reboot", check=False)
    running.wait_off()
    running.power_on()
    wait_for(lambda: active(running), "the service", START_S)
    assert running.show(SERVICE, "NRestarts")["NRestarts"] == "0"
    wait_for(lambda: os.path.exists(running.disk(STATUS)) and records(running)[-1].get("faces"), "frames", 10.0)


def test_after_a_power_cut_it_is_up_by_itself(running):
    running.close()
    running.power_on()
    assert wait_for(lambda: active(running), "the service", START_S)
    wait_for(lambda: os.path.exists(running.disk(STATUS)) and records(running)[-1].get("faces"), "frames", 10.0)


def test_uninstalled_it_leaves_nothing(running, installed):
    files, people = installed
    running.run("rm", "-r", "/etc/systemd/system/nanoface.service.d", "/srv/next")
    service(running, "uninstall")
    left = sorted(listing(running) - files)
    assert left[0] == "/var/lib/nanoface" and all(path.startswith("/var/lib/nanoface") for path in left), left
    assert running.read(CONFIG) == CAMERA
    service(running, "uninstall", "--purge")
    gone = {path for path in files if path.startswith(("/etc/nanoface", "/etc/systemd/system/nanoface.service.d"))}
    assert listing(running) == files - gone and accounts(running) == people
    assert not os.path.exists(running.disk("/run/nanoface"))
    units = running.run("systemctl", "list-units", "--all", "--no-legend", "--no-pager").out
    assert not [line for line in units.splitlines() if line.split()[0].startswith("nanoface")]
    running.close()
    assert not subprocess.run(["pgrep", "-f", running.folder], stdout=subprocess.PIPE).stdout, tail(running.console)
