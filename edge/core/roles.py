"""Names that are used in many packages, each written once: stages, roles of networks, states, runtimes, kinds of files."""
from typing import Dict, Tuple

DETECT, ALIGN, POSE, IRIS, EXPRESS = "detect", "align", "pose", "iris", "express"
SMOOTHINGS = ONE_EURO, MEAN = "one_euro", "mean"
SMOOTH = "smooth"  # behind them, where smoothing has to wait for frames
STAGES = (DETECT, ALIGN, POSE, IRIS, EXPRESS)  # in the order of the pipeline
REPLAY = "replay"  # in the place of them all, where the source is a recording
CAPTURE, OUTPUT = "capture", "output"  # the two ends
OFF = "none"
# role -> the networks that its stage can run: those of engines/manifest/manifest.yaml
NETWORKS: Dict[str, Tuple[str, ...]] = {
    DETECT: (
        "yunet_s", "yunet_n", "fmr_8and16", "fmr_16and32", "rfb320", "faceboxes", "blazeface_short", "blazeface_full",
    ),
    ALIGN: ("face_attention", "face_landmark", "facemesh_pth"),
    POSE: ("mb05",),
    IRIS: ("iris_landmark",),
}
SSD300X7 = "ssd300x7"
# role -> what a network of one's own may be like, beside those
LIKE_ONLY: Dict[str, Tuple[str, ...]] = {DETECT: (SSD300X7,)}
ROLES = tuple(NETWORKS)  # in the order of the pipeline
FILLS_TOO = {"face_attention": (IRIS,)}  # network -> later roles whose work it does as well, as the manifest has it
CAN_BE_OFF = (POSE, IRIS)

AUTO = "auto"  # of a runtime: the fastest that is there
OPENVINO, ONNXRUNTIME, TENSORRT = "openvino", "onnxruntime", "tensorrt"
RUNTIMES = (OPENVINO, ONNXRUNTIME, TENSORRT)  # the faster one of a CPU first
WITH_PLANS = (AUTO, TENSORRT)  # what takes the plans that were built for a board

STARTING, RUNNING, DEGRADED = "STARTING", "RUNNING", "DEGRADED"
STOPPING, STOPPED, FAILED = "STOPPING", "STOPPED", "FAILED"
STATES = (STARTING, RUNNING, DEGRADED, STOPPING, STOPPED, FAILED)
ENDED = (STOPPED, FAILED)

# the words that the state of an output begins with while it does not work; any other says how it works
OUTPUT_AT_REST = ("new", "opening", "down", "failed", "closed", "hanging", "its reader has left")

MOST_TRACKED = 16  # faces, each of which is looked at by itself
STYLES = MESH, DOTS = "mesh", "dots"  # of annotated pictures
FLIPS = (OFF, "horizontal", "vertical", "both")  # of a source's picture
ROTATIONS = (0, 90, 180, 270)  # degrees clockwise, after the flip
# extensions in lower case
PICTURE_SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".dib", ".webp", ".tif", ".tiff", ".jp2", ".j2k",
                    ".ppm", ".pgm", ".pbm", ".pnm", ".tga", ".heic", ".heif", ".avif", ".mpo")
RECORDING_SUFFIX = ".nfr"
FILM_SUFFIXES = (".mp4", ".mov", ".mkv", ".avi", ".webm", ".gif", ".m4v", ".mpg", ".ts")  # for hints only
