"""Drawings of the things that images of the embedded corpus show: people, props and symbols."""

import colorsys
import random
from typing import NamedTuple

from PIL import ImageDraw

Ink = str | tuple[int, int, int]
OUTLINE = "#333333"


class Box(NamedTuple):
    """Corners of a rectangle, from the upper left."""

    x0: float
    y0: float
    x1: float
    y1: float

    def scaled(self, factor: float) -> "Box":
        return Box(*(factor * side for side in self))


class Brush:
    """Draws in a box of an image; coordinates, `x0, y0, x1, y1` or `"x,y x,y …"`, run from 0 to 100 over the box."""

    def __init__(self, draw: ImageDraw.ImageDraw, box: Box):
        self.draw, self.box = draw, box
        self.width = max(1, draw.im.size[0] // 90)

    def to_pixels(self, *coordinates: float) -> list[float]:
        """Converts alternating x and y coordinates."""
        x0, y0, x1, y1 = self.box
        return [
            y0 + (y1 - y0) * value / 100 if place % 2 else x0 + (x1 - x0) * value / 100
            for place, value in enumerate(coordinates)
        ]

    def path(self, points: str) -> list[float]:
        return self.to_pixels(*map(float, points.replace(",", " ").split()))

    def ellipse(self, *corners: float, fill: Ink, outline: Ink | None = OUTLINE) -> None:
        self.draw.ellipse(self.to_pixels(*corners), fill, outline, self.width)

    def rectangle(self, *corners: float, fill: Ink) -> None:
        self.draw.rectangle(self.to_pixels(*corners), fill, OUTLINE, self.width)

    def polygon(self, points: str, fill: Ink, outline: Ink | None = OUTLINE) -> None:
        self.draw.polygon(self.path(points), fill, outline, self.width)

    def line(self, points: str, fill: Ink = OUTLINE, width: int = 1) -> None:
        self.draw.line(self.path(points), fill, self.width * width)

    def arc(self, *corners: float, start: int, end: int, fill: Ink = OUTLINE, width: int = 1) -> None:
        self.draw.arc(self.to_pixels(*corners), start, end, fill, self.width * width)

    def pie(self, *corners: float, start: int, end: int, fill: Ink) -> None:
        self.draw.pieslice(self.to_pixels(*corners), start, end, fill, OUTLINE, self.width)


def colour(rng: random.Random, hue: float, saturation: float = 0.85, value: float = 0.9) -> tuple[int, int, int]:
    """Samples an RGB colour near the given one; hue, saturation and value range from 0 to 1."""
    hue, saturation, value = (
        hue + rng.uniform(-0.02, 0.02),
        saturation + rng.uniform(-0.1, 0.1),
        value + rng.uniform(-0.1, 0.1),
    )
    red, green, blue = colorsys.hsv_to_rgb(hue % 1, min(saturation, 1), min(value, 1))
    return round(255 * red), round(255 * green), round(255 * blue)


def person(brush: Brush, rng: random.Random, shirt_hue: float | None = None) -> None:
    shirt = colour(rng, rng.random() if shirt_hue is None else shirt_hue, 0.35, 0.8)
    skin = colour(rng, 0.07, rng.uniform(0.3, 0.6), rng.uniform(0.5, 0.9))
    brush.rectangle(30, 70, 46, 100, fill="#3b4252")
    brush.rectangle(54, 70, 70, 100, fill="#3b4252")
    brush.polygon("26,38 74,38 94,70 80,76 72,60 72,76 28,76 28,60 20,76 6,70", fill=shirt)
    brush.ellipse(32, 0, 68, 36, fill=skin)
    brush.arc(41, 12, 59, 28, start=20, end=160)


def tree(brush: Brush, rng: random.Random) -> None:
    brush.rectangle(42, 60, 58, 100, fill="#7a5230")
    brush.ellipse(14, 0, 86, 70, fill=colour(rng, 0.3, 0.4, 0.6))


def cloud(brush: Brush, rng: random.Random) -> None:
    white = colour(rng, 0.6, 0.05, 0.95)
    for corners in ((0, 35, 50, 80), (50, 35, 100, 80), (20, 15, 80, 85)):
        brush.ellipse(*corners, fill=white, outline="#b8c0cc")


def flower(brush: Brush, rng: random.Random) -> None:
    petals = colour(rng, rng.random(), 0.3, 0.95)
    brush.line("50,50 50,100", fill="#3f8f4f", width=3)
    for x, y in ((20, 10), (50, 10), (20, 40), (50, 40)):
        brush.ellipse(x, y, x + 32, y + 32, fill=petals)
    brush.ellipse(38, 28, 64, 54, fill="#fff3b0")


def heart(brush: Brush, rng: random.Random) -> None:
    red = colour(rng, 0.97)
    brush.polygon("4,40 96,40 50,100", fill=red, outline=red)
    brush.ellipse(0, 6, 53, 60, fill=red, outline=red)
    brush.ellipse(47, 6, 100, 60, fill=red, outline=red)
    brush.ellipse(14, 18, 30, 34, fill="#ffd9e3", outline=None)


def ball(brush: Brush, rng: random.Random) -> None:
    brush.ellipse(0, 0, 100, 100, fill=colour(rng, 0.27, 0.9, 0.9))
    brush.line("50,0 50,100")
    brush.line("0,50 100,50")
    brush.arc(-55, 5, 35, 95, start=-54, end=54)
    brush.arc(65, 5, 155, 95, start=126, end=234)


def bus(brush: Brush, rng: random.Random) -> None:
    brush.rectangle(0, 12, 100, 84, fill=colour(rng, 0.6))
    for x in (6, 29, 52, 75):
        brush.rectangle(x, 22, x + 18, 46, fill="#e8f4ff")
    for x in (12, 64):
        brush.ellipse(x, 70, x + 26, 98, fill="#222222")


def house(brush: Brush, rng: random.Random) -> None:
    brush.rectangle(10, 42, 90, 100, fill=colour(rng, 0.11, 0.6, 0.95))
    brush.polygon("0,46 50,0 100,46", fill=colour(rng, 0.06, 0.7, 0.45))
    brush.rectangle(56, 62, 78, 100, fill="#6b3e26")
    brush.rectangle(20, 56, 44, 78, fill="#cfe8ff")


def pram(brush: Brush, rng: random.Random) -> None:
    pink = colour(rng, 0.88, 0.6, 0.95)
    brush.line("82,45 100,20", width=3)
    brush.pie(4, 0, 84, 90, start=180, end=300, fill=pink)
    brush.pie(4, 6, 84, 84, start=0, end=180, fill=pink)
    for x in (14, 52):
        brush.ellipse(x, 76, x + 24, 100, fill="#f5f5f5")


def plane(brush: Brush, rng: random.Random) -> None:
    cyan = colour(rng, 0.5, 0.9, 0.75)
    brush.polygon("2,4 20,4 36,44 8,44", fill=cyan)
    brush.ellipse(0, 30, 100, 68, fill=cyan)
    brush.polygon("36,52 66,52 36,98 18,98", fill="#f2f7fa")
    for x in (30, 46, 62):
        brush.ellipse(x, 40, x + 9, 49, fill="#ffffff", outline=None)


def badge(brush: Brush, rng: random.Random) -> None:
    brush.polygon("8,4 92,4 92,56 50,100 8,56", fill=colour(rng, 0.66, 0.9, 0.5))
    brush.polygon("50,16 60,40 84,42 64,56 72,80 50,66 28,80 36,56 16,42 40,40", fill="#ffffff")


def city_map(brush: Brush, rng: random.Random) -> None:
    brush.polygon("0,20 33,8 66,20 100,8 100,88 66,100 33,88 0,100", fill=colour(rng, 0.36, 0.6, 0.8))
    brush.line("33,8 33,88")
    brush.line("66,20 66,100")
    brush.line("4,84 30,50 70,66 98,30", fill="#fff7d6", width=3)
    brush.ellipse(42, 30, 60, 48, fill="#d62839")


def stage(brush: Brush, rng: random.Random) -> None:
    purple = colour(rng, 0.77, 0.8, 0.65)
    brush.rectangle(0, 4, 100, 90, fill="#2a1a3a")
    brush.polygon("50,10 78,90 22,90", fill="#fff6c8", outline=None)
    brush.polygon("0,4 46,4 20,50 26,90 0,90", fill=purple)
    brush.polygon("100,4 54,4 80,50 74,90 100,90", fill=purple)
    brush.rectangle(0, 86, 100, 100, fill="#8a5a34")


def trophy(brush: Brush, rng: random.Random) -> None:
    gold = colour(rng, 0.14, 0.9, 0.95)
    brush.arc(2, 8, 40, 50, start=80, end=280, fill=gold, width=4)
    brush.arc(60, 8, 98, 50, start=-100, end=100, fill=gold, width=4)
    brush.polygon("18,0 82,0 74,44 56,58 56,76 78,84 78,100 22,100 22,84 44,76 44,58 26,44", fill=gold)


def television(brush: Brush, rng: random.Random) -> None:
    brush.line("26,0 50,22 74,0", width=2)
    brush.rectangle(0, 20, 100, 90, fill="#3a3a40")
    brush.rectangle(8, 29, 76, 81, fill=colour(rng, 0.5, 0.5, 0.75))
    for y in (34, 54):
        brush.ellipse(82, y, 94, y + 12, fill="#d0d0d0")


def cup(brush: Brush, rng: random.Random) -> None:
    brush.arc(60, 40, 100, 80, start=-90, end=90, fill="#7a4a2b", width=4)
    brush.polygon("6,30 80,30 68,100 18,100", fill=colour(rng, 0.06, 0.55, 0.6))
    brush.line("30,22 36,2", fill="#9a9a9a", width=2)
    brush.line("54,22 60,2", fill="#9a9a9a", width=2)


def fish(brush: Brush, rng: random.Random) -> None:
    teal = colour(rng, 0.45, 0.7, 0.7)
    brush.polygon("66,50 100,20 100,80", fill=teal)
    brush.ellipse(0, 20, 78, 80, fill=teal)
    brush.ellipse(14, 36, 28, 50, fill="#ffffff")


def mountain(brush: Brush, rng: random.Random) -> None:
    grey = colour(rng, 0.6, 0.15, 0.5)
    brush.polygon("0,100 42,4 80,100", fill=grey)
    brush.polygon("42,4 28,36 42,28 54,36", fill="#ffffff")
    brush.polygon("44,100 76,40 100,100", fill=grey)


def umbrella(brush: Brush, rng: random.Random) -> None:
    brush.line("50,30 50,90", width=3)
    brush.pie(0, 6, 100, 100, start=180, end=360, fill=colour(rng, 0.25, 0.7, 0.7))


SYMBOL_PAINTERS = {
    painter.__name__: painter
    for painter in (
        *(heart, ball, badge, house, pram, city_map, stage, trophy),
        *(bus, plane, television),
        *(cup, fish, mountain, umbrella),
    )
}
PROPS = (tree, cloud, flower)
