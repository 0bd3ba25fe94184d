"""The names that the whole house uses, each written once: stages, the roles of networks, states of a run, runtimes."""
from typing import Dict, Tuple

STAGES = ("detect", "align", "pose", "iris", "express")  # in the order of the pipeline
OFF = "none"
# role -> the networks that its stage can run: those of engines/manifest/manifest.yaml
NETWORKS: Dict[str, Tuple[str, ...]] = {
    "detect": (
        "yunet_s", "yunet_n", "fmr_8and16", "fmr_16and32", "rfb320", "faceboxes", "blazeface_short", "blazeface_full",
    ),
    "align": ("face_landmark", "facemesh_pth"),
    "pose": ("mb05",),
    "iris": ("iris_landmark",),
}
ROLES = tuple(NETWORKS)  # in the order of the pipeline
CAN_BE_OFF = ("pose", "iris")
RUNTIMES = ("tensorrt", "openvino", "onnxruntime")
STARTING, RUNNING, DEGRADED = "STARTING", "RUNNING", "DEGRADED"
STOPPING, STOPPED, FAILED = "STOPPING", "STOPPED", "FAILED"
STATES = (STARTING, RUNNING, DEGRADED, STOPPING, STOPPED, FAILED)
