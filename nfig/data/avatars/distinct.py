"""The images of one class: each from a seed of its own, no two of them equal.

Image `i` depends on the seed, the class and `i`, and on the images before it only if it would
repeat one of them. So the images of a larger set with the same seed begin with the smaller set's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
Draw = Callable[[str], Pixels]
"""From an image's seed (64 hexadecimal digits) to its pixels (Y, X, 3)."""

MAX_ATTEMPTS = 1000


def image_seed(seed: int, class_name: str, index: int, attempt: int = 0) -> str:
    """Hashed, since the packages draw neighbours alike from seeds that are alike."""
    text = f"{seed}/{class_name}/{index}/{attempt}"
    return hashlib.sha256(text.encode()).hexdigest()


def digest_of(pixels: Pixels) -> bytes:
    return hashlib.sha256(np.ascontiguousarray(pixels).data).digest()


def distinct_images(
    draw: Draw, *, seed: int, class_name: str, count: int, apart_from: Collection[bytes] = ()
) -> Iterator[Pixels]:
    """None of them has a digest in `apart_from`.

    Raises ValueError if the class has not so many different images.
    """
    seen = set(apart_from)
    for index in range(count):
        for attempt in range(MAX_ATTEMPTS):
            pixels = draw(image_seed(seed, class_name, index, attempt))
            digest = digest_of(pixels)
            if digest not in seen:
                break
        else:
            raise ValueError(
                f"per_class: {class_name} has too few different images for {count}, "
                f"{index} were found"
            )
        seen.add(digest)
        yield pixels
