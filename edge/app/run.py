"""One run, from a configuration to the status record of the whole."""
import os
from contextlib import ExitStack
from functools import partial
from typing import Any, Dict, Optional, Union

from edge.app.chain import ReplayStages, Stages, make_stages, replay_stages, steps_of
from edge.app.ends import NOTHING, asked, make_senders, source_options
from edge.app.networks import Report
from edge.app.neutral import InUse, named
from edge.app.stamp import Stamp
from edge.app.targets import NewFolders, check_targets
from edge.config.load import Config
from edge.core import clock
from edge.core.errors import EdgeError, EngineError, UnfitError
from edge.core.redact import has_secret
from edge.core.roles import FAILED, STARTING, STOPPED
from edge.models.warp import use_one_thread
from edge.outputs.record import encode
from edge.outputs.spec import parse_outputs
from edge.pipeline.governor import Governor, Steering, Switch
from edge.pipeline.pipeline import Pipeline, Plan
from edge.sources.choose import make_source
from edge.sources.spec import is_replay
from edge.store import lock, models, renewal
from edge.telemetry.board.reader import BoardReader
from edge.telemetry.health import Health
from edge.telemetry.meter import Meter
from edge.telemetry.notify import Notifier
from edge.telemetry.status.file import PRIVATE, mode_of
from edge.telemetry.status.log import StatusLog
from edge.telemetry.status.run import Run
from edge.telemetry.status.start import StartStatus

CLOSE_STATUS_S = 0.3  # for a disk that hangs; one that does not takes the last record at once


def run(config: Config, stop: Any, report: Report) -> Dict[str, Any]:
    """Track until the source ends or `stop` is set; the status record of the whole run. Raises EdgeErrors.

    `stop` has is_set(). `report(event, text)` gets "progress", "state", "note", "warning" and "loss" lines.
    """
    health, home = Health(Notifier(os.environ)), models.home_dir()
    before, unfit = StartStatus(status_log(config), config.source.spec or "", report), ""

    def waiting(text: str = "the engines, which nanoface build makes now") -> None:
        health.waiting(text)
        before.write(STARTING, text)

    try:
        with ExitStack() as held:
            if not is_replay(config.source.spec):  # which needs no engine
                unfit = renewal.settle(home, config, os.environ, waiting, stop.is_set)
                held.enter_context(lock.tracking(home, waiting, stop.is_set))
            if before.waited and stop.is_set():
                return before.write(STOPPED, "")
            return _run(config, stop, report, health, before, unfit)
    except EdgeError as e:
        error = e
        if unfit and isinstance(e, EngineError):
            error = UnfitError("{}; {}".format(str(e).rpartition(": ")[0], unfit))
        health.failed(str(error))
        if (unfit or before.waited) and not before.over:
            before.write(FAILED, str(error))
        raise error


def _run(config: Config, stop: Any, report: Report, health: Health, before: StartStatus, unfit: str) -> Dict[str, Any]:
    use_one_thread()
    specs = parse_outputs(config.outputs)
    check_targets(specs, config)
    folders = NewFolders(specs, config)
    source = make_source(source_options(config))
    stamp = Stamp(config, source)
    reads, writes = config.pipeline.ends()
    senders = make_senders(specs, config, source, report, direct=writes, stamp=stamp.facts)
    health.opening("the networks")
    stages: Union[Stages, ReplayStages] = replay_stages(config, source.facts, report) if source.facts else make_stages(
        config, source.stills, report, source.live, asked(senders), lambda network: (
            named(config, network, report) if source.stills else InUse(config, network, report, source.live)))
    groups = stages.groups(config.pipeline.groups())
    chain = [stage for group in groups for stage in group]
    meter = Meter(chain, clock.monotonic())
    this = Run(source, config.source.max_frames, senders, meter, chain, report)
    this.unfit = unfit
    stamp.stages = chain
    if stages.express.neutral is not None:
        this.profile = stamp.profile = stages.express.neutral.record
    this.hint = "" if senders or config.output.window is False else NOTHING
    halve_output = Switch()
    steps = steps_of(stages, halve_output, config.tracking.follow) if (
        config.governor.enabled and source.live and isinstance(stages, Stages)) else []
    steering = Steering(Governor(config.governor.target_fps, len(steps)), steps, this.throttled, this.changed)
    this.governor = steering.record if steps else None

    def on_state(state: str, reason: str) -> None:
        made = folders.note()
        if made:
            report("note", made)
        this.on_state(state, reason)

    coarse = stamp.coarse = stages.express.coarse
    for sender in senders:
        sender.know(coarse)
    plan = Plan(source, groups, senders, partial(encode, coarse=coarse), meter, on_state=on_state, on_tick=this.on_tick,
                on_watch=health.tick, on_open=health.opening, on_work=steering.on_work, halved=halve_output,
                reasons=this.reasons, limit=config.source.max_frames,
                capture_thread=source.live and not source.facts or not reads,
                output_thread=len(groups) > 1 and not writes, last_events=stages.express.last_events)
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
