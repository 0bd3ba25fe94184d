"""`nanoface service`: the tracker as a service of systemd; the work is done by edge/service/."""
import os
from typing import Any, TextIO

from edge.cli.command import Command, no_more_words
from edge.cli.parser import ArgumentParser, count
from edge.core.errors import ConfigError
from edge.store.models import home_dir

DEFAULT_LINES = 100
ACTIONS = ("install", "uninstall", "rollback", "rebuild", "status", "logs")
MOST_LINES = 100000
# option -> the actions that it goes with; all others go with each action
GOES_WITH = {
    "yes": ("install",), "no_start": ("install", "rollback", "rebuild"), "force": ("rebuild",),
    "no_build": ("install",), "clocks": ("install",),
    "networks": ("install",), "dry_run": ("install", "uninstall", "rollback", "rebuild"), "purge": ("uninstall",),
    "follow": ("logs",), "lines": ("logs",),
}


def make_parser() -> ArgumentParser:
    parser = ArgumentParser(
        "nanoface service", "Install, show or remove the service of systemd that tracks from boot on. To change\n"
        "something it needs root (sudo).", "\n".join((
        "nanoface service install --dry-run", "nanoface service install", "nanoface service status",
        "nanoface service logs --follow", "nanoface service rollback", "nanoface service rebuild")))
    parser.usage = "nanoface service install|uninstall|rollback|rebuild|status|logs [OPTION ...]"
    parser.add_argument("names", nargs="*", metavar="ACTION", help="what to do, of those above")
    group = parser.add_argument_group("install")
    group.add_argument("--yes", action="store_true", help="replace a changed configuration (kept as .old), choose the camera")
    group.add_argument("--no-start", action="store_true", help="do not start it now, but at the next boot")
    group.add_argument("--no-build", action="store_true", help="build no engines; also how to come round a failing build")
    group.add_argument("--clocks", action="store_true", help="full clocks of a Jetson from boot on")
    group.add_argument("--networks", metavar="DIR", help="where the networks lie (as $NANOFACE_HOME)")
    group = parser.add_argument_group("rebuild")
    group.add_argument("--force", action="store_true", help="also the engines that fit")
    group = parser.add_argument_group("uninstall")
    group.add_argument("--purge", action="store_true", help="networks, engines, logs and configuration too")
    group = parser.add_argument_group("logs")
    group.add_argument("--follow", action="store_true", help="go on until Ctrl-C")
    group.add_argument("--lines", type=count(MOST_LINES), metavar="N", help="so many of the last lines (100)")
    group = parser.add_argument_group("all of them")
    group.add_argument("--dry-run", action="store_true", help="print every step, change nothing")
    group.add_argument("--root", default="/", metavar="DIR", help="look for /etc, /opt, /var and /run below DIR; for tests")
    group.add_argument("--verbose", action="store_true", help="log to standard error")
    return parser


def check(args: Any) -> None:
    """Raises ConfigError for options that do not go with the action."""
    no_more_words(args)
    for name, actions in sorted(GOES_WITH.items()):
        if getattr(args, name) and args.action not in actions:
            raise ConfigError("--{} goes with nanoface service {}, not with {}".format(
                name.replace("_", "-"), " and ".join(actions), args.action))


def run(args: Any, out: TextIO) -> int:
    """The exit code. Raises EdgeErrors."""
    if not os.path.isdir(args.root):
        raise ConfigError("--root {}: there is no such folder".format(args.root))
    if args.action == "status":
        from edge.service.state import run_status

        return run_status(args.root, out)
    if args.action == "logs":
        from edge.service.state import run_logs

        return run_logs(args.lines or DEFAULT_LINES, args.follow, args.root, out)
    return _change(args, out)


def _change(args: Any, out: TextIO) -> int:
    from edge.service import installer

    options = installer.InstallOptions(os.path.abspath(args.root), args.yes, args.dry_run, not args.no_start,
                                       not args.no_build, args.clocks, args.purge)
    if args.action == "install":
        home = home_dir() if args.networks is None else os.path.abspath(os.path.expanduser(args.networks))
        return installer.run_install(home, options, out)
    if args.action == "rollback":
        return installer.run_rollback(options, out)
    if args.action == "rebuild":
        return installer.run_rebuild(args.force, options, out)
    return installer.run_uninstall(options, out)


SERVICE = Command(make_parser, run, check, ACTIONS)
