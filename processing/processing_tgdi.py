"""The TGDI processor: posts in, tensors out."""

import inspect
from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar, TypedDict

import numpy as np
import torch
from transformers import AutoConfig, AutoImageProcessor, AutoTokenizer, BatchFeature
from transformers.processing_utils import ProcessingKwargs, ProcessorMixin, Unpack
from transformers.utils import logging

from .entity_markers import (
    ENTITY_MARKERS,
    HEAD_END,
    HEAD_START,
    TAIL_END,
    TAIL_START,
    TextTokenizer,
    check_span,
    cut_at_markers,
    shorten,
    words_to_text,
)
from .image_inputs import MAX_IMAGE_PIXELS, PictureBatch, is_box
from .invalid_post import InvalidPost
from .loading_options import processor_options

logger = logging.get_logger(__name__)

# Tokenizers without a limit of their own report an astronomical one.
DEFAULT_MAX_LENGTH, NO_LIMIT = 512, 10**6


class TGDITextKwargs(TypedDict, total=False):
    max_length: int | None


class TGDIProcessorKwargs(ProcessingKwargs, total=False):
    r"""
    What a single call can change: `max_length`, and the options of the image processor (`size`, `do_normalize`, …).
    Markers, special tokens and padding are the model's format and no options.
    """

    text_kwargs: TGDITextKwargs


class TGDIProcessor(ProcessorMixin):
    r"""
    Turns posts into the tensors of a TGDI model: text with entity markers, the same text with the caption, pictures.

    A post that contains a special token or a marker literally ("<s>", "[SEP]", "<head>") keeps it as ordinary text. A
    text that is too long is cut around its entities, after the caption, and a warning says so.

    Args:
        image_processor: That of the vision encoder, or any that makes one `pixel_values` of equal size of each picture.
        tokenizer: That of the text encoder. The entity markers are added to it if it lacks them.
        num_objects (`int`, *optional*, defaults to 3):
            The largest number m of objects a post; of more the first are taken.
        use_caption (`bool`, *optional*, defaults to `True`):
            Whether captions are used; `False` ("w/o caption") makes T_e the same as T.
        max_length (`int`, *optional*):
            The longest text with caption, in tokens; by default what the tokenizer says, or 512, and with
            `from_text_vision_pretrained` not more than the text encoder has positions for.
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

    # As in `TGDIConfig`: set where the package is installed.
    _write_code: ClassVar[Callable[[str], None] | None] = None

    def __init__(
        self,
        image_processor=None,
        tokenizer=None,
        num_objects: int = 3,
        use_caption: bool = True,
        max_length: int | None = None,
        max_image_pixels: int = MAX_IMAGE_PIXELS,
    ):
        super().__init__(image_processor, tokenizer)
        if num_objects < 0:
            raise ValueError(f"`num_objects` is {num_objects}; expected 0 or more objects a post.")
        self.num_objects = num_objects
        self.use_caption = use_caption
        self.max_length = max_length
        self.max_image_pixels = max_image_pixels
        # A marker that is an ordinary piece of the vocabulary becomes a special one, with the id that it has.
        missing = [marker for marker in ENTITY_MARKERS if marker not in tokenizer.all_special_tokens]
        if missing:
            tokenizer.add_special_tokens({"extra_special_tokens": missing}, replace_extra_special_tokens=False)
        self._texts = TextTokenizer(tokenizer)
        self._limit(max_length)

    @classmethod
    def from_text_vision_pretrained(cls, text_name_or_path: str, vision_name_or_path: str, **options):
        r"""
        Builds the processor that belongs to two pretrained encoders.

        Args:
            text_name_or_path (`str`): Whose tokenizer to take, on the Hub or in a folder.
            vision_name_or_path (`str`): Whose image processor to take.
            options: `num_objects`, `use_caption`, `max_length`, `max_image_pixels`.

        Raises:
            ValueError: `max_length` is more than the text encoder has positions for.
        """
        tokenizer = AutoTokenizer.from_pretrained(text_name_or_path)
        positions = _positions(AutoConfig.from_pretrained(text_name_or_path, trust_remote_code=False))
        if (options.get("max_length") or 0) > positions:
            raise ValueError(
                f"`max_length` is {options['max_length']}; the text encoder in {text_name_or_path} has positions for "
                f"{positions} tokens."
            )
        if options.get("max_length") is None and positions < _default_limit(tokenizer):
            options["max_length"] = positions
        # The PIL backend gives the same pixels whether or not torchvision is installed.
        return cls(AutoImageProcessor.from_pretrained(vision_name_or_path, backend="pil"), tokenizer, **options)

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path, **kwargs):
        r"""
        Loads a saved processor; the image processor with PIL as its backend unless `backend` says otherwise. Options
        of a model (`dtype`, `device_map`, `quantization_config`, ...) have no meaning here and are left out.

        Raises:
            ValueError: The saved tokenizer lacks the entity markers: the model's embeddings have no rows for them.
            OSError: There is no processor, for example where a model was saved alone.
        """
        kwargs.setdefault("backend", "pil")
        try:
            return super().from_pretrained(pretrained_model_name_or_path, **processor_options(kwargs))
        except OSError as error:
            raise OSError(
                f"{error}\nThe processor of {pretrained_model_name_or_path} could not be loaded. If a model was saved "
                "there alone, add its processor: `processor.save_pretrained(folder)`, `processor.push_to_hub(name)` or "
                "`Trainer(processing_class=processor)`. `pipe.save_pretrained`, `pipe.push_to_hub` and "
                "`tgdi_hf.push_to_hub` save both."
            ) from error

    def save_pretrained(self, save_directory, push_to_hub: bool = False, **kwargs):
        r"""
        As in transformers, with the code of model, processor and pipeline, so that the folder loads with
        `trust_remote_code=True` where `tgdi_hf` is not installed.

        Args:
            save_directory (`str` or `os.PathLike`): Where to write; made if it does not exist.
            push_to_hub (`bool`, *optional*, defaults to `False`): Upload as well, to `repo_id`, by default the
                folder's name.
            kwargs: Of `push_to_hub` (`repo_id`, `token`, `private`, `revision`, `commit_message`, ...).

        Returns:
            `list[str]`: The configuration file that was written.
        """
        written = super().save_pretrained(save_directory)
        if self._write_code is not None:
            self._write_code(save_directory)
        if push_to_hub:
            self.push_to_hub(kwargs.pop("repo_id", Path(save_directory).name), **kwargs)
        return written

    @classmethod
    def _load_tokenizer_from_pretrained(cls, *args, backend=None, **kwargs):
        # `backend` is meant for the image processor; tokenizers have an attribute of that name. They keep, and save,
        # every option that they are loaded with.
        own = {name: value for name, value in kwargs.items() if name not in inspect.signature(cls.__init__).parameters}
        tokenizer = super()._load_tokenizer_from_pretrained(*args, **own)
        for option in ("is_local", "local_files_only"):  # of this load, and no part of what is saved again
            tokenizer.init_kwargs.pop(option, None)
        unknown = (None, tokenizer.unk_token_id)
        missing = [marker for marker in ENTITY_MARKERS if tokenizer.convert_tokens_to_ids(marker) in unknown]
        if missing:
            raise ValueError(
                f"The tokenizer saved in {tokenizer.name_or_path} lacks the entity markers {', '.join(missing)}, so "
                "the model beside it has no embeddings for them. For a new model build the processor anew, with "
                "`TGDIProcessor.from_text_vision_pretrained`, and pass its tokenizer to the model's method of that "
                "name."
            )
        return tokenizer

    def __call__(
        self,
        images=None,
        text=None,
        head=None,
        tail=None,
        objects=None,
        caption=None,
        share_images: bool = False,
        row_names: Sequence[str] | None = None,
        vision_features: Callable[[Any, tuple | None, str], np.ndarray] | None = None,
        known_pixels: dict[tuple, np.ndarray] | None = None,
        return_tensors: str | None = "pt",
        **kwargs: Unpack[TGDIProcessorKwargs],
    ) -> BatchFeature:
        r"""
        Args:
            images: A picture, or one (or `None`) for each post: a PIL image, a path, an array (height × width ×
                channels, or channels first; bytes, or floats from 0 to 1) or a mapping with `bytes` or `path`.
            text (`str`, `list[str]` or `list[list[str]]`): One text, several texts, or several lists of words.
            head: The span `[start, end)` of the head entity, or one for each post: characters of the text, or words
                where words are given.
            tail: The same of the tail entity. The two may overlap, nest or coincide.
            objects: Up to `num_objects` parts of the picture for a post, or for each: boxes `(x0, y0, x1, y1)` in
                pixels of the upright picture, or pictures of their own. Of more the first are taken.
            caption (`str`): What an image captioner says of the picture, or one (or `None`) for each post.
            share_images (`bool`, *optional*, defaults to `False`):
                Return the distinct pictures of the batch once, with an index (what `TGDICollator` does). Pictures are
                the same if they are one Python object or have one path or the same encoded bytes.
            row_names (`list[str]`, *optional*):
                What to call each post in messages (a line of a file, an id); "row 0", "row 1", … by default.
            vision_features (*optional*):
                Gives what a frozen vision encoder makes of a picture, or of a box on it, so that none is opened; for
                example `tgdi_hf.vision_features.VisionFeatures`.
            known_pixels (*optional*):
                Filled with what the image processor makes of each picture and box, and read before one is opened: so
                a batch that was refused for one post can be tried without it, and nothing is decoded again. For
                calls with the same options.
            return_tensors (`str`, *optional*, defaults to `"pt"`): `"pt"` or `"np"`.
            kwargs: `max_length`, or options of the image processor, for this call only.

        Returns:
            `BatchFeature` with
            - `input_ids`, `attention_mask`, `token_type_ids` `(B, L)`: T, the text with markers;
            - `enhanced_input_ids`, `enhanced_attention_mask`, `enhanced_token_type_ids` `(B, L_e)`: T_e, the same
              followed by the caption; absent if no post has one;
            - `head_index`, `tail_index` `(B,)`: the opening markers, at the same place in both;
            - `pixel_values` `(B, 1 + num_objects, 3, H, W)` and `image_mask` `(B, 1 + num_objects)`: the picture and
              its objects, zeros where there is none; absent if no post has any. With `share_images` `pixel_values`
              `(N, 3, H, W)`, and `image_index` and `image_mask` `(B, 1 + s)`, s the most objects a post has. With
              `vision_features` its name takes the place of `pixel_values`, and `(tokens, d_v)` that of `(3, H, W)`.

        Raises:
            InvalidPost: A post that can't be right; the message says what is wrong in which row, and `field` where.
            ValueError: Columns that don't belong together.
            TypeError: An option that there is not.
        """
        max_length, image_options = self._options(kwargs)
        if text is None:
            raise ValueError("`text` is missing: every post has a text, and pictures are optional.")
        if isinstance(text, str):
            text, head, tail = [text], [head], [tail]
            row_names = [row_names] if isinstance(row_names, str) else row_names
            images, objects, caption = ([value] for value in (images, objects, caption))
        text = list(text)
        if not text:
            raise ValueError("`text` is an empty list; expected at least one post.")
        columns = {"head": head, "tail": tail, "caption": caption, "images": images, "objects": objects}
        head, tail, caption, images, objects = (_one_a_row(*column, len(text)) for column in columns.items())
        names = (
            [f"row {i}" for i in range(len(text))]
            if row_names is None
            else _one_a_row("row_names", row_names, len(text))
        )
        data = {
            **self._encode_texts(text, head, tail, caption, names, max_length),
            **self._encode_pictures(images, objects, names, share_images, vision_features, known_pixels, image_options),
        }
        return BatchFeature(data, tensor_type=return_tensors)

    def _options(self, kwargs: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """The limit of this call in tokens, and its options for the image processor."""
        if not kwargs:
            return self._limit(self.max_length), {}
        of_text = set(TGDITextKwargs.__annotations__)
        of_images = set(getattr(getattr(self.image_processor, "valid_kwargs", None), "__annotations__", {}))
        unknown = {
            *(set(kwargs) - of_text - of_images - {"text_kwargs", "images_kwargs"}),
            *(set(kwargs.get("text_kwargs", {})) - of_text),
        }
        if unknown:
            raise TypeError(
                f"TGDIProcessor has no option {', '.join(sorted(unknown))}. A call takes `max_length` and what the "
                f"{type(self.image_processor).__name__} takes; padding and special tokens are fixed."
            )
        options = self._merge_kwargs(TGDIProcessorKwargs, **kwargs)
        return self._limit(options["text_kwargs"].get("max_length", self.max_length)), options["images_kwargs"]

    def _limit(self, max_length: int | None) -> int:
        if max_length is None:
            max_length = _default_limit(self.tokenizer)
        shortest = self._texts.frame.single + len(ENTITY_MARKERS) + 2
        if max_length < shortest:
            raise ValueError(f"`max_length` is {max_length}; two marked entities alone need {shortest} tokens.")
        return max_length

    def _encode_texts(
        self, texts: list, heads: list, tails: list, captions: list, names: list[str], limit: int
    ) -> dict[str, np.ndarray]:
        if not self._texts.is_for(self.tokenizer):
            self._texts = TextTokenizer(self.tokenizer)
        tokenizer, frame = self._texts, self._texts.frame
        cut_texts = [_cut(*row) for row in zip(texts, heads, tails, names)]
        captions = [_checked_caption(*row) for row in zip(captions, names)]
        if not self.use_caption:
            captions = [""] * len(texts)
        # One call of the tokenizer for the whole batch.
        encoded = iter(tokenizer([*chain.from_iterable(segments for segments, _ in cut_texts), *captions]))
        plain = []
        for _, markers in cut_texts:
            ids, places = [], {}
            for marker in markers:
                ids += next(encoded)
                places[marker] = len(ids)
                ids.append(tokenizer.markers[marker])
            ids += next(encoded)
            if len(ids) + frame.single > limit:
                entities = (places[HEAD_START], places[HEAD_END]), (places[TAIL_START], places[TAIL_END])
                ids = shorten(ids, entities, limit - frame.single)
                logger.warning_once(
                    f"A text is longer than {limit} tokens; what stands farthest from its entities was cut. This is "
                    "said once, and goes for all that follow."
                )
            plain.append([*frame.prefix, *ids, *frame.suffix])
        enhanced = [_with_caption(ids, caption, frame, limit) for ids, caption in zip(plain, encoded)]
        data = {
            **_padded(plain, tokenizer.padding),
            "head_index": np.array([ids.index(tokenizer.markers[HEAD_START]) for ids in plain]),
            "tail_index": np.array([ids.index(tokenizer.markers[TAIL_START]) for ids in plain]),
        }
        if any(len(long) > len(short) for long, short in zip(enhanced, plain)):
            padded = _padded(enhanced, tokenizer.padding, [len(ids) for ids in plain], frame.second_type)
            data.update({f"enhanced_{name}": array for name, array in padded.items()})
        return data

    def _encode_pictures(
        self,
        images: list,
        objects: list,
        names: list[str],
        share_images: bool,
        vision_features: Callable | None,
        known_pixels: dict[tuple, np.ndarray] | None,
        options: dict[str, Any],
    ) -> dict[str, np.ndarray]:
        batch = PictureBatch()
        slots = [self._slots(batch, *row) for row in zip(images, objects, names)]
        if not len(batch):
            return {}
        if vision_features is None:
            name, values = "pixel_values", self._pixels(batch, known_pixels, options)  # (N, 3, H, W)
        else:
            name, values = "vision_features", _features(batch, vision_features)  # (N, tokens, d_v)
        width = max(map(len, slots)) if share_images else 1 + self.num_objects
        index = np.array([[*row, *[None] * (width - len(row))] for row in slots], dtype=float)  # (B, S), NaN for None
        mask = (~np.isnan(index)).astype(np.int64)
        index = np.nan_to_num(index).astype(np.int64)
        if share_images:
            return {name: values, "image_index": index, "image_mask": mask}
        values = values[index]  # (B, 1 + m, ...)
        values[mask == 0] = 0
        return {name: values, "image_mask": mask}

    def _slots(self, batch: PictureBatch, image: Any, objects: Sequence | None, where: str) -> list[int | None]:
        """The numbers in the batch of a post's picture and of its objects."""
        key, number = (None, None) if image is None else batch.add(image, f"{where}, image")
        slots = [number]
        if objects is None:
            return slots
        if not isinstance(objects, Sequence | np.ndarray | torch.Tensor) or isinstance(objects, str | bytes):
            raise InvalidPost(
                f"{where}: `objects` is {objects!r:.80}; expected a list of boxes or pictures.", "objects"
            )
        for i, part in enumerate(list(objects)[: self.num_objects]):
            place = f"{where}, object {i}"
            if not is_box(part):
                slots.append(batch.add(part, place, "objects")[1])
            elif key is not None:
                slots.append(batch.add_box(key, part, place))
            else:
                raise InvalidPost(
                    f"{place} is a box, {list(part)}, on a picture that is missing. Pass the picture in `images`, or "
                    "the object as a picture of its own.",
                    "objects",
                )
        return slots

    def _pixels(
        self, batch: PictureBatch, known: dict[tuple, np.ndarray] | None, options: dict[str, Any]
    ) -> np.ndarray:
        options = {**options, "return_tensors": None}
        known = {} if known is None else known
        for parts, pictures in batch.open(self.max_image_pixels, known):
            known.update(zip(parts, map(np.asarray, self.image_processor(pictures, **options)["pixel_values"])))
        pixels = [known[part] for part in batch]
        shapes = {array.shape for array in pixels}
        if len(shapes) > 1 or len(shapes.pop()) != 3:
            found = " and ".join(str(shape) for shape in sorted({array.shape for array in pixels}))
            raise ValueError(
                f"The {type(self.image_processor).__name__} made pixels of shape {found}; expected (3, height, width), "
                "the same for all pictures. Give it a `size` with `height` and `width`, or let it crop."
            )
        return np.stack(pixels)

    @property
    def model_input_names(self) -> list[str]:
        text = ["input_ids", "attention_mask", "token_type_ids"]
        rest = ["head_index", "tail_index", "pixel_values", "image_mask", "image_index"]
        return [*text, *(f"enhanced_{name}" for name in text), *rest]


def _features(batch: PictureBatch, vision_features: Callable) -> np.ndarray:
    rows = {}
    for source, where, parts in batch.sources():
        rows.update((number, vision_features(source, box, where)) for box, number in parts.items())
    return np.stack([rows[number] for number in range(len(batch))])


def _default_limit(tokenizer) -> int:
    limit = tokenizer.model_max_length
    return limit if limit and limit < NO_LIMIT else DEFAULT_MAX_LENGTH


def _positions(config) -> int:
    """How many tokens a text encoder has positions for; RoBERTa and its kin count from behind the padding's id."""
    offset = config.pad_token_id + 1 if config.model_type in ("roberta", "xlm-roberta", "camembert") else 0
    return config.max_position_embeddings - offset


def _one_a_row(name: str, values: Any, rows: int) -> list:
    if values is None:
        return [None] * rows
    found = repr(values)
    if not isinstance(values, str) and hasattr(values, "__len__"):
        if len(values) == rows:
            return list(values)
        found = len(values)
    raise ValueError(
        f"`text` has {rows} rows, `{name}` {found}; expected one value (or `None`) a row. One "
        "post given as words is `text=[words], head=[span], tail=[span]`."
    )


def _cut(text: Any, head: Any, tail: Any, where: str) -> tuple[list[str], list[str]]:
    """The segments of one text, or of the words of one, and the markers between them."""
    words = None if isinstance(text, str) else text
    if words is not None:
        if not isinstance(words, Sequence | np.ndarray) or not all(isinstance(word, str) for word in words):
            raise InvalidPost(f"{where}: `text` is {text!r:.80}; expected a string or a list of words.", "text")
        words = list(words)
    unit, length = ("characters", len(text)) if words is None else ("words", len(words))
    head, tail = (check_span(span, length, name, unit, where) for name, span in (("head", head), ("tail", tail)))
    if words is not None:
        text, (head, tail) = words_to_text(words, (head, tail))
    _check_unicode(text, "text", where)
    return cut_at_markers(text, head, tail)


def _checked_caption(caption: Any, where: str) -> str:
    if caption is None:
        return ""
    if not isinstance(caption, str):
        raise InvalidPost(f"{where}: `caption` is {caption!r:.80}; expected a string or `None`.", "caption")
    _check_unicode(caption, "caption", where)
    return "" if caption.isspace() else caption


def _check_unicode(text: str, name: str, where: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidPost(
            f"{where}: character {error.start} of `{name}` is {text[error.start]!r}, half of a pair of surrogates, "
            "which no tokenizer takes. Decode what it comes from as UTF-16, or replace it.",
            name,
        ) from None


def _with_caption(ids: list[int], caption: list[int], frame: Any, limit: int) -> list[int]:
    """T_e: T followed by as much of the caption as there is room for."""
    room = max(limit - len(ids) - frame.pair, 0)
    if len(caption) > room:
        logger.warning_once(
            f"A text with its caption is longer than {limit} tokens; the end of the caption was cut. This is said "
            "once, and goes for all that follow."
        )
        caption = caption[:room]
    return [*ids, *frame.middle, *caption, *frame.end] if caption else ids


def _padded(
    rows: list[list[int]], padding: int, first_lengths: list[int] | None = None, second_type: int = 0
) -> dict[str, np.ndarray]:
    """Ids, mask and segment ids, padded on the right to the longest row."""
    lengths = np.array([len(row) for row in rows])
    longest = lengths.max()
    ids = np.array([row + [padding] * (longest - len(row)) for row in rows])
    places = np.arange(longest)
    mask = places < lengths[:, None]
    types = np.zeros_like(ids)
    if first_lengths is not None:
        types[mask & (places >= np.array(first_lengths)[:, None])] = second_type
    return {"input_ids": ids, "attention_mask": mask.astype(np.int64), "token_type_ids": types}


__all__ = ["TGDIProcessor", "TGDIProcessorKwargs"]
