import pytest
from test_still import seen

from edge.core.packet import Face, Roi
from edge.face.blendshapes import Blendshapes, read_table
from edge.face.measures import Measures, mate

NETWORKS = ("face_attention", "face_landmark", "facemesh_pth")


def face(points, **pose):
    landmarks = seen(points, **dict({"scale": 2.0}, **pose))
    return Face(1, Roi(0.0, 0.0, 200.0, 0.0), 1.0, (0.0, 0.0, 1.0, 1.0), landmarks=landmarks, expression={"mouth_open": 0.0})


@pytest.mark.parametrize("network", NETWORKS)
def test_the_table_is_complete(network):
    shapes = Blendshapes(network)
    assert len(shapes.names) >= 20
    assert not set(shapes.names) & set(shapes.unsupported)
    assert {mate(name) for name in shapes.names} == set(shapes.names)
    assert all(shapes.unsupported.values())


def test_a_network_without_a_table_is_a_key_error():
    with pytest.raises(KeyError):
        Blendshapes("no_such_network")


def test_every_measure_of_the_table_is_taken():
    names = set(Measures().names)
    for network in read_table()["networks"].values():
        for row in network["shapes"].values():
            assert set(row["measures"]) <= names
