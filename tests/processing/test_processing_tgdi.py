import ast
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from tgdi_hf import TGDIProcessor
from tgdi_hf.processing.entity_markers import ENTITY_MARKERS
from tgdi_hf.tiny import tiny_image_processor

from .conftest import TOKENIZERS, build

MNRE = Path(__file__).parents[3] / "shared" / "mnre"
POST = dict(text="JFK and Obama at Harvard", head=(0, 3), tail=(17, 24))
RED, BLUE = Image.new("RGB", (20, 10), "red"), Image.new("RGB", (20, 10), "blue")


def tokens(processor, ids):
    return processor.tokenizer.convert_ids_to_tokens([int(i) for i in ids])


def test_a_post_becomes_the_documented_tensors(wordpiece):
    inputs = wordpiece(**POST, images=RED, objects=[BLUE, (0, 0, 5, 5)], caption="two men in gowns")
    assert set(inputs) <= set(wordpiece.model_input_names)
    length, enhanced = inputs["input_ids"].shape[1], inputs["enhanced_input_ids"].shape[1]
    assert {name: tuple(value.shape) for name, value in inputs.items()} == {
        **dict.fromkeys(("input_ids", "attention_mask", "token_type_ids"), (1, length)),
        **{f"enhanced_{name}": (1, enhanced) for name in ("input_ids", "attention_mask", "token_type_ids")},
        "head_index": (1,), "tail_index": (1,), "pixel_values": (1, 4, 3, 16, 16), "image_mask": (1, 4),
    }  # fmt: skip
    assert all(isinstance(value, torch.Tensor) for value in inputs.values())
    assert inputs["image_mask"].tolist() == [[1, 1, 1, 0]]
    assert (inputs["pixel_values"][0, 3] == 0).all()
    text = wordpiece.tokenizer.decode(inputs["enhanced_input_ids"][0])
    assert text == ("[CLS] <head> jfk </head> and obama at <tail> harvard </tail> [SEP] two men in gowns [SEP]")


def test_t_is_a_prefix_of_t_e_and_the_markers_stand_at_the_same_place(any_processor):
    inputs = any_processor(
        text=[POST["text"]] * 3, head=[POST["head"]] * 3, tail=[POST["tail"]] * 3, caption=["a stage", None, "  "]
    )
    for i in range(3):
        ids = inputs["input_ids"][i][inputs["attention_mask"][i].bool()]
        enhanced = inputs["enhanced_input_ids"][i][inputs["enhanced_attention_mask"][i].bool()]
        assert torch.equal(enhanced[: len(ids)], ids)
        assert (len(enhanced) > len(ids)) == (i == 0)
        for name, marker in (("head_index", "<head>"), ("tail_index", "<tail>")):
            assert tokens(any_processor, [ids[inputs[name][i]]]) == [marker]


@pytest.mark.parametrize(("kind", "segment"), [("wordpiece", 1), ("bytes", 0), ("sentencepiece", 0)])
def test_text_and_caption_are_joined_as_the_tokenizer_joins_pairs(processors_of_all_kinds, kind, segment):
    processor = processors_of_all_kinds[kind]
    inputs = processor(**POST, caption="two men")
    pair = processor.tokenizer("a", "two men")["input_ids"]
    caption = processor.tokenizer("two men", add_special_tokens=False)["input_ids"]
    length = inputs["input_ids"].shape[1]
    special = pair[-len(caption) - 3 : -len(caption) - 1] if kind != "wordpiece" else []
    assert inputs["enhanced_input_ids"][0, length:].tolist() == [*special[1:], *caption, pair[-1]]
    assert inputs["enhanced_token_type_ids"][0].tolist() == [0] * length + [segment] * (
        inputs["enhanced_input_ids"].shape[1] - length
    )


def test_no_captions_no_enhanced_text(wordpiece):
    assert not [name for name in wordpiece(**POST) if name.startswith("enhanced")]
    without = build(use_caption=False)(**POST, caption="two men")
    assert not [name for name in without if name.startswith("enhanced")]


def test_words_and_characters_are_one_path(any_processor):
    words = ["RT", "@user", ":", "A&amp;M", "🎉", "", "New", "York"]
    by_words = any_processor(text=[words], head=[(3, 4)], tail=[(6, 8)])
    text = " ".join(words)
    start, last = text.index("A&amp;M"), text.index("New")
    by_characters = any_processor(text=text, head=(start, start + 7), tail=(last, len(text)))
    assert all(torch.equal(by_words[name], by_characters[name]) for name in by_characters)


@pytest.mark.parametrize("literal", ["<head>", "</tail>", "[SEP]", "[CLS]", "<s>", "</s>", "<pad>", "[MASK]", "＜s＞"])
def test_special_tokens_in_a_post_are_ordinary_text(any_processor, literal):
    text = f"Ann {literal} Bob {literal}"
    inputs = any_processor(text=text, head=(0, 3), tail=(4, 4 + len(literal)), caption=f"a {literal} caption")
    special = set(any_processor.tokenizer.all_special_ids)
    ids = inputs["input_ids"][0].tolist()
    own = len(any_processor._template.prefix) + len(any_processor._template.suffix) + len(ENTITY_MARKERS)
    unknown = any_processor.tokenizer.unk_token_id
    assert sum(i in special - {unknown} for i in ids) == own
    for marker in ENTITY_MARKERS:
        assert ids.count(any_processor.tokenizer.convert_tokens_to_ids(marker)) == 1
    end = [i for i in inputs["enhanced_input_ids"][0].tolist()[len(ids) :] if i in special - {unknown}]
    assert len(end) == any_processor._template.pair


def test_the_tokenizer_is_left_as_it_was(wordpiece):
    wordpiece(**POST)
    assert wordpiece.tokenizer("[SEP]", add_special_tokens=False)["input_ids"] == [wordpiece.tokenizer.sep_token_id]


@st.composite
def posts(draw):
    text = draw(st.text(min_size=1, max_size=60))
    spans = []
    for _ in range(2):
        start = draw(st.integers(0, len(text) - 1))
        spans.append((start, draw(st.integers(start + 1, len(text)))))
    return text, *spans, draw(st.none() | st.text(max_size=30))


@pytest.mark.parametrize("kind", TOKENIZERS)
@given(batch=st.lists(posts(), min_size=1, max_size=4), max_length=st.sampled_from([None, 12, 20]))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_the_text(processors_of_all_kinds, kind, batch, max_length):
    processor = processors_of_all_kinds[kind]
    processor.max_length = max_length
    texts, heads, tails, captions = map(list, zip(*batch))
    inputs = processor(text=texts, head=heads, tail=tails, caption=captions)
    limit = max_length or 512
    marker_ids = {m: processor.tokenizer.convert_tokens_to_ids(m) for m in ENTITY_MARKERS}
    for i, (text, head, tail, caption) in enumerate(batch):
        row = [int(t) for t in inputs["input_ids"][i][inputs["attention_mask"][i].bool()]]
        assert len(row) <= limit
        for name in ("head", "tail"):
            first, last = row.index(marker_ids[f"<{name}>"]), row.index(marker_ids[f"</{name}>"])
            assert first < last
            assert first == inputs[f"{name}_index"][i]
        assert all(row.count(marker) == 1 for marker in marker_ids.values())
        if "enhanced_input_ids" in inputs:
            enhanced = inputs["enhanced_input_ids"][i][inputs["enhanced_attention_mask"][i].bool()].tolist()
            assert enhanced[: len(row)] == row
            assert len(enhanced) <= limit
        alone = processor(text=text, head=head, tail=tail, caption=caption)
        assert alone["input_ids"][0].tolist() == row
    processor.max_length = None


def test_a_long_text_keeps_both_entities_and_loses_its_caption_first(wordpiece, caplog):
    processor = build(max_length=24)
    words = ["a", "b"] * 20
    words[10], words[14] = "Obama", "Harvard"
    inputs = processor(text=[words], head=[(10, 11)], tail=[(14, 15)], caption=["two men"])
    assert inputs["input_ids"].shape == (1, 24)
    assert inputs["enhanced_input_ids"].shape == (1, 24)
    text = processor.tokenizer.decode(inputs["input_ids"][0])
    assert "<head> obama </head>" in text
    assert "<tail> harvard </tail>" in text
    words[14], words[35] = "a", "Harvard"
    text = processor.tokenizer.decode(processor(text=[words], head=[(10, 11)], tail=[(35, 36)])["input_ids"][0])
    assert "<head> obama </head>" in text
    assert "<tail> harvard </tail>" in text
    short = processor(
        text=["JFK and Obama"], head=[(0, 3)], tail=[(8, 13)], caption=["two men in gowns on a stage " * 5]
    )
    assert short["enhanced_input_ids"].shape == (1, 24)
    assert short["input_ids"].shape[1] < 24


def test_a_cut_is_never_silent(caplog):
    import transformers

    transformers.logging.enable_propagation()
    processor = build(max_length=12)
    processor(text=["a " * 50], head=[(0, 1)], tail=[(2, 3)])
    assert "1 of 1 texts are longer than 12 tokens" in caplog.text
    transformers.logging.disable_propagation()


def test_shared_pictures_are_processed_once(wordpiece):
    batch = dict(
        text=[POST["text"]] * 4, head=[POST["head"]] * 4, tail=[POST["tail"]] * 4, images=[RED, BLUE, RED, None],
        objects=[[(0, 0, 5, 5)], None, [(0, 0, 5, 5), BLUE], []],
    )  # fmt: skip
    shared, plain = wordpiece(**batch, share_images=True), wordpiece(**batch)
    assert shared["pixel_values"].shape == (3, 3, 16, 16)  # red, its corner, blue
    assert shared["image_index"].tolist() == [[0, 1, 0], [2, 0, 0], [0, 1, 2], [0, 0, 0]]
    assert shared["image_mask"].tolist() == [[1, 1, 0], [1, 0, 0], [1, 1, 1], [0, 0, 0]]
    pixels = shared["pixel_values"][shared["image_index"]] * shared["image_mask"][..., None, None, None]
    assert torch.equal(plain["pixel_values"][:, :3], pixels)
    assert (plain["pixel_values"][:, 3] == 0).all()


def test_no_pictures_no_pixels(wordpiece):
    inputs = wordpiece(text=[POST["text"]], head=[POST["head"]], tail=[POST["tail"]], images=[None])
    assert not {"pixel_values", "image_mask", "image_index"} & set(inputs)


def test_objects_without_a_whole_picture(wordpiece):
    inputs = wordpiece(**POST, objects=[RED])
    assert inputs["image_mask"].tolist() == [[0, 1, 0, 0]]
    with pytest.raises(ValueError, match=r"row 0, object 0 is a box, \[0, 0, 5, 5\], on a picture that is missing"):
        wordpiece(**POST, objects=[(0, 0, 5, 5)])


def test_of_many_objects_the_first_are_taken():
    objects = [(0, 0, i + 1, 5) for i in range(5)]
    two = build(num_objects=2)
    assert torch.equal(
        two(**POST, images=RED, objects=objects)["pixel_values"],
        two(**POST, images=RED, objects=objects[:2])["pixel_values"],
    )
    assert two(**POST, images=RED, objects=objects)["image_mask"].tolist() == [[1, 1, 1]]
    assert build(num_objects=0)(**POST, images=RED, objects=objects)["image_mask"].tolist() == [[1]]


def test_saving_and_loading(any_processor, tmp_path, recwarn):
    processor = TGDIProcessor(
        any_processor.image_processor, any_processor.tokenizer, num_objects=2, use_caption=False, max_length=40,
        max_image_pixels=10_000,
    )  # fmt: skip
    processor.save_pretrained(tmp_path)
    again = TGDIProcessor.from_pretrained(tmp_path)
    assert (again.num_objects, again.use_caption, again.max_length, again.max_image_pixels) == (2, False, 40, 10_000)
    one, two = processor(**POST, images=RED), again(**POST, images=RED)
    assert one.keys() == two.keys()
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert type(again.image_processor) is type(processor.image_processor)


def test_a_checkpoint_without_markers_is_refused(tmp_path):
    TOKENIZERS["wordpiece"]().save_pretrained(tmp_path)
    tiny_image_processor(16).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=r"lacks the entity markers <head>.*no embeddings"):
        TGDIProcessor.from_pretrained(tmp_path)
    processor = TGDIProcessor.from_text_vision_pretrained(tmp_path, tmp_path, max_length=30)
    assert processor.max_length == 30
    assert set(ENTITY_MARKERS) <= set(processor.tokenizer.get_vocab())


def test_markers_that_are_there_are_not_added_again():
    tokenizer = TOKENIZERS["wordpiece"]()
    before = len(tokenizer)
    assert len(TGDIProcessor(tiny_image_processor(16), tokenizer).tokenizer) == before + 4
    assert len(TGDIProcessor(tiny_image_processor(16), tokenizer).tokenizer) == before + 4


def test_special_tokens_of_the_tokenizer_survive_the_markers():
    tokenizer = TOKENIZERS["wordpiece"]()
    tokenizer.add_special_tokens({"extra_special_tokens": ["<url>"]})
    TGDIProcessor(tiny_image_processor(16), tokenizer)
    assert "<url>" in tokenizer.all_special_tokens


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"head": (0, 99)},
            r"row 0: the span of `head`, \[0, 99\), lies outside the text.*24, the number of characters",
        ),
        ({"tail": (5, 5)}, "`tail`.*is empty"),
        ({"tail": None}, "`tail` is None"),
        ({"text": None}, "`text` is missing"),
        ({"text": [["JFK", 5]], "head": [(0, 1)], "tail": [(1, 2)]}, "row 0: `text`.*list of words"),
        ({"text": ["a b", "c d", "e f"]}, "`text` has 3 rows, `head` 2"),
        ({"text": ["a b"], "head": [(0, 1)], "tail": [(2, 3)], "caption": "one"}, r"`caption` 'one'"),
        ({"text": ["a b"], "head": [(0, 1)], "tail": [(2, 3)], "images": [RED, RED]}, "`text` has 1 rows, `images` 2"),
    ],
)
def test_input_that_can_not_be_right_is_refused(wordpiece, change, message):
    with pytest.raises(ValueError, match=message):
        wordpiece(**{**POST, **change})


def test_a_length_that_holds_no_entities_is_refused():
    with pytest.raises(ValueError, match="`max_length` is 6; two marked entities alone need 8"):
        build(max_length=6)


def test_threads_do_not_disturb_each_other(wordpiece):
    expected = wordpiece(**POST)["input_ids"]
    wrong = []

    def work():
        for _ in range(50):
            if not torch.equal(wordpiece(**POST)["input_ids"], expected):
                wrong.append(1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert not wrong


@pytest.mark.skipif(not MNRE.is_dir(), reason="the MNRE corpus is not beside the repository (../shared/mnre)")
def test_every_row_of_mnre(wordpiece):
    files = [MNRE / f"txt/ours_{split}.txt" for split in ("train", "val")]
    rows = [ast.literal_eval(line) for file in files for line in file.read_text(encoding="utf-8").splitlines()]
    overlapping = 0
    for start in range(0, len(rows), 256):
        batch = rows[start : start + 256]
        heads, tails = ([tuple(row[key]["pos"]) for row in batch] for key in "ht")
        inputs = wordpiece(text=[row["token"] for row in batch], head=heads, tail=tails)
        ids = inputs["input_ids"].numpy()
        for marker in ENTITY_MARKERS:
            assert ((ids == wordpiece.tokenizer.convert_tokens_to_ids(marker)).sum(1) == 1).all()
        assert (
            ids[np.arange(len(ids)), inputs["head_index"]] == wordpiece.tokenizer.convert_tokens_to_ids("<head>")
        ).all()
        overlapping += sum(max(h[0], t[0]) < min(h[1], t[1]) for h, t in zip(heads, tails))
    assert overlapping == 62
