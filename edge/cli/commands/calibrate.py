"""`nanoface calibrate`: the resting face of a person, and what a network loses in 16 bits."""
from typing import Any, TextIO

from edge.cli.command import ANY_NETWORK, Command
from edge.cli.options import DEMO, NETWORK_OPTIONS, add, add_config, add_source, overrides_of, take_source
from edge.cli.parser import ArgumentParser, count, number
from edge.core.errors import ConfigError
from edge.store.models import home_dir

FP16, NEUTRAL = "fp16", "neutral"
DEFAULT_NAME, SECONDS, COUNTDOWN_S, FRAMES = "me", 3.0, 3.0, 6
# option -> the action that it goes with; those of the source go with both, others of the configuration with neutral
GOES_WITH = {"frames": FP16, "write": FP16, "markdown": FP16, "name": NEUTRAL, "seconds": NEUTRAL, "countdown": NEUTRAL,
             "undo": NEUTRAL, "config": NEUTRAL}


def make_parser() -> ArgumentParser:
    parser = ArgumentParser(
        "nanoface calibrate", "neutral: take your resting face, from which expressions are measured then.\n"
        "fp16: run networks on real frames in 32 and in 16 bits; show what is lost, and which\n"
        "layers are to be kept in 32 bits.",
        "\n".join((
            "nanoface calibrate neutral", "nanoface calibrate neutral rest.mp4 --name anna",
            "nanoface calibrate neutral --undo",
            "nanoface calibrate fp16 mb05 --source clip.mp4", "nanoface calibrate fp16 --write")))
    parser.usage = "nanoface calibrate neutral [SOURCE] [OPTION ...]\n       nanoface calibrate fp16 [NAME ...] [OPTION ...]"
    parser.add_argument("names", nargs="*", metavar="NAME",
                        help="neutral: the source; fp16: networks, without a NAME those that were fetched")
    group = parser.add_argument_group(NEUTRAL)
    group.add_argument("--name", metavar="NAME", help="the profile that it is kept as ({})".format(DEFAULT_NAME))
    group.add_argument("--seconds", type=number(0.3, 60.0), metavar="S", help="how long it has to rest ({:g})".format(SECONDS))
    group.add_argument("--countdown", type=number(0.0, 60.0), metavar="S",
                       help="before a camera's first frame counts ({:g})".format(COUNTDOWN_S))
    group.add_argument("--undo", action="store_true", help="take back the last one: the version before it is used again")
    add(group, NETWORK_OPTIONS)
    group = parser.add_argument_group(FP16)
    group.add_argument("--frames", type=count(100), metavar="N", help="how many, spread over the source ({})".format(FRAMES))
    group.add_argument("--write", action="store_true", help="to where nanoface build reads it, not to out/")
    group.add_argument("--markdown", action="store_true", help="a table for a document")
    add_source(parser)
    add_config(parser)
    return parser


def check(args: Any) -> None:
    """Raises ConfigError for what does not go with the action."""
    for name, action in sorted(GOES_WITH.items()):
        if getattr(args, name) not in (None, False) and args.action != action:
            raise ConfigError("--{} goes with nanoface calibrate {}, not with {}".format(name, action, args.action))
    if args.action == NEUTRAL:
        named = args.names or args.settings
        if args.undo and (named or args.seconds or args.countdown):
            raise ConfigError("nanoface calibrate neutral --undo takes a --name and nothing else")
        if args.names:
            take_source(args)
        return
    for setting in args.settings or ():
        if setting.key != "source.spec":
            raise ConfigError("{} goes with nanoface calibrate {}, not with {}".format(setting.spelled, NEUTRAL, args.action))


def run(args: Any, out: TextIO) -> int:
    if args.action == FP16:
        from calibration.fp16.fp16 import run_fp16

        source = overrides_of(args.settings)[0].get("source.spec", DEMO)
        return run_fp16(home_dir(), source, args.names, args.frames or FRAMES, out, args.markdown, args.write)
    from edge.cli import neutral

    name = DEFAULT_NAME if args.name is None else args.name
    if args.undo:
        return neutral.undo(name, out)
    countdown_s = COUNTDOWN_S if args.countdown is None else args.countdown
    return neutral.take(args, name, args.seconds or SECONDS, countdown_s, out)


CALIBRATE = Command(make_parser, run, check, (FP16, NEUTRAL), offers={"NAME": ANY_NETWORK}, takes_signals=False)
