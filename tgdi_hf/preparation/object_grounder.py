"""The parts of an image that a post speaks of, by the zero-shot detectors of transformers."""

from collections.abc import Sequence
from typing import Any

import torch
from PIL import Image
from transformers import AutoModelForZeroShotObjectDetection

from ..processing.query_phrases import distinct
from .model_loading import load_with_processor

DEFAULT_GROUNDER = "IDEA-Research/grounding-dino-tiny"
# Detectors whose phrases are the parts of one text between full stops; the others score phrases one by one.
PHRASES_IN_ONE_TEXT = ("grounding-dino", "mm-grounding-dino")
# Of transformers' own post-processing, kind by kind.
THRESHOLDS = {"grounding-dino": 0.25, "mm-grounding-dino": 0.25, "omdet-turbo": 0.3, "owlv2": 0.1, "owlvit": 0.1}


class ObjectGrounder:
    r"""
    Finds what phrases name in an image: boxes, with scores and the phrase that each answers.

    All phrases of an image are asked in one run of the model. A box answers the phrase that scores highest; boxes
    below `threshold` or smaller than `min_area` are dropped, of those that overlap by more than `max_overlap`
    (intersection over union) the best stays, and the best `num_objects` of these are the result.

    Args:
        model: A zero-shot object detector: Grounding DINO, MM Grounding DINO, OWLv2, OWL-ViT or OmDet-Turbo.
        processor: Its processor. (OmDet-Turbo's needs torchvision.)
        num_objects (`int`, *optional*, defaults to 3): How many boxes to keep.
        threshold (`float`, *optional*): The lowest score; 0.25 for (MM) Grounding DINO, 0.1 for OWLv2 and OWL-ViT, 0.3
            for OmDet-Turbo by default.
        max_overlap (`float`, *optional*, defaults to 0.5): Of two boxes.
        min_area (`float`, *optional*, defaults to 0.01): Smallest share of the image.
        revision (`str`, *optional*): Which weights these are, for `settings`.

    Example:

    ```python
    >>> grounder = ObjectGrounder.from_pretrained()
    >>> grounder([image], [["obama", "harvard", "person"]])
    [[{'box': [12.0, 30.5, 210.0, 400.0], 'score': 0.61, 'phrase': 'obama'}]]
    ```
    """

    def __init__(
        self,
        model,
        processor,
        num_objects: int = 3,
        threshold: float | None = None,
        max_overlap: float = 0.5,
        min_area: float = 0.01,
        revision: str | None = None,
    ):
        self.model = model.eval()
        self.processor = processor
        self.kind = model.config.model_type
        self.revision = revision
        self.num_objects = num_objects
        self.threshold = THRESHOLDS.get(self.kind, 0.25) if threshold is None else threshold
        self.max_overlap = max_overlap
        self.min_area = min_area

    @classmethod
    def from_pretrained(
        cls,
        name_or_path: str = DEFAULT_GROUNDER,
        *,
        revision: str | None = None,
        dtype: torch.dtype | str = torch.float32,
        device: torch.device | str | None = None,
        hub: dict[str, Any] | None = None,
        **options: Any,
    ):
        r"""
        Loads a grounder.

        Args:
            name_or_path (`str`): Model on the Hub or folder.
            revision (`str`, *optional*): Branch, tag or commit on the Hub.
            dtype (`torch.dtype`, *optional*, defaults to `torch.float32`): Of the weights.
            device (*optional*): Where to run; the accelerator if there is one.
            hub (`dict`, *optional*): `token`, `cache_dir`, `local_files_only`.
            options: See the class.
        """
        model, processor, recorded = load_with_processor(
            AutoModelForZeroShotObjectDetection, name_or_path, revision, dtype, device, hub
        )
        return cls(model, processor, revision=recorded, **options)

    @property
    def settings(self) -> dict[str, Any]:
        """All that the boxes depend on besides image and phrases, as plain JSON."""
        return {
            "model": self.model.config._name_or_path,
            "revision": self.revision,
            "dtype": str(self.model.dtype).removeprefix("torch."),
            "num_objects": self.num_objects,
            "threshold": self.threshold,
            "max_overlap": self.max_overlap,
            "min_area": self.min_area,
        }

    @torch.inference_mode()
    def __call__(self, images: Sequence[Image.Image], phrases: Sequence[Sequence[str]]) -> list[list[dict[str, Any]]]:
        r"""
        Args:
            images (`list[PIL.Image.Image]`): One batch, RGB.
            phrases (`list[list[str]]`): What to look for in each.

        Returns:
            `list[list[dict]]`: For each image at most `num_objects` mappings, the best first: `box` `[x0, y0, x1,
            y1]` in pixels, to a tenth; `score` from 0 to 1; `phrase`.
        """
        phrases = [[phrase.lower() for phrase in distinct(row)] for row in phrases]
        inputs = self._inputs(list(images), phrases).to(self.model.device)
        inputs["pixel_values"] = inputs["pixel_values"].to(self.model.dtype)
        outputs = self.model(**inputs)
        boxes, scores = self._boxes_and_scores(outputs, inputs, images, phrases)
        return [self._best(*row) for row in zip(boxes, scores, images, phrases)]

    def _inputs(self, images: list[Image.Image], phrases: list[list[str]]):
        options = {"padding": True, "truncation": True}
        if self.kind in PHRASES_IN_ONE_TEXT:
            texts = [". ".join(row) + "." for row in phrases]
            # The detector's text encoder has no more positions.
            return self.processor(
                images=images, text=texts, return_tensors="pt", max_length=self.model.config.max_text_len, **options
            )
        if self.kind.startswith("owl"):
            options["padding"] = "max_length"
        elif self.kind == "omdet-turbo":
            options = {}
        return self.processor(images=images, text=phrases, return_tensors="pt", **options)

    def _boxes_and_scores(self, outputs, inputs, images, phrases) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """For each image its boxes in pixels `(N, 4)`, and their score for each phrase `(N, phrases)`."""
        if self.kind == "omdet-turbo":
            centers, logits = outputs.decoder_coord_logits, outputs.decoder_class_logits
        else:
            centers, logits = outputs.pred_boxes, outputs.logits
        probabilities = logits.float().sigmoid().cpu()
        if self.kind in PHRASES_IN_ONE_TEXT:
            stop = self.processor.tokenizer.convert_tokens_to_ids(".")
            scores = [
                phrase_scores(row, ids, stop, len(asked))
                for row, ids, asked in zip(probabilities, inputs["input_ids"].cpu(), phrases)
            ]
        else:
            # Beyond an image's own phrases stands padding.
            scores = [row[:, : len(asked)] for row, asked in zip(probabilities, phrases)]
        # OWLv2 pads images to a square, at the right and at the bottom.
        sizes = [(max(image.size),) * 2 if self.kind == "owlv2" else image.size for image in images]
        x, y, width, height = centers.float().cpu().unbind(-1)  # (B, N) each, relative
        corners = torch.stack([x - width / 2, y - height / 2, x + width / 2, y + height / 2], dim=-1)
        scale = torch.tensor([[*size, *size] for size in sizes], dtype=torch.float32)
        limit = torch.tensor([[*image.size, *image.size] for image in images], dtype=torch.float32)
        boxes = (corners * scale[:, None]).clamp(min=0).minimum(limit[:, None])  # (B, N, 4)
        return list(boxes), scores

    def _best(
        self, boxes: torch.Tensor, scores: torch.Tensor, image: Image.Image, phrases: list[str]
    ) -> list[dict[str, Any]]:
        best, answered = scores.max(dim=1)
        width, height = (boxes[:, 2:] - boxes[:, :2]).unbind(1)
        large = width * height >= self.min_area * image.width * image.height
        kept = []
        for i in best.argsort(descending=True, stable=True).tolist():
            if best[i] < self.threshold or len(kept) == self.num_objects:
                break
            if large[i] and all(overlap(boxes[i], boxes[j]) <= self.max_overlap for j in kept):
                kept.append(i)
        return [
            {
                "box": [round(corner, 1) for corner in boxes[i].tolist()],
                "score": round(best[i].item(), 4),
                "phrase": phrases[answered[i]],
            }
            for i in kept
        ]


def phrase_scores(probabilities: torch.Tensor, ids: torch.Tensor, stop: int, count: int) -> torch.Tensor:
    r"""
    From scores for tokens to scores for the phrases that full stops end: that of the best token.

    Args:
        probabilities (`torch.Tensor`): `(N, tokens)`, for N boxes; may be wider than the text.
        ids (`torch.Tensor`): `(L,)`, the text with its special tokens: `[CLS] a cat . a dog . [SEP]`.
        stop (`int`): The id of the full stop.
        count (`int`): How many phrases there are; those that the text was too short for score zero.

    Returns:
        `torch.Tensor`: `(N, count)`.
    """
    scores = probabilities.new_zeros(len(probabilities), count)
    start = 1  # behind the opening special token
    for number, end in enumerate((ids == stop).nonzero().flatten().tolist()[:count]):
        if end > start:
            scores[:, number] = probabilities[:, start:end].amax(dim=1)
        start = end + 1
    return scores


def overlap(a: torch.Tensor, b: torch.Tensor) -> float:
    """Intersection over union of two boxes `(x0, y0, x1, y1)`."""
    both = (torch.minimum(a[2:], b[2:]) - torch.maximum(a[:2], b[:2])).clamp(min=0).prod()
    union = (a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod() - both
    return (both / union).item() if union > 0 else 0.0
