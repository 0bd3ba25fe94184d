"""The networks of the conversion tests: their files upstream, how they are converted, what must come out."""
import os

import pytest

pytest.importorskip("onnx", reason="the converters need the package onnx")
pytest.importorskip("tflite", reason="the converters need the package tflite")

from edge.store.models import home_dir  # noqa: E402
from engines.convert import convert  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
GOLDENS = os.path.join(HERE, "goldens")
MIRROR = os.environ.get("NANOFACE_MIRROR") or os.path.join(HERE, "..", "..", "..", "shared", "models")

MEDIAPIPE = "pip/mediapipe==0.10.21/mediapipe/modules/"
YUNET = "github/ShiqiYu/libfacedetection.train/onnx/"
FMR = "github/1996scarlet/faster-mobile-retinaface/weights/"
TDDFA = "github/cleardusk/3DDFA_V2/"
RFB = "github/Linzaer/Ultra-Light-Fast-Generic-Face-Detector-1MB/models/onnx/"
GEOMETRY = "github/google/mediapipe/mediapipe/modules/face_geometry/data/"
CANONICAL = [GEOMETRY + "canonical_face_model.obj", GEOMETRY + "geometry_pipeline_metadata_landmarks.pbtxt"]


def _yunet(height):
    rows = {8: height * 5, 16: height * 5 // 4, 32: height * 5 // 16}  # of a picture 320 wide
    columns = (("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10))
    return {"{}_{}".format(kind, s): (1, rows[s], n) for kind, n in columns for s in rows}


def _fmr(*strides):
    sizes = {8: (30, 40), 16: (15, 20), 32: (8, 10)}
    channels = (("cls", 4), ("bbox", 8))
    return {"{}_{}".format(kind, s): (1, n) + sizes[s] for kind, n in channels for s in strides}


def _fmr_files(variant):
    return [FMR + variant + "-symbol.json", FMR + variant + "-0000.params"]


MESH = {"landmarks": (1, 1404), "presence": (1, 1)}

# name (of its golden too): kind, files, options, outputs
NETWORKS = {
    "yunet_s": ("onnx", [YUNET + "yunet_s_640_640.onnx"], {"input": [1, 3, 256, 320]}, _yunet(256)),
    "yunet_s_320": ("onnx", [YUNET + "yunet_s_320_320.onnx"], {"input": [1, 3, 320, 320]}, _yunet(320)),
    "yunet_n": ("onnx", [YUNET + "yunet_n_320_320.onnx"], {"input": [1, 3, 256, 320]}, _yunet(256)),
    "yunet_n_320": ("onnx", [YUNET + "yunet_n_640_640.onnx"], {"input": [1, 3, 320, 320]}, _yunet(320)),
    "rfb320": ("onnx", [RFB + "version-RFB-320_simplified.onnx"], {"input": [1, 3, 240, 320]},
               {"scores": (1, 4420, 2), "boxes": (1, 4420, 4)}),
    "face_landmark": ("tflite", [MEDIAPIPE + "face_landmark/face_landmark.tflite"],
                      {"outputs": {"landmarks": "conv2d_21", "presence": "conv2d_31"}}, MESH),
    "face_attention": ("attention", [MEDIAPIPE + "face_landmark/face_landmark_with_attention.tflite"],
                       {"name": "face_attention"}, {"mesh": (1, 468, 3), "refined": (5, 2, 80), "flag": (1, 1)}),
    "iris_landmark": ("tflite", [MEDIAPIPE + "iris_landmark/iris_landmark.tflite"],
                      {"batch": 2, "outputs": {"contour": "output_eyes_contours_and_brows", "iris": "output_iris"}},
                      {"contour": (2, 213), "iris": (2, 15)}),
    "blazeface_short": ("tflite", [MEDIAPIPE + "face_detection/face_detection_short_range.tflite"],
                        {"outputs": {"regressors": "regressors", "scores": "classificators"}},
                        {"regressors": (1, 896, 16), "scores": (1, 896, 1)}),
    "blazeface_full": ("tflite", [MEDIAPIPE + "face_detection/face_detection_full_range_sparse.tflite"],
                       {"outputs": {"regressors": "Identity", "scores": "Identity_1"}},
                       {"regressors": (1, 2304, 16), "scores": (1, 2304, 1)}),
    "fmr_8and16": ("mxnet", _fmr_files("8and16"), {"input": [1, 3, 240, 320]}, _fmr(8, 16)),
    "fmr_16and32": ("mxnet", _fmr_files("16and32"), {"input": [1, 3, 240, 320]}, _fmr(16, 32)),
    "mb05": ("mb05", [TDDFA + "weights/mb05_120x120.pth", TDDFA + "configs/param_mean_std_62d_120x120.pkl"], {},
             {"params": (1, 62), "landmarks": (1, 136)}),
    "faceboxes": ("faceboxes", [TDDFA + "FaceBoxes/weights/FaceBoxesProd.pth"], {"input": [1, 3, 240, 320]},
                  {"boxes": (1, 1706, 4), "scores": (1, 1706, 2)}),
    "facemesh_pth": ("facemesh", ["github/thepowerfuldeez/facemesh.pytorch/facemesh.pth"], {}, MESH),
}
WITH_PRELU = ("face_landmark", "face_attention", "iris_landmark", "facemesh_pth")


def _path_of(file):
    for folder in (MIRROR, os.path.join(home_dir(), "cache")):
        path = os.path.join(folder, file)
        if os.path.exists(path):
            return path
    return pytest.skip("needs {}: in ../shared/models, $NANOFACE_MIRROR or fetched".format(file))


def paths_of(files):
    """Where the files lie; skips the test by their name where they do not."""
    return [_path_of(file) for file in files]


def golden_of(name):
    return os.path.join(GOLDENS, name + ".npz")


def converted(name):
    kind, files, options, _ = NETWORKS[name]
    return convert(kind, paths_of(files), options)
