import json
import os
import subprocess
import sys

import pytest
import torch
from PIL import Image
from transformers import AutoConfig, AutoModel, AutoTokenizer

from tgdi_hf.demo.tiny import tiny_image_processor, tiny_text_config, tiny_tokenizer, tiny_vision_config

TEXTS = [
    "Belora weds Tamiro 🔥",
    "the Golden Vesaki goes to Belora",
    "Tamiro , at home in Port Vesaki !",
    "naïve RT @lu : ok",
]


@pytest.fixture(scope="module")
def tokenizer():
    return tiny_tokenizer(TEXTS, vocab_size=150)


def test_special_tokens_and_segments(tokenizer):
    encoded = tokenizer("weds", "home")
    assert tokenizer.convert_ids_to_tokens(encoded["input_ids"]) == ["[CLS]", "weds", "[SEP]", "home", "[SEP]"]
    assert encoded["token_type_ids"] == [0, 0, 0, 1, 1]
    assert tokenizer.pad_token_id == 0 and tokenizer.is_fast
    # A letter is a token like any other, not a special one.
    assert set(tokenizer.all_special_tokens) == {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}


def test_new_words_fall_into_pieces(tokenizer):
    pieces = tokenizer.tokenize("Ravosemi 🔥 NAIVE")
    assert tokenizer.unk_token not in pieces
    assert "".join(piece.removeprefix("##") for piece in pieces) == "ravosemi🔥naive"
    assert tokenizer.tokenize("Belora weds") == ["belora", "weds"]
    assert tokenizer.tokenize("Привет") == ["[UNK]"]


def test_vocabulary_is_limited_and_the_limit_checked():
    assert len(tiny_tokenizer(TEXTS, vocab_size=85)) == 85
    with pytest.raises(ValueError, match=r"`vocab_size` is 20, .* raise it to \d+ or more"):
        tiny_tokenizer(TEXTS, vocab_size=20)


@pytest.mark.slow
def test_same_vocabulary_in_every_process(tokenizer):
    # The trainer's hash tables are seeded anew in each process, and for each table.
    assert all(tiny_tokenizer(TEXTS, vocab_size=150).get_vocab() == tokenizer.get_vocab() for _ in range(5))
    code = f"import json; from tgdi_hf.demo.tiny import *; print(json.dumps(tiny_tokenizer({TEXTS}, 150).get_vocab()))"
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert json.loads(run.stdout) == tokenizer.get_vocab()


def test_tokenizer_round_trip(tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    assert loaded(TEXTS)["input_ids"] == tokenizer(TEXTS)["input_ids"]


def test_image_processor():
    image = Image.new("RGB", (100, 40), (255, 0, 255))
    pixels = tiny_image_processor(32)(image, return_tensors="pt")["pixel_values"]
    assert pixels.shape == (1, 3, 32, 32)
    assert torch.allclose(pixels[0, :, 5, 5], torch.tensor([1.0, -1.0, 1.0]))


def test_encoders_run_and_take_overrides(tokenizer):
    tokenizer = tiny_tokenizer(TEXTS, vocab_size=150)
    tokenizer.add_special_tokens({"extra_special_tokens": ["<head>"]})
    text = AutoModel.from_config(tiny_text_config(tokenizer, hidden_size=32))
    assert text.get_input_embeddings().weight.shape == (len(tokenizer), 32)
    assert text(**tokenizer(TEXTS, padding=True, return_tensors="pt")).last_hidden_state.shape[-1] == 32
    vision = AutoModel.from_config(tiny_vision_config(32))
    assert vision(torch.zeros(2, 3, 32, 32)).last_hidden_state.shape == (2, 1 + 64, 64)


def test_configs_round_trip(tokenizer, tmp_path):
    for config in (tiny_text_config(tokenizer), tiny_vision_config()):
        config.save_pretrained(tmp_path)
        assert AutoConfig.from_pretrained(tmp_path).to_dict() == config.to_dict() | {"_name_or_path": str(tmp_path)}
