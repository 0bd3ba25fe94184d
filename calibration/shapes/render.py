"""Pictures of a head: OpenGL without a window, by `pip install -e '.[render]'` and a Mesa or a GPU's driver (EGL)."""
from ctypes.util import find_library
from typing import Any, Dict, List, Tuple

import cv2
import numpy as np

from calibration.shapes.head import CENTRE_PX, EYEBALL_MM, FOCAL_PX, HEIGHT, WIDTH, IctHead, Pose, Seen
from calibration.shapes.paint import EYEBALL, FRAGMENT_SHADER, VERTEX_SHADER, Look
from edge.core.errors import ModelError
from edge.geometry.rotation import FLIP

FINER = 2  # drawn so much larger and reduced: smooth edges for less than multisampling by software costs
DRAWN = (WIDTH * FINER, HEIGHT * FINER)
BEHIND_LIDS_MM = 0.6  # the eyeballs are drawn so much farther away: they are a little large for the lids
STACKS, SLICES = 24, 32


def _ball() -> Tuple[np.ndarray, np.ndarray]:
    """Vertices (N, 3) mm with the poles on the z axis, and triangles."""
    down, round_ = np.meshgrid(np.linspace(0, np.pi, STACKS + 1), np.linspace(0, 2 * np.pi, SLICES + 1), indexing="ij")
    points = np.stack((np.sin(down) * np.cos(round_), np.sin(down) * np.sin(round_), np.cos(down)), axis=-1).reshape(-1, 3)
    corner = (np.arange(STACKS)[:, None] * (SLICES + 1) + np.arange(SLICES)).reshape(-1, 1)
    quads = corner + np.array((0, SLICES + 1, 1, 1, SLICES + 1, SLICES + 2))
    return (EYEBALL_MM * points).astype(np.float32), quads.reshape(-1, 3).astype(np.int32)


class Renderer:
    """Draws one head at a time; belongs to the thread that made it."""

    def __init__(self, head: IctHead) -> None:
        """Raises ModelError where nothing draws."""
        self._context = _context()
        self._triangles = head.triangles
        part = np.zeros(len(head.neutral), np.float32)
        for number, name in enumerate(("skin", "mouth", "gums", "teeth", "lashes")):
            part[slice(*head.part_bounds[name])] = number
        self._program = self._context.program(vertex_shader=VERTEX_SHADER, fragment_shader=FRAGMENT_SHADER)
        self._program["lens"] = (2 * FOCAL_PX / WIDTH, (2 * CENTRE_PX[0] + 1) / WIDTH - 1,
                                 2 * FOCAL_PX / HEIGHT, (2 * CENTRE_PX[1] + 1) / HEIGHT - 1)
        ball, quads = _ball()
        self._ball = ball
        rest = head.neutral.copy()
        rest[slice(*head.part_bounds["lashes"]), 0] = head.lash_lengths()
        self._skin = _Surface(self._context, self._program, rest, part, head.triangles)
        self._eye = _Surface(self._context, self._program, ball, np.full(len(ball), EYEBALL, np.float32), quads)
        self._target = self._context.framebuffer([self._context.renderbuffer(DRAWN, 4)],
                                                 self._context.depth_renderbuffer(DRAWN))

    def picture(self, seen: Seen, pose: Pose, look: Look, background: np.ndarray) -> np.ndarray:
        """(480, 640, 3) uint8 BGR over `background`, which has that shape."""
        self._target.use()
        self._target.clear(0.0, 0.0, 0.0, 0.0)
        self._context.cull_face = "front"  # the picture is upside down to OpenGL
        self._context.enable(self._context.DEPTH_TEST | self._context.CULL_FACE)
        uniforms: Dict[str, Any] = look._asdict()
        uniforms["brow_up"] = uniforms.pop("brow_up_mm")
        uniforms["turn"] = tuple(FLIP.dot(pose.rotation).T.ravel())  # by columns
        uniforms["place"] = pose.translation_mm
        for name, value in uniforms.items():
            self._program[name] = value
        self._program["back"] = 0.0
        self._skin.draw(seen.vertices, _normals(seen.vertices, self._triangles))
        self._program["back"] = BEHIND_LIDS_MM
        for centre, turned in zip(seen.eyeballs, seen.gaze):
            points = self._ball.dot(turned.T.astype(np.float32))
            self._eye.draw(points + centre.astype(np.float32), points / np.float32(EYEBALL_MM))
        drawn = np.frombuffer(self._target.read(components=4), np.uint8).reshape(DRAWN[1], DRAWN[0], 4)
        small = cv2.resize(drawn, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
        uncovered = cv2.merge([255 - small[..., 3]] * 3)
        return cv2.add(cv2.cvtColor(small, cv2.COLOR_RGBA2BGR), cv2.multiply(background, uncovered, scale=1.0 / 255.0))


class _Surface:
    """Triangles whose vertices move; where they rest tells the paint."""

    def __init__(self, context: Any, program: Any, rest: np.ndarray, part: np.ndarray, triangles: np.ndarray) -> None:
        self._moving = context.buffer(reserve=len(rest) * 24, dynamic=True)
        still = np.concatenate((rest, part[:, None]), axis=1).astype(np.float32)
        self._array = context.vertex_array(program, [
            (self._moving, "3f 3f", "at", "normal"), (context.buffer(still.tobytes()), "3f 1f", "rest", "part"),
        ], context.buffer(triangles.astype(np.int32).tobytes()))

    def draw(self, points: np.ndarray, normals: np.ndarray) -> None:
        self._moving.write(np.concatenate((points, normals), axis=1).astype(np.float32).tobytes())
        self._array.render()


def _normals(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """(N, 3) unit normals: the mean of the triangles around, by area."""
    a, b, c = (points[triangles[:, i]] for i in range(3))
    u, v = b - a, c - a
    across = np.stack((u[:, 1] * v[:, 2] - u[:, 2] * v[:, 1], u[:, 2] * v[:, 0] - u[:, 0] * v[:, 2],
                       u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]), axis=1)
    corners, around = triangles.T.ravel(), np.tile(across, (3, 1))
    total = np.stack([np.bincount(corners, around[:, i], len(points)) for i in range(3)], axis=1)
    return (total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-9)).astype(np.float32)


def _context() -> Any:
    try:
        import moderngl
    except ImportError:
        raise ModelError("nothing draws the head: pip install -e '.[render]'")
    if find_library("EGL") is None:
        raise ModelError("no OpenGL without a window: install Mesa's libEGL (sudo apt install libegl1 libgl1-mesa-dri)")
    settings: Any = {"backend": "egl"}
    return moderngl.create_context(standalone=True, require=330, **settings)


def noise_background(random: np.random.RandomState) -> np.ndarray:
    """A wall with blurred things before it."""
    picture = np.zeros((HEIGHT, WIDTH, 3), np.float32)
    for cells, share in ((3, 0.6), (10, 0.3), (60, 0.1)):
        small = random.uniform(0, 255, (cells, cells, 3)).astype(np.float32)
        picture += share * cv2.resize(small, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    colours: List[float] = random.uniform(0.5, 1.1, 3).tolist()
    return (picture * np.array(colours, np.float32)).clip(0, 255).astype(np.uint8)
