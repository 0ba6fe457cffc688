"""What the mixins of transformers ask for about a model: its size, its configuration, its inputs."""

import torch
from transformers import BertConfig, CLIPVisionConfig, Dinov2Config, ElectraConfig, ViTConfig

from tgdi_hf import TGDIConfig

TEXT = dict(
    hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=37, vocab_size=99,
    max_position_embeddings=64, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
)  # fmt: skip
VISION = dict(hidden_size=24, num_hidden_layers=2, num_attention_heads=4, image_size=16, patch_size=8)


class TGDIModelTester:
    batch_size, seq_length, hidden_size, num_hidden_layers, num_attention_heads = 7, 7, 32, 2, 4
    num_labels, num_images, image_size, patch_size, vocab_size = 3, 2, 16, 8, 99
    is_training = True
    key_length = num_images + seq_length  # the visual prompts come first
    num_hidden_states_types = 2  # cross-modal and text-oriented
    options = {}

    def __init__(self, parent):
        self.parent = parent

    def make_text_config(self):
        return BertConfig(**TEXT)

    def make_vision_config(self):
        return CLIPVisionConfig(**VISION, intermediate_size=37)

    def get_config(self, **options) -> TGDIConfig:
        encoders = {
            "text_config": self.make_text_config().to_dict(),
            "vision_config": self.make_vision_config().to_dict(),
        }
        defaults = {"num_labels": self.num_labels, "classifier_dropout": 0.0, "toi_num_layers": 1}
        return TGDIConfig(**{**encoders, **defaults, **self.options, **options})

    def prepare_config_and_inputs_for_common(self):
        batch, length = self.batch_size, self.seq_length
        return self.get_config(), {
            "input_ids": torch.randint(5, self.vocab_size, (batch, length)),
            "attention_mask": torch.ones(batch, length, dtype=torch.long),
            "head_index": torch.full((batch,), 2),  # the sdpa tests pad two tokens on either side
            "tail_index": torch.full((batch,), 4),
            "pixel_values": torch.randn(batch, self.num_images, 3, self.image_size, self.image_size),
            "image_mask": torch.ones(batch, self.num_images, dtype=torch.long),
        }

    prepare_config_and_inputs = prepare_config_and_inputs_for_common


class ViTModelTester(TGDIModelTester):
    def make_vision_config(self):
        return ViTConfig(**VISION, intermediate_size=37)


class OwnLayersModelTester(TGDIModelTester):
    """Another pair of encoders, and text-oriented layers of their own."""

    options = {"toi_share_text_encoder": False, "prompt_grid": 2}
    key_length = TGDIModelTester.num_images * 4 + TGDIModelTester.seq_length

    def make_text_config(self):
        return ElectraConfig(**TEXT, embedding_size=16)

    def make_vision_config(self):
        return Dinov2Config(**VISION, mlp_ratio=2)
