"""`nanoface ailia`: takes the command line of ailia-models' facemesh.py, and runs as `nanoface run` does."""
import os
import re
import sys
from typing import Any, List, TextIO, Tuple

from edge.cli.command import Command
from edge.cli.foreign import INTEGER, OF_RUN, Word, add_words, as_film, left_out, number, output_text, run_noted
from edge.cli.options import Setting, add, add_config, config_of
from edge.cli.parser import ArgumentParser, shown
from edge.core.errors import ConfigError
from edge.core.roles import FILM_SUFFIXES
from edge.core.spelling import did_you_mean, nearest

SAVED = "output.png"  # where ailia's facemesh.py saves by itself
SUFFIX = "_res"
ONE_FILE = (".png", ".jpg", ".jpeg")  # what a single picture is written as
MESHES = {"legacy": "facemesh_pth", "normal": "face_landmark", "refine": "face_attention"}
RUNS = 5
MEANT = (
    Word("-i --input", "FILE|FOLDER", str, "pictures, or a folder of them (the built-in portrait)", more=True),
    Word("-v --video", "FILE|N", str, "a film, a camera's number, or whatever nanoface run takes as a source"),
    Word("-s --savepath", "TARGET", str, "of a picture a file ({}), of several a folder, of a film .mp4".format(SAVED)),
    Word("-b --benchmark", "", None, "print what each of several runs over a picture takes"),
    Word("-bc --benchmark_count", "N", number(int, 1, 10000), "of -b: how many ({})".format(RUNS)),
    Word("-m --model_type", "NAME", str, "{}: {}; else what nanoface run takes".format(
        ", ".join(MESHES), ", ".join(MESHES.values()))),
    Word("--env_list", "", None, "list what can run networks here, and end"),
)
LEFT_OUT = (
    Word("-e --env_id", "N", INTEGER, ""), Word("--ftype", "NAME", str, ""), Word("--back", "", None, ""),
    Word("-n --normal", "", None, ""), Word("--debug", "", None, ""), Word("--profile", "", None, ""),
)


def make_parser() -> ArgumentParser:
    parser = ArgumentParser(
        "nanoface ailia", "Take the place of ailia-models' facemesh.py: its options, its names of results.",
        "nanoface ailia --input face.jpg --savepath out.png\nnanoface ailia -i photos -s results\nnanoface ailia -v 0")
    parser.usage = "nanoface ailia [OPTION ...]"
    add_words(parser.add_argument_group("ailia's options"), MEANT)
    add_words(parser.add_argument_group("taken, and left out: there is nothing here that they would change"), LEFT_OUT)
    add(parser.add_argument_group("of nanoface run"), OF_RUN)
    add_config(parser)
    return parser


def take(args: Any) -> None:
    """Translates the words into settings, the run's own after them, and `notes`. Raises ConfigError."""
    words = (args.input or []) + [word for word in (args.video, args.savepath) if word is not None]
    if not all(word.strip() for word in words):
        raise ConfigError("--input, --video, --savepath: a word is empty: is a variable not set?")
    if args.model_type not in (None,) + tuple(MESHES):
        raise ConfigError("--model_type {} is none of {}{}".format(
            shown(args.model_type), ", ".join(MESHES), did_you_mean(nearest(args.model_type, MESHES))))
    args.notes, args.quiet = left_out(args, LEFT_OUT), False
    films = [word for word in args.input or () if word.lower().endswith(FILM_SUFFIXES) and not os.path.isdir(word)]
    if args.video is not None and args.input:
        args.notes.append("--input {}: left out, as --video names the source".format(args.input[0]))
    elif films and len(args.input) == 1:
        args.video = films[0]
        args.notes.append("--input {0}: it is a film, and taken as --video {0}".format(films[0]))
    own = args.settings or []
    args.settings = _of_film(args, own) if args.video is not None else _of_pictures(args)
    if args.model_type:
        args.settings.append(Setting("models.align", [MESHES[args.model_type]], "--model_type"))
    args.settings += own


def _of_pictures(args: Any) -> List[Setting]:
    """One or several: to a file, the last one in it; to a folder: each by its name. What is in a folder goes to a folder."""
    inputs, target = args.input or [_sample()], args.savepath or SAVED
    folder = os.path.isdir(inputs[0]) and len(inputs) == 1
    if folder and _is_file(target):
        instead = inputs[0].rstrip("/" + os.sep) + "_results"
        if args.savepath:
            args.notes.append("--savepath {}: the pictures of a folder go to a folder, {}".format(target, instead))
        target = instead
    if _is_file(target):
        stem, extension = os.path.splitext(target)
        if extension.lower() not in ONE_FILE:
            args.notes.append("--savepath {}: it is written as {}.png".format(target, stem))
            target = stem + ".png"
        if len(inputs) > 1:
            args.notes.append("--savepath {}: the last picture stays in it; a folder keeps each".format(target))
        text = output_text("image", target, neutral="mirror=false")
    else:
        text = output_text("images", target, "suffix=" + SUFFIX)
    return [Setting("source.spec", inputs[0] if len(inputs) == 1 else inputs, "--input"),
            Setting("output.window", False, "--input"), Setting("outputs", [text], "--savepath")]


def _of_film(args: Any, own: List[Setting]) -> List[Setting]:
    """A live picture where there is a display, and a film where one is named: the name by which ailia saves a picture is
    none."""
    if args.benchmark:
        args.notes.append("--benchmark is of pictures; nanoface bench measures a film")
        args.benchmark = False
    found, camera = [Setting("source.spec", args.video, "--video")], re.match(r"\s*[0-9]+\s*\Z", args.video)
    if _has_display() and not any(setting.key == "output.window" or "window" in str(setting.value) for setting in own):
        found.append(Setting("outputs", ["window?mirror=true" if camera else "window"], "--video"))
    target = args.savepath
    if target in (None, SAVED):
        return found
    if not _is_file(target):
        name = os.path.splitext(os.path.basename(args.video.strip().rstrip("/")))[0] or "video"
        target = os.path.join(target, re.sub(r"[^\w. -]", "_", name) + SUFFIX + ".mp4")
    if target.lower().endswith(ONE_FILE):
        return found + [Setting("outputs", [output_text("image", target, neutral="mirror=false")], "--savepath")]
    film = as_film("--savepath", target, args.notes)
    return found + [Setting("outputs", [output_text("video", film, neutral="mirror=false")], "--savepath")]


def _is_file(target: str) -> bool:
    """By its name, as what it means must not hang on what is there; but a folder that is there is one."""
    return bool(os.path.splitext(target)[1]) and not target.endswith(("/", os.sep)) and not os.path.isdir(target)


def _sample() -> str:
    import edge

    return os.path.join(os.path.dirname(os.path.abspath(edge.__file__)), "sources", "portrait.jpg")


def _has_display() -> bool:
    return not sys.platform.startswith("linux") or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))


def run(args: Any, out: TextIO) -> int:
    if args.env_list:
        out.write("".join("env[{}]={}\n".format(*row) for row in enumerate(_environments())))
        return 0
    if args.benchmark:
        from edge.bench.runs import times_of_pictures

        for file, times in times_of_pictures(config_of(args), args.benchmark_count or RUNS):
            out.write("{}\n{}".format(file, "".join("\tprocessing time {:.1f} ms\n".format(ms) for ms in times)))
            out.write("\taverage time {:.1f} ms\n".format(_average(times)))
    return run_noted(args, out)


def _average(times: List[float]) -> float:
    """The first run warms up, as there, unless it is the only one."""
    counted = times[1:] or times
    return sum(counted) / len(counted)


def _environments() -> Tuple[str, ...]:
    """As `nanoface doctor` knows them."""
    from edge.doctor.machine import OK
    from edge.doctor.packages import check_runtimes, this_software

    return tuple(finding.text for finding in check_runtimes(this_software(), False, "") if finding.state == OK)


AILIA = Command(make_parser, run, check=take, offers={"-m": tuple(MESHES), "--model_type": tuple(MESHES)}, takes_signals=True)
