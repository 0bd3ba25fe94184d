"""DISCOVER's own reader and writer of files: takes {"read": PATH} and {"write": PATH, "values": rows, "rate": Hz} as lines."""
import json
import logging
import sys
import warnings
from pathlib import Path

logging.disable(logging.CRITICAL)
warnings.simplefilter("ignore")

import numpy as np  # noqa: E402
from discover_utils.data.annotation import Annotation  # noqa: E402
from discover_utils.data.handler.file_handler import FileHandler, _SSIStreamFileHandler  # noqa: E402
from discover_utils.data.stream import SSIStream  # noqa: E402
from discover_utils.utils.type_definitions import SSIFileType  # noqa: E402


def say(answer):
    """A text is an error."""
    sys.stdout.write(json.dumps(["answer", answer]) + "\n")
    sys.stdout.flush()


def read(path):
    found = FileHandler().load(path)
    if isinstance(found, Annotation):
        classes = found.annotation_scheme.classes
        shares = [] if not len(found.data) else found.sample_from_interval(0, int(found.data["to"].max())).tolist()
        return {"rows": [[value.item() for value in row] for row in found.data], "shares": shares,
                "names": [classes[number]["name"] for number in sorted(classes, key=int)],
                "colours": [one["color"] for one in classes.values()], "description": found.meta_data.description}
    meta = found.meta_data
    return {"shape": found.data.shape, "values": np.asarray(found.data, float)[:400].tolist(), "rate": meta.sample_rate,
            "count": meta.num_samples, "duration_ms": meta.duration}


def write(path, values, rate, ascii=False, type="float32"):
    data = np.array(values, type)
    chunks = np.array([(0.0, len(data) / rate, 0, len(data))], SSIStream.CHUNK_DTYPE)
    stream = SSIStream(data=data, sample_rate=rate, dtype=data.dtype.type, sample_shape=(data.shape[1],), chunks=chunks,
                       media_type="feature;face;boundingbox;blazeface", custom_meta={"size": "640:480"})
    _SSIStreamFileHandler().save(stream, Path(path), SSIFileType.ASCII if ascii else SSIFileType.BINARY)


for line in sys.stdin:
    asked = json.loads(line)
    try:
        if "read" in asked:
            say(read(asked["read"]))
        else:
            write(asked.pop("write"), **asked)
            say(None)
    except (ValueError, AssertionError, OSError, KeyError) as e:
        say("{}: {}".format(type(e).__name__, e))
