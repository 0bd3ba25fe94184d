"""The composition root: from a configuration to a running pipeline. The only file that names concrete classes."""
import os
import sys
from contextlib import ExitStack
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from edge import buildlock, modelstore, planstore, renewal
from edge.config import Config
from edge.core import clock
from edge.core.contracts import Runner, Source, Stage
from edge.errors import EdgeError, EngineError, ModelError, UnfitError
from edge.face import head as heads
from edge.geometry.camera import CameraGuess, load
from edge.geometry.filters import OneEuroSettings
from edge.models.detectors import make_detector
from edge.models.face_landmark import FaceLandmark
from edge.models.iris_landmark import IrisLandmark
from edge.models.mb05 import Mb05
from edge.models.warp import use_one_thread
from edge.outputs.choose import NOTHING, OutputOptions, live_picture, make_output
from edge.outputs.record import encode
from edge.outputs.sender import Sender
from edge.outputs.spec import OutputSpec, parse_outputs
from edge.outputs.window import Situation
from edge.pipeline.governor import Governor, Steering, Step, Switch
from edge.pipeline.pipeline import Pipeline, Plan
from edge.redact import has_secret
from edge.runtimes.choose import need_runtime, open_runner
from edge.sources.choose import make_source
from edge.sources.controls import Controls
from edge.sources.spec import SourceOptions
from edge.stages.align import Align, AlignSettings
from edge.stages.detect import Detect, DetectSettings
from edge.stages.express import Express, ExpressSettings
from edge.stages.iris import IrisStage
from edge.stages.pose import PoseNetwork, PoseStage
from edge.stages.tracks import Tracks
from edge.targets import NewFolders, check_targets
from edge.telemetry.beginning import Beginning
from edge.telemetry.board import BoardReader
from edge.telemetry.health import Health
from edge.telemetry.meter import Meter
from edge.telemetry.running import Run
from edge.telemetry.statusfile import PRIVATE, mode_of
from edge.telemetry.statuslog import StatusLog
from edge.telemetry.systemd import Notifier

Report = Callable[[str, str], None]  # event ("note", "warning", "loss", "progress", "state"), one line of text
CANONICAL_FACE = "canonical_face"
OFF = "none"
TUNED_RUNTIMES = ("auto", "tensorrt")
FILE_QUEUE = 4  # items that wait before a file output that may make the pipeline wait: writing comes in bursts
CLOSE_STATUS_S = 0.3  # for a disk that hangs; one that does not takes the last record at once


class Networks:
    """Opens the runner of each role: the first candidate that was built; says so where it is not the preferred one."""

    def __init__(self, config: Config, report: Report) -> None:
        self._models = config.models
        self._home = modelstore.home_dir()
        self._report = report
        self._tuned = planstore.chosen(self._home) if config.models.runtime in TUNED_RUNTIMES else {}

    def required(self, role: str, candidates: Sequence[str]) -> Tuple[Runner, modelstore.StoredNetwork]:
        """Raises ModelError where no candidate was built. Of several, `nanoface build --tune` may have found the best."""
        if not self._any_built(candidates):
            need_runtime(self._models.runtime)
        in_order = planstore.tuned_first(candidates, self._tuned.get(role))
        network, skipped = modelstore.first_available(self._home, in_order)
        if skipped:
            self._report("note", "{}: {} not built, using {}".format(role, " and ".join(skipped), network.name))
        return open_runner(network, self._models.runtime, self._models.memory, self._models.crops), network

    def optional(self, role: str, candidates: Sequence[str],
                 instead: str) -> Optional[Tuple[Runner, modelstore.StoredNetwork]]:
        """The same, or None where it is switched off or not built; `instead` says what happens then."""
        if tuple(candidates) == (OFF,):
            return None
        if not self._any_built(candidates):
            self._report("note", "{}: {} not built, {}".format(role, " and ".join(candidates), instead))
            return None
        return self.required(role, candidates)

    def _any_built(self, candidates: Sequence[str]) -> bool:
        return not modelstore.read_index(self._home).keys().isdisjoint(candidates)

    def head(self) -> heads.HeadModel:
        """The canonical face, or the head of our own measuring where it was not fetched."""
        if CANONICAL_FACE not in modelstore.read_index(self._home):
            self._report("note", "pose: {} not fetched, using the head of our own measuring".format(CANONICAL_FACE))
            return heads.measured()
        path = modelstore.locate(self._home, CANONICAL_FACE).file
        try:
            table = np.load(path)
        except (OSError, ValueError) as e:
            raise ModelError("{} cannot be read ({}): {}".format(path, e, modelstore.cure()))
        return heads.of_canonical(table)


class Stages(NamedTuple):
    """Every stage that runs, in order."""

    detect: Detect
    align: Align
    pose: Optional[PoseStage]
    iris: Optional[IrisStage]
    express: Express

    def groups(self, names: Sequence[Sequence[str]]) -> List[Tuple[Stage, ...]]:
        """The stages of each worker; those that are switched off are left out."""
        by_name = self._asdict()
        groups = [tuple(by_name[n] for n in group if by_name[n] is not None) for group in names]
        return [g for g in groups if g]


def make_stages(config: Config, stills: bool, report: Report, live: bool = False) -> Stages:
    """`live`: frames come whether or not they are taken.

    Raises ModelError where a network that is needed was not built, EngineError where no runtime is there.
    """
    networks, tracking = Networks(config, report), config.tracking
    tracks, aligner = Tracks(tracking.lost_after_s, memory=not stills), FaceLandmark()
    camera = CameraGuess(load(config.camera.intrinsics) if config.camera.intrinsics else None, config.camera.fov_deg)

    runner, network = networks.required("detect", config.models.detect)
    settings = DetectSettings(tracking.max_faces_stills if stills else tracking.max_faces, tracking.detect_score,
                              tracking.refresh_s, config.governor.idle_after_s if live else None, closer_look=stills)
    detect = Detect(runner, make_detector(network.name), aligner, tracks, settings)
    align = Align(networks.required("align", config.models.align)[0], aligner, tracks, AlignSettings(tracking.presence))

    pose = None
    if tuple(config.models.pose) != (OFF,):
        found = networks.optional("pose", config.models.pose, "the pose is that of the mesh alone")
        looks = None if found is None else PoseNetwork(found[0], Mb05(found[1].decode))
        pose = PoseStage(looks, networks.head(), camera, tracking.pose_every)
    found = networks.optional("iris", config.models.iris, "there is no iris, blink or gaze")
    iris = None if found is None else IrisStage(found[0], IrisLandmark())

    absent = {}
    if pose is None:
        absent["pose"] = "switched off"
    if iris is None:
        absent["iris"] = "switched off" if tuple(config.models.iris) == (OFF,) else "no network was fetched for it"
    smoothing = config.smoothing
    filters = OneEuroSettings(smoothing.min_cutoff_hz, smoothing.beta, smoothing.derivative_cutoff_hz)
    return Stages(detect, align, pose, iris,
                  Express(ExpressSettings(camera, filters if smoothing.enabled and not stills else None, absent,
                                          learn=not stills)))


def steps_of(stages: Stages, halve_output: Switch) -> List[Step]:
    """What is given up to keep the rate, in this order."""
    def knob(stage: Any, usual: int) -> Callable[[bool], None]:
        return lambda given_up: setattr(stage, "every", 2 * usual if given_up else usual)

    steps = []
    if stages.iris is not None:
        steps.append(Step("irises in every second frame only", knob(stages.iris, 1)))
    if stages.pose is not None:
        steps.append(Step("all witnesses of the pose half as often", knob(stages.pose, stages.pose.every)))
    return steps + [Step("the detector half as often", knob(stages.detect, 1)),
                    Step("records of every second frame only", halve_output.set)]


def source_options(config: Config) -> SourceOptions:
    camera = config.camera
    return SourceOptions(controls=Controls(camera.exposure, camera.gain, camera.white_balance, camera.power_line_hz),
                         **{name: getattr(config.source, name) for name in SourceOptions._fields if name != "controls"})


def make_senders(specs: Sequence[OutputSpec], config: Config, source: Source,
                 report: Optional[Report] = None) -> List[Sender]:
    """One thread for each output; files wait for a file, nothing waits for anything else. With `report` a live picture
    may open by itself."""
    blocking = not source.live
    options = OutputOptions(config.output.landmarks, config.output.mirror, blocking,
                            lambda: source.fps, config.output.draw_times, lambda: source.name)
    outputs = [make_output(spec, options) for spec in specs]
    if report is not None and not any(spec.kind == "window" for spec in specs):
        here = Situation(os.environ, sys.platform, sys.stderr.isatty(), source.live, source.stills, bool(specs))
        outputs += live_picture(config.output.window, here, options, lambda text: report("note", text))
    return [Sender(output, FILE_QUEUE if output.blocking else 1) for output in outputs]


def run(config: Config, stop: Any, report: Report) -> Dict[str, Any]:
    """Track until the source ends or `stop` is set; the status record of the whole run. Raises EdgeErrors.

    `stop` has is_set(). `report(event, text)` gets "progress", "state", "note", "warning" and "loss" lines.
    """
    health, home = Health(Notifier(os.environ)), modelstore.home_dir()
    before, unfit = Beginning(status_log(config), config.source.spec or "", report), ""

    def waiting(text: str = "the engines, which nanoface build makes now") -> None:
        health.waiting(text)
        before.say("STARTING", text)

    try:
        unfit = renewal.settle(home, config, os.environ, waiting, stop.is_set)
        with buildlock.tracking(home, waiting, stop.is_set):
            if before.waited and stop.is_set():
                return before.say("STOPPED", "")
            return _run(config, stop, report, health, before, unfit)
    except EdgeError as e:
        told = e
        if unfit and isinstance(e, EngineError):
            told = UnfitError("{}; {}".format(str(e).rpartition(": ")[0], unfit))
        health.failed(str(told))
        if (unfit or before.waited) and not before.over:
            before.say("FAILED", str(told))
        raise told


def _run(config: Config, stop: Any, report: Report, health: Health, before: Beginning, unfit: str) -> Dict[str, Any]:
    use_one_thread()
    specs = parse_outputs(config.outputs)
    check_targets(specs, config)
    folders = NewFolders(specs, config)
    source = make_source(source_options(config))
    health.opening("the networks")
    stages = make_stages(config, source.stills, report, source.live)
    groups = stages.groups(config.pipeline.groups())
    chain = [stage for group in groups for stage in group]
    meter = Meter(chain, clock.monotonic())
    senders = make_senders(specs, config, source, report)
    this = Run(source, config.source.max_frames, senders, meter, chain, report)
    this.unfit = unfit
    this.hint = "" if senders or config.output.window is False else NOTHING
    halve_output = Switch()
    steps = steps_of(stages, halve_output) if config.governor.enabled and source.live else []
    steering = Steering(Governor(config.governor.target_fps, len(steps)), steps, this.throttled, this.changed)
    this.governor = steering.record if steps else None

    def on_state(state: str, reason: str) -> None:
        made = folders.note()
        if made:
            report("note", made)
        this.on_state(state, reason)

    plan = Plan(source, groups, senders, lambda packet, now: encode(packet, now, config.output.landmarks), meter,
                on_state=on_state, on_tick=this.on_tick, on_watch=health.tick, on_open=health.opening,
                on_work=steering.on_work, halved=halve_output, reasons=this.reasons, limit=config.source.max_frames,
                output_thread=len(groups) > 1)
    with ExitStack() as closing:
        start_telemetry(config, this, meter, closing)
        before.over = True
        Pipeline(plan).run(stop)
    return this.final()


def start_telemetry(config: Config, this: Run, meter: Meter, closing: ExitStack) -> None:
    """Board, endpoint and status log; each is ended by `closing`, the last one first."""
    board = BoardReader()
    closing.callback(board.close)
    this.board = board.read
    if config.metrics.address is not None:
        from edge.telemetry.metrics import Metrics

        closing.callback(Metrics(config.metrics.address, meter.totals, this.newest).close)
    log, status = status_log(config), config.status
    if log is not None:
        this.start_log(log, status.interval_s, status.gather_s)
        closing.callback(this.close, CLOSE_STATUS_S)


def status_log(config: Config) -> Optional[StatusLog]:
    """Opened by its first record; its owner's alone where the source has a secret. None where it is switched off."""
    path, status = config.status.file(os.environ), config.status
    mode = PRIVATE if has_secret(config.source.spec or "") else mode_of(os.environ)
    return None if path is None else StatusLog(path, status.max_bytes, status.keep, status.max_age_s, mode=mode)
