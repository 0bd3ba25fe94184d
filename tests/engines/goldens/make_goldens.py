"""Makes the golden files beside it: what each network gives in its ORIGINAL runtime, without engines.convert.

Six runs, each in an environment of its own, from the project's root with PYTHONPATH=.:tests/engines (versions as
used):

  make_goldens.py face PICTURE        numpy, opencv-python-headless 4.11; PICTURE is skimage/data/astronaut.png of
                                      the scikit-image 0.22.0 wheel: NASA's portrait of Eileen Collins, public domain
  make_goldens.py litert MODELS       Python 3.11, numpy 2.2.6, ai-edge-litert 2.3.0
  make_goldens.py torch MODELS        Python 3.11, numpy 2.2.6, torch 2.13.0+cpu
  make_goldens.py mxnet MODELS        Python 3.8, numpy 1.23.5, mxnet 1.9.1
  make_goldens.py mediapipe MODELS    Python 3.11, numpy 1.26.4, mediapipe 0.10.21
  make_goldens.py onnxruntime MODELS  Python 3.11, numpy 2.2.6, onnx 1.23.2, onnxruntime 1.32.0

MODELS is the mirror of the weights: github/<owner>/<repo>/<path> and pip/<package>==<version>/<path in the wheel>.

The networks of .pth files are written here as plain torch functions, apart from the converter's. Of facemesh.pth no
correct upstream code exists: its golden is torch with the padding that TFLite has, and the .tflite with the same
weights in LiteRT (face_landmark.npz) is the second reference.
"""
import os
import sys

import golden
import numpy as np

from edge.host.analytics import load_runtime

HERE = os.path.dirname(os.path.abspath(__file__))
MEDIAPIPE = "pip/mediapipe==0.10.21/mediapipe/modules/"
FMR = "github/1996scarlet/faster-mobile-retinaface/weights/"
YUNET = "github/ShiqiYu/libfacedetection.train/onnx/"
RFB = "github/Linzaer/Ultra-Light-Fast-Generic-Face-Detector-1MB/models/onnx/version-RFB-320_simplified.onnx"
MB05 = "github/cleardusk/3DDFA_V2/weights/mb05_120x120.pth"
FACEBOXES = "github/cleardusk/3DDFA_V2/FaceBoxes/weights/FaceBoxesProd.pth"
FACEMESH = "github/thepowerfuldeez/facemesh.pytorch/facemesh.pth"

CUT = (slice(0, 204), slice(84, 356))  # of the portrait: 272 x 204 pixels
WHOLE, SQUARE, FACE = (0, 0, 272, 204), (34, 0, 204, 204), (65, 35, 150, 150)
TITLES = ("random numbers", "a face", "its mirror image", "a part of it")
RIGHT_EYE, LEFT_EYE = (91, 71, 55, 55), (137, 75, 55, 55)


def random(seed, low, high, of_bytes=False):
    return dict({"seed": seed, "low": low, "high": high}, **({"of_bytes": True} if of_bytes else {}))


def region(where, colour="rgb", scale=1.0, offset=(0.0, 0.0, 0.0), mirror=False):
    return {"region": list(where), "colour": colour, "scale": scale, "offset": list(offset), "mirror": mirror}


def make(network, runtime, shape, pairs, run):
    """pairs: recipes of each case of TITLES, in each one for every sample of the batch; run: feed -> {output: (array,
    tolerance)}.
    """
    picture = golden.read_picture(HERE)
    cases = [{"title": title, "inputs": recipes} for title, recipes in zip(TITLES, pairs)]
    results = [run(golden.feed_of(case["inputs"], shape, picture)) for case in cases]
    tolerances = {output: tolerance for output, (_, tolerance) in results[0].items()}
    about = {"network": network, "runtime": runtime, "shape": list(shape), "tolerances": tolerances, "cases": cases}
    outputs = [{output: array for output, (array, _) in result.items()} for result in results]
    golden.write(os.path.join(HERE, network + ".npz"), about, outputs)


def make_face(picture):
    import cv2
    image = cv2.imread(picture)[CUT][:, :, ::-1]
    np.savez_compressed(os.path.join(HERE, golden.FACE), picture=np.ascontiguousarray(image))


def make_litert(models):
    import ai_edge_litert
    from ai_edge_litert.interpreter import Interpreter

    def network(file, outputs):
        """outputs: {ours: (upstream's, shape without the batch, tolerance)}"""
        interpreter = Interpreter(os.path.join(models, MEDIAPIPE, file), num_threads=1)
        interpreter.allocate_tensors()
        entrance = interpreter.get_input_details()[0]["index"]
        exits = {d["name"]: d["index"] for d in interpreter.get_output_details()}

        def run(feed):
            found = {name: [] for name in outputs}
            for sample in feed:
                interpreter.set_tensor(entrance, np.ascontiguousarray(sample.transpose(1, 2, 0)[None]))
                interpreter.invoke()
                for name, (upstream, shape, _) in outputs.items():
                    found[name].append(interpreter.get_tensor(exits[upstream]).reshape(shape))
            return {name: (np.stack(arrays), outputs[name][2]) for name, arrays in found.items()}
        return run

    runtime = "LiteRT " + ai_edge_litert.__version__
    unit = {"scale": 1 / 255.0}
    make("face_landmark", runtime, (1, 3, 192, 192), ([random(1, 0, 1)], [region(FACE, **unit)]), network(
        "face_landmark/face_landmark.tflite",
        {"landmarks": ("conv2d_21", (1404,), 2.8e-4), "presence": ("conv2d_31", (1,), 2.8e-4)}))
    eyes = [region(RIGHT_EYE, **unit), region(LEFT_EYE, mirror=True, **unit)]
    make("iris_landmark", runtime, (2, 3, 64, 64), ([random(2, 0, 1), random(3, 0, 1)], eyes), network(
        "iris_landmark/iris_landmark.tflite",
        {"contour": ("output_eyes_contours_and_brows", (213,), 8e-5), "iris": ("output_iris", (15,), 8e-5)}))
    centred = {"scale": 1 / 127.5, "offset": (-1, -1, -1)}
    make("blazeface_short", runtime, (1, 3, 128, 128), ([random(4, -1, 1)], [region(SQUARE, **centred)]), network(
        "face_detection/face_detection_short_range.tflite",
        {"regressors": ("regressors", (896, 16), 3.6e-4), "scores": ("classificators", (896, 1), 6e-4)}))
    make("blazeface_full", runtime, (1, 3, 192, 192), ([random(5, -1, 1)], [region(SQUARE, **centred)]), network(
        "face_detection/face_detection_full_range_sparse.tflite",
        {"regressors": ("Identity", (2304, 16), 2.2e-4), "scores": ("Identity_1", (2304, 1), 4.6e-4)}))


# MediaPipe's own operators, which no other runtime has; the outputs come in the file's order
MEDIAPIPE_GRAPH = """
input_stream: "image"
{streams}
node {{ calculator: "TfLiteCustomOpResolverCalculator" output_side_packet: "OP_RESOLVER:resolver" }}
node {{ calculator: "ImageToTensorCalculator" input_stream: "IMAGE:image" output_stream: "TENSORS:tensors" options {{
  [mediapipe.ImageToTensorCalculatorOptions.ext] {{ output_tensor_width: 192 output_tensor_height: 192
    output_tensor_float_range {{ min: 0.0 max: 1.0 }} border_mode: BORDER_ZERO }} }} }}
node {{ calculator: "InferenceCalculator" input_stream: "TENSORS:tensors" output_stream: "TENSORS:answer"
  input_side_packet: "OP_RESOLVER:resolver" options {{
  [mediapipe.InferenceCalculatorOptions.ext] {{ model_path: "{file}" delegate {{ tflite {{}} }} }} }} }}
node {{ calculator: "SplitTensorVectorCalculator" input_stream: "answer" {tensors}
  options {{ [mediapipe.SplitVectorCalculatorOptions.ext] {{ {ranges} }} }} }}
{nodes}
"""
PARTS = ("mesh", "lips", "left_eye", "right_eye", "left_iris", "right_iris", "flag")


def make_mediapipe(models):
    import mediapipe
    from mediapipe.python import packet_creator, packet_getter
    from mediapipe.python._framework_bindings.calculator_graph import CalculatorGraph

    file = os.path.join(models, MEDIAPIPE, "face_landmark/face_landmark_with_attention.tflite")
    nodes = ['node {{ calculator: "TensorsToFloatsCalculator" input_stream: "TENSORS:t_{0}" output_stream: "FLOATS:{0}" }}'
             .format(part) for part in PARTS]
    config = MEDIAPIPE_GRAPH.format(
        streams=" ".join('output_stream: "{}"'.format(part) for part in PARTS),
        file=file, nodes="\n".join(nodes), tensors=" ".join('output_stream: "t_{}"'.format(part) for part in PARTS),
        ranges=" ".join("ranges: {{ begin: {} end: {} }}".format(i, i + 1) for i in range(len(PARTS))))

    def plane(values):
        points = np.array(values, np.float32).reshape(-1, 2)
        return np.concatenate([points, np.repeat(points[:1], 80 - len(points), axis=0)]).T

    def run(feed):
        pixels = np.rint(feed[0] * 255).astype(np.uint8).transpose(1, 2, 0)
        picture = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=np.ascontiguousarray(pixels))
        graph, found = CalculatorGraph(graph_config=config), {}
        for part in PARTS:
            graph.observe_output_stream(part, lambda name, packet: found.update({name: packet_getter.get_float_list(packet)}))
        graph.start_run()
        graph.add_packet_to_input_stream("image", packet_creator.create_image(picture).at(0))
        graph.close_all_packet_sources()
        graph.wait_until_done()
        refined = np.stack([plane(found[part]) for part in PARTS[1:6]])
        return {"mesh": (np.array(found["mesh"]).reshape(1, 468, 3), 2e-4), "refined": (refined, 2e-4),
                "flag": (np.array(found["flag"]).reshape(1, 1), 5e-5)}

    unit = {"scale": 1 / 255.0}
    cases = ([random(11, 0, 1, of_bytes=True)], [region(FACE, **unit)], [region(FACE, mirror=True, **unit)],
             [region((60, 60, 170, 140), **unit)])
    make("face_attention", "MediaPipe " + mediapipe.__version__, (1, 3, 192, 192), cases, run)


class Torch(object):
    """A state dict and the layers that read it by name."""

    def __init__(self, path):
        import torch
        import torch.nn.functional
        state = torch.load(path, map_location="cpu", weights_only=True)
        self.state = {key.replace("module.", "", 1): value for key, value in state.get("state_dict", state).items()}
        self.F, self.torch = torch.nn.functional, torch

    def conv(self, x, name, **arguments):
        return self.F.conv2d(x, self.state[name + ".weight"], self.state.get(name + ".bias"), **arguments)

    def norm(self, x, name):
        s = self.state
        return self.F.batch_norm(
            x, s[name + ".running_mean"], s[name + ".running_var"], s[name + ".weight"], s[name + ".bias"], eps=1e-5)

    def prelu(self, x, name):
        return self.F.prelu(x, self.state[name + ".weight"])


def mb05(t, x):
    x = t.norm(t.conv(x, "conv1", stride=2, padding=1), "bn1").relu()
    for name in sorted({key.split(".")[0] for key in t.state if key.startswith("dw")}):
        groups = t.state[name + ".conv_dw.weight"].shape[0]
        stride = 2 if name in ("dw2_2", "dw3_2", "dw4_2", "dw5_6") else 1
        x = t.norm(t.conv(x, name + ".conv_dw", stride=stride, padding=1, groups=groups), name + ".bn_dw").relu()
        x = t.norm(t.conv(x, name + ".conv_sep"), name + ".bn_sep").relu()
    features = x.mean(dim=(2, 3))
    # torch's own float32 is 8.6e-6 away from the same in double precision, on the random numbers
    heads = {"params": ("fc_param", 2e-5), "landmarks": ("fc_lm", 2e-6)}
    return {
        output: (t.F.linear(features, t.state[name + ".weight"], t.state[name + ".bias"]), tolerance)
        for output, (name, tolerance) in heads.items()}


def faceboxes(t, x):
    def block(x, name, **arguments):
        return t.norm(t.conv(x, name + ".conv", **arguments), name + ".bn")

    def crelu(x):
        return t.torch.cat([x.relu(), (-x).relu()], 1)

    def inception(x, name):
        wide = block(x, name + ".branch3x3_reduce_2").relu()
        wide = block(wide, name + ".branch3x3_2", padding=1).relu()
        return t.torch.cat([
            block(x, name + ".branch1x1").relu(),
            block(t.F.avg_pool2d(x, 3, 1, 1), name + ".branch1x1_2").relu(),
            block(block(x, name + ".branch3x3_reduce").relu(), name + ".branch3x3", padding=1).relu(),
            block(wide, name + ".branch3x3_3", padding=1).relu()], 1)

    x = t.F.max_pool2d(crelu(block(x, "conv1", stride=4, padding=3)), 3, 2, 1)
    x = t.F.max_pool2d(crelu(block(x, "conv2", stride=2, padding=2)), 3, 2, 1)
    first = inception(inception(inception(x, "inception1"), "inception2"), "inception3")
    second = block(block(first, "conv3_1").relu(), "conv3_2", stride=2, padding=1).relu()
    third = block(block(second, "conv4_1").relu(), "conv4_2", stride=2, padding=1).relu()

    def head(kind, columns):
        return t.torch.cat([
            t.conv(x, "{}.{}".format(kind, i), padding=1).permute(0, 2, 3, 1).reshape(1, -1, columns)
            for i, x in enumerate((first, second, third))], 1)
    return {"boxes": (head("loc", 4), 2e-5), "scores": (head("conf", 2).softmax(-1), 2e-6)}


def facemesh(t, x):
    def halved(x, name, groups):
        return t.conv(t.F.pad(x, (0, 1, 0, 1)), name, stride=2, groups=groups)

    def residual(x, name):
        depthwise, pointwise = name + ".convs.0", name + ".convs.1"
        narrow, wide = (t.state[key + ".weight"].shape[0] for key in (depthwise, pointwise))
        if name in ("backbone.4", "backbone.7", "backbone.10", "backbone.13", "coord_head.0", "conf_head.0"):
            y, x = halved(x, depthwise, narrow), t.F.max_pool2d(x, 2)
        else:
            y = t.conv(x, depthwise, padding=1, groups=narrow)
        x = t.F.pad(x, (0, 0, 0, 0, 0, wide - narrow))
        return t.prelu(x + t.conv(y, pointwise), name + ".act")

    def head(x, name, blocks):
        for i in range(blocks):
            x = residual(x, "{}.{}".format(name, i))
        x = t.prelu(t.conv(x, "{}.{}".format(name, blocks)), "{}.{}".format(name, blocks + 1))
        return t.conv(residual(x, "{}.{}".format(name, blocks + 2)), "{}.{}".format(name, blocks + 3)).flatten(1)

    x = t.prelu(halved(x, "backbone.0", 1), "backbone.1")
    for i in range(2, 16):
        x = residual(x, "backbone.{}".format(i))
    return {"landmarks": (head(x, "coord_head", 3), 2.8e-4), "presence": (head(x, "conf_head", 1), 2.8e-4)}


def make_torch(models):
    import torch

    def network(file, forward):
        layers = Torch(os.path.join(models, file))

        def run(feed):
            with torch.no_grad():
                results = forward(layers, torch.from_numpy(feed))
            return {name: (tensor.numpy(), tolerance) for name, (tensor, tolerance) in results.items()}
        return run

    runtime = "torch " + torch.__version__
    make("mb05", runtime, (1, 3, 120, 120), (
        [random(6, -1, 1)], [region(FACE, "bgr", 1 / 128.0, (-127.5 / 128,) * 3)]), network(MB05, mb05))
    make("faceboxes", runtime, (1, 3, 240, 320), (
        [random(7, -120, 135)], [region(WHOLE, "bgr", 1.0, (-104, -117, -123))]), network(FACEBOXES, faceboxes))
    make("facemesh_pth", runtime, (1, 3, 192, 192), (
        [random(1, 0, 1)], [region(FACE, scale=1 / 255.0)]), network(FACEMESH, facemesh))


def make_mxnet(models):
    import mxnet

    def network(prefix, shape):
        symbol, arguments, auxiliary = mxnet.model.load_checkpoint(os.path.join(models, FMR, prefix), 0)
        executor = symbol.simple_bind(mxnet.cpu(), data=shape, grad_req="null")
        executor.copy_params_from(arguments, auxiliary)

        def run(feed):
            found = {}
            for name, array in zip(symbol.list_outputs(), executor.forward(is_train=False, data=mxnet.nd.array(feed))):
                kind = "cls" if "cls" in name else "bbox"
                found["{}_{}".format(kind, name.split("stride")[1].split("_")[0])] = (array.asnumpy(), 7.6e-6)
            return found
        return run

    for variant in ("8and16", "16and32"):
        make("fmr_" + variant, "MXNet " + mxnet.__version__, (1, 3, 240, 320), (
            [random(8, 0, 255)], [region(WHOLE)]), network(variant, (1, 3, 240, 320)))


def make_onnxruntime(models):
    import onnx

    onnxruntime = load_runtime("onnxruntime")

    def network(file, shape, tolerance):
        model = onnx.load(os.path.join(models, file))
        entrance = model.graph.input[0].type.tensor_type.shape.dim
        if [d.dim_value for d in entrance] != list(shape):
            for dim, size in zip(entrance, shape):
                dim.dim_value = size
            for value in list(model.graph.output) + list(model.graph.value_info):
                value.type.tensor_type.ClearField("shape")
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        names = [output.name for output in session.get_outputs()]

        def run(feed):
            return {name: (array, tolerance) for name, array in zip(names, session.run(names, {"input": feed}))}
        return run

    runtime = "the upstream .onnx in ONNX Runtime " + onnxruntime.__version__
    for size in ("s", "n"):
        for height, suffix in ((320, "_320"), (256, "")):
            shape = (1, 3, height, 320)
            make("yunet_" + size + suffix, runtime, shape, ([random(9, 0, 255)], [region(WHOLE, "bgr")]), network(
                "{}yunet_{}_320_320.onnx".format(YUNET, size), shape, 4e-5))
    make("rfb320", runtime, (1, 3, 240, 320), (
        [random(10, -1, 1)], [region(WHOLE, scale=1 / 128.0, offset=(-127 / 128.0,) * 3)]),
        network(RFB, (1, 3, 240, 320), 2e-5))


RUNS = {
    "face": make_face, "litert": make_litert, "torch": make_torch, "mxnet": make_mxnet, "mediapipe": make_mediapipe,
    "onnxruntime": make_onnxruntime,
}

if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in RUNS:
        sys.exit(__doc__)
    RUNS[sys.argv[1]](sys.argv[2])
