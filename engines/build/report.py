"""What the user sees of a build: a line for each plan, and on a terminal what is being done and for how long.

Of a tuning plans/tuning.txt and plans/tuning.json keep what was measured, for the eye and for programs.
"""
import itertools
import json
import os
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, TextIO, Tuple

from edge.core.roles import ROLES
from edge.host.disk import write_whole
from edge.host.reading import read_json
from edge.store.plans import plans_dir
from engines.build.boardfacts import Facts
from engines.build.parent import BuildCallbacks
from engines.build.target import Target
from engines.progress import Report, size_text

GUESS_S = 120.0  # small networks take one to five minutes on a Nano
QUIET_S = 60.0  # between lines of progress where there is no terminal
SCHEMA = 1
JSON, TEXT = "tuning.json", "tuning.txt"  # in plans/
_ROW = "{:7} {:15}  {:4}  {:19}  {:>7} {:>7}  {:>7} {:>7}  {:>8}  {:>6}  {}"
WAYS_HEAD = ("ways, ms a frame of one face: the GPU's medians + what the host is about around each engine (launching it, "
             "copying whole inputs and outputs, waiting; not the stages' own Python)")


def span(seconds: float) -> str:
    """Minutes and seconds, as 2:05."""
    return "{}:{:02d}".format(*divmod(int(seconds), 60))


class BuildReport(Report):
    """Whole lines everywhere; on a terminal one more that is redrawn."""

    def __init__(self, out: TextIO, verbose: bool = False) -> None:
        super().__init__(out, QUIET_S)
        self._verbose = verbose
        self._once: List[str] = []

    def row(self, role: str, network: str, text: str) -> None:
        self.line("{:9} {:15}  {}".format(role, network, text))

    def once(self, text: str) -> None:
        """A line, unless it was written already."""
        if text not in self._once:
            self._once.append(text)
            self.line(text)

    def end_progress(self) -> None:
        """Also where a signal ends the command: what is written next begins a line."""
        self._line.end()
        self._out.flush()

    def callbacks(self, title: str, why: str, expected_s: Optional[float]) -> BuildCallbacks:
        """Shows one build. `title`: which of how many; `why`: the reason ("": no line beforehand); expected_s:
        of the last build, None where there was none.
        """
        expected = "about {}".format(span(expected_s)) if expected_s else "perhaps {} (a guess)".format(span(GUESS_S))
        if why:
            self.line("{}: {}; now it is built, which takes {}".format(title, why, expected))
        self._line.begin()

        def tick(step: str, elapsed_s: float) -> None:
            self.show("{}: {}, {} of {}".format(title, step, span(elapsed_s), expected))

        def log(severity: str, text: str) -> None:
            if self._verbose:
                self.line("  [TensorRT {}] {}".format(severity, text))

        return BuildCallbacks(self.line, tick, log)


def built_text(sidecar: Mapping[str, Any]) -> str:
    """A plan that was built: time, size, how exact and how fast it is."""
    parts = ["{} in {:.0f} s, {}".format(sidecar["precision"], sidecar["build_s"], size_text(sidecar["size"]))]
    pins = sidecar["flags"]["fp32_layers"]
    if pins:
        parts.append("{} {} in fp32 ({})".format(
            len(pins), "layer" if len(pins) == 1 else "layers", sidecar["flags"]["constraints"] or "as a hint"))
    parts.append(verified_text(sidecar.get("verified")))
    measured = sidecar.get("measured") or {}
    times = [(name, _median(measured, key)) for name, key in (("GPU", "device_ms"), ("in all", "host_ms"))]
    parts += ["{:.2f} ms {}".format(value, name) for name, value in times if value is not None]
    return ", ".join(parts)


def verified_text(verified: Optional[Mapping[str, Mapping[str, Any]]]) -> str:
    if verified is None:
        return "not verified"
    return "verified ({})".format(", ".join(
        "{} {:.2g} {}".format(name, found["worst"], found["unit"]) for name, found in verified.items()) or "nothing seen")


def _median(measured: Mapping[str, Any], key: str) -> Optional[float]:
    return measured[key]["p50"] if measured.get(key) else None


class Trial(NamedTuple):
    """One variant that was tried. `sidecar` is empty where it failed, for the reason in `failure`."""

    target: Target
    sidecar: Mapping[str, Any]
    plan: str
    failure: str
    chosen: bool = False

    @property
    def median_ms(self) -> float:
        """Of the GPU's own time; of the whole where it gave none."""
        measured = self.sidecar["measured"]
        return float((measured.get("device_ms") or measured["host_ms"])["p50"])

    @property
    def whole_ms(self) -> float:
        """Of a call of the engine: the GPU's time, and what the host is about before and after it."""
        return float(self.sidecar["measured"]["host_ms"]["p50"])

    @property
    def verified(self) -> bool:
        return self.sidecar.get("verified") is not None

    def record(self) -> Dict[str, Any]:
        """For tuning.json; what is not known is null."""
        measured = self.sidecar.get("measured") or {}
        return {
            "role": self.target.stored.role, "network": self.target.stored.name, "precision": self.target.precision,
            "tactic_sources": list(self.target.config.tactics), "dense": self.target.config.dense,
            "device_ms": measured.get("device_ms"), "host_ms": measured.get("host_ms"),
            "verified": self.sidecar.get("verified"), "size": self.sidecar.get("size"),
            "build_s": self.sidecar.get("build_s"),
            "graphs": self.sidecar.get("graphs"), "failure": self.failure or None, "chosen": self.chosen,
        }


def fastest(trials: Sequence[Trial]) -> Optional[Trial]:
    """By the GPU's own median. Those that were compared with ONNX Runtime go before those that could not be."""
    sound = [trial for trial in trials if trial.sidecar]
    return min(sound, key=lambda trial: (not trial.verified, trial.median_ms), default=None)


class Way(NamedTuple):
    """Plans that give the values of some roles together, each the fastest of its network."""

    parts: Sequence[Trial]
    missing: Sequence[str] = ()  # roles that it has no plan for

    @property
    def device_ms(self) -> float:
        return sum(part.median_ms for part in self.parts)

    @property
    def whole_ms(self) -> float:
        return sum(max(part.whole_ms, part.median_ms) for part in self.parts)

    def record(self, chosen: bool) -> Dict[str, Any]:
        """For tuning.json."""
        return {"networks": [part.target.stored.name for part in self.parts], "chosen": chosen,
                "variants": [part.target.config.label for part in self.parts], "missing": list(self.missing),
                "device_ms": round(self.device_ms, 3), "host_ms": round(self.whole_ms - self.device_ms, 3),
                "together_ms": round(self.whole_ms, 3)}


def ways_of(role: str, trials: Mapping[str, Sequence[Trial]]) -> List[Way]:
    """The best first: those that lack nothing, that were compared with ONNX Runtime, that cost the least. `trials`: of
    `role`, and of each later one that some of its networks fill.
    """
    found = []
    names: List[str] = []
    for trial in trials[role]:
        name, best = trial.target.stored.name, fastest([t for t in trials[role] if t.target.stored == trial.target.stored])
        if best is None or name in names:
            continue
        names.append(name)
        others = {other: fastest(trials[other]) for other in trials if other not in best.target.stored.also + (role,)}
        found.append(Way([best] + [one for one in others.values() if one is not None],
                         [other for other, one in others.items() if one is None]))
    return sorted(found, key=lambda way: (len(way.missing), not all(part.verified for part in way.parts), way.whole_ms))


def way_line(row: Mapping[str, Any]) -> str:
    lacks = "; nothing right for {}".format(" and ".join(row["missing"])) if row["missing"] else ""
    return "{}: {:.2f} + {:.2f} = {:.2f}{}{}".format(
        " + ".join(" ".join(part) for part in zip(row["networks"], row["variants"])), row["device_ms"], row["host_ms"],
        row["together_ms"], lacks, ", chosen" if row["chosen"] else "")


def head_line() -> str:
    return "{:31}{:21}  {:^15}  {:^15}\n".format("", "", "GPU, ms", "in all, ms") + _ROW.format(
        "role", "network", "bits", "tactics", "median", "p95", "median", "p95", "size", "build", "")


def row_line(row: Mapping[str, Any]) -> str:
    times = [_ms(row[key], share) for key in ("device_ms", "host_ms") for share in ("p50", "p95")]
    size = size_text(row["size"]) if row["size"] is not None else "-"
    build = "{:.0f} s".format(row["build_s"]) if row["build_s"] is not None else "-"
    if row["failure"]:
        verdict = "failed: " + row["failure"]
    else:
        verdict = "verified" if row["verified"] is not None else "not verified"
        verdict += ", by a CUDA graph" * bool(row.get("graphs")) + ", chosen" * row["chosen"]
    variant = ("+".join(row["tactic_sources"]) or "none") + (", dense" if row.get("dense") else "")
    return _ROW.format(row["role"], row["network"], row["precision"], variant, *(times + [size, build, verdict]))


def _ms(shares: Optional[Mapping[str, float]], share: str) -> str:
    return "{:.2f}".format(shares[share]) if shares else "-"


def write_table(home: str, facts: Facts, role: str, new: Sequence[Dict[str, Any]],
                ways: Mapping[str, Sequence[Mapping[str, Any]]] = {}) -> None:
    """Put the rows of one role in the place of its former ones, and ways by their first role. Those of another board go.
    Raises StorageError.
    """
    path = os.path.join(plans_dir(home), JSON)
    board, former = facts._asdict(), read_object(path)
    rows, before = _former(former) if former.get("board") == board else ([], {})
    every = dict(before, **ways)
    rows = [row for row in rows if row["role"] != role] + list(new)
    rows.sort(key=lambda row: ROLES.index(row["role"]))
    text = json.dumps({"schema": SCHEMA, "board": board, "rows": rows, "ways": every}, indent=1, sort_keys=True) + "\n"
    write_whole(path, text.encode("ascii"))
    lines = ["{gpu}, TensorRT {tensorrt}, L4T {l4t}".format(**dict(board, l4t=board["l4t"] or "unknown")), head_line()]
    lines += [row_line(row) for row in rows]
    lines += [WAYS_HEAD] * any(every.values()) + [way_line(row) for found in every.values() for row in found]
    text = "\n".join(lines) + "\n"
    write_whole(os.path.join(plans_dir(home), TEXT), text.encode("utf-8"))


def _former(table: Mapping[str, Any]) -> Tuple[List[Dict[str, Any]], Dict[str, Any]]:
    """The rows and the ways of tuning.json; none where they are damaged, so that no line can be made of them."""
    rows, ways = table.get("rows", []), table.get("ways", {})
    try:
        rows = [row for row in rows if row["role"] in ROLES]
        for row in rows:
            row_line(row)
        for row in itertools.chain(*ways.values()):
            way_line(row)
    except (AttributeError, LookupError, TypeError, ValueError):
        return [], {}
    return rows, ways


def read_object(path: str) -> Dict[str, Any]:
    """A JSON object; an empty one where there is none, or where it is damaged."""
    try:
        content = read_json(path)
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
