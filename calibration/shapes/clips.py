"""What the networks see of filmed clips with a truth: `python -m calibration.shapes.clips OUT NUMBER CLIP.mp4 ...`.

All clips are one person's; CLIP.csv stands beside each, as rendered clips have it, and the first begins with a second at rest.
Writes `train_NUMBER.npz`, as calibration.shapes.observe does for heads that it renders.
"""
import argparse
import csv
import os
import sys
from typing import Any, Dict, List

import cv2
import numpy as np

from calibration.shapes.observe import STILL, WAYS, Watcher
from edge.core.errors import EdgeError

EVERY = 2  # neighbours in a film tell the same


def read_truth(path: str) -> List[Dict[str, str]]:
    with open(path, newline="") as f:
        rows = list(csv.DictReader(f))
    if not rows or "box_y1" not in rows[0]:
        raise ValueError("{}: not the truth of a rendered clip".format(path))
    return rows


def shape_names(rows: List[Dict[str, str]]) -> List[str]:
    """The columns after the box."""
    columns = list(rows[0])
    return columns[columns.index("box_y1") + 1:]


def watch(clips: List[str], watchers: Dict[str, Watcher]) -> Dict[str, Any]:
    """Truth and what each way saw, one row a frame that is used."""
    seen: Dict[str, List[np.ndarray]] = {}
    names: List[str] = []
    for clip in clips:
        rows, film = read_truth(os.path.splitext(clip)[0] + ".csv"), cv2.VideoCapture(clip)
        names = names or shape_names(rows)
        for number, row in enumerate(rows):
            there, picture = film.read()
            if not there:
                raise ValueError("{}: {} frames, its truth has {}".format(clip, number, len(rows)))
            if number >= STILL and number % EVERY:
                continue
            seen.setdefault("coefficients", []).append(np.array([float(row[name]) for name in names], np.float32))
            for way, watcher in watchers.items():
                for field, value in watcher(picture, number).items():
                    seen.setdefault(way + "_" + field, []).append(value)
    found: Dict[str, Any] = {name: np.stack(values) for name, values in seen.items()}
    found["names"] = np.array(names)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("number", type=int)
    parser.add_argument("clips", nargs="+", metavar="CLIP.mp4")
    args = parser.parse_args()
    watchers: Dict[str, Watcher] = {}
    try:
        for way, networks in WAYS.items():
            watchers[way] = Watcher(*networks)
        found = watch(args.clips, watchers)
        path = os.path.join(args.folder, "train_{:02d}.npz".format(args.number))
        np.savez_compressed(path, **found)
    except (EdgeError, OSError, ValueError) as e:
        print(e, file=sys.stderr)
        return 1
    finally:
        for watcher in watchers.values():
            watcher.close()
    scores = found["attention_score"]
    print("{}: {} frames, face in {:.0%}".format(path, len(scores), np.isfinite(scores).mean()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
