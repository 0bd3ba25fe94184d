"""Passwords and keys are not shown: the one home of hiding them, for errors, warnings, status records and reports.

Two ways together: the places where they stand (addresses, queries, properties of a pipeline), for texts of others; and the
secrets of this process's own source, verbatim and as they are usually rewritten, wherever a library repeats them.
"""
import json
import re
import unicodedata
from typing import Iterable, Iterator, Set, Tuple
from urllib.parse import quote, unquote, unquote_plus

HIDDEN = "***"
SOURCE_VARIABLE = "NANOFACE_SOURCE"  # of the environment: a source, which may hold a password
LEAST = 4  # characters of a secret that is hidden wherever it stands: a shorter one would hide half of every text
SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,30}://")
WORD = re.compile(r"\S+")
WITH_BLANKS = re.compile("(" + SCHEME.pattern + r"[^\s:/@]+):[^/@\n]*@")
CUTS = tuple(re.compile(text) for text in ("\"", "'", r"\s"))  # where a login without an @ may end
ANY_PORT = re.compile(r"^\d{1,5}(?=[/?#]|$)")
SECRET = (r"token|secret|signature|(?<!by)(?<!com)(?<!low)(?<!high)pass(?:word|wd|phrase|code)?|pwd|psw|pw|"
          r"(?<!mon)(?<!don)(?<!tur)key|auth|authorization|credentials?|jwt|"
          r"(?<![A-Za-z])(?:sig|pin|psk|sid|session(?:[-_]?id)?)")
PERSON = r"(?<![A-Za-z])(?:user(?:name)?|usr|login|account)(?:[-_]?id)?"
VALUE = r"\"(?:\\.|[^\"\\])*\"?(?:[^\s&,)\]}][^\s&]*)?|'(?:\\.|[^'\\\n])*'(?=[\s&!)\]},]|$)|(?:\\\s|[^\s&])*"
NAME = r"((?:NAMES)\d*[\"']?\s?=(?!\s?\*\*\*)\s?)"
NAMED = re.compile(NAME.replace("NAMES", SECRET + "|" + PERSON) + "({})".format(VALUE), re.IGNORECASE)
VALUES = tuple(re.compile(NAME.replace("NAMES", SECRET) + "({})".format(value), re.IGNORECASE | re.DOTALL) for value in (
    VALUE, "[^&]*", "[^&#]*", r"(?:\\.|\S)*", r".*?(?=[&_][A-Za-z]+=|$)"))  # further ways in which they may end
OUR_HELP = "KEY=VALUE"
HEADER = re.compile(r"(?<!/)((?:password|passwd|passphrase|pwd|pw|api[-_]?key|token|secret|authorization|cookie)[\"']?:"
                    r"(?! ?\*\*\*) ?)(?=\S)(?:(?:basic|bearer|digest)\s.*|{})".format(VALUE), re.IGNORECASE)


class Secrets:
    """The secrets that this process has seen. May be used from several threads."""

    def __init__(self) -> None:
        self._known: Tuple[str, ...] = ()

    def learn(self, spec: str) -> None:
        """What is secret in the text of a source, or in an argument of the command line."""
        found = set(self._known)
        for secret in _secrets(spec):
            found.update(form for form in _forms(secret) if len(form) >= LEAST and form != HIDDEN)
        self._known = tuple(sorted(found, key=len, reverse=True))

    def hide(self, text: str) -> str:
        for secret in self._known:
            text = text.replace(secret, HIDDEN)
        if "://" in text:
            text = WORD.sub(_without_login, text)
            text = WITH_BLANKS.sub(r"\1:" + HIDDEN + "@", text)
        if "=" in text:
            text = NAMED.sub(_without_value, text)
        return HEADER.sub(r"\1" + HIDDEN, text)

    def forget(self) -> None:
        self._known = ()


OWN = Secrets()


def hide(text: str) -> str:
    """What may be shown and logged of any text."""
    return OWN.hide(text)


def plain(text: str) -> str:
    """What a terminal may be given of any text, line by line: control sequences of others have no effect."""
    return text if text.isprintable() else "".join(c if _is_plain(c) or c in "\n\t" else _escape(c) for c in _joined(text))


def one_line(text: str) -> str:
    """The same of a text that ends no line: a name can hold anything."""
    return plain(text).replace("\n", "\\n")


def spelled(text: str, encoding: str) -> str:
    """With an escape for what is not in an encoding: a service without a locale has ASCII."""
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return "".join(c if c.encode(encoding, "ignore") else _escape(c) for c in text)
    return text


def _is_plain(c: str) -> bool:
    return c.isprintable() or unicodedata.category(c) == "Zs"  # blanks of other scripts


def _escape(c: str) -> str:
    return "\\u{:04x}".format(ord(c)) if ord(c) < 0x10000 else "\\U{:08x}".format(ord(c))


def _joined(text: str) -> str:
    """Bytes of a name that Python took for those of another encoding, as 3.6 does without a locale, become characters."""
    try:
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text


def learn(spec: str) -> None:
    OWN.learn(spec)


def has_secret(spec: str) -> bool:
    return any(True for _ in _secrets(spec)) or Secrets().hide(spec) != spec


def _login(text: str) -> Tuple[int, int]:
    """Where it begins and ends: up to the last @, as a password may hold any of / ? # @. Equal where there is none.

    In one pass: a pattern would start again at each of many schemes.
    """
    end = text.rfind("@")
    scheme = SCHEME.search(text, 0, end) if end >= 0 else None
    return (scheme.end(), end) if scheme is not None else (0, 0)


def _without_login(word: "re.Match[str]") -> str:
    text = word.group()
    start, end = _login(text)
    return text[:start] + _shown_user(text[start:end]) + text[end:] if end else text


def _without_value(found: "re.Match[str]") -> str:
    kept = not found.group(2) or found.group().startswith(OUR_HELP)
    return found.group() if kept else found.group(1) + HIDDEN


def _shown_user(login: str) -> str:
    """The user's name stays; "host/path" before an @ that stands in a path is no login."""
    user, colon, _ = login.partition(":")
    return user + ":" + HIDDEN if colon and "/" not in user else login if not colon else HIDDEN


def _secrets(spec: str) -> Iterator[str]:
    """Passwords of addresses, as a lenient and as a strict parser finds them, and the values of names such as token."""
    for piece in (piece for pieces in ([spec], *(cut.split(spec) for cut in CUTS)) for piece in pieces):
        start, end = _login(piece)
        rest = piece[start:end]
        for part in (rest, re.split("[/?#]", rest)[0].rpartition("@")[0]):
            password = part.partition(":")[2]
            if password and not ANY_PORT.match(password):
                yield password
    for value in (found.group(2) for pattern in VALUES for found in pattern.finditer(spec)):
        yield from (text for text in (value.strip("\""), value.strip("\"'")) if text)


def _bytes(text: str) -> bytes:
    """Also of a command-line argument that is no UTF-8."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


def _forms(secret: str) -> Set[str]:
    """A secret as it stands, decoded and encoded."""
    plain: Iterable[str] = {secret, unquote(secret), unquote_plus(secret), re.sub(r"\\(.)", r"\1", secret)}
    forms = set(plain)
    for text in plain:
        forms.update((quote(_bytes(text)), quote(_bytes(text), safe=""), json.dumps(text)[1:-1], repr(text)[1:-1],
                      re.sub(r"([\s\"'\\!])", r"\\\1", text)))
    return {form for form in forms if form.strip()}
