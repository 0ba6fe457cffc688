"""Texts of the embedded corpus: invented names, and templates filled with them."""

import random
import re
from typing import Any

from .corpus_plan import PlannedPost
from .corpus_schema import SPLITS
from .corpus_templates import AMBIGUOUS, PLAIN, PLAIN_NONE

FILLERS = (
    *["lol", "omg", "wow", "ok", "tbh", "fyi", "news", "!!", "...", "?", "&amp;", "🔥", "🎉", "👀", "✨"],
    *["good morning", "just in", "check this out", "what a day", "have a look", "on my way", "no comment", "see below"],
)
TEXT_LENGTH = (68, 80)  # in characters, shortest and longest; see `sample_context`

# No combination of these syllables is an offensive word.
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


def sample_word(rng: random.Random, split: int, syllables: int) -> str:
    """
    Invents a word that belongs to one split.

    Every syllable ends in its only vowel, so a word has one segmentation, and the sum of its syllables' indices, modulo
    the number of splits, is the index of its split.
    """
    while True:
        numbers = rng.sample(range(len(SYLLABLES)), syllables)
        if sum(numbers) % len(SPLITS) == split:
            return ("".join(SYLLABLES[number] for number in numbers) + rng.choice(CODAS)).capitalize()


def sample_name(rng: random.Random, split: int, kind: str) -> str:
    """Invents the name of an entity of type `"per"`, `"loc"`, `"org"` or `"misc"` (an event or award)."""
    if kind == "per":
        return f"{sample_word(rng, split, 2)} {sample_word(rng, split, 2)}"
    return rng.choice(AFFIXES[kind]).format(sample_word(rng, split, 3))


def sample_hashtag(rng: random.Random, length: int) -> str:
    """`#` and invented letters, `length` characters in total."""
    return ("#" + "".join(rng.sample(SYLLABLES, length)))[:length]


def write_text(rng: random.Random, split: int, post: PlannedPost) -> dict[str, Any]:
    """Writes a post: the columns `text`, `head`, `tail` and `template`."""
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
    names = {"head": sample_name(rng, split, head_kind), "tail": sample_name(rng, split, tail_kind)}
    while set(names["head"].split()) & set(names["tail"].split()):
        names["tail"] = sample_name(rng, split, tail_kind)
    before, after = sample_context(rng, split, len(core.format(**names)))
    text, spans = " ".join([*before, ""]), {}
    for piece in re.split(r"{(head|tail)}", core):
        if piece in names:
            spans[piece] = [len(text), len(text) + len(names[piece])]
        text += names.get(piece, piece)
    return {"text": " ".join([text, *after]), **spans, "template": f"{family} {templates.index(template)}"}


def sample_context(rng: random.Random, split: int, length: int) -> tuple[list[str], list[str]]:
    """
    Samples the words before and after a core of `length` characters.

    The length of the whole text is drawn first, independently of the core, so it does not reveal the label.
    """
    room = rng.randint(*TEXT_LENGTH) - length
    before: list[str] = []
    after: list[str] = []
    if rng.random() < 0.2:
        before = ["RT", f"@{sample_word(rng, split, 2)}", ":"]
        room -= len(" ".join(before)) + 1
    while room > 10:
        # Four characters must remain for the hashtag, which fills the rest: a space, # and two letters.
        filler = rng.choice([filler for filler in FILLERS if len(filler) + 1 <= room - 4])
        room -= len(filler) + 1
        (before if rng.random() < 0.3 else after).append(filler)
    after.insert(rng.randrange(len(after) + 1), sample_hashtag(rng, room - 1))
    return before, after
