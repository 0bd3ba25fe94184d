"""A client of DISCOVER's server, or of the one that takes its place: forms by HTTP, and what is answered."""
import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections import namedtuple

from patience import PATIENCE_S

WAITING, RUNNING, FINISHED, ERROR, CANCELED = range(5)
Answer = namedtuple("Answer", "status type body headers")
VIDEO, STREAM = "stream:video", "stream:ssistream"


class Client:
    def __init__(self, port):
        self.url = "http://127.0.0.1:{}".format(port)

    def ask(self, path, data=None, method=None, **headers):
        """Without an Origin, as programs ask."""
        request = urllib.request.Request(self.url + path, data, {k.replace("_", "-"): v for k, v in headers.items()},
                                         method=method)
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=PATIENCE_S) as reply:
                return Answer(reply.status, reply.headers["Content-Type"], reply.read(), reply.headers)
        except urllib.error.HTTPError as e:
            return Answer(e.code, e.headers["Content-Type"], e.read(), e.headers)

    def post(self, path, **fields):
        return self.ask(path, urllib.parse.urlencode(fields).encode())

    def told(self, path, **fields):
        answer = self.post(path, **fields)
        assert answer.type == "application/json", answer
        return json.loads(answer.body.decode())

    def process(self, job, data, trainer="facemesh\\facemesh.trainer", **fields):
        return self.told("/process", jobID=job, trainerFilePath=trainer, data=json.dumps(data), **fields)

    def status(self, job):
        return self.told("/job_status", jobID=job)["status"]

    def wait(self, job, *wanted):
        """The status, once it is one of these, or one that is the last."""
        end = time.monotonic() + PATIENCE_S
        while self.status(job) not in (wanted or (FINISHED, ERROR, CANCELED)):
            assert time.monotonic() < end, self.log(job)
            time.sleep(0.02)
        return self.status(job)

    def log(self, job):
        return self.told("/log", jobID=job)["message"]

    def upload(self, name, content):
        body = ('--edge\r\nContent-Disposition: form-data; name="file"; filename="{}"\r\n'
                "Content-Type: application/octet-stream\r\n\r\n").format(name).encode() + content + b"\r\n--edge--\r\n"
        return self.ask("/upload", body, Content_Type="multipart/form-data; boundary=edge")


def entry(io, id_, uri=None, origin="file", kind=STREAM, **more):
    told = dict({"src": "{}:{}".format(origin, kind), "type": io, "id": id_}, **more)
    return told if uri is None else dict(told, uri=str(uri))


def film_to_points(film, stream=None, **more):
    """Data of a request: the stream is fetched where none is named."""
    output = entry("output", "landmarks", stream, "file" if stream else "request", **more)
    return [entry("input", "data", film, kind=VIDEO), output]
