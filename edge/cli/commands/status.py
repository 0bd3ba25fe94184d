"""`nanoface status`: the last record of a status log, or each one as it comes."""
import json
import os
import sys
from datetime import datetime
from typing import Any, Mapping, Optional, TextIO

from edge.cli.command import Command
from edge.cli.options import add_config, config_of
from edge.cli.parser import ArgumentParser
from edge.core import clock
from edge.core.errors import ConfigError
from edge.host import console
from edge.host.stop import Stop, stopped_by_signals

FRESH_S = 20.0  # an older status record is shown with its age
AHEAD = "ahead of this machine's clock, which was set back since"


def make_parser() -> ArgumentParser:
    parser = ArgumentParser(
        "nanoface status", "Show the last record of the status log as a table.",
        "nanoface status --follow\nnanoface status --json out/status.jsonl")
    parser.add_argument("path", nargs="?", metavar="PATH", help="the status log; else that of the configuration")
    parser.add_argument("--follow", action="store_true", help="go on with each new record until Ctrl-C")
    parser.add_argument("--json", action="store_true", help="the record itself, one line each")
    add_config(parser)
    return parser


def run(args: Any, out: TextIO) -> int:
    try:
        return _print(args, console.on(out))
    except KeyboardInterrupt:  # before it began: while it waited for its configuration
        if not args.follow:
            raise
        return 0


def _print(args: Any, out: console.Console) -> int:
    from edge.telemetry.status import read

    path = args.path or config_of(args).status.file(os.environ)
    if path is None:
        raise ConfigError("status.path is none: the status log is switched off; name a log, as in nanoface status PATH")
    if os.path.isdir(path):
        raise ConfigError("{} is a folder, not a status log".format(path))
    if not args.follow:
        _show(read.read_last(path), path, args.json, out)
        return 0
    if not os.path.exists(path):
        sys.stderr.write("waiting for {}\n".format(path))
    stop = Stop()  # type: Any  # in the place of a threading.Event
    with stopped_by_signals(stop):
        for record in read.follow(path, stop):
            _show(record, path, args.json, out)
            if out.left:
                break
    return 0


def _show(record: Mapping[str, Any], path: str, as_json: bool, out: console.Console) -> None:
    from edge.telemetry.status import table

    try:
        text = table.render(record, out.width) if "state" in record and "stages" in record else ""
    except table.WRONG:
        text = ""
    if not text:
        raise ConfigError("{} is not a status log: what it holds are no status records".format(path))
    if as_json:
        out.write(json.dumps(record) + "\n")
        return
    out.draw("", console.CLEAR, "")
    out.write(text + "\n")
    age_s = age_of(record, clock.wall())
    if age_s is not None and abs(age_s) > FRESH_S:
        out.write("last written {} {}\n".format(table.duration(abs(age_s)), "ago" if age_s > 0 else AHEAD))


def age_of(record: Mapping[str, Any], now_s: float) -> Optional[float]:
    """Seconds of wall-clock time since a status record was written; None where it has no time."""
    try:
        at = datetime.strptime(str(record.get("at")), "%Y-%m-%dT%H:%M:%S.%fZ")
    except ValueError:
        return None
    return now_s - (at - datetime(1970, 1, 1)).total_seconds()


STATUS = Command(make_parser, run, takes_signals=True)
