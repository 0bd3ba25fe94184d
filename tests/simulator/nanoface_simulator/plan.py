"""The simulator's plan: a header in the manner of TensorRT's (magic, version, device, size, hash) and the network.

    8 bytes magic | 4 bytes length of the header | header, JSON | networks, ONNX | 32 bytes sha256 of all before it

The header says what the engine is: bindings, layers with their precision, sizes in memory, and the ONNX bytes' length.
"""
import hashlib
import json
import struct

from . import settings

MAGIC = b"ptrtSIM\x01"  # a plan of TensorRT begins with ptrt
DIGEST = 32
# why a plan is refused
NO_MAGIC, WRONG_SIZE, ALTERED, OTHER_VERSION, OTHER_BUILD, OTHER_GPU = "magic size altered version build gpu".split()

def pack(header, network):
    """header: plain data; network: bytes. Version and device are those of the board that the environment names."""
    board = settings.board()
    header = dict(header, tensorrt=board.tensorrt, gpu=board.gpu, compute_capability=list(board.compute_capability),
                  network_bytes=len(network))
    text = json.dumps(header, sort_keys=True).encode("utf-8")
    content = MAGIC + struct.pack("<I", len(text)) + text + network
    return content + hashlib.sha256(content).digest()


def unpack(content):
    """(header, network, why): header is None where the plan is refused; why is one of the above and its details."""
    if len(content) < 12 or not content.startswith(MAGIC):
        return None, b"", (NO_MAGIC,)
    size = struct.unpack_from("<I", content, 8)[0]
    try:
        header = json.loads(content[12:12 + size].decode("utf-8"))
        wanted = 12 + size + int(header["network_bytes"]) + DIGEST
    except (ValueError, KeyError, TypeError, UnicodeDecodeError):
        return None, b"", (WRONG_SIZE,)
    if wanted != len(content):
        return None, b"", (WRONG_SIZE,)
    if hashlib.sha256(content[:-DIGEST]).digest() != content[-DIGEST:]:
        return None, b"", (ALTERED,)
    why = _misfit(header)
    return (None, b"", why) if why else (header, content[12 + size:-DIGEST], ())


def _misfit(header):
    board = settings.board()
    here, there = board.tensorrt.split("."), header["tensorrt"].split(".")
    if here[:3] != there[:3]:
        return OTHER_VERSION, ".".join(here[:3]), ".".join(there[:3])
    if here != there:
        return OTHER_BUILD, here[-1], there[-1]
    if tuple(header["compute_capability"]) != tuple(board.compute_capability):
        return (OTHER_GPU,) + tuple(board.compute_capability) + tuple(header["compute_capability"])
    return ()
