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
FAILED = "4: [runtime.cpp::deserializeCudaEngine::50] Error Code 4: Internal Error (Engine deserialization failed.)"
READER = "1: [stdArchiveReader.cpp::StdArchiveReader::{}] Error Code 1: Serialization (Serialization assertion {})"


def pack(header, network):
    """header: plain data; network: bytes. Version and device are those of the board that the environment names."""
    board = settings.board()
    header = dict(header, tensorrt=board.tensorrt, gpu=board.gpu, compute_capability=list(board.compute_capability),
                  network_bytes=len(network))
    text = json.dumps(header, sort_keys=True).encode("utf-8")
    content = MAGIC + struct.pack("<I", len(text)) + text + network
    return content + hashlib.sha256(content).digest()


def unpack(content):
    """(header, network, log): header is None where the plan is refused; log is (severity letter, text) in order."""
    if len(content) < 12 or not content.startswith(MAGIC):
        return None, b"", [("E", READER.format(30, "magicTagRead == kMAGIC_TAG failed.Magic tag does not match")),
                           ("E", FAILED)]
    size = struct.unpack_from("<I", content, 8)[0]
    try:
        header = json.loads(content[12:12 + size].decode("utf-8"))
        wanted = 12 + size + int(header["network_bytes"]) + DIGEST
    except (ValueError, KeyError, TypeError, UnicodeDecodeError):
        wanted = -1
        header = None
    if wanted != len(content):
        return None, b"", [("E", READER.format(
            35, "sizeRead == static_cast<uint64_t>(mEnd - mCurrent) failed.Size specified in header does not match "
                "archive size")), ("E", FAILED)]
    if hashlib.sha256(content[:-DIGEST]).digest() != content[-DIGEST:]:
        return None, b"", [("E", READER.format(41, "hash failed.The archive was altered (text of the simulator)")),
                           ("E", FAILED)]
    refused = _fits(header)
    if refused:
        return None, b"", [("E", refused), ("E", FAILED)]
    log = []
    if header["gpu"] != settings.board().gpu:
        log.append(("W", "Using an engine plan file across different models of devices is not recommended and is likely "
                         "to affect performance or even cause errors."))
    return header, content[12 + size:-DIGEST], log


def _fits(header):
    board = settings.board()
    if header["tensorrt"] != board.tensorrt:
        return ("6: The engine plan file is not compatible with this version of TensorRT, expecting library version {} "
                "got {}, please rebuild.".format(*[".".join(version.split(".")[:3]) for version in (
                    board.tensorrt, header["tensorrt"])]))
    if tuple(header["compute_capability"]) != tuple(board.compute_capability):
        return ("6: The engine plan file is generated on an incompatible device, expecting compute {}.{} got compute "
                "{}.{}, please rebuild.".format(*(tuple(board.compute_capability) + tuple(
                    header["compute_capability"]))))
    return ""
