"""`nanoface outputs`: the kinds of outputs, and a moving test face that shows whether a program receives one."""
import json
import re
import sys
import textwrap
from typing import Any, Dict, List, Optional, TextIO

from edge.cli.command import Command
from edge.cli.parser import ArgumentParser, number, shown
from edge.core import clock
from edge.core.errors import ConfigError, OutputError
from edge.core.redact import hide, one_line
from edge.host import console
from edge.host.stop import Stop, stopped_by_signals
from edge.outputs.kinds import ALWAYS, KINDS, OVER_TCP, STDOUT, WITHOUT_HOST, form_of, protocol
from edge.telemetry.status.table import without_name

LIST, TEST = "list", "test"
LONGEST_S = 86400.0
CLOSE_S = 3.0
LISTENS = {ALWAYS: "nanoface listens", WITHOUT_HOST: "nanoface listens, or sends where a host is named"}
# of a state: nothing of what was sent came to anybody
LOOKS = "nanoface connects; where no host is named it listens at UDP 0.0.0.0:{} until the program tells of itself"
NOT_RECEIVED = re.compile("nothing listens|nobody|waits|no answer|new$|opening|down|failed|hanging|VTube Studio|permission")
RECEIVED = re.compile(r"[1-9]\d* receiver")
NEEDS, INDENT = "  needs    ", 13  # of the lines about a kind
FACE = "test face"  # in the place of a source


def make_parser() -> ArgumentParser:
    parser = ArgumentParser(
        "nanoface outputs", "List the kinds of outputs, with an example, the options and what to mind of each; one of\n"
        "them alone with its name. With test, send a moving face to outputs, without a camera or\nnetworks.",
        "nanoface outputs\nnanoface outputs vmc\nnanoface outputs test vmc://192.0.2.7:39540 opentrack://192.0.2.8\n"
        "nanoface outputs test jsonl:- --seconds 2")
    parser.usage = "nanoface outputs [list|KIND] [--json] | test ADDRESS ... [--seconds S]"
    parser.add_argument("names", nargs="*", metavar="ADDRESS", help="of test: as behind --output, several at once")
    parser.add_argument("--json", action="store_true", help="list and KIND: for a program")
    parser.add_argument("--seconds", type=number(0.1, LONGEST_S), metavar="S", help="of test: for so long, else until Ctrl-C")
    parser.add_argument("--verbose", action="store_true", help="log to standard error")
    return parser


def check(args: Any) -> None:
    if args.action != TEST:
        if args.names:
            raise ConfigError("nanoface outputs {} takes no word {}".format(args.action, shown(args.names[0])))
        if args.seconds is not None:
            raise ConfigError("--seconds goes with nanoface outputs test")
        return
    if args.json:
        raise ConfigError("--json goes with nanoface outputs list and nanoface outputs KIND, not with test")
    if not args.names:
        raise ConfigError("nanoface outputs test: where to? Name an address, such as {}".format(KINDS["vmc"].example))


def run(args: Any, out: TextIO) -> int:
    if args.action == TEST:
        try:
            return _test(args, out)
        except KeyboardInterrupt:  # before it began
            return 0
    names = list(KINDS) if args.action == LIST else [args.action]
    if args.json:
        out.write(json.dumps([_facts(name) for name in names] if args.action == LIST else _facts(names[0]), indent=1) + "\n")
    else:
        stream = console.on(out)
        width = stream.width if stream.isatty() else None
        out.write("\n".join("".join(_wrapped(line, width) for line in _described(name)) for name in names))
    return 0


def _facts(name: str) -> Dict[str, Any]:
    from edge.outputs.live.traps import TRAPS

    kind = KINDS[name]
    return {
        "kind": name, "form": form_of(name), "text": kind.text, "example": kind.example, "live": kind.live, "port": kind.port,
        "listens": kind.listens, "package": kind.package, "traps": list(TRAPS.get(name, ())),
        "options": {key: {"text": text, "allowed": rule.allowed} for key, (rule, text) in kind.keys.items()}}


def _described(name: str) -> List[str]:
    from edge.host.packages import install

    facts, kind = _facts(name), KINDS[name]
    lines = ["{}  {}".format(facts["form"], facts["text"]), "  example  {}".format(facts["example"])]
    if kind.live:
        port = "{} by itself".format(kind.port) if kind.port else "has to be named"
        lines.append("  port     {} {}; {}".format(protocol(name), port, _who_asks(name)))
    lines += ["  option   {:<16} {}; {}".format(key + "=", option["text"], option["allowed"])
              for key, option in facts["options"].items()]
    if kind.package:
        lines.append(NEEDS + "the package {}: {}".format(kind.package, install(kind.package)))
    return lines + ["  mind     " + trap for trap in facts["traps"]]


def _wrapped(line: str, width: Optional[int]) -> str:
    """For a terminal of that width; the command that installs a package stays on one line, to be copied."""
    if width is None or line.startswith(NEEDS):
        return line + "\n"
    return textwrap.fill(line, max(60, width), subsequent_indent=" " * INDENT, break_long_words=False,
                         break_on_hyphens=False) + "\n"


def _who_asks(name: str) -> str:
    kind = KINDS[name]
    if kind.tells_at is not None:
        return LOOKS.format(kind.tells_at)
    return LISTENS.get(kind.listens, "nanoface connects" if name in OVER_TCP else "nanoface sends")


def _test(args: Any, out: TextIO) -> int:
    """Raises OutputError where nothing came to anybody, as far as can be known."""
    from edge.outputs.spec import parse_outputs

    specs = parse_outputs(args.names)
    stream = console.on(sys.stderr if any(spec.target == STDOUT for spec in specs) else out)
    stop = Stop()  # type: Any  # in the place of a threading.Event
    with stopped_by_signals(stop):
        from edge.outputs.kinds import OutputOptions, make_output
        from edge.outputs.live.testface import RATE
        from edge.outputs.relay.served import CAPACITY
        from edge.outputs.sender import Sender

        options = OutputOptions(False, False, True, lambda: RATE, title=lambda: FACE)
        senders = [Sender(make_output(spec, options), CAPACITY, keep_trying=KINDS[spec.kind].live) for spec in specs]
        lives = [KINDS[spec.kind].live for spec in specs]
        rehearsal = _Rehearsal(senders, lives, stream)
        try:
            rehearsal.run(stop, args.seconds)
        finally:
            states = rehearsal.close()
    lost = [name for name, state in states.items() if state]
    if len(lost) == len(senders):
        raise OutputError("nothing was received: {}; nanoface outputs {} says what to mind".format(
            "; ".join("{}: {}".format(hide(name), states[name]) for name in lost), specs[0].kind))
    return 0


class _Rehearsal:
    """Sends the test face, and says what it does and what the peers answer."""

    def __init__(self, senders: List[Any], lives: List[bool], stream: console.Console) -> None:
        self._senders, self._lives, self._stream = senders, lives, stream
        self._told: Dict[str, str] = {}
        self._received: Dict[str, bool] = {}

    def run(self, stop: Any, seconds: Optional[float]) -> None:
        """Raises what an output that is no live one raises."""
        from edge.outputs.live.testface import RATE, MovingFace, act_at

        for sender in self._senders:
            sender.start()
        face, began_at, frame, doing = MovingFace(), clock.monotonic(), 0, ""
        while not stop.is_set() and (seconds is None or frame < seconds * RATE):
            act, _ = act_at(frame / RATE)
            if act.text != doing:
                doing = act.text
                self._stream.write("{:6.1f} s  it {}\n".format(frame / RATE, doing))
            self._put(face.packet(clock.monotonic()))
            self._tell()
            frame += 1
            if any(sender.stop_wanted or sender.reader_left or sender.fatal and sender.error for sender in self._senders):
                return
            stop.wait(max(0.0, began_at + frame / RATE - clock.monotonic()))

    def _put(self, packet: Any) -> None:
        from edge.outputs.record import encode

        for sender, live in zip(self._senders, self._lives):
            sender.put(packet if sender.needs_picture else encode(packet, clock.monotonic(), sender.parts, not live))

    def _tell(self) -> None:
        """A state that has changed."""
        for sender in self._senders:
            state = _state(sender)
            self._received[sender.name] = self._received.get(sender.name, False) or bool(RECEIVED.match(state))
            if state != self._told.get(sender.name, "ok") and state not in ("new", "opening"):
                self._stream.write("          {}: {}\n".format(one_line(hide(sender.name)), one_line(hide(state))))
            self._told[sender.name] = state

    def close(self) -> Dict[str, str]:
        """Name -> what was wrong at the end, "" where somebody received it. Prints the table."""
        wrong: Dict[str, str] = {}
        rows = []
        states = [_state(sender) for sender in self._senders]  # as long as they are open
        for sender in self._senders:
            sender.finish()
        for sender, live, state in zip(self._senders, self._lives, states):
            sender.close(CLOSE_S)
            counts = sender.stats()
            if not live:
                state = _state(sender)
            lost = NOT_RECEIVED.match(state) and not self._received.get(sender.name)
            wrong[sender.name] = hide(state) if lost or not counts["sent"] else ""
            more = ["{} {}".format(count, name) for name, count in counts.items()
                    if name not in ("sent", "failed", "dropped", "state") and count]
            rows.append((hide(sender.name), counts["sent"], counts["failed"], counts["dropped"],
                         ", ".join([hide(state)] + more)))
        width = max([len("output")] + [len(row[0]) for row in rows])
        self._stream.write("{:<{}}  {:>7} {:>7} {:>7}  state\n".format("output", width, "sent", "failed", "dropped"))
        for row in rows:
            self._stream.write("{:<{}}  {:>7} {:>7} {:>7}  {}\n".format(one_line(row[0]), width, *row[1:]))
        return wrong


def _state(sender: Any) -> str:
    return without_name(sender.name, str(sender.stats()["state"]))


OUTPUTS = Command(make_parser, run, check, (LIST, TEST) + tuple(KINDS), usual=LIST, takes_signals=True)
