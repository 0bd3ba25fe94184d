"""`nanoface build --unattended`: what nanoface-engines.service runs, at the request of a tracker (`edge/store/renewal.py`).

It builds what is missing or does not fit, reports its progress to the service manager and the waiting tracker, and notes what
could not be built. What was interrupted, or ended with the power, is not noted: it is tried again.
"""
import os
from contextlib import suppress
from typing import Any, List, Mapping, Optional, TextIO

from edge.core import clock
from edge.core.errors import EdgeError, ModelError
from edge.host.disk import StorageError, write_whole
from edge.store import renewal
from edge.store.plans import plans_dir
from edge.store.renewal import Need
from edge.telemetry.notify import Notifier
from engines.build.command import run_build
from engines.build.context import SERVICE_HOME, refuse_beside_tracker, remove
from engines.build.parent import BuildCallbacks
from engines.build.report import BuildReport, span
from engines.build.selection import BuildOptions

PUBLISH_INTERVAL_S = 5.0
NOT_BUILT = "not built: "


class ServiceReport(BuildReport):
    """Lines for the journal; for the service manager and the tracker what is done now."""

    def __init__(self, out: TextIO, notifier: Notifier, progress: str, verbose: bool) -> None:
        """`progress`: the file that the tracker reads; "" where none waits."""
        super().__init__(out, verbose)
        self._notifier, self._progress = notifier, progress
        self._step, self._published_at = "", 0.0
        self.failed: List[str] = []

    def row(self, role: str, network: str, text: str) -> None:
        if text.startswith(NOT_BUILT):
            self.failed.append("{}: {}".format(role, text[len(NOT_BUILT):]))
        super().row(role, network, text)

    def callbacks(self, title: str, why: str, expected_s: Optional[float]) -> BuildCallbacks:
        inner = super().callbacks(title, why, expected_s)

        def tick(step: str, elapsed_s: float) -> None:
            inner.tick(step, elapsed_s)
            now = clock.monotonic()
            if step != self._step or now - self._published_at >= PUBLISH_INTERVAL_S:
                self._step, self._published_at = step, now
                self._publish("{}, {}, {}".format(title, step, span(elapsed_s)))

        self._step = ""
        return inner._replace(tick=tick)

    def _publish(self, text: str) -> None:
        self._notifier.status(text)
        if self._progress:
            part = self._progress + ".part"
            try:
                with open(part, "w", encoding="utf-8") as f:
                    f.write(text)
                os.replace(part, self._progress)
            except OSError:
                pass  # it only informs


def run_unattended(home: str, config: Any, options: BuildOptions, environ: Mapping[str, str], out: TextIO,
                   verbose: bool = False) -> int:
    """0 where nothing is left to build, also as there is no TensorRT; else 4. Raises as run_build() does."""
    request = environ.get(renewal.REQUEST, "")
    report = ServiceReport(out, Notifier(environ), request + renewal.PROGRESS if request else "", verbose)
    try:
        wanted = renewal.need(home, config)
        if config.engines.rebuild == renewal.NEVER or not wanted.why:
            report.line("nothing is built: {}".format(
                "engines.rebuild is never" if wanted.why else
                "all engines fit TensorRT {}".format(wanted.tensorrt) if wanted.tensorrt else "there is no TensorRT here"))
            return 0
        report.line("for TensorRT {}: {}".format(wanted.tensorrt, "; ".join(wanted.why)))
        return _build(home, config, options, wanted, report)
    finally:
        if request:
            renewal.forget_request(request)


def _build(home: str, config: Any, options: BuildOptions, wanted: Need, report: ServiceReport) -> int:
    failed: Optional[str] = "it ended in an error"
    refuse_beside_tracker(home, SERVICE_HOME)  # that does not count as a try
    try:
        run_build(home, options, report=report)
        failed = "; ".join(report.failed)
    except KeyboardInterrupt:
        failed = None
        raise
    except EdgeError as e:
        failed = str(e)
        raise
    finally:
        if failed is not None:
            _note(home, config, wanted, failed)
    return ModelError.exit_code if renewal.need(home, config).why else 0


def _note(home: str, config: Any, wanted: Need, failed: str) -> None:
    """What is not to be tried again; nothing after a build that repaired all."""
    path = os.path.join(plans_dir(home), renewal.TRIED)
    with suppress(StorageError):  # reported by the build
        if renewal.need(home, config).why:
            write_whole(path, renewal.note_of(wanted, failed))
        else:
            remove(path)
