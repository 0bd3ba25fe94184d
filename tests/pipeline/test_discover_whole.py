"""`nanoface discover` as a user runs it: jobs on real networks, options that act, and no job that outlives its server."""
import os
import signal
import socket
import subprocess

import pytest
from discover_client import ERROR, FINISHED, RUNNING, VIDEO, Client, entry, film_to_points
from in_process import InProcess
from patience import PATIENCE_S, wait_until
from whole_runs import ROOT, finish, need_networks, quick, whole_program

from edge.discover.trainers import BLAZEFACE, FACEMESH, TRAINERS, choose, output_text, run_words
from edge.host import ffmpeg
from edge.ssi.stream import read_stream

PORTRAIT = os.path.join(ROOT, "edge", "sources", "portrait.jpg")


def write_film(path, *words):
    done = subprocess.run([ffmpeg.find().path, "-nostdin", "-v", "error", "-y"] + list(words) + [
        "-c:v", "mpeg4", "-q:v", "2", "-threads", "1", path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120)
    assert done.returncode == 0, done.stderr.decode("utf-8", "replace")[-500:]


@pytest.fixture(scope="module")
def program(models_home, tmp_path_factory):
    found = whole_program(models_home, tmp_path_factory)
    need_networks(models_home, "blazeface_full", "blazeface_short")
    return found


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """A face that moves, for six frames, and nothing in two."""
    path = str(tmp_path_factory.mktemp("film") / "face.mp4")
    write_film(path, "-loop", "1", "-framerate", "10", "-i", PORTRAIT, "-frames:v", "8", "-vf",
               "crop=iw-64:ih-64:n*6:n*4,scale=640:480,geq=lum='lum(X,Y)*lt(N,6)':cb=128:cr=128")
    return path


@pytest.fixture(scope="module")
def long_film(tmp_path_factory):
    path = str(tmp_path_factory.mktemp("film") / "long.mp4")
    write_film(path, "-f", "lavfi", "-i", "testsrc=size=320x240:rate=25", "-t", "120")
    return path


@pytest.fixture
def serve(program):
    begun = []

    def start():
        begun.append(Serving(program))
        return begun[-1]
    yield start
    for one in begun:
        if one.process.poll() is None:
            one.end(signal.SIGKILL)


@pytest.fixture(scope="module")
def known():
    """Trainer and options -> what values() found."""
    return {}


@pytest.fixture
def values(program, models_home, known, film, tmp_path, tmp_path_factory, capfd):
    """Of each of the streams that a trainer writes with these options. In this process: another one takes longer to load."""
    nanoface = InProcess(tmp_path, capfd, models_home)

    def of(trainer, **options):
        key = trainer.name, tuple(sorted(options.items()))
        if key not in known:
            folder = tmp_path_factory.mktemp("streams")
            outputs = [io for io in trainer.ios if io.type == "output"]
            paths = [str(folder / (io.ids[0] + ".stream")) for io in outputs]
            chosen = choose(trainer, options)
            words = run_words(film, "", [output_text(io.what, path, chosen.keys) for io, path in zip(outputs, paths)], chosen)
            done = nanoface(*(words + list(quick())))
            assert done.code == 0, done.err
            known[key] = [read_stream(path, None).values for path in paths]
        return known[key]
    return of


CHANGED = {
    "facemesh": dict(confidence="logit", aligner="face_landmark", smoothing=True, min_score_thresh="1", presence="1"),
    "blazeface": dict(model="front", min_suppression_thresh=0.99, min_score_thresh=1, force_square_ar=False,
                      repeat_last="False"),
}


def test_every_option_that_is_offered_is_tried():
    assert {name: [option.name for option in one.options] for name, one in TRAINERS.items()} == {
        name: list(changed) for name, changed in CHANGED.items()}


@pytest.mark.parametrize("trainer, name", [(one, option.name) for one in (FACEMESH, BLAZEFACE) for option in one.options],
                         ids=lambda value: value if isinstance(value, str) else value.name)
def test_every_option_changes_what_is_written(values, trainer, name):
    usual, changed = values(trainer), values(trainer, **{name: CHANGED[trainer.name][name]})
    assert [one.shape for one in usual] == [one.shape for one in changed] == [
        (8, {"landmarks": 937 if trainer is FACEMESH else 13, "bounding_box": 5}[io.ids[0]])
        for io in trainer.ios if io.type == "output"]
    assert (usual[0] != changed[0]).any()  # of blazeface the boxes


def test_a_box_and_six_points_of_every_frame_with_a_face(values):
    boxes, points = values(BLAZEFACE)
    assert (boxes[:6, 4] > 0.5).all() and (boxes[6:, 4] == 0).all() and (boxes[6:, :4] == boxes[5, :4]).all()
    (y0, x0, y1, x1), eyes = boxes[2, :4], points[2]
    assert eyes[1] < eyes[5] < eyes[3]  # the right eye, the nose, the left eye, from the picture's left
    assert all(x0 < x < x1 and y0 < y < y1 for y, x in eyes[:8].reshape(4, 2)) and eyes[0] < eyes[4] < eyes[6]
    assert abs((y1 - y0) * 480 - (x1 - x0) * 640) < 1.0


class Serving:
    def __init__(self, program, *words):
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            port = one.getsockname()[1]
        self.folder, self.process = program.start("discover", "serve", "--port", str(port), *words)
        self.client = Client(port)
        assert "http://127.0.0.1:{}/".format(port) in self.process.stdout.readline()

    def end(self, number):
        self.process.send_signal(number)
        return finish(self.folder, self.process)


def runs(target):
    """The processes that write there."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/{}/cmdline".format(pid), "rb") as f:
                found += [pid] if target.encode() in f.read() else []
        except OSError:  # it has ended
            pass
    return found


def test_a_client_gets_its_points_from_boxes_that_it_got_before(serve, film):
    serving = serve()
    client, boxes, points = serving.client, os.path.join(serving.folder, "b.stream"), os.path.join(serving.folder, "p.stream")
    with open(film, "rb") as f:
        stored = client.upload("clip.mp4", f.read()).body.decode()
    client.process("boxes", [entry("input", "video", stored, kind=VIDEO), entry("output", "bounding_box", boxes)],
                   "modules\\blazeface\\blazeface.trainer", options='{"model": "front"}')
    client.process("points", [entry("input", "bounding_box", boxes)] + film_to_points(stored, points))
    assert client.wait("boxes") == FINISHED and client.wait("points") == FINISHED, client.log("points")
    found = read_stream(points, 937)
    assert found.values.shape == (8, 937) and (found.values[:6, 936] > 0.5).all() and (found.values[6:, 936] == 0).all()
    client.process("none", film_to_points(os.path.join(serving.folder, "b.stream"), points))
    assert client.wait("none") == ERROR and "nanoface: " in client.log("none")
    done = serving.end(signal.SIGTERM)
    assert done.code == 0 and not done.err


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=["kill -9", "SIGTERM", "Ctrl-C"])
def test_no_end_of_the_server_leaves_a_job_or_half_a_stream(serve, long_film, number):
    serving = serve()
    target = os.path.join(serving.folder, "x.stream")
    serving.client.process("long", film_to_points(long_film, target))
    serving.client.wait("long", RUNNING)
    wait_until(lambda: os.path.exists(target + "~") and os.path.getsize(target + "~") > 937 * 4 or not runs(target) and
               serving.client.status("long") != RUNNING)
    assert runs(target), serving.client.log("long")
    done = serving.end(number)
    wait_until(lambda: not runs(target), patience_s=PATIENCE_S)
    assert done.code == (-number if number == signal.SIGKILL else 0) and "Traceback" not in done.err
    found = read_stream(target, 937)
    assert 0 < len(found.values) <= 3000 and sum(chunk.num for chunk in found.header.chunks) == len(found.values)
