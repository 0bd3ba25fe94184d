"""MediaPipe's FaceMesh on given frames, for bench_beside.py: runs in a Python of its own that has mediapipe.

usage: mediapipe_facemesh.py FRAMES.npy [FACES]

Frames are (N, H, W, 3) uint8 BGR. One JSON line when it is ready; then, for each line on standard input, one round over all
frames and one JSON line with what it cost. FaceMesh tracks one face or FACES, with irises (refine_landmarks), as a program
would call it: the conversion to RGB that it asks for counts, reading its results as numbers does not.
"""
import json
import sys
import time


def main():
    import cv2
    import mediapipe
    import numpy as np

    frames = np.load(sys.argv[1])
    faces = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    mesh = mediapipe.solutions.face_mesh.FaceMesh(static_image_mode=False, max_num_faces=faces, refine_landmarks=True)

    def one_round():
        found, cpu, wall = 0, time.process_time(), time.monotonic()
        for frame in frames:
            found += len(mesh.process(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)).multi_face_landmarks or ())
        with open("/proc/self/status") as f:  # not that of getrusage(), which counts what our parent had when it started us
            peak_mb = next(int(line.split()[1]) for line in f if line.startswith("VmHWM")) / 1024.0 - frames.nbytes / 1048576.0
        return {"cpu_ms": (time.process_time() - cpu) * 1e3 / len(frames),
                "wall_ms": (time.monotonic() - wall) * 1e3 / len(frames), "faces": found / len(frames), "peak_mb": peak_mb}

    one_round()
    print(json.dumps({"version": mediapipe.__version__}), flush=True)
    for _ in sys.stdin:
        print(json.dumps(one_round()), flush=True)


if __name__ == "__main__":
    main()
