"""Compiling a model with `torch.compile`, so that batches of other sizes do not compile it again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..modeling.modeling_tgdi import TGDIForRelationExtraction

# A graph per form of a batch: with and without images, captions and evidence, one row or several, one image or several.
MAX_GRAPHS = 32


def compile_model(model: TGDIForRelationExtraction, backend: str = "inductor") -> TGDIForRelationExtraction:
    r"""
    Compiles a model and its vision encoder in place with `torch.compile`. The first batch of each form takes from
    seconds to minutes; other numbers of posts, tokens, images and slots do not compile again.

    `pipe.model = torch.compile(pipe.model)` compiles only `forward`: images would pass the vision encoder uncompiled,
    because the pipeline calls `get_vision_features`.

    Two settings of the process change: `use_duck_shape` of torch.fx becomes false, so that sizes that are equal in the
    first batch by chance may differ in others, and the `recompile_limit` of Dynamo is at least `MAX_GRAPHS`.

    Args:
        model: A model in PyTorch, `pipe.model` for instance.
        backend: A backend of `torch.compile`.

    Returns:
        The same model.

    Raises:
        TypeError: The model is an exported one, or not a TGDI model.
        OSError: The backend is `"inductor"`, and there is no C++ compiler.

    Example:

    ```python
    >>> from tgdi_hf.inference.compiled_model import compile_model

    >>> compile_model(pipe.model)
    >>> results = pipe(posts)
    ```
    """
    import torch
    from torch.fx.experimental import _config as symbolic_shapes

    from ..modeling.modeling_tgdi import TGDIForRelationExtraction

    if not isinstance(model, TGDIForRelationExtraction):
        raise TypeError(
            f"Expected a TGDIForRelationExtraction, got a {type(model).__name__}. Only a model in PyTorch can be "
            "compiled; the graphs of an export are compiled by their runtime."
        )
    if backend == "inductor":
        _check_compiler()
    settings: Any = torch._dynamo.config
    settings.recompile_limit = max(settings.recompile_limit, MAX_GRAPHS)
    symbolic_shapes.use_duck_shape = False
    model.compile(dynamic=True, backend=backend)
    if model.tgdi.vision_tower is not None:
        model.tgdi.vision_tower.compile(dynamic=True, backend=backend)
    return model


def _check_compiler() -> None:
    from torch._inductor.cpp_builder import get_cpp_compiler
    from torch._inductor.exc import InvalidCxxCompiler

    try:
        get_cpp_compiler()
    except InvalidCxxCompiler as error:
        raise OSError(
            "torch.compile requires a C++ compiler, and none was found: install g++ (`apt install g++`) or clang, or "
            "set CXX to its path."
        ) from error
