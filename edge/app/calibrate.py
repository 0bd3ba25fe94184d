"""Taking a neutral face from a source of its own: the stages that see, and the capture."""
import os
from contextlib import ExitStack
from typing import Callable, List, NamedTuple, Optional, Tuple

from edge.app.camera import camera_of
from edge.app.chain import make_stages
from edge.app.ends import source_options
from edge.app.networks import Report
from edge.config.load import Config
from edge.core import clock
from edge.core.contracts import Source, Stage
from edge.core.errors import FrameError, SourceError
from edge.core.packet import Face, Frame, Packet
from edge.face.capture import NeutralCapture, Progress, told
from edge.face.neutral import Taken
from edge.host import commands
from edge.models.warp import use_one_thread
from edge.sources.choose import make_source
from edge.stages.resting import signals_of
from edge.store import lock
from edge.store.models import home_dir

READ_S = 0.2
NO_PICTURES_S = 15.0
FACES = 2  # a second one is to be noticed


class NotOpened(SourceError):
    """Maybe because another program holds the camera."""


class Asked(NamedTuple):
    name: str
    seconds: float  # of good frames
    countdown_s: float  # of a live source


Show = Callable[[float, str], None]  # how far it is, 0..1, and why the newest frame does not count


def take_neutral(config: Config, asked: Asked, report: Report, show: Show) -> Taken:
    """Raises SourceError where the face cannot be taken, and what a run raises."""
    use_one_thread()
    config = config._replace(tracking=config.tracking._replace(max_faces=max(FACES, config.tracking.max_faces), follow=True),
                             smoothing=config.smoothing._replace(enabled=False))
    source = make_source(source_options(config))
    if source.facts is not None:
        raise SourceError("a neutral face is taken from pictures, and {} holds points alone: give a film, a camera or a "
                          "picture".format(source.name))
    stages = make_stages(config, source.stills, report, source.live)
    chain: List[Stage] = [stage for stage in (stages.detect, stages.align, stages.pose, stages.iris)
                          if stage is not None]
    camera = camera_of(config)
    capture = NeutralCapture(asked.name, stages.align.runners[0].model, asked.seconds, source.stills)
    with ExitStack() as closing:
        closing.enter_context(lock.tracking(home_dir(), lambda: report("note", "waiting for the engines"), lambda: False))
        closing.callback(source.close)
        _open(source, config.source.spec is not None)
        for stage in chain:
            closing.callback(stage.close)
            stage.open()
        _count_down(source, asked.countdown_s if source.live else 0.0, show)
        progress = Progress(0.0, "")
        taken = 0
        while progress.taken is None and not progress.failed:
            frame = _read(source) if taken != config.source.max_frames else None
            taken += 1
            if frame is None:
                progress = capture.finish()
                break
            here = camera.of_size(frame.image.shape[1], frame.image.shape[0])
            faces = [signals_of(face, here, frame.image) for face in _seen(chain, frame)]
            progress = capture.feed(faces, frame.time_s)
            show(progress.done, told(progress))
    if progress.taken is None:
        raise SourceError("the neutral face was not taken: {}".format(progress.failed))
    return progress.taken


def _open(source: Source, named: bool) -> None:
    """Raises NotOpened that says who may hold the camera, and how to have that one take the face."""
    try:
        source.open()
    except SourceError as e:
        hint = ""
        if source.live and not commands.is_installed() and os.path.exists(commands.INSTALLED):
            hint = "; where the service holds it: sudo -u {} {} calibrate neutral".format(commands.USER, commands.INSTALLED)
        elif source.live and named and lock.in_use(home_dir()):
            hint = "; the tracker that runs here takes the face where no source is named: {}".format(
                commands.command("calibrate neutral"))
        raise NotOpened(str(e) + hint)


def _count_down(source: Source, seconds: float, show: Show) -> None:
    """Frames are read and passed over: the exposure settles meanwhile."""
    until = clock.monotonic() + seconds
    while clock.monotonic() < until:
        left_s = until - clock.monotonic()
        show(-left_s, "")
        _read(source)


def _read(source: Source) -> Optional[Frame]:
    """None at the end of a recording."""
    since = clock.monotonic()
    while clock.monotonic() - since <= NO_PICTURES_S:
        try:
            frame = source.read(READ_S)
        except EOFError:
            return None
        if frame is not None:
            return frame
    raise SourceError("{} gives no pictures{}".format(source.name, ": " + source.trouble if source.trouble else ""))


def _seen(chain: List[Stage], frame: Frame) -> Tuple[Face, ...]:
    """None of a frame that a stage does not take."""
    packet: Optional[Packet] = Packet(frame)
    try:
        for stage in chain:
            packet = stage.process(packet) if packet is not None else None
    except FrameError:
        return ()
    return () if packet is None else packet.faces
