"""`nanoface score`: how well a detector finds the faces of a set whose faces are known."""
from typing import Any, TextIO

from edge.cli.command import Command
from edge.cli.options import NETWORK_OPTIONS, add, add_config, config_of
from edge.cli.parser import ArgumentParser, number
from edge.core.errors import ConfigError

ACTIONS = ("detections",)
OF_A_DETECTOR = ("models.detect", "models.detector_scale", "models.runtime")


def make_parser() -> ArgumentParser:
    parser = ArgumentParser(
        "nanoface score", "Average precision and recall of a detector on WIDER FACE, or on a set in its format:\n"
        "FOLDER has images/EVENT/NAME.jpg and wider_face_val_bbx_gt.txt.", "\n".join((
            "nanoface score detections WIDER --detector yunet_n --detector-scale 1",
            "nanoface score detections WIDER --predictions somebodys_boxes")))
    parser.usage = "nanoface score detections FOLDER [OPTION ...]"
    parser.add_argument("names", nargs="*", metavar="FOLDER", help="where the set lies")
    add(parser.add_argument_group("detector"), [option for option in NETWORK_OPTIONS if option.key in OF_A_DETECTOR])
    group = parser.add_argument_group("score")
    group.add_argument("--closer-look", action="store_true", help="look at overlapping tiles too, as is done with pictures")
    group.add_argument("--truth", metavar="FILE", help="the ground truth, where it lies elsewhere or has another name")
    group.add_argument("--predictions", metavar="FOLDER", help="score these boxes: a .txt for each picture, as WIDER has it")
    group.add_argument("--save", metavar="FOLDER", help="write ours in that format")
    group.add_argument("--threshold", type=number(0, 1), metavar="S", help="score from which a box counts for the recall "
                       "(the detector's own; of --predictions 0.5)")
    group.add_argument("--json", action="store_true", help="the figures as JSON")
    add_config(parser)
    return parser


def check(args: Any) -> None:
    if len(args.names) != 1:
        raise ConfigError("nanoface score detections takes one folder; see nanoface score --help")
    for option, path in (("--truth", args.truth), ("--predictions", args.predictions), ("--save", args.save)):
        if path == "":
            raise ConfigError("{}: its value is empty: is a variable not set?".format(option))
    ours = [option for option, given in (("--save", args.save), ("--closer-look", args.closer_look)) if given]
    ours += [setting.spelled for setting in args.settings or () if setting.key in OF_A_DETECTOR]
    if args.predictions is not None and ours:
        raise ConfigError("{} is for our own detector, and --predictions scores boxes that are there: leave one out".format(
            ours[0]))


def run(args: Any, out: TextIO) -> int:
    config = config_of(args)
    from edge.bench.score import Asked, run_score

    try:
        run_score(config, Asked(args.names[0], args.truth, args.predictions, args.save, args.threshold, args.closer_look,
                                args.json), args.report, out)
    finally:
        args.report.end_line()
    return 0


SCORE = Command(make_parser, run, check, ACTIONS)
