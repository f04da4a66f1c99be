"""From a checkpoint's name to images in two lines, in the shape people know from other libraries.

pipeline = NFIGPipeline.from_pretrained("checkpoints/avatars-64")
pipeline(["cat"], num_images=4, seed=7).images[0].save("cat.png")
pipeline.vary(Image.open("cat.png"), keep_bands=3, class_label="cat").images[0].save("kitten.png")
"""

from __future__ import annotations

import secrets
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self, TypedDict, Unpack

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from nfig import checkpoint
from nfig.config import ModelConfig, Profile
from nfig.generation import BandStep, Generation, generate
from nfig.images import to_pixels, to_tensor
from nfig.model import NFIGModel
from nfig.profile import to_profile
from nfig.sampling import LARGEST_SEED


class SamplingOptions(TypedDict, total=False):
    """What may be said beside class and seed; the model's own defaults fill the rest."""

    guidance_scale: float
    top_k: int
    top_p: float
    temperature: float
    bands: int


@dataclass(frozen=True, kw_only=True, eq=False)
class PipelineOutput:
    images: Sequence[Image.Image]
    """`num_images` of the first class label, then of the next."""
    generations: Sequence[Generation]
    """What each image was drawn from: seed and image index draw it again."""


class NFIGPipeline:
    """Draws images with one model."""

    def __init__(self, model: NFIGModel) -> None:
        self.model = model.eval()

    @classmethod
    def from_pretrained(
        cls,
        path_or_hub_id: str | Path,
        *,
        revision: str | None = None,
        profile: Profile | None = None,
    ) -> Self:
        """From a checkpoint folder, or else a repository on the Hugging Face hub.

        `revision` (branch, tag or commit) is for the hub. `profile` "fast" draws faster for a
        little quality (nfig.profile), and only draws. Raises ValueError where the checkpoint is
        not whole; the hub's own errors pass through.
        """
        path = Path(path_or_hub_id)
        if path.is_dir():
            if revision is not None:
                raise ValueError(f"revision is for the hub, but {path} is a folder")
            return cls(to_profile(checkpoint.load(path), profile))
        # Here, because most programs never need it and it is slow to import.
        from huggingface_hub import snapshot_download

        folder = snapshot_download(
            str(path_or_hub_id), revision=revision, allow_patterns=["*.json", "*.safetensors"]
        )
        return cls(to_profile(checkpoint.load(Path(folder)), profile))

    def save_pretrained(self, folder: str | Path) -> str:
        """Writes a checkpoint folder (safetensors and config.json); returns its digest."""
        return checkpoint.save(self.model, Path(folder))

    def push_to_hub(self, hub_id: str, *, private: bool = False) -> str:
        """Uploads the checkpoint as a repository of the hub; returns its address.

        Needs a login (`hf auth login`); the hub's own errors pass through.
        """
        from huggingface_hub import HfApi

        api = HfApi()
        address = api.create_repo(hub_id, private=private, exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            self.save_pretrained(folder)
            api.upload_folder(repo_id=hub_id, folder_path=folder)
        return str(address)

    @property
    def config(self) -> ModelConfig:
        return self.model.config

    def to(self, device: torch.device | str) -> Self:
        self.model.to(device)
        return self

    def __call__(
        self,
        class_labels: Sequence[int | str],
        *,
        num_images: int = 1,
        seed: int | None = None,
        callback_on_band_end: Callable[[Self, BandStep], None] | None = None,
        **options: Unpack[SamplingOptions],
    ) -> PipelineOutput:
        """Draw `num_images` of each class, given by number or name, in one batch.

        Image i of a class is drawn from (seed, i); without a seed a random one is taken. The
        callback gets every band; `decode` turns its canvas into pictures. Raises ValueError that
        names a bad field.
        """
        if isinstance(class_labels, str) or not class_labels:
            raise ValueError(f"class_labels must be a list of one or more, not {class_labels!r}")
        labels = [self._label(label) for label in class_labels for _ in range(_count(num_images))]
        generations = self._generations(labels, seed, options)
        return self._drain(generations, callback_on_band_end)

    def vary(
        self,
        image: Image.Image,
        *,
        keep_bands: int,
        class_label: int | str,
        num_images: int = 1,
        seed: int | None = None,
        callback_on_band_end: Callable[[Self, BandStep], None] | None = None,
        **options: Unpack[SamplingOptions],
    ) -> PipelineOutput:
        """Draw images that share their first `keep_bands` bands with a given picture.

        The picture is resized to the model's side. Its low frequencies, and so its layout and
        colours, stay; the rest is drawn anew, of the same class or of another. All else is as in a
        plain call. Raises ValueError that names a bad field.
        """
        num_bands = self.config.tokenizer.num_bands
        if not 0 <= keep_bands <= num_bands:
            raise ValueError(f"keep_bands must be from 0 to {num_bands}, not {keep_bands}")
        labels = [self._label(class_label)] * _count(num_images)
        kept = self.encode(image)[:keep_bands]
        generations = [replace(g, kept=kept) for g in self._generations(labels, seed, options)]
        return self._drain(generations, callback_on_band_end)

    @torch.no_grad()
    def encode(self, image: Image.Image) -> tuple[tuple[int, ...], ...]:
        """The tokens of a picture, band by band; it is resized to the model's side."""
        side = self.config.tokenizer.image_size
        image = image.convert("RGB").resize((side, side), Image.Resampling.LANCZOS)
        images_B3YX = to_tensor(np.array(image)[None]).to(self.model.device)
        return tuple(tuple(band[0].tolist()) for band in self.model.tokenizer.encode(images_B3YX))

    @torch.no_grad()
    def decode(self, canvas_BCHW: Tensor) -> list[Image.Image]:
        """Pictures of canvases, finished or not."""
        images_B3HW = self.model.tokenizer.decode_canvas(canvas_BCHW)
        return [Image.fromarray(pixels) for pixels in to_pixels(images_B3HW)]

    @torch.no_grad()
    def preview(self, step: BandStep) -> list[Image.Image]:
        """Pictures of a band just drawn, for a callback: near to `decode`'s, and lighter."""
        images_B3YX = self.model.tokenizer.preview(step.band, step.canvas_BCHW)
        return [Image.fromarray(pixels) for pixels in to_pixels(images_B3YX)]

    def _label(self, label: int | str) -> int:
        if isinstance(label, int):
            return label
        if label not in self.config.class_names:
            known = ", ".join(self.config.class_names) or "none, use numbers"
            raise ValueError(f"class_labels: no class is named {label!r} (names: {known})")
        return self.config.class_names.index(label)

    def _drain(
        self,
        generations: Sequence[Generation],
        callback_on_band_end: Callable[[Self, BandStep], None] | None,
    ) -> PipelineOutput:
        step: BandStep | None = None
        for step in generate(self.model, generations):
            if callback_on_band_end is not None:
                callback_on_band_end(self, step)
        assert step is not None
        return PipelineOutput(images=self.decode(step.canvas_BCHW), generations=generations)

    def _generations(
        self, labels: Sequence[int], seed: int | None, options: SamplingOptions
    ) -> list[Generation]:
        if seed is None:
            seed = secrets.randbelow(LARGEST_SEED)
        defaults = self.config.sampling
        complete: SamplingOptions = {
            "guidance_scale": defaults.guidance_scale,
            "top_k": defaults.top_k,
            "top_p": defaults.top_p,
            "temperature": defaults.temperature,
            **options,
        }
        # A class that is named twice gets new images, not the same ones again.
        drawn: Counter[int] = Counter()
        generations = []
        for label in labels:
            generations.append(
                Generation(class_label=label, seed=seed, image_index=drawn[label], **complete)
            )
            drawn[label] += 1
        return generations


def _count(num_images: int) -> int:
    if num_images < 1:
        raise ValueError(f"num_images must be 1 or more, not {num_images}")
    return num_images
