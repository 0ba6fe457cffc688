r"""
Baselines that share the processor, `Trainer` and metric of `tgdi_hf`, written from their papers.

| name | model | paper's F1 on MNRE's test split |
|---|---|---|
| `cnn` | words and positions, convolution, maximum | 51.39 |
| `pcnn` | the same, with piecewise maxima before, between and after the entities | 55.49 |
| `mtb` | BERT with entity markers | 60.86 |
| `mtb-caption` | the same, with the caption after the text | |
| `bert-objects` | BERT and the mean of up to ten objects, for BERT + SG | 62.80 |
| `bert-objects-attention` | the same, of what objects attend to in the text, for BERT + SG + Att | 63.64 |
| `visualbert` | patches as tokens after the text, in one encoder | 58.30 |
| `umt` | text and whole image in cross-attention, and a gate | 63.46 |
| `umgf` | graph of words and objects, with gated sums | 65.29 |
| `mega` | objects aligned with the text by attention and by graph structure | 66.41 |
| `hvpnet` | hierarchical visual prefix with dynamic gates | 81.85 |
| `ifaformer` | two transformers whose layers attend to each other's keys and values | 81.67 |
| `mkgformer` | joint top layers: prefix-guided interaction and correlation-aware fusion | 81.95 |

The F1 scores are quoted from the TGDI paper, with the authors' features, epochs and encoders. Those of the last three
systems were most likely obtained with object crops whose number leaks the label; see the documentation of the leak.

Deviations from the papers: all baselines share TGDI's entity markers, classifier and, except `ifaformer` and
`mkgformer`, frozen vision encoder, so that the fusion alone differs. `hvpnet`: as released, but with slots without
image masked, without its mixing of positions and heads, and optionally with four layers of a vision transformer in
place of a ResNet's stages. `ifaformer`, `mkgformer`: the vision encoder's own layers read the text and are trained, as
in the papers; each image and object is a sequence of its own with the pretrained positions, where the papers' code
concatenates small crops, and padding of the text is masked; encoders of different widths are joined by linear maps.
`ifaformer`: of encoders of different depths, layers at the same relative depth are joined; the released code's visual
keys in place of values, and 1 added to visual scores, are not copied. `cnn`, `pcnn`: entity markers in the text;
vocabulary and vectors of a GloVe file if one is given, else random vectors for the words that occur twice in training
(`word_vectors` of the configuration says which). `visualbert`: patches in place of detected regions; no pre-training on
images unless the text model is a VisualBERT checkpoint. `mtb`: without pre-training on entity links.

`bert-objects`, `bert-objects-attention`: our substitutes for BERT + SG and BERT + SG + Att, which have no public code.
These, `umgf` and `mega` read objects of any detector, each as one feature. `umt`, `umgf`: they label words in their
papers, so the classifier on the two markers is ours; they need neither scene graphs nor pre-training on named entities.
`mega` is MEGA-style: geometric edges between boxes in place of a scene graph and, unless `trees` names a spaCy
pipeline, chain trees in place of dependency trees. The classes say what else is ours.
"""

from pathlib import Path
from typing import Any

from transformers import AutoImageProcessor, PreTrainedModel

from tgdi_hf import TGDIProcessor

from .baseline import Baseline, BaselineConfig
from .bert_objects import BertObjectsAttentionForRelationExtraction, BertObjectsForRelationExtraction
from .convolution import (
    ConvolutionConfig,
    ConvolutionForRelationExtraction,
    frequent_words,
    is_word,
    word_tokenizer,
)
from .glove import read_glove
from .hvpnet import HVPNeTForRelationExtraction
from .ifaformer import IFAformerForRelationExtraction
from .mega import MEGAConfig, MEGAForRelationExtraction
from .mega_processor import MEGAProcessor
from .mkgformer import MKGformerForRelationExtraction
from .mtb import MTBForRelationExtraction
from .umgf import UMGFForRelationExtraction
from .umt import UMTForRelationExtraction
from .visual_bert import VisualBERTForRelationExtraction

TEN_OBJECTS = {"num_objects": 10, "classifier_dropout": 0.5}  # of MEGA and of the baselines in its paper
# Class and configuration options.
BASELINES: dict[str, tuple[type[PreTrainedModel], dict[str, Any]]] = {
    "cnn": (ConvolutionForRelationExtraction, {}),
    "pcnn": (ConvolutionForRelationExtraction, {"piecewise": True}),
    "mtb": (MTBForRelationExtraction, {"use_vision": False}),
    "mtb-caption": (MTBForRelationExtraction, {"use_vision": False, "use_caption": True}),
    "bert-objects": (BertObjectsForRelationExtraction, TEN_OBJECTS),
    "bert-objects-attention": (BertObjectsAttentionForRelationExtraction, TEN_OBJECTS),
    "visualbert": (VisualBERTForRelationExtraction, {}),
    "umt": (UMTForRelationExtraction, {}),
    "umgf": (UMGFForRelationExtraction, {"num_objects": 4}),
    "mega": (MEGAForRelationExtraction, TEN_OBJECTS),
    "hvpnet": (HVPNeTForRelationExtraction, {}),
    "ifaformer": (IFAformerForRelationExtraction, {}),
    "mkgformer": (MKGformerForRelationExtraction, {}),
}


def build_baseline(
    name: str,
    names: list[str],
    text_model: str,
    vision_model: str,
    texts: list[str] | None = None,
    glove: str | None = None,
    freeze_vision: bool = True,
    **config: Any,
) -> tuple[PreTrainedModel, TGDIProcessor]:
    r"""
    Builds a baseline ready for fine-tuning, and a processor that returns what the baseline reads and nothing else. Set
    the seed first.

    Args:
        name: One of `BASELINES`.
        names: The relations, in the order of their ids.
        text_model, vision_model: The pretrained encoders; convolutions use only the image processor.
        texts: Training texts. Without `glove`, the words that occur twice in them are a convolution's vocabulary.
        glove: Text file of word vectors: the vocabulary and the initial vectors of a convolution, which are random
            without it. Sets the configuration's `word_size` and `word_vectors`.
        freeze_vision: Whether the vision encoder keeps its weights; not of baselines that train it, as their papers do.
        config: Fields of the baseline's configuration.

    Raises:
        ValueError: An unknown baseline, inputs that the baseline does not read (`num_objects`, `glove`), a baseline of
            objects without any, a convolution without texts and word vectors, or a bad file of vectors.
    """
    if name not in BASELINES:
        raise ValueError(f"Unknown baseline {name!r}; expected one of {', '.join(BASELINES)}.")
    model_class, options = BASELINES[name]
    options = {**options, **config}
    labels = {"id2label": dict(enumerate(names)), "label2id": {label: i for i, label in enumerate(names)}}
    if model_class is ConvolutionForRelationExtraction:
        if glove is None and texts is None:
            raise ValueError(
                f"{name!r} takes its vocabulary from word vectors or training texts: pass `glove` or `texts`."
            )
        vectors = None if glove is None else read_glove(glove, is_word)
        tokenizer = word_tokenizer(frequent_words(texts) if vectors is None else vectors.words)
        image_processor = AutoImageProcessor.from_pretrained(vision_model, backend="pil")
        processor = TGDIProcessor(image_processor, tokenizer, num_objects=0, use_caption=False, use_image=False)
        if vectors is not None:
            options = {"word_size": vectors.vectors.shape[1], "word_vectors": Path(glove).name, **options}
        model = model_class(ConvolutionConfig(vocab_size=len(tokenizer), **labels, **options))
        if vectors is not None:
            model.set_word_vectors(vectors, tokenizer)
        return model, processor
    if glove is not None:
        raise ValueError(f"{name!r} starts from the word embeddings of its text model; omit `glove`.")
    uses_vision = options.get("use_vision", True)
    reads_objects_only = model_class.reads_objects and not model_class.reads_image
    if reads_objects_only and not (uses_vision and options["num_objects"]):
        raise ValueError(
            f"{name!r} reads objects and no whole images: without `num_objects` or with `use_vision=False` it would be "
            "a text model, for which there is 'mtb'."
        )
    if not (uses_vision and model_class.reads_objects):
        if options.get("num_objects"):
            raise ValueError(f"{name!r} reads no objects, but `num_objects` is {options['num_objects']}; omit it.")
        options["num_objects"] = 0
    processor = model_class.processor_class.from_text_vision_pretrained(
        text_model,
        vision_model,
        use_caption=options.get("use_caption", False),
        use_image=uses_vision and model_class.reads_image,
        num_objects=options.get("num_objects", 3),
        **{name: options[name] for name in model_class.processor_options if name in options},
    )
    model = model_class.from_text_vision_pretrained(
        text_model, vision_model, tokenizer=processor.tokenizer, **labels, **options
    )
    if freeze_vision and not model.trains_vision:
        model.freeze_vision_encoder()
    return model, processor


__all__ = [
    "BASELINES",
    "Baseline",
    "BaselineConfig",
    "BertObjectsAttentionForRelationExtraction",
    "BertObjectsForRelationExtraction",
    "ConvolutionConfig",
    "ConvolutionForRelationExtraction",
    "HVPNeTForRelationExtraction",
    "IFAformerForRelationExtraction",
    "MEGAConfig",
    "MEGAForRelationExtraction",
    "MEGAProcessor",
    "MKGformerForRelationExtraction",
    "MTBForRelationExtraction",
    "UMGFForRelationExtraction",
    "UMTForRelationExtraction",
    "VisualBERTForRelationExtraction",
    "build_baseline",
]
