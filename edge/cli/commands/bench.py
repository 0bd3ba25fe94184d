"""`nanoface bench`: what the pipeline and each network cost here, the detectors at several sizes, or each stage."""
from typing import Any, List, TextIO

from edge.cli.command import Command
from edge.cli.options import DEMO, NETWORK_OPTIONS, TRACKING_OPTIONS, add, add_config, add_source, config_of, take_source
from edge.cli.parser import ArgumentParser, count, shown
from edge.core.errors import ConfigError

MOST_FRAMES = 100  # they are decoded up front and held in memory
PIPELINE, DETECTORS, STAGES = "", "detectors", "stages"
USUAL = {PIPELINE: (MOST_FRAMES, 5), DETECTORS: (30, 5), STAGES: (MOST_FRAMES, 3)}  # frames and rounds
MOST_SCALES = 16


def make_parser() -> ArgumentParser:
    parser = ArgumentParser(
        "nanoface bench", "Measure the pipeline and each network alone on frames decoded up front; with the word\n"
        "`detectors` the detectors at inputs of several sizes, beside the faces that they find;\n"
        "with `stages` each stage, in the table that DLVYF prints.", "\n".join((
            "nanoface bench portrait --rounds 3",
            "nanoface bench detectors portrait --scales 0.1,0.4,1,2",
            "nanoface bench stages clip.mp4")))
    parser.usage = "nanoface bench [detectors|stages] [SOURCE ...] [OPTION ...]"
    add_source(parser, alone=True)
    add(parser.add_argument_group("networks (detectors: --detector NAME,... are those measured)"), NETWORK_OPTIONS)
    add(parser.add_argument_group("tracking"), TRACKING_OPTIONS)
    group = parser.add_argument_group("measurement")
    group.add_argument("--scales", metavar="S,...", help="of detectors: by what a frame is resized (0.1,0.4,1,2)")
    group.add_argument("--frames", type=count(MOST_FRAMES), metavar="N",
                       help="frames of the source, at most {0} ({0}; detectors: 30)".format(MOST_FRAMES))
    group.add_argument("--rounds", type=count(1000), metavar="N", help="how often all of them are run (5; stages: 3)")
    group.add_argument("--json", action="store_true", help="the figures as JSON")
    add_config(parser)
    return parser


def check(args: Any) -> None:
    """The first word may say what is measured; a file of that name is ./detectors. Raises ConfigError."""
    args.what = args.names.pop(0) if args.names and args.names[0] in (DETECTORS, STAGES) else PIPELINE
    late = next((word for word in args.names if word in (DETECTORS, STAGES)), None)
    if late is not None:
        raise ConfigError("{0} stands directly behind nanoface bench; a file of that name is ./{0}".format(late))
    if args.scales is not None and args.what != DETECTORS:
        raise ConfigError("--scales goes with nanoface bench detectors")
    if args.what == DETECTORS and any(setting.key == "models.detector_scale" for setting in args.settings or ()):
        raise ConfigError("--detector-scale is one of --scales here: write --scales 0.4")
    args.scales = scales_of(args.scales)
    args.frames, args.rounds = args.frames or USUAL[args.what][0], args.rounds or USUAL[args.what][1]
    take_source(args)


def scales_of(text: Any) -> List[float]:
    """Empty: those that are usual. Raises ConfigError."""
    from edge.config.rules import RULES

    scales = []  # type: List[float]
    for word in text.split(",") if text is not None else ():
        rule = RULES["models.detector_scale"]
        try:
            value = rule.read(rule.from_text(word.strip()))
        except ValueError:
            value = None
        if value is None or value in scales or len(scales) == MOST_SCALES:
            raise ConfigError("--scales {}: write up to {} different numbers from 0.01 to 4 with commas between, such as "
                              "0.1,0.4,1,2".format(shown(text), MOST_SCALES))
        scales.append(value)
    return scales


def run(args: Any, out: TextIO) -> int:
    config = config_of(args)
    measurement = args.frames, args.rounds, args.json, out
    if args.what == DETECTORS:
        from edge.bench.command import run_detectors

        named = any(setting.key == "models.detect" for setting in args.settings or ())
        run_detectors(config, config.models.detect if named else (), args.scales, *measurement)
    elif args.what == STAGES:
        from edge.bench.command import run_stages

        run_stages(config, _estimated, *measurement)
    else:
        from edge.bench.command import run_bench

        run_bench(config, *measurement)
    return 0


def _estimated(networks: Any) -> Any:
    """What each stage would take on a Nano; nothing where that cannot be told."""
    from edge.core.errors import EdgeError
    from edge.store.models import home_dir
    from engines.estimate.command import stages_ms

    try:
        return stages_ms(home_dir(), networks, "nano")
    except EdgeError:
        return {}


BENCH = Command(make_parser, run, check, offers={"SOURCE": (DETECTORS, STAGES, DEMO)})
