"""The TGDI processor: posts in, tensors out."""

import re
from itertools import chain

import numpy as np
from transformers import AutoImageProcessor, AutoTokenizer, BatchFeature
from transformers.processing_utils import ProcessorMixin
from transformers.utils import logging

from .entity_markers import (
    ENTITY_MARKERS,
    HEAD_START,
    TAIL_START,
    check_span,
    fit,
    split_at_markers,
    words_to_text,
)
from .image_inputs import MAX_IMAGE_PIXELS, PictureReader, is_box

logger = logging.get_logger(__name__)

# Tokenizers without a limit of their own report an astronomical one.
DEFAULT_MAX_LENGTH, NO_LIMIT = 512, 10**6


class TGDIProcessor(ProcessorMixin):
    r"""
    Turns posts into the tensors of a TGDI model: text with entity markers, the same text with the caption, pictures.

    Args:
        image_processor: That of the vision encoder, or any that returns `pixel_values`.
        tokenizer: A fast tokenizer, that of the text encoder. The entity markers are added to it if it lacks them.
        num_objects (`int`, *optional*, defaults to 3):
            The largest number m of objects a post; of more the first are taken.
        use_caption (`bool`, *optional*, defaults to `True`):
            Whether captions are used; `False` ("w/o caption") makes T_e the same as T.
        max_length (`int`, *optional*):
            The longest text with caption, in tokens; by default what the tokenizer says, or 512.
        max_image_pixels (`int`, *optional*, defaults to 89,478,485):
            A picture of more pixels is refused before it is decoded.

    Example:

    ```python
    >>> inputs = processor(
    ...     text="JFK and Obama at Harvard", head=(0, 3), tail=(17, 24), images="post.jpg", caption="two men in gowns"
    ... )
    >>> logits = model(**inputs).logits
    ```
    """

    def __init__(
        self,
        image_processor=None,
        tokenizer=None,
        num_objects: int = 3,
        use_caption: bool = True,
        max_length: int | None = None,
        max_image_pixels: int = MAX_IMAGE_PIXELS,
        **kwargs,
    ):
        super().__init__(image_processor, tokenizer, **kwargs)
        if not tokenizer.is_fast:
            raise ValueError(
                f"{type(tokenizer).__name__} is a slow tokenizer, which can't tell a marker from the same characters "
                "in a post. Load the fast one: `AutoTokenizer.from_pretrained(name)`."
            )
        self.num_objects = num_objects
        self.use_caption = use_caption
        self.max_length = max_length
        self.max_image_pixels = max_image_pixels
        missing = [marker for marker in ENTITY_MARKERS if marker not in tokenizer.get_vocab()]
        if missing:
            tokenizer.add_special_tokens({"extra_special_tokens": missing}, replace_extra_special_tokens=False)
        self._template = _Template(tokenizer)
        shortest = self._template.single + len(ENTITY_MARKERS) + 2
        if max_length is not None and max_length < shortest:
            raise ValueError(f"`max_length` is {max_length}; two marked entities alone need {shortest} tokens.")

    @classmethod
    def from_text_vision_pretrained(cls, text_name_or_path: str, vision_name_or_path: str, **options):
        r"""
        Builds the processor that belongs to two pretrained encoders.

        Args:
            text_name_or_path (`str`): Whose tokenizer to take, on the Hub or in a folder.
            vision_name_or_path (`str`): Whose image processor to take.
            options: `num_objects`, `use_caption`, `max_length`, `max_image_pixels`.
        """
        # The PIL backend gives the same pixels whether or not torchvision is installed.
        return cls(
            AutoImageProcessor.from_pretrained(vision_name_or_path, backend="pil"),
            AutoTokenizer.from_pretrained(text_name_or_path),
            **options,
        )

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path, **kwargs):
        r"""
        Loads a saved processor.

        Raises:
            ValueError: The saved tokenizer lacks the entity markers: the model's embeddings have no rows for them.
        """
        kwargs.setdefault("backend", "pil")
        return super().from_pretrained(pretrained_model_name_or_path, **kwargs)

    @classmethod
    def from_args_and_dict(cls, args, processor_dict, **kwargs):
        tokenizer = args[1]
        missing = [marker for marker in ENTITY_MARKERS if marker not in tokenizer.get_vocab()]
        if missing:
            raise ValueError(
                f"The tokenizer saved in {tokenizer.name_or_path} lacks the entity markers {', '.join(missing)}, so "
                "the model beside it has no embeddings for them. For a new model build the processor anew, with "
                "`TGDIProcessor(image_processor, tokenizer)`, and pass its tokenizer to `from_text_vision_pretrained`."
            )
        return super().from_args_and_dict(args, processor_dict, **kwargs)

    def __call__(
        self,
        images=None,
        text=None,
        head=None,
        tail=None,
        objects=None,
        caption=None,
        share_images: bool = False,
        return_tensors: str | None = "pt",
    ) -> BatchFeature:
        r"""
        Args:
            images: A picture, or one (or `None`) for each post: a PIL image, a path, an array or a mapping with
                `bytes` or `path`.
            text (`str`, `list[str]` or `list[list[str]]`): One text, several texts, or several lists of words.
            head, tail: The span `[start, end)` of each entity, or one for each post: characters of the text, or
                words where words are given. The two may overlap, nest or coincide.
            objects: Up to `num_objects` parts of the picture for a post, or for each: boxes `(x0, y0, x1, y1)` in
                pixels of the picture, or pictures of their own. The first `num_objects` are taken.
            caption (`str`): What an image captioner says of the picture, or one (or `None`) for each post.
            share_images (`bool`, *optional*, defaults to `False`):
                Return the distinct pictures of the batch once, with an index (what `TGDICollator` does).
            return_tensors (`str`, *optional*, defaults to `"pt"`): `"pt"` or `"np"`.

        Returns:
            `BatchFeature` with
            - `input_ids`, `attention_mask`, `token_type_ids` `(B, L)`: T, the text with markers;
            - `enhanced_input_ids`, `enhanced_attention_mask`, `enhanced_token_type_ids` `(B, L_e)`: T_e, the same
              followed by the caption; absent if no post has one;
            - `head_index`, `tail_index` `(B,)`: the opening markers, at the same place in both;
            - `pixel_values` `(B, 1 + num_objects, 3, H, W)` and `image_mask` `(B, 1 + num_objects)`: the picture and
              its objects, zeros where there is none; absent if no post has any. With `share_images` `pixel_values`
              `(N, 3, H, W)`, and `image_index` and `image_mask` `(B, 1 + s)`, s the most objects a post has.

        Raises:
            ValueError: Input that can't be right; the message says what is wrong in which row of the batch.
        """
        if text is None:
            raise ValueError("`text` is missing: every post has a text, and pictures are optional.")
        if isinstance(text, str):
            text, head, tail = [text], [head], [tail]
            images, objects, caption = ([value] for value in (images, objects, caption))
        rows = len(text)
        head, tail, images, objects, caption = (
            self._one_a_row(values, name, rows)
            for name, values in (
                ("head", head), ("tail", tail), ("images", images), ("objects", objects), ("caption", caption)
            )
        )  # fmt: skip
        data = {**self._encode_texts(text, head, tail, caption), **self._encode_pictures(images, objects, share_images)}
        return BatchFeature(data, tensor_type=return_tensors)

    @staticmethod
    def _one_a_row(values, name: str, rows: int) -> list:
        if values is None:
            return [None] * rows
        if isinstance(values, str) or not hasattr(values, "__len__") or len(values) != rows:
            found = len(values) if hasattr(values, "__len__") and not isinstance(values, str) else repr(values)
            raise ValueError(f"`text` has {rows} rows, `{name}` {found}; expected one value (or `None`) a row.")
        return list(values)

    def _encode_texts(self, texts, heads, tails, captions) -> dict[str, np.ndarray]:
        pieces = [_marked(*row, f"row {i}") for i, row in enumerate(zip(texts, heads, tails))]
        captions = [caption if self.use_caption and caption and caption.strip() else None for caption in captions]
        # One call of the tokenizer for the whole batch.
        strings = [piece for piece, is_marker in chain.from_iterable(pieces) if not is_marker]
        encoded = iter(self._tokenize(strings + [caption for caption in captions if caption]))
        limit, template = self._limit(), self._template
        budget, cut = limit - template.single, 0
        plain, enhanced, types = [], [], []
        for row in pieces:
            ids, markers = [], []
            for piece, is_marker in row:
                if is_marker:
                    markers.append(len(ids))
                    ids.append(template.markers[piece])
                else:
                    ids += next(encoded)
            cut += len(ids) > budget
            plain.append(template.prefix + fit(ids, markers, budget) + template.suffix)
        for ids, caption in zip(plain, captions):
            room = limit - len(ids) - template.pair
            caption_ids = next(encoded)[: max(room, 0)] if caption else []
            second = template.middle + caption_ids + template.end if caption_ids else []
            enhanced.append(ids + second)
            types.append([0] * len(ids) + [template.second_type] * len(second))
        if cut:
            logger.warning(
                f"{cut} of {len(pieces)} texts are longer than {limit} tokens; what stands far from the entities was "
                "cut."
            )
        data = {
            **_padded(plain, [[0] * len(ids) for ids in plain], template.padding),
            "head_index": np.array([ids.index(template.markers[HEAD_START]) for ids in plain]),
            "tail_index": np.array([ids.index(template.markers[TAIL_START]) for ids in plain]),
        }
        if any(captions):
            padded = _padded(enhanced, types, template.padding)
            data.update({f"enhanced_{name}": array for name, array in padded.items()})
        return data

    def _tokenize(self, strings: list[str]) -> list[list[int]]:
        """Token ids of each string, in which what looks like a special token or a marker is ordinary text."""
        if not strings:
            return []
        encoded = self._token_ids(strings)
        for i, ids in enumerate(encoded):
            if not self._template.special.isdisjoint(ids):
                # Unigram vocabularies hold special tokens among their pieces; cut in two, "<s>" is found no more.
                cuts = [match.start() + 1 for match in self._template.look_special.finditer(strings[i])]
                parts = [strings[i][start:end] for start, end in zip([0, *cuts], [*cuts, None])]
                ids = chain.from_iterable(self._token_ids(parts))
                unknown = self.tokenizer.unk_token_id
                encoded[i] = [unknown if token in self._template.special else token for token in ids]
        return encoded

    def _token_ids(self, strings: list[str]) -> list[list[int]]:
        return self.tokenizer(
            strings, add_special_tokens=False, split_special_tokens=True, return_attention_mask=False,
            return_token_type_ids=False, verbose=False,
        )["input_ids"]  # fmt: skip

    def _limit(self) -> int:
        if self.max_length is not None:
            return self.max_length
        limit = self.tokenizer.model_max_length
        return limit if limit and limit < NO_LIMIT else DEFAULT_MAX_LENGTH

    def _encode_pictures(self, images, objects, share_images: bool) -> dict[str, np.ndarray]:
        reader, slots = PictureReader(self.max_image_pixels), []
        for i, (image, parts) in enumerate(zip(images, objects)):
            row = [] if parts is None else list(parts)[: self.num_objects]
            key = reader.read(image, f"row {i}, image")[0] if image is not None else None
            keys = [key]
            for j, part in enumerate(row):
                where = f"row {i}, object {j}"
                if not is_box(part):
                    keys.append(reader.read(part, where)[0])
                elif key is not None:
                    keys.append(reader.crop(key, part, where)[0])
                else:
                    raise ValueError(f"{where} is a box, {list(part)}, on a picture that is missing.")
            slots.append(keys)
        used = {key: None for key in chain.from_iterable(slots) if key is not None}
        if not used:
            return {}
        used = {key: number for number, key in enumerate(used)}
        pictures = [reader.pictures[key] for key in used]
        pixels = np.asarray(self.image_processor(pictures, return_tensors="np")["pixel_values"])  # (N, 3, H, W)
        width = max(len(keys) for keys in slots) if share_images else 1 + self.num_objects
        index, mask = np.zeros((len(slots), width), np.int64), np.zeros((len(slots), width), np.int64)
        for i, keys in enumerate(slots):
            for j, key in enumerate(keys):
                if key is not None:
                    index[i, j], mask[i, j] = used[key], 1
        if share_images:
            return {"pixel_values": pixels, "image_index": index, "image_mask": mask}
        return {"pixel_values": pixels[index] * mask[..., None, None, None].astype(pixels.dtype), "image_mask": mask}

    @property
    def model_input_names(self) -> list[str]:
        text = ["input_ids", "attention_mask", "token_type_ids"]
        rest = ["head_index", "tail_index", "pixel_values", "image_mask", "image_index"]
        return [*text, *(f"enhanced_{name}" for name in text), *rest]


class _Template:
    """The special tokens of a tokenizer, and where they stand around one text and around a pair of texts."""

    def __init__(self, tokenizer):
        ids = tokenizer("a")["input_ids"]
        pair = tokenizer("a", "a", return_special_tokens_mask=True, return_token_type_ids=True)
        # The texts are the first and the last run of positions that the template did not add.
        texts = [i for i, special in enumerate(pair["special_tokens_mask"]) if not special]
        start, end = texts[0], texts[-1] + 1
        half = len(texts) // 2
        first_end, second_start = texts[half - 1] + 1, texts[half]
        between = pair["input_ids"][first_end:second_start]
        self.prefix = pair["input_ids"][:start]
        self.suffix = ids[first_end:]
        self.middle = between[len(self.suffix) :]
        self.end = pair["input_ids"][end:]
        self.second_type = pair["token_type_ids"][second_start]
        if not self.prefix or not self.suffix or between[: len(self.suffix)] != self.suffix:
            raise ValueError(
                f"{type(tokenizer).__name__} puts {self.prefix} before and {self.suffix} after a text and {between} "
                "between two; TGDI needs a tokenizer that marks begin and end, such as BERT's or RoBERTa's."
            )
        self.single = len(self.prefix) + len(self.suffix)
        self.pair = len(self.middle) + len(self.end)
        self.markers = {marker: tokenizer.convert_tokens_to_ids(marker) for marker in ENTITY_MARKERS}
        self.padding = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else 0
        self.special = set(tokenizer.all_special_ids) - {tokenizer.unk_token_id}
        self.look_special = re.compile("|".join(map(re.escape, tokenizer.all_special_tokens)))


def _marked(text, head, tail, where: str) -> list[tuple[str, bool]]:
    """The pieces of one text, or of the words of one, between its entity markers."""
    if isinstance(text, str):
        spans = [
            check_span(span, len(text), name, "characters", where) for name, span in (("head", head), ("tail", tail))
        ]
    elif isinstance(text, list | tuple) and all(isinstance(word, str) for word in text):
        spans = [check_span(span, len(text), name, "words", where) for name, span in (("head", head), ("tail", tail))]
        text, spans = words_to_text(text, spans)
    else:
        raise ValueError(f"{where}: `text` is {text!r}; expected a string or a list of words.")
    return split_at_markers(text, *spans)


def _padded(rows: list[list[int]], types: list[list[int]], padding: int) -> dict[str, np.ndarray]:
    """Ids, mask and segment ids, padded on the right to the longest row."""
    shape = len(rows), max(len(row) for row in rows)
    ids, mask, segments = np.full(shape, padding, np.int64), np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    for i, (row, row_types) in enumerate(zip(rows, types)):
        ids[i, : len(row)], mask[i, : len(row)], segments[i, : len(row)] = row, 1, row_types
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": segments}


__all__ = ["TGDIProcessor"]
