"""Tiny random checkpoints of the captioning and detection models, with their processors."""

import torch
from transformers import (
    BartConfig,
    BertConfig,
    Blip2Config,
    Blip2ForConditionalGeneration,
    Blip2Processor,
    BlipConfig,
    BlipForConditionalGeneration,
    BlipImageProcessorPil,
    BlipProcessor,
    CLIPImageProcessorPil,
    CLIPTokenizer,
    CLIPVisionConfig,
    Florence2Config,
    Florence2ForConditionalGeneration,
    Florence2Processor,
    GroundingDinoConfig,
    GroundingDinoForObjectDetection,
    GroundingDinoImageProcessorPil,
    GroundingDinoProcessor,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    MMGroundingDinoConfig,
    MMGroundingDinoForObjectDetection,
    OPTConfig,
    Owlv2Config,
    Owlv2ForObjectDetection,
    Owlv2ImageProcessorPil,
    Owlv2Processor,
    PreTrainedTokenizerFast,
    SwinConfig,
)

from ..processing.conftest import ROBERTA_TOKENS, byte_level, wordpiece

SMALL = dict(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16)
VISION = dict(SMALL, image_size=16, patch_size=8)
SQUARE = {"height": 16, "width": 16}
TEMPLATE = (
    "{% for message in messages %}USER: {% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image>{% else %}{{ part['text'] }}{% endif %}{% endfor %}{% endfor %}"
    "{% if add_generation_prompt %} ASSISTANT:{% endif %}"
)


def save(model, processor, folder, std=0.5):
    # With the default initialization the output of a tiny model hardly depends on the image.
    for parameter in model.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=std)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def blip2(folder):
    torch.manual_seed(0)
    processor = Blip2Processor(BlipImageProcessorPil(size=SQUARE), byte_level(), num_query_tokens=3)
    tokenizer = processor.tokenizer
    text = OPTConfig(
        hidden_size=16, word_embed_proj_dim=16, num_hidden_layers=1, num_attention_heads=2, ffn_dim=16,
        vocab_size=len(tokenizer), max_position_embeddings=64, bos_token_id=0, eos_token_id=2, pad_token_id=1,
    )  # fmt: skip
    config = Blip2Config(
        text_config=text.to_dict(),
        vision_config=VISION,
        qformer_config=dict(SMALL, encoder_hidden_size=16, vocab_size=len(tokenizer)),
        num_query_tokens=3,
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
    )
    return save(Blip2ForConditionalGeneration(config), processor, folder)


def blip(folder):
    torch.manual_seed(0)
    tokenizer = wordpiece()
    text = dict(
        SMALL, vocab_size=len(tokenizer), encoder_hidden_size=16, max_position_embeddings=64, projection_dim=8,
        bos_token_id=2, eos_token_id=3, sep_token_id=3, pad_token_id=0,
    )  # fmt: skip
    model = BlipForConditionalGeneration(BlipConfig(text_config=text, vision_config=VISION, projection_dim=8))
    return save(model, BlipProcessor(BlipImageProcessorPil(size=SQUARE), tokenizer), folder)


def llava(folder):
    """A chat model for images."""
    torch.manual_seed(0)
    tokenizer = byte_level()
    tokenizer.add_special_tokens({"extra_special_tokens": ["<image>"]})
    text = LlamaConfig(**SMALL, vocab_size=len(tokenizer), bos_token_id=0, eos_token_id=2, pad_token_id=1)
    config = LlavaConfig(
        text_config=text.to_dict(),
        vision_config=CLIPVisionConfig(**VISION).to_dict(),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        vision_feature_layer=-1,
    )
    images = CLIPImageProcessorPil(size={"shortest_edge": 16}, crop_size=SQUARE)
    processor = LlavaProcessor(
        images, tokenizer, patch_size=8, vision_feature_select_strategy="default", chat_template=TEMPLATE,
        image_token="<image>", num_additional_image_tokens=1,
    )  # fmt: skip
    return save(LlavaForConditionalGeneration(config), processor, folder)


def florence2(folder):
    torch.manual_seed(0)
    tokenizer = byte_level()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer.backend_tokenizer, extra_special_tokens={"image_token": "<image>"}, **ROBERTA_TOKENS
    )
    text = BartConfig(
        d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2, decoder_attention_heads=2,
        encoder_ffn_dim=16, decoder_ffn_dim=16, vocab_size=len(tokenizer), max_position_embeddings=64, bos_token_id=0,
        eos_token_id=2, pad_token_id=1, decoder_start_token_id=2, forced_eos_token_id=None,
    )  # fmt: skip
    vision = dict(
        depths=(1, 1), patch_size=(7, 3), patch_stride=(4, 2), patch_padding=(3, 1), patch_prenorm=(False, True),
        embed_dim=(8, 16), num_heads=(2, 2), num_groups=(2, 2), window_size=2, projection_dim=16,
        max_position_embeddings=10,
    )  # fmt: skip
    config = Florence2Config(text_config=text.to_dict(), vision_config=vision, image_token_id=tokenizer.image_token_id)
    images = CLIPImageProcessorPil(size=SQUARE, do_center_crop=False)
    images.image_seq_length = 5
    processor = Florence2Processor(images, tokenizer)
    return save(Florence2ForConditionalGeneration(config), processor, folder)


def _dino(config_class, model_class, folder):
    torch.manual_seed(0)
    tokenizer = wordpiece()
    text = BertConfig(**SMALL, vocab_size=len(tokenizer), max_position_embeddings=64)
    backbone = SwinConfig(image_size=32, patch_size=4, embed_dim=8, depths=[1, 1], num_heads=[1, 1], window_size=2,
                          out_features=["stage1", "stage2"])  # fmt: skip
    config = config_class(
        backbone_config=backbone, text_config=text.to_dict(), d_model=32, encoder_layers=1, decoder_layers=2,
        encoder_ffn_dim=16, decoder_ffn_dim=16, encoder_attention_heads=2, decoder_attention_heads=2, num_queries=20,
        num_feature_levels=2, encoder_n_points=2, decoder_n_points=2, max_text_len=48,
        two_stage=True, query_dim=4,
    )  # fmt: skip
    model = model_class(config)
    images = GroundingDinoImageProcessorPil(size={"shortest_edge": 32, "longest_edge": 64})
    return save(model, GroundingDinoProcessor(images, tokenizer), folder, std=0.15)


def grounding_dino(folder):
    return _dino(GroundingDinoConfig, GroundingDinoForObjectDetection, folder)


def mm_grounding_dino(folder):
    return _dino(MMGroundingDinoConfig, MMGroundingDinoForObjectDetection, folder)


def owlv2(folder):
    torch.manual_seed(0)
    letters = [chr(i) for i in range(97, 123)]
    # OWLv2 treats a query whose first token has the id 0 as padding.
    pieces = ["!", "<|startoftext|>", "<|endoftext|>", *letters, *(f"{letter}</w>" for letter in letters)]
    tokenizer = CLIPTokenizer(vocab={piece: i for i, piece in enumerate(pieces)}, merges=[], pad_token="<|endoftext|>")
    tokenizer.model_max_length = 16
    text = dict(SMALL, vocab_size=len(tokenizer), max_position_embeddings=16, bos_token_id=1, eos_token_id=2)
    config = Owlv2Config(text_config=text, vision_config=dict(VISION, image_size=32), projection_dim=16)
    images = Owlv2ImageProcessorPil(size={"height": 32, "width": 32})
    return save(Owlv2ForObjectDetection(config), Owlv2Processor(images, tokenizer), folder, std=0.15)


CAPTIONERS = {"blip2": blip2, "blip": blip, "llava": llava, "florence2": florence2}
GROUNDERS = {"grounding_dino": grounding_dino, "mm_grounding_dino": mm_grounding_dino, "owlv2": owlv2}
