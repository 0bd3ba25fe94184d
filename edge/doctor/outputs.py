"""The live outputs of the configuration: their packages, their hosts, and who listens at which port of this machine."""
import ipaddress
import os
import re
import struct
from contextlib import suppress
from typing import Callable, Iterator, List, NamedTuple, Optional, Sequence

from edge.config.load import Config
from edge.core.rules import Address
from edge.doctor.machine import OK, WARN, Finding, Machine
from edge.host.packages import install
from edge.outputs.kinds import EVERYWHERE, KINDS, TCP, UDP, OutputSpec, protocol
from edge.outputs.spec import parse_outputs

NAME = "output"
TABLES = {UDP: ("/proc/net/udp", "/proc/net/udp6"), TCP: ("/proc/net/tcp", "/proc/net/tcp6")}
WAITING = {UDP: "07", TCP: "0A"}  # the state of a socket that waits for others
USER = "nanoface"  # of the service
OURS = re.compile(rb"nanoface|\bedge\b")
LOCALHOST = "localhost"


class Listener(NamedTuple):
    """One socket of this machine that waits for others."""

    protocol: str
    host: str
    port: int
    uid: int
    inode: str

    @property
    def text(self) -> str:
        return "{} {}".format(self.protocol, Address(self.host, self.port).text)


def check_outputs(config: Config, machine: Machine, version_of: Callable[[str], Optional[str]]) -> List[Finding]:
    """`version_of` a package: None where it is not there. Nothing is sent, and no port opened."""
    taken = list(listeners(machine))
    findings: List[Finding] = []
    for spec in parse_outputs(config.outputs):
        kind = KINDS[spec.kind]
        if not kind.live:
            continue
        if kind.package and version_of(kind.package) is None:
            text = "{}: the package {} is not installed, nothing is sent".format(spec.text, kind.package)
            findings.append(Finding(NAME, WARN, text, install(kind.package)))
        findings.append(_check_port(spec, machine, taken) if spec.bound else _check_target(spec, machine, taken))
    return findings + _check_service(machine, taken)


def _check_port(spec: OutputSpec, machine: Machine, taken: Sequence[Listener]) -> Finding:
    assert spec.address is not None and spec.bound is not None
    what = "{} listens at {} {}, {}".format(spec.text, spec.bound[0], spec.address.text, _reach(spec.address.host))
    there = [one for one in taken if (one.protocol, one.port) == spec.bound and _overlap(one.host, spec.address.host)]
    if not there:
        return Finding(NAME, OK, what)
    owner = _owner(machine, there[0])
    if owner.startswith(USER):
        return Finding(NAME, OK, "{}; {} has the port now".format(what, owner))
    return Finding(NAME, WARN, "{}: {} port {} is taken by {}".format(spec.text, spec.bound[0], spec.bound[1], owner),
                   "end that program, or name another port, as in {}://{}".format(
                       spec.kind, Address(spec.address.host, spec.bound[1] + 1 if spec.bound[1] < 65535 else 1024).text))


def _check_target(spec: OutputSpec, machine: Machine, taken: Sequence[Listener]) -> Finding:
    assert spec.address is not None
    host, kind = spec.address.host, protocol(spec.kind)
    if spec.listens:
        tries = "" if host in EVERYWHERE else " at {} {}, and".format(kind, spec.address.text)
        heard = Address(host, KINDS[spec.kind].tells_at or 0).text
        return Finding(NAME, OK, "{} looks for its program{} where that tells of itself: it listens at UDP {}, {}".format(
            spec.text, tries, heard, "on this machine" if tries else "where everybody in its networks may send"))
    what = "{} {} {} {}".format(spec.text, "connects to" if kind == TCP else "sends to", kind, spec.address.text)
    if _is_loopback(host):
        there = any(one.protocol == kind and one.port == spec.address.port for one in taken)
        known = there or not machine.exists(TABLES[kind][0])
        return Finding(NAME, OK, what + ", this machine" + ("" if known else "; nothing listens there now"))
    if not _is_number(host):
        answer = machine.command("getent", "ahosts", host)
        if answer is not None and answer.code != 0:
            why = "there is no host {}".format(host) if answer.code is not None else "no answer where {} is".format(host)
            return Finding(NAME, WARN, "{}: {}".format(spec.text, why), "name the address of the program's machine")
    return Finding(NAME, OK, what)


def _check_service(machine: Machine, taken: Sequence[Listener]) -> List[Finding]:
    """What the service waits at now, whatever this user's configuration says."""
    uid = _uid(machine, USER)
    ours = sorted({one.text for one in taken if one.uid == uid}) if uid is not None else []
    return [Finding(NAME, OK, "the service listens at " + ", ".join(ours))] if ours else []


def _reach(host: str) -> str:
    if _is_loopback(host):
        return "for programs on this machine"
    return "where everybody in its networks may read it" if host in EVERYWHERE else "where its network may read it"


def listeners(machine: Machine) -> Iterator[Listener]:
    """None where the system does not tell."""
    for kind, paths in TABLES.items():
        for path in paths:
            for line in machine.read(path).splitlines()[1:]:
                with suppress(ValueError, IndexError, struct.error):
                    words = line.split()
                    if words[3] == WAITING[kind]:
                        address, _, port = words[1].partition(":")
                        yield Listener(kind, _host(address), int(port, 16), int(words[7]), words[9])


def _host(digits: str) -> str:
    """As the kernel writes it: words of 32 bits, each in the machine's byte order."""
    words = [int(digits[i:i + 8], 16) for i in range(0, len(digits), 8)]
    return str(ipaddress.ip_address(struct.pack("={}I".format(len(words)), *words)))


def _owner(machine: Machine, listener: Listener) -> str:
    """Who has a socket, as far as this user may know."""
    if listener.uid == _uid(machine, USER):
        return "{}'s service".format(USER)
    link = "socket:[{}]".format(listener.inode)
    for pid in _processes(machine):
        folder = machine.path("/proc/{}/fd".format(pid))
        with suppress(OSError):
            if any(_leads_to(os.path.join(folder, name)) == link for name in os.listdir(folder)):
                words = machine.read("/proc/{}/cmdline".format(pid)).encode("utf-8", "replace").split(b"\0")
                name = os.path.basename(words[0].decode("utf-8", "replace")) or "a program"
                return "{} (process {})".format(USER if OURS.search(b" ".join(words)) else name, pid)
    return "a program of user {}".format(listener.uid)


def _leads_to(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""


def _processes(machine: Machine) -> List[str]:
    try:
        return sorted((name for name in os.listdir(machine.path("/proc")) if name.isdigit()), key=int)
    except OSError:
        return []


def _uid(machine: Machine, user: str) -> Optional[int]:
    for line in machine.read("/etc/passwd").splitlines():
        words = line.split(":")
        if words[0] == user and len(words) > 2 and words[2].isdigit():
            return int(words[2])
    return None


def _is_number(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
        return True
    except ValueError:
        return False


def _is_loopback(host: str) -> bool:
    return ipaddress.ip_address(host).is_loopback if _is_number(host) else host.lower() == LOCALHOST


def _overlap(one: str, other: str) -> bool:
    """Two sockets of a port exclude each other."""
    both = {"127.0.0.1" if host.lower() == LOCALHOST else host for host in (one, other)}
    return len(both) == 1 or bool(both & set(EVERYWHERE))
