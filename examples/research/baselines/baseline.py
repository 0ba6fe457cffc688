"""What all baselines share: the inputs of `TGDIProcessor`, the classifier on two entity markers, saving and loading."""

from math import inf
from typing import Any, ClassVar, NamedTuple

import torch
from huggingface_hub.dataclasses import strict
from torch import nn
from transformers import AutoModel, PreTrainedModel
from transformers.utils import can_return_tuple

from tgdi_hf import TGDIProcessor
from tgdi_hf.modeling.blank_images import blank_image, trains_with_other_processes
from tgdi_hf.modeling.branch_consistency import branch_divergence
from tgdi_hf.modeling.classification_loss import classification_loss, share_of_step
from tgdi_hf.modeling.devices import on_device_of
from tgdi_hf.modeling.inverse_relations import fold_inverses
from tgdi_hf.modeling.pretrained_towers import as_text_encoder, as_vision_tower, load_tower
from tgdi_hf.modeling.relation_configuration import RelationConfig
from tgdi_hf.modeling.result_fusion import at_markers
from tgdi_hf.modeling.tgdi_outputs import TGDIRelationExtractionOutput
from tgdi_hf.modeling.tgdi_pretrained_model import TGDIPreTrainedModel

from .unread_inputs import refuse_caption, refuse_foreign_arguments, refuse_unfit_own_inputs, refuse_unread_images


@strict
class BaselineConfig(RelationConfig):
    r"""
    Configuration of a baseline: encoders, labels and entity order as in `TGDIConfig`. The vision encoder may also be a
    ResNet.

    Args:
        use_vision (`bool`, *optional*, defaults to `True`):
            Whether the baseline reads images.
        use_caption (`bool`, *optional*, defaults to `False`):
            Whether the baseline reads the caption after the text.
        num_fusion_layers (`int`, *optional*):
            MKGformer: the number of layers at the top of both encoders that run jointly. `None` stands for the paper's
            4, or fewer with shallower encoders.
        prefix_size (`int`, *optional*, defaults to 800):
            HVPNeT: the hidden units between the vision encoder's levels and the visual prefix.
        r_drop_weight (`float`, *optional*, defaults to 0.0):
            Weight of the divergence between two forward passes of a training batch with different dropout masks
            (R-Drop, Liang et al., NeurIPS 2021).

    Raises:
        ValueError: An unknown field, or a value out of range.
    """

    model_type = "mre_baseline"
    extra_loss_fields: ClassVar[tuple[str, ...]] = ("r_drop_weight", "inverse_labels")

    use_vision: bool = True
    use_caption: bool = False
    num_fusion_layers: int | None = None
    prefix_size: int = 800
    r_drop_weight: float | int = 0.0

    def validate_architecture(self):
        """Part of `@strict`-powered validation."""
        if not 0 <= self.r_drop_weight < inf:
            raise ValueError(f"`r_drop_weight` is {self.r_drop_weight}; expected 0 or more, and finite.")
        if self.prefix_size < 1:
            raise ValueError(f"`prefix_size` is {self.prefix_size}; expected 1 or more.")
        if self.r_drop_weight and self.thresholds is not None:
            raise ValueError("`r_drop_weight` requires mutually exclusive labels; omit it for a multi-label model.")
        if self.vision_config.model_type != "resnet":  # which has no patches
            super().validate_architecture()

    @property
    def uses_vision(self) -> bool:
        return self.use_vision


class VisualLevels(NamedTuple):
    r"""
    Feature maps of the vision encoder's layers for the distinct images of a batch.

    Args:
        maps (`list` of `torch.Tensor`): `(N, C, rows, columns)` per layer, lowest first.
        index (`torch.Tensor`): `(B, S)`, the image in each slot of a post.
        mask (`torch.Tensor`): `(B, S)`, true where the slot has an image.
    """

    maps: list[torch.Tensor]
    index: torch.Tensor
    mask: torch.Tensor

    def regions(self) -> torch.Tensor:
        """One feature per image, `(N, C)`: the mean of the last layer over its patches."""
        return self.maps[-1].mean(dim=(2, 3))

    def objects_of_posts(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """From features of images `(N, ...)` to those of objects of posts, `(B, m, ...)`, and their mask `(B, m)`."""
        index, mask = (on_device_of(of[:, 1:], features) for of in (self.index, self.mask))
        return features[index], mask

    def tokens_of_posts(self, tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """From tokens of images `(N, ..., n, d)` to those of posts, `(B, ..., S n, d)`, and their mask `(B, S n)`."""
        index, mask = on_device_of(self.index, tokens), on_device_of(self.mask, tokens)
        posts = tokens[index].movedim(1, -3).flatten(-3, -2)
        return posts, mask.repeat_interleave(tokens.shape[-2], dim=1)


def level_widths(vision_config) -> list[int]:
    """The channels of the maps in `VisualLevels`."""
    if vision_config.model_type == "resnet":
        return [vision_config.embedding_size, *vision_config.hidden_sizes]
    return [vision_config.hidden_size] * (vision_config.num_hidden_layers + 1)


def as_tower(tower: nn.Module) -> nn.Module:
    """A vision encoder without its pooling head; a ResNet is returned unchanged."""
    return tower if tower.config.model_type == "resnet" else as_vision_tower(tower)


class Baseline(TGDIPreTrainedModel):
    r"""
    A text encoder, optionally a vision encoder, and the classifier of MTB: dropout and a linear layer over the states
    at the opening markers of head and tail. Subclasses implement `encode`, the fusion of text and images, or override
    `entities`, and `classifier_width` if the classifier reads another width. What a subclass does not read is refused.

    Args:
        config (`BaselineConfig`): Configuration of the model.

    Attributes:
        reads_image (`bool`): Whether the baseline reads whole images, if `use_vision`.
        reads_objects (`bool`): Whether it reads objects, if `use_vision`.
        reads_boxes (`bool`): Whether it reads the boxes of objects, too, so that images of their own are no substitute.
        reads_resnet (`bool`): Whether the vision encoder may be a ResNet.
        trains_vision (`bool`): Whether `build_baseline` leaves the vision encoder trainable.
        own_inputs (`tuple[str, ...]`): Inputs of posts with images that only this baseline has; passed to `entities`.
        processor_class (`type`): The processor, which returns them.
        processor_options (`tuple[str, ...]`): Fields of the configuration that the processor shares.
    """

    config_class = BaselineConfig
    base_model_prefix = "model"
    reads_image = True
    reads_objects = True
    reads_boxes = False
    reads_resnet = False
    trains_vision = False
    own_inputs: ClassVar[tuple[str, ...]] = ()
    processor_class: ClassVar[type[TGDIProcessor]] = TGDIProcessor
    processor_options: ClassVar[tuple[str, ...]] = ()
    _no_split_modules = [
        "CorrelationAwareFusion",
        "CrossLayer",
        "GraphFusionLayer",
        "KeyValueProjection",
        "ObjectAttention",
        "PrefixProjection",
        "VisualPyramid",
    ]

    def __init__(self, config: BaselineConfig):
        super().__init__(config)
        if config.uses_vision and config.vision_config.model_type == "resnet" and not self.reads_resnet:
            raise ValueError(
                f"{type(self).__name__} reads the patches of a vision transformer; `vision_config` is a ResNet. Name "
                "one such as openai/clip-vit-base-patch32."
            )
        if config.uses_vision and not (self.reads_image or self.reads_objects):
            raise ValueError(f"{type(self).__name__} reads no images; configure it with `use_vision=False`.")
        self.text_encoder = self.make_text_encoder(config)
        self.vision_tower = as_tower(AutoModel.from_config(config.vision_config)) if config.uses_vision else None
        self.dropout = nn.Dropout(config.classifier_dropout)
        self.classifier = nn.Linear(self.classifier_width, config.num_labels + config.inverse_labels)

    @property
    def classifier_width(self) -> int:
        """The width of what `entities` returns."""
        return 2 * self.config.text_config.hidden_size

    def make_text_encoder(self, config: BaselineConfig) -> nn.Module:
        return as_text_encoder(AutoModel.from_config(config.text_config))

    @classmethod
    def from_text_vision_pretrained(cls, text_name_or_path: str, vision_name_or_path: str, tokenizer, **config_kwargs):
        """Builds a baseline from two pretrained encoders; see `TGDIForRelationExtraction`."""
        text_encoder = load_tower(text_name_or_path, "text", dtype=torch.float32)
        vision_tower = load_tower(vision_name_or_path, "vision", dtype=torch.float32)
        config = cls.config_class(
            text_config=cls.text_config_of(text_encoder), vision_config=vision_tower.config.to_dict(), **config_kwargs
        )
        model = cls(config)
        model.load_text_encoder(as_text_encoder(text_encoder))
        if config.uses_vision:
            model.vision_tower.load_state_dict(as_tower(vision_tower).state_dict())
        model.resize_to_tokenizer(tokenizer)
        return model.eval()

    @classmethod
    def text_config_of(cls, encoder: PreTrainedModel) -> dict[str, Any]:
        """The `text_config` of a model that starts from this text encoder."""
        return encoder.config.to_dict()

    def load_text_encoder(self, encoder: PreTrainedModel) -> None:
        """Copies the weights of a pretrained text encoder."""
        self.text_encoder.load_state_dict(encoder.state_dict())

    def encode(
        self, ids: torch.Tensor, mask: torch.Tensor, types: torch.Tensor | None, images: VisualLevels | None
    ) -> torch.Tensor:
        """States of the text `(B, L, d)`."""
        raise NotImplementedError

    @can_return_tuple
    def forward(
        self,
        input_ids: torch.LongTensor,
        attention_mask: torch.Tensor,
        token_type_ids: torch.LongTensor | None = None,
        enhanced_input_ids: torch.LongTensor | None = None,
        enhanced_attention_mask: torch.Tensor | None = None,
        enhanced_token_type_ids: torch.LongTensor | None = None,
        head_index: torch.LongTensor | None = None,
        tail_index: torch.LongTensor | None = None,
        pixel_values: torch.FloatTensor | None = None,
        image_mask: torch.Tensor | None = None,
        image_index: torch.LongTensor | None = None,
        image_matches: torch.Tensor | None = None,
        labels: torch.LongTensor | None = None,
        num_items_in_batch: torch.Tensor | int | None = None,
        **kwargs,
    ) -> TGDIRelationExtractionOutput:
        r"""
        The arguments are those of `TGDIForRelationExtraction`; `image_matches` is ignored, for lack of a gate that it
        would train. With `use_caption` captions are read with the text.

        Raises:
            TypeError: An unknown argument.
            ValueError: Inputs that the baseline does not read (`vision_features`, captions, whole images or objects);
                `image_mask`, `image_index` or one of `own_inputs` without `pixel_values`, or the latter without them.
        """
        own = {name: kwargs.pop(name, None) for name in self.own_inputs}
        refuse_foreign_arguments(self.forward, kwargs)
        refuse_unfit_own_inputs(own, pixel_values, self.processor_class.__name__)
        name, sees = type(self).__name__, self.config.uses_vision
        refuse_unread_images(
            name, pixel_values, image_mask, image_index, sees and self.reads_image, sees and self.reads_objects
        )
        if not self.config.use_caption:
            refuse_caption(name, enhanced_input_ids)
        elif enhanced_input_ids is not None:
            input_ids, attention_mask = enhanced_input_ids, enhanced_attention_mask
            token_type_ids = enhanced_token_type_ids
        images = self.levels(pixel_values, image_mask, image_index)
        if images is None and self.vision_tower is not None and trains_with_other_processes(self):
            images = self.blank_levels(input_ids.shape[0])
        text = (input_ids, attention_mask, token_type_ids)
        outputs = self.classify(self.entities(*text, images, head_index, tail_index, **own), labels, num_items_in_batch)
        if self.training and self.config.r_drop_weight and labels is not None:
            again = self.entities(*text, images, head_index, tail_index, **own)
            again = self.classify(again, labels, num_items_in_batch)
            share = share_of_step(labels, num_items_in_batch)
            passes = (one.logits if one.directed_logits is None else one.directed_logits for one in (outputs, again))
            apart = branch_divergence(*passes, labels)
            outputs.loss = (outputs.loss + again.loss) / 2 + self.config.r_drop_weight * share * apart
        return outputs

    def entities(self, ids, mask, types, images, head_index, tail_index) -> torch.Tensor:
        """What the classifier reads, `(B, classifier_width)`: the states of the opening markers, side by side."""
        return at_markers(self.encode(ids, mask, types, images), head_index, tail_index)

    def classify(self, entities, labels, num_items_in_batch) -> TGDIRelationExtractionOutput:
        scores = self.classifier(self.dropout(entities))
        loss = None
        if labels is not None:
            loss = classification_loss(scores, labels, self.config.thresholds is not None, num_items_in_batch)
        directed = scores if self.config.inverse_labels else None
        logits = scores if directed is None else fold_inverses(directed, self.config.num_labels, self.config.none_label)
        return TGDIRelationExtractionOutput(loss=loss, logits=logits, directed_logits=directed)

    def levels(self, pixel_values, image_mask, image_index) -> VisualLevels | None:
        if self.vision_tower is None:
            return None
        if pixel_values is None:
            if image_mask is not None or image_index is not None:
                raise ValueError(
                    "`image_mask` or `image_index` was passed without `pixel_values`: pass `pixel_values` too, or omit "
                    "both if no post has an image."
                )
            return None
        if image_index is None:  # one row of images per post
            rows, slots = pixel_values.shape[:2]
            image_index = torch.arange(rows * slots, device=pixel_values.device).view(rows, slots)
            pixel_values = pixel_values.flatten(0, 1)
        image_mask = torch.ones_like(image_index) if image_mask is None else image_mask
        image_mask = image_mask.bool()
        maps = self.maps(pixel_values)
        maps = [on_device_of(level, maps[-1]) for level in maps]
        image_mask = on_device_of(image_mask, maps[-1])
        return VisualLevels(maps, on_device_of(image_index, maps[-1]).masked_fill(~image_mask, 0), image_mask)

    def maps(self, images: torch.Tensor) -> list[torch.Tensor]:
        """The maps of `VisualLevels` for images `(N, 3, H, W)`."""
        outputs = self.vision_tower(images.to(self.dtype), output_hidden_states=True, return_dict=True)
        maps = list(outputs.hidden_states)
        if maps[0].dim() == 3:  # a vision transformer: its class and register tokens come first
            rows, columns = (size // self.config.vision_config.patch_size for size in images.shape[-2:])
            maps = [states[:, -rows * columns :].transpose(1, 2).unflatten(2, (rows, columns)) for states in maps]
        return maps

    def blank_levels(self, batch_size: int) -> VisualLevels:
        """As in TGDI, one blank image that no post uses; it does not affect the batch statistics of a ResNet."""
        training = self.vision_tower.training
        self.vision_tower.eval()
        maps = self.maps(blank_image(self.config.vision_config, self.device))
        self.vision_tower.train(training)
        index = torch.zeros(batch_size, 1 if self.reads_image else 2, dtype=torch.long, device=self.device)
        return VisualLevels(maps, index, index.bool())
