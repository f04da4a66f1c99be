"""Laws of the images of one class."""

from __future__ import annotations

import numpy as np
import pytest

from nfig.data.avatars.distinct import Pixels, distinct_images, image_seed


def draw_digit(seed: str) -> Pixels:
    """One of sixteen images."""
    return np.full((1, 1, 3), int(seed[0], 16), np.uint8)


def digits(count: int, **options: object) -> list[int]:
    chosen = {"seed": 0, "class_name": "cat", **options}
    return [int(image[0, 0, 0]) for image in distinct_images(draw_digit, count=count, **chosen)]


def test_no_image_comes_twice() -> None:
    assert sorted(digits(16)) == list(range(16))


def test_more_images_begin_with_the_fewer() -> None:
    assert digits(16)[:9] == digits(9)


def test_an_image_that_repeats_none_depends_on_its_number_alone() -> None:
    first = [int(image_seed(0, "cat", index)[0], 16) for index in range(16)]
    for index, digit in enumerate(digits(16)):
        if first[index] not in digits(index):
            assert digit == first[index]


def test_seeds_differ_by_everything_they_are_made_of() -> None:
    seeds = [
        *(image_seed(0, "cat", 0), image_seed(1, "cat", 0), image_seed(0, "dog", 0)),
        *(image_seed(0, "cat", 1), image_seed(0, "cat", 0, 1)),
    ]
    assert len(set(seeds)) == len(seeds)
    assert image_seed(0, "cat", 7) == (
        "5873b96156f6424d0a56c8b072f52af943e72c4d05c4e5db48a3786f2af11ca6"
    )


def test_a_class_without_so_many_images_is_named() -> None:
    with pytest.raises(ValueError, match="cat has too few different images for 17, 16 were found"):
        digits(17)
