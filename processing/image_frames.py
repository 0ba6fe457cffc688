"""From PIL images of any mode, also copied or unpickled ones, to upright RGB images."""

import numpy as np

from .pillow import Image, ImageFile, ImageOps

_ORIENTATION = 0x0112  # EXIF tag


def is_closed_unread(image: Image.Image) -> bool:
    """Whether the file of an image was closed before its pixels were read, so that they are lost."""
    if not isinstance(image, ImageFile.ImageFile) or not hasattr(image, "fp") or not image.tile:
        return False
    return image.fp is None or _is_closed(image.fp)


def is_on_its_side(image: Image.Image) -> bool:
    """Whether turning an image upright exchanges its width and height."""
    return image.getexif().get(_ORIENTATION, 1) in (5, 6, 7, 8)


def to_rgb(image: Image.Image) -> Image.Image:
    r"""
    Args:
        image: An image of any mode. It is not modified.

    Returns:
        The first frame in RGB, upright, transparent parts on white. An image without a file, because it was copied,
        pickled or closed, has a single frame: the one selected at that time.

    Raises:
        ValueError: The mode has no fixed range of values.
        Exception: Decoders raise arbitrary errors for damaged data.
    """
    if _has_lost_its_file(image):
        # Its class still belongs to the format, whose methods access the file; a plain image has the same pixels.
        image = image.copy()
    if image.tell() != 0:
        frame = image.tell()
        image.seek(0)
        first = image.copy()
        image.seek(frame)
        image = first
    image.load()
    if image.getexif().get(_ORIENTATION, 1) != 1:
        image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise ValueError(f"mode {image.mode} has no fixed range of values; convert the image to 8 or 16 bits.")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image if image.mode == "RGB" else image.convert("RGB")


def _has_lost_its_file(image: Image.Image) -> bool:
    if not isinstance(image, ImageFile.ImageFile):
        return False
    # Pickles and deep copies lack the attribute; closing a file with several frames closes `_fp`.
    return not hasattr(image, "fp") or ("_fp" in image.__dict__ and _is_closed(image._fp))


def _is_closed(file) -> bool:
    try:
        return file.closed
    except AttributeError:  # PIL opens any object with `read`
        return file is None
    except ValueError:  # PIL replaces a closed file by an object that raises this on any access
        return True
