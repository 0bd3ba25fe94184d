"""The kinds of input of the fuzz test: each makes a file or words, and says what is to be done with them.

A kind is a function (random, folder) -> Case. The folder is empty, and the process works in it.
"""
import json
import os
import struct
import zipfile
from collections import namedtuple

from fuzz_mutations import WORDS, mutated

from edge.core.errors import EdgeError

# words: of the command line; environ: variables beside; call: instead of words, raises one of `allowed` or nothing
Case = namedtuple("Case", "words environ call allowed")
JUNK = b"no network at all"
SHA256 = "34ac1ef0bd1a83dc4efd0a1a6a0c1b05bb8cf49a0ae8e1b2ff4a1bce8dd2ac0f"
DEMO = ["run", "--source", "portrait", "--status", "none"]
INTRINSICS = {"fx": 600, "fy": 600.5, "cx": 319.5, "cy": 239.5, "width": 640, "height": 480,
              "distortion": [0.1, -0.2, 0, 0, 0]}
STAGE = {"backend": "onnxruntime cpu", "model": "yunet_s", "count": 3, "dropped": 0, "wait_ms": {"p50": 1.0, "p95": 2.0},
         "work_ms": {"p50": 1.0, "p95": 2.0}, "device_ms": None}
STATUS = {"schema": 2, "at": "2026-11-26T12:00:00.000Z", "state": "RUNNING", "reason": "", "uptime_s": 12.5, "faces": 1,
          "source": "portrait", "fps": {"capture": 30.0, "output": 29.9}, "latency_ms": {"p50": 9.0, "p95": 12.0, "max": 30.0},
          "stages": {"detect": STAGE, "align": STAGE}, "outputs": {"jsonl": {"sent": 3, "dropped": 0, "state": "ok"}},
          "board": {"model": "Jetson", "gpu_load": 0.4, "temp_c": {"CPU": 41.5}, "power_mw": 2300, "memory_mb": {"used": 1}},
          "governor": {"given_up": ["irises"], "reason": "slow"}, "log": {"failed": 1}}
SIDECAR = {"schema": 1, "role": "detect", "network": "yunet_s", "size": 17, "sha256": SHA256, "onnx_sha256": SHA256,
           "tensorrt": "8.2.1.8", "gpu": "NVIDIA Tegra X1", "compute_capability": "5.3", "precision": "fp16",
           "arch": "sm_53", "source_sha256": SHA256}
TUNED = {"schema": 1, "roles": {"detect": "yunet_s"}, "rows": [{"role": "detect", "network": "yunet_s"}], "board": {},
         "ways": {"detect": {"network": "yunet_s", "precision": "fp16", "tactic_sources": ["cublas"]}},
         "networks": {"yunet_s": {"onnx_sha256": SHA256, "fp32_layers": ["a"], "whole": False}}}
INDEX = {"schema": 1, "networks": {name: {
    "file": name + ".onnx", "sha256": SHA256, "role": role, "decode": {"mean": [0.5] * 12, "std": [1.0] * 12}, "recipe": {},
    "lint": {"faults": [], "nodes": ["a"], "sha256": SHA256, "rules": "1"}}
    for name, role in (("yunet_s", "detect"), ("face_landmark", "align"), ("mb05", "pose"))}}
CONFIG = b"""source:
  spec: portrait
  max_frames: 10
camera: {fov_deg: 60, exposure: auto}
models:
  detect: [yunet_s, rfb320]
tracking: &t {max_faces: 1, presence: 0.5}
outputs: ["jsonl:face.jsonl"]
output: {landmarks: true}
status: {path: none, interval_s: 1.5}
"""
OPTIONS = ["--source", "--size", "--fps", "--flip", "--rotate", "--loop", "--start", "--end", "--max-frames", "--fov", "--set",
           "--intrinsics", "--detector", "--pose", "--runtime", "--max-faces", "--workers", "--output", "--status", "--config",
           "--landmarks", "--json", "--every-frame", "--realtime", "--tls", "--quiet", "--help", "--bogus", "-h", "--", "-"]
VALUES = ["portrait", "0", "-1", "640x480", "1e9", "nan", "inf", "none", "tracking.max_faces=2", "source.spec=x", "a=b=c",
          "jsonl:-", "csv:", "video:a.mp4", "window", "rtsp://[bad", "rtsp://a:b@c:99999/x", "csi://9", "gst:", "http://", "=",
          "file://%00", "9" * 30, "\udce9.mp4", "a,b,c.jpg", "./0", "detect+align|pose", "/dev/null", "~nobody/x", "*.jpg"]
ADDRESSES = ["rtsp://127.0.0.1:9/x", "rtsps://u:p@[::1]:322/a?b=c#d", "http://127.0.0.1:9/v.mjpg", "https://localhost:9/a.m3u8",
             "rtsp://u:p%40ss@127.0.0.1/%20x", "rtsp://[fe80::1%25eth0]:554/", "http://127.0.0.1:9/\u00fc"]


def words(*values, **environ):
    return Case([os.fsdecode(value) if isinstance(value, bytes) else value for value in values], environ, None, ())


def call(function, *allowed):
    return Case(None, {}, function, (EdgeError,) + allowed)


def write(folder, name, data):
    path = os.path.join(folder, *name.split("/"))
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(data)
    return path


def text(data):
    """As a word of the command line: no NUL, and not longer than Linux takes."""
    return os.fsdecode(data.replace(b"\0", b"")[:120000])


def json_of(random, value):
    """As JSON, with values exchanged before it is written or bytes changed after it."""
    if random.random() < 0.5:
        return mutated(random, json.dumps(value).encode())
    odd = [None, True, -1, 0, 1e308, 10 ** 299, float("inf"), float("nan"), "", "x" * 500, [], {}, [[]], {"a": {}},
           "\ud800", "\0", "../x", -5.5, [None] * 3, "9" * 5000]

    def changed(inner):
        if random.random() < 0.08:
            return random.choice(odd)
        if isinstance(inner, dict):
            return {key: changed(v) for key, v in inner.items() if random.random() > 0.02}
        return [changed(v) for v in inner] if isinstance(inner, list) else inner
    return json.dumps(changed(value)).encode()


def yaml_of(random):
    """Random YAML of anchors, aliases, merges, tags and nests."""
    names = ["source", "camera", "models", "tracking", "outputs", "a", "b", "c", "fov_deg", "spec", "<<"]

    def value(depth):
        kind = random.randrange(9 if depth < 5 else 4)
        if kind == 0:
            return random.choice(WORDS).decode("utf-8", "replace")
        if kind < 3:
            return random.choice(["1", "x", "''", "'a b'", "~", "1:2:3", ".inf", "0o7", "2001-01-01",
                                  '"\\ud800"', '"\\U00110000"'])
        if kind == 3:
            return "*" + random.choice("abc")
        mark = "&{} ".format(random.choice("abc")) if random.random() < 0.4 else ""
        inner = [value(depth + 1) for _ in range(random.randrange(9))]
        if kind < 6:
            return mark + "[" + ", ".join(inner) + "]"
        return mark + "{" + ", ".join("{}: {}".format(random.choice(names), v) for v in inner) + "}"
    lines = ["{}: {}".format(random.choice(names), value(0)) for _ in range(random.randrange(1, 12))]
    return "\n".join(lines).encode("utf-8", "replace")


def configuration(random, folder):
    from edge.config.file import DEFAULTS_FILE

    kind = random.random()
    if kind < 0.3:
        data = yaml_of(random)
    elif kind < 0.6:
        with open(DEFAULTS_FILE, "rb") as f:
            data = mutated(random, f.read())
    else:
        data = mutated(random, CONFIG)
    write(folder, "c.yaml", data)
    return words(*random.choice((["status"], DEMO)), "--config", "c.yaml")


def intrinsics(random, folder):
    write(folder, "k.json", json_of(random, INTRINSICS))
    return words(*DEMO + ["--intrinsics", "k.json"])


def index(random, folder):
    write(folder, "home/onnx/index.json", json_of(random, INDEX))
    for name in INDEX["networks"]:
        write(folder, "home/onnx/{}.onnx".format(name), JUNK)
    return words(*random.choice((["models", "list"], ["models", "check"], DEMO, ["models", "lint"], ["verify"], ["estimate"])))


def sidecars(random, folder):
    from edge.config.load import load_config
    from edge.doctor import plans
    from edge.store import cubin as cubinstore
    from edge.store import models as modelstore
    from edge.store import plans as planstore
    from edge.store import renewal
    from engines.build import report as buildreport
    from engines.build import selection as buildselection
    from engines.build import target

    home = os.path.join(folder, "home")
    stored = modelstore.StoredNetwork("yunet_s", "", "", {}, "detect", SHA256)
    for name, value in (("detect-yunet_s.json", SIDECAR), ("crop.json", SIDECAR), ("chosen.json", TUNED),
                        ("tried.json", TUNED), ("tuning.json", TUNED), ("../fp16.json", TUNED)):
        write(folder, "home/plans/" + name, json_of(random, value))
    write(folder, "home/plans/detect-yunet_s.plan", JUNK)
    steps = (
        lambda: planstore.check(planstore.find(home, "detect", "yunet_s"), SHA256, planstore.Board("8.2.1.8", "x", "5.3")),
        lambda: planstore.chosen(home), lambda: buildselection._choice(home), lambda: cubinstore.read_cubin(home, "5.3"),
        lambda: buildreport.read_object(os.path.join(home, "plans", buildreport.JSON)), lambda: target.pins_of(home, stored),
        lambda: plans.check_plans(load_config(None, {}, {"NANOFACE_CONFIG": os.devnull}), home, "8.2.1.8"),
        lambda: renewal.tried(home, renewal.Need("8.2.1.8", {"detect": "yunet_s"}, "", ())))
    return call(random.choice(steps[:-1]))


def status(random, folder):
    lines = [json_of(random, STATUS) for _ in range(random.randrange(1, 4))]
    write(folder, "s.jsonl", b"\n".join(lines) + random.choice((b"\n", b"\n", b"")))
    if random.random() < 0.2:
        return call(lambda: [followed(os.path.join(folder, "s.jsonl"))])
    return words("status", *random.choice(([], ["--json"])) + ["s.jsonl"])


def followed(path):
    from edge.telemetry.status import read as statusread
    from edge.telemetry.status import table

    class Stop:
        asked = 0

        def is_set(self):
            self.asked += 1
            return self.asked > 3

        def wait(self, timeout_s):
            return False
    for record in statusread.follow(path, Stop(), 0.0):
        try:
            table.render(record)
        except table.WRONG:
            continue


def picture_list(random, folder):
    write(folder, "a.jpg", JUNK)
    write(folder, "list.txt", mutated(random, b"\xef\xbb\xbfa.jpg\n# b\n\nsub/c.png\n~/d.jpg\n../e.jpg\n"))
    return words(*["run", "--status", "none", "--source", "list.txt"])


def command_line(random, folder):
    chosen = [random.choice(["run", "run", "run", "status", "models list", "models lint", "doctor", "verify", "estimate",
                             "help", "models", "", "rnu", "bench"])]
    chosen = chosen[0].split()
    for _ in range(random.randrange(7)):
        word = random.choice((random.choice(OPTIONS), random.choice(VALUES), text(mutated(random, random.choice(VALUES).encode(
            "utf-8", "surrogateescape")))))
        chosen.append(word)
    if chosen[:1] == ["bench"]:
        chosen += ["--source", "absent.mp4"]
    return words(*chosen)


def environment(random, folder):
    names = ["NANOFACE_SOURCE", "NANOFACE_CONFIG", "NANOFACE_STATUS_MODE", "WATCHDOG_USEC", "NOTIFY_SOCKET", "COLUMNS",
             "LINES", "XDG_STATE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "JOURNAL_STREAM",
             "NANOFACE_MIRROR", "WATCHDOG_PID", "TERM",
             "OPENCV_FFMPEG_CAPTURE_OPTIONS", "NANOFACE_DEBUG", "PYTHON_EGG_CACHE", "LANG"]
    environ = {random.choice(names): text(mutated(
        random, random.choice((b"1", b"portrait", b"/run/x", b"@a", b"0644", b"8:9"))))
               for _ in range(random.choice((1, 1, 2)))}
    return words(*random.choice((["run"], DEMO, ["status"], ["models", "list"])), **environ)


def address(random, folder):
    from edge.config.load import load_config
    from edge.sources.live.tunnel import through
    from edge.sources.origin import Trust

    url = text(mutated(random, random.choice(ADDRESSES).encode()))
    if random.random() < 0.5:
        return words("run", "--status", "none", "--source", url)

    def opened():
        load_config(None, {"source.spec": url}, {"NANOFACE_CONFIG": os.devnull})
        tunnel = through(url, Trust())
        try:
            tunnel.url(url)
        finally:
            tunnel.close()
    return call(opened)


def replies(random, folder):
    from edge.sources import playlist
    from edge.sources.live.rtspreplies import Replies
    from edge.sources.origin import Origin

    data = mutated(random, b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nContent-Length: 4\r\nTransport: RTP/AVP/TCP;interleaved=0-1\r\n\r\n"
                   b"v=0\n$\0\0\4abcdRTSP/1.0 302 Moved\r\nLocation: rtsp://x/\r\n\r\n")

    def check():
        checker = Replies(Origin("rtsp", "x", 554))
        for at in range(0, min(len(data), 50000), 977):
            checker.checked(data[at:at + 977])
        head = mutated(random, b"ID3\4\0\0\0\0\0\1x#EXTM3U\n#EXTINF:1,\nhttp://x/y\n")
        playlist.is_playlist(head), playlist.is_film(head, "video/mp4"), playlist.Rest().is_list(head)
    return call(check)


def rewritten(random, folder):
    from edge.sources.live.tunnel import Tunnel
    from edge.sources.origin import Origin, Trust

    data = mutated(random, b"#EXTM3U\n#EXT-X-KEY:METHOD=NONE,URI=\"http://127.0.0.1:9/k\"\n#EXTINF:1,\n//127.0.0.1:9/a.ts\nb.ts\n")

    def run():
        tunnel = Tunnel(Origin("http", "127.0.0.1", 9), Trust(), playlists=True)
        try:
            tunnel._rewritten("http://127.0.0.1:9/a.m3u8", data)
        finally:
            tunnel.close()
    return call(run, ValueError)  # which the tunnel's thread expects: a server's fault


def wheel(random, folder):
    from engines.fetch import wheel as wheels

    path = os.path.join(folder, "a.whl")
    with zipfile.ZipFile(path, "w", random.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2))) as archive:
        archive.writestr("net/a.tflite", random.choice((b"abc" * 500, b"\0" * (1 << 24))))
        archive.writestr(random.choice(("net/b.bin", "/etc/x", "../../y", "net/a.tflite/")), b"x")
    with open(path, "rb") as f:
        data = f.read()
    write(folder, "a.whl", mutated(random, data))
    return call(lambda: sum(len(block) for block in wheels.member(path, "net/a.tflite")), wheels.WheelError)


def references(random, folder):
    import io

    import numpy as np

    from engines.verify import references as stored

    about = {"schema": 1, "sha256": SHA256, "runtime": "", "input": "input", "cases": 1, "scale": 1.0, "offset": [0, 0, 0]}
    held = io.BytesIO()
    np.savez(held, about=np.array(json.dumps(about)), **{"0/pixels": np.zeros((1, 8, 8, 3), np.uint8), "0/out/a": np.zeros(4)})
    with zipfile.ZipFile(held) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(os.path.join(folder, "a.npz"), "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            if random.random() < 0.4:
                data = data.replace(b"(1, 8, 8, 3)", random.choice((
                    b"(9" + b"9" * 9 + b",)", b"(-1,)", b"(" * 12, b"()", b"(2,) * 2")))
                data = mutated(random, data)
            archive.writestr(name, data)
    with open(os.path.join(folder, "a.npz"), "rb") as f:
        data = f.read()
    write(folder, "home/onnx/yunet_s.reference.npz", mutated(random, data) if random.random() < 0.5 else data)
    write(folder, "home/onnx/index.json", json.dumps(INDEX).encode())
    return call(lambda: stored.cases(os.path.join(folder, "home"), "yunet_s"))


def board(random, folder):
    from edge.telemetry.board import files as boardfiles
    from edge.telemetry.board.jtop import figures_of
    from edge.telemetry.notify import Notifier
    from edge.telemetry.status.file import mode_of

    texts = {
        "sys/devices/57000000.gpu/load": b"312\n", "sys/devices/virtual/thermal/thermal_zone0/type": b"CPU-therm\n",
        "sys/devices/virtual/thermal/thermal_zone0/temp": b"41500\n", "proc/meminfo": b"MemTotal:  4059712 kB\n",
        "sys/devices/virtual/thermal/cooling_device0/cur_state": b"1\n", "var/lib/nvpmodel/status": b"pmode:0001\n",
        "etc/nv_tegra_release": b"# R32 (release), REVISION: 7.1, GCID: 1\n",
        "proc/device-tree/model": b"NVIDIA Jetson Nano\0",
        "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": b"1479000\n"}
    for name, content in texts.items():
        write(folder, name, mutated(random, content))
    stats = json_of(random, {"GPU": 40, "Temp CPU": 40.5, "power cur": 2300, "nvp model": "MAXN"})

    def read():
        told = [boardfiles.BoardFiles(folder).read()._asdict(), boardfiles.power_mode(folder), boardfiles.memory_mb(folder)]
        boardfiles.l4t_version(boardfiles.read_text(folder, boardfiles.RELEASE))
        environ = {"WATCHDOG_USEC": text(mutated(random, b"30000000")), "NOTIFY_SOCKET": text(mutated(random, b"/run/notify"))}
        Notifier(environ).status("a")
        assert (mode_of({"NANOFACE_STATUS_MODE": text(mutated(random, b"0644"))}) or 0) < 1 << 12
        try:
            found = json.loads(stats.decode("utf-8"))
        except (ValueError, RecursionError):
            found = {}
        told.append(figures_of(found) if isinstance(found, dict) else {})
        json.dumps(told, allow_nan=False)  # it becomes a status record
    return call(read)


def secrets(random, folder):
    """Whatever a text is, it is looked through for passwords in good time."""
    from edge.core import redact

    part = random.choice((b"rtsp://u:p@", b"a:b@", b"password=", b"key='", b"token: ", b"\\ ", b"&", b"'", b'"', b"://",
                          b"pw=x ", b"@"))
    data = mutated(random, random.choice((b"rtsp://u:secret@host/x?token=abc", b"password='a b' key=c", part * 3000)))
    word = text(data)

    def hide():
        redact.learn(word)
        redact.plain(redact.hide(word[::-1] + " " + word))
    return call(hide)


def film(random, folder):
    return _recording(random, folder, ("a.mp4", "a.avi", "a.mkv", "a.gif"))


def picture(random, folder):
    return _recording(random, folder, ("a.png", "a.jpg", "a.webp", "a.tif", "a.bmp"))


def record(random, folder):
    """A recorded run with bytes changed, or with one chunk whose checksum is right and whose content is not."""
    import zlib

    from edge.recording import format as layout

    with open(os.path.join(os.environ["FUZZ_SEEDS"], "a.nfr"), "rb") as f:
        data = f.read()
    if random.random() < 0.5:
        data = mutated(random, data)
    else:
        from fakes.recordings import records, written
        pieces = written(records()[:8])
        at = random.randrange(1, len(pieces) - 1)
        raw = zlib.decompressobj(zdict=layout.WORDS).decompress(pieces[at][layout.SIZE:])
        size = layout.LENGTH.unpack_from(raw)[0]
        changed = json_of(random, json.loads(raw[4:4 + size].decode()))
        packer = zlib.compressobj(zdict=layout.WORDS)
        points = random.choice((raw[4 + size:], mutated(random, raw[4 + size:]), b"", b"\0" * (5 << 20)))
        payload = packer.compress(layout.LENGTH.pack(len(changed)) + changed + points) + packer.flush()
        time_s = random.choice((0.0, 1.0, -1.0, 1e300, float("nan")))
        head = layout.HEAD.pack(random.choice((b"F", b"F", b"F", b"H", b"Z")), random.randrange(4), time_s, len(payload))
        pieces[at] = head + layout.SUM.pack(layout.sum_of(head, payload)) + payload
        data = b"".join(pieces)
    path = write(folder, random.choice(("a.nfr", "a.mp4")), data)
    outputs = ("jsonl:a.jsonl?landmarks=yes&shapes=yes&events=yes", "csv:a.csv",
               random.choice(("image:a.jpg", "record:b.nfr", "jsonl:b.jsonl", "ssi:a.stream", "ssi-box:a.stream", "pose:a.jpg",
                              "ssi-events:a.annotation", "sparse:a.png")))
    part = random.choice(((), ("--start", "0.1"), ("--fps", "5"), ("--loop", "--max-frames", "40")))
    return words("run", "--source", path, "--status", "none", "--output", outputs[0], "--output", outputs[1],
                 "--output", outputs[2], *part)


def _recording(random, folder, names):
    from edge.sources.choose import make_source
    from edge.sources.spec import SourceOptions

    name = random.choice(names)
    with open(os.path.join(os.environ["FUZZ_SEEDS"], name), "rb") as f:
        data = f.read()
    if random.random() < 0.7:  # most of a film or picture is its pixels
        at = random.randrange(1 + min(len(data), random.choice((64, 512, 4096))))
        data = mutated(random, data[:at]) + data[at:] if random.random() < 0.5 else data[:at] + mutated(random, data[at:])
    odd = random.random() < 0.1
    path = write(folder, "\udce9" + name if odd else name, data if odd else mutated(random, data))

    def read():
        source = make_source(SourceOptions(path))
        try:
            source.open()
            for _ in range(20):
                if source.read(1.0) is None:
                    break
        finally:
            source.close()
    return call(read, EOFError)  # it is over


def network(random, folder):
    with open(os.path.join(os.environ["FUZZ_SEEDS"], "a.onnx"), "rb") as f:
        write(folder, "a.onnx", mutated(random, f.read()))
    return words("models", "lint", "a.onnx")


def boxes(random, folder):
    """A stream of boxes, its header or its data changed."""
    from edge.ssi.boxes import Boxes

    ascii_ = random.random() < 0.5
    header = ('<stream ssi-v="2"><info ftype="{}" sr="30" dim="5" byte="4" type="FLOAT" delim=" " /><meta type="x" />'
              '<chunk from="0" to="1" byte="0" num="{}" /></stream>').format("ASCII" if ascii_ else "BINARY", 0).encode()
    data = b"0.1 0.2 0.8 0.7 0.9\n" * 30 if ascii_ else struct.pack("<5f", 0.1, 0.2, 0.8, 0.7, 0.9) * 30
    path = write(folder, "a.stream", mutated(random, header))
    write(folder, "a.stream~", mutated(random, data) if random.random() < 0.5 else data)

    def read():
        found = Boxes(path)
        for row in range(-1, 40):
            found.box(found.stream.row_at(row / 30.0))
    return call(read, ValueError, OSError)


def ground_truth(random, folder):
    from edge.bench.wider import read_found, read_truth

    truth = b"0--Parade/a.jpg\n1\n10 10 50 50 0 0 0 0 0 0\n1--X/b.jpg\n0\n0 0 0 0 0 0 0 0 0 0\n"
    path = write(folder, "a.txt", mutated(random, truth))
    found = write(folder, "b.txt", mutated(random, b"a\n2\n1 2 3 4 0.5\n5 6 7 8 1e-3\n"))
    return call(lambda: read_truth(path)) if random.random() < 0.5 else call(lambda: read_found(found))


def own_network(random, folder):
    from edge.store.own import check_file

    with open(os.path.join(os.environ["FUZZ_SEEDS"], "a.onnx"), "rb") as f:
        onnx = f.read()
    xml = b'<?xml version="1.0"?><net name="x" version="11"><layers><layer id="0" name="a" type="Parameter"/></layers></net>'
    name, data = random.choice((("a.onnx", onnx), ("a.xml", xml)))
    path = write(folder, name, mutated(random, data))
    return call(lambda: check_file(path))


def discover_request(random, folder):
    """A form as DISCOVER's clients post it, and the command line that it comes to."""
    from types import SimpleNamespace

    from edge.discover import asked, files, jobs, trainers

    src = "file:stream:"
    form = {"jobID": b"k", "trainerFilePath": b"facemesh\\facemesh.trainer", "sessions": b'["a", "b"]', "dataset": b"d",
            "optStr": b"presence=0.5;confidence=logit", "options": b'{"presence": 0.5, "smoothing": "True"}',
            "data": json.dumps([{"src": src + "video", "type": "input", "id": "data", "uri": write(folder, "a.mp4", b"")},
                                {"src": src + "ssistream", "type": "output", "id": "landmarks",
                                 "uri_template": "{dataset}_{session}.stream"}]).encode()}
    for name in random.sample(sorted(form), random.choice((1, 1, 2))):
        form[name] = mutated(random, form[name])
    if random.random() < 0.5:
        del form["options"]
    form = {name: value.decode("utf-8", "replace") for name, value in form.items()}

    def read():
        found = asked.read(form)
        trainer = trainers.find(found.trainer)
        chosen = trainers.choose(trainer, found.options)
        job = SimpleNamespace(log=SimpleNamespace(line=lambda *_: None), results=os.path.join(folder, "results"))
        plan = jobs.Plan(files.Places(folder, folder, folder), job, trainer, found)
        for session in found.sessions[:20]:
            line = plan.words(session, chosen)
            assert line[:2] == ["run", "--source"] and os.path.isabs(line[2]) and not any("\0" in word for word in line)
    return call(read, ValueError, OSError)


# kind -> how often it comes beside the others
KINDS = {
    configuration: 30, intrinsics: 12, index: 12, sidecars: 12, status: 14, picture_list: 8, command_line: 14, environment: 8,
    address: 12, replies: 8, rewritten: 4, wheel: 8, references: 6, board: 6, secrets: 6, film: 6, picture: 8, network: 1,
    record: 12, boxes: 10, ground_truth: 6, own_network: 8, discover_request: 12,
}
