"""The image regions that a post mentions, from any zero-shot object detector of transformers."""

from collections.abc import Sequence
from typing import Any

import torch
from PIL import Image
from transformers import AutoModelForZeroShotObjectDetection

from ..processing.query_phrases import distinct
from .model_loading import load_with_processor

DEFAULT_GROUNDER = "IDEA-Research/grounding-dino-tiny"
# Detectors that take all phrases of an image in one text, separated by full stops; the others take a list of phrases.
PHRASES_IN_ONE_TEXT = ("grounding-dino", "mm-grounding-dino")
# Default score thresholds by model type, from the post-processing functions of transformers.
THRESHOLDS = {"grounding-dino": 0.25, "mm-grounding-dino": 0.25, "omdet-turbo": 0.3, "owlv2": 0.1, "owlvit": 0.1}


class ObjectGrounder:
    r"""
    Detects the objects in an image that phrases name, as boxes with a score and a phrase.

    One forward pass takes all phrases of an image. Each box is assigned the phrase with the highest score. Boxes with a
    score below `threshold` or an area below `min_area` are dropped. Of boxes that overlap by more than `max_overlap`,
    the one with the highest score is kept (non-maximum suppression over all phrases), and the best `num_objects` boxes
    are returned.

    Args:
        model: A zero-shot object detector: Grounding DINO, MM Grounding DINO, OWLv2, OWL-ViT or OmDet-Turbo.
        processor: Its processor. (OmDet-Turbo's needs torchvision.)
        num_objects (`int`, *optional*, defaults to 3): Maximum number of boxes per image.
        threshold (`float`, *optional*): Minimum score; defaults to 0.25 for (MM) Grounding DINO, 0.1 for OWLv2 and
            OWL-ViT, and 0.3 for OmDet-Turbo.
        max_overlap (`float`, *optional*, defaults to 0.5): Maximum intersection over union of two boxes.
        min_area (`float`, *optional*, defaults to 0.01): Minimum area of a box, as a fraction of the image.
        revision (`str`, *optional*): Identity of the weights, for `settings`.

    Example:

    ```python
    >>> grounder = ObjectGrounder.from_pretrained()
    >>> grounder([image], [["obama", "harvard", "person"]])
    [[{'box': [12.0, 30.5, 210.0, 400.0], 'score': 0.61, 'phrase': 'obama'}]]
    ```
    """

    def __init__(
        self,
        model: Any,
        processor: Any,
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
    ) -> "ObjectGrounder":
        r"""
        Loads a grounder.

        Args:
            name_or_path (`str`): Model on the Hub or folder.
            revision (`str`, *optional*): Branch, tag or commit on the Hub.
            dtype (`torch.dtype`, *optional*, defaults to `torch.float32`): Data type of the weights.
            device (*optional*): Device to run on; by default the accelerator, if one is available.
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
            phrases (`list[list[str]]`): Phrases to detect, per image.

        Returns:
            `list[list[dict]]`: Per image at most `num_objects` mappings, sorted by descending score: `box` `[x0, y0,
            x1, y1]` in pixels, rounded to tenths; `score` from 0 to 1; `phrase`.
        """
        lowered = [[phrase.lower() for phrase in distinct(row)] for row in phrases]
        inputs = self._inputs(list(images), lowered).to(self.model.device)
        inputs["pixel_values"] = inputs["pixel_values"].to(self.model.dtype)
        outputs = self.model(**inputs)
        boxes, scores = self._boxes_and_scores(outputs, inputs, images, lowered)
        return [self._best(*row) for row in zip(boxes, scores, images, lowered)]

    def _inputs(self, images: list[Image.Image], phrases: list[list[str]]) -> Any:
        options: dict[str, Any] = {"padding": True, "truncation": True}
        if self.kind in PHRASES_IN_ONE_TEXT:
            texts = [". ".join(row) + "." for row in phrases]
            # The number of positions of the detector's text encoder.
            return self.processor(
                images=images, text=texts, return_tensors="pt", max_length=self.model.config.max_text_len, **options
            )
        if self.kind.startswith("owl"):
            options["padding"] = "max_length"
        elif self.kind == "omdet-turbo":
            options = {}
        return self.processor(images=images, text=phrases, return_tensors="pt", **options)

    def _boxes_and_scores(
        self, outputs: Any, inputs: Any, images: Sequence[Image.Image], phrases: list[list[str]]
    ) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """Per image the boxes in pixels, `(N, 4)`, and their scores for each phrase, `(N, phrases)`."""
        if self.kind == "omdet-turbo":
            centers, logits = outputs.decoder_coord_logits, outputs.decoder_class_logits
        else:
            centers, logits = outputs.pred_boxes, outputs.logits
        probabilities = logits.float().sigmoid().cpu()
        if self.kind in PHRASES_IN_ONE_TEXT:
            stop = self.processor.tokenizer.convert_tokens_to_ids(".")
            scores = [
                phrase_scores(row, ids, stop, len(of_image))
                for row, ids, of_image in zip(probabilities, inputs["input_ids"].cpu(), phrases)
            ]
        else:
            # The columns after those of the image's phrases are padding.
            scores = [row[:, : len(of_image)] for row, of_image in zip(probabilities, phrases)]
        # OWLv2 pads images to squares, on the right and at the bottom.
        sizes = [(max(image.size),) * 2 if self.kind == "owlv2" else image.size for image in images]
        x, y, width, height = centers.float().cpu().unbind(-1)  # (B, N) each, as fractions
        corners = torch.stack([x - width / 2, y - height / 2, x + width / 2, y + height / 2], dim=-1)
        scale = torch.tensor([[*size, *size] for size in sizes], dtype=torch.float32)
        limit = torch.tensor([[*image.size, *image.size] for image in images], dtype=torch.float32)
        boxes = (corners * scale[:, None]).clamp(min=0).minimum(limit[:, None])  # (B, N, 4)
        return list(boxes), scores

    def _best(
        self, boxes: torch.Tensor, scores: torch.Tensor, image: Image.Image, phrases: list[str]
    ) -> list[dict[str, Any]]:
        best, phrase = scores.max(dim=1)  # (N,) each
        width, height = (boxes[:, 2:] - boxes[:, :2]).unbind(1)
        large = width * height >= self.min_area * image.width * image.height
        kept: list[int] = []
        for i in best.argsort(descending=True, stable=True).tolist():
            if best[i] < self.threshold or len(kept) == self.num_objects:
                break
            if large[i] and all(overlap(boxes[i], boxes[j]) <= self.max_overlap for j in kept):
                kept.append(i)
        return [
            {
                "box": [round(corner, 1) for corner in boxes[i].tolist()],
                "score": round(best[i].item(), 4),
                "phrase": phrases[phrase[i]],
            }
            for i in kept
        ]


def phrase_scores(probabilities: torch.Tensor, ids: torch.Tensor, stop: int, count: int) -> torch.Tensor:
    r"""
    Turns token scores into phrase scores: the score of a phrase is the maximum over its tokens. A full stop ends a
    phrase.

    Args:
        probabilities (`torch.Tensor`): `(N, tokens)` for N boxes; may have more columns than the text has tokens.
        ids (`torch.Tensor`): `(L,)`, the text with special tokens: `[CLS] a cat . a dog . [SEP]`.
        stop (`int`): Token id of the full stop.
        count (`int`): Number of phrases; phrases that were truncated from the text have the score zero.

    Returns:
        `torch.Tensor`: `(N, count)`.
    """
    scores = probabilities.new_zeros(len(probabilities), count)
    start = 1  # after the first special token
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
