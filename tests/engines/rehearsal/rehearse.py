"""`make rehearse`: what the pipeline would do on a Jetson Nano, on a SIMULATOR of TensorRT and with ESTIMATED engine times.

Nothing of this is measured on a Nano. The engines' times are the range of `nanoface estimate`; what our own program costs is
real and measured here, in a process that is held to two cores, with everything else made SCALE times as quick: see drive.py.
A benchmark, not a test: it prints what it saw. Exit code 1 where the promises of the last lines are not kept.
"""
import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import tracemalloc

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))
SIMULATOR = os.path.join(ROOT, "tests", "simulator")
SCALE = 7.0  # how much slower a Cortex-A57 at 1.43 GHz runs a thread than the machine of the measurements
FPS = 30.0
MOST_P95_MS, FLOOR_FPS, AIM_FPS = 60.0, 10.0, 26.0
CASES = ("optimistic", "middle", "pessimistic")
ENQUEUE_MS = (0.3, 0.6, 1.0)  # of the board's processor, without the lock, for TensorRT to launch an engine's kernels: a guess
WAYS = {"mesh": ("face_landmark", "iris_landmark"), "attention": ("face_attention",)}  # to points and irises
OTHERS = ("yunet_s", "mb05")


def prepare(folder):
    """Home with the default networks, the simulator's plans, the stored answers and the camera's picture."""
    from edge.config.load import load_config
    from edge.sources import portrait
    from edge.store.models import home_dir

    sys.path.insert(0, HERE)
    import answers

    config = load_config(None, {}, {"NANOFACE_CONFIG": "/dev/null"})
    home = os.path.join(folder, "home")
    os.makedirs(home)
    os.symlink(os.path.join(home_dir(), "onnx"), os.path.join(home, "onnx"))
    image = portrait.render(portrait.load(), 0)
    np.save(os.path.join(folder, "image.npy"), image)
    os.makedirs(os.path.join(folder, "answers"))
    answers.make(config, image, os.path.join(folder, "answers"))
    for networks in WAYS.values():
        call(["-m", "edge", "build", "--networks"] + list(networks + OTHERS), environment(home))
    stand_in_for_the_kernel(home)
    return home


def stand_in_for_the_kernel(home):
    """What the simulator takes for a cubin: here is no nvcc."""
    from edge.store import cubin as cubinstore
    from edge.store.plans import CUBIN, CUBIN_SIDECAR, plans_dir

    cubin = b"SIMULATOR CUBIN sm_53 crop crop_from"
    with open(os.path.join(plans_dir(home), CUBIN), "wb") as f:
        f.write(cubin)
    sidecar = {"schema": cubinstore.SCHEMA, "sha256": hashlib.sha256(cubin).hexdigest(), "size": len(cubin),
               "source_sha256": cubinstore.source_sha256(), "arch": "sm_53", "nvcc": "none: a simulator's stand-in"}
    with open(os.path.join(plans_dir(home), CUBIN_SIDECAR), "w") as f:
        json.dump(sidecar, f)


def environment(home, **more):
    env = {k: v for k, v in os.environ.items() if not k.startswith("NANOFACE_")}
    path = [SIMULATOR, ROOT] + [p for p in [os.environ.get("PYTHONPATH")] if p]
    env.update(PYTHONPATH=os.pathsep.join(path), NANOFACE_HOME=home, NANOFACE_CONFIG=os.devnull,
               OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1")
    env.update(more)
    return env


def call(words, env):
    done = subprocess.run([sys.executable] + words, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          universal_newlines=True)
    if done.returncode:
        raise SystemExit("rehearse: {} ended with {}:\n{}".format(" ".join(words[:3]), done.returncode,
                                                                  (done.stdout + done.stderr)[-3000:]))
    return done.stdout


def engine_times(home, networks, board):
    """Network -> (optimistic, middle, pessimistic) ms of device time, as `nanoface estimate` has it."""
    from engines.estimate.command import engine_ms

    return {name: engine_ms(home, name, board) for name in networks}


def two_cores():
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])


def rehearse(folder, home, times, way, case, arguments, trace=False):
    """The figures of one case. `trace`: only what memory the stages take, at a slow rate: tracing costs time."""
    device_ms = {name: values[CASES.index(case)] / arguments.scale for name, values in times.items()}
    enqueue_ms = {"*": ENQUEUE_MS[CASES.index(case)] / arguments.scale}
    kernel = os.path.join(HERE, "nokernel.py")
    env = environment(home, NANOFACE_SIM_DEVICE_MS=json.dumps(device_ms), NANOFACE_SIM_KERNELS=kernel,
                      NANOFACE_SIM_ENQUEUE_MS=json.dumps(enqueue_ms),
                      NANOFACE_SIM_ANSWERS=os.path.join(folder, "answers"))
    overrides = {"models.runtime": "tensorrt", "models.align": [WAYS[way][0]]}
    if arguments.workers:
        overrides["pipeline.workers"] = arguments.workers
    if arguments.crops == "cpu":
        overrides["models.crops"] = "cpu"
    request = {"image": os.path.join(folder, "image.npy"), "seconds": arguments.seconds, "scale": arguments.scale,
               "fps": FPS, "overrides": overrides, "trace": trace,
               "output": "jsonl:" + os.path.join(folder, case + ".jsonl")}
    if trace:
        request.update(scale=1.0, seconds=4.0)
    return json.loads(call([os.path.join(HERE, "drive.py"), json.dumps(request)], env).splitlines()[-1])


def show(case, times, found, scale):
    engines = ", ".join("{} {:.1f}".format(name, values[CASES.index(case)]) for name, values in sorted(times.items()))
    print("{}: engines ms {}, and {} of the processor to launch each (a guess)".format(
        case, engines, ENQUEUE_MS[CASES.index(case)]))
    print("  {:.1f} frames/s, {} frames, {} dropped, capture to record {:.1f} ms median, {:.1f} p95, {:.1f} at most".format(
        found["fps"], found["frames"], found["dropped"] + found["late"], found["p50_ms"], found["p95_ms"], found["max_ms"]))
    cells = ["{} {:.1f}/{:.1f}".format(s["stage"], s["wall_ms"] * scale, s["cpu_ms"] * scale) for s in found["stages"]]
    print("  median ms of a stage, all/processor (the lock is held no longer): " + ", ".join(cells))
    backends = " and ".join(found["backends"])
    print("  processor ms a frame, all threads: {:.1f}; on {}".format(found["cpu_ms"] * scale, backends))
    for note in sorted(set(found["notes"])):
        print("  note: " + note)


def main(words):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=8.0, help="of each case, real time")
    parser.add_argument("--scale", type=float, default=SCALE)
    parser.add_argument("--board", default="nano", choices=("nano", "nano-5w"))
    parser.add_argument("--workers", default="", help="as pipeline.workers")
    parser.add_argument("--crops", default="auto", choices=("auto", "cpu"))
    parser.add_argument("--way", choices=sorted(WAYS), help="one of them alone")
    parser.add_argument("--case", choices=CASES, help="one of them alone; no promise is then checked")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args(words)
    two_cores()
    cases = [arguments.case] if arguments.case else CASES
    with tempfile.TemporaryDirectory() as folder:
        home = prepare(folder)
        times = engine_times(home, sum(WAYS.values(), OTHERS), arguments.board)
        results, memory = {}, {}
        for way in [arguments.way] if arguments.way else WAYS:
            results[way] = {case: rehearse(folder, home, times, way, case, arguments) for case in cases}
            memory[way] = rehearse(folder, home, times, way, "middle", arguments, trace=hasattr(tracemalloc, "reset_peak"))
    if arguments.json:
        print(json.dumps({"engines_ms": times, "ways": results, "memory": {way: m["stages"] for way, m in memory.items()}}))
    else:
        print("TensorRT SIMULATED, engine times ESTIMATED for a {}; our own Python real, on two cores here, taken to be {:g} "
              "times as fast as the board's.\nAll times below are the board's.".format(arguments.board, arguments.scale))
        for way, found in results.items():
            print("\n{}:".format(" and ".join(WAYS[way])))
            own = {name: ms for name, ms in times.items() if name in WAYS[way] + OTHERS}
            for case in cases:
                show(case, own, found[case], arguments.scale)
            if "peak_kb" in memory[way]["stages"][0]:
                print("memory that a stage takes for a frame, kB at once (of the middle case, untimed): " + ", ".join(
                    "{} {:.1f}".format(s["stage"], s["peak_kb"]) for s in memory[way]["stages"]))
    return 0 if arguments.case else max([verdict(way, found) for way, found in results.items()])


def verdict(way, results):
    """1 where a promise is not kept. The rate that is aimed at is shown and decides nothing: the engines' times are wide."""
    middle, worst = results["middle"], results["pessimistic"]
    kept = [
        ("middle: no frame dropped at {:.0f} frames/s".format(FPS), middle["dropped"] + middle["late"] == 0),
        ("middle: p95 at most {:.0f} ms".format(MOST_P95_MS), middle["p95_ms"] <= MOST_P95_MS),
        ("pessimistic: at least {:.0f} frames/s".format(FLOOR_FPS), worst["fps"] >= FLOOR_FPS),
    ]
    for promise, holds in kept + [("pessimistic: {:.0f} frames/s, the aim".format(AIM_FPS), worst["fps"] >= AIM_FPS)]:
        print("{:9} {:4} {}".format(way, "yes" if holds else "NO", promise))
    return 0 if all(holds for _, holds in kept) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
