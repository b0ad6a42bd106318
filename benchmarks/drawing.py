"""A still picture drawn with nothing but Python: flat shapes with outlines over soft gradients, as a PAM with alpha.

Rules kept here:
- the same seed draws the same picture on every machine;
- rows are filled as slices, so that a picture of four million points takes a second.
"""

import math
import random
from pathlib import Path

Colour = tuple[int, int, int]


class Canvas:
    """RGBA points, row by row; a new one is clear."""

    def __init__(self, width: int, height: int) -> None:
        """Of so many points."""
        self.width, self.height = width, height
        self._points = bytearray(width * height * 4)

    def row(self, y: int, left: float, right: float, colour: Colour) -> None:
        """Fill a part of a row; what lies outside is dropped."""
        start, end = max(0, round(left)), min(self.width, round(right))
        if 0 <= y < self.height and end > start:
            at = (y * self.width + start) * 4
            self._points[at : at + (end - start) * 4] = bytes((*colour, 255)) * (end - start)

    def box(self, x: float, y: float, width: float, height: float, colour: Colour) -> None:
        """A filled rectangle."""
        for one in range(round(y), round(y + height)):
            self.row(one, x, x + width, colour)

    def oval(self, x: float, y: float, across: float, down: float, colour: Colour) -> None:
        """A filled ellipse round (x, y), with its two radii."""
        for one in range(math.floor(y - down), math.ceil(y + down) + 1):
            inside = 1 - ((one - y) / down) ** 2
            if inside > 0:
                half = across * math.sqrt(inside)
                self.row(one, x - half, x + half, colour)

    def outlined(self, x: float, y: float, across: float, down: float, colour: Colour) -> None:
        """An ellipse with a dark outline and a light side, as cartoons are drawn."""
        self.oval(x, y, across + 5, down + 5, (20, 16, 24))
        self.oval(x, y, across, down, colour)
        red, green, blue = (min(255, part + 40) for part in colour)
        self.oval(x - across * 0.3, y - down * 0.3, across * 0.35, down * 0.3, (red, green, blue))

    def sky(self, top: Colour, bottom: Colour) -> None:
        """A gradient over everything."""
        for y in range(self.height):
            red, green, blue = (round(a + (b - a) * y / self.height) for a, b in zip(top, bottom, strict=True))
            self.row(y, 0, self.width, (red, green, blue))

    def hills(self, level: float, swing: float, colour: Colour, rng: random.Random) -> None:
        """A rolling skyline, filled to the bottom, with an outline."""
        waves = [(rng.uniform(0.001, 0.012), rng.uniform(0, 7), rng.uniform(0.3, 1.0)) for _ in range(4)]
        for x in range(0, self.width, 2):
            top = round(level + swing * sum(share * math.sin(speed * x + start) for speed, start, share in waves) / 2)
            for y in range(max(0, top), self.height):
                self.row(y, x, x + 2, (20, 16, 24) if y < top + 4 else colour)

    def save(self, path: Path) -> Path:
        """Write it, as ffmpeg reads it."""
        head = f"P7\nWIDTH {self.width}\nHEIGHT {self.height}\nDEPTH 4\nMAXVAL 255\nTUPLTYPE RGB_ALPHA\nENDHDR\n"
        path.write_bytes(head.encode() + self._points)
        return path


def scenery(path: Path, width: int, height: int, seed: int) -> Path:
    """A land with a sky, hills, trees and houses."""
    rng = random.Random(seed)  # noqa: S311 - a picture, not a secret
    canvas = Canvas(width, height)
    canvas.sky(_colour(rng, 60, 200), _colour(rng, 150, 250))
    for _ in range(6):
        x, y = rng.uniform(0, width), rng.uniform(0, height * 0.4)
        for part in range(4):
            canvas.oval(x + part * 60, y + rng.uniform(-15, 15), rng.uniform(50, 110), rng.uniform(25, 45), (240, 240, 245))
    for share in (0.5, 0.65, 0.8):
        canvas.hills(height * share, height * 0.08, _colour(rng, 40, 190), rng)
        for _ in range(14):
            x, y, tall = rng.uniform(0, width), height * (share + 0.08), rng.uniform(40, 120)
            canvas.box(x - 8, y - tall, 16, tall, (70, 45, 30))
            canvas.outlined(x, y - tall, tall * 0.5, tall * 0.6, _colour(rng, 30, 200))
    return canvas.save(path)


def figure(path: Path, seed: int) -> Path:
    """Somebody to walk through it: 260 by 380, clear around."""
    rng = random.Random(seed)  # noqa: S311 - a picture, not a secret
    canvas = Canvas(260, 380)
    for x in (95, 165):
        canvas.outlined(x, 330, 24, 42, _colour(rng, 40, 160))
    canvas.outlined(130, 230, 80, 95, _colour(rng, 60, 240))
    canvas.outlined(130, 90, 70, 72, (235, 190, 150))
    for x in (105, 155):
        canvas.oval(x, 85, 16, 22, (255, 255, 255))
        canvas.oval(x + 4, 90, 7, 10, (20, 20, 20))
    return canvas.save(path)


def _colour(rng: random.Random, low: int, high: int) -> Colour:
    return rng.randint(low, high), rng.randint(low, high), rng.randint(low, high)
