"""Hostile datagrams and TCP conversations for every kind that listens. None of them is a valid request of its protocol."""
import json
import os
import struct

WORD = b"iFacialMocap_sahuasouryya9218sauhuiayeta91555dy3719"
PHONE = {"messageType": "iOSTrackingDataRequest", "time": 1.0, "sentBy": "a", "ports": [50507]}
TELLS = {"apiName": "VTubeStudioPublicAPI", "apiVersion": "1.0", "timestamp": 1, "messageType": "VTubeStudioAPIStateBroadcast",
         "requestID": "x", "data": {"active": True, "port": 8001, "instanceID": "a", "windowTitle": "VTube Studio"}}
NO_TIMES = (0, -1, 0.49, 10.01, 1e300, "1", None, True, [], {}, float("nan"), float("inf"), 10 ** 400)
NO_PORTS = ([], [0], [-1], [65536], [1.5], ["1"], [True], None, 5, "50507", {}, [[50507]], list(range(1, 100)), [10 ** 30])
NO_NAMES = ("", "x" * 65, None, 5, [], {})
NO_TCP_PORTS = (0, -1, 65536, "8001", None, 1.5, True, [8001], {}, 10 ** 30)


def junk(random, most=400):
    return bytes(bytearray(random.getrandbits(8) for _ in range(random.choice((0, 1, 2, random.randrange(most))))))


def big(random):
    return os.urandom(64) * random.randrange(1, 900)


def cut(random, data):
    return data[:random.randrange(len(data))]


def nested(random):
    return random.choice((b"[", b'{"a":', b'{"data":')) * random.randrange(1, 900)


def of_ifacialmocap(random):
    choice = random.randrange(7)
    if choice == 0:
        place = random.randrange(len(WORD))
        return WORD[:place] + bytes(bytearray([WORD[place] ^ random.randrange(1, 256)])) + WORD[place + 1:]
    if choice == 1:
        return WORD + random.choice((b"|sendDataVersion=v", b"|sendDataVersion=v3", b"|", b"x", WORD, b"\0x"))
    if choice == 2:
        return WORD.replace(b"iFacialMocap_", b"iFacialMocap_UDPTCP_") + random.choice((b"", b"|sendDataVersion=v2"))
    return random.choice((cut(random, WORD), junk(random), big(random), of_vts_phone(random)))


def of_vts_phone(random):
    key, values = random.choice((("time", NO_TIMES), ("ports", NO_PORTS), ("sentBy", NO_NAMES),
                                 ("messageType", ("", "iOSTrackingDataRequests", None, 5, []))))
    wrong = dict(PHONE, **{key: random.choice(values)})
    if random.random() < 0.2:
        del wrong[key]
    text = json.dumps(wrong).encode("ascii")
    whole = json.dumps(PHONE).encode("ascii")
    return random.choice((text, text, text, cut(random, whole), whole + b"}", whole + b" " * 3000, b"[" + whole + b"]",
                          junk(random), nested(random), big(random)))


def of_vts(random):
    data = dict(TELLS["data"], port=random.choice(NO_TCP_PORTS))
    wrong = random.choice((dict(TELLS, data=data), dict(TELLS, data=None), dict(TELLS, data=[]), dict(TELLS, messageType="x"),
                           dict(TELLS, messageType=None), {}, [TELLS], "x"))
    return random.choice((json.dumps(wrong).encode("ascii"), cut(random, json.dumps(TELLS).encode("ascii")), junk(random),
                          nested(random), big(random)))


DATAGRAMS = {"ifacialmocap": of_ifacialmocap, "vts-phone": of_vts_phone, "vts": of_vts}
GOOD = {"ifacialmocap": WORD, "vts-phone": json.dumps(PHONE).encode("ascii"), "vts": json.dumps(TELLS).encode("ascii")}


# TCP: a conversation is a list of pieces to send; it begins with a request, good or not

def head(port, target="/", method="GET", version="HTTP/1.1", **headers):
    lines = ["{} {} {}".format(method, target, version)]
    found = dict({"Host": "127.0.0.1:{}".format(port)}, **{name.replace("_", "-"): value for name, value in headers.items()})
    return ("\r\n".join(lines + ["{}: {}".format(*one) for one in found.items() if one[1] is not None]) + "\r\n\r\n").encode(
        "utf-8", "surrogatepass")


UPGRADE = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec_WebSocket_Version": "13",
           "Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ=="}
TARGETS = ("/", "/x", "/../../etc/passwd", "/socket.io/", "/socket.io/?EIO=4&transport=polling", "/socket.io/?EIO=9",
           "/socket.io/?EIO=4&transport=polling&sid=x", "/socket.io/?EIO=3&transport=websocket", "*", "http://a/",
           "/" + "a" * 9000, "/%00", "/?" + "&".join("a%d=1" % i for i in range(900)))


def request(random, port):
    """Refused by whoever keeps to what is documented: a foreign page, another host, another place, no HTTP."""
    choice = random.randrange(8)
    if choice == 0:
        return head(port, Origin=random.choice(("http://evil.example", "null", "https://127.0.0.1.evil.example", "file://")),
                    **UPGRADE)
    if choice == 1:
        return head(port, Host=random.choice(("evil.example", "127.0.0.1.evil.example:%d" % port, "", "a" * 500)), **UPGRADE)
    if choice == 2:
        return head(port, random.choice(TARGETS[1:4]), random.choice(("POST", "PUT", "TRACE", "X" * 50)),
                    Content_Length=random.choice(("99999999999", "-1", "x", "5", "1, 2")))
    if choice == 3:
        return head(port, "/x", Transfer_Encoding="chunked", Content_Length="3") + b"ffffffff\r\nabc"
    if choice == 4:
        many = {"X%d" % i: "y" * 100 for i in range(random.randrange(1, 300))}
        return head(port, random.choice(TARGETS[4:6]) + "&b", **many)
    if choice == 5:
        wrong = dict(UPGRADE, Sec_WebSocket_Key=random.choice(("", "x", "a" * 5000)), Sec_WebSocket_Version="99")
        return head(port, "/x", **wrong)
    if choice == 6:
        return junk(random) + random.choice((b"", b"\r\n\r\n", b"\n\n", b"\x16\x03\x01\x02\x00\x01\x00"))
    return head(port, "/y" + "a" * random.choice((10, 9000, 40000)), version=random.choice(("HTTP/1.1", "HTTP/9", "", "\0")))


def frame(payload, opcode=1, mask=b"\1\2\3\4", final=0x80, size=None):
    size = len(payload) if size is None else size
    start = struct.pack("!B", final | opcode)
    bit = 0x80 if mask else 0
    start += (struct.pack("!B", bit | size) if size < 126 else struct.pack("!BH", bit | 126, size) if size < 65536
              else struct.pack("!BQ", bit | 127, size))
    covered = bytes(bytearray(byte ^ mask[i % 4] for i, byte in enumerate(bytearray(payload)))) if mask else payload
    return start + (mask or b"") + covered


def frames(random):
    """What a client says that may speak: a message of any kind, or what ends it."""
    choice = random.randrange(10)
    if choice == 0:
        return frame(b"", size=random.choice((1 << 62, 1 << 40, 1 << 31, 1 << 63)))
    if choice == 1:
        return frame(junk(random, 60), mask=b"")
    if choice == 2:
        return frame(junk(random, 60), random.choice((3, 5, 11, 15)))
    if choice == 3:
        return frame(b"x" * 126, 9)
    if choice == 4:
        return frame(struct.pack("!H", random.randrange(65536)), 8)
    if choice == 5:
        return frame(junk(random, 60), random.choice((0, 1)), final=random.choice((0, 0x10, 0x40, 0xc0)))
    if choice == 6:
        return frame(nested(random))
    return frame(random.choice((b"\xff\xfe", b"40/kizuna,", b"2probe", b"5", b'42["result_download",{}]', b"451-[1]", b"1")) +
                 junk(random, 40), random.choice((1, 1, 2)))
