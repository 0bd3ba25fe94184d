"""The jobs: a queue of bounded length, some running at once, and those that have ended remembered for a while."""
import asyncio
import os
import shutil
import time
from collections import OrderedDict
from pathlib import PureWindowsPath
from typing import Any, Dict, List, Mapping, Optional, Sequence

from edge.core import clock
from edge.discover import asked as reading
from edge.discover import files, trainers
from edge.discover.log import JobLog
from edge.discover.running import GRACE_S, POLL_S, Running
from edge.host.reading import reason

WAITING, RUNNING, FINISHED, ERROR, CANCELED = STATES = ("WAITING", "RUNNING", "FINISHED", "ERROR", "CANCELED")
ACTIVE = (WAITING, RUNNING)
MOST_WAITING, MOST_ENDED = 100, 200
LONGEST_KEY, LONGEST_PROGRESS, LONGEST_DETAILS = 200, 40, 4000
TIME = "%m/%d/%Y, %H:%M:%S"
JOB_TYPE = "du-process"  # the only one


class Job:
    def __init__(self, key: str, form: Mapping[str, str], log: JobLog, results: str) -> None:
        """`results`: the folder of what is fetched later; it may not be there."""
        self.key, self.form, self.log, self.results = key, form, log, results  # `form`: until it has been read
        trainer = next((value for name, value in form.items() if reading.spelled(name) == "trainer_file_path"), "")
        self._module = (PureWindowsPath(trainer[:LONGEST_KEY]).parts or ("",))[0]
        self._details = str(reading.shown(form))[:LONGEST_DETAILS]
        self.status, self.progress = WAITING, ""
        self.start_time = self.end_time = ""
        self.canceled = False

    @property
    def value(self) -> int:
        return STATES.index(self.status)

    def listed(self) -> Dict[str, Any]:
        return {"job_key": self.key, "job_type": JOB_TYPE if self.start_time else "Unknown",
                "module_name": self._module, "status": self.status, "progress": self.progress or "-",
                "start_time": self.start_time, "end_time": self.end_time, "log_path": self.log.path,
                "details": self._details, "interactive_url": "", "was_canceled": self.canceled}


class Jobs:
    """Used in the thread of one event loop."""

    def __init__(self, places: files.Places, command: Sequence[str], at_once: int) -> None:
        """`command`: what a run's words are put behind."""
        self._places, self._command, self._at_once = places, list(command), at_once
        self._all: "OrderedDict[str, Job]" = OrderedDict()
        self._count, self._running, self._closing = 0, 0, False
        self._stamp = "{}-{}".format(time.strftime("%Y%m%d-%H%M%S"), os.getpid())

    def get(self, key: str) -> Optional[Job]:
        return self._all.get(key)

    def listed(self) -> List[Dict[str, Any]]:
        return [job.listed() for job in self._all.values()]

    def add(self, key: str, form: Mapping[str, str]) -> str:
        """Why it is not taken; "" where it is."""
        if len(key) > LONGEST_KEY or not key.isprintable():
            return "jobID: at most {} characters that can be shown are taken".format(LONGEST_KEY)
        before = self._all.get(key)
        if before is not None and before.status in ACTIVE:
            return "there is a job {} already, {}".format(key, before.status.lower())
        if self._closing or sum(job.status == WAITING for job in self._all.values()) >= MOST_WAITING:
            return "{} jobs are waiting: ask again later".format(MOST_WAITING)
        if before is not None:
            self._forget(before)
        self._count += 1
        key, name = key or "Job {}".format(self._count), "job-{}-{}".format(self._stamp, self._count)
        self._all[key] = Job(key, dict(form), JobLog(os.path.join(self._places.log, name + ".log")),
                             os.path.join(self._places.tmp, name))
        ended = [job for job in self._all.values() if job.status not in ACTIVE]
        for job in ended[:max(0, len(ended) - MOST_ENDED)]:
            self._forget(job)
        self._begin_next()
        return ""

    def cancel(self, job: Job) -> bool:
        """False: it has ended already."""
        if job.status not in ACTIVE:
            return False
        began = job.status == RUNNING
        job.canceled, job.status, job.end_time = True, CANCELED, _now()
        if began:
            job.log.line("Action successfully canceled.")
        else:
            job.form = {}
        return True

    def remove_results(self, job: Job) -> None:
        shutil.rmtree(job.results, ignore_errors=True)

    def _forget(self, job: Job) -> None:
        self._all.pop(job.key, None)
        self.remove_results(job)
        job.log.remove()

    async def close(self) -> None:
        """Every process gets time to finish its files, and is ended then."""
        self._closing = True
        until = clock.monotonic() + GRACE_S + 2.0
        for job in self._all.values():
            self.cancel(job)
        while self._running and clock.monotonic() < until:
            await asyncio.sleep(POLL_S)

    def _begin_next(self) -> None:
        for job in self._all.values():
            if self._running < self._at_once and job.status == WAITING and not self._closing:
                self._running += 1
                job.status, job.start_time = RUNNING, _now()
                asyncio.ensure_future(self._perform(job))

    async def _perform(self, job: Job) -> None:
        try:
            failed = await self._sessions(job)
        except (ValueError, OSError) as e:
            failed = reason(e)
        finally:
            self._running -= 1
        if not job.canceled:
            job.status, job.end_time = ERROR if failed else FINISHED, _now()
        if failed and not job.canceled:
            job.log.line("Job failed with exception {}".format(failed), "CRITICAL")
        self._begin_next()

    async def _sessions(self, job: Job) -> str:
        """One after the other, each whatever became of the others. What went wrong; "" where nothing did."""
        job.log.line(str(reading.shown(job.form)))
        asked = reading.read(job.form)
        job.form = {}
        trainer = trainers.find(asked.trainer)
        chosen = trainers.choose(trainer, asked.options)
        for line in chosen.ignored + ["{} changes nothing here".format(name) for name in asked.unused]:
            job.log.line(line, "WARNING")
        wrong = ""
        for number, session in enumerate(asked.sessions, 1):
            if job.canceled:
                break
            await asyncio.sleep(0)  # a thousand that fail at once keep nobody waiting
            job.progress = "{}/{}".format(number, len(asked.sessions))
            job.log.line("Processing session ({}): {}...".format(job.progress, session))
            failed = await self._session(job, Plan(self._places, job, trainer, asked), session, chosen)
            if failed and not job.canceled:
                job.log.line("session {}: {}".format(session, failed), "ERROR")
                wrong = failed if len(asked.sessions) == 1 else "errors for some sessions, see above"
        return wrong

    async def _session(self, job: Job, plan: "Plan", session: str, chosen: trainers.Chosen) -> str:
        try:
            words = plan.words(session, chosen)
        except (ValueError, OSError) as e:
            return reason(e)
        running = Running(self._command + words, job.log.line)
        code = await running.ended(lambda: job.canceled)
        return "" if code == 0 else "nanoface ended with {}".format(
            "exit code {}".format(code) if code > 0 else "signal {}".format(-code))


class Plan:
    """What the entries of a request come to in one session."""

    def __init__(self, places: files.Places, job: Job, trainer: trainers.Trainer, asked: reading.Asked) -> None:
        self._places, self._job, self._trainer, self._asked = places, job, trainer, asked

    def words(self, session: str, chosen: trainers.Chosen) -> List[str]:
        """Raises ValueError, OSError."""
        inputs, wanted = {}, []
        for entry in self._asked.entries:
            io = self._trainer.io(entry.io, entry.id)
            if io is None:
                self._job.log.line("{} {!r} is none of {}: left out".format(entry.io or "entry", entry.id[:40], ", ".join(
                    each.ids[0] for each in self._trainer.ios)), "WARNING")
            elif entry.io == reading.OUTPUT:
                wanted += [(io, entry)] if entry.active else []
            elif entry.origin != reading.FILE:
                raise ValueError("{}: an input is a file of this machine (file:...), not {}".format(entry.id, entry.src))
            else:
                inputs[io.what] = files.source(self._places, reading.uri_of(entry, self._asked, session))
        absent = [io.ids[0] for io in self._trainer.ios if io.type == reading.INPUT and io.needed and io.what not in inputs]
        if absent or not wanted:
            raise ValueError("data has no {}".format("input " + absent[0] if absent else "output"))
        outputs = [trainers.output_text(io.what, self._target(io, entry, session, inputs.values()), chosen.keys)
                   for io, entry in wanted]
        return trainers.run_words(inputs[trainers.VIDEO], inputs.get(trainers.BOXES, ""), outputs, chosen)

    def _target(self, io: trainers.Io, entry: reading.Entry, session: str, inputs: Any) -> str:
        if entry.origin == reading.FILE:
            return files.target(self._places, reading.uri_of(entry, self._asked, session), inputs)
        if entry.origin != reading.REQUEST:
            raise ValueError("{}: an output is written to a file (file:...) or fetched (request:...), not {}".format(
                entry.id, entry.src))
        number = self._asked.sessions.index(session) + 1
        folder = os.path.join(self._job.results, files.plain(self._asked.dataset, "dataset"),
                              files.plain(session, "session-{}".format(number)))
        os.makedirs(folder, mode=0o700, exist_ok=True)
        return os.path.join(folder, files.plain(entry.name, io.what + files.STREAM))


def _now() -> str:
    return time.strftime(TIME)
