"""The TGDI processor: from posts to model inputs."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, ClassVar, TypedDict

import numpy as np
from transformers import AutoConfig, AutoImageProcessor, AutoTokenizer, BatchFeature
from transformers.processing_utils import ProcessingKwargs, Unpack
from transformers.utils import TensorType

from .entity_markers import ENTITY_MARKERS
from .image_batch import ImagePart
from .image_boxes import Box
from .image_encoding import ImageRow
from .image_inputs import ImageCall, image_inputs
from .image_opening import MAX_IMAGE_PIXELS
from .image_resizing import LEGACY_RESIZE, checked_resizes
from .loading_options import processor_options
from .portable_processor import PortableProcessor
from .post_columns import column, text_column
from .processor_options import (
    CROPS,
    CallOptions,
    InvalidOption,
    checked_call,
    checked_object_features,
    optional_whole_number,
    pads_to_limit,
    switch,
    whole_number,
)
from .text_encoding import TextRow, encode_texts
from .text_limits import checked_limit, default_limit
from .text_tokenizer import TextTokenizer, check_markers

_HUB_OPTIONS = ("revision", "token", "cache_dir", "local_files_only")


class TGDITextKwargs(TypedDict, total=False):
    max_length: int | None
    padding: bool | str
    truncation: bool
    return_tensors: str | TensorType | None


class TGDIProcessorKwargs(ProcessingKwargs, total=False):
    r"""
    The options of a single call: `max_length`, `padding`, `truncation`, `return_tensors`, and the options of the image
    processor (`size`, `do_normalize`, …). Markers, special tokens and the padding side are fixed by the model.
    """

    text_kwargs: TGDITextKwargs  # type: ignore[misc]  # as in the processors of transformers


class TGDIProcessor(PortableProcessor):
    r"""
    Turns posts into the inputs of a TGDI model: the text with entity markers, the same text with the caption, and the
    images.

    A special token or a marker that occurs literally in a post ("<s>", "[SEP]", "<head>") is tokenized as ordinary
    text. If a text with its caption is too long, the caption is cut first, then the text around its entities, with a
    warning.

    Args:
        image_processor: The image processor of the vision encoder, or any that returns `pixel_values` of one shape for
            all images.
        tokenizer: The tokenizer of the text encoder. Missing entity markers are added to it.
        num_objects (`int`, *optional*, defaults to 3):
            The largest number m of objects per post; of more, the first ones are taken.
        use_caption (`bool`, *optional*, defaults to `True`):
            Whether captions are used; with `False` ("w/o caption"), T_e equals T.
        use_image (`bool`, *optional*, defaults to `True`):
            Whether the whole image is used; with `False` only its objects are, and with `num_objects=0` no image is
            opened.
        max_length (`int`, *optional*):
            The longest text with its caption, in tokens; by default the tokenizer's limit, or 512, and with
            `from_text_vision_pretrained` at most the number of positions of the text encoder.
        max_image_pixels (`int`, *optional*, defaults to 89,478,485):
            Images with more pixels are rejected before they are decoded.
        image_resize (`str`, *optional*, defaults to `"crop"`):
            How whole images are resized: `"crop"`, as the image processor does, for CLIP by scaling the shorter side
            and cropping the centre; or `"squash"`, to the same size without cropping or keeping the aspect ratio.
        object_resize (`str`, *optional*):
            How objects are resized, likewise; by default `"squash"`, or `"crop"` if the image processor has no size to
            squash to.
        object_features (`str`, *optional*, defaults to `"crops"`):
            As in the configuration of the model: whether objects become images of their own (`"crops"`), or boxes in
            fractions of the image that the encoder sees (`"regions"`), which then is squashed by default.

    Two processors of one checkpoint have the same pickle, before and after use, so that `datasets.map` finds the cached
    result of a function that holds one.

    Raises:
        InvalidOption: A `ValueError` that names the option, its value and the expected values.

    Example:

    ```python
    >>> inputs = processor(
    ...     text="JFK and Obama at Harvard", head=(0, 3), tail=(17, 24), images="post.jpg", caption="two men in gowns"
    ... )
    >>> logits = model(**inputs).logits
    ```
    """

    valid_processor_kwargs = TGDIProcessorKwargs  # type: ignore[assignment]  # as in transformers
    # Set by the installed package, as in `TGDIConfig`.
    _write_code: ClassVar[Callable[[str | PathLike], None] | None] = None

    def __init__(
        self,
        image_processor=None,
        tokenizer=None,
        num_objects: int = 3,
        use_caption: bool = True,
        max_length: int | None = None,
        max_image_pixels: int = MAX_IMAGE_PIXELS,
        use_image: bool = True,
        image_resize: str | None = None,
        object_resize: str | None = None,
        object_features: str = CROPS,
    ):
        super().__init__(image_processor, tokenizer)
        self.num_objects = num_objects
        self.use_caption = use_caption
        self.max_length = max_length
        self.max_image_pixels = max_image_pixels
        self.use_image = use_image
        self.image_resize = image_resize
        self.object_resize = object_resize
        self.object_features = object_features
        self._check_options()
        # A marker that is an ordinary token of the vocabulary becomes a special token, with the same id.
        missing = [marker for marker in ENTITY_MARKERS if marker not in tokenizer.all_special_tokens]
        if missing:
            tokenizer.add_special_tokens({"extra_special_tokens": missing}, replace_extra_special_tokens=False)
        self._texts = TextTokenizer(tokenizer)
        self._limit(self.max_length)

    def _check_options(self) -> None:
        """Runs in every call, since attributes can be set at any time."""
        self.num_objects = whole_number("num_objects", self.num_objects, 0, "objects per post")
        self.use_caption = switch("use_caption", self.use_caption)
        self.use_image = switch("use_image", self.use_image)
        self.max_length = optional_whole_number("max_length", self.max_length, 1, "tokens")
        self.max_image_pixels = whole_number("max_image_pixels", self.max_image_pixels, 1, "pixels")
        self.object_features = checked_object_features(self.object_features, self.use_image)
        resizes = checked_resizes(self.image_processor, self.image_resize, self.object_resize, self.object_features)
        self.image_resize, self.object_resize = resizes

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
        Builds the processor for two pretrained encoders.

        Args:
            text_name_or_path (`str`): The checkpoint of the text encoder, on the Hub or in a folder.
            vision_name_or_path (`str`): The checkpoint of the vision encoder.
            text_kwargs, vision_kwargs (`dict`, *optional*): Options for loading from either checkpoint (`revision`,
                `token`, `cache_dir`, `local_files_only`, …), as in the model's method of the same name.
            options: `num_objects`, `use_caption`, `use_image`, `max_length`, `max_image_pixels`, `image_resize`,
                `object_resize`, `object_features`.

        Raises:
            ValueError: `max_length` exceeds the number of positions of the text encoder, or its checkpoint has no
                tokenizer.
        """
        text_kwargs, vision_kwargs = text_kwargs or {}, vision_kwargs or {}
        tokenizer = AutoTokenizer.from_pretrained(text_name_or_path, **{"trust_remote_code": False, **text_kwargs})
        # transformers builds a tokenizer without vocabulary for a checkpoint without the files of one.
        if set(tokenizer.get_vocab()) <= set(tokenizer.all_special_tokens):
            raise ValueError(
                f"{text_name_or_path} has no vocabulary, only special tokens: the files of its tokenizer are missing. "
                "Save the tokenizer that the text encoder was trained with in the same folder."
            )
        hub = {name: text_kwargs[name] for name in _HUB_OPTIONS if name in text_kwargs}
        config = AutoConfig.from_pretrained(text_name_or_path, trust_remote_code=False, **hub)
        max_length = optional_whole_number("max_length", options.get("max_length"), 1, "tokens")
        if (limit := checked_limit(max_length, tokenizer, config, text_name_or_path)) is not None:
            options["max_length"] = limit
        # The PIL backend gives the same pixels whether or not torchvision is installed.
        vision_kwargs = {"backend": "pil", "trust_remote_code": False, **vision_kwargs}
        return cls(AutoImageProcessor.from_pretrained(vision_name_or_path, **vision_kwargs), tokenizer, **options)

    @classmethod
    def from_pretrained(  # type: ignore[override]  # `kwargs` contains the options that transformers lists
        cls, pretrained_model_name_or_path, **kwargs
    ):
        r"""
        Loads a saved processor; its image processor uses PIL unless another `backend` is passed. Options of a model
        (`dtype`, `device_map`, `quantization_config`, …) are ignored. A processor that was saved without `image_resize`
        and `object_resize` keeps the `"crop"` of that time for both.

        Raises:
            ValueError: The saved tokenizer lacks the entity markers, so the model has no embeddings for them.
            InvalidOption: A saved option has an invalid value.
            OSError: The checkpoint has no processor, for example because only the model was saved.
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
                f"{error}\nThe processor of {pretrained_model_name_or_path} could not be loaded. If only a model "
                "was saved there, add its processor: `processor.save_pretrained(folder)`, "
                "`processor.push_to_hub(name)` or `Trainer(processing_class=processor)`. `pipe.save_pretrained`, "
                "`pipe.push_to_hub` and `tgdi_hf.push_to_hub` save both."
            ) from error

    @classmethod
    def from_args_and_dict(cls, args, processor_dict, **kwargs):
        """Restores a saved processor; see `from_pretrained`."""
        return super().from_args_and_dict(args, {**LEGACY_RESIZE, **processor_dict}, **kwargs)

    def save_pretrained(self, save_directory, push_to_hub: bool = False, **kwargs):
        r"""
        Saves the processor with the code of model, processor and pipeline, so that the folder can be loaded with
        `trust_remote_code=True` if `tgdi_hf` is not installed.

        Args:
            save_directory (`str` or `os.PathLike`): The folder to write to; created if it does not exist.
            push_to_hub (`bool`, *optional*, defaults to `False`): Also upload the processor, to `repo_id`, by default
                the name of the folder.
            kwargs: Options of `push_to_hub` (`repo_id`, `token`, `private`, `revision`, `commit_message`, …).

        Returns:
            `list[str]`: The configuration file written.
        """
        written = super().save_pretrained(save_directory)
        write_code = type(self)._write_code
        if write_code is not None:
            write_code(save_directory)
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
        check_markers(tokenizer)
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
        row_names: str | Sequence[str] | None = None,
        vision_features: Callable[[Any, Box | None, str, bool], np.ndarray] | None = None,
        known_pixels: dict[ImagePart, np.ndarray] | None = None,
        truncated: list[list[str]] | None = None,
        **kwargs: Unpack[TGDIProcessorKwargs],
    ) -> BatchFeature:
        r"""
        Args:
            images: One image, or one (or `None`) per post: a PIL image, a path, an array (height × width × channels,
                or channels first; bytes, or floats from 0 to 1) or a mapping with `bytes` or `path`.
            text (`str`, `list[str]` or `list[list[str]]`): One text, several texts, or several lists of words. All
                columns may also be tuples, arrays, or columns of pandas, Arrow or `datasets`.
            head: The span `[start, end)` of the head entity, or one per post: in characters of the text, or in words if
                words are given. White space and invisible characters around an entity stay outside of its markers.
            tail: The span of the tail entity, likewise. Head and tail may overlap, nest or coincide.
            objects: The objects on the image, or one list of them per post: boxes `(x0, y0, x1, y1)` in pixels of the
                upright image, or images of their own. Of more than `num_objects`, the first ones are taken.
            caption (`str`): The caption of the image, or one (or `None`) per post.
            share_images (`bool`, *optional*):
                Return the distinct images of the batch once, with an index (as `TGDICollator` does). Images are equal
                if they are the same Python object, or have the same path or the same encoded bytes.
            row_names (`list[str]`, *optional*):
                The name of each post in messages (a line of a file, an id); "row 0", "row 1", … by default.
            vision_features (*optional*):
                Looks up the precomputed features of an image, or of a box on it, squashed or not, so that no image is
                opened; for example `tgdi_hf.preparation.vision_features.VisionFeatures`.
            known_pixels (*optional*):
                A cache of the pixel values of images and boxes, for several calls with the same options: a batch with
                an invalid post can be encoded again without it, and no image is decoded twice.
            truncated (*optional*):
                Filled with one list per post that names the parts that were cut: `"text"`, `"caption"`.
            kwargs: Options for this call only, by themselves or in `text_kwargs`, `images_kwargs` or `common_kwargs`:
                `max_length`; `truncation`, where `False` rejects a text that is too long instead of cutting it;
                `padding`, to the longest text of the batch (`True` or `"longest"`, the default) or to `"max_length"`,
                so that all batches have one shape; `return_tensors` (`"pt"`, the default, `"np"`, or `None` for
                unconverted arrays); and the options of the image processor.

        Returns:
            `BatchFeature` with
            - `input_ids`, `attention_mask`, `token_type_ids` `(B, L)`: T, the text with markers;
            - `enhanced_input_ids`, `enhanced_attention_mask`, `enhanced_token_type_ids` `(B, L_e)`: T_e, the same
              followed by the caption; absent if no post has a caption;
            - `head_index`, `tail_index` `(B,)`: the positions of the opening markers, the same in T and T_e;
            - `pixel_values` `(B, 1 + num_objects, 3, H, W)` and `image_mask` `(B, 1 + num_objects)`: the image and its
              objects, zeros in empty slots (without `use_image` also in the first); absent if no post has an image or
              object. With `share_images`, `pixel_values` is `(N, 3, H, W)`, and `image_index` and `image_mask` are
              `(B, 1 + s)`, where s is the largest number of objects of any post. `vision_features` replaces
              `pixel_values` by `vision_features`, with `(tokens, d_v)` in place of `(3, H, W)`;
            - with `object_features="regions"`, `pixel_values` `(B, 1, 3, H, W)` or `image_index` `(B, 1)`, and
              `object_boxes` `(B, num_objects or s, 4)`, absent if that is 0.

        Raises:
            InvalidPost: A post is invalid; the message names the row and the problem, `field` the key of the post.
            ValueError: The columns do not match, or an option has an invalid value (`InvalidOption`).
            TypeError: An option is unknown.
        """
        self._check_options()
        share_images = False if share_images is None else switch("share_images", share_images)
        options = self._call_options(kwargs)
        if text is None:
            raise ValueError("`text` is missing: every post needs a text; images are optional.")
        if isinstance(text, str):
            text, head, tail = [text], [head], [tail]
            row_names = [row_names] if isinstance(row_names, str) else row_names
            images, objects, caption = ([value] for value in (images, objects, caption))
        texts = text_column(text)
        heads, tails, captions, images, objects = (
            column(name, values, len(texts))
            for name, values in (
                *(("head", head), ("tail", tail), ("caption", caption)),
                *(("images", images), ("objects", objects)),
            )
        )
        names = [f"row {i}" for i in range(len(texts))]
        if row_names is not None:
            names = column("row_names", row_names, len(texts))
        encoded = encode_texts(
            [TextRow(*row) for row in zip(texts, heads, tails, captions, names)],
            self.text_tokenizer(),
            options.limit,
            options.padded_length,
            options.truncation,
            self.use_caption,
        )
        if truncated is not None:
            truncated[:] = encoded.truncated
        image_rows = [ImageRow(*row) for row in zip(images, objects, names)]
        call = ImageCall(options.image_options, share_images, known_pixels, vision_features)
        data = {**encoded.inputs, **image_inputs(image_rows, self, call)}
        return BatchFeature(data, tensor_type=options.tensor_type)

    def _call_options(self, kwargs: Mapping[str, Any]) -> CallOptions:
        if kwargs.keys() <= {"return_tensors", "truncation"} and kwargs.get("return_tensors", "pt") == "pt":
            # The options of collator and pipeline; merging them would take a millisecond per batch.
            truncation = switch("truncation", kwargs.get("truncation", True))
            return CallOptions(self._limit(self.max_length), truncation=truncation)
        checked, tensor_type = checked_call(kwargs, set(TGDITextKwargs.__annotations__), self.image_processor)
        options = self._merge_kwargs(TGDIProcessorKwargs, **checked)  # type: ignore[arg-type]  # declared as an instance
        limit = self._limit(options["text_kwargs"].get("max_length", self.max_length))
        length = limit if pads_to_limit(options["text_kwargs"].get("padding", True)) else None
        truncation = switch("truncation", options["text_kwargs"].get("truncation", True))
        return CallOptions(limit, length, truncation, tensor_type, options["images_kwargs"])

    def _limit(self, max_length: int | None) -> int:
        limit = optional_whole_number("max_length", max_length, 1, "tokens")
        if limit is None:
            limit = default_limit(self.tokenizer)
        shortest = self.text_tokenizer().frame.single + len(ENTITY_MARKERS) + 2
        if limit < shortest:
            raise InvalidOption(f"`max_length` is {limit}; two marked entities alone need {shortest} tokens.")
        return limit

    def text_tokenizer(self) -> TextTokenizer:
        """Tokenizes posts as ordinary text. Follows the tokenizer if tokens were added or it was replaced."""
        if self._texts is None or not self._texts.is_for(self.tokenizer):
            self._texts = TextTokenizer(self.tokenizer)
        return self._texts

    @property
    def model_input_names(self) -> list[str]:
        text = ["input_ids", "attention_mask", "token_type_ids"]
        rest = ["head_index", "tail_index", "pixel_values", "image_mask", "image_index", "object_boxes"]
        return [*text, *(f"enhanced_{name}" for name in text), *rest]


__all__ = ["TGDIProcessor", "TGDIProcessorKwargs"]
