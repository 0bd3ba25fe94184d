"""Films of rendered heads with their truth: `python -m calibration.shapes.film ict_head.npz FOLDER --identity 100`.

NAME.mp4, NAME.csv (a row a frame: pose, eyes, points, box, coefficients) and NAME_camera.json. `sweep` has each shape alone,
`mixture` what a face does, `rest` a face at rest that is not the model's.
"""
import argparse
import csv
import json
import os
import subprocess
import sys
from typing import List, Optional

import numpy as np

from calibration.shapes.head import CENTRE_PX, FOCAL_PX, HEIGHT, WIDTH, IctHead, Person, truth_row
from calibration.shapes.motion import FPS, Motion, head_motion, mixture, rest_face, sweep
from calibration.shapes.paint import Look
from calibration.shapes.persons import person_of
from calibration.shapes.render import Renderer, noise_background
from edge.core.errors import EdgeError, OutputError
from edge.host import ffmpeg

KINDS = ("sweep", "mixture", "rest")
MIXTURE_FRAMES, REST_FRAMES, REST_STILL = 600, 360, 120


def motion_of(kind: str, names: List[str], random: np.random.RandomState, rest: int = 0, each: int = 30) -> Motion:
    """`rest`: which resting face; `each`: frames of a shape."""
    if kind == "sweep":
        return sweep(names, random, each=each)
    if kind == "mixture":
        return mixture(names, MIXTURE_FRAMES, random)
    poses = head_motion(REST_FRAMES, random, still=REST_STILL)
    return Motion(np.tile(rest_face(names, rest)[1], (REST_FRAMES, 1)), poses)


def write_film(path: str, person: Person, motion: Motion, look: Look, background: np.ndarray, renderer: Renderer) -> None:
    """`path`: without an ending. Raises OutputError."""
    program = ffmpeg.find()
    if program is None:
        raise OutputError("a film needs the program ffmpeg: {}".format(ffmpeg.cure()))
    command = [program.path, "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "bgr24", "-s", "{}x{}".format(WIDTH, HEIGHT),
               "-r", str(FPS), "-i", "-", "-c:v", "libx264", "-crf", "20", "-pix_fmt", "yuv420p", path + ".mp4"]
    encoder = subprocess.Popen(command, stdin=subprocess.PIPE, env=ffmpeg.environment())
    assert encoder.stdin is not None
    with encoder, open(path + ".csv", "w", newline="") as f:
        table: Optional[csv.DictWriter] = None
        for number, (coefficients, pose) in enumerate(zip(motion.coefficients, motion.poses)):
            row = dict({"frame": number, "time_s": round(number / FPS, 4)}, **truth_row(person, coefficients, pose))
            if table is None:
                table = csv.DictWriter(f, list(row), lineterminator="\n")
                table.writeheader()
            table.writerow(row)
            encoder.stdin.write(renderer.picture(person.with_expression(coefficients), pose, look, background).tobytes())
        encoder.stdin.close()
    if encoder.returncode != 0:
        raise OutputError("{}.mp4: ffmpeg ended with {}".format(path, encoder.returncode))


def write_camera(path: str, identity: int, person: Person) -> None:
    camera = {"fx": FOCAL_PX, "fy": FOCAL_PX, "cx": CENTRE_PX[0], "cy": CENTRE_PX[1], "width": WIDTH, "height": HEIGHT,
              "fps": FPS, "distortion": 0, "identity": identity, "canonical_fit_rms_mm": round(person.fit_rms_mm, 3)}
    with open(path + "_camera.json", "w") as f:
        json.dump(camera, f, indent=1)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("head", help="ict_head.npz")
    parser.add_argument("folder")
    parser.add_argument("--identity", type=int, default=100, metavar="N", help="which person (100); others look differently")
    parser.add_argument("--kind", choices=KINDS, action="append", help="which films (all)")
    parser.add_argument("--rest", type=int, default=0, metavar="N", help="resting face: 0 smile, 1 frown, 2 brow, 3 lids")
    parser.add_argument("--each", type=int, default=30, metavar="N", help="frames of a shape in a sweep (30)")
    args = parser.parse_args()
    try:
        head = IctHead(args.head)
        renderer = Renderer(head)
        for kind in args.kind or KINDS:
            person, look, random = person_of(head, args.identity, spread=1.1 if kind == "rest" else 0.8)
            path = os.path.join(args.folder, "{}_{}".format(kind, args.identity))
            motion = motion_of(kind, head.names, random, args.rest, args.each)
            write_film(path, person, motion, look, noise_background(random), renderer)
            write_camera(path, args.identity, person)
            print(path + ".mp4")
    except (EdgeError, OSError) as e:
        print(e, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
