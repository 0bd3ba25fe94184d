"""`make receivers`: eight live outputs at 30 frames a second, some of whose peers are dead, deaf, fickle or hostile.

In turns: a run that nobody asks anything, one whose shapes and events go to a file that keeps nothing, and one with the eight.
Exit code 1 where a peer that behaves lost something, memory grows, or the status does not tell what became of an output.
"""
import argparse
import json
import os
import sys
import tempfile
import threading
import time

if __name__ == "__main__":
    HERE = os.path.dirname(os.path.abspath(__file__))
    sys.path[:0] = [os.path.dirname(os.path.dirname(HERE)), os.path.dirname(HERE), HERE]

from receiving import COMES, COUNTS, DEAD, FLOODS, Peers
from whole_runs import finish, launch, quick

from edge.core.figures import median
from edge.store import models

FPS = 30
SETTLED = 4  # records of the status, one a second, after which all is loaded and memory has its size
MOST_GROWTH, LEAST_GROWTH_MB = 1.03, 3.0
LONGEST_GAP_S = 0.5
GOING = ("RUNNING", "DEGRADED")
AIM = 1.02
PLAIN, FILE, LIVE = "none", "a file", "eight live"
PLAIN_KEYS = ("sent", "failed", "dropped", "state")
ROW = "{:<12}{:>8}{:>12}{:>12}{:>12}{:>12}{:>10}"
TICKS = os.sysconf("SC_CLK_TCK")


class Sample:
    """The tracker and its relay when a record of the status was written."""

    def __init__(self, record, pid, relay):
        self.record, self.cpu_s, self.mb = record, cpu_s(pid), resident_mb(pid)
        self.relay_cpu_s, self.relay_mb = (cpu_s(relay), resident_mb(relay)) if relay else (0.0, 0.0)


class Turn:
    """One run, watched from outside."""

    def __init__(self, kind, folder, minutes, source, outputs):
        self.kind, self.samples, self.ended, self._read = kind, [], None, 0
        status = os.path.join(folder, "status.jsonl")
        if os.path.exists(status):
            os.unlink(status)
        words = ["run", "--source", source, "--set", "source.pace=realtime", "--set", "source.loop=true", "--max-frames",
                 str(int(minutes * 60 * FPS)), "--status", status, "--set", "status.interval_s=1.0", "--set",
                 "status.max_bytes=100000000", "--quiet"]
        for output in outputs:
            words += ["--output", output]
        self._process = launch(folder, models.home_dir(), words + list(quick()))
        self._status = status
        self._watch()
        self.done = finish(folder, self._process)
        self._new()

    def _watch(self):
        pid, relay = self._process.pid, None
        while self._process.poll() is None:
            relay = relay or relay_of(pid)
            try:
                self.samples += [Sample(record, pid, relay) for record in self._new() if record["state"] in GOING]
            except (OSError, StopIteration):
                break  # it ends
            time.sleep(0.1)

    def _new(self):
        """Records that were written since the last call."""
        try:
            with open(self._status, encoding="utf-8") as f:
                f.seek(self._read)
                text = f.read().rpartition("\n")[0]
                self._read += len(text) + (1 if text else 0)  # it is ASCII
        except FileNotFoundError:
            return []
        records = [json.loads(line) for line in text.split("\n") if line]
        self.ended = records[-1] if records else self.ended
        return records

    def _settled(self):
        return self.samples[SETTLED:]

    @property
    def frames(self):
        return sum(sample.record["stages"]["output"]["count"] for sample in self._settled()[1:])

    def cpu_ms(self, of="cpu_s"):
        """Of a frame."""
        settled = self._settled()
        return 1000.0 * (getattr(settled[-1], of) - getattr(settled[0], of)) / self.frames

    def frame_ms(self, key="p50"):
        return median([sample.record["latency_ms"][key] for sample in self._settled() if "latency_ms" in sample.record])

    def output_ms(self):
        """To make the record and hand it over, median."""
        return median([sample.record["stages"]["output"]["work_ms"]["p50"] for sample in self._settled()])

    def growth(self, of="mb"):
        """From the second fifth to the last: MB before, MB after."""
        sizes = [getattr(sample, of) for sample in self._settled()]
        fifth = max(1, len(sizes) // 5)
        return max(sizes[fifth:2 * fifth]), max(sizes[-fifth:])

    def rows(self, at=-1):
        return self.samples[at].record["outputs"]

    def line(self):
        return ROW.format(self.kind, self.frames, *["{:.2f}".format(number) for number in (
            self.cpu_ms(), self.frame_ms(), self.frame_ms("p95"), self.output_ms(), self.samples[-1].mb)])


def cpu_s(pid):
    with open("/proc/{}/stat".format(pid), "rb") as f:
        fields = f.read().rpartition(b")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def resident_mb(pid):
    with open("/proc/{}/status".format(pid), encoding="ascii") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS")) / 1024.0


def relay_of(pid):
    """The process number of the relay of a tracker; None while there is none."""
    for name in os.listdir("/proc"):
        try:
            with open("/proc/{}/stat".format(name), "rb") as f:
                parent = int(f.read().rpartition(b")")[2].split()[1])
            with open("/proc/{}/cmdline".format(name), "rb") as f:
                if parent == pid and b"edge.outputs.relay.process" in f.read():
                    return int(name)
        except (OSError, ValueError, IndexError):
            continue
    return None


def faults_of(turn, peers):
    """Sentences, of the run with the eight."""
    faults, first, last = [], turn.rows(SETTLED), turn.rows()
    if turn.done.code != 0 or "Traceback" in turn.done.err:
        faults.append("it ended with {}: {}".format(turn.done.code, turn.done.err[-500:]))
    for peer in peers.all:
        row, before = last[peer.address], first[peer.address]
        if peer.role == COUNTS:
            lost = row["dropped"] + row["failed"] - before["dropped"] - before["failed"]
            missing = peer.missing(turn.ended["outputs"][peer.address]["sent"])
            if lost or missing:
                faults.append("{} lost {} frames in its sender, {} on the way".format(peer.address, lost, missing))
            if peer.longest_gap_s > LONGEST_GAP_S:
                faults.append("{} got nothing for {:.2f} s".format(peer.address, peer.longest_gap_s))
            if not row["state"].startswith(("ok", "1 receiver")):
                faults.append("{} receives, and its state is {}".format(peer.address, row["state"]))
        states = {sample.record["outputs"][peer.address]["state"] for sample in turn.samples[SETTLED:]}
        if peer.role == DEAD and not any("nothing listens" in state for state in states):
            faults.append("{} is dead, and its states are {}".format(peer.address, sorted(states)))
        if peer.role == COMES and len(states) < 2:
            faults.append("{} comes and goes, and its states are {}".format(peer.address, sorted(states)))
        if peer.role == FLOODS and not sum(count for key, count in row.items() if key not in PLAIN_KEYS):
            faults.append("{} is flooded, and counts nothing: {}".format(peer.address, row))
        if peer.role == FLOODS and not peer.count:
            faults.append("{} is flooded, and who asks beside it gets nothing".format(peer.address))
    for of, name in (("mb", "tracker"), ("relay_mb", "relay")):
        before, after = turn.growth(of)
        if after > max(MOST_GROWTH * before, before + LEAST_GROWTH_MB):
            faults.append("the memory of the {} grew from {:.1f} to {:.1f} MB".format(name, before, after))
    return faults


def compared(turns):
    """How the run with the eight stands beside the others: (text, ratio)."""
    found = []
    for other in (PLAIN, FILE):
        for what, of in (("processor time of the tracker", Turn.cpu_ms), ("time of a frame, median", Turn.frame_ms)):
            values = [median([of(turn) for turn in turns if turn.kind == kind]) for kind in (LIVE, other)]
            found.append(("{}, beside {}".format(what, other), values[0] / values[1]))
    return found


def tell(turns, peers):
    live = [turn for turn in turns if turn.kind == LIVE][-1]
    lines = [ROW.format("outputs", "frames", "cpu ms", "p50 ms", "p95 ms", "output ms", "MB")]
    lines += [turn.line() for turn in turns] + [""]
    for peer in peers.all:
        row = live.rows()[peer.address]
        counts = ", ".join("{} {}".format(count, key) for key, count in row.items() if key != "state")
        lines.append("{:<44} {:<16} got {:<9} {} ({})".format(peer.address, peer.role, peer.count, row["state"], counts))
    sizes = live.growth("mb") + live.growth("relay_mb")
    lines += ["", "relay: {:.2f} ms of processor time a frame".format(live.cpu_ms("relay_cpu_s")),
              "memory: tracker {:.1f} -> {:.1f} MB, relay {:.1f} -> {:.1f} MB".format(*sizes)]
    for text, ratio in compared(turns):
        lines.append("{}: {:+.1f} % ({})".format(text, 100.0 * (ratio - 1.0), "within the aim" if ratio <= AIM else
                                                 "the aim is {:+.0f} %".format(100.0 * (AIM - 1.0))))
    return lines


def main(words):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--minutes", type=float, default=10.0, help="of the run with the eight; the others take a fifth each")
    parser.add_argument("--source", default="portrait")
    arguments = parser.parse_args(words)
    turns, minutes = [], arguments.minutes
    with tempfile.TemporaryDirectory() as folder:
        short = max(0.2, minutes / 5.0)
        for kind, length in ((PLAIN, short), (FILE, short), (LIVE, minutes), (FILE, short), (PLAIN, short)):
            peers = Peers() if kind == LIVE else None
            outputs = {PLAIN: [], FILE: ["jsonl:/dev/null?shapes=true&events=true"]}.get(kind)
            source = os.path.abspath(arguments.source) if os.path.exists(arguments.source) else arguments.source
            try:
                turns.append(Turn(kind, folder, length, source, [p.address for p in peers.all] if peers else outputs))
            finally:
                if peers is not None:
                    peers.close()
                    eight = peers
            print(turns[-1].line() if turns[-1].samples else turns[-1].done.err, flush=True)
    print("\n" + "\n".join(tell(turns, eight)))
    faults = [fault for turn in turns if turn.kind == LIVE for fault in faults_of(turn, eight)]
    left = [thread.name for thread in threading.enumerate() if thread.name.startswith("peer")]
    for fault in faults + ["left behind: " + name for name in left]:
        print("FAULT: " + fault)
    print("those that behave lost nothing" if not faults else "{} faults".format(len(faults)))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
