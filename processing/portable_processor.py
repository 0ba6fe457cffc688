"""
Pickling processors without traces of how their tokenizer and image processor were loaded and used.

`datasets` identifies the cached result of `map` by a hash of the pickled function. Two loads of one checkpoint must
therefore have the same pickle, before and after a call.
"""

import copy
from typing import Any

from tokenizers import Tokenizer
from transformers.processing_utils import ProcessorMixin

from .text_tokenizer import TextTokenizer

# Attributes that record how a component was loaded, called and saved.
_TRACES = frozenset(
    {
        *("name_or_path", "is_local", "local_files_only", "processor_class", "_processor_class", "auto_map"),
        *("_commit_hash", "_auto_class", "deprecation_warnings", "files_loaded"),
    }
)
# Attributes that the methods of tokenizers require.
_TOKENIZER_DEFAULTS: dict[str, Any] = {"name_or_path": "", "_processor_class": None, "files_loaded": []}


class PortableProcessor(ProcessorMixin):
    r"""
    A processor with `image_processor`, `tokenizer`, and `_texts`, which is derived from the tokenizer. Two processors
    of one checkpoint have the same pickle, and saving a processor does not modify it.
    """

    def save_pretrained(self, save_directory, push_to_hub: bool = False, **kwargs):
        """Saves as in transformers, without leaving the names of the saved code in the processor and its components."""
        parts = (self, self.image_processor)
        before = [part.__dict__.get("auto_map") for part in parts]
        try:
            return super().save_pretrained(save_directory, push_to_hub=push_to_hub, **kwargs)
        finally:
            for part, auto_map in zip(parts, before):
                part.__dict__.pop("auto_map", None)
                if auto_map is not None:
                    part.auto_map = auto_map

    def __getstate__(self) -> dict[str, Any]:
        return {
            **{name: value for name, value in _without_traces(self.__dict__).items() if name != "_texts"},
            "image_processor": portable_image_processor(self.image_processor),
            "tokenizer": portable_tokenizer(self.tokenizer),
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.image_processor = restored_image_processor(*state["image_processor"])
        self.tokenizer = restored_tokenizer(*state["tokenizer"])
        self._texts: TextTokenizer | None = None

    # Copies within a process keep all attributes.

    def __copy__(self):
        return _with_attributes(self, self.__dict__)

    def __deepcopy__(self, memo: dict):
        return _with_attributes(self, copy.deepcopy(self.__dict__, memo))


def portable_tokenizer(tokenizer) -> tuple:
    r"""
    Args:
        tokenizer: Any tokenizer of transformers. It is not modified.

    Returns:
        Its constructor, the constructor's arguments and its state, for `restored_tokenizer`. The state does not include
        the padding and truncation settings that a fast tokenizer keeps between calls.
    """
    constructor, arguments, state = tokenizer.__reduce_ex__(2)[:3]
    state = _without_traces(state)
    init_kwargs = _without_traces(state["init_kwargs"])
    if isinstance(state.get("cache"), dict):  # words that a tokenizer in Python has split before
        state["cache"] = {}
    if tokenizer.is_fast:
        # The backend contains the contents of these files and writes them on saving.
        files = {*tokenizer.vocab_files_names, "tokenizer_file", "vocab_file", "merges_file"}
        init_kwargs = {name: value for name, value in init_kwargs.items() if name not in files}
        state["_tokenizer"] = _backend_json(tokenizer.backend_tokenizer)
    return constructor, arguments, {**state, "init_kwargs": init_kwargs}


def restored_tokenizer(constructor, arguments: tuple, state: dict[str, Any]):
    """Restores a tokenizer from `portable_tokenizer`, without its name, padding and truncation settings."""
    tokenizer = constructor(*arguments)
    state = {**_TOKENIZER_DEFAULTS, "deprecation_warnings": {}, **state}
    if isinstance(state.get("_tokenizer"), str):
        state["_tokenizer"] = Tokenizer.from_str(state["_tokenizer"])
    if hasattr(tokenizer, "__setstate__"):
        tokenizer.__setstate__(state)
    else:
        tokenizer.__dict__.update(state)
    return tokenizer


def portable_image_processor(image_processor) -> tuple:
    """The constructor, its arguments and the state of an image processor, for `restored_image_processor`."""
    constructor, arguments, state = image_processor.__reduce_ex__(2)[:3]
    return constructor, arguments, _without_traces(state)


def restored_image_processor(constructor, arguments: tuple, state: dict[str, Any]):
    image_processor = constructor(*arguments)
    image_processor.__dict__.update(state)
    return image_processor


def _with_attributes(processor: PortableProcessor, attributes: dict[str, Any]) -> PortableProcessor:
    other = type(processor).__new__(type(processor))
    other.__dict__.update(attributes)
    return other


def _without_traces(state: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in state.items() if name not in _TRACES}


def _backend_json(backend) -> str:
    text = backend.to_str()
    if backend.padding is None and backend.truncation is None:
        return text
    other = type(backend).from_str(text)  # another thread may be using the tokenizer
    other.no_padding()
    other.no_truncation()
    return other.to_str()
