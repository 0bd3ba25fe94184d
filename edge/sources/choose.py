"""From the text of `--source` to the object that reads it."""
import os
from typing import Any, Callable

import cv2

from edge.core.contracts import Source
from edge.errors import ConfigError
from edge.sources import gstreamer, spec
from edge.sources.camera import CameraOpener, FirstCamera, camera_mode
from edge.sources.images import Pictures
from edge.sources.live import LiveSource
from edge.sources.picture import Shape
from edge.sources.portrait import Portrait
from edge.sources.recorded import RecordedSource, Recording
from edge.sources.spec import Kind, SourceOptions
from edge.sources.stream import STREAM_PATIENCE, StreamOpener
from edge.sources.video import VideoFile

Factory = Callable[..., Any]
TEGRA = "/etc/nv_tegra_release"  # a Jetson: GStreamer has the board's decoders


def make_source(options: SourceOptions, factory: Factory = cv2.VideoCapture) -> Source:
    """The source, not yet opened. Raises ConfigError for what does not fit, SourceError for what does not exist."""
    spec.check(options)
    if options.spec is None:
        spec.check_live(options, "a camera")
        return FirstCamera(camera_mode(options), Shape(options, scale=False), factory)
    kind = spec.classify(options.spec)
    if kind.kind not in spec.LIVE_KINDS:
        return RecordedSource(_recording(kind, options, factory), options)
    spec.check_live(options, options.spec)
    if kind.kind == spec.CAMERA:
        return LiveSource(CameraOpener(kind.target, camera_mode(options), factory), Shape(options, scale=False))
    has_own_rate = kind.kind == spec.RTSP or kind.kind == spec.GST and not kind.target.startswith("/dev/")
    if has_own_rate and options.fps is not None:
        raise ConfigError("--fps: {} comes at its own rate; leave it out".format(options.spec))
    if kind.kind == spec.RTSP:
        return LiveSource(StreamOpener(kind.target, factory), Shape(options, scale=True), STREAM_PATIENCE)
    return _gstreamer_source(kind, options, factory)


def _recording(kind: Kind, options: SourceOptions, factory: Factory) -> Recording:
    if kind.kind == spec.PORTRAIT:
        return Portrait(options.fps)
    if kind.kind == spec.IMAGES:
        return Pictures(kind.target, kind.paths, options.fps)
    return VideoFile(kind.target, options.fps, factory)


def _gstreamer_source(kind: Kind, options: SourceOptions, factory: Factory) -> Source:
    """The ribbon camera's pipeline flips and rotates by itself; another one's pictures are flipped here."""
    mode = camera_mode(options)
    if kind.kind == spec.CSI:
        camera = gstreamer.CsiCamera(int(kind.target), mode, options.flip, options.rotate)
        opener = gstreamer.GstOpener("csi://" + kind.target, gstreamer.csi(camera), factory, mode.fps)
        return LiveSource(opener, Shape(SourceOptions(), scale=False))
    pipeline = gstreamer.user_pipeline(kind.target, mode, hardware=os.path.exists(TEGRA))
    return LiveSource(gstreamer.GstOpener("gst:" + kind.target, pipeline, factory), Shape(options, scale=True))
