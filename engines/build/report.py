"""What the user sees of a build: a line for each plan, and on a terminal what is being done and for how long."""
from typing import Any, List, Mapping, Optional, TextIO

from engines.build.parent import BuildCallbacks
from engines.progress import Report, size_text

GUESS_S = 120.0  # small networks take one to five minutes on a Nano
QUIET_S = 60.0  # between lines of progress where there is no terminal


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
