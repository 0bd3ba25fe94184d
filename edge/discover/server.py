"""The HTTP server: answers as DISCOVER's does, byte for byte where that answers with sense; see docs/discover.md.

Requests are read in the thread of its loop, and a job is a process of its own: a film takes no time of the server's.
"""
import json
import os
from html import escape
from typing import Any, List, Mapping, NamedTuple, Optional, Sequence

from edge.core.errors import OutputError
from edge.core.rules import Address
from edge.discover import asked, capabilities, files, page, running
from edge.discover.forms import PIECE, STALLED_S, Refused, body, form, only, upload
from edge.discover.jobs import LONGEST_PROGRESS, RUNNING, WAITING, Job, Jobs
from edge.discover.results import content_type, pieces, result
from edge.host.reading import parse_json, reason
from edge.outputs.live.web.server import WebServer, line

UPLOADS_AT_ONCE = 4
HTML, PLAIN, JSON = "text/html; charset=utf-8", "text/plain; charset=utf-8", "application/json"
NO_LOG = "No log for the given parameters found."
LOG = "/log/"
HARMLESS = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": page.POLICY, "Cache-Control": "no-store"}
TRUE = ("True", "true", "1")


class Reply(NamedTuple):
    status: int
    type: str
    body: bytes


def as_json(value: Any, status: int = 200) -> Reply:
    return Reply(status, JSON, json.dumps(value, sort_keys=True, separators=(",", ":")).encode() + b"\n")


def failed(kind: str, text: str) -> Reply:
    """As their server tells an exception."""
    return Reply(500, HTML, escape("{}: {}".format(kind, text), quote=False).encode("utf-8", "replace") + b"\n")


class Server:
    def __init__(self, address: Address, places: files.Places, at_once: int = 1, command: Sequence[str] = ()) -> None:
        """`at_once`: jobs; `command`: the program that they run, by itself our own."""
        self._places = places
        self._jobs = Jobs(places, list(command) or running.program(), at_once)
        self._web = WebServer("discover serve", address, self._serve, (), files.LARGEST_UPLOAD)
        self._uploads = 0
        self._posts = {
            "/process": self._process, "/job_status": self._status, "/log": self._log, "/cancel": self._cancel,
            "/cml_info": self._cml_info, "/fetch_result": self._fetch,
        }
        self._gets = {"/": self._page, "/job_status_all": self._all, "/data": self._data}

    def open(self) -> None:
        """Raises OutputError."""
        for folder in (self._places.tmp, self._places.log):
            try:
                os.makedirs(folder, mode=0o700, exist_ok=True)
            except OSError as e:
                raise OutputError("discover serve: the folder {} cannot be made: {}".format(folder, reason(e)))
        self._web.open()

    @property
    def port(self) -> int:
        return self._web.port

    def close(self) -> None:
        """Ends every job. May be called twice."""
        try:
            self._web.loop.run(self._jobs.close(), running.GRACE_S + 5.0)
        except TimeoutError:
            pass
        self._web.close()

    # of a request

    async def _serve(self, request: Any) -> Any:
        try:
            reply = await self._answer(request)
        except Refused as e:
            self._web.refused += 1
            return line(e.status, str(e), HARMLESS)
        return reply if not isinstance(reply, Reply) else await self._send(request, reply)

    async def _answer(self, request: Any) -> Any:
        path, method = request.path, request.method
        if path == "/upload":
            return await self._upload(only(request, "POST"))
        if path == "/api/update_progress":
            return self._progress(only(request, "POST"), await body(request))
        if path.startswith(LOG) and len(path) > len(LOG):
            only(request, "GET")
            return self._log_of(path[len(LOG):])
        if path in self._gets:
            only(request, "GET")
            return self._gets[path]()
        if path not in self._posts:
            raise Refused(404, "there is nothing at this path")
        if method != "POST":
            raise Refused(405, "{} is asked with POST".format(path))
        found = self._posts[path](await form(request))
        return await found(request) if callable(found) else found

    async def _send(self, request: Any, reply: Reply) -> Any:
        from aiohttp import web

        response = web.StreamResponse(status=reply.status, headers=dict(HARMLESS, **{"Content-Type": reply.type}))
        response.content_length = len(reply.body)
        cut = (reply.body[at:at + PIECE] for at in range(0, len(reply.body), PIECE))
        return await self._web.send(request, response, cut, STALLED_S)

    # the answers

    def _process(self, said: Mapping[str, str]) -> Reply:
        wrong = self._jobs.add(asked.job_key(said), said)
        return as_json({"success": "False", "error": wrong}, 429) if wrong else as_json({"success": "True"})

    def _job(self, said: Mapping[str, str]) -> Optional[Job]:
        return self._jobs.get(asked.job_key(said))

    def _status(self, said: Mapping[str, str]) -> Reply:
        job = self._job(said)
        return as_json({"status": 0 if job is None else job.value})

    def _log(self, said: Mapping[str, str]) -> Reply:
        job = self._job(said)
        text = None if job is None else job.log.text()
        return as_json({"message": NO_LOG if text is None else text})

    def _log_of(self, key: str) -> Reply:
        job = self._jobs.get(key)
        text = None if job is None else job.log.text()
        if text is None:
            return Reply(404, HTML, escape("Log file not found for job {}".format(key)).encode("utf-8", "replace"))
        return Reply(200, PLAIN, text.encode("utf-8", "replace"))

    def _cancel(self, said: Mapping[str, str]) -> Reply:
        job = self._job(said)
        if job is None:
            return failed("KeyError", repr(asked.job_key(said)))
        return as_json({"success": "true" if self._jobs.cancel(job) else "false"})

    def _cml_info(self, said: Mapping[str, str]) -> Reply:
        try:
            return as_json(capabilities.info(said))
        except ValueError as e:
            return failed("ValueError", reason(e))

    def _page(self) -> Reply:
        return Reply(200, HTML, page.page(self._jobs.listed()).encode("utf-8", "replace"))

    def _all(self) -> Reply:
        return as_json(self._jobs.listed())

    def _data(self) -> Reply:
        return as_json({"data": self._jobs.listed()})

    def _progress(self, request: Any, data: bytes) -> Reply:
        if request.content_type != JSON:
            raise Refused(415, "the Content-Type has to be " + JSON)
        try:
            told = parse_json(data)
        except ValueError as e:
            raise Refused(400, "this is no JSON: {}".format(e))
        key, progress = (told.get(name) for name in ("job_key", "progress")) if isinstance(told, dict) else (None, None)
        if not key or not progress:
            return as_json({"success": False, "error": "Missing job_key or progress"}, 400)
        job = self._jobs.get(str(key))
        if job is not None and job.status in (WAITING, RUNNING):
            job.progress = str(progress)[:LONGEST_PROGRESS]
        return as_json({"success": True})

    def _fetch(self, said: Mapping[str, str]) -> Any:
        """The file, or a zip of several."""
        key, job = asked.job_key(said), self._job(said)
        names: List[str] = [] if job is None else files.files_below(job.results)
        if job is None or not names:
            return failed("FileNotFoundError", "No data for job id {} found on server.".format(key))
        found = result(job.results, names, key)
        remove = said.get("delete_after_download") in TRUE

        async def send(request: Any) -> Any:
            from aiohttp import web

            response = web.StreamResponse(headers=dict(HARMLESS, **{
                "Content-Type": content_type(found.name), "Content-Disposition": "attachment; filename=" + found.name}))
            sent = await self._web.send(request, response, pieces(found, PIECE), STALLED_S)
            if remove:
                self._jobs.remove_results(job)
            return sent
        return send

    async def _upload(self, request: Any) -> Reply:
        if self._uploads >= UPLOADS_AT_ONCE:
            raise Refused(503, "{} uploads are going on: ask again later".format(UPLOADS_AT_ONCE))
        self._uploads += 1
        try:
            return Reply(200, HTML, (await upload(request, self._places)).encode())
        finally:
            self._uploads -= 1
