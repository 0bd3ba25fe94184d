"""From the text of `--source` to the object that reads it."""
import logging
import sys
from typing import Any, Callable, Tuple

import cv2

from edge.core.contracts import Source
from edge.core.errors import ConfigError
from edge.core.redact import learn
from edge.host.process import is_tegra
from edge.sources import spec
from edge.sources.child.parent import ChildBackend
from edge.sources.films.video import VideoFile
from edge.sources.live import gstreamer
from edge.sources.live.camera import SEARCH_TIMEOUTS, CameraOpener, FirstCamera, camera_mode
from edge.sources.live.controls import NOT_HERE, asked
from edge.sources.live.device import DEFAULT_TIMEOUTS, Opener, Timeouts
from edge.sources.live.source import LiveSource
from edge.sources.live.stream import STREAM_TIMEOUTS, StreamOpener
from edge.sources.origin import Trust
from edge.sources.picture import FrameTransform
from edge.sources.pictures.images import Pictures
from edge.sources.portrait import Portrait
from edge.sources.recorded import RecordedSource, Recording
from edge.sources.replay import Replay, check_replay
from edge.sources.spec import Kind, SourceOptions

log = logging.getLogger(__name__)
Factory = Callable[..., Any]


def make_source(options: SourceOptions, factory: Factory = cv2.VideoCapture) -> Source:
    """The source, not yet opened. Raises ConfigError for what does not fit, SourceError for what does not exist."""
    spec.check(options)
    if options.spec is None:
        spec.check_live(options, "a camera")
        return _first_camera(options, factory)
    learn(options.spec)
    hidden = spec.hides_file(options.spec)
    if hidden:
        log.warning("--source %s is not the file of that name here, which is ./%s", hidden, hidden)
    kind = spec.classify(options.spec)
    if kind.kind == spec.RECORD:
        check_replay(options)
    if kind.kind not in spec.LIVE_KINDS:
        return RecordedSource(_recording(kind, options), options)
    spec.check_live(options, options.spec)
    if kind.kind == spec.CAMERA:
        opener: Opener = CameraOpener(kind.target, camera_mode(options), factory, options.controls)
        return _live(opener, FrameTransform(options, scale=False), options)
    has_own_rate = kind.kind == spec.RTSP or kind.kind == spec.GST and not kind.target.startswith("/dev/")
    if has_own_rate and options.fps is not None:
        raise ConfigError("--fps: {} comes at its own rate; leave it out".format(options.spec))
    if kind.kind == spec.RTSP:
        opener = StreamOpener(kind.target, factory, Trust(options.tls, options.ca_file))
        opener.notes = NOT_HERE if asked(options.controls) else ()
        return _live(opener, FrameTransform(options, scale=True), options, STREAM_TIMEOUTS)
    opener, transform = _gstreamer_opener(kind, options, factory)
    return _live(opener, transform, options)


def _first_camera(options: SourceOptions, factory: Factory) -> Source:
    """The search does the waiting; each camera gets only as long as it takes to see whether it works."""
    mode, transform, one = camera_mode(options), FrameTransform(options, scale=False), options._replace(wait=False)

    def make(device: str) -> LiveSource:
        return _live(CameraOpener(device, mode, factory, options.controls), transform, one, SEARCH_TIMEOUTS)

    return FirstCamera(make, mode.fps, wait=options.wait)


def _live(opener: Opener, transform: FrameTransform, options: SourceOptions,
          timeouts: Timeouts = DEFAULT_TIMEOUTS) -> LiveSource:
    """Read by a process of its own where that is configured; it needs Linux."""
    linux = sys.platform.startswith("linux")
    if options.process == spec.CHILD and not linux:
        raise ConfigError("source.process child needs Linux: use thread")
    child = linux and options.process in (spec.CHILD, spec.AUTO)
    return LiveSource(opener, transform, timeouts, ChildBackend(opener, transform, timeouts) if child else None, options.wait)


def _recording(kind: Kind, options: SourceOptions) -> Recording:
    if kind.kind == spec.PORTRAIT:
        return Portrait(options.fps)
    if kind.kind == spec.RECORD:
        return Replay(kind.target, options.fps, options.most_pixels)
    if kind.kind == spec.IMAGES:
        return Pictures(kind.target, kind.paths, options.fps, options.most_pixels, kind.passed)
    return VideoFile(kind.target, options.fps, options.most_pixels)


def _gstreamer_opener(kind: Kind, options: SourceOptions, factory: Factory) -> Tuple[Opener, FrameTransform]:
    """The ribbon camera's pipeline flips and rotates by itself; another one's pictures are flipped here."""
    mode = camera_mode(options)
    if kind.kind == spec.CSI:
        camera = gstreamer.CsiCamera(int(kind.target), mode, options.flip, options.rotate, options.controls)
        opener = gstreamer.GstOpener("csi://" + kind.target, gstreamer.csi(camera), factory, mode.fps)
        opener.wanted = mode._replace(width=mode.height, height=mode.width) if options.rotate in (90, 270) else mode
        return opener, FrameTransform(SourceOptions(), scale=False)
    pipeline = gstreamer.user_pipeline(kind.target, mode, is_tegra(), options.tls == spec.INSECURE)
    device = kind.target if kind.target.startswith("/dev/") else ""
    opener = gstreamer.GstOpener("gst:" + kind.target, pipeline, factory, None, device, options.controls)
    if not device and asked(options.controls):
        opener.notes = NOT_HERE
    return opener, FrameTransform(options, scale=True)
