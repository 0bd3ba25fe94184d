"""What users of each live output stumble over, for `nanoface outputs`: one sentence a line, each with what to do."""
from typing import Dict, Tuple

SENDS = "the address is that of the machine where the program runs; let its firewall take UDP at this port"
LISTENS = "by itself it listens to this machine alone: name 0.0.0.0, or this machine's own address, for programs elsewhere"
TRAPS: Dict[str, Tuple[str, ...]] = {
    "vmc": (
        SENDS,
        "39540 is the port of a program that takes trackers; 39539 is that of one that only draws, which misses the body",
        "one program a port: where two receivers run on a PC, give each its own port and its own --output",
        "right and left are crossed where the avatar should be your mirror image: set mirror=true",
        "shapes do not move: names=vrm0, vrm1 or perfectsync as the model has them; case=camel for a strict receiver",
    ),
    "vrchat": (
        "the Babble module listens at 127.0.0.1 only: run nanoface on the PC of VRChat, or forward UDP 8888 there",
        "switch the shapes on in VRCFaceTracking, with its Babble module installed; VRChat's own port 9000 is another one",
    ),
    "openseeface": (
        SENDS,
        "VSeeFace: choose OpenSeeFace tracking on another machine; it listens at the port that it shows",
        "VTube Studio on Linux: StreamingAssets/ip.txt has ip=0.0.0.0 and port=11573",
        "nothing is sent while there is no face, as OpenSeeFace does",
    ),
    "vts": (
        "in VTube Studio switch on Start API in its settings, then click Allow at its question about nanoface, once",
        "name its machine, or have it found in all networks: vts://0.0.0.0; without a host it is looked for here alone",
        "an input that another plugin drives is left to it: the status says so",
        "turns the wrong way? Exchange the two ends of that input's range in VTube Studio, or set mirror=true",
    ),
    "vts-phone": (
        "type this machine's address into the program, not the program's here: it asks, nanoface answers",
        LISTENS,
        "several programs may ask at once; only one nanoface or phone can have port 21412 of this machine",
    ),
    "ifacialmocap": (
        "type this machine's address into the program (its iPhone field), or name the program's machine here, not both",
        LISTENS,
        "where the program runs on this machine it has the port: write ifacialmocap://127.0.0.1",
        "the answer goes to port 49983 of who asked, over UDP: one receiver a PC; its firewall has to let that in",
    ),
    "socketio": (
        "the node server of OpenVtuber or DLVYF has to run, its own tracker must not",
        "both generations of socket.io are understood",
    ),
    "socketio-server": (
        "it takes the node server's place: stop OpenVtuber's or DLVYF's own, which has the same port",
        "their page connects to 127.0.0.1: run nanoface where the page is open, or change the address in the page",
        "a page that was loaded from another machine has to be named: ?origin=http://192.0.2.9:8000",
        LISTENS,
    ),
    "opentrack": (
        SENDS,
        "in opentrack choose the input UDP over network; centre it there with your head at rest",
        "opentrack's curves invert an axis where a game wants it the other way; mirror=true turns right and left here",
    ),
    "osc": (
        SENDS,
        "a parameter is there only while it is known: a closed eye has no iris, a lost face nothing but /nanoface/faces 0",
    ),
    "ws": (
        LISTENS,
        "anybody who reaches the port may read: name this machine's own address only in a network that you trust",
        "a page that was loaded from another machine has to be named: ?origin=http://192.0.2.9:8000",
    ),
    "udp-json": (
        SENDS,
        "one record a datagram: with landmarks it is too large for most networks' packets; ask for them on one machine only",
    ),
    "mqtt": (
        "a password stands in a file, password_file=PATH, never in the address",
        "events are never retained: a subscriber sees those that happen while it is there",
    ),
}
