"""The `requirements.txt` beside the endpoint handler."""

import re
from importlib.metadata import PackageNotFoundError, requires

# What the handler and the code of model, processor and pipeline import.
IMPORTED = ("transformers", "torch", "huggingface-hub", "numpy", "pillow", "safetensors", "tokenizers", "tqdm")


def handler_requirements() -> str | None:
    r"""
    The packages that the endpoint handler and the code beside it require, with the lower bounds of this package.

    Returns:
        One requirement per line; `None` if this package is imported from a checkout, where no bounds are recorded.
    """
    try:
        declared = requires("tgdi_hf") or []
    except PackageNotFoundError:
        return None
    named = {re.split(r"[^\w.-]", line, maxsplit=1)[0]: line for line in declared if "extra ==" not in line}
    return "".join(f"{named[name]}\n" for name in IMPORTED)
