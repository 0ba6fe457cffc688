"""From an image as PIL has opened it, or as it came through a copy or another process, to upright RGB pixels."""

import numpy as np

from .pillow import Image, ImageFile, ImageOps

_ORIENTATION = 0x0112  # EXIF tag


def is_closed_unread(image: Image.Image) -> bool:
    """Whether the file of an image was closed before its pixels were read, which is then too late."""
    if not isinstance(image, ImageFile.ImageFile) or not hasattr(image, "fp") or not image.tile:
        return False
    return image.fp is None or _is_closed(image.fp)


def to_rgb(image: Image.Image) -> Image.Image:
    r"""
    Args:
        image: Of any mode that PIL knows. It is left as it is.

    Returns:
        RGB, upright, transparent parts on white. Of several frames the first one; an image that has no file any more,
        since it was copied, pickled or closed, consists of the frame that it showed then.

    Raises:
        ValueError: The mode has no fixed range of values.
        Exception: Whatever a decoder raises that meets damaged data.
    """
    if _has_lost_its_file(image):
        # It still has the class of its format, whose methods look for the file: a plain image has the same pixels.
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
    # Pickling and deep copies leave out the attribute; closing a file of several frames closes `_fp`.
    return not hasattr(image, "fp") or ("_fp" in image.__dict__ and _is_closed(image._fp))


def _is_closed(file) -> bool:
    try:
        return file.closed
    except AttributeError:  # any object with `read` can be opened
        return file is None
    except ValueError:  # PIL's stand-in for a closed file raises this at any access
        return True
