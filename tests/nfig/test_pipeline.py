"""Laws of the pipeline: names, defaults, and that it only drains the generation loop."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

from nfig import checkpoint
from nfig.config import ModelConfig, SamplingDefaults, TokenizerConfig, TransformerConfig
from nfig.generation import BandStep
from nfig.model import NFIGModel
from nfig.pipeline import NFIGPipeline

CONFIG = ModelConfig(
    name="tiny",
    tokenizer=TokenizerConfig(
        image_size=16,
        grid_sides=(1, 2, 4),
        codebook_size=32,
        latent_channels=4,
        channels=8,
        channel_multipliers=(1, 1, 1),
        patch_side=1,
    ),
    transformer=TransformerConfig(depth=1, width=16, num_heads=2, num_classes=2),
    sampling=SamplingDefaults(guidance_scale=0.5, top_k=7, top_p=0.9, temperature=0.8),
    class_names=("cat", "dress"),
)


@pytest.fixture(scope="module")
def pipeline() -> NFIGPipeline:
    """Its weights are what 16 bit can hold, so that saving changes nothing."""
    torch.manual_seed(0)
    model = NFIGModel(CONFIG)
    for value in model.state_dict().values():
        value.copy_(value.half())
    return NFIGPipeline(model)


def test_it_draws_num_images_of_each_class(pipeline: NFIGPipeline) -> None:
    output = pipeline(["dress", 0], num_images=2, seed=7)
    assert [image.size for image in output.images] == [(16, 16)] * 4
    assert {image.mode for image in output.images} == {"RGB"}
    drawn = [(g.class_label, g.seed, g.image_index) for g in output.generations]
    assert drawn == [(1, 7, 0), (1, 7, 1), (0, 7, 0), (0, 7, 1)]


def test_what_is_not_said_comes_from_the_model(pipeline: NFIGPipeline) -> None:
    (generation,) = pipeline(["cat"], seed=1, top_k=3).generations
    assert generation.guidance_scale == 0.5
    assert generation.top_k == 3
    assert generation.top_p == 0.9
    assert generation.temperature == 0.8


def test_a_class_named_twice_gets_new_images(pipeline: NFIGPipeline) -> None:
    output = pipeline(["cat", "dress", "cat"], seed=7)
    assert [g.image_index for g in output.generations] == [0, 0, 1]


def test_an_image_can_be_drawn_again_by_its_seed(pipeline: NFIGPipeline) -> None:
    first = pipeline(["cat"], num_images=2)
    again = pipeline(["cat"], num_images=2, seed=first.generations[0].seed)
    for image, same in zip(first.images, again.images, strict=True):
        assert image.tobytes() == same.tobytes()
    assert first.images[0].tobytes() != first.images[1].tobytes()
    assert pipeline(["cat"]).generations[0].seed != first.generations[0].seed


def test_the_callback_gets_every_band_and_can_look_at_it(pipeline: NFIGPipeline) -> None:
    bands: list[int] = []
    sizes: list[tuple[int, int]] = []

    def look(pipeline: NFIGPipeline, step: BandStep) -> None:
        bands.append(step.band)
        sizes.extend(image.size for image in pipeline.decode(step.canvas_BCHW))
        sizes.extend(image.size for image in pipeline.preview(step))

    pipeline(["cat"], bands=2, callback_on_band_end=look)
    assert bands == [0, 1]
    assert sizes == [(16, 16)] * 4


def test_a_variation_keeps_the_low_bands_of_a_picture(pipeline: NFIGPipeline) -> None:
    (picture,) = pipeline(["cat"], seed=3).images
    tokens = pipeline.encode(picture)
    drawn: dict[int, list[tuple[int, ...]]] = {}

    def note(_: NFIGPipeline, step: BandStep) -> None:
        drawn[step.band] = [tuple(row) for row in step.tokens_Bl.tolist()]

    output = pipeline.vary(
        picture,
        keep_bands=2,
        class_label="dress",
        num_images=2,
        seed=5,
        callback_on_band_end=note,
    )
    assert [image.size for image in output.images] == [(16, 16)] * 2
    assert {generation.class_label for generation in output.generations} == {1}
    assert [drawn[band] for band in range(2)] == [[tokens[band]] * 2 for band in range(2)]
    assert drawn[2][0] != drawn[2][1]


def test_keeping_all_bands_gives_the_reconstruction(pipeline: NFIGPipeline) -> None:
    (picture,) = pipeline(["cat"], seed=3).images
    wide = picture.resize((40, 24))
    (first,) = pipeline.vary(wide, keep_bands=3, class_label=0, seed=1).images
    (second,) = pipeline.vary(wide, keep_bands=3, class_label=1, seed=2).images
    assert first.tobytes() == second.tobytes()


@pytest.mark.parametrize("keep_bands", [-1, 4])
def test_more_bands_than_there_are_cannot_be_kept(pipeline: NFIGPipeline, keep_bands: int) -> None:
    with pytest.raises(ValueError, match="keep_bands"):
        pipeline.vary(Image.new("RGB", (16, 16)), keep_bands=keep_bands, class_label=0)


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"class_labels": ["dog"]}, "class_labels.*cat, dress"),
        ({"class_labels": [2]}, "class_label"),
        ({"class_labels": []}, "class_labels"),
        ({"class_labels": "cat"}, "class_labels"),
        ({"class_labels": ["cat"], "num_images": 0}, "num_images"),
        ({"class_labels": ["cat"], "seed": -1}, "seed"),
        ({"class_labels": ["cat"], "top_p": 2}, "top_p"),
    ],
)
def test_bad_arguments_are_named(
    pipeline: NFIGPipeline, arguments: dict[str, object], field: str
) -> None:
    with pytest.raises(ValueError, match=field):
        pipeline(**arguments)  # type: ignore[arg-type]


def test_an_unknown_option_is_refused(pipeline: NFIGPipeline) -> None:
    with pytest.raises(TypeError, match="steps"):
        pipeline(["cat"], steps=4)  # type: ignore[call-arg]


def test_a_saved_model_draws_the_same_images(pipeline: NFIGPipeline, tmp_path: Path) -> None:
    assert pipeline.save_pretrained(tmp_path) == checkpoint.digest(tmp_path)
    loaded = NFIGPipeline.from_pretrained(tmp_path)
    (expected,), (image,) = (p(["cat"], seed=3).images for p in (pipeline, loaded))
    assert image.tobytes() == expected.tobytes()


def test_sharing_uploads_a_whole_checkpoint(
    pipeline: NFIGPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    uploaded: dict[str, str] = {}

    class Hub:
        def create_repo(self, hub_id: str, *, private: bool, exist_ok: bool) -> str:
            return f"https://hub.example/{hub_id}"

        def upload_folder(self, *, repo_id: str, folder_path: str) -> None:
            uploaded[repo_id] = checkpoint.digest(Path(folder_path))

    monkeypatch.setattr("huggingface_hub.HfApi", Hub)
    assert pipeline.push_to_hub("me/tiny") == "https://hub.example/me/tiny"
    assert list(uploaded) == ["me/tiny"]


def test_a_revision_of_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="revision"):
        NFIGPipeline.from_pretrained(tmp_path, revision="main")


def test_importing_the_pipeline_does_not_import_the_hub() -> None:
    code = "import sys, nfig.pipeline; sys.exit('huggingface_hub' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
