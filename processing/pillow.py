"""Pillow, for everything that opens images. A checkpoint's model loads without it."""

try:  # transformers asks for whatever code from a checkpoint imports outside of `try`, under the name `PIL`
    from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError
except ImportError:
    raise ImportError("Images are opened by Pillow: pip install pillow") from None

__all__ = ["Image", "ImageFile", "ImageOps", "UnidentifiedImageError"]
