"""The aligners by the names of their networks. A new one is a file in this room and a line here."""
from edge.models.face_attention import FaceAttention
from edge.models.face_landmark import FaceLandmark
from edge.models.spec import Aligner

ALIGNERS = {
    "face_attention": FaceAttention,
    "face_landmark": FaceLandmark,
    "facemesh_pth": FaceLandmark,
}


def make_aligner(network: str) -> Aligner:
    """The crops and the decoder of one network, by its name in the manifest."""
    return ALIGNERS[network](network)
