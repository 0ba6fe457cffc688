"""An untrained tiny TGDI with its processor, for the demo and for tests."""

from typing import Any

from datasets import DatasetDict

from ..data.labels import label_names
from ..modeling.configuration_tgdi import TGDIConfig
from ..modeling.modeling_tgdi import TGDIForRelationExtraction
from ..modeling.negative_label import MULTI_LABEL
from ..processing.processing_tgdi import TGDIProcessor
from .tiny import tiny_image_processor, tiny_text_config, tiny_tokenizer, tiny_vision_config


def tiny_tgdi(
    corpus: DatasetDict, use_caption: bool = True, **options: Any
) -> tuple[TGDIForRelationExtraction, TGDIProcessor]:
    r"""
    Builds an untrained tiny TGDI for a corpus, and its processor with a tokenizer trained on the training texts.

    Args:
        corpus: A corpus whose split `train` has the columns `text`, `caption` and `label`.
        use_caption: Whether the processor appends captions.
        options: Fields of `TGDIConfig`.
    """
    train = corpus["train"]
    captions = [caption for caption in train["caption"] if caption]
    # The images are so small that crops of objects would double the time for little information.
    processor = TGDIProcessor(
        tiny_image_processor(),
        tiny_tokenizer([*train["text"], *captions]),
        num_objects=0,
        use_caption=use_caption,
        max_length=128,
        object_features=options.get("object_features", "crops"),
    )
    names, multi_label = label_names(corpus)
    if multi_label:
        options = {"problem_type": MULTI_LABEL, **options}
    config = TGDIConfig(
        text_config=tiny_text_config(processor.tokenizer).to_dict(),
        vision_config=tiny_vision_config().to_dict(),
        id2label=dict(enumerate(names)),
        label2id={name: i for i, name in enumerate(names)},
        num_objects=0,
        toi_num_layers=1,
        **options,
    )
    return TGDIForRelationExtraction(config), processor
