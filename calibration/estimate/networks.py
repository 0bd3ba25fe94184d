"""The networks whose speed on a Nano was published, rebuilt as lists of kernels from their papers (batch 1).

Sources: AlexNet (Krizhevsky 2014, in torchvision's form), VGG (Simonyan, Zisserman 2014), GoogLeNet (Szegedy 2014),
ResNet (He 2015; stride in the 3x3), Inception-v4 (Szegedy 2016), SqueezeNet (Iandola 2016), DenseNet (Huang 2016),
MobileNet v1, v2 (Howard 2017, Sandler 2018), SSD on v2 (TensorFlow's ssd_mobilenet_v2_coco), tiny YOLO v3 (Redmon 2018),
super resolution (Shi 2016, in the form of PyTorch's example).
Left out, since what was measured is not known well enough: U-Net 1x512x512 (the paper's has 14 times the work that
55.6 ms hold at the peak), OpenPose 256, SSD-ResNet-18 (its head is not published; the backbone is a third of the time).
"""
from typing import Callable, Dict, List, Sequence

from calibration.estimate.net import Net, path
from engines.estimate.layers import Layer


def alexnet() -> List[Layer]:
    net = Net(224, 224).conv(64, 11, 4, 2).pool(3, 2).conv(192, 5).pool(3, 2).conv(384, 3).conv(256, 3).conv(256, 3)
    return net.pool(3, 2).full(4096).full(4096).full(1000).outputs()


def vgg(blocks: Sequence[int]) -> List[Layer]:
    """`blocks`: convolutions in each of the five."""
    net = Net(224, 224)
    for count, channels in zip(blocks, (64, 128, 256, 512, 512)):
        for _ in range(count):
            net.conv(channels, 3)
        net.pool(2, 2)
    return net.full(4096).full(4096).full(1000).outputs()


def squeezenet(first: int, window: int, pools: Sequence[int]) -> List[Layer]:
    """`pools`: before which of the eight fire modules a pool stands."""
    net = Net(224, 224).conv(first, window, 2, 0)
    for i, squeezed in enumerate((16, 16, 32, 32, 48, 48, 64, 64)):
        if i in pools:
            net.pool(3, 2, up=True)
        net.conv(squeezed, 1).branches(path((4 * squeezed, 1)), path((4 * squeezed, 3)))
    return net.conv(1000, 1).global_pool().outputs()


def resnet(blocks: Sequence[int], deep: bool, side: int = 224) -> List[Layer]:
    """`deep`: blocks of three convolutions instead of two."""
    net = Net(side, side).conv(64, 7, 2).pool(3, 2, 1)
    for stage, count in enumerate(blocks):
        for i in range(count):
            _residual(net, 64 << stage, 2 if stage and not i else 1, deep)
    return net.global_pool().full(1000).outputs()


def _residual(net: Net, channels: int, stride: int, deep: bool) -> None:
    before, outer = net.at, channels * (4 if deep else 1)
    if stride > 1 or before[0] != outer:
        net.conv(outer, 1, stride)
    net.at = before
    if deep:
        net.conv(channels, 1)
    net.conv(channels, 3, stride)
    net.conv(outer, 1 if deep else 3, plus=outer * net.at[1] * net.at[2])


def densenet(blocks: Sequence[int], growth: int, first: int) -> List[Layer]:
    """Normalisation comes before the convolution: over all that was joined so far it is a kernel of its own."""
    net = Net(224, 224).conv(first, 7, 2).pool(3, 2, 1)
    for stage, count in enumerate(blocks):
        for _ in range(count):
            before = net.at
            net.pointwise().conv(4 * growth, 1).conv(growth, 3)
            net.at = (before[0] + growth,) + before[1:]
        if stage + 1 < len(blocks):
            net.pointwise().conv(net.at[0] // 2, 1).pool(2, 2)
    return net.pointwise().global_pool().full(1000).outputs()


def googlenet() -> List[Layer]:
    net = Net(224, 224).conv(64, 7, 2).pool(3, 2, 1).conv(64, 1).conv(192, 3).pool(3, 2, 1)
    for stage in (((64, 96, 128, 16, 32, 32), (128, 128, 192, 32, 96, 64)),
                  ((192, 96, 208, 16, 48, 64), (160, 112, 224, 24, 64, 64), (128, 128, 256, 24, 64, 64),
                   (112, 144, 288, 32, 64, 64), (256, 160, 320, 32, 128, 128)),
                  ((256, 160, 320, 32, 128, 128), (384, 192, 384, 48, 128, 128))):
        for a, b, c, d, e, f in stage:
            net.branches(path((a, 1)), path((b, 1), (c, 3)), path((d, 1), (e, 5)), path((f, 1), pooled=True))
        if net.at[1] > 7:
            net.pool(3, 2, 1)
    return net.global_pool().full(1000).outputs()


def inception_v4() -> List[Layer]:
    net = Net(299, 299).conv(32, 3, 2, 0).conv(32, 3, 1, 0).conv(64, 3)
    net.branches(lambda n: n.pool(3, 2), lambda n: n.conv(96, 3, 2, 0))
    net.branches(lambda n: n.conv(64, 1).conv(96, 3, 1, 0),
                 lambda n: n.conv(64, 1).line(64, 7, 1).line(64, 1, 7).conv(96, 3, 1, 0))
    net.branches(lambda n: n.conv(192, 3, 2, 0), lambda n: n.pool(3, 2))
    for _ in range(4):
        net.branches(path((96, 1), pooled=True), path((96, 1)), path((64, 1), (96, 3)), path((64, 1), (96, 3), (96, 3)))
    net.branches(lambda n: n.pool(3, 2), lambda n: n.conv(384, 3, 2, 0),
                 lambda n: n.conv(192, 1).conv(224, 3).conv(256, 3, 2, 0))
    for _ in range(7):
        net.branches(path((128, 1), pooled=True), path((384, 1)),
                     lambda n: n.conv(192, 1).line(224, 1, 7).line(256, 7, 1),
                     lambda n: n.conv(192, 1).line(192, 1, 7).line(224, 7, 1).line(224, 1, 7).line(256, 7, 1))
    net.branches(lambda n: n.pool(3, 2), lambda n: n.conv(192, 1).conv(192, 3, 2, 0),
                 lambda n: n.conv(256, 1).line(256, 1, 7).line(320, 7, 1).conv(320, 3, 2, 0))
    for _ in range(3):
        net.branches(path((256, 1), pooled=True), path((256, 1)), lambda n: _split(n.conv(384, 1)),
                     lambda n: _split(n.conv(384, 1).line(448, 1, 3).line(512, 3, 1)))
    return net.global_pool().full(1000).outputs()


def _split(net: Net) -> Net:
    return net.branches(lambda n: n.line(256, 1, 3), lambda n: n.line(256, 3, 1))


def tiny_yolo_v3(side: int) -> List[Layer]:
    net = Net(side, side)
    for channels in (16, 32, 64, 128):
        net.conv(channels, 3).pool(2, 2)
    fine = net.conv(256, 3).at
    net.pool(2, 2).conv(512, 3).pool(3, 1, 1).conv(1024, 3).conv(256, 1)
    coarse = net.at
    boxes = 255 * coarse[1] * coarse[2]
    net.conv(512, 3).conv(255, 1)
    net.at = coarse
    net.conv(128, 1).resize(2)
    net.at = (128 + 256,) + fine[1:]
    return net.conv(256, 3).conv(255, 1).outputs(boxes, 4 * boxes)


def super_resolution(height: int, width: int) -> List[Layer]:
    return Net(height, width, 1).conv(64, 5).conv(64, 3).conv(32, 3).conv(9, 3).pointwise().outputs()


def mobilenet_v1(width: float, side: int) -> List[Layer]:
    net = Net(side, side).conv(int(32 * width), 3, 2)
    for channels, stride in ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)) + ((512, 1),) * 5 + (
            (1024, 2), (1024, 1)):
        net.depthwise(3, stride).conv(int(channels * width), 1)
    return net.global_pool().full(1001).outputs()


def mobilenet_v2(height: int, width: int) -> List[Layer]:
    return _mobilenet_v2_body(Net(height, width)).global_pool().full(1000).outputs()


def _mobilenet_v2_body(net: Net, heads: Sequence[int] = ()) -> Net:
    """`heads`: outputs for each position after the first layer of stride 16 that was widened (where SSD looks in)."""
    net.conv(32, 3, 2).depthwise(3).conv(16, 1)
    for channels, count, stride in ((24, 2, 2), (32, 3, 2), (64, 4, 2), (96, 3, 1), (160, 3, 2), (320, 1, 1)):
        for i in range(count):
            before = net.at
            net.conv(6 * before[0], 1)
            if channels == 160 and not i:
                _look_in(net, heads)
            net.depthwise(3, 1 if i else stride)
            net.conv(channels, 1, plus=channels * net.at[1] * net.at[2] if i else 0)
    return net.conv(1280, 1)


def _look_in(net: Net, heads: Sequence[int]) -> None:
    here = net.at
    for outputs in heads:
        net.conv(outputs, 3).pointwise()  # to rows of one box each
        net.at = here


def ssd_mobilenet_v2(height: int, width: int, classes: int = 37) -> List[Layer]:
    """Boxes and scores from six grids; what makes boxes of them (NMS) is left out, TensorRT has a plugin for it."""
    net = _mobilenet_v2_body(Net(height, width), (3 * 4, 3 * classes))
    _look_in(net, (6 * 4, 6 * classes))
    for channels in (512, 256, 256, 128):
        net.conv(channels // 2, 1).conv(channels, 3, 2)
        _look_in(net, (6 * 4, 6 * classes))
    boxes = 3 * (-(-height // 16)) * (-(-width // 16))
    return net.outputs(4 * boxes, classes * boxes)


NETWORKS: Dict[str, Callable[[], List[Layer]]] = {
    "alexnet": alexnet,
    "squeezenet1_0": lambda: squeezenet(96, 7, (0, 3, 7)),
    "squeezenet1_1": lambda: squeezenet(64, 3, (0, 2, 4)),
    "resnet18": lambda: resnet((2, 2, 2, 2), False),
    "resnet34": lambda: resnet((3, 4, 6, 3), False),
    "resnet50": lambda: resnet((3, 4, 6, 3), True),
    "resnet18_256": lambda: resnet((2, 2, 2, 2), False, 256),
    "resnet34_256": lambda: resnet((3, 4, 6, 3), False, 256),
    "resnet50_256": lambda: resnet((3, 4, 6, 3), True, 256),
    "resnet101": lambda: resnet((3, 4, 23, 3), True),
    "resnet152": lambda: resnet((3, 8, 36, 3), True),
    "densenet121": lambda: densenet((6, 12, 24, 16), 32, 64),
    "densenet169": lambda: densenet((6, 12, 32, 32), 32, 64),
    "densenet201": lambda: densenet((6, 12, 48, 32), 32, 64),
    "densenet161": lambda: densenet((6, 12, 36, 24), 48, 96),
    "vgg11": lambda: vgg((1, 1, 2, 2, 2)),
    "vgg13": lambda: vgg((2, 2, 2, 2, 2)),
    "vgg16": lambda: vgg((2, 2, 3, 3, 3)),
    "vgg19": lambda: vgg((2, 2, 4, 4, 4)),
    "googlenet": googlenet,
    "inception_v4": inception_v4,
    "tiny_yolo_v3_416": lambda: tiny_yolo_v3(416),
    "tiny_yolo_v3_288": lambda: tiny_yolo_v3(288),
    "super_resolution_481x321": lambda: super_resolution(321, 481),
    "mobilenet_v1_0.25_128": lambda: mobilenet_v1(0.25, 128),
    "mobilenet_v1_0.5_160": lambda: mobilenet_v1(0.5, 160),
    "mobilenet_v1_1.0_224": lambda: mobilenet_v1(1.0, 224),
    "mobilenet_v2_224": lambda: mobilenet_v2(224, 224),
    "mobilenet_v2_300": lambda: mobilenet_v2(300, 300),
    "ssd_mobilenet_v2_300": lambda: ssd_mobilenet_v2(300, 300),
    "ssd_mobilenet_v2_480x272": lambda: ssd_mobilenet_v2(272, 480),
    "ssd_mobilenet_v2_960x544": lambda: ssd_mobilenet_v2(544, 960),
}
