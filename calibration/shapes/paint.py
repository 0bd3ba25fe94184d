"""What the rendered head is painted with: by the place of each point on the mean head (mm, x to the subject's left, y up), so
that brows, lips and hair go where an identity's own are and move with the skin.
"""
from typing import NamedTuple, Tuple

import numpy as np

Colour = Tuple[float, float, float]  # red, green, blue; 0..1
SKIN, MOUTH, GUMS, TEETH, LASHES, EYEBALL = range(6)  # parts of the head, as the shader counts them


class Look(NamedTuple):
    """Colours and light of one person in one room."""

    skin: Colour = (0.93, 0.73, 0.61)
    blush: Colour = (0.85, 0.52, 0.44)
    lips: Colour = (0.84, 0.52, 0.45)
    hair: Colour = (0.20, 0.13, 0.11)
    brow: Colour = (0.36, 0.25, 0.21)
    iris: Colour = (0.36, 0.22, 0.12)
    shirt: Colour = (0.33, 0.40, 0.58)
    light_right: Tuple[float, float, float] = (-0.6, 0.35, 0.7)  # direction from the head, not normalised; its length counts
    light_left: Tuple[float, float, float] = (0.6, 0.35, 0.7)
    ambient: float = 0.5
    brow_up_mm: float = 0.0
    brow_thick: float = 1.0


def some_look(random: np.random.RandomState) -> Look:
    """Another person in other light."""
    tone = random.uniform(0.62, 1.03)
    warm = random.uniform(-0.04, 0.04)
    skin = tuple(np.clip((0.93 * tone, (0.73 + 0.3 * warm) * tone ** 1.3, (0.61 + warm) * tone ** 1.6), 0, 1))
    dark = random.uniform(0.4, 1.6)
    hair = (dark * 0.20, dark * (0.13 + random.uniform(-0.02, 0.03)), dark * (0.11 + random.uniform(-0.03, 0.03)))
    iris = ((0.36, 0.22, 0.12), (0.22, 0.13, 0.08), (0.35, 0.45, 0.55), (0.35, 0.42, 0.25))[random.randint(4)]
    side = random.uniform(-0.45, 0.45)
    return Look(
        skin=skin, blush=tuple(c * f for c, f in zip(skin, (0.95, 0.75, 0.75))),
        lips=tuple(c * f for c, f in zip(skin, (0.92, random.uniform(0.6, 0.78), random.uniform(0.65, 0.8)))),
        hair=hair, brow=tuple(min(1.0, 0.6 * h + 0.27 * s) for h, s in zip(hair, skin)), iris=iris,
        shirt=tuple(random.uniform(0.15, 0.8, 3)),
        light_right=(-0.6, random.uniform(0.1, 0.6), 0.7 - side), light_left=(0.6, random.uniform(0.1, 0.6), 0.7 + side),
        ambient=random.uniform(0.42, 0.58), brow_up_mm=random.uniform(-2.0, 2.0), brow_thick=random.uniform(0.7, 1.3))


VERTEX_SHADER = """
#version 330
uniform mat3 turn; uniform vec3 place; uniform vec4 lens; uniform float back;
in vec3 at; in vec3 normal; in vec3 rest; in float part;
out vec3 n; out vec3 p; out vec3 eye; flat out int kind;
void main() {
    vec3 c = turn * at + place;
    n = turn * normal; p = rest; eye = -c; kind = int(part + 0.5);
    float z = c.z;
    gl_Position = vec4(lens.x * c.x + lens.y * z, lens.z * c.y + lens.w * z, 1.2 * z + back * 1.2 - 220.0, z);
}
"""

FRAGMENT_SHADER = """
#version 330
uniform vec3 skin, blush, lips, hair, brow, iris, shirt, light_right, light_left;
uniform float ambient, brow_up, brow_thick;
in vec3 n; in vec3 p; in vec3 eye; flat in int kind;
out vec4 colour;

float dice(vec3 q) { q = fract(q * 0.1031); q += dot(q, q.zyx + 31.32); return fract((q.x + q.y) * q.z); }
float noise(vec3 q) {
    vec3 i = floor(q), f = fract(q); f = f * f * (3.0 - 2.0 * f);
    vec4 a = vec4(dice(i), dice(i + vec3(0,1,0)), dice(i + vec3(0,0,1)), dice(i + vec3(0,1,1)));
    vec4 b = vec4(dice(i + vec3(1,0,0)), dice(i + vec3(1,1,0)), dice(i + vec3(1,0,1)), dice(i + vec3(1,1,1)));
    vec4 x = mix(a, b, f.x); vec2 y = mix(x.xz, x.yw, f.y); return mix(y.x, y.y, f.z);
}
float blob(vec2 q, vec2 middle, vec2 size) { vec2 d = (q - middle) / size; return exp(-dot(d, d)); }
float along(float x, vec4 xs, vec4 ys) {  // a line through four points
    if (x < xs.y) return mix(ys.x, ys.y, clamp((x - xs.x) / (xs.y - xs.x), 0.0, 1.0));
    if (x < xs.z) return mix(ys.y, ys.z, (x - xs.y) / (xs.z - xs.y));
    return mix(ys.z, ys.w, clamp((x - xs.z) / (xs.w - xs.z), 0.0, 1.0));
}
vec3 painted_skin(out float shine) {
    float x = abs(p.x); vec2 q = vec2(x, p.y);
    float grain = noise(p * 0.35) * 0.5 + noise(p * 1.3) * 0.3 + noise(p * 4.0) * 0.2;
    vec3 c = skin * (0.94 + 0.12 * grain);
    shine = 0.10;
    if (p.z > 30.0) {
        c = mix(c, blush, 0.55 * blob(q, vec2(44.0, -6.0), vec2(20.0, 16.0)) + 0.35 * blob(q, vec2(0.0, 4.0), vec2(9.0, 9.0)));
        c *= 1.0 - 0.25 * blob(q, vec2(30.0, 45.0), vec2(18.0, 7.0)) * vec3(0.6, 0.8, 1.1);
        c *= 1.0 - 0.6 * blob(q, vec2(8.0, -4.0), vec2(3.6, 2.2)) * step(105.0, p.z);  // nostrils
        float top = along(x, vec4(0.0, 7.3, 17.0, 26.0), vec4(-24.8, -24.2, -27.8, -35.2));
        float low = along(x, vec4(0.0, 10.3, 18.0, 26.0), vec4(-43.8, -43.0, -40.6, -35.2));
        float mouth = smoothstep(-0.5, 0.7, min(top - p.y, p.y - low)) * step(x, 26.0);
        if (mouth > 0.0) c = mix(c, lips * (0.93 + 0.14 * noise(p * vec3(2.5, 0.6, 1.0))), 0.9 * mouth);
        shine = mix(shine, 0.18, mouth);
        c *= 1.0 - 0.35 * blob(q, vec2(26.5, -35.2), vec2(2.5, 2.0));
        float ridge = along(x, vec4(13.0, 28.0, 42.0, 58.0), vec4(53.5, 57.0, 57.0, 47.0)) + brow_up;
        float thick = along(x, vec4(11.0, 20.0, 42.0, 60.0), vec4(4.0, 4.6, 3.8, 1.2)) * brow_thick;
        if (abs(p.y - ridge) < thick + 3.0) {
            float hairs = noise(vec3(p.x * 1.2 + p.y * 0.6, p.y * 1.1, 3.0)) + 0.6 * noise(p * 2.6);
            float d = abs(p.y - ridge) - thick + 1.6 * (hairs - 0.8);
            c = mix(c, brow * (0.55 + 0.55 * hairs), (1.0 - smoothstep(-0.8, 0.8, d)) * smoothstep(10.0, 12.5, x + hairs)
                    * (1.0 - smoothstep(57.0, 60.0, x)) * 0.88);
        }
    }
    float cap = smoothstep(-3.0, 3.0, p.y - 96.0 + 3.0 * (noise(vec3(p.x * 0.6, p.y * 0.2, 1.0)) - 0.5));
    cap = max(cap, smoothstep(-3.0, 3.0, p.y - 44.0) * smoothstep(-3.0, 3.0, 24.0 - p.z));
    cap = max(cap, smoothstep(-3.0, 3.0, p.y + 10.0) * smoothstep(-3.0, 3.0, -18.0 - p.z));
    if (cap > 0.0) c = mix(c, hair * (0.8 + 0.4 * noise(p * vec3(0.5, 0.15, 0.15))), cap);
    float cloth = smoothstep(-4.0, 4.0, -125.0 - p.y);
    if (cloth > 0.0) c = mix(c, shirt * (0.85 + 0.3 * noise(p * vec3(0.2, 0.02, 0.2))), cloth);
    shine *= (1.0 - 0.6 * cap) * (1.0 - cloth);
    return c;
}
vec3 painted_eye(out float shine) {
    float off = length(p.xy);  // mm from the line of sight, on the ball
    vec3 white = vec3(0.93, 0.90, 0.88) * (1.0 - 0.10 * smoothstep(6.0, 11.0, off));
    vec3 ring = iris * (0.75 + 0.5 * noise(vec3(atan(p.y, p.x) * 6.0, off, 0.0)));
    ring = mix(ring * 0.45, ring, smoothstep(5.8, 4.8, off));
    vec3 c = mix(ring, white, smoothstep(5.6, 6.1, off));
    c = mix(vec3(0.03), c, smoothstep(2.1, 2.5, off));
    if (p.z < 0.0) c = white;
    shine = 0.55;
    return c;
}
void main() {
    float shine = 0.0; vec3 c;
    if (kind == 4 && p.x > 1.7) discard;  // only the roots of the lashes, as a line
    if (kind == 0) c = painted_skin(shine);
    else if (kind == 1) { c = vec3(0.42, 0.16, 0.15) * smoothstep(30.0, 115.0, p.z); }
    else if (kind == 2) { c = vec3(0.72, 0.38, 0.36) * smoothstep(40.0, 108.0, p.z); }
    else if (kind == 3) { c = vec3(0.93, 0.90, 0.84) * smoothstep(50.0, 100.0, p.z); shine = 0.2; }
    else if (kind == 4) c = vec3(0.06, 0.05, 0.05);
    else c = painted_eye(shine);
    vec3 m = normalize(n); vec3 v = normalize(eye);
    if (dot(m, v) < 0.0) m = -m;
    vec3 head = vec3(m.x, -m.y, -m.z);
    float wrap = 0.0, spot = 0.0;
    for (int k = 0; k < 2; k++) {
        vec3 l = k == 0 ? light_right : light_left; vec3 d = normalize(l);
        wrap += 0.42 * length(l) * max(0.0, (dot(head, d) + 0.35) / 1.35);
        vec3 h = normalize(d + vec3(v.x, -v.y, -v.z));
        spot += pow(max(0.0, dot(head, h)), kind == 5 ? 120.0 : 18.0);
    }
    float light = ambient * (0.78 + 0.22 * head.y) + wrap;
    colour = vec4(c * light + shine * spot * 0.5, 1.0);
}
"""
