"""Captions for images, by any image-to-text model of transformers."""

import re
from collections.abc import Sequence
from typing import Any

import torch
from PIL import Image
from transformers import AutoModelForImageTextToText

from .model_loading import load_with_processor

DEFAULT_CAPTIONER = "Salesforce/blip2-opt-2.7b"
# What a model needs to be told where the user says nothing. BLIP and BLIP-2 caption without any prompt.
FLORENCE_PROMPT = "<CAPTION>"
CHAT_PROMPT = "Describe the picture in one short sentence."
# `cut_repetition` looks for units of so many words at most.
LONGEST_UNIT = 8


class ImageCaptioner:
    r"""
    Says what an image shows, in a sentence: the caption that TGDI appends to a post.

    Decoding is greedy unless generation options say otherwise, so that an image has one caption. Repetition, into
    which such models fall, is cut by `cut_repetition`.

    Args:
        model: An image-to-text model: BLIP, BLIP-2, Florence-2, or one that chats about images.
        processor: Its processor.
        prompt (`str`, *optional*):
            What the model is asked, or how the caption begins, which is taken away again. By default nothing for BLIP
            and BLIP-2, `"<CAPTION>"` for Florence-2, and a request for a short sentence for models that chat.
        revision (`str`, *optional*): Which weights these are, for `settings`.
        generation: Options of `generate` (`num_beams`, `max_new_tokens`, ...).

    Example:

    ```python
    >>> captioner = ImageCaptioner.from_pretrained("Salesforce/blip-image-captioning-base")  # the choice for a CPU
    >>> captioner([image])
    ['two men in gowns on a stage']
    ```
    """

    def __init__(self, model, processor, prompt: str | None = None, revision: str | None = None, **generation: Any):
        self.model = model.eval()
        self.processor = processor
        self.revision = revision
        self.chats = getattr(processor, "chat_template", None) is not None
        florence = FLORENCE_PROMPT if model.config.model_type == "florence2" else None
        self.prompt = prompt if prompt is not None else CHAT_PROMPT if self.chats else florence
        self.generation = {"do_sample": False, "num_beams": 1, "max_new_tokens": 30, **generation}
        # Prompts of a batch end at one place, where the captions begin.
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
    ):
        r"""
        Loads a captioner.

        Args:
            name_or_path (`str`): Model on the Hub or folder.
            revision (`str`, *optional*): Branch, tag or commit on the Hub.
            dtype (`torch.dtype` or `str`, *optional*, defaults to `"auto"`): Of the weights; as they are saved.
            device (*optional*): Where to run; the accelerator if there is one.
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
            `list[str]`: A caption each; empty where the model had nothing to say.
        """
        inputs = self._inputs(list(images)).to(self.model.device)
        inputs["pixel_values"] = inputs["pixel_values"].to(self.model.dtype)
        tokens = self.model.generate(**inputs, **self.generation)
        if self.chats and not self.model.config.is_encoder_decoder:
            tokens = tokens[:, inputs["input_ids"].shape[1] :]
        texts = self.processor.batch_decode(tokens, skip_special_tokens=True)
        return [cut_repetition(self._without_prompt(text)) for text in texts]

    def _inputs(self, images: list[Image.Image]):
        if self.chats:
            content = [{"type": "image"}, {"type": "text", "text": self.prompt}]
            question = self.processor.apply_chat_template(
                [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False
            )
            # One list of images a text: processors differ in how they share out a flat one.
            images, texts = [[image] for image in images], [question] * len(images)
            return self.processor(images=images, text=texts, padding=True, return_tensors="pt")
        if self.prompt is None:
            return self.processor(images=images, return_tensors="pt")
        return self.processor(images=images, text=[self.prompt] * len(images), padding=True, return_tensors="pt")

    def _without_prompt(self, text: str) -> str:
        text = " ".join(text.split())
        if self.chats or self.prompt is None:
            return text
        # Models that continue the prompt give it back, in their tokenizer's spelling.
        return re.sub(rf"^{re.escape(' '.join(self.prompt.split()))}\s*", "", text, flags=re.IGNORECASE)


def cut_repetition(text: str) -> str:
    r"""
    Cuts what a model in a loop has written: where one to eight words come three times or more in a row, in upper or
    lower case, they stay once. The last time may be cut short by the end of the text. Commas and dashes that the
    repetition leaves at the end go, too.

    Example:

    ```python
    >>> cut_repetition("mahesh babu, mahesh babu, mahesh babu, mahesh bab")
    'mahesh babu'
    ```
    """
    words, before, at_end = text.split(), None, False
    while words != before:  # what is left may repeat itself in its turn
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
    """Where the repetition that begins at `start` ends, and its unit's size; zeros if there is none."""
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
