"""Answers against truth as small pictures: `python -m calibration.shapes.plots a.jsonl a.csv b.jsonl b.csv > x.svg`.

The records are those of `nanoface run --shapes --output jsonl:PATH`. A panel for each shape that is answered: grey what was
rendered, blue what was measured; on the left the first film around the shape's own second, then the others as a whole.
"""
import argparse
import csv
import json
import sys
from typing import Dict, List, NamedTuple, Sequence, Tuple
from xml.sax.saxutils import escape

import numpy as np

COLUMNS, WIDTH, HEIGHT, GAP = 3, 300, 58, 22
ALONE_SHARE, ALONE_MARGIN, MOST_POINTS = 0.25, 15, 125
TRUTH, ANSWER, PAPER, INK = "#b0b0b0", "#1f6fb4", "#ffffff", "#333333"


class Film(NamedTuple):
    """Of each frame, by shape: what was rendered, and what was answered; NaN where nothing was."""

    truth: Dict[str, np.ndarray]
    answers: Dict[str, np.ndarray]


def read_film(records: str, truth: str) -> Film:
    """Raises OSError, ValueError with one line."""
    with open(truth, newline="") as f:
        rows = list(csv.DictReader(f))
    if not rows or "box_y1" not in rows[0]:
        raise ValueError("{}: not the truth of a rendered film".format(truth))
    columns = list(rows[0])
    names = columns[columns.index("box_y1") + 1:]
    answers = {name: np.full(len(rows), np.nan) for name in names}
    with open(records) as f:
        for line in f:
            record = json.loads(line)
            if not record.get("faces") or not record["frame"] < len(rows):
                continue
            for name, value in record["faces"][0].get("expression", {}).items():
                if name in answers:
                    answers[name][record["frame"]] = value
    known = {name: values for name, values in answers.items() if np.isfinite(values).any()}
    return Film({name: np.array([float(row[name]) for row in rows]) for name in names}, known)


def correlation(films: Sequence[Film], name: str) -> float:
    """Pearson over all frames of all films that have an answer; NaN where either does not move."""
    truth, answers = (np.concatenate([film[i][name] for film in films if name in film.answers]) for i in (0, 1))
    both = np.isfinite(answers)
    if both.sum() < 2 or not truth[both].std() > 0.0 or not answers[both].std() > 0.0:
        return float("nan")
    return float(np.corrcoef(truth[both], answers[both])[0, 1])


def own_second(truth: np.ndarray) -> slice:
    """The frames around those in which a shape moves in a film that has each alone."""
    moving = np.flatnonzero(truth > 0.0)
    first, last = (moving[0], moving[-1]) if len(moving) else (0, len(truth) - 1)
    return slice(max(0, first - ALONE_MARGIN), last + ALONE_MARGIN + 1)


def lines(values: np.ndarray, left: float, width: float, colour: str) -> str:
    """A line for each run of known values."""
    step = max(1, -(-len(values) // MOST_POINTS))
    values = values[::step]
    x = left + width * np.arange(len(values)) / max(1, len(values) - 1)
    y = HEIGHT * (1.0 - np.clip(values, 0.0, 1.05))
    known = np.flatnonzero(np.isfinite(values))
    runs = np.split(known, np.flatnonzero(np.diff(known) > 1) + 1)
    points = (" ".join("{:.0f},{:.1f}".format(x[i], y[i]) for i in run) for run in runs if len(run) > 1)
    return "".join('<polyline stroke="{}" points="{}"/>'.format(colour, at) for at in points)


def panel(films: Sequence[Film], name: str, at: Tuple[float, float]) -> str:
    parts = ['<g transform="translate({:.0f},{:.0f})"><text y="-4">{}  r = {:.2f}</text>'.format(
        at[0], at[1], escape(name), correlation(films, name)),
        '<path stroke="#e0e0e0" d="M0,0H{w}M0,{h}H{w}"/>'.format(w=WIDTH, h=HEIGHT)]
    left, alone = 0.0, len(films) > 1
    for number, film in enumerate(films):
        share = 1.0 / len(films) if not alone else ALONE_SHARE if number == 0 else (1.0 - ALONE_SHARE) / (len(films) - 1)
        part = own_second(film.truth[name]) if alone and number == 0 else slice(None)
        unknown = np.full(len(film.truth[name]), np.nan)
        for values, colour in ((film.truth[name], TRUTH), (film.answers.get(name, unknown), ANSWER)):
            parts.append(lines(values[part], left, share * WIDTH - 8.0, colour))
        left += share * WIDTH
    return "".join(parts) + "</g>"


def draw(films: Sequence[Film]) -> str:
    """An SVG."""
    names = [name for name in films[0].truth if any(name in film.answers for film in films)]
    rows = -(-len(names) // COLUMNS)
    width, height = COLUMNS * (WIDTH + GAP) + GAP, rows * (HEIGHT + GAP) + 12
    panels: List[str] = []
    for number, name in enumerate(names):
        row, column = divmod(number, COLUMNS)
        panels.append(panel(films, name, (GAP + column * (WIDTH + GAP), GAP + row * (HEIGHT + GAP))))
    return """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {w} {h}" fill="none"
 font-family="sans-serif" font-size="11">
<style>text{{fill:{ink}}}</style><rect width="{w}" height="{h}" fill="{paper}"/>
{body}
</svg>
""".format(w=width, h=height, paper=PAPER, ink=INK, body="\n".join(panels))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pairs", nargs="+", metavar="RECORDS TRUTH", help="a .jsonl and its film's .csv, one or more times")
    pairs = parser.parse_args().pairs
    if len(pairs) % 2:
        parser.error("each RECORDS.jsonl needs its TRUTH.csv")
    try:
        films = [read_film(*pair) for pair in zip(pairs[::2], pairs[1::2])]
    except (OSError, ValueError, KeyError) as e:
        print("{}; give RECORDS.jsonl TRUTH.csv".format(e), file=sys.stderr)
        return 1
    if not any(film.answers for film in films):
        print("no shape is answered in the records: run nanoface with --shapes", file=sys.stderr)
        return 1
    sys.stdout.write(draw(films))
    return 0


if __name__ == "__main__":
    sys.exit(main())
