"""What a job comes to is never more than what was promised to it."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.images import encode_picture
from service.jobs.footprint import footprint
from tests.requests import request_of


@pytest.mark.parametrize("side", [16, 64, 256])
@pytest.mark.parametrize("picture_format", ["png", "jpeg", "webp"])
def test_a_picture_of_noise_fits(side: int, picture_format: Literal["png", "jpeg", "webp"]) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    _, content = encode_picture(noise, picture_format=picture_format, quality=100)
    request = request_of(bands=1)
    alone = footprint(request, image_size=side) - footprint(request, image_size=0)
    assert len(content) <= alone + 4096


@given(num_images=st.integers(1, 10), bands=st.integers(1, 10), num_previews=st.integers(0, 9))
def test_more_of_anything_is_more(num_images: int, bands: int, num_previews: int) -> None:
    def size(**changes: object) -> int:
        fields: dict[str, object] = {
            "num_images": num_images,
            "bands": bands,
            "previews": tuple(range(num_previews)),
        }
        return footprint(request_of(**{**fields, **changes}), image_size=64)

    assert size(num_images=num_images + 1) > size()
    assert size(bands=bands + 1) > size()
    assert size(previews=tuple(range(num_previews + 1))) >= size() + 3 * 64**2
    assert size(keep_bands=1) == size() + 3 * 64**2
