"""Hostile datagrams and messages to every port that listens, as many as are asked for: `make fuzz-ports`.

A process of its own serves all kinds that listen, as the relay does: real outputs, each behind its Sender, fed with a moving
face. One receiver of each kind asks as its protocol says and must get frames from before to after. The attackers have
another address of the loopback network, 127.0.0.66, and never ask well: a datagram to them is a fault, and so is a TCP answer
that has a frame in it. Datagrams that are not counted as refused were dropped by the kernel: an output reads 64 with a frame.
"""
import argparse
import json
import os
import random
import select
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from importlib import import_module

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.dirname(HERE), os.path.dirname(os.path.dirname(HERE))]

ATTACKER, RECEIVER = "127.0.0.66", "127.0.0.1"
MOST_GROWTH_KB = 8 << 10  # aiohttp's conversations take some MB at first; datagrams take none
AT_ONCE = 200  # datagrams between two looks
SAID = 60  # frames of a client that may speak, in one conversation
LARGEST_ANSWER = 420  # bytes to a request over TCP that is refused, however long it is
FRAME = (b'"faces"', b"result_download\",", b'"schema"')  # stands in what receivers get
TCP = ("ws", "socketio-server")
DATAGRAM_S = 50e-6  # between two: what the kernel drops tells nothing


def free_port(kind=socket.SOCK_DGRAM):
    with socket.socket(socket.AF_INET, kind) as s:
        s.bind((RECEIVER, 0))
        return s.getsockname()[1]


# the process that serves

def serve(texts, tells_at, frames_s):
    from fakes.records import face, record

    from edge.core import clock
    from edge.outputs.kinds import OutputOptions, make_output
    from edge.outputs.live.vts.output import VtubeStudio
    from edge.outputs.sender import Sender
    from edge.outputs.spec import parse_output

    import_module("aiohttp.web")  # as the relay must: on Python 3.6 two threads that load it at the same time fail
    VtubeStudio.tells_at = tells_at
    options = OutputOptions(False, False, False, lambda: None, shapes=True, events=True)
    senders = {spec.kind: Sender(make_output(spec, options)) for spec in map(parse_output, texts)}
    for sender in senders.values():
        sender.start()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    number = 0
    while True:
        ready, _, _ = select.select([sys.stdin], [], [], frames_s)
        if ready:
            if not sys.stdin.readline():
                break
            told = {kind: sender.stats() for kind, sender in senders.items()}
            sys.stdout.write(json.dumps({"rss_kb": rss_kb(), "cpu_s": time.process_time(), "outputs": told}) + "\n")
            sys.stdout.flush()
        number += 1
        one = dict(record(face(yaw=number % 40 - 20.0), frame=number), captured_at=clock.monotonic())
        for sender in senders.values():
            sender.put(one)
    for sender in senders.values():
        sender.close(5.0)


def rss_kb():
    with open("/proc/self/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS"))


class Served:
    """The process, and what it says of itself."""

    def __init__(self, frames_s):
        self.ports = {kind: free_port(socket.SOCK_STREAM if kind in TCP else socket.SOCK_DGRAM)
                      for kind in ("ifacialmocap", "vts-phone", "vts") + TCP}
        self.answers = free_port()  # where iFacialMocap's lines go, of whoever asks
        texts = ["ifacialmocap://:{}?port={}".format(self.ports["ifacialmocap"], self.answers), "vts://"] + [
            "{}://:{}".format(kind, self.ports[kind]) for kind in ("vts-phone",) + TCP]
        words = [sys.executable, os.path.abspath(__file__), "--serve", json.dumps([texts, self.ports["vts"], frames_s])]
        self._process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, universal_newlines=True,
                                         env=dict(os.environ, OPENBLAS_NUM_THREADS="1", XDG_STATE_HOME=os.devnull))
        assert self._process.stdout.readline() == "ready\n", "the outputs did not start"

    def stats(self):
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the process ended with {}".format(self._process.wait())
        return json.loads(line)

    def end(self):
        self._process.stdin.close()
        return self._process.wait()


# who asks as the protocols say

class Receivers:
    """One of each kind; a thread counts what each gets."""

    def __init__(self, served):
        from ports_inputs import PHONE, UPGRADE, WORD, frame, head

        self.got, self._over, self._ports = Counter(), threading.Event(), served.ports
        self._lines, self._phone = datagrams(RECEIVER, served.answers), datagrams(RECEIVER)
        self._asks = [(self._lines, WORD, "ifacialmocap"), (self._phone, json.dumps(
            dict(PHONE, time=10.0, ports=[self._phone.getsockname()[1]])).encode("ascii"), "vts-phone")]
        self._sockets = {self._lines: "ifacialmocap", self._phone: "vts-phone"}
        for kind, target in (("ws", "/"), ("socketio-server", "/socket.io/?EIO=4&transport=websocket")):
            link = socket.create_connection((RECEIVER, served.ports[kind]))
            link.sendall(head(served.ports[kind], target, **UPGRADE) + (frame(b"40/kizuna,") if kind != "ws" else b""))
            self._sockets[link] = kind
        self._ping, self._pong = frame(b"3"), frame(b"", 10)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        asked_at = float("-inf")
        while not self._over.is_set():
            if time.monotonic() - asked_at > 2.0:
                asked_at = time.monotonic()
                for link, data, kind in self._asks:
                    link.sendto(data, (RECEIVER, self._ports[kind]))
                for link in [link for link, kind in self._sockets.items() if kind in TCP]:
                    link.sendall(self._pong)  # the servers cut off who is silent
            for link in select.select(list(self._sockets), [], [], 0.2)[0]:
                data = link.recv(1 << 20)
                kind = self._sockets[link]
                if not data:
                    del self._sockets[link]
                elif kind not in TCP or any(part in data for part in FRAME):
                    self.got[kind] += 1
                if kind == "socketio-server" and b"\x81\x012" in data:
                    link.sendall(self._ping)

    def end(self):
        self._over.set()
        self._thread.join()
        for link in list(self._sockets):
            link.close()


def datagrams(host, port=0):
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    made.bind((host, port))
    return made


# the attack

class Attack:
    """Counts by kind."""

    def __init__(self, served, seed):
        self.sent, self.bytes, self.answered, self.faults = Counter(), Counter(), Counter(), []
        self.worst = Counter()  # answer to request, in bytes
        self._served, self._random = served, random.Random(seed)
        self._udp = datagrams(ATTACKER, served.answers)  # an answer of either telephone would come here
        self._udp.setblocking(False)

    def datagrams(self, kind, count):
        from ports_inputs import DATAGRAMS

        make, place = DATAGRAMS[kind], (RECEIVER, self._served.ports[kind])
        for number in range(count):
            data = make(self._random)
            try:
                self.bytes[kind] += self._udp.sendto(data[:60000], place)
            except (BlockingIOError, ConnectionRefusedError):
                time.sleep(0.001)
            self.sent[kind] += 1
            if number % AT_ONCE == 0:
                time.sleep(DATAGRAM_S * AT_ONCE)
                self.listen(kind)
        self.listen(kind)

    def listen(self, kind):
        while True:
            try:
                data = self._udp.recv(1 << 16)
            except (BlockingIOError, ConnectionRefusedError):
                return
            self.answered[kind] += len(data)
            self.faults.append("{} answered {} bytes to {}, which did not ask".format(kind, len(data), ATTACKER))

    def conversation(self, kind, most):
        """One connection; gives how many messages it had."""
        from ports_inputs import UPGRADE, frames, head, request

        chance, port = self._random, self._served.ports[kind]
        speaks = chance.random() < 0.5  # a good request, and then bad messages
        target = "/" if kind == "ws" else "/socket.io/?EIO={}&transport=websocket".format(chance.choice("34"))
        pieces = [head(port, target, **UPGRADE)] if speaks else [request(chance, port)]
        pieces += [frames(chance) for _ in range(min(most, chance.randrange(1, SAID)) if speaks else 0)]
        sent, got, link = b"", b"", socket.socket()
        link.settimeout(5.0)
        try:
            link.bind((ATTACKER, 0))
            link.connect((RECEIVER, port))
            if speaks and kind == "ws":  # it may have frames; what it says does not make them more
                link.sendall(pieces[0])
            sent = b"".join(pieces[1:] if speaks and kind == "ws" else pieces)
            link.sendall(sent)
            link.shutdown(socket.SHUT_WR)
            while len(got) < 1 << 20:
                data = link.recv(1 << 16)
                if not data:
                    break
                got += data
        except socket.timeout:
            self.faults.append("{} kept a connection open that was over".format(kind))
        except OSError:
            pass  # it was cut off
        finally:
            link.close()
        self.sent[kind] += len(pieces)
        self.bytes[kind] += len(sent)
        if not speaks:
            self.answered[kind] += len(got)
            self.worst[kind] = max(self.worst[kind], round(100.0 * len(got) / max(1, len(sent))))
            if len(got) > LARGEST_ANSWER or any(part in got for part in FRAME):
                self.faults.append("{} answered {!r} to {!r}".format(kind, got[:300], sent[:300]))
        return len(pieces)

    def run(self, count, look=lambda: None):
        """A third of the messages over TCP, where it takes longer."""
        shares = {"ifacialmocap": 0.3, "vts-phone": 0.3, "vts": 0.1, "ws": 0.15, "socketio-server": 0.15}
        for _ in range(10):
            for kind, share in shares.items():
                wanted = int(count * share / 10.0)
                if kind not in TCP:
                    self.datagrams(kind, wanted)
                while kind in TCP and wanted > 0:
                    wanted -= self.conversation(kind, wanted)
            look()
        self._udp.close()


def fuzz(count, seed, frames_s=1.0 / 100.0):
    """The lines of the table, and the faults."""
    served = Served(frames_s)
    receivers = Receivers(served)
    attack = Attack(served, seed)
    try:
        wait_for_all(receivers, attack, "before")
        attack.run(1000)  # what is loaded and allocated once
        before, began = served.stats(), time.monotonic()
        attack, memory = Attack(served, seed), []
        attack.run(count, lambda: memory.append(served.stats()["rss_kb"]))
        wall_s = time.monotonic() - began
        after = served.stats()
        receivers.got.clear()
        wait_for_all(receivers, attack, "after")
        if max(memory) - before["rss_kb"] > MOST_GROWTH_KB:
            attack.faults.append("the memory grew by {} kB".format(max(memory) - before["rss_kb"]))
    finally:
        receivers.end()
        code = served.end()
    if code != 0:
        attack.faults.append("the process ended with {}".format(code))
    return table(attack, before, after, wall_s) + [
        "memory after each tenth, MB: " + " ".join("{:.0f}".format(kb / 1024.0) for kb in memory)], attack.faults


def parse_all(count, seed):
    """As many datagrams of each kind without a socket, where none is dropped: what parses one raises nothing, and what it
    takes is within the protocol's bounds. Gives the lines of a table, and the faults."""
    from ports_inputs import DATAGRAMS, GOOD

    from edge.outputs.live.phone.ifacialmocap import ASKING
    from edge.outputs.live.phone.vtsphone import read_request
    from edge.outputs.live.vts.messages import port_of

    parsers = {"ifacialmocap": (lambda data: ASKING.get(data), lambda found: found in ("v1", "v2")),
               "vts-phone": (read_request, lambda found: 0.5 <= found.seconds <= 10.0 and 1 <= len(found.ports) <= 32 and all(
                   1 <= port <= 65535 for port in found.ports)),
               "vts": (lambda data: port_of(data[:2048]), lambda found: 0 <= found <= 65535)}
    lines, faults = [], []
    for kind, (parse, is_well) in parsers.items():
        chance, taken = random.Random(seed), 0
        pool = [bytearray(DATAGRAMS[kind](chance)) for _ in range(1000)] + [bytearray(GOOD[kind]) for _ in range(1000)]
        began, before = time.monotonic(), rss_kb()
        for number in range(count):
            data, dice = pool[number % len(pool)], chance.getrandbits(48)
            at, was = dice % len(data) if data else 0, bytes(data)
            if data and dice & 1 << 47:
                data[at] = dice >> 32 & 255
            found = parse(bytes(data))
            if found is not None:
                taken += 1
                if not is_well(found):
                    faults.append("{} takes {!r} as {!r}".format(kind, bytes(data), found))
            if data and dice >> 44 & 7:  # else it goes on from there
                data[:] = was
            elif number & 1:
                data[:] = GOOD[kind]
        grown = rss_kb() - before
        lines.append("{:16} {:9} parsed without a socket, {} taken, {:.1f} us each, memory {:+.1f} MB".format(
            kind, count, taken, 1e6 * (time.monotonic() - began) / max(1, count), grown / 1024.0))
        if not 0 < taken < count or grown > MOST_GROWTH_KB:
            faults.append(lines[-1])
    return lines, faults


def wait_for_all(receivers, attack, when):
    """Each receiver gets frames."""
    from patience import PATIENCE_S

    end = time.monotonic() + PATIENCE_S
    kinds = ("ifacialmocap", "vts-phone") + TCP
    while any(receivers.got[kind] < 20 for kind in kinds) and time.monotonic() < end:
        time.sleep(0.01)
    attack.faults += ["the receiver of {} got no frames {} it".format(kind, when)
                      for kind in kinds if receivers.got[kind] < 20]


def table(attack, before, after, wall_s):
    lines = ["{:16} {:>9} {:>12} {:>9} {:>14} {:>12}  {}".format(
        "kind", "sent", "bytes", "refused", "answered bytes", "worst ratio", "state")]
    for kind in attack.sent:
        told = after["outputs"][kind]
        refused = sum(told.get(name, 0) - before["outputs"][kind].get(name, 0) for name in ("refused", "unasked"))
        lines.append("{:16} {:9} {:12} {:9} {:14} {:12.2f}  {}".format(
            kind, attack.sent[kind], attack.bytes[kind], refused, attack.answered[kind], attack.worst[kind] / 100.0,
            told["state"]))
    lines.append("{} messages in {:.0f} s; memory {:.1f} MB before, {:.1f} MB after; {:.0f} s of the processor".format(
        sum(attack.sent.values()), wall_s, before["rss_kb"] / 1024.0, after["rss_kb"] / 1024.0,
        after["cpu_s"] - before["cpu_s"]))
    return lines


def main(argv=None):
    words = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    words.add_argument("--count", type=int, default=1000000)
    words.add_argument("--seed", default="1", help="another one makes other messages")
    words.add_argument("--serve", help=argparse.SUPPRESS)
    args = words.parse_args(argv)
    if args.serve:
        serve(*json.loads(args.serve))
        return 0
    lines, faults = fuzz(args.count, args.seed)
    more_lines, more_faults = parse_all(args.count, args.seed)
    lines, faults = lines + more_lines, faults + more_faults
    print("\n".join(lines))
    for fault in faults[:20]:
        print("FAULT", fault)
    print("{} faults".format(len(faults)))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
