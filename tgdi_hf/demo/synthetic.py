"""
A small corpus in the shape of MNRE, written and drawn in code: no file, no network, no font.

Half of the posts can be read without their image ("X weds Y"). The other half say one thing for three labels ("X with
Y tonight"), and the image tells which: a heart, a ball, or a bus, for a couple, for team mates, for no relation at
all. So a model that ignores the images is capped (`text_only_ceiling`), and one that trusts all of them is misled:
posts that need no image carry the right one, an unrelated one, that of another label, or none.

What holds by construction:

- The labels are without noise: a model that reads the text, and the image where the text leaves it open, is always
  right. That is why posts that need their image always have it, and why it is always the right one.
- Nothing beside text and image tells the label. Posts that need no image draw without looking at the label whether
  they have one and whether it is relevant, and an irrelevant one differs by label only in that it never shows the
  post's own. Posts of one ambiguous group draw their text without looking at the label. All posts so draw the length
  of the text in characters, whether head or tail comes first, the number and places of the boxes, whether there is a
  caption and which, and their place in the split. Of each kind of post a third is labelled `None`.
- No word of a person's name, and no invented word of any other, occurs in two splits; no image does.
- The same arguments and library versions give the same bytes, and no split depends on the size of another.
"""

import colorsys
import io
import random
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate, pairwise, product

from datasets import ClassLabel, Dataset, DatasetDict, Features, Image, List, Value
from PIL import Image as PILImage
from PIL import ImageDraw

LABELS = (
    "None",
    "/per/per/couple",
    "/per/per/peer",
    "/per/org/member_of",
    "/per/loc/place_of_residence",
    "/per/loc/place_of_birth",
    "/loc/loc/contain",
    "/per/misc/present_in",
    "/per/misc/awarded",
)
SPLITS = ("train", "validation", "test")
DEFAULT_ROWS = {"train": 4500, "validation": 450, "test": 900}

FEATURES = Features(
    {
        "id": Value("string"),
        "text": Value("string"),
        "head": List(Value("int32"), length=2),
        "tail": List(Value("int32"), length=2),
        "image": Image(),
        "objects": List(List(Value("int32"), length=4)),
        "caption": Value("string"),
        "relevance": Value("float32"),
        "label": ClassLabel(names=list(LABELS)),
        "needs_image": Value("bool"),
        "template": Value("string"),
        "scene": Value("string"),
    }
)

# Texts. {a} and {b} are head and tail in either order, [x|y] is one of x and y.

PLAIN = {
    "/per/per/couple": (
        "{a} [weds|marries] {b}",
        "{a} is [engaged|married] to {b}",
        "the wedding of {a} and {b}",
        "{a} and {b} , [newlyweds|bride and groom]",
        "honeymoon time for {a} and {b}",
    ),
    "/per/per/peer": (
        "{a} and {b} , team mates",
        "{a} [shares|splits] the lead with {b}",
        "{a} [replaces|relieves] {b} in the squad",
        "co - stars {a} and {b}",
        "{a} and {b} [work|rehearse] side by side",
    ),
    "/per/org/member_of": (
        "{head} [signs for|joins] {tail}",
        "{head} , new [captain|director] of {tail}",
        "{head} plays for {tail}",
        "{tail} [signs|hires] {head}",
        "{tail} and its [captain|director] {head}",
        "{tail} extends {head}'s contract",
    ),
    "/per/loc/place_of_residence": (
        "{head} [moves|moved] to {tail}",
        "{head} lives in {tail}",
        "{head} , at home in {tail}",
        "{tail} , home of {head}",
        "in {tail} lives {head}",
        "a flat in {tail} for {head}",
    ),
    "/per/loc/place_of_birth": (
        "{head} , born in {tail}",
        "{head} is a native of {tail}",
        "{head} came to the world in {tail}",
        "{tail} , birthplace of {head}",
        "{tail} , where {head} was born",
        "{tail} native {head}",
    ),
    "/loc/loc/contain": (
        "{head} and its [quarter|district] {tail}",
        "{head} , which includes {tail}",
        "{head} , with {tail} inside it",
        "{tail} , a [quarter|district] of {head}",
        "{tail} belongs to {head}",
        "{tail} lies within {head}",
    ),
    "/per/misc/present_in": (
        "{head} [performs|sings] at the {tail}",
        "{head} has a part in the {tail}",
        "{head} on stage at the {tail}",
        "the {tail} , [starring|featuring] {head}",
        "the {tail} opens with {head}",
        "the {tail} , hosted by {head}",
    ),
    "/per/misc/awarded": (
        "{head} [wins|won] the {tail}",
        "{head} is handed the {tail}",
        "{head} accepts the {tail}",
        "the {tail} goes to {head}",
        "the {tail} , [won|earned] by {head}",
        "the {tail} is awarded to {head}",
    ),
}

# No relation, by the types of head and tail.
PLAIN_NONE = {
    "per/per": (
        "{a} has never met {b}",
        "a quiz on {a} or {b}",
        "no news of {a} , none of {b}",
    ),
    "per/loc": (
        "{head} reads a guide to {tail}",
        "{head} has never been to {tail}",
        "a storm over {tail} , says {head}",
        "rain in {tail} , tweets {head}",
    ),
    "per/misc": (
        "{head} [missed|skipped] the {tail}",
        "{head} has no ticket for the {tail}",
        "the {tail} without {head}",
        "the {tail} is not for {head}",
    ),
    "per/org": (
        "{head} sues {tail}",
        "{head} is fed up with {tail}",
        "{tail} [ignores|blocks] {head}",
        "{tail} denies knowing {head}",
    ),
    "loc/loc": (
        "{a} or {b} this summer ?",
        "trains from {a} to {b}",
        "{a} is far from {b}",
    ),
}

AMBIGUOUS = {
    "per/per": (
        "{a} with {b} [tonight|today]",
        "{a} and {b} [once more|again]",
        "look , {a} and {b}",
        "just {a} and {b}",
        "{a} x {b} !",
    ),
    "per/loc": (
        "{head} and {tail} , a story",
        "{head} thinking of {tail}",
        "{head} -> {tail}",
        "{tail} means a lot to {head}",
        "{tail} and {head} [once more|again]",
        "{tail} : {head}",
    ),
    "per/misc": (
        "{head} and the {tail}",
        "{head} x {tail} !",
        "{head} , the {tail} , [tonight|today]",
        "the {tail} and {head}",
        "look , the {tail} and {head}",
        "the {tail} : {head}",
    ),
}

# What tells a label in an image, and what tells the label None where the text leaves it open.
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

# True of every image.
CAPTIONS = (
    "a picture posted online",
    "a drawing of a few things",
    "an image in bright colours",
    "some things on a plain background",
    "a simple illustration",
    "a square picture",
)

FILLERS = (
    *["lol", "omg", "wow", "ok", "tbh", "fyi", "news", "!!", "...", "?", "&amp;", "🔥", "🎉", "👀", "✨"],
    *["good morning", "just in", "check this out", "what a day", "have a look", "on my way", "no comment", "see below"],
)
TEXT_LENGTH = (68, 80)  # in characters; see `surroundings`

# No coarse word comes of these.
SYLLABLES = re.findall(
    r"\w+",
    "ba be bo da de do fe fi zu ka ko la le li lo lu ma me mi mo mu no nu ra re ri ro ru sa se so ta te to va ve vi vo",
)
CODAS = ("", "l", "n", "r", "s")
AFFIXES = {
    "loc": ("{}", "Port {}", "Lake {}", "{} Bay", "{} Hill"),
    "org": ("{} FC", "{} Labs", "{} Band", "Team {}"),
    "misc": ("Golden {}", "Grand {}", "{} Gala", "{} Night"),
}


@dataclass(frozen=True)
class Post:
    """What a row is about, before anything of it is written or drawn."""

    types: str
    label: str
    needs_image: bool
    relevance: float | None = 1.0
    misleading: bool = False


# Plans: which posts a split has.


def relation_types(label: str) -> str:
    """`"/per/per/couple"` -> `"per/per"`."""
    return label[1:].rpartition("/")[0]


def labels_of(types: str) -> list[str]:
    """The labels that a pair of these types can have in the corpus, `None` last."""
    return [label for label in SYMBOLS if relation_types(label) == types] + ["None"]


def plan(
    rows: int, rng: random.Random, needs_image: float, irrelevant: float, missing: float, misleading: float
) -> list[Post]:
    """The posts of a split in random order: exact shares, labels in equal numbers but for `None`, which is a third."""
    # Rounding running sums, not each share, keeps the parts from exceeding the whole.
    bounds = [*(round(rows * share) for share in accumulate((needs_image, irrelevant, missing))), rows]
    num_open = bounds[0]
    num_irrelevant, num_missing, num_relevant = (end - start for start, end in pairwise(bounds))
    num_misleading = round(num_irrelevant * misleading)
    images = (
        [(0.0, True)] * num_misleading
        + [(0.0, False)] * (num_irrelevant - num_misleading)
        + [(None, False)] * num_missing
        + [(1.0, False)] * num_relevant
    )
    plain_labels = evenly([*PLAIN] + ["None"] * (len(PLAIN) // 2), rows - num_open, rng)
    none_types = iter(evenly([*PLAIN_NONE], plain_labels.count("None"), rng))
    posts = [
        Post(next(none_types) if label == "None" else relation_types(label), label, False, *image)
        for label, image in zip(plain_labels, images, strict=True)
    ]
    readings = [(types, label) for types in AMBIGUOUS for label in labels_of(types)]
    posts += [Post(types, label, True) for types, label in evenly(readings, num_open, rng)]
    rng.shuffle(posts)
    return posts


def evenly(items: list, number: int, rng: random.Random) -> list:
    """`number` of the items in random order, each as often as any other, give or take one."""
    rounds, rest = divmod(number, len(items))
    chosen = items * rounds + rng.sample(items, rest)
    rng.shuffle(chosen)
    return chosen


# Texts.


def word(rng: random.Random, split: int, syllables: int) -> str:
    """
    An invented word. All syllables end in their only vowel, so a word can be cut in one way only, and the sum of its
    syllables' numbers, modulo the number of splits, is the split it belongs to.
    """
    while True:
        numbers = rng.sample(range(len(SYLLABLES)), syllables)
        if sum(numbers) % len(SPLITS) == split:
            return ("".join(SYLLABLES[number] for number in numbers) + rng.choice(CODAS)).capitalize()


def name(rng: random.Random, split: int, kind: str) -> str:
    """The invented name of a person, place, organisation, or of something between an event and an award."""
    if kind == "per":
        return f"{word(rng, split, 2)} {word(rng, split, 2)}"
    return rng.choice(AFFIXES[kind]).format(word(rng, split, 3))


def hashtag(rng: random.Random, length: int) -> str:
    """`#` and invented letters, `length` characters in all."""
    return ("#" + "".join(rng.sample(SYLLABLES, length)))[:length]


def write(rng: random.Random, split: int, post: Post) -> dict:
    """The columns `text`, `head`, `tail` and `template` of a post."""
    if post.needs_image:
        family, templates = f"open {post.types}", AMBIGUOUS[post.types]
    elif post.label == "None":
        family, templates = f"none {post.types}", PLAIN_NONE[post.types]
    else:
        family, templates = post.label, PLAIN[post.label]
    first, second = rng.choice((("{head}", "{tail}"), ("{tail}", "{head}")))
    template = rng.choice([t for t in templates if "{a}" in t or t.index(first) < t.index(second)])
    core = template.replace("{a}", first).replace("{b}", second)
    core = re.sub(r"\[([^]]*)\]", lambda choice: rng.choice(choice[1].split("|")), core)

    head_kind, tail_kind = post.types.split("/")
    names = {"head": name(rng, split, head_kind), "tail": name(rng, split, tail_kind)}
    while set(names["head"].split()) & set(names["tail"].split()):
        names["tail"] = name(rng, split, tail_kind)
    before, after = surroundings(rng, split, len(core.format(**names)))
    text, spans = " ".join([*before, ""]), {}
    for piece in re.split(r"{(head|tail)}", core):
        if piece in names:
            spans[piece] = [len(text), len(text) + len(names[piece])]
        text += names.get(piece, piece)
    return {"text": " ".join([text, *after]), **spans, "template": f"{family} {templates.index(template)}"}


def surroundings(rng: random.Random, split: int, length: int) -> tuple[list[str], list[str]]:
    """What stands before and after a core of `length` characters; the whole text's length is drawn regardless of it."""
    room = rng.randint(*TEXT_LENGTH) - length
    before, after = [], []
    if rng.random() < 0.2:
        before = ["RT", f"@{word(rng, split, 2)}", ":"]
        room -= len(" ".join(before)) + 1
    while room > 10:
        # Four characters must remain for the hashtag, which fills up the rest: a space, # and two letters.
        filler = rng.choice([filler for filler in FILLERS if len(filler) + 1 <= room - 4])
        room -= len(filler) + 1
        (before if rng.random() < 0.3 else after).append(filler)
    after.insert(rng.randrange(len(after) + 1), hashtag(rng, room - 1))
    return before, after


# Images.

Ink = str | tuple[int, int, int]
Box = tuple[float, float, float, float]
OUTLINE = "#333333"


class Brush:
    """Draws in a box of an image: coordinates, `x0, y0, x1, y1` or `"x,y x,y …"`, run from 0 to 100 over the box."""

    def __init__(self, draw: ImageDraw.ImageDraw, box: Box):
        self.draw, self.box = draw, box
        self.width = max(1, draw.im.size[0] // 90)

    def place(self, *coordinates: float) -> list[float]:
        x0, y0, x1, y1 = self.box
        return [
            y0 + (y1 - y0) * value / 100 if place % 2 else x0 + (x1 - x0) * value / 100
            for place, value in enumerate(coordinates)
        ]

    def path(self, points: str) -> list[float]:
        return self.place(*map(float, points.replace(",", " ").split()))

    def ellipse(self, *corners: float, fill: Ink, outline: Ink | None = OUTLINE):
        self.draw.ellipse(self.place(*corners), fill, outline, self.width)

    def rectangle(self, *corners: float, fill: Ink):
        self.draw.rectangle(self.place(*corners), fill, OUTLINE, self.width)

    def polygon(self, points: str, fill: Ink, outline: Ink | None = OUTLINE):
        self.draw.polygon(self.path(points), fill, outline, self.width)

    def line(self, points: str, fill: Ink = OUTLINE, width: int = 1):
        self.draw.line(self.path(points), fill, self.width * width)

    def arc(self, *corners: float, start: int, end: int, fill: Ink = OUTLINE, width: int = 1):
        self.draw.arc(self.place(*corners), start, end, fill, self.width * width)

    def pie(self, *corners: float, start: int, end: int, fill: Ink):
        self.draw.pieslice(self.place(*corners), start, end, fill, OUTLINE, self.width)


def colour(rng: random.Random, hue: float, saturation: float = 0.85, value: float = 0.9) -> tuple[int, int, int]:
    """An RGB colour near the given one."""
    hue, saturation, value = (
        hue + rng.uniform(-0.02, 0.02),
        saturation + rng.uniform(-0.1, 0.1),
        value + rng.uniform(-0.1, 0.1),
    )
    return tuple(round(255 * part) for part in colorsys.hsv_to_rgb(hue % 1, min(saturation, 1), min(value, 1)))


def person(brush: Brush, rng: random.Random, shirt: float | None = None):
    shirt = colour(rng, rng.random() if shirt is None else shirt, 0.35, 0.8)
    skin = colour(rng, 0.07, rng.uniform(0.3, 0.6), rng.uniform(0.5, 0.9))
    brush.rectangle(30, 70, 46, 100, fill="#3b4252")
    brush.rectangle(54, 70, 70, 100, fill="#3b4252")
    brush.polygon("26,38 74,38 94,70 80,76 72,60 72,76 28,76 28,60 20,76 6,70", fill=shirt)
    brush.ellipse(32, 0, 68, 36, fill=skin)
    brush.arc(41, 12, 59, 28, start=20, end=160)


def tree(brush: Brush, rng: random.Random):
    brush.rectangle(42, 60, 58, 100, fill="#7a5230")
    brush.ellipse(14, 0, 86, 70, fill=colour(rng, 0.3, 0.4, 0.6))


def cloud(brush: Brush, rng: random.Random):
    white = colour(rng, 0.6, 0.05, 0.95)
    for corners in ((0, 35, 50, 80), (50, 35, 100, 80), (20, 15, 80, 85)):
        brush.ellipse(*corners, fill=white, outline="#b8c0cc")


def flower(brush: Brush, rng: random.Random):
    petals = colour(rng, rng.random(), 0.3, 0.95)
    brush.line("50,50 50,100", fill="#3f8f4f", width=3)
    for x, y in ((20, 10), (50, 10), (20, 40), (50, 40)):
        brush.ellipse(x, y, x + 32, y + 32, fill=petals)
    brush.ellipse(38, 28, 64, 54, fill="#fff3b0")


def heart(brush: Brush, rng: random.Random):
    red = colour(rng, 0.97)
    brush.polygon("4,40 96,40 50,100", fill=red, outline=red)
    brush.ellipse(0, 6, 53, 60, fill=red, outline=red)
    brush.ellipse(47, 6, 100, 60, fill=red, outline=red)
    brush.ellipse(14, 18, 30, 34, fill="#ffd9e3", outline=None)


def ball(brush: Brush, rng: random.Random):
    brush.ellipse(0, 0, 100, 100, fill=colour(rng, 0.27, 0.9, 0.9))
    brush.line("50,0 50,100")
    brush.line("0,50 100,50")
    brush.arc(-55, 5, 35, 95, start=-54, end=54)
    brush.arc(65, 5, 155, 95, start=126, end=234)


def bus(brush: Brush, rng: random.Random):
    brush.rectangle(0, 12, 100, 84, fill=colour(rng, 0.6))
    for x in (6, 29, 52, 75):
        brush.rectangle(x, 22, x + 18, 46, fill="#e8f4ff")
    for x in (12, 64):
        brush.ellipse(x, 70, x + 26, 98, fill="#222222")


def house(brush: Brush, rng: random.Random):
    brush.rectangle(10, 42, 90, 100, fill=colour(rng, 0.11, 0.6, 0.95))
    brush.polygon("0,46 50,0 100,46", fill=colour(rng, 0.06, 0.7, 0.45))
    brush.rectangle(56, 62, 78, 100, fill="#6b3e26")
    brush.rectangle(20, 56, 44, 78, fill="#cfe8ff")


def pram(brush: Brush, rng: random.Random):
    pink = colour(rng, 0.88, 0.6, 0.95)
    brush.line("82,45 100,20", width=3)
    brush.pie(4, 0, 84, 90, start=180, end=300, fill=pink)
    brush.pie(4, 6, 84, 84, start=0, end=180, fill=pink)
    for x in (14, 52):
        brush.ellipse(x, 76, x + 24, 100, fill="#f5f5f5")


def plane(brush: Brush, rng: random.Random):
    cyan = colour(rng, 0.5, 0.9, 0.75)
    brush.polygon("2,4 20,4 36,44 8,44", fill=cyan)
    brush.ellipse(0, 30, 100, 68, fill=cyan)
    brush.polygon("36,52 66,52 36,98 18,98", fill="#f2f7fa")
    for x in (30, 46, 62):
        brush.ellipse(x, 40, x + 9, 49, fill="#ffffff", outline=None)


def badge(brush: Brush, rng: random.Random):
    brush.polygon("8,4 92,4 92,56 50,100 8,56", fill=colour(rng, 0.66, 0.9, 0.5))
    brush.polygon("50,16 60,40 84,42 64,56 72,80 50,66 28,80 36,56 16,42 40,40", fill="#ffffff")


def city_map(brush: Brush, rng: random.Random):
    brush.polygon("0,20 33,8 66,20 100,8 100,88 66,100 33,88 0,100", fill=colour(rng, 0.36, 0.6, 0.8))
    brush.line("33,8 33,88")
    brush.line("66,20 66,100")
    brush.line("4,84 30,50 70,66 98,30", fill="#fff7d6", width=3)
    brush.ellipse(42, 30, 60, 48, fill="#d62839")


def stage(brush: Brush, rng: random.Random):
    purple = colour(rng, 0.77, 0.8, 0.65)
    brush.rectangle(0, 4, 100, 90, fill="#2a1a3a")
    brush.polygon("50,10 78,90 22,90", fill="#fff6c8", outline=None)
    brush.polygon("0,4 46,4 20,50 26,90 0,90", fill=purple)
    brush.polygon("100,4 54,4 80,50 74,90 100,90", fill=purple)
    brush.rectangle(0, 86, 100, 100, fill="#8a5a34")


def trophy(brush: Brush, rng: random.Random):
    gold = colour(rng, 0.14, 0.9, 0.95)
    brush.arc(2, 8, 40, 50, start=80, end=280, fill=gold, width=4)
    brush.arc(60, 8, 98, 50, start=-100, end=100, fill=gold, width=4)
    brush.polygon("18,0 82,0 74,44 56,58 56,76 78,84 78,100 22,100 22,84 44,76 44,58 26,44", fill=gold)


def television(brush: Brush, rng: random.Random):
    brush.line("26,0 50,22 74,0", width=2)
    brush.rectangle(0, 20, 100, 90, fill="#3a3a40")
    brush.rectangle(8, 29, 76, 81, fill=colour(rng, 0.5, 0.5, 0.75))
    for y in (34, 54):
        brush.ellipse(82, y, 94, y + 12, fill="#d0d0d0")


def cup(brush: Brush, rng: random.Random):
    brush.arc(60, 40, 100, 80, start=-90, end=90, fill="#7a4a2b", width=4)
    brush.polygon("6,30 80,30 68,100 18,100", fill=colour(rng, 0.06, 0.55, 0.6))
    brush.line("30,22 36,2", fill="#9a9a9a", width=2)
    brush.line("54,22 60,2", fill="#9a9a9a", width=2)


def fish(brush: Brush, rng: random.Random):
    teal = colour(rng, 0.45, 0.7, 0.7)
    brush.polygon("66,50 100,20 100,80", fill=teal)
    brush.ellipse(0, 20, 78, 80, fill=teal)
    brush.ellipse(14, 36, 28, 50, fill="#ffffff")


def mountain(brush: Brush, rng: random.Random):
    grey = colour(rng, 0.6, 0.15, 0.5)
    brush.polygon("0,100 42,4 80,100", fill=grey)
    brush.polygon("42,4 28,36 42,28 54,36", fill="#ffffff")
    brush.polygon("44,100 76,40 100,100", fill=grey)


def umbrella(brush: Brush, rng: random.Random):
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
TWO_PEOPLE = ("heart", "ball", "bus")
NO_PEOPLE = ("city_map", *UNRELATED)


def scene_of(post: Post, rng: random.Random) -> str | None:
    """What the image of a post shows; `None` if there is no image."""
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


def draw(rng: random.Random, scene: str, size: int) -> tuple[bytes, list[list[int]]]:
    """
    Draws a scene: its symbol above two companions, people or props.

    Returns:
        The image as PNG, and the boxes `[x0, y0, x1, y1]` of a random choice of the three things, as a detector that
        misses some would give them. Where the boxes are does not depend on what is drawn in them.
    """
    scale = 4  # drawn larger, then averaged: smooth edges
    canvas = background(rng, scale * size)
    boxes = layout(rng)
    brushes = [Brush(ImageDraw.Draw(canvas), tuple(scale * size * side for side in box)) for box in boxes]
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
        # Not randrange, which draws more or fewer random bits by size, and so would change all that follows.
        image.putpixel((int(rng.random() * size), int(rng.random() * size)), colour(rng, rng.random(), 0.4, 0.8))
    found = rng.sample(boxes, rng.randint(0, 3))
    with io.BytesIO() as file:
        image.save(file, "PNG")
        return file.getvalue(), [[min(max(round(size * side), 0), size) for side in box] for box in found]


def background(rng: random.Random, size: int) -> PILImage.Image:
    """A pale sky above pale ground."""
    sky = PILImage.new("RGB", (1, 2))
    sky.putdata([colour(rng, rng.random(), 0.1, 0.95) for _ in range(2)])
    canvas = sky.resize((size, size), PILImage.Resampling.BILINEAR)
    horizon = rng.uniform(0.62, 0.85) * size
    ImageDraw.Draw(canvas).rectangle((0, horizon, size, size), colour(rng, rng.random(), 0.15, 0.85))
    return canvas


def layout(rng: random.Random) -> list[Box]:
    """Boxes of two companions, left and right in random order, and of the symbol, in parts of the image's size."""
    boxes = []
    for low, high in rng.sample(((0.0, 0.12), (0.46, 0.56)), 2):
        side, left, bottom = rng.uniform(0.38, 0.48), rng.uniform(low, high), rng.uniform(0.88, 1.0)
        boxes.append((left, bottom - side, left + side, bottom))
    side = rng.uniform(0.48, 0.6)
    left, top = rng.uniform(0.02, 0.98 - side), rng.uniform(0.02, 0.1)
    return [*boxes, (left, top, left + side, top + side)]


# The corpus.


def make_corpus(
    rows: Mapping[str, int] | None = None,
    *,
    seed: int = 0,
    needs_image_share: float = 0.5,
    irrelevant_share: float = 0.2,
    missing_share: float = 0.1,
    misleading_share: float = 0.5,
    caption_share: float = 0.5,
    image_size: int = 64,
) -> DatasetDict:
    r"""
    Writes and draws a corpus; see the module's docstring for what it holds and what it does not give away.

    Args:
        rows (`Mapping[str, int]`, *optional*, defaults to `DEFAULT_ROWS`):
            How many rows each split has, of train, validation and test.
        seed (`int`, *optional*, defaults to 0):
            Another seed, another corpus. Python's and numpy's global random state is neither used nor touched.
        needs_image_share (`float`, *optional*, defaults to 0.5):
            The share of posts whose label only the image tells.
        irrelevant_share, missing_share (`float`, *optional*, default to 0.2 and 0.1):
            The share of posts, out of all, whose image is irrelevant or absent. These are posts whose text tells the
            label, so together with `needs_image_share` they make up 1 at most; the rest has text and image agree.
        misleading_share (`float`, *optional*, defaults to 0.5):
            The share of the irrelevant images that show the scene of another label, not just any object.
        caption_share (`float`, *optional*, defaults to 0.5):
            The share of images with a caption. Captions are vague: none says what is in its image.
        image_size (`int`, *optional*, defaults to 64):
            Width and height of the images in pixels. What they show, and the texts, do not depend on it.

    Returns:
        `datasets.DatasetDict`: one `Dataset` a split, with the columns of `FEATURES`: those that `load_mnre` yields
        (`id`, `text`, `head`, `tail`, `image`, `objects`, `caption`, `relevance`, `label`) and three which say how the
        row was made and never reach a model: `needs_image`, `template`, and `scene`, what the image shows.

    Raises:
        ValueError: An unknown split, a negative number, or shares that do not fit into 1.

    Example:

    ```python
    >>> corpus = make_corpus({"train": 4500, "test": 900})
    >>> round(text_only_ceiling(corpus["test"]), 3)
    0.667
    ```
    """
    rows = DEFAULT_ROWS if rows is None else rows
    shares = {
        "needs_image_share": needs_image_share,
        "irrelevant_share": irrelevant_share,
        "missing_share": missing_share,
        "misleading_share": misleading_share,
        "caption_share": caption_share,
    }
    check_arguments(rows, shares, image_size)
    corpus = DatasetDict()
    for split, number in rows.items():
        # A string seed is hashed by SHA-512, the same in every process.
        rng = random.Random(f"{seed} {split}")
        posts = plan(number, rng, needs_image_share, irrelevant_share, missing_share, misleading_share)
        columns = {column: [] for column in FEATURES}
        for row in rows_of(posts, rng, split, caption_share, image_size):
            for column, value in row.items():
                columns[column].append(value)
        corpus[split] = Dataset.from_dict(columns, features=FEATURES)
    return corpus


def check_arguments(rows: Mapping[str, int], shares: Mapping[str, float], image_size: int):
    """Raises `ValueError` if no corpus can have these numbers."""
    for split, number in rows.items():
        if split not in SPLITS:
            raise ValueError(f"`rows` asks for a split {split!r}; the corpus has {', '.join(SPLITS)}.")
        if number < 1:
            raise ValueError(
                f"`rows` asks for {number} rows of {split}; expected 1 or more. Leave out unwanted splits."
            )
    for argument, share in shares.items():
        if not 0 <= share <= 1:
            raise ValueError(f"`{argument}` is {share}; expected a share from 0 to 1.")
    exclusive = [argument for argument in shares if argument not in ("misleading_share", "caption_share")]
    total = sum(shares[argument] for argument in exclusive)
    if total > 1 + 1e-9:
        raise ValueError(
            f"{', '.join(f'`{argument}` {shares[argument]}' for argument in exclusive)} add up to {total:g}; they are "
            "shares of all rows that exclude each other: lower one so that they make up 1 at most."
        )
    if image_size < 16:
        raise ValueError(f"`image_size` is {image_size}; nothing can be told on fewer than 16 pixels a side.")


def rows_of(posts: list[Post], rng: random.Random, split: str, caption_share: float, image_size: int) -> Iterator[dict]:
    """The rows of a split: every post written and drawn."""
    for number, post in enumerate(posts):
        text = write(rng, SPLITS.index(split), post)
        # Images and captions have their own, so that posts read the same whatever their images show.
        own = f"{rng.random()} {number}"
        chance, words = random.Random(own), random.Random(f"{own} caption")
        scene, image, boxes, caption = scene_of(post, chance), None, [], None
        if scene is not None:
            image, boxes = draw(chance, scene, image_size)
            caption = words.choice(CAPTIONS) if words.random() < caption_share else None
        yield {
            "id": f"{split}-{number}",
            **text,
            "image": image and {"bytes": image, "path": None},
            "objects": boxes,
            "caption": caption,
            "relevance": post.relevance,
            "label": LABELS.index(post.label),
            "needs_image": post.needs_image,
            "scene": scene,
        }


def text_only_ceiling(dataset: Dataset) -> float:
    r"""
    The best micro-F1 without `None` that a model can expect from the texts alone.

    Such a model can read every post that does not need its image. The texts of an ambiguous group do not depend on
    the label, so all it can do there is to answer alike: with the group's most frequent relation, right once in three
    times by default, or with `None`, which costs recall but no precision. The best choice for each group counts.

    Args:
        dataset (`datasets.Dataset`): A split that `make_corpus` made.

    Returns:
        `float`: from 0 to 1; 0.667 for the default shares.
    """
    groups: dict[str, Counter] = {}
    names = dataset.features["label"].names
    told = 0
    for needs_image, template, label in zip(dataset["needs_image"], dataset["template"], dataset["label"], strict=True):
        if needs_image:
            groups.setdefault(template.rpartition(" ")[0], Counter())[names[label]] += 1
        else:
            told += names[label] != "None"
    # For each group: (right, answered) if it is given its most frequent relation, or None.
    answers, relations = [], told
    for labels in groups.values():
        answered = labels.total()
        relations += answered - labels.pop("None", 0)
        answers.append([(max(labels.values(), default=0), answered), (0, 0)])
    scores = []
    for choice in product(*answers):
        right = told + sum(group_right for group_right, _ in choice)
        answered = told + sum(group_answered for _, group_answered in choice)
        scores.append(2 * right / max(answered + relations, 1))
    return max(scores)


__all__ = ["FEATURES", "LABELS", "make_corpus", "text_only_ceiling"]
