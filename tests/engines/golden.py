"""Stored inputs and outputs of the networks in their ORIGINAL runtimes: the form of a golden file. Needs numpy only.

A golden is an .npz: `about` (JSON text: network, runtime, input shape, tolerances, the recipe of each case's input)
and, for case i and output o, `i/o` (every k-th value of the output, flattened) and `i/o/moments` (mean and root mean
square of all its values, so that what lies between the samples is seen too). Inputs are recipes and not arrays:
random numbers from a seed, or regions of one picture, `face.npz` beside the goldens (part of NASA's portrait of
Eileen Collins, in the public domain).
"""
import json
import os
import zipfile
from math import gcd
from typing import Any, Dict, List, Mapping, NamedTuple, Sequence, Tuple

import numpy as np

from edge.core.errors import ModelError

FACE = "face.npz"
MAX_SAMPLES = 1500  # per output


class Expected(NamedTuple):
    """What one output should be; see the module's text."""

    step: int
    values: np.ndarray
    moments: np.ndarray


class Case(NamedTuple):
    title: str
    feed: np.ndarray  # (N, C, H, W) float32
    expected: Mapping[str, Expected]


class Golden(NamedTuple):
    network: str
    runtime: str  # what the outputs come from, with its version
    tolerances: Mapping[str, float]  # output -> largest absolute difference that rounding explains, twice what was seen
    cases: Sequence[Case]


def sampling_step(count: int) -> int:
    """Every how manieth value is kept. Without the factors 2, 3 and 5, so that every column of an output is met."""
    step = max(1, -(-count // MAX_SAMPLES))
    while gcd(step, 30) != 1:
        step += 1
    return step


def moments(values: np.ndarray) -> np.ndarray:
    """Mean and root mean square, in double precision."""
    exact = np.asarray(values, np.float64)
    return np.array([exact.mean(), np.sqrt((exact ** 2).mean())])


def _resampled(picture: np.ndarray, region: Sequence[int], size: Tuple[int, int]) -> np.ndarray:
    """`region` (x, y, width, height) of the picture, nearest pixels, as (height, width, 3). Integers, so always the
    same.
    """
    x, y, width, height = region
    columns = x + (np.arange(size[0]) * width) // size[0]
    rows = y + (np.arange(size[1]) * height) // size[1]
    return picture[rows[:, None], columns[None, :]]


def _sample(recipe: Mapping[str, Any], shape: Sequence[int], picture: np.ndarray) -> np.ndarray:
    """One (C, H, W) input."""
    if "seed" in recipe:
        values = np.random.RandomState(recipe["seed"]).uniform(recipe["low"], recipe["high"], list(shape))
        return np.rint(values * 255.0) / 255.0 if recipe.get("of_bytes") else values
    pixels = _resampled(picture, recipe["region"], (shape[2], shape[1])).astype(np.float64)
    if recipe["mirror"]:
        pixels = pixels[:, ::-1]
    if recipe["colour"] == "bgr":
        pixels = pixels[:, :, ::-1]
    return (pixels * recipe["scale"] + np.asarray(recipe["offset"])).transpose(2, 0, 1)


def feed_of(recipes: Sequence[Mapping[str, Any]], shape: Sequence[int], picture: np.ndarray) -> np.ndarray:
    """The (N, C, H, W) input that the recipes, one for each of the N, describe. `picture` is (H, W, 3) RGB."""
    return np.stack([_sample(recipe, shape[1:], picture) for recipe in recipes]).astype(np.float32)


def read_picture(folder: str) -> np.ndarray:
    with np.load(os.path.join(folder, FACE)) as archive:
        return archive["picture"]


def write(path: str, about: Mapping[str, Any], outputs: Sequence[Mapping[str, np.ndarray]]) -> None:
    """`about` holds network, runtime, shape, tolerances and cases [{title, inputs: recipes}]; `outputs` one dict a
    case.
    """
    shapes = {name: list(values.shape) for name, values in outputs[0].items()}
    arrays = {"about": np.array(json.dumps(dict(about, shapes=shapes), sort_keys=True))}
    for i, case in enumerate(outputs):
        for name, values in case.items():
            step = sampling_step(values.size)
            arrays["{}/{}".format(i, name)] = values.ravel()[::step].astype(np.float32)
            arrays["{}/{}/moments".format(i, name)] = moments(values)
    np.savez_compressed(path, **arrays)  # type: ignore


def _case(archive: Any, index: int, about: Mapping[str, Any], picture: np.ndarray) -> Case:
    case, prefix = about["cases"][index], "{}/".format(index)
    expected: Dict[str, Expected] = {}
    for name in about["tolerances"]:
        step = sampling_step(int(np.prod(about["shapes"][name])))
        expected[name] = Expected(step, archive[prefix + name], archive[prefix + name + "/moments"])
    return Case(case["title"], feed_of(case["inputs"], about["shape"], picture), expected)


def read(path: str) -> Golden:
    """Raises ModelError for a file that is missing or is not a golden."""
    try:
        with np.load(path) as archive:
            about = json.loads(str(archive["about"]))
            picture = read_picture(os.path.dirname(os.path.abspath(path)))
            cases: List[Case] = [_case(archive, i, about, picture) for i in range(len(about["cases"]))]
            return Golden(about["network"], about["runtime"], about["tolerances"], cases)
    except (OSError, EOFError, ValueError, LookupError, zipfile.BadZipFile) as e:
        raise ModelError("{} is not a golden file ({}): make it again with make_goldens.py".format(path, e)) from e
