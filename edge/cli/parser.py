"""The parser of a command's words; its errors name the word that was meant."""
import argparse
import os
import re
from typing import Any, List, NoReturn, Sequence

from edge.core.errors import ConfigError
from edge.core.spelling import did_you_mean, nearest

LONGEST_SHOWN = 60
NEVER_EMPTY = ("path", "config", "root")  # take one word, which nothing else checks
ARGPARSE_MESSAGES = (  # its wording -> ours
    (r"^argument (-[^ /]*)(/[^ ]*)?: ", r"\1: "), (r": expected (one|at least one) argument$", ": its value is missing"),
    (r": ignored explicit argument (.*)$", r": it takes no value, and \1 was given"),
    (r"not allowed with argument", "not allowed with"),
)


class ArgumentParser(argparse.ArgumentParser):
    """Takes no abbreviations, and reports a wrong word as ConfigError instead of leaving the process."""

    def __init__(self, prog: str, text: str, example: str) -> None:
        super().__init__(
            prog=prog, description=text, epilog="example:\n  " + "\n  ".join(example.split("\n")),
            formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False,
        )

    def error(self, message: str) -> NoReturn:
        for pattern, plain in ARGPARSE_MESSAGES:
            message = re.sub(pattern, plain, message)
        raise ConfigError("{}; see {} --help".format(message, self.prog))

    def read(self, words: Sequence[str]) -> argparse.Namespace:
        """Raises ConfigError; --help and --version raise SystemExit. `names` takes words wherever they stand, and behind --
        also those that begin with a dash."""
        takes_names = any(action.dest == "names" for action in self.entries())
        end = words.index("--") if takes_names and "--" in words else len(words)
        args, unknown = self.parse_known_args(self._joined(words[:end]))
        if takes_names:  # argparse ends a list of words at the first option behind it
            args.names += [word for word in unknown if not _is_option(word)] + list(words[end + 1:])
            unknown = [word for word in unknown if _is_option(word)]
        if "" in unknown or "" in [getattr(args, name, None) for name in NEVER_EMPTY] + getattr(args, "names", []):
            self.error("a word is empty: is a variable not set?")
        if unknown:
            self.error("{} is unknown{}".format(shown(unknown[0]), self._meant(unknown[0])))
        return args

    def _joined(self, words: Sequence[str]) -> List[str]:
        """With a value behind each option that may do without one, so that it takes no word but its own."""
        known = {option: getattr(action, "words", ()) for action in self.entries() for option in action.option_strings}
        found: List[str] = []
        for word in words:
            if found and known.get(found[-1]):
                joined = word in known[found[-1]]
                found[-1] += "=" + (word if joined else "true")
                if joined:
                    continue
            found.append(word)
        return found

    def entries(self) -> Sequence[argparse.Action]:
        """Every option, and every word that stands alone."""
        return tuple(self._actions)

    def _meant(self, word: str) -> str:
        options = self._option_string_actions
        if not word.startswith("-"):
            source = next((option for option in ("--source", "--input") if option in options), "")
            return ", did you mean {} {}?".format(source, shown(word)) if source else ""
        near = nearest(word.split("=")[0], options)
        if not near and os.path.exists(word):
            near = os.path.join(os.curdir, word)
        return did_you_mean(near)


def shown(word: str) -> str:
    """A word as an error has it: short, and visible where it is empty or has blanks."""
    short = word if len(word) <= LONGEST_SHOWN else word[:LONGEST_SHOWN] + "..."
    return short if word and not re.search(r"\s", word) else repr(short)


def _is_option(word: str) -> bool:
    return word.startswith("-") and word != "-"


def count(most: int) -> Any:
    def read(text: str) -> int:
        if not re.match(r"^[0-9]{1,9}$", text) or not 1 <= int(text) <= most:
            raise argparse.ArgumentTypeError("{} is not a whole number from 1 to {}".format(text, most))
        return int(text)

    return read


def number(low: float, high: float) -> Any:
    def read(text: str) -> float:
        if not re.match(r"^[0-9]{1,9}([.][0-9]{1,9})?$", text) or not low <= float(text) <= high:
            raise argparse.ArgumentTypeError("{} is not a number from {:g} to {:g}".format(text, low, high))
        return float(text)

    return read


def known_word(word: str, known: Sequence[str], before: str) -> str:
    if word in known:
        return word
    near = nearest(word, known)
    hint = "did you mean {}?".format(near) if near else "there are " + ", ".join(known)
    what = "{} {} is unknown".format(before, shown(word)) if word else "{} what? A word is missing".format(before)
    raise ConfigError("{}; {}; see {} --help".format(what, hint, before))
