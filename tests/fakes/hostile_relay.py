"""A relay that somebody has taken over: says as much as it can, and nothing that it may."""
import pickle
import socket

SPOKEN = (b"no json", b"[" * 60000, pickle.dumps(print), b'{"kind": "status", "rows": [{"sent": 1e9}, {}]}', b"x" * 100000)


def main(argv):
    link = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, 0, int(argv[0]))
    link.setblocking(True)
    while True:
        for spoken in SPOKEN:
            link.send(spoken)
