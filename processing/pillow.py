"""Pillow, for all modules that open images. The model of a checkpoint can be loaded without it."""

try:  # transformers would report a missing package `PIL` for imports outside of `try` in the code of a checkpoint
    from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError
except ImportError:
    raise ImportError("Opening images requires Pillow: pip install pillow") from None

__all__ = ["Image", "ImageFile", "ImageOps", "UnidentifiedImageError"]
