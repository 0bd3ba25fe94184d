"""The whole program with every live output at once: `nanoface run` replays a recording, without a network, into a real
receiver of each kind."""
import contextlib
import json
import math
import os
import signal
import time
from collections import namedtuple

import pytest
from live_peers import make_peers
from patience import wait_until
from receivers import relay_of
from whole_runs import finish, launch

from edge.core.packet import END, START, Event, Frame, Packet
from edge.core.parts import Parts
from edge.outputs.kinds import KINDS
from edge.outputs.live.testface import Moves, MovingFace
from edge.outputs.record import encode
from edge.recording.writing import Writer

RATE, FRAMES = 30.0, 75
JAW = 0.5
TOLD = (("blink", END, 1), ("yawn", START, 2), ("yawn", END, 2), ("nod", END, 3))  # events of a pass: name, phase, id
TOLD_AT = (40, 46, 56, 62)  # the frame of each; a new face is followed after a second
STATES = {kind: "1 receiver" for kind in ("vts-phone", "socketio-server", "ws")}
Whole = namedtuple("Whole", "peers done running last left")


def yaw_at(i):
    return 20.0 * math.sin(2.0 * math.pi * i / FRAMES)


def recording(path):
    face, writer = MovingFace(), Writer()
    picture = face.packet(0.0).frame.image
    pieces = [writer.head({"nanoface": "0.1.0", "fps": RATE})]
    for i in range(FRAMES):
        events = tuple(Event(name, number, phase, 1, i / RATE - 0.1, i / RATE if phase == END else None, 1.0,
                             {"side": "both", "closure": 1.0} if name == "blink" else {})
                       for (name, phase, number), at in zip(TOLD, TOLD_AT) if at == i)
        moved = face._face(Moves(yaw=yaw_at(i), shapes={"jawOpen": JAW, "browInnerUp": i / FRAMES}))
        packet = Packet(Frame(i, 100.0 + i / RATE, i / RATE, picture), (moved,), (), events)
        pieces.append(writer.frame(encode(packet, packet.frame.captured_at, Parts(True, True, True))))
    with open(path, "wb") as f:
        f.write(b"".join(pieces + [writer.end()]))
    return path


def place(event):
    """Which of all events of the run it is, from 0."""
    passed = (event["id"] - 1) // 3
    return len(TOLD) * passed + TOLD.index((event["event"], event["phase"], event["id"] - 3 * passed))


def satisfied(peer):
    return (len(set(peer.heard.frames)) > 1 and (not peer.has_shapes or max(peer.heard.jaws, default=0.0) > JAW - 0.05)
            and (not peer.has_events or len(peer.heard.events) > len(TOLD)))


def processes_of(folder):
    """Those whose environment names the folder."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError), open("/proc/{}/environ".format(name), "rb") as f:
            if folder.encode() in f.read() and int(name) != os.getpid():
                found.append(int(name))
    return found


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("whole"))
    with contextlib.ExitStack() as stack:
        peers = make_peers(folder, stack)
        there = {kind: peer for kind, peer in peers.items() if not isinstance(peer, str)}
        words = ["run", "--source", "record:" + recording(os.path.join(folder, "run.nfr")), "--loop", "--realtime", "--quiet",
                 "--status", "status.jsonl", "--set", "status.interval_s=0.5"]
        for peer in there.values():
            words += ["--output", peer.address]
        process = launch(folder, "/nowhere", words, NANOFACE_TOKENS=os.path.join(folder, "tokens"))
        stack.callback(process.kill)

        def all_have_it():
            for peer in there.values():
                peer.look()
            time.sleep(0.1)
            return process.poll() is not None or all(map(satisfied, there.values())) and settled(folder, there)
        with contextlib.suppress(AssertionError):  # who lacks something is told by name below
            wait_until(all_have_it)
        relay = relay_of(process.pid)
        process.send_signal(signal.SIGINT)
        done = finish(folder, process)
        for peer in there.values():
            peer.look()
        records = done.records("status.jsonl")
        assert relay is not None, done.err
        running = [record for record in records if record["state"] == "RUNNING"]
        yield Whole(peers, done, running[-1], records[-1], processes_of(folder))


def settled(folder, there):
    """The newest record of the status has the states that it ends with."""
    with contextlib.suppress(OSError, IndexError), open(os.path.join(folder, "status.jsonl")) as f:
        rows = json.loads(f.read().split("\n")[-2])["outputs"]
        return all(rows[peer.address]["state"] == STATES.get(kind, "ok") for kind, peer in there.items())
    return False


def test_the_run_ends_well_and_leaves_no_process(whole):
    assert (whole.done.code, whole.done.err, whole.left) == (0, "", [])
    assert set(whole.last["outputs"]) == {peer.address for peer in whole.peers.values() if not isinstance(peer, str)}


@pytest.mark.parametrize("kind", sorted(kind for kind in KINDS if KINDS[kind].live))
def test_the_receiver_of_each_kind_gets_frames_shapes_and_every_event_once_and_in_order(whole, kind):
    peer = whole.peers[kind]
    if isinstance(peer, str):
        pytest.skip(peer)
    heard = peer.heard
    assert satisfied(peer), (len(heard.frames), heard.jaws[-5:], heard.events[-5:])
    if peer.has_shapes:
        assert max(heard.jaws) == pytest.approx(JAW, abs=0.01)
    if peer.has_events:
        places = [place(event) for event in heard.events]
        assert places == list(range(places[0], places[0] + len(places)))
        assert places[0] == 0 or kind in ("ws", "socketio", "socketio-server", "mqtt")  # who connects may come later
    row, last = (record["outputs"][peer.address] for record in (whole.running, whole.last))
    known = STATES.get(kind, "ok")
    assert row["state"] == known and last["state"] == ("closed" if known == "ok" else "closed: " + known)
    assert last["sent"] >= row["sent"] > 0 and last["failed"] == 0, last


@pytest.mark.parametrize("kind", ["udp-json", "ws"])
def test_records_come_with_the_values_of_their_frames(whole, kind):
    told = whole.peers[kind].heard.frames
    assert [frame for frame, _ in told] == sorted({frame for frame, _ in told})
    assert [yaw for _, yaw in told] == pytest.approx([yaw_at(frame % FRAMES) for frame, _ in told], abs=0.02)


def test_vtube_studio_sees_the_events_as_inputs(whole):
    rows = [{row["id"]: row["value"] for row in data["parameterValues"]} for data in whole.peers["vts"].studio.injected]
    yawns = [row["NanofaceYawn"] for row in rows if "NanofaceYawn" in row]
    assert 1.0 in yawns and 0.0 in yawns[yawns.index(1.0):] and rows[-1]["NanofaceBlinkRate"] >= 1.0
    assert any(row.get("NanofaceNod") == 1.0 for row in rows)
    assert len(whole.peers["vts"].studio.asked("AuthenticationTokenRequest")) == 1
