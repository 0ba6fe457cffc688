"""Tiny random vision-language models of several architectures, with their processors."""

from tempfile import TemporaryDirectory

import torch
from tokenizers import processors
from transformers import (
    AutoModelForImageTextToText,
    AutoProcessor,
    Gemma3Config,
    Gemma3ForConditionalGeneration,
    Gemma3ImageProcessorPil,
    Gemma3Processor,
    Idefics3Config,
    Idefics3ForConditionalGeneration,
    Idefics3ImageProcessorPil,
    Idefics3Processor,
    PreTrainedTokenizerFast,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
    Qwen2VLImageProcessorPil,
    Qwen2VLProcessor,
)

from ....preparation.tiny_checkpoints import SMALL, llava
from ....processing.conftest import ROBERTA_TOKENS, byte_level

# A space belongs to the answer, as in SmolVLM's template; Qwen's and Gemma's answers begin a line.
SPACED = (
    "{% for message in messages %}{{ message['role'] | capitalize }}:{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image>{% else %} {{ part['text'] }}{% endif %}{% endfor %}"
    "<end_of_utterance>\n{% endfor %}{% if add_generation_prompt %}Assistant:{% endif %}"
)
LINES = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}IMAGE{% else %}{{ part['text'] }}{% endif %}{% endfor %}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


class ImagesOnly(Qwen2VLProcessor):
    """Without a processor of videos, which requires torchvision."""

    def check_argument_for_proper_class(self, argument_name, argument):
        return type(argument)


def _spread(model, std=0.3):
    # With the default initialization the output of a tiny model hardly depends on its input.
    for parameter in model.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=std)
    return model.eval()


# As of decoders: the start of the text is added, and no end.
START = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])


def _tokenizer(special, **roles):
    tokenizer = byte_level()
    tokenizer.backend_tokenizer.post_processor = START
    tokenizer.add_special_tokens({"extra_special_tokens": special})
    if roles:
        return PreTrainedTokenizerFast(
            tokenizer_object=tokenizer.backend_tokenizer, extra_special_tokens=roles, **ROBERTA_TOKENS
        )
    return tokenizer


def idefics3():
    torch.manual_seed(0)
    images = Idefics3ImageProcessorPil(
        size={"longest_edge": 32}, max_image_size={"longest_edge": 16}, do_image_splitting=False
    )
    special = ["<global-img>", "<fake_token_around_image>", "<image>", "<end_of_utterance>"]
    tokenizer = _tokenizer(special)
    processor = Idefics3Processor(images, tokenizer, image_seq_len=1, chat_template=SPACED)
    text = dict(SMALL, model_type="llama", vocab_size=len(tokenizer), num_key_value_heads=1, pad_token_id=1)
    config = Idefics3Config(
        text_config=text,
        vision_config=dict(SMALL, image_size=16, patch_size=8),
        scale_factor=2,
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        pad_token_id=1,
    )
    return _spread(Idefics3ForConditionalGeneration(config)), processor


def qwen2_vl():
    """Positions of text depend on the size of the images before it (M-RoPE)."""
    torch.manual_seed(0)
    special = ["<|im_start|>", "<|im_end|>", "<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>"]
    tokenizer = _tokenizer(special)
    ids = dict(zip(special, tokenizer.convert_tokens_to_ids(special)))
    images = Qwen2VLImageProcessorPil(size={"shortest_edge": 16**2, "longest_edge": 32**2}, patch_size=4)
    template = LINES.replace("IMAGE", "<|vision_start|><|image_pad|><|vision_end|>")
    processor = ImagesOnly(images, tokenizer, None, chat_template=template)
    text = dict(
        SMALL, vocab_size=len(tokenizer), num_key_value_heads=1, max_position_embeddings=4096, eos_token_id=2,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 1, 1]},
    )  # fmt: skip
    config = Qwen2VLConfig(
        text_config=text,
        vision_config=dict(depth=1, embed_dim=16, hidden_size=16, num_heads=2, mlp_ratio=1, patch_size=4),
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
    )
    return _spread(Qwen2VLForConditionalGeneration(config)), processor


def gemma3():
    """Tokens of an image attend to each other; layers with a sliding window alternate with others."""
    torch.manual_seed(0)
    special = ["<|im_start|>", "<|im_end|>", "<boi>", "<eoi>", "<soft>"]
    tokenizer = _tokenizer(special, boi_token="<boi>", eoi_token="<eoi>", image_token="<soft>")
    images = Gemma3ImageProcessorPil(size={"height": 16, "width": 16})
    processor = Gemma3Processor(images, tokenizer, chat_template=LINES.replace("IMAGE", "<boi>"), image_seq_length=4)
    text = dict(
        SMALL, num_hidden_layers=2, head_dim=8, num_key_value_heads=1, vocab_size=len(tokenizer), sliding_window=32,
        layer_types=["sliding_attention", "full_attention"], max_position_embeddings=4096, pad_token_id=1,
        bos_token_id=0, eos_token_id=2,
    )  # fmt: skip
    config = Gemma3Config(
        text_config=text,
        vision_config=dict(SMALL, image_size=16, patch_size=4),
        mm_tokens_per_image=4,
        image_token_index=tokenizer.convert_tokens_to_ids("<soft>"),
        boi_token_index=tokenizer.convert_tokens_to_ids("<boi>"),
        eoi_token_index=tokenizer.convert_tokens_to_ids("<eoi>"),
    )
    return _spread(Gemma3ForConditionalGeneration(config)), processor


def llava_chat():
    """No end of a turn in the template: the end of the text stands in for it."""
    with TemporaryDirectory() as folder:
        llava(folder)
        model = AutoModelForImageTextToText.from_pretrained(folder)
        processor = AutoProcessor.from_pretrained(folder, backend="pil")
    processor.tokenizer.backend_tokenizer.post_processor = START
    processor.chat_template = SPACED.replace("<end_of_utterance>", "")
    return model.eval(), processor


MODELS = {"idefics3": idefics3, "qwen2_vl": qwen2_vl, "gemma3": gemma3, "llava": llava_chat}
