"""`nanoface discover`: take the place of DISCOVER's server, or write a module for it."""
import os
import shutil
import tempfile
from typing import Any, TextIO

from edge.cli.command import Command
from edge.cli.parser import ArgumentParser, count, shown
from edge.core.errors import ConfigError
from edge.core.rules import LOOPBACK, parse_address

SERVE, MODULE = ACTIONS = ("serve", "module")
PORT, MOST_AT_ONCE = 8080, 16
ONLY_SERVE = (("host", "--host"), ("port", "--port"), ("data_dir", "--data-dir"), ("tmp_dir", "--tmp-dir"),
              ("log_dir", "--log-dir"), ("jobs", "--jobs"))
ONLY_MODULE = (("program", "--program"), ("force", "--force"))


def make_parser() -> ArgumentParser:
    parser = ArgumentParser(
        "nanoface discover", "serve: answer the requests of DISCOVER's clients, as its own server does.\n"
        "module DIR: write a module that DISCOVER's own server loads. See docs/discover.md.",
        "nanoface discover serve --data-dir films\nnanoface discover module cml/nanoface_facemesh")
    parser.usage = "nanoface discover serve [OPTION ...] | module DIR [--program PATH] [--force]"
    parser.add_argument("names", nargs="*", metavar="DIR", help="module: the folder, made where it is not there")
    group = parser.add_argument_group("serve")
    group.add_argument("--host", metavar="HOST", help="address to listen at ({}: this machine alone)".format(LOOPBACK))
    group.add_argument("--port", metavar="N", type=count(65535), help="({})".format(PORT))
    group.add_argument("--data-dir", "--data_dir", metavar="DIR", help="where relative paths begin, and uploads go (data)")
    group.add_argument("--tmp-dir", "--tmp_dir", metavar="DIR", help="of results to be fetched (one that is removed later)")
    group.add_argument("--log-dir", "--log_dir", metavar="DIR", help="of the logs of jobs (the same)")
    group.add_argument("--jobs", metavar="N", type=count(MOST_AT_ONCE), help="that run at once (1); others wait")
    group = parser.add_argument_group("module")
    group.add_argument("--program", metavar="PATH", help="the nanoface that it starts (this one)")
    group.add_argument("--force", action="store_true", help="write over files that nanoface did not write")
    parser.add_argument("--verbose", action="store_true", help="log to standard error")
    return parser


def check(args: Any) -> None:
    words = args.names
    if args.action == SERVE and words or len(words) > 1:
        raise ConfigError("nanoface discover {} takes no word {}".format(args.action, shown(words[-1])))
    if args.action == MODULE and not words:
        raise ConfigError("nanoface discover module what? The folder is missing, as in nanoface discover module cml/nanoface")
    for name, flag in ONLY_MODULE if args.action == SERVE else ONLY_SERVE:
        value = getattr(args, name)
        if value == "":
            raise ConfigError("{}: a word is empty: is a variable not set?".format(flag))
        if value:
            raise ConfigError("{} goes with nanoface discover {}".format(flag, MODULE if args.action == SERVE else SERVE))
    empty = [flag for name, flag in ONLY_SERVE + ONLY_MODULE if getattr(args, name) == ""]
    if empty:
        raise ConfigError("{}: a word is empty: is a variable not set?".format(empty[0]))


def run(args: Any, out: TextIO) -> int:
    return _module(args, out) if args.action == MODULE else _serve(args, out)


def _module(args: Any, out: TextIO) -> int:
    from edge.discover import module

    for path in module.write(args.names[0], args.program, args.force):
        out.write("{}\n".format(path))
    return 0


def _serve(args: Any, out: TextIO) -> int:
    from edge.discover.files import Places
    from edge.discover.server import Server
    from edge.host.stop import Stop, stopped_by_signals
    from edge.outputs.live.web.origin import host_is_ours

    host = args.host or LOOPBACK
    try:
        address = parse_address("{}:{}".format("[{}]".format(host) if ":" in host else host, args.port or PORT))
    except ValueError as e:
        raise ConfigError("--host {}: {}".format(shown(host), e))
    stop, own = Stop(), tempfile.mkdtemp(prefix="nanoface-discover-")
    server = Server(address, Places(os.path.abspath(args.data_dir or "data"), os.path.abspath(args.tmp_dir or own),
                                    os.path.abspath(args.log_dir or own)), args.jobs or 1)
    try:
        with stopped_by_signals(stop):  # type: ignore[arg-type]
            server.open()
            if not host_is_ours(address.host, ()):
                args.report("warning", "whoever reaches {} may have films of this machine read and streams written, without "
                            "any password: leave --host out unless all of that network is trusted".format(address.text))
            out.write("DISCOVER's requests are answered at http://{}/ ; Ctrl-C ends it\n".format(
                address._replace(port=server.port).text))
            out.flush()
            while not stop.wait(1.0):
                pass
    finally:
        server.close()
        shutil.rmtree(own, ignore_errors=True)
    return 0


DISCOVER = Command(make_parser, run, check, ACTIONS, takes_signals=True)
