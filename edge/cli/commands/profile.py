"""`nanoface profile`: the resting faces that were taken, and which one is in use."""
import json
from typing import Any, TextIO

from edge.cli.command import Command
from edge.cli.parser import ArgumentParser, shown
from edge.core.errors import ConfigError
from edge.host.reading import reason

LIST, USE, NONE, SHOW, REMOVE, UNDO = ACTIONS = ("list", "use", "none", "show", "remove", "undo")
WITH_NAME = (USE, SHOW, REMOVE, UNDO)
SHOWN = ("name", "network", "made_at", "frames", "seconds", "spread_mm", "turned_deg", "lids", "gaze")


def make_parser() -> ArgumentParser:
    parser = ArgumentParser(
        "nanoface profile", "The resting faces that `nanoface calibrate neutral` took: list them, choose the one that\n"
        "every run uses (also one that is going), show or remove one, or take back its last\ncalibration.",
        "nanoface profile\nnanoface profile use anna\nnanoface profile use none\nnanoface profile undo anna")
    parser.usage = "nanoface profile [list|use NAME|none|show NAME|remove NAME|undo NAME] [--json]"
    parser.add_argument("names", nargs="*", metavar="NAME", help="of the profile; use none: no profile")
    parser.add_argument("--json", action="store_true", help="list and show: for a program")
    parser.add_argument("--verbose", action="store_true", help="log to standard error")
    return parser


def check(args: Any) -> None:
    wanted = 1 if args.action in WITH_NAME else 0
    if len(args.names) > wanted:
        raise ConfigError("nanoface profile {} takes no word {}".format(args.action, shown(args.names[wanted])))
    if len(args.names) < wanted:
        raise ConfigError("nanoface profile {} what? The name is missing; see nanoface profile".format(args.action))
    if args.json and args.action not in (LIST, SHOW):
        raise ConfigError("--json goes with nanoface profile list and show, not with {}".format(args.action))


def run(args: Any, out: TextIO) -> int:
    from edge.app.neutral import profiles

    stored = profiles()
    if args.action == LIST:
        _list(stored, args.json, out)
        return 0
    if args.action == NONE or args.action == USE and args.names[0].lower() == NONE:
        stored.use(None)
        out.write("no profile is used from now on\n")
        return 0
    name = args.names[0]
    if args.action == SHOW:
        found = stored.load(name)
        if found.note:
            args.report("warning", found.note)
        _show(found.facts, stored.path(name), args.json, out)
    elif args.action == USE:
        found = stored.load(name)
        if found.note:
            args.report("warning", found.note)
        stored.use(name)
        out.write("the profile {} is used from now on, also by a run that is going\n".format(name))
    elif args.action == UNDO:
        from edge.cli import neutral

        return neutral.undo(name, out)
    else:
        stored.remove(name)
        out.write("the profile {} is removed, with the versions before it\n".format(name))
    return 0


def _list(stored: Any, as_json: bool, out: TextIO) -> None:
    used, rows = stored.in_use(), []
    for name in stored.names():
        row = {"name": name, "in_use": name == used}
        try:
            facts = stored.peek(name)
            row.update((key, facts[key]) for key in SHOWN[1:7] if key in facts)
        except (ConfigError, OSError, ValueError) as e:
            row["problem"] = reason(e)
        rows.append(row)
    if as_json:
        out.write(json.dumps({"folder": stored.folder, "in_use": used, "profiles": rows}) + "\n")
        return
    for row in rows:
        text = row.get("problem") or "{}, {}, {} frames, within {} mm".format(
            *[row.get(key, "?") for key in ("made_at", "network", "frames", "spread_mm")])
        out.write("{} {:<16} {}\n".format("*" if row["in_use"] else " ", row["name"], text))
    if not rows:
        out.write("there is no profile in {}: nanoface calibrate neutral\n".format(stored.folder))
    elif used not in [row["name"] for row in rows]:
        out.write("no profile is in use\n")


def _show(facts: Any, path: str, as_json: bool, out: TextIO) -> None:
    if as_json:
        out.write(json.dumps(facts, sort_keys=True) + "\n")
        return
    for key in SHOWN:
        out.write("{:<11}{}\n".format(key, facts.get(key, "?")))
    out.write("{:<11}{}\n".format("file", path))


PROFILE = Command(make_parser, run, check, ACTIONS, usual=LIST)
