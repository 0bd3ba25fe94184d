"""The envelope of what is said to VTube Studio and what it answers. No I/O."""
import json
import re
from typing import Any, Dict, Iterable, Mapping, NamedTuple, Optional

from edge.host.reading import parse_json

API, VERSION = "VTubeStudioPublicAPI", "1.0"
PLUGIN, DEVELOPER = "nanoface", "nanoface maintainers"  # 3 to 32 characters; the token is given to this pair
STATE, TOKEN, LOGIN = "APIStateRequest", "AuthenticationTokenRequest", "AuthenticationRequest"
CREATE, INPUTS, INJECT = "ParameterCreationRequest", "InputParameterListRequest", "InjectParameterDataRequest"
BROADCAST, ERROR = "VTubeStudioAPIStateBroadcast", "APIError"
DEACTIVATED, UNAUTHENTICATED, DENIED, ONGOING = 1, 8, 50, 51
NAMES_INVALID = (52, 53, 54)
LOGIN_REFUSED = (UNAUTHENTICATED, DENIED, 100, 101, 102)  # the last three: a field of the login
UNKNOWN, TAKEN = 453, 454
TOKENS = re.compile(r"[!-~]{1,64}\Z")
LONGEST_TEXT = 100  # of what the other end says, in a line of ours


class Answer(NamedTuple):
    """One message of VTube Studio's."""

    kind: str
    request: str  # the id of what it answers; "" where it has none
    data: Mapping[str, Any]


def request(kind: str, number: str, data: Optional[Mapping[str, Any]] = None) -> str:
    """`number`: up to 64 characters, by which the answer is known."""
    whole: Dict[str, Any] = {"apiName": API, "apiVersion": VERSION, "requestID": number, "messageType": kind}
    if data is not None:
        whole["data"] = data
    return json.dumps(whole, separators=(",", ":"))


def plugin(token: str = "") -> Dict[str, str]:
    who = {"pluginName": PLUGIN, "pluginDeveloper": DEVELOPER}
    return dict(who, authenticationToken=token) if token else who


def injection(values: Mapping[str, float], face_found: bool) -> Dict[str, Any]:
    return {"faceFound": face_found, "mode": "set",
            "parameterValues": [{"id": name, "value": round(value, 4)} for name, value in values.items()]}


def read_answer(text: str) -> Answer:
    """Unknown fields are left aside. Raises ValueError for what is no message of the interface."""
    found = parse_json(text.encode("utf-8", "replace"))
    if not isinstance(found, dict) or found.get("apiName", API) != API or not isinstance(found.get("messageType"), str):
        raise ValueError("it is no message of VTube Studio's")
    number, data = found.get("requestID"), found.get("data")
    return Answer(found["messageType"], number if isinstance(number, str) else "", data if isinstance(data, dict) else {})


def error_of(data: Mapping[str, Any]) -> int:
    """-1 where it is none that is known."""
    number = data.get("errorID")
    return number if type(number) is int else -1


def words_of(data: Mapping[str, Any]) -> str:
    """What the other end says of an error, as one short line."""
    text = data.get("message")
    text = text[:LONGEST_TEXT] if isinstance(text, str) else ""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def token_of(data: Mapping[str, Any]) -> str:
    """Raises ValueError."""
    token = data.get("authenticationToken")
    if not isinstance(token, str) or not TOKENS.match(token):
        raise ValueError("its token is none")
    return token


def names_of(data: Mapping[str, Any]) -> Iterable[str]:
    """The inputs that VTube Studio has, its own and those of plugins."""
    for key in ("defaultParameters", "customParameters"):
        rows = data.get(key)
        for row in rows if isinstance(rows, list) else ():
            if isinstance(row, dict) and isinstance(row.get("name"), str):
                yield row["name"]


def port_of(data: bytes) -> Optional[int]:
    """Of a broadcast: where the interface is; 0 where it is off; None for anything else."""
    try:
        found = parse_json(data)
    except ValueError:
        return None
    about = found.get("data") if isinstance(found, dict) and found.get("messageType") == BROADCAST else None
    port = about.get("port") if isinstance(about, dict) else None
    if not isinstance(about, dict) or type(port) is not int or not 1 <= port <= 65535:
        return None
    return port if about.get("active") is True else 0
