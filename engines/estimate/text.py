"""The estimate as tables, for a terminal or for a README."""
import math
from typing import Any, List, NamedTuple, Sequence

import numpy as np

from edge.core.roles import ALIGN, IRIS, ROLES
from engines.estimate import pipeline
from engines.estimate.board import Span, total
from engines.estimate.kernels import CLASSES, class_of
from engines.estimate.make import Estimate

LABEL = "ESTIMATE:"
NOT_MEASURED = ("Nothing here was measured on a Jetson Nano: a model fitted to published figures of other networks, "
                "and host costs of a PC.")
FLOOR_FPS, AIM_FPS = 10.0, 30.0
RANGE = ["optimistic", "middle", "pessimistic"]
RATES = ["situation"] + RANGE + ["FPS opt.", "middle", "pess."]
GROUPS = ("Grouped convolutions on this GPU were measured by nobody: at best a kernel each, in the middle one for each group, "
          "at worst dense ones.")
TITLES = {pipeline.TRACKING: "a face is tracked", pipeline.FOUND: "a face found anew each frame",
          pipeline.NOBODY: "nobody there, searching"}


class Section(NamedTuple):
    """A table between two texts. The first column stands at the left, the others are numbers."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()


def spelled(span: Span, digits: int = 1) -> List[str]:
    return ["{:.{}f}".format(v, digits) for v in span]


def sections(e: Estimate) -> List[Section]:
    return [_engines(e), _host(e), _frames(e)] + _other_way(e) + [_several(e), _memory(e), _errors(e), _comparison(e)]


def render(found: Sequence[Section], markdown: bool) -> str:
    return "\n\n".join(_markdown(s) if markdown else _plain(s) for s in found) + "\n"


def _plain(s: Section) -> str:
    lines = [s.title]
    if s.rows:
        columns = list(zip(*([list(s.header)] + [list(r) for r in s.rows])))
        widths = [max(len(cell) for cell in column) for column in columns]
        for row in [s.header] + list(s.rows):
            cells = [row[0].ljust(widths[0])] + [c.rjust(w) for c, w in zip(row[1:], widths[1:])]
            lines.append("  " + "  ".join(cells).rstrip())
    return "\n".join(lines + ["  " + note for note in s.notes])


def _markdown(s: Section) -> str:
    lines = ["**{}**".format(s.title), ""]
    if s.rows:
        lines += ["| {} |".format(" | ".join(s.header)), "|---|" + "---:|" * (len(s.header) - 1)]
        lines += ["| {} |".format(" | ".join(c.strip().replace("|", "\\|") for c in row)) for row in s.rows] + [""]
    return "\n".join(lines + ["{}  ".format(note) for note in s.notes]).rstrip()


def _engines(e: Estimate) -> Section:
    rows = []
    for engine in e.engines:
        mmac = sum(layer.macs for layer in engine.layers) / 1e6
        rows.append([(engine.role + ": " if engine.role else "  ") + engine.network, "{:.1f}".format(mmac),
                     str(len(engine.layers))] + spelled(engine.ms) + ["{:.0f} to {:.0f}".format(*engine.mb[::2])])
    board = "{} (GPU {:.0f} MHz, {} cores of {:.0f} MHz)".format(
        e.board.name, e.board.gpu_mhz, e.board.cores, e.board.cpu_mhz)
    return Section("{} Engines in FP16 on {}, ms a run on the device".format(LABEL, board),
                   ["engine", "MMAC", "kernels"] + RANGE + ["MB"], rows,
                   [NOT_MEASURED,
                    "Those without a role are not of the set that would run. Iris: both eyes in one run.",
                    "With clocks held (`sudo jetson_clocks`): without that, short kernels run at lower ones."])


def _host(e: Estimate) -> Section:
    s = e.situations[0]
    rows = [[name, "{:.2f}".format(p.host.middle), "{:.2f}".format(p.calls.middle), "{:.2f}".format(p.device.middle)]
            + spelled(p.whole) for name, p in list(s.stages.items()) + [("between", s.between)]]
    low, middle, high = pipeline.HOST_FACTOR
    extra = pipeline.cpu_crops(e.board, e.pose_every, IRIS not in e.running)
    return Section(
        LABEL + " A frame while a face is tracked, ms", ["stage", "host", "calls", "device"] + RANGE, rows,
        ["host: measured on a PC ({}), times {:g} ({:g} to {:g}) for a core of the board{}.".format(
            pipeline.host_costs()["machine"], middle, low, high, _slower(e)),
         "calls: Python around an engine and the frame's upload, {:g} to {:g} ms a call: a guess.".format(
             pipeline.CALL_MS.low, pipeline.CALL_MS.high),
         "between: links, meter, upload. pose runs its network on every {}th frame.".format(e.pose_every),
         "Without the crop kernel the host makes the crops: {:.1f} ({:.1f} to {:.1f}) ms more, and no upload.".format(
             extra.middle, extra.low, extra.high)])


def _slower(e: Estimate) -> str:
    slower = e.board.speed.cpu
    return ", times {:.2f} for its clock".format(slower) if slower > 1.0 else ""


def _rates(found: Sequence[pipeline.TrackingCase]) -> List[List[str]]:
    rows = []
    for s in found:
        for how, ms in (("one thread", s.one_thread), ("detect+align | pose+iris+express", s.two_threads)):
            rates = pipeline.fps(ms)
            rows.append(["{}, {}".format(TITLES[s.name], how)] + spelled(ms) + [
                "{:.0f}".format(rates.high), "{:.0f}".format(rates.middle), "{:.0f}".format(rates.low)])
    return rows


def _frames(e: Estimate) -> Section:
    return Section(LABEL + " Milliseconds a frame, and frames a second (the camera gives 30)", RATES, _rates(e.situations),
                   [verdict(e), bottleneck(e)])


def _several(e: Estimate) -> Section:
    rows = []
    ways = [({role: engine.network for role, engine in e.running.items()}, e.situations)]
    for networks, found in ways + ([(dict(e.other_way), e.other_situations)] if e.other_way else []):
        names = [networks[role] for role in (ALIGN, IRIS) if role in networks]
        for faces in pipeline.SEVERAL_FACES:
            ms = pipeline.with_faces(found[0], faces).one_thread
            rates = pipeline.fps(ms)
            rows.append(["{} face{}, {}".format(faces, "s" if faces > 1 else "", " and ".join(names))] + spelled(ms) + [
                "{:.0f}".format(rate) for rate in reversed(rates)])
    return Section(LABEL + " Several faces tracked (tracking.max_faces), one thread", ["faces"] + RATES[1:], rows, [
        "Each face costs the same again, but for the upload, and the detector: once a second while there are fewer.",
        "Where that is too much for the camera's rate, the governor gives up irises and poses first, then records."])


def _other_way(e: Estimate) -> List[Section]:
    """The same for the other way to points and irises; none where there is no such way."""
    if not e.other_way:
        return []
    own, other = [engine.network for engine in e.running.values()], list(e.other_way.values())
    title = "{} The same with {} in the place of {}".format(
        LABEL, " and ".join(n for n in other if n not in own), " and ".join(n for n in own if n not in other))
    return [Section(title, RATES, _rates(e.other_situations), [
        GROUPS, "`nanoface build --tune` measures both ways and takes the cheaper one."])]


def verdict(e: Estimate) -> str:
    """Whether the user's floor and aim hold."""
    rates = {s.name: pipeline.fps(s.one_thread) for s in e.situations}
    tracking, worst = rates[pipeline.TRACKING], rates[pipeline.FOUND]
    low = ("At the pessimistic end, one thread: {:.1f} FPS while tracking (the floor of {:.0f} {}), {:.1f} if the face "
           "is lost and found anew in every frame ({}).").format(
               tracking.low, FLOOR_FPS, _holds(tracking.low), worst.low, _holds(worst.low))
    return low + " In the middle {:.1f} while tracking (the aim of {:.0f} is {}).".format(
        tracking.middle, AIM_FPS, "met" if tracking.middle >= AIM_FPS else "NOT met")


def _holds(rate: float) -> str:
    return "holds" if rate >= FLOOR_FPS else "does NOT hold"


def bottleneck(e: Estimate) -> str:
    """One sentence: what a tracked frame waits for most."""
    s = e.situations[0]
    device, host = s.device.middle, s.host.middle
    slowest = max(s.stages, key=lambda n: s.stages[n].device.middle)
    costliest = max(s.stages, key=lambda n: s.stages[n].host.middle)
    if device >= host:
        return "The bottleneck is the GPU, {:.1f} of {:.1f} ms, {:.1f} of it for {}; the host has {:.1f}.".format(
            device, device + host, s.stages[slowest].device.middle, slowest, host)
    return "The bottleneck is the host, {:.1f} of {:.1f} ms, {:.1f} of it {}; the GPU has {:.1f}.".format(
        host, device + host, s.stages[costliest].host.middle, costliest, device)


def _memory(e: Estimate) -> Section:
    bill = e.memory
    whole = total([span for _, span in bill])
    rows = [[name] + spelled(span, 0) for name, span in bill + [("together", whole)]]
    return Section(LABEL + " Memory, MB", ["what"] + RANGE, rows, [
        "Of {:.0f} MB. The goal of {:.0f} MB with the system: {}.".format(
            pipeline.BOARD_MB, pipeline.GOAL_MB, _against(whole, pipeline.GOAL_MB)),
        "Build without cuDNN's tactics where that costs no time: `nanoface build --tune` measures it."])


def _against(span: Span, limit: float) -> str:
    if span.high <= limit:
        return "kept, also at the pessimistic end"
    return "kept in the middle, missed at the pessimistic end" if span.middle <= limit else "missed in the middle"


def _errors(e: Estimate) -> Section:
    rows = []
    for name in CLASSES:
        of_class = [o for o in e.fit.left_out if o.kind == name]
        off = sorted(abs(math.exp(o.error) - 1.0) for o in of_class)
        worst = max(of_class, key=lambda o: abs(o.error))
        rows.append([name, str(len(of_class)), "{:.0f} %".format(100.0 * float(np.median(off))),
                     "{:.0f} % ({})".format(100.0 * abs(math.exp(worst.error) - 1.0), worst.network),
                     "{} of {}".format(sum(o.inside for o in of_class), len(of_class))])
    others = ["{} {:g}: {:.1f}".format(*row) for row in e.fit.not_fitted]
    return Section(
        "How far the model is from published figures of networks that it has not seen (leave one network out)",
        ["class", "figures", "median error", "worst", "inside their own range"], rows,
        ["Published of other networks on a Nano: {}.".format("; ".join(e.fit.not_rebuilt)),
         "The default set is of the depthwise class, whose figures are of two networks only and contradict each other;",
         "and its networks are smaller than any published one. Their ranges are wider for both.",
         "Not fitted, as more than the network is in them (published ms: the model's): {}.".format("; ".join(others))])


def _comparison(e: Estimate) -> Section:
    theirs, s = e.fit.dlvyf, e.situations[1]
    ours = [s.stages[role].whole for role in ROLES]
    rows = [["DLVYF, measured by its authors"] + ["{:.1f}".format(theirs[r + "_ms"]) for r in ROLES]
            + ["{:.2f}".format(theirs["fps"])],
            ["nanoface, ESTIMATE, every stage in every frame (align twice)"] + [_ranged(span, 1) for span in ours]
            + [_ranged(pipeline.fps(s.one_thread), 0)],
            ["nanoface, ESTIMATE, tracking"] + ["-"] * 4 + [_ranged(pipeline.fps(e.situations[0].one_thread), 0)]]
    return Section("A published face tracker on a Nano, and the ESTIMATE, ms a stage (middle and range)",
                   ["tracker"] + list(ROLES) + ["FPS"], rows)


def _ranged(span: Span, digits: int) -> str:
    return "{1:.{3}f} ({0:.{3}f} to {2:.{3}f})".format(span.low, span.middle, span.high, digits)


def as_data(e: Estimate) -> Any:
    """The same as plain numbers."""
    return {
        "estimate": True, "note": NOT_MEASURED, "board": e.board._asdict(), "pose_every": e.pose_every,
        "engines": [{"role": n.role, "network": n.network, "class": class_of(n.layers), "kernels": len(n.layers),
                     "mmac": sum(layer.macs for layer in n.layers) / 1e6, "ms": list(n.ms), "mb": list(n.mb)}
                    for n in e.engines],
        "situations": {s.name: _situation(s) for s in e.situations},
        "several_faces": {str(n): list(pipeline.with_faces(e.situations[0], n).one_thread)
                          for n in pipeline.SEVERAL_FACES},
        "memory_mb": [[name] + list(span) for name, span in e.memory],
        "left_out": [{"network": o.network, "source": o.source, "class": o.kind, "ms": o.ms,
                      "factor": math.exp(o.error)} for o in e.fit.left_out],
        "verdict": verdict(e), "bottleneck": bottleneck(e),
        "other_way": {"networks": dict(e.other_way), "note": GROUPS,
                      "situations": {s.name: _situation(s) for s in e.other_situations}} if e.other_way else None,
    }


def _situation(s: pipeline.TrackingCase) -> Any:
    stages = {n: {"host": list(p.host), "calls": list(p.calls), "device": list(p.device)} for n, p in s.stages.items()}
    return {"host_ms": list(s.host), "device_ms": list(s.device), "one_thread_ms": list(s.one_thread),
            "two_threads_ms": list(s.two_threads), "stages": stages}
