"""Pictures in files of their own: PNG, JPEG and others that Pillow reads, as shades of grey.

Colours become their luminance, transparent parts become white, 16 bits become 8, and what a camera
says of its turning is heeded; the reading says each of these once.

    H  rows    W  columns
"""

import io
import warnings
from pathlib import PurePosixPath

import numpy as np

from seqarena.core.errors import UserError, missing_extra
from seqarena.data.files.reading import Reading
from seqarena.data.signals.numpy_files import as_pictures, read_npy

_FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM")
_MOST_PIXELS = 2**24


def decode_picture(content: bytes, name: str, reading: Reading) -> np.ndarray:
    """Grey pixels, uint8 [H, W]. Raises UserError naming a file that is broken or too large."""
    if PurePosixPath(name).suffix.lower() == ".npy":
        array = read_npy(io.BytesIO(content), name)
        return as_pictures(array[None], name, reading)[0]
    try:
        from PIL import Image, ImageOps
    except ImportError as error:
        raise missing_extra("pillow", "pictures", f"{name}: reading pictures") from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what a file says of itself is often odd
            image = Image.open(io.BytesIO(content), formats=_FORMATS)
            if image.width * image.height > _MOST_PIXELS:
                raise UserError(
                    f"{name}: {image.height} x {image.width} pixels: {_MOST_PIXELS:,} are read"
                )
            if getattr(image, "n_frames", 1) > 1:
                reading.note("of files with several pictures the first is read")
            return _grey(ImageOps.exif_transpose(image), name, reading)
    except UserError:
        raise
    except Image.DecompressionBombError as error:
        raise UserError(f"{name}: too many pixels: {_MOST_PIXELS:,} are read") from error
    except Exception as error:  # the library has errors of many kinds for bytes that are broken
        why = str(error).partition("\n")[0]
        raise UserError(f"{name}: not a picture that can be read: {why}") from error


def _grey(image: object, name: str, reading: Reading) -> np.ndarray:
    from PIL import Image

    assert isinstance(image, Image.Image)
    if image.mode == "F" or (image.mode == "I" and image.format != "PNG"):
        raise UserError(f"{name}: pixels of mode {image.mode}: shades of 8 or 16 bits are read")
    if image.mode.startswith("I"):
        reading.note("pictures of 16 bits are read as of 8")
        return np.rint(np.clip(np.asarray(image), 0, 65535) / 257).astype(np.uint8)
    if "A" in image.getbands() or "transparency" in image.info:
        image = image.convert("RGBA")
        if image.getchannel("A").getextrema() != (255, 255):
            reading.note("transparent parts of pictures are read as white")
            white = Image.new("RGBA", image.size, (255, 255, 255, 255))
            image = Image.alpha_composite(white, image)
        image = image.convert("RGB")
    if image.mode not in ("L", "1"):
        red, *others = image.convert("RGB").split()
        if any(other.tobytes() != red.tobytes() for other in others):
            reading.note("pictures in colour are read as shades of grey")
    return np.asarray(image.convert("L"))
