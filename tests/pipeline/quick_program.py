"""`nanoface` on made-up networks: it starts at once and tracks as quickly as it can, for tests that end it in every way.

$NANOFACE_TEST_TROUBLE makes it hang: "load" while a network is loaded, "stage" at a frame, "source" in a read.
$NANOFACE_TEST_CAMERA: the file of a stand-in camera, in the place of every source. $NANOFACE_TEST_BOARD: the root of a board's
files.
"""
import os
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.dirname(os.path.dirname(HERE)), os.path.dirname(HERE)]

TROUBLE, CAMERA, BOARD = "NANOFACE_TEST_TROUBLE", "NANOFACE_TEST_CAMERA", "NANOFACE_TEST_BOARD"
HANG_AT, FOR_EVER_S = 20, 600.0
LOADING = "loading"  # a file that appears where "load" begins to hang


class Networks:
    """In the place of app.Networks."""

    def __init__(self, config, report):
        from fakes.tracker import good

        self._answers, self._detect = good(), config.models.detect

    def detector(self):
        from edge.models.detectors.table import make_detector

        runner, network = self.required("detect", self._detect)
        return runner, make_detector(network.name)

    def required(self, role, candidates):
        from fakes.tracker import DECODE, Answering

        from edge.store.models import StoredNetwork

        runner = Answering(role, lambda: self._answer(role))
        usual = runner.open
        runner.open = lambda: self._open(usual)
        name = "face_landmark" if role == "align" else candidates[0]  # whose made-up answers these are
        return runner, StoredNetwork(name, "", "", DECODE, role, "")

    def optional(self, role, candidates, instead):
        return self.required(role, candidates)

    def head(self):
        from edge.face import head as heads

        return heads.measured()

    @staticmethod
    def _open(usual):
        if os.environ.get(TROUBLE) == "load":
            open(LOADING, "w").close()
            time.sleep(FOR_EVER_S)
        usual()

    def _answer(self, role):
        if role == "align" and os.environ.get(TROUBLE) == "stage":
            time.sleep(FOR_EVER_S)
        return self._answers[role]


def hanging(make):
    """A source whose read() does not come back after some frames, and that counts as live."""
    def hang_later(options):
        source = make(options)
        read, count = source.read, []

        def read_or_hang(timeout_s):
            if len(count) >= HANG_AT:
                time.sleep(FOR_EVER_S)
            count.append(1)
            return read(timeout_s)

        source.read, source.live = read_or_hang, True
        return source
    return hang_later


def stand_in(options):
    """A camera that a process of its own reads."""
    from fakes.standin import StandIn

    from edge.sources.child.parent import ChildBackend
    from edge.sources.live.device import DEFAULT_TIMEOUTS
    from edge.sources.live.source import LiveSource
    from edge.sources.picture import FrameTransform

    opener, shape = StandIn(os.environ[CAMERA], 30.0, size=(480, 640)), FrameTransform(options, scale=False)
    return LiveSource(opener, shape, backend=ChildBackend(opener, shape, DEFAULT_TIMEOUTS))


def main(words):
    from edge.app import chain
    from edge.app import run as app
    from edge.cli import main as cli
    from edge.pipeline import ends, pipeline

    chain.Networks = Networks
    if os.environ.get(TROUBLE) == "source":
        app.make_source = hanging(app.make_source)
    if os.environ.get(CAMERA):
        app.make_source = stand_in
    if os.environ.get(BOARD):
        board = app.BoardReader
        app.BoardReader = lambda: board(os.environ[BOARD], jtop=False, interval_s=0.2)
    ends.HANG_S = pipeline.HANG_S = 0.3
    return cli.main(words)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
