"""docs/coming-from.md: every command of its tables is run, in a folder with the files that it names, and what it made is read.

What a machine of the tests lacks is replaced: a camera by a film that is played again and again at its own pace for as many
frames as coming_from.LIVE_FRAMES, a window by its newest picture, a port by one that is free, DISCOVER's server is asked and
ended. The runtime is the one that is loaded most quickly, unless the line names one.
"""
import os
import re
import shlex
import shutil
import socket
import urllib.request

import pytest

cv2 = pytest.importorskip("cv2")

from coming_from import CHECKS, FRAMES, LIVE_FRAMES, PICTURES, SIDE
from in_process import InProcess
from patience import PATIENCE_S, wait_until
from whole_runs import DEFAULT_NETWORKS, ROOT, finish, launch, need_networks, need_runtime, quick

from edge.store import models

ROW = re.compile(r"^\| (?!there |---)(.*?) \| (.*?) \| ?(.*?) ?\|$", re.MULTILINE)
SYSTEMS = ("3DDFA_V2", "DISCOVER", "DLVYF", "ailia FaceMesh", "OpenVINO FaceMesh")
PORT, WINDOW, CAMERA = "6789", "--output window", re.compile(r"(?<= )0(?= |$)")


def tables():
    """System -> its rows, each (there, here, mind)."""
    with open(os.path.join(ROOT, "docs", "coming-from.md"), encoding="utf-8") as f:
        sections = re.split(r"^## (.*)\n", f.read(), flags=re.MULTILINE)[1:]
    return {system: ROW.findall(text) for system, text in zip(sections[::2], sections[1::2])}


def commands():
    return [here.strip("`") for rows in tables().values() for _, here, _ in rows]


def test_every_system_has_a_table_and_every_row_a_check():
    found = commands()
    assert tuple(tables()) == SYSTEMS and all(len(rows) >= 5 for rows in tables().values())
    assert len(set(found)) == len(found) and set(found) == set(CHECKS)
    for _, here, _ in sum(tables().values(), []):
        assert re.match(r"`nanoface [^`]+`\Z", here), "one command stands there: " + here


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """The files that the page names."""
    folder = tmp_path_factory.mktemp("yours")
    face = cv2.resize(cv2.imread(os.path.join(ROOT, "edge", "sources", "portrait.jpg")), (SIDE, SIDE))
    (folder / "photos").mkdir()
    for name in ("face.jpg",) + tuple("photos/" + name for name in PICTURES):
        assert cv2.imwrite(str(folder / name), face)
    film = cv2.VideoWriter(str(folder / "clip.mp4"), cv2.VideoWriter_fourcc(*"mp4v"), 30.0, (SIDE, SIDE))
    for number in range(FRAMES):
        film.write(cv2.warpAffine(face, cv2.getRotationMatrix2D((SIDE / 2, SIDE / 2), 1.0 * number, 1.0), (SIDE, SIDE)))
    film.release()
    (folder / "WIDER" / "images" / "0--Portrait").mkdir(parents=True)
    shutil.copy(str(folder / "face.jpg"), str(folder / "WIDER" / "images" / "0--Portrait" / "face.jpg"))
    (folder / "WIDER" / "wider_face_val_bbx_gt.txt").write_text("0--Portrait/face.jpg\n1\n72 45 100 130 0 0 0 0 0 0\n")
    return folder


@pytest.fixture
def nanoface(models_home, inputs, tmp_path, capfd):
    """In this process: a hundredth of what each row takes is what it is about."""
    need_runtime("openvino", "onnxruntime")
    need_networks(models_home, *DEFAULT_NETWORKS)
    for name in os.listdir(str(inputs)):
        (shutil.copytree if (inputs / name).is_dir() else shutil.copy)(str(inputs / name), str(tmp_path / name))
    return InProcess(tmp_path, capfd, models_home)


def configured(folder, live, openvino):
    """The path of a configuration: the quickest runtime, unless a file is OpenVINO's; a camera's first frames."""
    path = os.path.join(folder, "quick.yaml")
    with open(path, "w") as f:
        f.write("status: {path: none}\n" + ("models: {runtime: onnxruntime}\n" if quick() and not openvino else ""))
        if live:
            f.write("source: {{loop: true, pace: realtime, max_frames: {}}}\n".format(LIVE_FRAMES))
    return path


@pytest.mark.parametrize("command", commands())
def test_what_you_type_here_does_it(nanoface, command):
    for name in ("onnxruntime", "openvino"):
        if "--runtime " + name in command:
            need_runtime(name)
    before(command, nanoface)
    server = Server() if "socketio://" in command else None
    port, live = server.port if server else free_port(), bool(CAMERA.search(command))
    here = CAMERA.sub("clip.mp4", command).replace(PORT, str(port)).replace(WINDOW, "--output image:seen.jpg")
    words, path = shlex.split(here)[1:], configured(nanoface.folder, live, ".xml" in here)
    if words[:2] == ["discover", "serve"]:
        done = asked(nanoface, words + ["--port", str(port)], path, port)
    elif "socketio" in command:  # which forks, and numpy's threads, where it has any, would not live through that
        done = finish(nanoface.folder, launch(nanoface.folder, nanoface.home, words, NANOFACE_CONFIG=path))
    else:
        done = nanoface(*words, NANOFACE_CONFIG=path)
    assert done.code == 0 and "Traceback" not in done.err, done.err
    done.request = server.request() if server else b""
    CHECKS[command](done)


class Server:
    """What is asked of it waits in its queue until it is read."""

    def __init__(self):
        self._listening = socket.socket()
        self._listening.bind(("127.0.0.1", 0))
        self._listening.listen(8)
        self.port = self._listening.getsockname()[1]

    def request(self):
        with self._listening:
            self._listening.settimeout(PATIENCE_S)
            peer = self._listening.accept()[0]
            with peer:
                peer.settimeout(PATIENCE_S)
                return peer.recv(4096)


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def asked(nanoface, words, config, port):
    """A server in a process of its own: what it answers, and how it ends on Ctrl-C."""
    import signal

    process = launch(nanoface.folder, nanoface.home, words, NANOFACE_CONFIG=config)
    try:
        answer = wait_until(lambda: get("http://127.0.0.1:{}/job_status_all".format(port)), "the server answers")
        process.send_signal(signal.SIGINT)
        done = finish(nanoface.folder, process)
    finally:
        if process.poll() is None:
            process.kill()
    done.answer = answer
    return done


def get(address):
    try:
        return urllib.request.urlopen(address, timeout=PATIENCE_S).read().decode()
    except OSError:
        return ""


def before(command, nanoface):
    """Files that a row needs and that others would bring along."""
    folder = nanoface.folder
    if "--boxes" in command:
        made = nanoface("clip.mp4", "--output", "ssi-box:face_bounding_box.stream",
                        NANOFACE_CONFIG=configured(folder, False, False))
        assert made.code == 0, made.err
    if "facemesh.onnx" in command:
        shutil.copy(models.locate(nanoface.home, "face_landmark").file, os.path.join(folder, "facemesh.onnx"))
    if "facemesh_pth" in command:
        need_networks(nanoface.home, "facemesh_pth")
    if "fmr_8and16" in command:
        need_networks(nanoface.home, "fmr_8and16")
    if "face-detection-0202.xml" in command:
        finds_one_face(os.path.join(folder, "face-detection-0202.xml"))


def finds_one_face(path):
    """In the place of Intel's network, which is not ours to give: its shapes, and the place of this portrait's face."""
    openvino = pytest.importorskip("openvino")
    ops = pytest.importorskip("openvino.opset8")
    import numpy as np

    image = ops.parameter([1, 3, 384, 384], np.float32, name="image")
    nothing = ops.multiply(ops.reduce_max(image, np.array([0, 1, 2, 3]), False), np.float32(0.0))
    found = np.zeros((1, 1, 200, 7), np.float32)
    found[0, 0, :, 0] = -1.0
    found[0, 0, 0] = (0.0, 0.0, 0.99, 0.34, 0.27, 0.65, 0.63)
    openvino.save_model(openvino.Model([ops.add(ops.constant(found), nothing)], [image], "det"), path, compress_to_fp16=False)
