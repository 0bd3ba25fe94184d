"""The options of a program that uses the tracker: keys of the configuration, as keywords or by their whole names.

Only what the program passes counts: no configuration file of the user or the machine, no variable of the environment.
"""
import os
from typing import Any, Dict, List, Mapping, Optional

import numpy as np

from edge.config.file import describe
from edge.config.load import Config, load_config
from edge.config.rules import RULES, SECTIONS, no_such_key
from edge.core.errors import ConfigError
from edge.core.roles import MEAN
from edge.core.rules import number
from edge.core.spelling import did_you_mean, nearest

Options = Mapping[str, Any]
SWITCH = "enabled"  # a section that has this key is also a keyword of its own: smoothing=False
OF_TRACKER = ("camera.fov_deg", "camera.intrinsics", "models.", "tracking.", "smoothing.", "output.landmarks", "output.shapes",
              "output.coarse_shapes", "output.events", "events.", "neutral.")
OF_STREAM = OF_TRACKER + ("camera.", "source.", "governor.idle_after_s")
TIMEOUT = number(0.0, 1e9, "seconds")


def tracker_config(config: Optional[Any], options: Optional[Options], keywords: Options) -> Config:
    """`config`: path of a YAML file, whose keys for other uses are ignored. Raises ConfigError."""
    found = _load(config, _settings(options, keywords, OF_TRACKER))
    smoothing = found.smoothing
    if smoothing.enabled and smoothing.kind == MEAN and smoothing.n_next:
        raise ConfigError("smoothing.kind mean waits for {} later picture{}, and a tracker answers at once: set n_next=0, "
                          "or use Tracker.stream()".format(smoothing.n_next, "s" if smoothing.n_next > 1 else ""))
    return found


def stream_config(source: Any, config: Optional[Any], options: Optional[Options], keywords: Options) -> Config:
    """The same with the keys of a source. `source` None: that of the file or the options, else the first camera. A `config`
    that was loaded is taken as it is."""
    if isinstance(config, Config):
        return config
    settings = _settings(options, keywords, OF_STREAM)
    if source is not None:
        if "source.spec" in settings:
            raise ConfigError("the source is named twice, as {!r} and as source.spec".format(source))
        settings["source.spec"] = _as_yaml(source)
    return _load(config, settings)


def timeout(value: Any) -> Optional[float]:
    """Seconds, or None. Raises ConfigError."""
    try:
        return None if value is None else TIMEOUT.read(_as_yaml(value))
    except ValueError:
        raise ConfigError("timeout_s is {}; allowed: {}, or None".format(describe(value), TIMEOUT.allowed))


def _load(config: Optional[Any], settings: Dict[str, Any]) -> Config:
    path = None if config is None else _as_yaml(config)
    if path is not None and not isinstance(path, str):
        raise ConfigError("config={!r}: it is the path of a YAML file; keys of the configuration are options=".format(config))
    return load_config(path, settings, None, {key: "the options" for key in settings})


def _settings(options: Optional[Options], keywords: Options, taken: Any) -> Dict[str, Any]:
    """Whole key -> value as YAML would have given it."""
    settings: Dict[str, Any] = {}
    if options is not None and not isinstance(options, Mapping):
        raise ConfigError("options={!r}: it is a dict of whole keys, such as {}".format(options, {"tracking.max_faces": 2}))
    for given, value in list((options or {}).items()) + list(keywords.items()):
        for key, one in _of_keyword(str(given), value, taken).items():
            if not key.startswith(taken):
                streams = any(one.startswith(key) or key.startswith(one) for one in OF_STREAM)
                whose = "Tracker.stream()" if streams else "`nanoface run`"
                raise ConfigError("{} is for {}, and of no use here: leave it out".format(key.rstrip("."), whose))
            if key in settings:
                raise ConfigError("{} is given twice, once as {}".format(key, given))
            settings[key] = _as_yaml(one)
    return settings


def _of_keyword(name: str, value: Any, taken: Any) -> Dict[str, Any]:
    if name in RULES:
        return {name: value}
    if name in SECTIONS:
        if not any(key.startswith(name + ".") for key in taken):
            return {name + ".": value}
        if isinstance(value, Mapping):
            return {"{}.{}".format(name, leaf): one for leaf, one in value.items()}
        if isinstance(value, (bool, np.bool_)) and "{}.{}".format(name, SWITCH) in RULES:
            return {"{}.{}".format(name, SWITCH): value}
        if name not in _leaves():
            raise ConfigError("{0}={1!r}: {0} is a section; give a dict of its keys, or name one of them".format(name, value))
    known = _leaves().get(name, [])
    if len(known) > 1:
        raise ConfigError("{} can be {}: give the whole key in options=".format(name, " or ".join(known)))
    if not known:
        of_use = [leaf for leaf, keys in _leaves().items() if keys[0].startswith(taken)]
        raise ConfigError(no_such_key(name) if "." in name else "there is no option {!r}{}".format(
            name, did_you_mean(nearest(name, of_use))))
    return {known[0]: value}


def _leaves() -> Dict[str, List[str]]:
    """Last part of a key -> the keys that end so."""
    leaves: Dict[str, List[str]] = {}
    for key in RULES:
        leaves.setdefault(key.rpartition(".")[2], []).append(key)
    return leaves


def _as_yaml(value: Any) -> Any:
    """Of numpy's numbers, paths and tuples, what YAML would have given."""
    if isinstance(value, (list, tuple)):
        return [_as_yaml(one) for one in value]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, np.generic) or isinstance(value, np.ndarray) and value.ndim == 0:
        return value.item()
    return value
