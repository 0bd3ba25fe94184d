"""The status record as a table; plain ASCII, as a board's terminal may show nothing else."""
import textwrap
from typing import Any, List, Mapping, NamedTuple, Optional, Sequence

from edge.core.redact import one_line
from edge.core.roles import ENDED

LABEL = 9  # characters in front of every line of text
GAP = "  "
UNKNOWN = "-"
WRONG = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RecursionError)  # JSON of other kinds of values
OUTPUT_KEYS = ("state", "sent", "dropped", "failed")
PLAIN_KEYS = ("count", "dropped", "skipped", "wait_ms", "work_ms", "device_ms", "backend", "model", "note")


def render(record: Mapping[str, Any], width: int = 100) -> str:
    """The whole table, in lines of at most `width` (72 at least) characters. What is absent is "-" or left out.

    Raises one of WRONG for what is no status record.
    """
    width = max(72, width)
    stages = record.get("stages") or {}
    blocks = [_head(record, width), _stages(stages, width), _outputs(record.get("outputs") or {}, width)]
    lost = (record.get("log") or {}).get("failed")
    if lost:
        blocks.append(_text("log", "{} record{} could not be written".format(lost, "" if lost == 1 else "s"), width))
    board = _board(record.get("board") or {})
    if board:
        blocks.append(_text("board", board, width))
    return "\n\n".join("\n".join(block) for block in blocks if block)


def _head(record: Mapping[str, Any], width: int) -> List[str]:
    state = record.get("state", UNKNOWN) + (": " + record["reason"] if record.get("reason") else "")
    since = ", {}".format(_since(record, record["uptime_s"])) if "uptime_s" in record else ""
    lines = _text("state", state + since + (" ({})".format(record["at"]) if record.get("at") else ""), width)
    faces = record.get("faces")
    seen = "" if faces is None else ", {} face{}".format(faces, "" if faces == 1 else "s")
    lines += _text("source", (record.get("source") or UNKNOWN) + seen, width)
    if record.get("lost"):
        lines += _text("lost", "{} of its frames could not be read".format(record["lost"]), width)
    profile = record.get("profile") or {}
    if profile:
        texts = [profile.get("name", "none"), profile.get("note")]
        lines += _text("profile", ": ".join(text for text in texts if text), width)
    fps, latency = record.get("fps") or {}, record.get("latency_ms") or {}
    if fps:
        lines += _text("speed", "{} fps captured, {} fps to the outputs".format(
            _number(fps.get("capture")), _number(fps.get("output"))), width)
    governor = record.get("governor") or {}
    if governor.get("given_up"):
        lines += _text("given up", "; ".join(governor["given_up"]) + " ({})".format(governor.get("reason")), width)
    if latency:
        lines += _text("delay", "{} ms median, {} ms p95, {} ms at most, from capture to output".format(
            *[_number(latency.get(key)) for key in ("p50", "p95", "max")]), width)
    return lines


def _since(record: Mapping[str, Any], uptime_s: float) -> str:
    """What the figures are of: an interval of a run that goes on, or all of one."""
    if record.get("state") not in ENDED:
        return "up " + duration(uptime_s)
    return "over the whole run, " + ("{:.1f} s".format(uptime_s) if uptime_s < 60.0 else duration(uptime_s))


class _Column(NamedTuple):
    """Two lines of heading and a cell for each row."""

    above: str
    title: str
    cells: List[str]
    left: bool = False  # texts stand at the left, numbers at the right

    def lines(self) -> List[str]:
        texts = [one_line(text) for text in [self.above, self.title] + self.cells]
        size = max(len(text) for text in texts)
        return [text.ljust(size) if self.left else text.rjust(size) for text in texts]


def _stages(stages: Mapping[str, Mapping[str, Any]], width: int) -> List[str]:
    """A row for each stage. Networks and runtimes get lines of their own where two more columns find no room."""
    if not stages:
        return []
    rows = list(stages.values())
    columns = [_Column("", "stage", list(stages), True)]
    timed = [key for key in ("wait", "work", "device") if key != "device" or any(row.get("device_ms") for row in rows)]
    for name in timed:
        for percentile in ("p50", "p95"):
            cells = [_number((row.get(name + "_ms") or {}).get(percentile)) for row in rows]
            columns.append(_Column(name + " ms" if percentile == "p50" else "", percentile, cells))
    columns.append(_Column("", "frames", _counts(rows, "count")))
    for key in ["dropped", "skipped"] + _other_counters(rows):
        columns.append(_Column("", key, _counts(rows, key)))
    networks = [_Column("", "network", [row.get("model") or "" for row in rows], True),
                _Column("", "runtime", [row.get("backend") or "" for row in rows], True)]
    lines = _joined(columns + networks)
    notes = [line for name, row in stages.items() if row.get("note") for line in _text(name, row["note"], width)]
    if max(len(line) for line in lines) <= width:
        return lines + notes
    runs = ["{}: {}".format(name, " on ".join(text for text in (row.get("model"), row.get("backend")) if text))
            for name, row in stages.items() if row.get("model") or row.get("backend")]
    return _joined(columns) + [line for run in runs for line in _text("", run, width)] + notes


def _joined(columns: Sequence[_Column]) -> List[str]:
    return [GAP.join(cells).rstrip() for cells in zip(*[column.lines() for column in columns])]


def _counts(rows: Sequence[Mapping[str, Any]], key: str) -> List[str]:
    return [str(row[key]) if key in row else UNKNOWN for row in rows]


def _other_counters(rows: Sequence[Mapping[str, Any]]) -> List[str]:
    """What a stage counts beside the usual, where it has counted any."""
    counters = [(key, value) for row in rows for key, value in row.items() if key not in PLAIN_KEYS]
    return sorted({key for key, value in counters if isinstance(value, int) and value})


def _outputs(outputs: Mapping[str, Mapping[str, Any]], width: int) -> List[str]:
    lines: List[str] = []
    for name, stats in outputs.items():
        more = sorted(key for key, count in stats.items() if key not in OUTPUT_KEYS and count)
        counts = ", ".join("{} {}".format(stats[key], key.replace("_", " "))
                           for key in list(OUTPUT_KEYS[1:]) + more if key in stats)
        text = "{}: {} ({})".format(name, without_name(name, stats.get("state", UNKNOWN)), counts)
        lines += _text("output" if not lines else "", text, width)
    return lines


def without_name(name: str, state: str) -> str:
    """The state of an output where its name stands before it: texts of errors begin with that, too."""
    return state.replace("output {}: ".format(name), "", 1)


def _board(board: Mapping[str, Any]) -> str:
    parts = [board.get("model"), board.get("nvpmodel")]
    if "gpu_load" in board:
        parts.append("GPU {:.0f} % busy".format(100.0 * board["gpu_load"]))
    parts += ["{} {:.1f} C".format(zone, degrees) for zone, degrees in (board.get("temp_c") or {}).items()]
    if "power_mw" in board:
        parts.append("{:.1f} W".format(board["power_mw"] / 1000.0))
    memory = board.get("memory_mb") or {}
    if memory:
        parts.append("{} of {} MB used".format(memory.get("used", UNKNOWN), memory.get("total", UNKNOWN)))
    if board.get("throttled"):
        parts.append("THROTTLED")
    return ", ".join(part for part in parts if part)


def _text(label: str, text: str, width: int) -> List[str]:
    return textwrap.wrap(one_line(text), width, initial_indent=one_line(label).ljust(LABEL), subsequent_indent=" " * LABEL,
                         break_on_hyphens=False)


def _number(value: Optional[float]) -> str:
    """Two digits after the point below 1, one below 1000, else none."""
    if value is None:
        return UNKNOWN
    digits = 2 if value < 1.0 else 1 if value < 1000.0 else 0
    return "{:.{}f}".format(value, digits)


def duration(seconds: float) -> str:
    """Two units at most: 45 s, 2 min 5 s, 3 h 12 min, 2 d 3 h."""
    total = int(seconds)
    if total < 60:
        return "{} s".format(total)
    if total < 3600:
        return "{} min {} s".format(total // 60, total % 60)
    if total < 86400:
        return "{} h {} min".format(total // 3600, total % 3600 // 60)
    return "{} d {} h".format(total // 86400, total % 86400 // 3600)
