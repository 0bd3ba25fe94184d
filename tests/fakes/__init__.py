"""What several tests put in the place of the real thing. tests/ is on the path of tests and programs: `from fakes import ...`.

board       trees of files that are a Nano, and programs on its PATH: what the doctor, the telemetry and the report look at
faulty      a source, stages, outputs and a clock that go wrong at random, for `make soak`
pipeline    sources, stages and outputs of a few lines, and a run of them
plans       plans and a cubin as `nanoface build` leaves them, built by the simulator
recorded    a runner that gives recorded answers instead of running a network
simulated   the simulator inside a test: small networks, a builder, an engine with its buffers
standin     a camera that a process of its own reads, with every trouble that a real one has
tiny_nets   files of networks that are small enough to convert in a moment, and a manifest of them
tracker     the real stages on recorded answers
usbcamera   a USB camera with a ring of buffers, in simulated time
verify_home a store of networks with references, whole or damaged
The simulator of TensorRT and pycuda has a folder and a README of its own: tests/simulator/.
"""
import os

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SIMULATOR = os.path.join(TESTS, "simulator")  # in front of a path: its `tensorrt` and `pycuda` are found
KERNELS = os.path.join(TESTS, "engines", "crop_reference.py")  # for the simulator: what the crop kernel computes, in numpy
