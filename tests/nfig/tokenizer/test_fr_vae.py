"""Laws of the tokenizer, with random weights."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from nfig.config import IMAGENET_256, Basis, Quantization, TokenizerConfig
from nfig.tokenizer import FRVAE

CONFIG = TokenizerConfig(
    image_size=16,
    grid_sides=(1, 2, 3, 4),
    codebook_size=64,
    latent_channels=5,
    channels=8,
    channel_multipliers=(1, 2),
    patch_side=2,
)


AREA = dataclasses.replace(CONFIG, quantization="area")
PALETTE = dataclasses.replace(CONFIG, palette_size=6)
KINDS = {"frequency": CONFIG, "area": AREA, "palette": PALETTE}


@pytest.fixture(scope="module", params=list(KINDS.values()), ids=list(KINDS))
def tokenizer(request: pytest.FixtureRequest) -> FRVAE:
    torch.manual_seed(0)
    return FRVAE(request.param).eval()


@pytest.fixture(scope="module")
def images_B3YX() -> Tensor:
    return torch.rand(6, 3, 16, 16, generator=torch.Generator().manual_seed(1)) * 2 - 1


@torch.no_grad()
def test_each_band_has_one_token_per_cell_of_its_grid(
    tokenizer: FRVAE, images_B3YX: Tensor
) -> None:
    tokens_Bl = tokenizer.encode(images_B3YX)
    assert [tuple(tokens.shape) for tokens in tokens_Bl] == [(6, 1), (6, 4), (6, 9), (6, 16)]
    for tokens in tokens_Bl:
        assert tokens.dtype == torch.int64
        assert int(tokens.min()) >= 0 and int(tokens.max()) < CONFIG.codebook_size


@torch.no_grad()
def test_a_canvas_is_the_sum_of_what_its_bands_add(tokenizer: FRVAE, images_B3YX: Tensor) -> None:
    tokens_Bl = tokenizer.encode(images_B3YX)
    added = [tokenizer.embed_band(band, tokens) for band, tokens in enumerate(tokens_Bl)]
    for upto in range(CONFIG.num_bands):
        expected = torch.stack(added[: upto + 1]).sum(0)
        torch.testing.assert_close(tokenizer.canvas(tokens_Bl, upto=upto), expected)
        torch.testing.assert_close(tokenizer.canvas(tokens_Bl[: upto + 1]), expected)


@torch.no_grad()
def test_decoding_is_decoding_the_canvas_and_stays_in_range(
    tokenizer: FRVAE, images_B3YX: Tensor
) -> None:
    tokens_Bl = tokenizer.encode(images_B3YX)
    decoded = tokenizer.decode(tokens_Bl, upto=1)
    assert decoded.shape == images_B3YX.shape
    assert decoded.abs().max() <= 1
    assert torch.equal(decoded, tokenizer.decode_canvas(tokenizer.canvas(tokens_Bl[:2])))
    assert tokenizer.decode_canvas(100 * tokenizer.canvas(tokens_Bl)).abs().max() <= 1


@torch.no_grad()
def test_every_token_is_the_code_nearest_to_its_target(
    tokenizer: FRVAE, images_B3YX: Tensor
) -> None:
    quantized = tokenizer.quantizer(tokenizer.encoder(images_B3YX))
    codes_VC = tokenizer.quantizer.codebook_VC
    for targets, tokens in zip(quantized.targets_BlC, quantized.tokens_Bl, strict=True):
        distances = torch.cdist(targets, codes_VC)
        chosen = distances.gather(-1, tokens.unsqueeze(-1)).squeeze(-1)
        torch.testing.assert_close(chosen, distances.min(-1).values)


@torch.no_grad()
def test_each_band_codes_the_residual_of_those_before_it(
    tokenizer: FRVAE, images_B3YX: Tensor
) -> None:
    """Equation 4: v_k codes R_(k-1) + f_k, which is the band's goal minus the canvas before it.

    The goal is the low-pass of the latent for NFIG, the latent for VAR.
    """
    latent = tokenizer.encoder(images_B3YX)
    quantizer = tokenizer.quantizer
    quantized = quantizer(latent)
    canvas = torch.zeros_like(latent)
    for band in range(CONFIG.num_bands):
        target = quantizer.bands.goal(band, latent) - canvas
        expected = quantizer.flatten(quantizer.bands.down(band, target))
        torch.testing.assert_close(quantized.targets_BlC[band], expected, atol=1e-4, rtol=1e-4)
        canvas = quantized.canvases_BCHW[band]


@torch.no_grad()
def test_a_codebook_that_holds_the_targets_makes_no_error() -> None:
    """A latent made of codes is its own canvas, however many bands it takes. Not so after phi."""
    torch.manual_seed(0)
    tokenizer = FRVAE(CONFIG)
    bands = tokenizer.quantizer.bands
    codes_VC = tokenizer.quantizer.codebook_VC
    first_BC11 = codes_VC[:4, :, None, None]
    latent = bands.up(0, first_BC11)
    codes_VC[-1] = 0
    quantized = tokenizer.quantizer(latent)
    torch.testing.assert_close(quantized.canvases_BCHW[-1], latent)
    assert quantized.tokens_Bl[0].flatten().tolist() == [0, 1, 2, 3]
    assert all(bool((tokens == 63).all()) for tokens in quantized.tokens_Bl[1:])


@torch.no_grad()
def test_a_row_is_the_same_beside_any_neighbours(tokenizer: FRVAE, images_B3YX: Tensor) -> None:
    """Exactly so for what generation uses: one bit could change the next token."""
    tokens_Bl = tokenizer.encode(images_B3YX)
    for band, tokens in enumerate(tokens_Bl):
        together = tokenizer.embed_band(band, tokens)
        inputs = tokenizer.next_input(band, together)
        for row in range(len(tokens)):
            alone = tokenizer.embed_band(band, tokens[row : row + 1])
            assert torch.equal(alone[0], together[row])
            assert torch.equal(tokenizer.next_input(band, alone)[0], inputs[row])
    decoded = tokenizer.decode(tokens_Bl)
    for rows in (1, 2, 3, 5):
        fewer = tokenizer.decode([tokens[:rows] for tokens in tokens_Bl])
        assert torch.equal(fewer, decoded[:rows])


@torch.no_grad()
def test_the_next_input_is_the_canvas_on_the_grid_of_the_band(tokenizer: FRVAE) -> None:
    canvas = torch.randn(2, 5, 4, 4)
    for band, side in enumerate(CONFIG.grid_sides):
        assert tokenizer.next_input(band, canvas).shape == (2, side * side, 5)
    torch.testing.assert_close(
        tokenizer.next_input(3, canvas), canvas.permute(0, 2, 3, 1).reshape(2, 16, 5)
    )


@torch.no_grad()
def test_quantising_and_decoding_are_deterministic(tokenizer: FRVAE, images_B3YX: Tensor) -> None:
    quantized = tokenizer.quantizer(tokenizer.encoder(images_B3YX))
    again_Bl = tokenizer.encode(images_B3YX)
    for tokens, again in zip(quantized.tokens_Bl, again_Bl, strict=True):
        assert torch.equal(tokens, again)
    for band, canvas in enumerate(quantized.canvases_BCHW):
        assert torch.equal(tokenizer.canvas(again_Bl, upto=band), canvas)


def test_gradients_reach_phi_and_nothing_else(tokenizer: FRVAE, images_B3YX: Tensor) -> None:
    latent = tokenizer.encoder(images_B3YX).detach().requires_grad_()
    quantized = tokenizer.quantizer(latent)
    learns = tokenizer.quantizer.phi is not None
    assert all(canvas.requires_grad == learns for canvas in quantized.canvases_BCHW)
    assert not any(targets.requires_grad for targets in quantized.targets_BlC)
    if learns:
        names, parameters = zip(*tokenizer.named_parameters(), strict=True)
        total = torch.stack(quantized.canvases_BCHW).square().sum()
        found = torch.autograd.grad(total, [latent, *parameters], allow_unused=True)
        reached = {n for n, g in zip(["latent", *names], found, strict=True) if g is not None}
        assert reached == {name for name in names if name.startswith("quantizer.phi.")}


@pytest.mark.parametrize("config", [CONFIG, PALETTE])
@torch.no_grad()
def test_it_also_works_in_double_precision(config: TokenizerConfig, images_B3YX: Tensor) -> None:
    tokenizer = FRVAE(config).double().eval()
    tokens_Bl = tokenizer.encode(images_B3YX.double())
    assert tokenizer.decode(tokens_Bl).dtype == torch.float64


def test_tokens_of_too_few_or_too_many_bands_are_refused(tokenizer: FRVAE) -> None:
    with pytest.raises(ValueError, match="bands"):
        tokenizer.canvas([])
    with pytest.raises(ValueError, match="bands"):
        tokenizer.canvas([torch.zeros(1, 1, dtype=torch.int64)] * 5)


@pytest.mark.parametrize("basis", ["dct", "fft"])
@torch.no_grad()
def test_both_bases_make_images(basis: Basis, images_B3YX: Tensor) -> None:
    tokenizer = FRVAE(dataclasses.replace(CONFIG, basis=basis)).eval()
    assert tokenizer.decode(tokenizer.encode(images_B3YX)).shape == images_B3YX.shape


@torch.no_grad()
def test_the_literal_band_edges_make_images(images_B3YX: Tensor) -> None:
    tokenizer = FRVAE(dataclasses.replace(CONFIG, basis="fft", band_edges="literal")).eval()
    assert tokenizer.decode(tokenizer.encode(images_B3YX)).shape == images_B3YX.shape


@pytest.mark.parametrize("quantization", ["frequency", "area"])
def test_the_published_sizes_can_be_built(quantization: Quantization) -> None:
    with torch.device("meta"):
        tokenizer = FRVAE(dataclasses.replace(IMAGENET_256, quantization=quantization))
    assert IMAGENET_256.downsampling == 16
    assert IMAGENET_256.num_tokens == 680
    assert tokenizer.quantizer.codebook_VC.shape == (4096, 32)
