"""Image captions from any image-to-text model of transformers."""

import re
from collections.abc import Sequence
from typing import Any

import torch
from PIL import Image
from transformers import AutoModelForImageTextToText

from .model_loading import load_with_processor

DEFAULT_CAPTIONER = "Salesforce/blip2-opt-2.7b"
# Default prompts. BLIP and BLIP-2 caption without any.
FLORENCE_PROMPT = "<CAPTION>"
CHAT_PROMPT = "Describe the picture in one short sentence."
# Longest repeated unit that `cut_repetition` finds, in words.
LONGEST_UNIT = 8


class ImageCaptioner:
    r"""
    Captions images in one sentence; TGDI appends the caption to the text of a post.

    Decoding is greedy by default, so that the caption of an image is deterministic. Repetition, to which image-to-text
    models are prone, is removed by `cut_repetition`.

    Args:
        model: An image-to-text model: BLIP, BLIP-2, Florence-2, or a chat model for images.
        processor: Its processor.
        prompt (`str`, *optional*):
            An instruction, or the beginning of the caption, which is removed from the output. Defaults to no prompt for
            BLIP and BLIP-2, to `"<CAPTION>"` for Florence-2, and to an instruction to write one short sentence for chat
            models.
        revision (`str`, *optional*): Identity of the weights, for `settings`.
        generation: Arguments of `generate` (`num_beams`, `max_new_tokens`, ...).

    Example:

    ```python
    >>> captioner = ImageCaptioner.from_pretrained("Salesforce/blip-image-captioning-base")  # small enough for a CPU
    >>> captioner([image])
    ['two men in gowns on a stage']
    ```
    """

    def __init__(
        self,
        model: Any,
        processor: Any,
        prompt: str | None = None,
        revision: str | None = None,
        **generation: Any,
    ):
        self.model = model.eval()
        self.processor = processor
        self.revision = revision
        self.is_chat_model = getattr(processor, "chat_template", None) is not None
        florence = FLORENCE_PROMPT if model.config.model_type == "florence2" else None
        self.prompt = prompt if prompt is not None else CHAT_PROMPT if self.is_chat_model else florence
        self.generation = {"do_sample": False, "num_beams": 1, "max_new_tokens": 30, **generation}
        # The prompts of a batch must end at the same position, where generation starts.
        processor.tokenizer.padding_side = "left"

    @classmethod
    def from_pretrained(
        cls,
        name_or_path: str = DEFAULT_CAPTIONER,
        *,
        revision: str | None = None,
        dtype: torch.dtype | str = "auto",
        device: torch.device | str | None = None,
        prompt: str | None = None,
        hub: dict[str, Any] | None = None,
        **generation: Any,
    ) -> "ImageCaptioner":
        r"""
        Loads a captioner.

        Args:
            name_or_path (`str`): Model on the Hub or folder.
            revision (`str`, *optional*): Branch, tag or commit on the Hub.
            dtype (`torch.dtype` or `str`, *optional*, defaults to `"auto"`):
                Data type of the weights; `"auto"` keeps that of the saved weights.
            device (*optional*): Device to run on; by default the accelerator, if one is available.
            prompt, generation: See the class.
            hub (`dict`, *optional*): `token`, `cache_dir`, `local_files_only`.
        """
        model, processor, recorded = load_with_processor(
            AutoModelForImageTextToText, name_or_path, revision, dtype, device, hub
        )
        return cls(model, processor, prompt, recorded, **generation)

    @property
    def settings(self) -> dict[str, Any]:
        """All that a caption depends on besides the image, as plain JSON."""
        return {
            "model": self.model.config._name_or_path,
            "revision": self.revision,
            "dtype": str(self.model.dtype).removeprefix("torch."),
            "prompt": self.prompt,
            "generation": self.generation,
            "repetition": f"units of up to {LONGEST_UNIT} words, three times",
        }

    @torch.inference_mode()
    def __call__(self, images: Sequence[Image.Image]) -> list[str]:
        r"""
        Args:
            images (`list[PIL.Image.Image]`): One batch, RGB.

        Returns:
            `list[str]`: One caption per image; empty if the model generated no text.
        """
        inputs = self._inputs(list(images)).to(self.model.device)
        inputs["pixel_values"] = inputs["pixel_values"].to(self.model.dtype)
        tokens = self.model.generate(**inputs, **self.generation)
        if self.is_chat_model and not self.model.config.is_encoder_decoder:
            tokens = tokens[:, inputs["input_ids"].shape[1] :]
        texts = self.processor.batch_decode(tokens, skip_special_tokens=True)
        return [cut_repetition(self._without_prompt(text)) for text in texts]

    def _inputs(self, images: list[Image.Image]) -> Any:
        if self.is_chat_model:
            content = [{"type": "image"}, {"type": "text", "text": self.prompt}]
            prompt = self.processor.apply_chat_template(
                [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False
            )
            # One list of images per text: processors differ in how they assign a flat list of images to texts.
            nested, texts = [[image] for image in images], [prompt] * len(images)
            return self.processor(images=nested, text=texts, padding=True, return_tensors="pt")
        if self.prompt is None:
            return self.processor(images=images, return_tensors="pt")
        return self.processor(images=images, text=[self.prompt] * len(images), padding=True, return_tensors="pt")

    def _without_prompt(self, text: str) -> str:
        text = " ".join(text.split())
        if self.is_chat_model or self.prompt is None:
            return text
        # Models that continue the prompt repeat it, decoded by their tokenizer, which may change case and spaces.
        return re.sub(rf"^{re.escape(' '.join(self.prompt.split()))}\s*", "", text, flags=re.IGNORECASE)


def cut_repetition(text: str) -> str:
    r"""
    Removes repetition from generated text: one to eight words that occur three times or more in a row, ignoring case,
    are kept once. The last occurrence may be incomplete at the end of the text. Punctuation that the removal leaves at
    the end is removed as well.

    Example:

    ```python
    >>> cut_repetition("mahesh babu, mahesh babu, mahesh babu, mahesh bab")
    'mahesh babu'
    ```
    """
    words = text.split()
    before: list[str] | None = None
    at_end = False
    while words != before:  # the removal of one repetition may create another
        before = list(words)
        start = 0
        while start < len(words):
            end, size = _repetition([word.lower() for word in words], start)
            if end:
                at_end |= end == len(words)
                del words[start + size : end]
            start += 1
    text = " ".join(words)
    return text.rstrip(" ,;:-–—") if at_end else text


def _repetition(words: list[str], start: int) -> tuple[int, int]:
    """The end of the repetition that begins at `start`, and the size of its unit in words; zeros if none begins."""
    for size in range(1, LONGEST_UNIT + 1):
        unit = words[start : start + size]
        end = start + size
        while words[end : end + size] == unit:
            end += size
        times = (end - start) // size
        rest = " ".join(words[end:])
        cut_short = bool(rest) and " ".join(unit).startswith(rest)
        if times + cut_short >= 3:
            return (len(words) if cut_short else end), size
    return 0, 0
