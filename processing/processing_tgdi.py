"""The TGDI processor: posts in, tensors out."""

import inspect
from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar, TypedDict

import numpy as np
import torch
from transformers import AutoConfig, AutoImageProcessor, AutoTokenizer, BatchFeature
from transformers.processing_utils import ProcessingKwargs, Unpack
from transformers.utils import TensorType, logging

from .entity_markers import ENTITY_MARKERS, HEAD_END, HEAD_START, TAIL_END, TAIL_START, truncate_around_entities
from .image_batch import ImageBatch
from .image_boxes import is_box
from .image_opening import MAX_IMAGE_PIXELS
from .invalid_post import InvalidPost
from .loading_options import processor_options
from .portable_processor import PortableProcessor
from .post_columns import column, text_column
from .processor_options import InvalidOption, checked_call, pads_to_limit, switch, whole_number
from .text_rows import checked_caption, cut, default_limit, padded, positions_of, with_caption
from .text_tokenizer import TextTokenizer

logger = logging.get_logger(__name__)

_HUB_OPTIONS = ("revision", "token", "cache_dir", "local_files_only")


class TGDITextKwargs(TypedDict, total=False):
    max_length: int | None
    padding: bool | str
    truncation: bool
    return_tensors: str | TensorType | None


class TGDIProcessorKwargs(ProcessingKwargs, total=False):
    r"""
    What a single call can change: `max_length`, `padding`, `truncation`, `return_tensors`, and the options of the image
    processor (`size`, `do_normalize`, …). Markers, special tokens and the side of the padding are the model's format.
    """

    text_kwargs: TGDITextKwargs


class TGDIProcessor(PortableProcessor):
    r"""
    Turns posts into the tensors of a TGDI model: text with entity markers, the same text with the caption, images.

    A post that contains a special token or a marker literally ("<s>", "[SEP]", "<head>") keeps it as ordinary text. A
    text that is too long is cut around its entities, after the caption, and a warning says so.

    Args:
        image_processor: That of the vision encoder, or any that makes one `pixel_values` of equal size of each image.
        tokenizer: That of the text encoder. The entity markers are added to it if it lacks them.
        num_objects (`int`, *optional*, defaults to 3):
            The largest number m of objects a post; of more the first are taken.
        use_caption (`bool`, *optional*, defaults to `True`):
            Whether captions are used; `False` ("w/o caption") makes T_e the same as T.
        max_length (`int`, *optional*):
            The longest text with caption, in tokens; by default what the tokenizer says, or 512, and with
            `from_text_vision_pretrained` not more than the text encoder has positions for.
        max_image_pixels (`int`, *optional*, defaults to 89,478,485):
            An image of more pixels is refused before it is decoded.

    Two processors of one checkpoint have the same pickle, whether they were used or not: `datasets.map` recognises a
    function that holds one, and meets its cache.

    Raises:
        InvalidOption: A `ValueError` that names the option, its value and what is expected.

    Example:

    ```python
    >>> inputs = processor(
    ...     text="JFK and Obama at Harvard", head=(0, 3), tail=(17, 24), images="post.jpg", caption="two men in gowns"
    ... )
    >>> logits = model(**inputs).logits
    ```
    """

    valid_processor_kwargs = TGDIProcessorKwargs
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
        self.num_objects = num_objects
        self.use_caption = use_caption
        self.max_length = max_length
        self.max_image_pixels = max_image_pixels
        self._check_options()
        # A marker that is an ordinary piece of the vocabulary becomes a special one, with the id that it has.
        missing = [marker for marker in ENTITY_MARKERS if marker not in tokenizer.all_special_tokens]
        if missing:
            tokenizer.add_special_tokens({"extra_special_tokens": missing}, replace_extra_special_tokens=False)
        self._texts = TextTokenizer(tokenizer)
        self._limit(self.max_length)

    def _check_options(self) -> None:
        """Attributes can be set at any time, so every call checks them anew."""
        self.num_objects = whole_number("num_objects", self.num_objects, 0, "objects per post")
        self.use_caption = switch("use_caption", self.use_caption)
        self.max_length = whole_number("max_length", self.max_length, 1, "tokens", optional=True)
        self.max_image_pixels = whole_number("max_image_pixels", self.max_image_pixels, 1, "pixels")

    @classmethod
    def from_text_vision_pretrained(
        cls,
        text_name_or_path: str,
        vision_name_or_path: str,
        text_kwargs: dict | None = None,
        vision_kwargs: dict | None = None,
        **options,
    ):
        r"""
        Builds the processor that belongs to two pretrained encoders.

        Args:
            text_name_or_path (`str`): Whose tokenizer to take, on the Hub or in a folder.
            vision_name_or_path (`str`): Whose image processor to take.
            text_kwargs, vision_kwargs (`dict`, *optional*): For loading from the one or the other checkpoint:
                `revision`, `token`, `cache_dir`, `local_files_only`, ..., as the model's method of this name takes.
            options: `num_objects`, `use_caption`, `max_length`, `max_image_pixels`.

        Raises:
            ValueError: `max_length` is more than the text encoder has positions for.
        """
        text_kwargs, vision_kwargs = text_kwargs or {}, vision_kwargs or {}
        tokenizer = AutoTokenizer.from_pretrained(text_name_or_path, **{"trust_remote_code": False, **text_kwargs})
        hub = {name: text_kwargs[name] for name in _HUB_OPTIONS if name in text_kwargs}
        positions = positions_of(AutoConfig.from_pretrained(text_name_or_path, trust_remote_code=False, **hub))
        max_length = whole_number("max_length", options.get("max_length"), 1, "tokens", optional=True)
        if (max_length or 0) > positions:
            raise ValueError(
                f"`max_length` is {options['max_length']}; the text encoder in {text_name_or_path} has positions for "
                f"{positions} tokens."
            )
        if options.get("max_length") is None and positions < default_limit(tokenizer):
            options["max_length"] = positions
        # The PIL backend gives the same pixels whether or not torchvision is installed.
        vision_kwargs = {"backend": "pil", "trust_remote_code": False, **vision_kwargs}
        return cls(AutoImageProcessor.from_pretrained(vision_name_or_path, **vision_kwargs), tokenizer, **options)

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path, **kwargs):
        r"""
        Loads a saved processor; the image processor with PIL as its backend unless `backend` says otherwise. Options
        of a model (`dtype`, `device_map`, `quantization_config`, ...) have no meaning here and are left out.

        Raises:
            ValueError: The saved tokenizer lacks the entity markers: the model's embeddings have no rows for them.
            InvalidOption: A saved option has a value that it can't have.
            OSError: There is no processor, for example where a model was saved alone.
        """
        kwargs.setdefault("backend", "pil")
        try:
            return super().from_pretrained(pretrained_model_name_or_path, **processor_options(kwargs))
        except InvalidOption as error:
            raise InvalidOption(
                f"{error} It comes from the arguments or from processor_config.json in {pretrained_model_name_or_path}."
            ) from None
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
        share_images: bool | None = None,
        row_names: Sequence[str] | None = None,
        vision_features: Callable[[Any, tuple | None, str], np.ndarray] | None = None,
        known_pixels: dict[tuple, np.ndarray] | None = None,
        truncated: list[list[str]] | None = None,
        **kwargs: Unpack[TGDIProcessorKwargs],
    ) -> BatchFeature:
        r"""
        Args:
            images: An image, or one (or `None`) for each post: a PIL image, a path, an array (height × width ×
                channels, or channels first; bytes, or floats from 0 to 1) or a mapping with `bytes` or `path`.
            text (`str`, `list[str]` or `list[list[str]]`): One text, several texts, or several lists of words. This and
                the other columns may also be tuples, arrays, or columns of pandas, Arrow or `datasets`.
            head: The span `[start, end)` of the head entity, or one for each post: characters of the text, or words
                where words are given. Blanks and invisible characters around an entity are left outside of its markers.
            tail: The same of the tail entity. The two may overlap, nest or coincide.
            objects: Up to `num_objects` parts of the image for a post, or for each: boxes `(x0, y0, x1, y1)` in
                pixels of the upright image, or images of their own. Of more the first are taken.
            caption (`str`): What an image captioner says of the image, or one (or `None`) for each post.
            share_images (`bool`, *optional*):
                Return the distinct images of the batch once, with an index (what `TGDICollator` does). Images are
                the same if they are one Python object or have one path or the same encoded bytes.
            row_names (`list[str]`, *optional*):
                What to call each post in messages (a line of a file, an id); "row 0", "row 1", … by default.
            vision_features (*optional*):
                Gives what a frozen vision encoder makes of an image, or of a box on it, so that none is opened; for
                example `tgdi_hf.preparation.vision_feature_store.VisionFeatures`.
            known_pixels (*optional*):
                Filled with what the image processor makes of each image and box, and read before one is opened: so
                a batch that was refused for one post can be tried without it, and nothing is decoded again. For
                calls with the same options.
            truncated (*optional*):
                Filled with a list per post of what was cut: `"text"`, `"caption"`, both or nothing.
            kwargs: For this call only, by themselves or in `text_kwargs`, `images_kwargs` or `common_kwargs`:
                `max_length`; `truncation`, `False` to refuse a text that is too long instead of cutting it; `padding`,
                to the longest text of the batch (`True` or `"longest"`, the default) or to
                `"max_length"`, so that every batch has one shape; `return_tensors` (`"pt"`, the default, `"np"`, or
                `None` for arrays as they are); options of the image processor.

        Returns:
            `BatchFeature` with
            - `input_ids`, `attention_mask`, `token_type_ids` `(B, L)`: T, the text with markers;
            - `enhanced_input_ids`, `enhanced_attention_mask`, `enhanced_token_type_ids` `(B, L_e)`: T_e, the same
              followed by the caption; absent if no post has one;
            - `head_index`, `tail_index` `(B,)`: the opening markers, at the same place in both;
            - `pixel_values` `(B, 1 + num_objects, 3, H, W)` and `image_mask` `(B, 1 + num_objects)`: the image and
              its objects, zeros where there is none; absent if no post has any. With `share_images` `pixel_values`
              `(N, 3, H, W)`, and `image_index` and `image_mask` `(B, 1 + s)`, s the most objects a post has. With
              `vision_features` its name takes the place of `pixel_values`, and `(tokens, d_v)` that of `(3, H, W)`.

        Raises:
            InvalidPost: A post that can't be right; the message says what is wrong in which row, and `field` where.
            ValueError: Columns that don't belong together, or an option (`InvalidOption`) that can't be right.
            TypeError: An option that there is not.
        """
        self._check_options()
        share_images = False if share_images is None else switch("share_images", share_images)
        limit, length, cuts, tensor_type, image_options = self._options(kwargs)
        if text is None:
            raise ValueError("`text` is missing: every post has a text, and images are optional.")
        if isinstance(text, str):
            text, head, tail = [text], [head], [tail]
            row_names = [row_names] if isinstance(row_names, str) else row_names
            images, objects, caption = ([value] for value in (images, objects, caption))
        text = text_column(text)
        columns = {"head": head, "tail": tail, "caption": caption, "images": images, "objects": objects}
        head, tail, caption, images, objects = (column(*named, len(text)) for named in columns.items())
        names = (
            [f"row {i}" for i in range(len(text))] if row_names is None else column("row_names", row_names, len(text))
        )
        data = {
            **self._encode_texts(text, head, tail, caption, names, limit, length, cuts, truncated),
            **self._encode_images(images, objects, names, share_images, vision_features, known_pixels, image_options),
        }
        return BatchFeature(data, tensor_type=tensor_type)

    def _options(self, kwargs: dict[str, Any]) -> tuple[int, int | None, bool, str | None, dict[str, Any]]:
        """For this call the limit in tokens, a fixed length, whether longer texts are cut, the type of tensors, and the
        image processor's options."""
        if kwargs.keys() <= {"return_tensors", "truncation"} and kwargs.get("return_tensors", "pt") == "pt":
            # What the collator and the pipeline ask for: merging options would take a millisecond per batch.
            return self._limit(self.max_length), None, switch("truncation", kwargs.get("truncation", True)), "pt", {}
        kwargs, tensor_type = checked_call(kwargs, set(TGDITextKwargs.__annotations__), self.image_processor)
        options = self._merge_kwargs(TGDIProcessorKwargs, **kwargs)
        limit = self._limit(options["text_kwargs"].get("max_length", self.max_length))
        length = limit if pads_to_limit(options["text_kwargs"].get("padding", True)) else None
        cuts = switch("truncation", options["text_kwargs"].get("truncation", True))
        return limit, length, cuts, tensor_type, options["images_kwargs"]

    def _limit(self, max_length: int | None) -> int:
        max_length = whole_number("max_length", max_length, 1, "tokens", optional=True)
        if max_length is None:
            max_length = default_limit(self.tokenizer)
        shortest = self._current_texts().frame.single + len(ENTITY_MARKERS) + 2
        if max_length < shortest:
            raise InvalidOption(f"`max_length` is {max_length}; two marked entities alone need {shortest} tokens.")
        return max_length

    def _current_texts(self) -> TextTokenizer:
        """That of the tokenizer as it is now; tokens may have been added, or another one put in its place."""
        if self._texts is None or not self._texts.is_for(self.tokenizer):
            self._texts = TextTokenizer(self.tokenizer)
        return self._texts

    def _encode_texts(
        self,
        texts: list,
        heads: list,
        tails: list,
        captions: list,
        names: list[str],
        limit: int,
        length: int | None,
        cuts: bool,
        truncated: list[list[str]] | None,
    ) -> dict[str, np.ndarray]:
        tokenizer = self._current_texts()
        frame = tokenizer.frame
        cut_texts = [cut(*row) for row in zip(texts, heads, tails, names)]
        captions = [checked_caption(*row) for row in zip(captions, names)]
        if not self.use_caption:
            captions = [""] * len(texts)
        # One call of the tokenizer for the whole batch.
        encoded = iter(tokenizer([*chain.from_iterable(segments for segments, _ in cut_texts), *captions]))
        plain, parts = [], [[] for _ in texts]  # and what of each post is cut
        for (_, markers), name, cut_parts in zip(cut_texts, names, parts):
            ids, places = [], {}
            for marker in markers:
                ids += next(encoded)
                places[marker] = len(ids)
                ids.append(tokenizer.markers[marker])
            ids += next(encoded)
            if len(ids) + frame.single > limit:
                if not cuts:
                    raise InvalidPost(
                        f"{name}: the text has {len(ids) + frame.single} tokens with its markers, more than the limit "
                        f"of {limit}; shorten it, or let it be cut around its entities (`truncation=True`).",
                        "text",
                    )
                cut_parts.append("text")
                entities = (places[HEAD_START], places[HEAD_END]), (places[TAIL_START], places[TAIL_END])
                ids = truncate_around_entities(ids, entities, limit - frame.single)
                logger.warning_once(
                    f"A text is longer than {limit} tokens; what stands farthest from its entities was cut. This is "
                    "said once, and goes for all that follow."
                )
            plain.append([*frame.prefix, *ids, *frame.suffix])
        enhanced = []
        for ids, caption, cut_parts in zip(plain, encoded, parts):
            enhanced.append(with_caption(ids, caption, frame, limit))
            if len(caption) > max(limit - len(ids) - frame.pair, 0):
                cut_parts.append("caption")
        if truncated is not None:
            truncated[:] = parts
        data = {
            **padded(plain, tokenizer.padding, length),
            "head_index": np.array([ids.index(tokenizer.markers[HEAD_START]) for ids in plain]),
            "tail_index": np.array([ids.index(tokenizer.markers[TAIL_START]) for ids in plain]),
        }
        if any(len(long) > len(short) for long, short in zip(enhanced, plain)):
            longer = padded(enhanced, tokenizer.padding, length, [len(ids) for ids in plain], frame.second_type)
            data.update({f"enhanced_{name}": array for name, array in longer.items()})
        return data

    def _encode_images(
        self,
        images: list,
        objects: list,
        names: list[str],
        share_images: bool,
        vision_features: Callable | None,
        known_pixels: dict[tuple, np.ndarray] | None,
        options: dict[str, Any],
    ) -> dict[str, np.ndarray]:
        batch = ImageBatch()
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

    def _slots(self, batch: ImageBatch, image: Any, objects: Sequence | None, where: str) -> list[int | None]:
        """The numbers in the batch of a post's image and of its objects."""
        key, number = (None, None) if image is None else batch.add(image, f"{where}, image")
        slots = [number]
        if objects is None:
            return slots
        if not isinstance(objects, Sequence | np.ndarray | torch.Tensor) or isinstance(objects, str | bytes):
            raise InvalidPost(f"{where}: `objects` is {objects!r:.80}; expected a list of boxes or images.", "objects")
        for i, part in enumerate(list(objects)[: self.num_objects]):
            place = f"{where}, object {i}"
            if not is_box(part):
                slots.append(batch.add(part, place, "objects")[1])
            elif key is not None:
                slots.append(batch.add_box(key, part, place))
            else:
                raise InvalidPost(
                    f"{place} is a box, {list(part)}, on an image that is missing. Give the post an `image` "
                    "(`images` of the processor), or the object as an image of its own.",
                    "objects",
                )
        return slots

    def _pixels(self, batch: ImageBatch, known: dict[tuple, np.ndarray] | None, options: dict[str, Any]) -> np.ndarray:
        options = {**options, "return_tensors": None}
        known = {} if known is None else known
        for parts, images in batch.open(self.max_image_pixels, known):
            known.update(zip(parts, map(np.asarray, self.image_processor(images, **options)["pixel_values"])))
        pixels = [known[part] for part in batch]
        shapes = {array.shape for array in pixels}
        if len(shapes) > 1 or len(shapes.pop()) != 3:
            found = " and ".join(str(shape) for shape in sorted({array.shape for array in pixels}))
            raise ValueError(
                f"The {type(self.image_processor).__name__} made pixels of shape {found}; expected (3, height, width), "
                "the same for all images. Give it a `size` with `height` and `width`, or let it crop."
            )
        return np.stack(pixels)

    @property
    def model_input_names(self) -> list[str]:
        text = ["input_ids", "attention_mask", "token_type_ids"]
        rest = ["head_index", "tail_index", "pixel_values", "image_mask", "image_index"]
        return [*text, *(f"enhanced_{name}" for name in text), *rest]


def _features(batch: ImageBatch, vision_features: Callable) -> np.ndarray:
    rows = {}
    for source, where, parts in batch.sources():
        rows.update((number, vision_features(source, box, where)) for box, number in parts.items())
    return np.stack([rows[number] for number in range(len(batch))])


__all__ = ["TGDIProcessor", "TGDIProcessorKwargs"]
