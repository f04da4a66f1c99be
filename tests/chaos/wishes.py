"""What callers ask for, and how each door says it."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from PIL import Image

from nfig_proto.v1 import image_generation_pb2 as pb
from service.domain import BrownoutConsent, Priority
from service.gateway.rpc.specs import BROWNOUTS, PRIORITIES

START_WITHIN_MS = 3_600_000
"""A time to start that nobody misses; how much longer it is tells which request a job is of."""
PREVIEWS = 3


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What decides the tokens."""

    class_label: int
    seed: int
    images: int = 1
    keep: int | None = None
    """Of a variation: how many bands are the uploaded image's."""

    @property
    def name(self) -> str:
        kept = "" if self.keep is None else f", {self.keep} kept"
        return f"{self.images} of {self.class_label}, seed {self.seed}{kept}"


_PLAIN = [(0, 1, 1), (1, 2, 1), (2, 3, 2), (3, 4, 4), (1, 5, 1), (4, 6, 3)]
_VARIED = [(1, 7, 1, 2), (2, 8, 2, 3)]
SHAPES: Mapping[str, Shape] = {
    shape.name: shape
    for shape in (
        *(Shape(class_label=label, seed=seed, images=n) for label, seed, n in _PLAIN),
        *(Shape(class_label=label, seed=seed, images=n, keep=k) for label, seed, n, k in _VARIED),
    )
}
"""Few, each often, so that an undisturbed run of each is quick."""


@dataclass(frozen=True, kw_only=True)
class Wish:
    """One request, however often it is sent."""

    number: int
    shape: str
    deadline_ms: int | None = None
    brownout: BrownoutConsent = "never"
    priority: Priority = "normal"

    @property
    def start_within_ms(self) -> int:
        return START_WITHIN_MS + self.number


def job_body(wish: Wish) -> dict[str, Any]:
    """Of `POST /v1/jobs`."""
    return {**_body(wish), "num_images": SHAPES[wish.shape].images, "previews": 2}


def images_body(wish: Wish) -> dict[str, Any]:
    """Of `POST /v1/images/generations`."""
    return {**_body(wish), "n": SHAPES[wish.shape].images}


def variation_form(wish: Wish) -> dict[str, str]:
    """Of `POST /v1/images/variations`, but for the image."""
    fields = {**images_body(wish), "keep_bands": SHAPES[wish.shape].keep}
    return {name: str(value) for name, value in fields.items() if value is not None}


def spec(wish: Wish, *, previews: int | None = None) -> pb.ImageSpec:
    """Of the gRPC calls."""
    shape = SHAPES[wish.shape]
    return pb.ImageSpec(
        class_label=shape.class_label,
        seed=shape.seed,
        num_images=shape.images,
        previews=previews,
        deadline_ms=wish.deadline_ms,
        start_within_ms=wish.start_within_ms,
        brownout=_BROWNOUTS[wish.brownout],
        priority=_PRIORITIES[wish.priority],
    )


def upload() -> bytes:
    """The picture that all variations are of."""
    file = io.BytesIO()
    Image.linear_gradient("L").resize((64, 64)).convert("RGB").save(file, "PNG")
    return file.getvalue()


_BROWNOUTS = {said: wire for wire, said in BROWNOUTS.items()}
_PRIORITIES = {said: wire for wire, said in PRIORITIES.items()}


def _body(wish: Wish) -> dict[str, Any]:
    shape = SHAPES[wish.shape]
    return {
        "class_label": shape.class_label,
        "seed": shape.seed,
        "deadline_ms": wish.deadline_ms,
        "start_within_ms": wish.start_within_ms,
        "brownout": wish.brownout,
        "priority": wish.priority,
    }
