"""
Pickles of processors without the traces of how their tokenizer and image processor were loaded and used.

`datasets` names the cached result of `map` by a hash of the pickled function. What is pickled therefore has to be the
same for two loads of one checkpoint, and before and after a call.
"""

import copy
from typing import Any

from tokenizers import Tokenizer
from transformers.processing_utils import ProcessorMixin

# Where a component was loaded from, by which options, and what calls and saving leave in it.
_TRACES = frozenset(
    {
        *("name_or_path", "is_local", "local_files_only", "processor_class", "_processor_class", "auto_map"),
        *("_commit_hash", "_auto_class", "deprecation_warnings", "files_loaded"),
    }
)
# Attributes that methods of tokenizers expect to find.
_TOKENIZER_DEFAULTS = {"name_or_path": "", "_processor_class": None, "files_loaded": []}


class PortableProcessor(ProcessorMixin):
    r"""
    A processor with `image_processor`, `tokenizer` and `_texts`, which is made from the tokenizer. Two processors of
    one checkpoint have the same pickle, and saving one leaves it as it was.
    """

    def save_pretrained(self, save_directory, push_to_hub: bool = False, **kwargs):
        """As in transformers, which leaves the names of the saved code in the processor and its parts."""
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
        self._texts = None

    # Copies have no need to part with anything.

    def __copy__(self):
        return _with_attributes(self, self.__dict__)

    def __deepcopy__(self, memo: dict):
        return _with_attributes(self, copy.deepcopy(self.__dict__, memo))


def portable_tokenizer(tokenizer) -> tuple:
    r"""
    Args:
        tokenizer: Any tokenizer of transformers. It is left as it is.

    Returns:
        Its constructor, the constructor's arguments and its state, for `restored_tokenizer`. Padding and truncation,
        which a fast tokenizer keeps from one call to the next, are not part of the state.
    """
    constructor, arguments, state = tokenizer.__reduce_ex__(2)[:3]
    state = _without_traces(state)
    init_kwargs = _without_traces(state["init_kwargs"])
    if isinstance(state.get("cache"), dict):  # of words that a tokenizer in Python has split before
        state["cache"] = {}
    if tokenizer.is_fast:
        # Its files were read into the backend, and saving writes them from there.
        files = {*tokenizer.vocab_files_names, "tokenizer_file", "vocab_file", "merges_file"}
        init_kwargs = {name: value for name, value in init_kwargs.items() if name not in files}
        state["_tokenizer"] = _backend_json(tokenizer.backend_tokenizer)
    return constructor, arguments, {**state, "init_kwargs": init_kwargs}


def restored_tokenizer(constructor, arguments: tuple, state: dict[str, Any]):
    """The tokenizer that `portable_tokenizer` was given, its name and its last padding and truncation apart."""
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
    """Constructor, arguments and state of an image processor, for `restored_image_processor`."""
    constructor, arguments, state = image_processor.__reduce_ex__(2)[:3]
    return constructor, arguments, _without_traces(state)


def restored_image_processor(constructor, arguments: tuple, state: dict[str, Any]):
    image_processor = constructor(*arguments)
    image_processor.__dict__.update(state)
    return image_processor


def _with_attributes(processor, attributes: dict[str, Any]):
    other = type(processor).__new__(type(processor))
    other.__dict__.update(attributes)
    return other


def _without_traces(state: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in state.items() if name not in _TRACES}


def _backend_json(backend) -> str:
    text = backend.to_str()
    if backend.padding is None and backend.truncation is None:
        return text
    other = type(backend).from_str(text)  # the tokenizer itself may be in use by another thread
    other.no_padding()
    other.no_truncation()
    return other.to_str()
