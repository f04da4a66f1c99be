"""Laws of the profile `fast`: what it leaves out, and what stays as it was."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor
from typer.testing import CliRunner

from nfig import checkpoint
from nfig.cli import app
from nfig.config import ModelConfig, TokenizerConfig, TransformerConfig
from nfig.export import export_model
from nfig.export.served_model import ServedModel
from nfig.generation import Generation, generate, generate_slow
from nfig.int8 import Int8Linear, has_int8
from nfig.model import NFIGModel
from nfig.pipeline import NFIGPipeline
from nfig.profile import profile_named, to_profile
from nfig.transformer.block import Block

CONFIG = ModelConfig(
    name="tiny",
    tokenizer=TokenizerConfig(
        image_size=16,
        grid_sides=(1, 2, 3, 4),
        codebook_size=48,
        latent_channels=8,
        channels=16,
        channel_multipliers=(1, 1, 1),
        patch_side=1,
    ),
    transformer=TransformerConfig(depth=2, width=32, num_heads=2, num_classes=7),
)
PLAIN = Generation(class_label=3, seed=11, guidance_scale=3.0, top_k=0, top_p=1.0, temperature=1.0)
GUIDED = 3
"""Of the four bands, in profile fast."""


def new_model(profile: str = "exact") -> NFIGModel:
    torch.manual_seed(0)
    model = NFIGModel(replace(CONFIG, profile=profile_named(profile))).eval()
    for parameter in model.parameters():
        parameter.data.normal_(std=0.3)  # as if trained: at the start every block is the identity
    return model


def tokens(model: NFIGModel, generations: Sequence[Generation]) -> list[Tensor]:
    return [step.tokens_Bl for step in generate(model, generations)]


def test_the_first_bands_are_guided_and_the_others_are_not() -> None:
    model = new_model("fast").double()
    assert model.config.guided_bands == GUIDED
    drawn = [tuple(band[0].tolist()) for band in tokens(model, [PLAIN])]
    kept = replace(PLAIN, kept=tuple(drawn[:GUIDED]))
    stronger, none = (replace(kept, guidance_scale=scale) for scale in (50.0, 0.0))
    for other in (stronger, none):
        assert tokens(model, [other])[GUIDED].tolist() == [list(drawn[GUIDED])]
    exact = new_model().double()
    assert tokens(exact, [stronger])[GUIDED].tolist() != [list(drawn[GUIDED])]


def test_it_draws_what_the_slow_loop_draws() -> None:
    model = new_model("fast").double()
    rows = (PLAIN, replace(PLAIN, class_label=1, guidance_scale=0.0), replace(PLAIN, top_k=5))
    for fast, slow in zip(generate(model, rows), generate_slow(model, rows), strict=True):
        assert fast.tokens_Bl.equal(slow.tokens_Bl)


def test_a_row_does_not_depend_on_its_neighbours() -> None:
    model = to_profile(new_model(), "fast")
    rows = [replace(PLAIN, seed=seed, class_label=seed % 7) for seed in range(7)]
    together = tokens(model, rows)
    for row, generation in enumerate(rows):
        for alone, beside in zip(tokens(model, [generation]), together, strict=True):
            assert alone[0].equal(beside[row])


def test_the_profile_of_the_config_is_the_one_applied() -> None:
    model = to_profile(new_model("fast"))
    block = next(iter(model.transformer.blocks))
    assert isinstance(block, Block)
    assert isinstance(block.expand, Int8Linear) == has_int8(torch.device("cpu"))
    assert model.transformer.word.weight.dtype == torch.bfloat16
    exact = to_profile(new_model())
    assert exact.transformer.word.weight.dtype == torch.float32


def test_an_exact_config_is_written_as_before_there_were_profiles() -> None:
    assert "profile" not in json.loads(CONFIG.to_json())
    fast = replace(CONFIG, profile="fast")
    assert ModelConfig.from_json(fast.to_json()) == fast
    with pytest.raises(ValueError, match="profile"):
        ModelConfig.from_dict({**CONFIG.to_dict(), "profile": "quick"})


def test_an_export_declares_it_and_has_a_digest_of_its_own(
    tiny_checkpoint: Path, tiny_repository: Path, tmp_path: Path
) -> None:
    repository = tmp_path / "repository"
    for config in tiny_repository.glob("*/config.pbtxt"):
        target = repository / config.relative_to(tiny_repository)
        target.parent.mkdir(parents=True)
        target.write_bytes(config.read_bytes())
    card = export_model(tiny_checkpoint, repository, profile="fast")
    served = ServedModel.load(repository / "nfig_transformer" / "1")
    assert served.config.profile == "fast"
    assert json.loads(card.read_text())["digest"] == served.digest
    assert served.digest != checkpoint.digest(tiny_checkpoint)


def test_a_pipeline_takes_it(tiny_checkpoint: Path) -> None:
    pipeline = NFIGPipeline.from_pretrained(tiny_checkpoint, profile="fast")
    images = pipeline([0], num_images=2, seed=5).images
    assert [image.size for image in images] == [(32, 32)] * 2
    assert images[1].tobytes() == pipeline([0], num_images=2, seed=5).images[1].tobytes()


def test_a_name_that_is_none_is_refused(tiny_checkpoint: Path, tmp_path: Path) -> None:
    arguments = ["sample", "--model", str(tiny_checkpoint), "--out", str(tmp_path / "x.png")]
    result = CliRunner().invoke(app, [*arguments, "--profile", "quick"])
    assert result.exit_code == 2
    assert "profile" in result.output
