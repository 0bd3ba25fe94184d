"""The boxes that a run takes instead of detecting, and whether its source can have them."""
import math
from typing import Optional

from edge.app.networks import Report
from edge.config.load import Config
from edge.core.errors import ConfigError, SourceError
from edge.core.roles import OFF
from edge.host.reading import reason
from edge.sources.recorded import SAME_TIME_S, Recording
from edge.sources.spec import IMAGES, LIVE_KINDS, RECORD, classify
from edge.ssi.boxes import Boxes
from edge.stages.boxes import Given

OF_DETECTOR = ("models.detect", "models.detector_scale", "tracking.max_faces", "tracking.max_faces_stills",
               "tracking.detect_score", "tracking.detect_overlap", "tracking.refresh_s")


def given_boxes(config: Config, report: Report) -> Optional[Given]:
    """None where a detector looks. Raises ConfigError, and SourceError for a file that is none of boxes."""
    source = config.source
    path = source.boxes
    if path is None:
        return None
    kind = "" if source.spec is None else classify(source.spec).kind
    if source.spec is None or kind in LIVE_KINDS or kind == RECORD:
        raise ConfigError("--boxes is for films and pictures: {} has none".format(
            "a camera" if source.spec is None else source.spec))
    for option, hinders in (("loop", source.loop), ("flip", source.flip != OFF), ("rotate", source.rotate != 0),
                            ("fps", source.fps is not None and kind != IMAGES)):
        if hinders:
            raise ConfigError("--boxes tells where faces are in the film as it is: leave --{} out".format(option))
    in_vain = [key for key in OF_DETECTOR if key in config.chosen]
    if in_vain:
        report("note", "{} {} no effect: the boxes of {} are taken".format(
            ", ".join(in_vain), "have" if len(in_vain) > 1 else "has", path))
    try:
        boxes = Boxes(path)
    except (OSError, ValueError) as e:
        raise SourceError("boxes {}: {}".format(path, reason(e)))
    if boxes.odd:
        report("note", "{} of {} boxes of {} are no numbers: no face is there".format(boxes.odd, len(boxes), path))
    if boxes.stream.half:
        report("note", "the last box of {} is cut off and passed over".format(path))
    rate, start_s = boxes.stream.header.rate, source.start_s - SAME_TIME_S
    return Given(boxes, path, max(0, math.ceil(start_s * rate)), max(0, math.ceil(start_s * (source.fps or Recording.fps))))
