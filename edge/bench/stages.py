"""`nanoface bench stages`: the table that DLVYF prints of its stages, and its FPS line.

There each stage looks at every frame with a network of its own, in the order of the table; so here, beside what `nanoface run`
does with the same frames: no detection while a face is tracked, all estimators of the pose on every fifth frame, points and
irises of one network. The two take turns, round by round. DLVYF's figures are cited from its README, for a Jetson Nano: no
machine here is one, and what stands beside them for a Nano is an estimate.
"""
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from edge.app.chain import make_stages
from edge.bench.measure import measure_pipeline
from edge.config.load import Config
from edge.core import clock
from edge.core.contracts import Stage
from edge.core.errors import ConfigError
from edge.core.figures import median
from edge.core.packet import Frame, Packet
from edge.core.roles import ALIGN, DETECT, EXPRESS, IRIS, OFF, POSE, STAGES
from edge.store.models import home_dir, read_index

NAMES = {DETECT: "Face Detection", ALIGN: "Face Alignment", POSE: "Pose Estimation", IRIS: "Iris Localization",
         EXPRESS: "Smoothing, gaze, eyes"}
SUM = "sum"
# a Jetson Nano, ms, by the README of DLVYF
CITED_MS = {DETECT: 12.3, ALIGN: 18.1, POSE: 49.2, IRIS: 22.6, SUM: 104.2}
CITED_FPS = "9.59 ± 1"
FOUR_THREADS = "detect | align | pose | iris+express"
ONE_EACH = ("face_landmark", "facemesh_pth")  # align networks that leave the irises to their own
FPS = 30.0
Spans = Dict[str, Tuple[float, float, float]]
HEAD, LINE = "{:<24}{:>22}{:>22}{:>18}{:>22}", "{:<24}{:>22}{:>22}{:>18}{:>22}"


def measure_stages(config: Config, frames: Sequence[np.ndarray], rounds: int,
                   estimate: Optional[Callable[[Mapping[str, str]], Spans]]) -> Dict[str, Any]:
    """Raises EdgeErrors."""
    if config.models.pose == (OFF,) or config.models.iris == (OFF,):
        raise ConfigError("bench stages measures all stages: leave --pose none and --iris none out")
    every = each_frame(config)
    chains = [_chain(every), _chain(config)]
    opened = []  # type: List[Stage]
    try:
        for chain in chains:
            for stage in chain:
                stage.open()
                opened.append(stage)
        times = _rounds(chains, frames, rounds)
    finally:
        for stage in opened:
            stage.close()
    result = {key: _figures(found) for key, found in zip(("every_frame", "as_run"), times)}  # type: Dict[str, Any]
    threads = every._replace(pipeline=every.pipeline._replace(workers=FOUR_THREADS))
    walls = [r.wall_ms for r in measure_pipeline(threads, frames, rounds)["rounds"]]
    result["every_frame"]["fps_four_threads"] = _mean([1e3 / ms for ms in walls])
    networks = {stage.name: ", ".join(runner.model for runner in stage.runners) for stage in chains[0] if stage.runners}
    estimated = estimate(networks) if estimate is not None else {}
    return dict(result, networks=networks, cited_ms=CITED_MS, estimated_ms={role: list(ms) for role, ms in estimated.items()})


def each_frame(config: Config) -> Config:
    """Every stage looks at every frame, and unless the user named networks, each with one of its own where they are there."""
    tracking = config.tracking._replace(max_faces=2, refresh_s=0.0, pose_every=1)  # room for one more: it is looked for
    models = config.models
    own = tuple(name for name in ONE_EACH if name in read_index(home_dir()))
    if own and not config.chosen.intersection(("models.align", "models.iris")):
        models = models._replace(align=own)
    return config._replace(tracking=tracking, models=models)


def _chain(config: Config) -> List[Stage]:
    made = make_stages(config, False, lambda event, text: None)
    return [stage for stage in made if stage is not None]


def _rounds(chains: Sequence[List[Stage]], frames: Sequence[np.ndarray], rounds: int) -> List[List[Dict[str, List[float]]]]:
    """Chain -> round -> stage -> ms of each frame; the first round, which warms up, is left out."""
    times = [[] for _ in chains]  # type: List[List[Dict[str, List[float]]]]
    for turn in range(rounds + 1):
        for chain, found in zip(chains, times):
            of_round = {stage.name: [] for stage in chain}  # type: Dict[str, List[float]]
            for i, image in enumerate(frames):
                seq = turn * len(frames) + i
                packet = Packet(Frame(seq, clock.monotonic(), seq / FPS, image))  # type: Optional[Packet]
                for stage in chain:
                    if packet is not None:
                        began = clock.monotonic()
                        packet = stage.process(packet)
                        of_round[stage.name].append(1e3 * (clock.monotonic() - began))
            if turn:
                found.append(of_round)
    return times


def _figures(found: Sequence[Mapping[str, List[float]]]) -> Dict[str, Any]:
    stages = {name: _mean([ms for of_round in found for ms in of_round[name]]) for name in found[0]}
    whole = [sum(frame) for of_round in found for frame in zip(*of_round.values())]
    rates = [1e3 / (sum(map(sum, of_round.values())) / len(next(iter(of_round.values())))) for of_round in found]
    return {"stages_ms": stages, "sum_ms": _mean(whole), "median_ms": median(whole), "fps": _mean(rates)}


def _mean(values: Sequence[float]) -> Dict[str, float]:
    return {"mean": float(np.mean(values)), "deviation": float(np.std(values))}


def lines(result: Dict[str, Any]) -> List[str]:
    """The table for people."""
    every, run, guessed = result["every_frame"], result["as_run"], result["estimated_ms"]
    text = ["ms a frame, mean ± deviation of all frames; a Nano was not at hand: its columns are cited and estimated", "",
            HEAD.format("", "on every frame, here", "as run here", "DLVYF, Nano*", "ours, Nano, estimate")]
    for stage in STAGES:
        text.append(LINE.format(NAMES[stage], _shown(every["stages_ms"].get(stage)), _shown(run["stages_ms"].get(stage)),
                                CITED_MS.get(stage, "-"), _range(guessed.get(stage))))
    total = [sum(column) for column in zip(*guessed.values())] if guessed else None
    text.append(LINE.format(SUM, _shown(every["sum_ms"]), _shown(run["sum_ms"]), CITED_MS[SUM], _range(total)))
    text.append(LINE.format("FPS, one after the other", _shown(every["fps"]), _shown(run["fps"]), "-",
                            _range([1e3 / ms for ms in total[::-1]] if total else None)))
    text.append(LINE.format("FPS, four threads", _shown(every["fps_four_threads"]), "-", CITED_FPS, "-"))
    return text + ["", "on every frame: " + ", ".join("{} {}".format(*pair) for pair in result["networks"].items()),
                   "as run: no detection while a face is tracked, the estimators of the pose on every fifth frame",
                   "* cited from DLVYF's README, not measured here"]


def _shown(figure: Optional[Mapping[str, float]]) -> str:
    return "-" if figure is None else "{mean:.2f} ± {deviation:.2f}".format(**figure)


def _range(span: Optional[Sequence[float]]) -> str:
    """Middle, and what lies between the optimistic and the pessimistic end."""
    return "-" if span is None else "{1:.1f} ({0:.1f} to {2:.1f})".format(*span)
