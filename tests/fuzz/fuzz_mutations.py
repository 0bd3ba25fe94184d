"""Bytes made wrong: flips, cuts, repetitions, words that parsers trip over, and numbers and nests without an end."""

WORDS = [
    b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\\ud800", b"\\u0000", b"\r\n", b"\x1b[2J", "\u202e".encode(),
    b"%00", b"NaN", b"Infinity", b"-Infinity", b"1e999", b"-1", b"0", b"-0.0", b"1e-320", b"null", b"true", b"[]", b"{}",
    b'""', b"9" * 20, b"9" * 5000, b"0x" + b"f" * 5000, b"1:2:3:4:5", b"1" + b":59" * 3000, b"2001-13-45", b"1_0", b"!!int ''",
    b"!!bool x", b"!!float ''", b"!!binary '*'", b"!!python/object/apply:os.system [x]", b"&a [*a]", b"*a", b"<<: *a", b"? ",
    b"{<<: {<<: {a: 1}}}", b"---\n", b"...\n", b"%YAML 9.9\n", b"\t", b": ", b"- ", b"|\n", b"@", b"`", b"../../x",
    b"/dev/zero", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x80\x00\x00\x00", b"\x00\x00\x00\x00", b"\x00\x00\x00\x01",
    b"a" * 3000, b"[" * 2000, b"{\"a\":" * 1000, b"(" * 300, b"://", b"@", b":", b"[::1", b"%25", b"?", b"#", b"\xe2\x84\x80",
]


def mutated(random, data):
    """A few changes, one after the other; seldom none."""
    for _ in range(random.choice((0, 1, 1, 1, 2, 3, 5, 12))):
        data = random.choice(CHANGES)(random, data)
    return data[:1 << 22]


def _place(random, data):
    return random.randrange(len(data) + 1)


def _flip(random, data):
    changed = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 8, 64)) if data else 0):
        changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
    return bytes(changed)


def _cut(random, data):
    return data[:_place(random, data)]


def _remove(random, data):
    at = _place(random, data)
    return data[:at] + data[at + random.choice((1, 2, 4, 16, 100)):]


def _repeat(random, data):
    at = _place(random, data)
    piece = data[at:at + random.choice((1, 4, 20, 200))]
    return data[:at] + piece * random.choice((2, 3, 50, 2000 if len(piece) < 30 else 10)) + data[at:]


def _insert(random, data):
    at = _place(random, data)
    return data[:at] + random.choice(WORDS) + data[at:]


def _replace(random, data):
    """A number or a word of the text is another."""
    runs, start = [], None
    for i, byte in enumerate(data[:20000] + b" "):
        if chr(byte).isalnum() or byte in b".-+_":
            start = i if start is None else start
        elif start is not None:
            runs.append((start, i))
            start = None
    if not runs:
        return _insert(random, data)
    start, end = random.choice(runs)
    return data[:start] + random.choice(WORDS) + data[end:]


def _overwrite(random, data):
    at, word = _place(random, data), random.choice(WORDS)[:random.choice((1, 4, 8, 100))]
    return data[:at] + word + data[at + len(word):]


def _nest(random, data):
    opening, closing = random.choice(((b"[", b"]"), (b'{"a":', b"}"), (b"{a: ", b"}"), (b"- ", b""), (b"(", b")")))
    depth = random.choice((3, 50, 500, 5000, 50000))
    return opening * depth + data[:random.choice((0, 50, 10 ** 6))] + closing * depth


def _noise(random, data):
    at = _place(random, data)
    return data[:at] + bytes(bytearray(random.randrange(256) for _ in range(random.choice((1, 8, 64))))) + data[at:]


CHANGES = (_flip, _flip, _cut, _remove, _repeat, _insert, _insert, _replace, _replace, _replace, _overwrite, _nest, _noise)
