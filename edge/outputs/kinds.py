"""The kinds of outputs: one table, read by whatever parses, checks, makes, explains or completes an `--output`.

A new kind is a file with a function `make(spec, options) -> Output`, which is imported when such an output is made, and its
line in KINDS.
"""
from importlib import import_module
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Tuple

from edge.core.parts import Parts, points_wanted
from edge.core.roles import MESH, RECORDING_SUFFIX, STYLES
from edge.core.rules import Address, Rule, choice, flag, matching, number, origins, which_points, whole

if TYPE_CHECKING:
    from edge.core.contracts import Output  # brings numpy, and every command reads this table
    from edge.geometry.camera import CameraGuess

# what an output needs as its target; BROKER: an address, and behind a slash the topic
FILE, FOLDER, ADDRESS, BROKER, NOTHING = "file", "folder", "address", "broker", "nothing"
PICTURES = "pictures"  # one file or a folder of them, by its name: `files` of the kind
PICTURE_FILES = (".mp4", ".png", ".jpg", ".jpeg")  # a film, or the newest frame with a face
# when an output waits at its address for those who ask, instead of sending there; WITHOUT_HOST: where none is named, or all
NEVER, ALWAYS, WITHOUT_HOST = "never", "always", "without host"
EVERYWHERE = ("0.0.0.0", "::")  # addresses of all of a machine's networks
STDOUT = "-"  # a target of FILE kinds whose name may end as it likes
QUALITY = 92  # of JPEG and WebP
PLY, OBJ, LOSSLESS = ".ply", ".obj", ".png"


class Key(NamedTuple):
    """An option of one output, behind its target. One that OutputOptions has too overrides the run's."""

    rule: Rule
    text: str  # for people


class Kind(NamedTuple):
    """One line of the table."""

    target: str  # FILE, FOLDER (of pictures), PICTURES, ADDRESS or NOTHING
    make: str  # MODULE:FUNCTION below edge.outputs
    text: str  # for people
    example: str
    keys: Mapping[str, Key] = {}
    suffixes: Tuple[str, ...] = ()  # by which a path without a kind is known
    only_suffixes: bool = False  # no other name is taken
    port: Optional[int] = None  # of an ADDRESS that names none
    live: bool = False  # it speaks to other programs, in the relay's process
    listens: str = NEVER
    tells_at: Optional[int] = None  # without a host it also listens there, UDP, until such a program tells of itself
    package: str = ""  # that must be installed for it
    files: Tuple[str, ...] = PICTURE_FILES  # of PICTURES: what a target that is one file ends in; any other is a folder
    each: str = ""  # what every file of its folder ends in; "": a picture of a file as that file, and of a frame .jpg
    beside: str = ""  # what the name of a second file, which it writes too, has behind that of the first


FACE = {"shapes": Key(flag(), "with the blend shapes"), "events": Key(flag(), "with the events")}
RECORD = dict(FACE, landmarks=Key(which_points(), "write points too"))
PICTURE = dict(FACE, mirror=Key(flag(), "show it as in a mirror"), draw_times=Key(flag(), "draw what each stage costs"),
               style=Key(choice(*STYLES), "of what is drawn: the mesh with all that was found, or the 468 points (mesh)"))
FACES = {"faces": Key(choice("all", "first"), "of a frame (all)")}
STILL = dict(PICTURE, quality=Key(whole(1, 100), "of JPEG and WebP ({})".format(QUALITY)))
# of a face's surface
MESHES = dict(FACES, each=Key(flag(), "a file for each face: _1, _2"))
SURFACE = dict(FACES, quality=STILL["quality"])
CODE = dict(SURFACE, background=Key(choice("image", "black"), "around the faces (image)"))
NAMED = dict(STILL, suffix=Key(matching(r"[^/\x00-\x1f\x7f]{1,40}", "up to 40 characters, no slash"),
                               "before each extension: _res"))
# of live outputs
RATE = {"rate": Key(number(0.1, 240.0), "frames a second at most")}
AVATAR = dict(RATE, mirror=Key(flag(), "right and left change places, as in a mirror"))
RECORDS = dict(RATE, **RECORD)
PHONE = dict(AVATAR, anywhere=Key(flag(), "answer who asks from beyond the local networks too"))
IFACIAL = dict(PHONE, version=Key(choice("v1", "v2"), "of the text that a host gets (v1)"),
               port=Key(whole(1, 65535), "where those who ask listen (49983)"),
               expires_s=Key(number(1.0, 1e6, "seconds"), "how long they are sent to, unless they ask again (14400)"))
VTS = dict(AVATAR, own=Key(flag(), "also shapes and events, as inputs that nanoface adds (true)"))
VMC = dict(AVATAR, names=Key(choice("vrm0", "vrm1", "perfectsync", "all"), "of expressions: the avatar's kind (all)"),
           case=Key(choice("pascal", "camel"), "of Perfect Sync's names (pascal)"))
PRINTED, TOPIC = r"[^\x00-\x1f\x7f]{1,500}", r"[^\x00-\x1f\x7f+#$][^\x00-\x1f\x7f+#]{0,199}"
MQTT = dict(RATE, **{
    "id": Key(matching(r"[a-z0-9][a-z0-9_-]{0,31}", "small letters, digits, - and _"), "of this box, unlike any other's"),
    "every": Key(number(0.0, 3600.0, "seconds"), "between two messages of a value (5)"),
    "deadband": Key(number(0.0, 100.0), "how many times as far as usual a value must move to be told (1)"),
    "shapes": FACE["shapes"],
    "homeassistant": Key(flag(), "tell Home Assistant what there is"),
    "discovery_prefix": Key(matching(TOPIC, "a topic without + and #"), "of Home Assistant (homeassistant)"),
    "user": Key(matching(PRINTED, "a name"), "of the broker's account"),
    "password_file": Key(matching(PRINTED, "a path"), "holds its password"),
    "tls": Key(flag(), "encrypted; name the port, which is 8883 as a rule"),
    "ca_file": Key(matching(PRINTED, "a path"), "certificate of who signed the broker's"),
})
ORIGIN = {"origin": Key(origins(), "of web pages that may connect beside those of this machine")}
OPENSEEFACE = {"mirror": AVATAR["mirror"], "face_id_offset": Key(whole(-10 ** 6, 10 ** 6), "added to the number of each face"),
               "freeze_s": Key(number(0, 1e7), "how long what is usual for a face is learnt, s (900; 0: always)")}
FOLLOWED = matching("first|[1-9][0-9]{0,8}", "first, or the id of a face")
SSI = {"face": Key(FOLLOWED, "the one that came first as long as it is there, then the next; or an id (first)"),
       "media": Key(matching("[A-Za-z0-9_;:.-]{1,200}", "words with ; between"), "media type that the header names"),
       "repeat_last": Key(flag(), "without a face the last values again, confidence 0 (true), or zeros")}
SSI_BOX = dict(SSI, square=Key(flag(), "a square of pixels, as DISCOVER's (true), or the box as it was found"))
SSI_POINTS = dict(SSI, confidence=Key(choice("probability", "logit"), "0 to 1, or a hundredth of the network's logit, as "
                                      "DISCOVER has it (probability)"),
                  points=Key(choice("mesh", "blazeface"), "all 468, or eyes, nose, mouth, ears as blazeface has them (mesh)"))
SSI_EVENTS = {"event": Key(choice("blink", "eyes_closed", "perclos", "yawn", "nod", "shake", "away", "distance", "presence"),
                           "this one alone, whole; of all, the shortest stands where several overlap"),
              "face": Key(matching("all|[1-9][0-9]{0,8}", "all, or the id of a face"), "whose events (all)")}
OSC, PAHO, AIOHTTP = "pythonosc", "paho", "aiohttp"
KINDS: Dict[str, Kind] = {
    "jsonl": Kind(FILE, "files.jsonl:make", "one JSON record a frame (- is standard output)",
                  "jsonl:clip.jsonl?landmarks=true", RECORD, (".jsonl", ".json")),
    "csv": Kind(FILE, "files.csv:make", "a table, one row a face (- is standard output)", "csv:clip.csv", RECORD, (".csv",)),
    "video": Kind(FILE, "pictures.video:make", "the film with what was found drawn into it",
                  "video:demo.mp4?mirror=true", PICTURE, (".mp4",), True),
    "images": Kind(FOLDER, "pictures.images:make_folder", "every frame or picture, drawn", "images:out?quality=80", NAMED),
    "image": Kind(FILE, "pictures.images:make", "the newest frame with a face, drawn", "image:now.jpg", STILL,
                  (".jpg", ".jpeg", ".png"), True),
    "pose": Kind(PICTURES, "pictures.posebox:make", "how each head is turned, as a box around it",
                 "pose:turned.mp4?faces=first", dict(FACES, mirror=PICTURE["mirror"], quality=STILL["quality"])),
    "window": Kind(NOTHING, "pictures.window:make", "a live picture on this machine's display", "window?draw_times=false",
                   PICTURE),
    "record": Kind(FILE, "files.record:make", "the run to be replayed: points, no pictures",
                   "record:run.nfr", {}, (RECORDING_SUFFIX,)),
    "ply": Kind(PICTURES, "exports.meshes:make_ply", "a mesh: the newest frame with a face, or a folder of all (PLY)",
                "ply:face.ply", MESHES, (PLY,), files=(PLY,), each=PLY),
    "obj": Kind(PICTURES, "exports.meshes:make_obj", "the same with the picture's colours (OBJ)", "obj:meshes?each=true",
                dict(MESHES, uv=Key(flag(), "faces name their place in the texture")), (OBJ,), files=(OBJ,), each=OBJ),
    "depth": Kind(PICTURES, "exports.painters:make_depth", "how near each pixel of a face is, grey: picture, film, folder",
                  "depth:depth.png?background=black", CODE, each=LOSSLESS),
    "pncc": Kind(PICTURES, "exports.painters:make_pncc", "which part of a face each pixel is, as a colour",
                 "pncc:codes?faces=first", CODE, each=LOSSLESS),
    "uv": Kind(PICTURES, "exports.painters:make_texture", "the texture of each face, side by side", "uv:texture.png?size=512",
               dict(SURFACE, size=Key(whole(16, 2048), "pixels a side (256)")), each=LOSSLESS),
    "mesh3d": Kind(PICTURES, "exports.painters:make_shaded", "the faces as shaded heads over the picture", "mesh3d:heads.mp4",
                   dict(SURFACE, opacity=Key(number(0.0, 1.0), "of the heads (0.6)"))),
    "ssi-box": Kind(FILE, "ssi.streams:make_box", "the box of a face as an SSI stream: DISCOVER, NOVA",
                    "ssi-box:face_bounding_box.stream", SSI_BOX, (".stream",), True, beside="~"),
    "ssi": Kind(FILE, "ssi.streams:make_points", "the points of a face as an SSI stream: DISCOVER, NOVA",
                "ssi:face_mesh.stream?confidence=logit", SSI_POINTS, (".stream",), True, beside="~"),
    "ssi-events": Kind(FILE, "ssi.events:make", "the events as an SSI annotation: DISCOVER, NOVA",
                       "ssi-events:blink.annotation?event=blink", SSI_EVENTS, (".annotation",), True, beside="~"),
    "sparse": Kind(PICTURES, "exports.sparse:make", "68 points of each face, drawn (iBUG's order)", "sparse:points.mp4",
                   dict(FACES, mirror=PICTURE["mirror"], quality=STILL["quality"])),
    "vmc": Kind(ADDRESS, "live.osc.vmc:make", "head, eyes and shapes of an avatar: VSeeFace, Warudo",
                "vmc://192.0.2.7:39540", VMC, port=39540, live=True, package=OSC),
    "vrchat": Kind(ADDRESS, "live.osc.vrchat:make", "ARKit's shapes for VRCFaceTracking's Babble module",
                   "vrchat://127.0.0.1", AVATAR, port=8888, live=True, package=OSC),
    "openseeface": Kind(ADDRESS, "live.openseeface.output:make", "OpenSeeFace's packets: VSeeFace, VTube Studio, vpuppr",
                        "openseeface://192.0.2.7", dict(RATE, **OPENSEEFACE), port=11573, live=True),
    "openseeface-csv": Kind(FILE, "live.openseeface.table:make", "OpenSeeFace's table of its data (--log-data)",
                            "openseeface-csv:log.csv", OPENSEEFACE),
    "vts": Kind(ADDRESS, "live.vts.output:make", "VTube Studio's own interface; 0.0.0.0 finds it",
                "vts://192.0.2.7:8001", VTS, port=8001, live=True, listens=WITHOUT_HOST, tells_at=47779,
                package=AIOHTTP),
    "vts-phone": Kind(ADDRESS, "live.phone.vtsphone:make", "as the phone of VTube Studio: VSeeFace, VBridger ask for it",
                      "vts-phone://0.0.0.0", PHONE, port=21412, live=True, listens=ALWAYS),
    "ifacialmocap": Kind(ADDRESS, "live.phone.ifacialmocap:make", "as the phone of iFacialMocap: answers, or sends to a host",
                         "ifacialmocap://0.0.0.0", IFACIAL, port=49983, live=True, listens=WITHOUT_HOST),
    "socketio": Kind(ADDRESS, "live.socketio.client:make", "to the server of OpenVtuber or DLVYF", "socketio://192.0.2.7:6789",
                     AVATAR, port=6789, live=True, package=AIOHTTP),
    "socketio-server": Kind(ADDRESS, "live.socketio.server:make", "as the server of OpenVtuber or DLVYF, for their pages",
                            "socketio-server://:6789", dict(AVATAR, **ORIGIN), port=6789, live=True, listens=ALWAYS,
                            package=AIOHTTP),
    "opentrack": Kind(ADDRESS, "live.opentrack:make", "the head's pose for games", "opentrack://192.0.2.7", AVATAR, port=4242,
                      live=True),
    "osc": Kind(ADDRESS, "live.osc.values:make", "every value as an OSC message", "osc://192.0.2.7:9000", RECORDS, live=True,
                package=OSC),
    "ws": Kind(ADDRESS, "live.web.ws:make", "a WebSocket server: the records for any program", "ws://:8765",
               dict(RECORDS, **ORIGIN), port=8765, live=True, listens=ALWAYS, package=AIOHTTP),
    "udp-json": Kind(ADDRESS, "live.udpjson:make", "the records as datagrams of JSON", "udp-json://192.0.2.7:5005", RECORDS,
                     live=True),
    "mqtt": Kind(BROKER, "live.mqtt.output:make", "an MQTT broker, with Home Assistant's discovery",
                 "mqtt://192.0.2.7?user=face&password_file=/etc/nanoface/mqtt", MQTT, port=1883, live=True, package=PAHO),
}

UDP, TCP = "UDP", "TCP"
OVER_TCP = frozenset(("vts", "socketio", "socketio-server", "ws", "mqtt"))  # the other live ones send datagrams


class OutputSpec(NamedTuple):
    """One `--output`. `target` is a path, "-", HOST:PORT or empty; `text` is what the user wrote and the status shows."""

    kind: str
    target: str
    text: str
    keys: Mapping[str, Any] = {}  # those that were given
    address: Optional[Address] = None
    listens: bool = False  # at the address, for those who ask
    topic: str = ""  # of a BROKER

    @property
    def path(self) -> str:
        """The file or folder that is written; "" for any other target."""
        return self.target if KINDS[self.kind].target in (FILE, FOLDER, PICTURES) and self.target != STDOUT else ""

    @property
    def is_folder(self) -> bool:
        """Whether a file for each frame or picture is written into it."""
        kind = KINDS[self.kind]
        return kind.target == FOLDER or kind.target == PICTURES and not self.target.lower().endswith(kind.files)

    @property
    def paths(self) -> Tuple[str, ...]:
        """`path` and that of a second file, those that there are."""
        beside = KINDS[self.kind].beside
        return tuple([self.path] if self.path and not beside else [self.path, self.path + beside] if self.path else [])

    @property
    def naming(self) -> Tuple[str, str]:
        """How the files of its folder are called, for PictureNames."""
        return KINDS[self.kind].each, self.keys.get("suffix", "")

    @property
    def bound(self) -> Optional[Tuple[str, int]]:
        """UDP or TCP, and the port at which it waits for those who ask; None for one that sends or connects, also one that
        looks for its server first."""
        looks = KINDS[self.kind].tells_at is not None
        return (protocol(self.kind), self.address.port) if self.listens and self.address is not None and not looks else None


class OutputOptions(NamedTuple):
    """What every output of a run gets."""

    landmarks: bool  # the records hold the points: CSV gives them columns
    mirror: bool  # pictures are shown as in a mirror; texts are not
    blocking: bool  # the source is a file: outputs to files may make it wait
    fps: Callable[[], Optional[float]]  # frames per second of the source, where it is known
    draw_times: bool = True  # the panel in pictures
    title: Callable[[], str] = str  # of a window: the source's name
    note: Optional[Callable[[str], None]] = None  # of a window that opens by itself: why it did not
    shapes: bool = False  # the records have the blend shapes, pictures show them
    events: bool = False  # the same
    coarse: bool = False  # the shapes with those that the points tell roughly
    stamp: Callable[[], Mapping[str, Any]] = dict  # what makes a recording; once frames come
    landmarks68: bool = False  # the records have the 68 points
    style: str = MESH
    camera: Optional[Callable[[], "CameraGuess"]] = None  # the one in use; for pictures

    @property
    def parts(self) -> Parts:
        return Parts(self.landmarks, self.shapes, self.events, self.shapes and self.coarse, self.landmarks68)


def protocol(name: str) -> str:
    """Of a live kind."""
    return TCP if name in OVER_TCP else UDP


def form_of(name: str) -> str:
    """How such an output is written."""
    kind = KINDS[name]
    target = {FILE: ":PATH", FOLDER: ":FOLDER", PICTURES: ":FILE_OR_FOLDER",
              ADDRESS: "://HOST:PORT", BROKER: "://HOST:PORT/TOPIC", NOTHING: ""}
    return name + target[kind.target] + (kind.suffixes[0] if kind.only_suffixes else "")


def forms() -> str:
    return ", ".join(form_of(name) for name in KINDS)


def explained() -> str:
    """The table, for people: a line for each kind."""
    width = 2 + max(len(form_of(name)) for name in KINDS)

    def lines(live: bool) -> List[str]:
        return ["  {:<{}}{}".format(form_of(name), width, kind.text) for name, kind in KINDS.items() if kind.live == live]

    return "\n".join(["files and pictures:"] + lines(False) + ["other programs:"] + lines(True) + [
        "`nanoface outputs KIND` shows an example, the options and what to mind of one.",
        "In a TARGET that has options, and in a VALUE, %25 %26 %3F stand for % & ?"])


def make_output(spec: OutputSpec, options: OutputOptions) -> "Output":
    """The output, not yet opened."""
    module, _, function = KINDS[spec.kind].make.partition(":")
    own = {key: value for key, value in spec.keys.items() if key in OutputOptions._fields}
    if "landmarks" in own:
        own["landmarks"], own["landmarks68"] = points_wanted(own["landmarks"])
    made: "Output" = getattr(import_module("edge.outputs." + module), function)(spec, options._replace(**own))
    return made
