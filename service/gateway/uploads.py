"""An uploaded image file, whoever sent it and whatever is in it, to the pixels that a model reads.

Checked before it is decoded: bytes, format, declared pixels. Decoded by two threads at most, so
that many large images wait for each other instead of filling the memory.
"""

from __future__ import annotations

import asyncio
import io
from concurrent.futures import ThreadPoolExecutor

from PIL import Image, ImageOps

from service.errors import BodyTooLarge, InvalidImage
from service.gateway.drafts import Draft
from service.settings import GatewaySettings

FORMATS = ("PNG", "JPEG", "WEBP")
DECODING_THREADS = 2
GROUND = (255, 255, 255)
"""What shows through transparent pixels."""


class Uploads:
    def __init__(self, settings: GatewaySettings) -> None:
        self._max_bytes = settings.max_upload_bytes
        self._max_pixels = settings.max_upload_pixels
        self._threads = ThreadPoolExecutor(DECODING_THREADS, thread_name_prefix="nfig-upload")

    async def pixels(self, draft: Draft, *, side: int) -> bytes | None:
        """RGB bytes, row by row, of the draft's image; None if it has none.

        Raises BodyTooLarge, InvalidImage, which name the image.
        """
        content = draft.image
        if content is None:
            return None
        if len(content) > self._max_bytes:
            text = f"{draft.name('image')} is over {self._max_bytes} bytes"
            raise BodyTooLarge(text, field=draft.name("image"))
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(
                self._threads, lambda: read_pixels(content, side=side, max_pixels=self._max_pixels)
            )
        except ValueError as error:
            name = draft.name("image")
            raise InvalidImage(f"{name} {error}", field=name) from None


def read_pixels(content: bytes, *, side: int, max_pixels: int) -> bytes:
    """The picture as `side` x `side` RGB pixels. Raises ValueError that says what is wrong."""
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            _check_declared(image, max_pixels)
            return (
                _opaque(ImageOps.exif_transpose(image))
                .resize((side, side), Image.Resampling.LANCZOS)
                .tobytes()
            )
    except _Unfit:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise _Unfit(f"must have {max_pixels} pixels at most") from None
    except Exception:  # decoders fail in as many ways as files can be broken
        raise ValueError("must be a whole PNG, JPEG or WebP file") from None


class _Unfit(ValueError):
    """An image file, but not one that we take."""


def _check_declared(image: Image.Image, max_pixels: int) -> None:
    width, height = image.size
    if width * height > max_pixels:
        raise _Unfit(f"must have {max_pixels} pixels at most, not {width} x {height}")
    if width != height:
        raise _Unfit(f"must be square, not {width} x {height}")
    # An MPO is a photograph with smaller copies of itself behind it.
    if image.format != "MPO" and getattr(image, "is_animated", False):
        raise _Unfit("must be one picture, not an animation")


def _opaque(image: Image.Image) -> Image.Image:
    """RGB, on white where it is transparent."""
    if image.mode.startswith("I"):
        # 16 bits of grey, which Pillow would cut off at 255 instead of scaling them.
        image = image.convert("I").point(lambda level: level * (1 / 256)).convert("L")
    if not image.has_transparency_data:
        return image.convert("RGB")
    image = image.convert("RGBA")
    ground = Image.new("RGBA", image.size, (*GROUND, 255))
    return Image.alpha_composite(ground, image).convert("RGB")
