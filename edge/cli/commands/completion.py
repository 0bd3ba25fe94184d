"""`nanoface completion`: a script that completes commands, options and their values, made from the options themselves.

The script holds all words: the shell never starts Python, which takes seconds on a board.
"""
import argparse
from typing import Any, Dict, List, NamedTuple, Sequence, TextIO, Tuple

from edge.cli.command import Command, no_more_words
from edge.cli.options import DEMO
from edge.cli.parser import ArgumentParser
from edge.cli.table import COMMANDS, load
from edge.config.rules import RULES
from edge.outputs.kinds import KINDS, NOTHING

SHELLS = ("bash", "zsh", "fish")
FILES = ("FILE", "PATH", "DIR", "PYTHON")  # metavars of what is on the disk
SOURCES = ("SPEC", "SOURCE")


class Values(NamedTuple):
    """What may stand there: these words, names of files, both, or (neither) anything."""

    words: Tuple[str, ...] = ()
    files: bool = False


class Flag(NamedTuple):
    spelled: Tuple[str, ...]
    takes_value: bool
    values: Values
    text: str


def make_parser() -> ArgumentParser:
    parser = ArgumentParser(
        "nanoface completion", "Print a script that lets a shell complete commands, options and values. To switch "
        "it on:\n\n  bash   eval \"$(nanoface completion bash)\" in ~/.bashrc\n"
        "  zsh    eval \"$(nanoface completion zsh)\" in ~/.zshrc, behind compinit\n"
        "  fish   nanoface completion fish > ~/.config/fish/completions/nanoface.fish", "nanoface completion bash")
    parser.usage = "nanoface completion bash|zsh|fish"
    parser.add_argument("names", nargs="*", metavar="SHELL", help="bash, zsh or fish")
    return parser


def run(args: Any, out: TextIO) -> int:
    out.write(script(args.action))
    return 0


def script(shell: str) -> str:
    """`shell` is bash, zsh or fish. ASCII, ends with a newline."""
    if shell == "fish":
        return _fish()
    return {"bash": _BASH, "zsh": _ZSH}[shell].replace("LOOK_UP", _look_up())


def flags_of(command: str) -> List[Flag]:
    known = load(command)
    return [Flag(tuple(action.option_strings), action.nargs != 0, _values(known, action), action.help or "")
            for action in known.make_parser().entries() if action.option_strings]


def words_of(command: str) -> Tuple[Values, Values]:
    """What may stand directly behind the command, and what further on, without an option."""
    known = load(command)
    alone = [_values(known, action) for action in known.make_parser().entries() if not action.option_strings]
    further = alone[0] if alone else Values()
    return Values(tuple(known.actions)) if known.actions else further, further


def _values(command: Command, action: argparse.Action) -> Values:
    optional = getattr(action, "words", ())
    if optional:  # else what stands behind is a source
        return Values(optional, files=True)
    metavar, rule = str(action.metavar), RULES.get(getattr(getattr(action, "option", None), "key", ""))
    for name in list(action.option_strings) or [metavar]:
        if name in command.offers:
            return Values(tuple(command.offers[name]), files=metavar in SOURCES)
    if metavar in SOURCES:
        return Values((DEMO,), files=True)
    if metavar in FILES:
        return Values(files=True)
    if metavar in ("KIND:TARGET", "ADDRESS"):
        return Values(tuple(name if kind.target == NOTHING else name + ":" for name, kind in KINDS.items()))
    if metavar == "KEY=VALUE":
        return Values(tuple(key + "=" for key in RULES))
    choices = action.choices or [choice for choice in (rule.choices if rule else ()) if choice != "null"]
    return Values(tuple(str(choice) for choice in choices))


def _look_up() -> str:
    """Lines that bash and zsh understand: from `at`, `cur`, `before` and `command` they set `offered` and `files`."""
    own = [("{}:-*".format(command), Values(tuple(word for flag in flags_of(command) for word in flag.spelled)))
           for command in COMMANDS]
    values = [("{}:{}".format(command, word), flag.values) for command in COMMANDS for flag in flags_of(command)
              if flag.takes_value for word in flag.spelled]
    values += [("*:" + key, Values(rule.choices)) for key, rule in RULES.items() if rule.choices]
    values += [("{0}:{0}".format(command), words_of(command)[0]) for command in COMMANDS]
    further = [("{}:*".format(command), words_of(command)[1]) for command in COMMANDS]  # fits all: behind the others
    first = Values(tuple(COMMANDS) + (DEMO,), files=True)
    return _LOOK_UP.format("|".join(COMMANDS), _set(first), _cases(own), _cases(values), _cases(further))


def _cases(rows: Sequence[Tuple[str, Values]]) -> str:
    """Patterns with the same values share a line."""
    shared: Dict[Values, List[str]] = {}
    for pattern, values in rows:
        shared.setdefault(values, []).append(pattern)
    return "\n".join("        {}) {} ;;".format("|".join(patterns), _set(values)) for values, patterns in shared.items())


def _set(values: Values) -> str:
    return "offered='{}' files={}".format(" ".join(values.words), "yes" if values.files else "")


def _fish() -> str:
    others = " ".join(command for command in COMMANDS if command != "run")
    lines = ["complete -c nanoface -f"]
    lines += [_fish_line("__fish_use_subcommand", ["-a " + name, "-d " + _fish_text(text)])
              for name, text in COMMANDS.items()]
    for command in COMMANDS:
        here = "__fish_seen_subcommand_from " + command if command != "run" else "not __fish_seen_subcommand_from " + others
        for flag in flags_of(command):
            names = ["-l " + word[2:] if word.startswith("--") else "-s " + word[1:] for word in flag.spelled]
            needed = [] if not flag.takes_value else ["-r"] if flag.values.files else ["-x"]
            lines.append(_fish_line(here, names + needed + _fish_values(flag.values) + ["-d " + _fish_text(flag.text)]))
        first, further = words_of(command)
        if first == further:
            lines.append(_fish_line(here, _fish_values(first)))
        else:
            seen = "__fish_seen_subcommand_from " + " ".join(first.words)
            lines.append(_fish_line("{}; and not {}".format(here, seen), _fish_values(first)))
            lines.append(_fish_line("{}; and {}".format(here, seen), _fish_values(further)))
    return "\n".join(line for line in lines if line) + "\n"


def _fish_line(where: str, what: Sequence[str]) -> str:
    return "complete -c nanoface -n '{}' {}".format(where, " ".join(what)) if what else ""


def _fish_values(values: Values) -> List[str]:
    return (["-F"] if values.files else []) + (["-a '{}'".format(" ".join(values.words))] if values.words else [])


def _fish_text(text: str) -> str:
    return "'{}'".format(text.replace("\\", "\\\\").replace("'", "\\'"))


_LOOK_UP = """\
    case "$command" in
        {}) ;;
        *) command=run ;;
    esac
    if [[ $at == 1 && $cur != -* ]]; then
        {}
    elif [[ $cur == -* ]]; then
        case "$command:$cur" in
{}
        esac
    else
        case "$command:$before" in
{}
{}
        esac
    fi"""

_BASH = """\
_nanoface() {
    local cur="${COMP_WORDS[COMP_CWORD]}" before="${COMP_WORDS[COMP_CWORD - 1]}" at=$COMP_CWORD
    local command="${COMP_WORDS[1]}" offered="" files="" IFS=$' \\t\\n'
    # readline takes words apart at = and :
    if [[ $cur == ":" || $before == ":" ]]; then return; fi
    if [[ $cur == "=" ]]; then cur=""; elif [[ $before == "=" ]]; then before="${COMP_WORDS[COMP_CWORD - 2]}"; fi
LOOK_UP
    COMPREPLY=($(compgen -W "$offered" -- "$cur"))
    if [[ ! $files ]]; then
        compopt +o default 2>/dev/null
        if [[ ${COMPREPLY[0]} == *[=:] ]]; then compopt -o nospace 2>/dev/null; fi
    elif [[ ${COMPREPLY[0]} ]]; then
        IFS=$'\\n'
        COMPREPLY+=($(compgen -f -- "$cur"))
        compopt -o filenames 2>/dev/null
    fi
}
complete -o default -F _nanoface nanoface
"""

_ZSH = """\
#compdef nanoface
_nanoface() {
    local cur="${words[CURRENT]}" before="${words[CURRENT - 1]}" command="${words[2]}" at=$((CURRENT - 1))
    local offered="" files=""
    local -a list
    if [[ $cur == *=* ]]; then
        before="${cur%%=*}" cur="${cur#*=}"
        compset -P 1 '*='
    fi
    if [[ $cur == *:* ]]; then
        compset -P 1 '*:'
        _files
        return
    fi
LOOK_UP
    list=(${=offered})
    compadd -- ${list:#*[=:]}
    compadd -S '' -- ${(M)list:#*[=:]}
    if [[ -n $files ]]; then _files; fi
}
if [[ ${funcstack[1]} == _nanoface ]]; then _nanoface "$@"; else compdef _nanoface nanoface; fi
"""

COMPLETION = Command(make_parser, run, no_more_words, SHELLS)
