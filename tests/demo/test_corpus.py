import hashlib
import io
import os
import random
import re
import subprocess
import sys
from collections import Counter, defaultdict

import numpy as np
import pytest
from datasets import Dataset, Image
from PIL import Image as PILImage
from sklearn.model_selection import cross_val_score
from sklearn.tree import DecisionTreeClassifier

from tgdi_hf.data.mnre_schema import RELATIONS
from tgdi_hf.demo.corpus import make_corpus
from tgdi_hf.demo.corpus_ceiling import text_only_ceiling
from tgdi_hf.demo.corpus_drawings import SYMBOL_PAINTERS
from tgdi_hf.demo.corpus_images import CAPTIONS, NONE_SYMBOLS, SYMBOLS
from tgdi_hf.demo.corpus_plan import plan
from tgdi_hf.demo.corpus_schema import FEATURES, LABELS, labels_of, relation_types
from tgdi_hf.demo.corpus_templates import AMBIGUOUS, PLAIN, PLAIN_NONE
from tgdi_hf.demo.corpus_texts import AFFIXES, TEXT_LENGTH

ROWS = {"train": 1800, "validation": 90, "test": 600}


def undecoded(dataset):
    return dataset.cast_column("image", Image(decode=False)).to_list()


def digest(corpus):
    return {split: hashlib.sha256(repr(undecoded(dataset)).encode()).hexdigest() for split, dataset in corpus.items()}


@pytest.fixture(scope="module")
def corpus():
    return make_corpus(ROWS)


@pytest.fixture(scope="module")
def train(corpus):
    return undecoded(corpus["train"])


def family(row):
    return row["template"].rpartition(" ")[0]


def kinds_of_posts(rows):
    """The groups within which nothing but text and image may tell the label."""
    groups = defaultdict(list)
    for row in rows:
        groups[family(row) if row["needs_image"] else "plain"].append(row)
    return groups


# Columns


def test_columns_and_sizes(corpus):
    assert {split: len(dataset) for split, dataset in corpus.items()} == ROWS
    for split, dataset in corpus.items():
        assert dataset.features == FEATURES
        assert dataset["id"][:] == [f"{split}-{number}" for number in range(len(dataset))]
        assert dataset.features["label"].names == list(LABELS) and LABELS[0] == "None"


def test_labels_are_relations_of_mnre_in_its_order():
    assert list(LABELS) == [relation for relation in RELATIONS if relation in LABELS]


def test_spans_are_characters_that_hold_the_names(train):
    name = r"[A-Z][a-z]+"
    patterns = {
        "per": rf"{name} {name}",
        "loc": rf"{name}|(Port|Lake) {name}|{name} (Bay|Hill)",
        "org": rf"{name} (FC|Labs|Band)|Team {name}",
        "misc": rf"(Golden|Grand) {name}|{name} (Gala|Night)",
    }
    beyond_ascii = 0
    for row in train:
        types = re.search(r"(per|loc)/\w+", row["template"])[0].split("/")
        (head_start, head_end), (tail_start, tail_end) = row["head"], row["tail"]
        assert re.fullmatch(patterns[types[0]], row["text"][head_start:head_end])
        assert re.fullmatch(patterns[types[1]], row["text"][tail_start:tail_end])
        assert head_end <= tail_start or tail_end <= head_start
        beyond_ascii += not row["text"][: max(head_end, tail_end)].isascii()
    assert beyond_ascii > 100  # spans count characters, not bytes


def test_images_decode_and_hold_their_boxes(corpus):
    for row in corpus["validation"]:
        if row["image"] is None:
            assert row["objects"] == [] and row["caption"] is None and row["scene"] is None
            continue
        assert row["image"].format == "PNG" and row["image"].mode == "RGB" and row["image"].size == (64, 64)
        assert len(row["objects"]) <= 3
        for x0, y0, x1, y1 in row["objects"]:
            assert 0 <= x0 < x1 <= 64 and 0 <= y0 < y1 <= 64


def test_image_size():
    small, large = (make_corpus({"test": 12}, image_size=size)["test"] for size in (32, 96))
    assert {row["image"].size for row in large if row["image"]} == {(96, 96)}
    assert small["text"][:] == large["text"][:]
    for one, other in zip(small, large, strict=True):
        # Rounded to pixels of 1/32 and of 1/96.
        assert np.array(one["objects"]) * 3 == pytest.approx(np.array(other["objects"]), abs=2)
    assert sum(len(row["objects"]) for row in small) > 0


# Reproducibility


def test_same_seed_same_bytes_whatever_the_global_state():
    corpus = make_corpus({"train": 60, "test": 30})
    random.seed(1)
    np.random.seed(1)
    state = random.getstate(), np.random.get_state()[1].tolist()
    again = make_corpus({"test": 30, "train": 60})
    assert digest(corpus) == digest(again)
    assert state == (random.getstate(), np.random.get_state()[1].tolist())
    assert digest(make_corpus({"train": 60, "test": 30}, seed=1))["train"] != digest(corpus)["train"]


@pytest.mark.slow  # starts processes
def test_same_bytes_in_another_process():
    code = "from test_corpus import digest, make_corpus; print(digest(make_corpus({'train': 40}))['train'])"
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    here = os.path.dirname(os.path.abspath(__file__))
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=here, env=environment, capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == digest(make_corpus({"train": 40}))["train"]


def test_a_split_does_not_depend_on_the_others():
    assert digest(make_corpus({"test": 30}))["test"] == digest(make_corpus({"train": 50, "test": 30}))["test"]


def test_splits_share_no_word_of_a_name_and_no_image(corpus):
    affixes = {word for patterns in AFFIXES.values() for pattern in patterns for word in pattern.split()}
    words, images = [], []
    for dataset in corpus.values():
        rows = undecoded(dataset)
        names = " ".join(row["text"][slice(*row[slot])] for row in rows for slot in ("head", "tail"))
        words.append(set(names.split()) - affixes)
        drawn = [row["image"]["bytes"] for row in rows if row["image"]]
        images.append(set(drawn))
        assert len(set(drawn)) == len(drawn)
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert not words[one] & words[other]
        assert not images[one] & images[other]


# Shares


@pytest.mark.parametrize(
    ("needs_image", "irrelevant", "missing", "misleading"),
    [
        (0.5, 0.2, 0.1, 0.5),
        (0.0, 0.0, 1.0, 0.0),
        (0.4, 0.6, 0.0, 1.0),
        (1.0, 0.0, 0.0, 0.0),
        (1 / 3, 1 / 3, 1 / 3, 0.5),
    ],
)
@pytest.mark.parametrize("rows", [1, 7, 1000])
def test_shares_hold_to_the_row(needs_image, irrelevant, missing, misleading, rows):
    posts = plan(rows, random.Random(0), needs_image, irrelevant, missing, misleading)
    relevance = Counter(post.relevance for post in posts)
    assert len(posts) == rows
    assert sum(post.needs_image for post in posts) == pytest.approx(rows * needs_image, abs=0.5)
    assert relevance[0.0] == pytest.approx(rows * irrelevant, abs=1)
    assert relevance[None] == pytest.approx(rows * missing, abs=1)
    assert sum(post.misleading for post in posts) == pytest.approx(relevance[0.0] * misleading, abs=0.5)
    assert all(post.relevance == 1.0 for post in posts if post.needs_image)


def test_labels_are_balanced(train):
    for kind, rows in kinds_of_posts(train).items():
        counts = Counter(LABELS[row["label"]] for row in rows)
        assert counts.pop("None") == pytest.approx(len(rows) / 3, abs=1), kind
        assert max(counts.values()) - min(counts.values()) <= 1, kind
        assert set(counts) == (set(LABELS[1:]) if kind == "plain" else set(labels_of(kind[5:])) - {"None"})


def test_caption_share():
    for share in (0.0, 0.3, 1.0):
        rows = undecoded(make_corpus({"train": 400}, caption_share=share, image_size=16)["train"])
        drawn = [row for row in rows if row["image"]]
        assert sum(row["caption"] is not None for row in drawn) / len(drawn) == pytest.approx(share, abs=0.07)


# What tells the label, and what does not


def test_the_image_tells_what_the_text_leaves_open(train):
    open_rows = [row for row in train if row["needs_image"]]
    labels, readings = defaultdict(set), defaultdict(set)
    for row in open_rows:
        labels[row["template"]].add(row["label"])
        readings[family(row), row["scene"]].add(row["label"])
        assert row["image"] is not None and row["relevance"] == 1.0
    assert all(len(found) == 3 for found in labels.values())
    assert all(len(found) == 1 for found in readings.values())


def test_the_text_tells_the_rest(train):
    labels = defaultdict(set)
    for row in train:
        if not row["needs_image"]:
            labels[row["template"]].add(row["label"])
            assert (row["image"] is None) == (row["relevance"] is None)
    assert all(len(found) == 1 for found in labels.values())
    every_text = [*PLAIN.values(), *PLAIN_NONE.values(), *AMBIGUOUS.values()]
    every_text = [text for texts in every_text for text in texts]
    assert len(set(every_text)) == len(every_text)
    assert len({row["template"] for row in train}) == len(every_text)


def test_no_irrelevant_image_shows_the_label_and_half_mislead(train):
    told_by = {symbol: label for label, symbol in SYMBOLS.items()}
    told_by |= dict.fromkeys(NONE_SYMBOLS.values(), "None")
    irrelevant = [row for row in train if row["relevance"] == 0]
    misleading = [row for row in irrelevant if row["scene"] in told_by]
    assert len(misleading) == len(irrelevant) / 2
    assert all(told_by[row["scene"]] != LABELS[row["label"]] for row in misleading)
    assert {row["scene"] for row in misleading} == set(told_by)
    relevant = [row for row in train if row["relevance"] == 1]
    assert all(told_by[row["scene"]] == LABELS[row["label"]] for row in relevant)


def metadata(row, place):
    """All there is to a row beside the wording of its text and the content of its image."""
    size = PILImage.open(io.BytesIO(row["image"]["bytes"])).size if row["image"] else (0, 0)
    boxes = np.array(row["objects"]).reshape(-1, 4)
    return [
        place,
        row["image"] is not None,
        *size,
        -1 if row["relevance"] is None else row["relevance"],
        len(row["objects"]),
        *(boxes.mean(axis=0) if len(boxes) else np.zeros(4)),
        (boxes[:, 2] - boxes[:, 0]).max(initial=0),
        row["caption"] is not None,
        CAPTIONS.index(row["caption"]) if row["caption"] else -1,
        len(row["text"]),
        row["head"][0] < row["tail"][0],
    ]


def gain_over_majority(features, labels):
    """How much better than always the most frequent label a decision tree is on rows it did not see."""
    tree = DecisionTreeClassifier(max_depth=4, min_samples_leaf=5, random_state=0)
    accuracy = cross_val_score(tree, np.array(features, dtype=float), labels, cv=5).mean()
    return accuracy - Counter(labels).most_common(1)[0][1] / len(labels)


@pytest.mark.parametrize("relation_or_none", [False, True])
def test_nothing_beside_text_and_image_tells_the_label(train, relation_or_none):
    for kind, rows in kinds_of_posts(train).items():
        features = [metadata(row, int(row["id"].partition("-")[2])) for row in rows]
        labels = [bool(row["label"]) if relation_or_none else row["label"] for row in rows]
        assert gain_over_majority(features, labels) < 0.08, kind
        # The check can tell: a hint that is right for half of the rows shows.
        hint = [
            [*values, label if i % 2 else -1] for i, (values, label) in enumerate(zip(features, labels, strict=True))
        ]
        assert gain_over_majority(hint, labels) > 0.08, kind


def test_the_place_in_the_split_does_not_tell_the_kind_of_post(train):
    first_half = [row["needs_image"] for row in train[: len(train) // 2]]
    assert np.mean(first_half) == pytest.approx(0.5, abs=3.5 * 0.5 / len(first_half) ** 0.5)


def test_head_and_tail_come_first_equally_often_under_every_label(train):
    for kind, rows in kinds_of_posts(train).items():
        for label in {row["label"] for row in rows}:
            order = [row["head"][0] < row["tail"][0] for row in rows if row["label"] == label]
            spread = 3.5 * 0.5 / len(order) ** 0.5
            assert np.mean(order) == pytest.approx(0.5, abs=spread), (kind, LABELS[label])


def test_every_text_has_a_length_drawn_beforehand(train):
    lengths = Counter(len(row["text"]) for row in train)
    shortest, longest = TEXT_LENGTH
    assert set(lengths) == set(range(shortest, longest + 1))
    expected = len(train) / len(lengths)
    assert sum((count - expected) ** 2 / expected for count in lengths.values()) < 33  # chi-square, 12 degrees: p 0.001


def test_the_longest_core_leaves_room_for_the_rest():
    longest = {kind: max(len(pattern) - 2 + 7 for pattern in patterns) for kind, patterns in AFFIXES.items()}
    longest["per"] = 5 + 1 + 5
    room = TEXT_LENGTH[0] - len("RT @Babel : ") - len(" #ab")
    relations = [(relation_types(label), texts) for label, texts in PLAIN.items()]
    for types, texts in [*relations, *PLAIN_NONE.items(), *AMBIGUOUS.items()]:
        names = sum(longest[kind] for kind in types.split("/"))
        for text in texts:
            words = re.sub(r"\[([^]]*)\]", lambda choice: max(choice[1].split("|"), key=len), text)
            assert len(re.sub(r"{\w+}", "", words)) + names <= room, text


def test_every_order_has_equally_many_templates():
    for texts in [*PLAIN.values(), *PLAIN_NONE.values(), *AMBIGUOUS.values()]:
        directed = [text.index("{head}") < text.index("{tail}") for text in texts if "{a}" not in text]
        assert sum(directed) * 2 == len(directed)


def test_captions_are_vague():
    words = {word for caption in CAPTIONS for word in caption.split()}
    assert not words & {*SYMBOL_PAINTERS, "person", "people", "tree", "cloud", "flower", "couple", "team"}


# The ceiling


def labelled(*rows):
    features = FEATURES.copy()
    features = {column: features[column] for column in ("needs_image", "template", "label")}
    columns = zip(*rows, strict=True)
    return Dataset.from_dict(dict(zip(features, columns, strict=True))).cast_column("label", FEATURES["label"])


@pytest.mark.parametrize(
    ("open_labels", "ceiling"),
    [
        ([], 1.0),
        # None: 2 right of 2 answered and 4 relations. A guess: 3 right of 5 answered and 4.
        ([1, 2, 0], 2 * 3 / (5 + 4)),
        # A guess: 4 right of 5 answered and 5.
        ([1, 1, 2], 2 * 4 / (5 + 5)),
        # None: 2 right of 2 answered and 3 relations. A guess: 3 right of 6 answered and 3.
        ([1, 0, 0, 0], 2 * 2 / (2 + 3)),
    ],
)
def test_text_only_ceiling_by_hand(open_labels, ceiling):
    plain = [(False, "/per/per/couple 0", 1), (False, "/per/per/peer 1", 2), (False, "none per/per 0", 0)]
    rows = plain + [(True, f"open per/per {i}", label) for i, label in enumerate(open_labels)]
    assert text_only_ceiling(labelled(*rows)) == pytest.approx(ceiling)


def test_groups_may_be_answered_differently():
    rows = [(True, "open per/per 0", 1)] * 4 + [(True, "open per/loc 0", 0)] * 9 + [(True, "open per/loc 0", 4)]
    # Couples are all guessed, the other group is all None: 4 right of 4 answered and 5 relations.
    assert text_only_ceiling(labelled(*rows)) == pytest.approx(2 * 4 / (4 + 5))


def test_text_only_ceiling_of_the_default_shares(corpus):
    assert text_only_ceiling(corpus["test"]) == pytest.approx(2 / 3, abs=0.01)


# Errors


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rows": {"dev": 10}}, "a split 'dev'; expected train, validation, test"),
        ({"rows": {"test": 0}}, "has 0 rows of test; expected 1 or more"),
        ({"missing_share": -0.1}, "`missing_share` is -0.1; expected a share from 0 to 1"),
        ({"caption_share": 1.5}, "`caption_share` is 1.5; expected a share from 0 to 1"),
        (
            {"irrelevant_share": 0.6},
            r"`needs_image_share` 0.5, `irrelevant_share` 0.6, .* add up to 1.2; expected at most 1",
        ),
        ({"image_size": 8}, "`image_size` is 8"),
    ],
)
def test_refusals(arguments, message):
    with pytest.raises(ValueError, match=message):
        make_corpus(**arguments)


def test_the_share_of_irrelevant_images_changes_images_alone():
    few, many = (
        make_corpus({"test": 40}, needs_image_share=0.5, irrelevant_share=share, missing_share=0)["test"]
        for share in (0.1, 0.5)
    )
    for name in ("id", "text", "head", "tail", "label", "needs_image"):
        assert few[name] == many[name]
    images = [[row["image"]["bytes"] for row in undecoded(rows)] for rows in (few, many)]
    same = [one == other for one, other in zip(*images)]
    relevant = [a == b == 1 for a, b in zip(few["relevance"], many["relevance"])]
    assert sum(relevant) == 20 and all(one for one, there in zip(same, relevant) if there)
    assert sum(same) < 40
