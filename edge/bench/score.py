"""`nanoface score detections`: how well a detector, or somebody's boxes, find the faces of WIDER FACE's ground truth.

Its own three subsets stand in MATLAB files, which are not read: here easy, medium and hard are heights of a face, which is
about what makes them so, and the figures are none that a paper has.
"""
import json
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, TextIO, Tuple

import numpy as np

from edge.app.ends import source_options
from edge.app.networks import Networks
from edge.bench import wider
from edge.bench.precision import at_threshold, average_precision, judge
from edge.bench.text import machine_and_python
from edge.bench.wider import Boxes
from edge.config.load import Config
from edge.core import clock
from edge.core.errors import SourceError
from edge.core.redact import one_line
from edge.sources.pictures import still
from edge.stages.detect import detected

LEVELS = (("easy", 50.0), ("medium", 30.0), ("hard", 10.0), ("all", 0.0))  # a face's least height, pixels
LEAST_SCORE, LIMIT = 0.02, 300  # of the boxes that the curve is made of
USUAL_THRESHOLD = 0.5  # of somebody's boxes
HEAD, LINE = "{:<24}{:>9}{:>9}{:>12}{:>12}", "{:<24}{:>9}{:>9}{:>12}{:>12}"
Report = Callable[[str, str], None]


class Asked(NamedTuple):
    """`truth` None: where WIDER has it. `predictions` None: ours, which are kept in the folder `save`."""

    folder: str
    truth: Optional[str]
    predictions: Optional[str]
    save: Optional[str]
    threshold: Optional[float]
    closer_look: bool
    as_json: bool


def run_score(config: Config, asked: Asked, report: Report, out: TextIO) -> None:
    """Write the figures to `out`; progress goes to `report`. Raises EdgeErrors."""
    truth = wider.read_truth(asked.truth or wider.truth_file(asked.folder))
    names = list(truth)
    if asked.predictions is not None:
        paths = wider.all_there([wider.place_of(asked.predictions, name) for name in names], "files of predictions")
        found, threshold = [wider.read_found(path) for path in paths], USUAL_THRESHOLD
        by: Dict[str, Any] = {"predictions": one_line(asked.predictions)}
    else:
        found, by, threshold = _our_boxes(config, asked, names, report)
    threshold = asked.threshold if asked.threshold is not None else threshold
    result = dict(_figures(list(zip(found, truth.values())), threshold), pictures=len(names),
                  folder=one_line(asked.folder), threshold=threshold, **by)
    out.write((json.dumps(result, indent=1) if asked.as_json else "\n".join(lines(result))) + "\n")


def _our_boxes(config: Config, asked: Asked, names: Sequence[str],
               report: Report) -> Tuple[List[Boxes], Dict[str, Any], float]:
    """What is found in each picture, who found it, and the score from which a box is a face by itself."""
    paths = wider.pictures_in(asked.folder, names)
    runner, detector = Networks(config, report).detector()
    most_pixels = source_options(config).most_pixels
    runner.open()
    found, spent_s = [], 0.0  # type: List[Boxes], float
    try:
        for i, (name, path) in enumerate(zip(names, paths)):
            report("progress", "{} of {} pictures".format(i, len(names)))
            try:
                image = still.read(path, most_pixels).image
            except SourceError as e:
                raise SourceError("{} {}".format(one_line(path), e)) from e
            began = clock.monotonic()
            seen = detected(runner, detector, image, LEAST_SCORE, LIMIT, asked.closer_look)
            spent_s += clock.monotonic() - began
            # a frame's pixels have their centres at integers, a ground truth counts from the edge
            found.append(Boxes(seen.boxes.astype(float) + 0.5, seen.scores.astype(float)))
            if asked.save is not None:
                wider.write_found(asked.save, name, found[-1])
    finally:
        runner.close()
    threshold = detector.threshold if config.tracking.detect_score is None else config.tracking.detect_score
    by = {"detector": detector.network, "runtime": runner.backend, "scale": config.models.detector_scale,
          "closer_look": asked.closer_look, "ms_a_picture": 1e3 * spent_s / len(names)}
    return found, dict(by, **machine_and_python()), threshold


def _figures(pictures: Sequence[Tuple[Boxes, wider.Faces]], threshold: float) -> Dict[str, Any]:
    levels = []
    for name, least_height in LEVELS:
        judged = judge(pictures, least_height)
        recall, wrong = at_threshold(judged, threshold)
        levels.append({"level": name, "least_height_px": least_height, "faces": judged.faces, "ap": average_precision(judged),
                       "recall": recall, "wrong_boxes": wrong})
    ignored = sum(int(np.count_nonzero(truth.ignored)) for _, truth in pictures)
    return {"levels": levels, "faces": levels[-1]["faces"], "ignored": ignored}


def lines(r: Dict[str, Any]) -> List[str]:
    """The figures for people."""
    text = ["{pictures} pictures, {faces} faces and {ignored} that are ignored, of {folder}".format(**r),
            "boxes by " + (r.get("predictions") or _by(r)), "", HEAD.format("faces", "number", "AP", "recall*", "wrong*")]
    for level in r["levels"]:
        height = level["least_height_px"]
        name = "{level}, {0:g} px and higher".format(height, **level) if height else "all that are valid"
        text.append(LINE.format(name, level["faces"], _share(level["ap"]), _share(level["recall"]), level["wrong_boxes"]))
    text += ["", "AP at an IoU of 0.5, all points; easy, medium and hard are heights, not WIDER's own lists",
             "* recall and wrong boxes from a score of {:g}".format(r["threshold"])]
    if "ms_a_picture" in r:
        text.append("{:.2f} ms a picture, without reading it{}".format(
            r["ms_a_picture"], "" if r["scale"] is None else ", with loading the network for each new size"))
    return text


def _by(r: Dict[str, Any]) -> str:
    scale = "" if r["scale"] is None else " at scale {:g}".format(r["scale"])
    return "{detector} ({runtime}){0}{1}, {machine}, Python {python}".format(
        scale, " with a closer look" if r["closer_look"] else "", **r)


def _share(value: Optional[float]) -> str:
    return "-" if value is None else "{:.4f}".format(value)
