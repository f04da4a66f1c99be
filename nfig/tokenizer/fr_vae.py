"""The frequency-guided residual-quantised VAE: encoder, band quantizer, decoder (NFIG section 3.1).

Shape legend: B batch rows, C latent channels, H W latent grid, l tokens of one band, 3YX RGB image.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from nfig.config import TokenizerConfig
from nfig.rows import row_by_row
from nfig.tokenizer.decoder import Decoder
from nfig.tokenizer.encoder import Encoder
from nfig.tokenizer.preview_decoder import build_preview_decoder
from nfig.tokenizer.quantizer import BandQuantizer
from nfig.tokenizer.vit import ViTEncoder


class FRVAE(nn.Module):
    """Image to tokens and back. Deterministic and without state: safe to share between callers."""

    def __init__(self, config: TokenizerConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = ViTEncoder(config) if config.encoder == "vit" else Encoder(config)
        self.quantizer = BandQuantizer(config)
        self.decoder = Decoder(config)
        self.preview_decoder = build_preview_decoder(config)

    def encode(self, images_B3YX: Tensor) -> list[Tensor]:
        """Pixels in [-1, 1] to one int64 (B, l) per band, row-major over the band's grid."""
        return self.quantizer(self.encoder(images_B3YX)).tokens_Bl  # type: ignore[no-any-return]

    def decode(self, tokens_Bl: Sequence[Tensor], *, upto: int | None = None) -> Tensor:
        """Pixels in [-1, 1] from the tokens of the first bands, up to and including band `upto`."""
        return self.decode_canvas(self.canvas(tokens_Bl, upto=upto))

    def canvas(self, tokens_Bl: Sequence[Tensor], *, upto: int | None = None) -> Tensor:
        """The sum of the bands given (B, C, H, W), up to and including band `upto`.

        Raises ValueError if there are no tokens or more than the model has bands.
        """
        used = list(tokens_Bl) if upto is None else list(tokens_Bl[: upto + 1])
        if not 1 <= len(used) <= self.config.num_bands:
            raise ValueError(f"tokens must be of 1 to {self.config.num_bands} bands: {len(used)}")
        canvas_BCHW = self.embed_band(0, used[0])
        for band, band_tokens_Bl in enumerate(used[1:], start=1):
            canvas_BCHW = canvas_BCHW + self.embed_band(band, band_tokens_Bl)
        return canvas_BCHW

    def decode_canvas(self, canvas_BCHW: Tensor) -> Tensor:
        """Pixels in [-1, 1], (B, 3, Y, X), of a canvas complete or not."""
        return _pixels(row_by_row(self.decoder, _as_weights(canvas_BCHW, self.decoder)))

    def preview(self, band: int, canvas_BCHW: Tensor) -> Tensor:
        """About what `decode_canvas` gives of the canvas of a band, for far less.

        The same where the model has no preview decoder, and at the last band.
        """
        if self.preview_decoder is None or band == self.config.num_bands - 1:
            return self.decode_canvas(canvas_BCHW)
        decoder = self.preview_decoder
        canvas_BCHW = _as_weights(canvas_BCHW, decoder)
        return _pixels(
            row_by_row(lambda row: decoder.enlarge(band, decoder(band, row)), canvas_BCHW)
        )

    def embed_band(self, band: int, tokens_Bl: Tensor) -> Tensor:
        """What one band adds to the canvas: Z(v_k), (B, C, H, W)."""
        return self.quantizer.contribution(band, tokens_Bl)

    def next_input(self, band: int, canvas_BCHW: Tensor) -> Tensor:
        """What the transformer sees of the canvas before it predicts `band`: (B, l, C)."""
        return self.quantizer.flatten(self.quantizer.bands.down(band, canvas_BCHW))


def _pixels(images_B3YX: Tensor) -> Tensor:
    """In [-1, 1], at least in float32, of a decoder that may run in 16 bits."""
    dtype = torch.promote_types(images_B3YX.dtype, torch.float32)
    return images_B3YX.to(dtype).clamp(-1, 1)


def _as_weights(x_BCHW: Tensor, module: nn.Module) -> Tensor:
    """Canvases are summed in another precision than a decoder may run in."""
    return x_BCHW.to(next(module.parameters()).dtype)
