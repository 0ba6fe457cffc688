"""Images of the embedded corpus: the scene per post, its composition and rendering."""

import io
import random

from PIL import Image as PILImage
from PIL import ImageDraw

from .corpus_drawings import PROPS, SYMBOL_PAINTERS, Box, Brush, colour, person
from .corpus_plan import PlannedPost

# The symbol per relation, and per entity types for posts whose text leaves the label open and whose label is None.
SYMBOLS = {
    "/per/per/couple": "heart",
    "/per/per/peer": "ball",
    "/per/org/member_of": "badge",
    "/per/loc/place_of_residence": "house",
    "/per/loc/place_of_birth": "pram",
    "/loc/loc/contain": "city_map",
    "/per/misc/present_in": "stage",
    "/per/misc/awarded": "trophy",
}
NONE_SYMBOLS = {"per/per": "bus", "per/loc": "plane", "per/misc": "television"}
UNRELATED = ("cup", "fish", "mountain", "umbrella")
TWO_PEOPLE = ("heart", "ball", "bus")
NO_PEOPLE = ("city_map", *UNRELATED)

# True of every image, so that no caption reveals a label.
CAPTIONS = (
    "a picture posted online",
    "a drawing of a few things",
    "an image in bright colours",
    "some things on a plain background",
    "a simple illustration",
    "a square picture",
)


def scene_of(post: PlannedPost, rng: random.Random) -> str | None:
    """The name of the symbol in the image of a post; `None` without image."""
    if post.relevance is None:
        return None
    if post.misleading:
        others = [symbol for label, symbol in SYMBOLS.items() if label != post.label]
        return rng.choice(others + (list(NONE_SYMBOLS.values()) if post.label != "None" else []))
    if post.relevance == 0:
        return rng.choice(UNRELATED)
    if post.label == "None":
        return NONE_SYMBOLS.get(post.types) or rng.choice(list(NONE_SYMBOLS.values()))
    return SYMBOLS[post.label]


def draw_scene(rng: random.Random, scene: str, size: int) -> tuple[bytes, list[list[int]]]:
    """
    Draws a scene: its symbol above two companions, people or props.

    Args:
        rng: Source of randomness.
        scene: Name of the symbol.
        size: Width and height in pixels.

    Returns:
        The image as PNG, and the boxes `[x0, y0, x1, y1]` in pixels of a random subset of the three objects, which
        imitates a detector that misses some. The positions of the boxes are independent of their content.
    """
    scale = 4  # drawn larger and downsampled, for smooth edges
    canvas = background(rng, scale * size)
    boxes = layout(rng)
    brushes = [Brush(ImageDraw.Draw(canvas), box.scaled(scale * size)) for box in boxes]
    team_shirt = rng.random() if scene == "ball" else None
    num_people = 2 if scene in TWO_PEOPLE else 0 if scene in NO_PEOPLE else 1
    for place in range(2):
        if place < num_people:
            person(brushes[place], rng, team_shirt)
        else:
            rng.choice(PROPS)(brushes[place], rng)
    SYMBOL_PAINTERS[scene](brushes[2], rng)
    image = canvas.reduce(scale)
    for _ in range(30):
        # Not randrange: the number of random bits it consumes depends on the size and would shift all later draws.
        image.putpixel((int(rng.random() * size), int(rng.random() * size)), colour(rng, rng.random(), 0.4, 0.8))
    detected = rng.sample(boxes, rng.randint(0, 3))
    with io.BytesIO() as file:
        image.save(file, "PNG")
        return file.getvalue(), [[min(max(round(size * side), 0), size) for side in box] for box in detected]


def background(rng: random.Random, size: int) -> PILImage.Image:
    """Draws a pale sky above pale ground."""
    sky = PILImage.new("RGB", (1, 2))
    sky.putdata([colour(rng, rng.random(), 0.1, 0.95) for _ in range(2)])
    canvas = sky.resize((size, size), PILImage.Resampling.BILINEAR)
    horizon = rng.uniform(0.62, 0.85) * size
    ImageDraw.Draw(canvas).rectangle((0, horizon, size, size), colour(rng, rng.random(), 0.15, 0.85))
    return canvas


def layout(rng: random.Random) -> list[Box]:
    """Samples the boxes of two companions, left and right in random order, and of the symbol, in units of the size."""
    boxes = []
    for low, high in rng.sample(((0.0, 0.12), (0.46, 0.56)), 2):
        side, left, bottom = rng.uniform(0.38, 0.48), rng.uniform(low, high), rng.uniform(0.88, 1.0)
        boxes.append(Box(left, bottom - side, left + side, bottom))
    side = rng.uniform(0.48, 0.6)
    left, top = rng.uniform(0.02, 0.98 - side), rng.uniform(0.02, 0.1)
    return [*boxes, Box(left, top, left + side, top + side)]
