"""Which server an address means, and whether its certificate is trusted."""
import re
import ssl
from typing import NamedTuple, Optional
from urllib.parse import urlsplit

from edge.core.errors import SourceError
from edge.core.redact import hide
from edge.host.reading import read_small, reason
from edge.sources.spec import INSECURE, VERIFY

PORTS = {"http": 80, "https": 443, "rtsp": 554, "rtsps": 322}
UNTRUSTED = ("the certificate of {} is not trusted ({}): put its own, or its authority's, into a file for source.ca_file, or "
             "set source.tls: insecure")
MOST_CERTIFICATES = 1 << 22  # bytes of PEM; all authorities of a system have a twentieth
LONGEST_SHOWN, LONGEST_READ = 200, 4096  # characters of a server's text
ELSEWHERE = "{} sends us on to another address, which is not followed{}"


class Trust(NamedTuple):
    """Of TLS, as configured."""

    tls: str = VERIFY
    ca_file: Optional[str] = None

    def context(self) -> ssl.SSLContext:
        """Raises SourceError. Without a file: the system's authorities, and $SSL_CERT_FILE."""
        try:
            if self.ca_file is not None:
                read_small(self.ca_file, MOST_CERTIFICATES)  # OpenSSL would wait for a pipe, and Ctrl-C not end it
            context = ssl.create_default_context(cafile=self.ca_file)
        except (OSError, ValueError) as e:
            why = "it is no PEM file" if isinstance(e, ssl.SSLError) else reason(e)
            raise SourceError("source.ca_file {} cannot be used: {}".format(self.ca_file, why))
        if self.tls == INSECURE:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context

    def refusal(self, origin: "Origin", error: Exception) -> str:
        """The line for the user; "" where the error is not about the certificate."""
        text = str(error)
        untrusted = "CERTIFICATE" in text.upper() or isinstance(error, ssl.CertificateError)
        return UNTRUSTED.format(origin.shown, shown(_reason(text))) if untrusted and self.tls == VERIFY else ""


DEFAULT_TRUST = Trust()


class Origin(NamedTuple):
    scheme: str
    host: str
    port: int

    @classmethod
    def of(cls, url: str) -> "Origin":
        """Raises ValueError for what is no address."""
        parts = urlsplit(url)
        if not parts.hostname or parts.scheme.lower() not in PORTS:
            raise ValueError("there is no host, or its protocol is not known")
        return cls(parts.scheme.lower(), parts.hostname, parts.port or PORTS[parts.scheme.lower()])

    @property
    def shown(self) -> str:
        return "[{}]".format(self.host) if ":" in self.host else self.host


def shown(text: str) -> str:
    """A text from a server as a part of an error: cut, as a long one would take minutes to be searched for passwords, and not
    fit into a message of the capture process."""
    text = hide(text if len(text) <= LONGEST_READ else text[:LONGEST_READ] + "@")  # as a login may have been cut
    return text if len(text) <= LONGEST_SHOWN else text[:LONGEST_SHOWN] + "..."


def _reason(text: str) -> str:
    """OpenSSL's message, without its names and numbers."""
    found = re.search(r"verify failed:? ?([^(]*)", text)
    return (found.group(1) if found and found.group(1).strip() else re.sub(r"\[[^]]*\]|\(_ssl.*", "", text)).strip(" .'\"")
