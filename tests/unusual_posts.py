"""Malformed and unusual posts, with the expected outcome of each at every entry point of the package."""

import struct
import zlib
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image

ANN = {"text": "Ann meets Bob", "head": "Ann", "tail": "Bob"}
NAN = float("nan")
FAMILY, FLAG = "\U0001f468‍\U0001f469‍\U0001f467", "\U0001f1ef\U0001f1f5"
SMILE = "\N{SMILING FACE WITH OPEN MOUTH}"  # two units in UTF-16
JOSE_NFC, JOSE_NFD = "Jos\u00e9", "Jose\u0301"
EVERY = ("pipeline", "processor", "collator", "predict", "prepare", "triples", "handler", "page")


@dataclass
class Case:
    r"""
    Args:
        name: The name of the case.
        post: The post.
        pairs: Head and tail of every result; `None` if the post is rejected.
        error: A regular expression for the error message; `None` if the post is accepted.
        but: For entry points with another outcome, their pairs or the regular expression for their message.
        only: The entry points that accept this form of post.
    """

    name: str
    post: Any
    pairs: list[tuple[str, str]] | None = None
    error: str | None = None
    but: dict[str, Any] = field(default_factory=dict)
    only: tuple[str, ...] = EVERY


def fine(name: str, changes: dict[str, Any], head: str = "Ann", tail: str = "Bob", **options: Any) -> Case:
    return Case(name, {**ANN, **changes}, pairs=[(head, tail)], **options)


def refused(name: str, changes: dict[str, Any], error: str, **options: Any) -> Case:
    return Case(name, {**ANN, **changes}, error=error, **options)


def text(words: str, head: Any, tail: Any) -> dict[str, Any]:
    return {"text": words, "head": head, "tail": tail}


def words(*given: Any, head: Any = (0, 1), tail: Any = (2, 3)) -> dict[str, Any]:
    return {"text": None, "words": list(given), "head": list(head), "tail": list(tail)}


def write_images(folder) -> None:
    """Writes the image files of the posts: valid, unusual and damaged ones."""
    image = Image.effect_noise((40, 30), 80).convert("RGB")
    image.save(folder / "fine.png")
    image.save(folder / "fine.jpg")
    image.quantize(16).save(folder / "palette.gif")
    image.convert("CMYK").save(folder / "cmyk.jpg")
    Image.fromarray(np.arange(1200, dtype=np.uint16).reshape(30, 40) * 50).save(folder / "deep.png")
    Image.new("RGBA", (20, 20), (255, 0, 0, 0)).save(folder / "transparent.png")
    Image.new("L", (1, 1), 7).save(folder / "pixel.png")
    Image.new("L", (5000, 2)).save(folder / "strip.png")
    content = BytesIO()
    image.resize((400, 300)).save(content, "JPEG")
    (folder / "truncated.jpg").write_bytes(content.getvalue()[: len(content.getvalue()) // 2])
    (folder / "page.jpg").write_text("<html>404 Not Found</html>")
    (folder / "empty.png").write_bytes(b"")
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    parts = (b"IHDR", header), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")
    chunks = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts
    )
    (folder / "bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))
    (folder / "folder.png").mkdir()


IMAGE_FILES = (
    "pipeline",
    "processor",
    "collator",
    "predict",
    "prepare",
    "triples",
    "page",
)  # the server does not open paths
PREPARED = {"prepare": [("Ann", "Bob")]}  # reported, and kept without its image
# Entry points without tables, whose columns have a single type.
READ_ONE_BY_ONE = ("pipeline", "processor", "collator", "predict", "triples", "handler")
OBJECTS = ("pipeline", "collator", "predict", "triples", "prepare")

CASES = [
    # Mentions.
    fine("plain", {}),
    fine("mentions between other words", text("so Ann really meets Bob there", "Ann", "Bob")),
    fine("mention in a hashtag", text("#Ann meets #Bob", "Ann", "Bob")),
    fine("mention with a possessive", text("Ann's day with Bob’s dog", "Ann", "Bob")),
    fine("mention with a hyphen", text("Ann-Lee meets Bob", "Ann-Lee", "Bob"), head="Ann-Lee"),
    fine("mention with a curly apostrophe", text("O’Hara meets Bob", "O’Hara", "Bob"), head="O’Hara"),
    fine("longer word with an underscore beside it", text("Ann_Lee says Ann meets Bob", "Ann", "Bob")),
    fine("longer word with a digit beside it", text("Ann2 says Ann meets Bob", "Ann", "Bob")),
    fine("blanks around a mention", {"head": "  Ann ", "tail": "Bob\n"}),
    refused("not in the text", {"head": "Eve"}, "'Eve', which is not in the text"),
    refused("differs in case", {"head": "ann"}, "not in the text"),
    refused("twice in the text", text("Ann and Ann meet Bob", "Ann", "Bob"), r"2 times.*\[0, 3\), \[8, 11\)"),
    refused("overlapping occurrences", text("Bora Bora Bora by Bob", "Bora Bora", "Bob"), "2 times"),
    # Unicode.
    fine("composed mention, decomposed text", text(f"{JOSE_NFD} meets Bob", JOSE_NFC, "Bob"), head=JOSE_NFD),
    fine("decomposed mention, composed text", text(f"{JOSE_NFC} meets Bob", JOSE_NFD, "Bob"), head=JOSE_NFC),
    refused("base letters of a decomposed name", text(f"{JOSE_NFD} meets Bob", "Jose", "Bob"), "not in the text"),
    fine("Vietnamese", text("Nguyễn gặp Bob", "Nguyễn", "Bob"), head="Nguyễn"),
    fine("Arabic", text("أحمد يقابل Bob", "أحمد", "Bob"), head="أحمد"),
    fine("Hindi", text("क्षमा Bob से मिलती है", "क्षमा", "Bob"), head="क्षमा"),
    refused("part of a Hindi cluster", text("नमस्ते Bob", [0, 3], "Bob"), "cut", only=EVERY[:-1]),
    fine("Chinese", text("王小明今天见到Bob了", "王小明", "Bob"), head="王小明"),
    refused("Chinese, twice", text("王小明说:王小明见到Bob了", "王小明", "Bob"), r"2 times"),
    refused("Thai, twice", text("สมชายบอกว่าสมชายพบ Bob", "สมชาย", "Bob"), "2 times"),
    refused("Japanese, twice", text("東京は東京タワーと Bob", "東京", "Bob"), "2 times"),
    fine("emoji family as an entity", text(f"{FAMILY} meets Bob", FAMILY, "Bob"), head=FAMILY),
    refused("part of an emoji family", text(f"{FAMILY} meets Bob", [0, 1], "Bob"), "cut", only=EVERY[:-1]),
    refused("half a flag", text(f"{FLAG} meets Bob", [0, 1], "Bob"), "cut", only=EVERY[:-1]),
    fine("right to left marks", text("\u200fAnn\u200f meets Bob", "Ann", "Bob")),
    fine("null character", text("Ann \x00 meets Bob", "Ann", "Bob")),
    fine("line breaks", text("Ann\r\nmeets\n\nBob\t", "Ann", "Bob")),
    refused("half a surrogate pair", text("Ann \ud83d meets Bob", "Ann", "Bob"), "surrogate",
            only=("pipeline", "processor", "collator", "predict", "triples", "handler")),
    fine("markers in the text", text("<head> Ann </head> meets Bob [SEP] </s>", "Ann", "Bob")),
    fine("markup", text("Ann &amp; <b>Bob</b> https://t.co/x", "Ann", "Bob")),
    fine("5,000 words", text("Ann " + "says " * 5000 + "Bob", "Ann", "Bob"), but={"handler": "expected up to 10000",
         "page": "expected at most"}),
    # Spans.
    fine("spans", {"head": [0, 3], "tail": [10, 13]}, only=EVERY[:-1]),
    fine("spans as strings", {"head": "[0, 3]", "tail": "(10, 13)"}, only=EVERY[:-1]),
    fine("blanks inside spans", text(" Ann  meets Bob ", [0, 5], [11, 16]), only=EVERY[:-1]),
    fine("the same span twice", {"head": [0, 3], "tail": [0, 3]}, tail="Ann", only=EVERY[:-1]),
    fine("nested spans", {"head": [0, 13], "tail": [10, 13]}, head="Ann meets Bob", only=EVERY[:-1]),
    fine("overlapping spans", {"head": [0, 9], "tail": [4, 13]}, head="Ann meets", tail="meets Bob", only=EVERY[:-1]),
    *(
        refused(f"span {span!r}", {"head": span}, "head|span", only=EVERY[:-1])
        for span in ([3, 0], [0, 0], [0, 99], [-3, 3], [0, 1, 2], [0.5, 3], [0], [], ["0", "3"], [None, 3], 5, True)
    ),
    refused("span of a blank", {"head": [3, 4]}, "visible|blank", only=EVERY[:-1]),
    refused("span of a line break", text("Ann\nmeets Bob", [3, 4], [10, 13]), "visible|blank", only=EVERY[:-1]),
    refused("span of a zero-width space", text("Ann\u200bmeets Bob", [3, 4], [10, 13]), "visible|blank",
            only=EVERY[:-1]),
    refused("empty mention", {"head": ""}, "visible|blank|empty|enter the|no head|there is no"),
    refused("blank mention", {"head": "  "}, "visible|blank|enter the"),
    refused("invisible mention", {"head": "\u200b\ufeff"}, "visible|blank"),
    # Mappings, as returned by token classifiers.
    fine("mapping with a span", {"head": {"start": 0, "end": 3}}, only=EVERY[:-1]),
    fine("mapping with a mention", {"head": {"text": "Ann"}, "tail": {"word": "Bob"}}, only=EVERY[:-1]),
    fine("mapping with both", {"head": {"start": 0, "end": 3, "word": "Ann", "score": 0.9}}, only=EVERY[:-1]),
    fine("mapping in lower case", {"head": {"start": 0, "end": 3, "word": "ann"}}, only=EVERY[:-1]),
    fine("mapping with pieces", text("Anneliese meets Bob", {"start": 0, "end": 9, "word": "ann ##elie ##se"}, "Bob"),
         head="Anneliese", only=EVERY[:-1]),
    refused("mapping that contradicts itself", {"head": {"start": 0, "end": 3, "text": "Bob"}}, "Bob.*Ann",
            only=EVERY[:-1]),
    refused("offsets in UTF-16", text(f"{SMILE} Ann meets Bob", {"start": 3, "end": 6, "text": "Ann"}, "Bob"), "UTF-16",
            only=EVERY[:-1]),
    refused("offsets in bytes", text("Ünal sees Ann, Bob", {"start": 11, "end": 14, "text": "Ann"}, "Bob"),
            "UTF-8|bytes", only=EVERY[:-1]),
    refused("mapping without a span or a mention", {"head": {"type": "PER"}}, "expected `start` and `end`",
            only=EVERY[:-1]),
    refused("mapping with a type that is none", {"head": {"text": "Ann", "type": 3}}, "type", only=EVERY[:-1]),
    # Missing values.
    refused("no head", {"head": None}, "head", only=READ_ONE_BY_ONE),
    refused("head is NaN", {"head": NAN}, "head", only=EVERY[:-1]),
    refused("no text", {"text": None}, "text", only=EVERY[:-1]),
    refused("empty text", {"text": ""}, "text"),
    refused("blank text", {"text": " \n"}, "text"),
    refused("text is NaN", {"text": NAN}, "text|NaN", only=EVERY[:-1]),
    refused("text is a number", {"text": 5}, "text", only=EVERY[:-1]),
    refused("text is a mapping", {"text": {"de": "x"}}, "text", only=EVERY[:-1]),
    Case("no key that is known", {"tweet": "Ann meets Bob", "head": "Ann", "tail": "Bob"}, error="text",
         only=("pipeline", "collator", "predict", "triples", "handler")),
    Case("an empty post", {}, error="text|head|expected",
         only=("pipeline", "collator", "predict", "triples", "handler")),
    *(
        Case(f"a post that is {post!r}", post, error="expected", only=("pipeline", "predict", "triples", "handler"))
        for post in (None, "Ann meets Bob", 7, ["Ann", "Bob"], True)
    ),
    # Words.
    fine("words", words("Ann", "meets", "Bob"), only=EVERY[:-1]),
    fine("words and mentions", {"text": None, "words": ["Ann", "meets", "Bob"]}, only=EVERY[:-1]),
    fine("an empty word", words("Ann", "", "Bob"), only=EVERY[:-1]),
    fine("words and the same text", {"words": ["Ann", "meets", "Bob"]}, only=("pipeline", "predict", "handler")),
    refused("words and another text", {"words": ["Eve", "meets", "Bob"]}, "words",
            only=("pipeline", "predict", "handler")),
    refused("a word of blanks as an entity", words("Ann", "meets", "  "), "visible|blank", only=EVERY[:-1]),
    refused("span outside the words", words("Ann", "meets", "Bob", tail=(2, 4)), "number of words", only=EVERY[:-1]),
    refused("no words", words(), "text|words", only=EVERY[:-1]),
    refused("words in one string", {"text": None, "words": "Ann meets Bob", "head": [0, 1], "tail": [2, 3]}, "words",
            only=("pipeline", "predict", "handler", "triples")),
    refused("a word that is a number", words("Ann", 5, "Bob"), "words|text", only=("pipeline", "predict", "handler",
            "triples", "processor", "collator")),
    refused("a word that is None", words("Ann", None, "Bob"), "words|text", only=EVERY[:-1]),
    # Images.
    fine("no image", {"image": None}),
    fine("image is NaN", {"image": NAN}, only=("pipeline", "collator", "predict", "triples", "handler")),
    *(
        fine(f"image {name}", {"image": name}, only=IMAGE_FILES)
        for name in ("fine.png", "fine.jpg", "palette.gif", "cmyk.jpg", "deep.png", "transparent.png", "pixel.png")
    ),
    *(
        refused(f"image {name}", {"image": name}, error, only=IMAGE_FILES, but=PREPARED)
        for name, error in {
            "missing.png": "no such file",
            "truncated.jpg": "damaged, truncated",
            "page.jpg": "not an image|not in an image format",
            "empty.png": "not an image|not in an image format",
            "bomb.png": "3600000000 pixels|60000 × 60000 pixels",
            "strip.png": "strip",
            "folder.png": "folder",
        }.items()
    ),
    refused("image is a URL", {"image": "https://example.com/a.png"}, "URL|no such file|does not fetch", but=PREPARED,
            only=("pipeline", "collator", "predict", "prepare", "triples", "handler")),
    refused("image is a number", {"image": 5}, "image", only=("pipeline", "processor", "collator", "predict", "triples",
            "handler")),
    refused("image is empty", {"image": ""}, "image", only=("predict", "triples", "handler")),
    fine("image under another key", {"images": "fine.png"}, only=("pipeline", "collator", "predict", "triples")),
    # Objects and captions.
    fine("objects", {"image": "fine.png", "objects": [[0, 0, 20, 20], [5, 5, 40, 30]]}, only=OBJECTS),
    fine("more objects than are used", {"image": "fine.png", "objects": [[0, 0, 20, 20]] * 9}, only=OBJECTS),
    fine("no objects", {"image": "fine.png", "objects": []}, only=("pipeline", "collator", "predict", "triples")),
    fine("objects are NaN", {"image": "fine.png", "objects": NAN}, only=("pipeline", "collator", "predict", "triples")),
    *(
        refused(f"objects {boxes!r}", {"image": image, "objects": boxes}, error,
                only=("pipeline", "collator", "predict", "triples"))
        for image, boxes, error in (
            (None, [[0, 0, 20, 20]], "has no image"),
            ("fine.png", [[100, 100, 120, 120]], "no pixel"),
            ("fine.png", [[0.1, 0.1, 0.5, 0.5]], "fractions"),
            ("fine.png", [[20, 20, 0, 0]], "x0 < x1"),
            ("fine.png", [[0, 0, NAN, 20]], "finite"),
            ("fine.png", [[0, 0, 20]], "four"),
            ("fine.png", "[0, 0, 20", "objects"),
            ("fine.png", 5, "objects"),
        )
    ),
    fine("empty caption", {"caption": ""}),
    fine("caption", {"caption": "two people"}),
    fine("caption is NaN", {"caption": NAN}, only=("pipeline", "collator", "predict", "triples", "handler")),
    refused("caption is a number", {"caption": 5}, "caption", only=READ_ONE_BY_ONE),
    # All pairs.
    Case("all pairs", {"text": "Ann meets Bob", "entities": ["Ann", "Bob"]}, pairs=[("Ann", "Bob")],
         only=("pipeline", "predict", "triples", "handler")),
    Case("one entity, three times", {"text": "Ann meets Bob", "entities": ["Ann", " Ann", [0, 4], "Bob"]},
         pairs=[("Ann", "Bob")], only=("pipeline", "predict", "triples", "handler")),
    Case("typed entities", {"text": "Ann meets Bob", "entities": [{"word": "Ann", "entity_group": "PER"}, "Bob"]},
         pairs=[("Ann", "Bob")], only=("pipeline", "predict", "triples", "handler")),
    *(
        Case(f"entities {entities!r:.40}", {"text": "Ann meets Bob", "entities": entities}, error="entities",
             only=("pipeline", "predict", "triples", "handler"))
        for entities in ([], ["Ann"], ["Ann", "Ann"], "Ann", [["Ann", "Bob"]], [None, "Bob"], 3, {"a": 1})
    ),
    Case("entities beside head and tail", {**ANN, "entities": ["Ann", "Bob"]}, error="expected only one of them",
         only=("pipeline", "predict", "triples", "handler")),
    Case("65 entities", {"text": " ".join(f"e{i}x" for i in range(65)), "entities": [f"e{i}x" for i in range(65)]},
         error="64|16", only=("pipeline", "predict", "triples", "handler")),
]  # fmt: skip
