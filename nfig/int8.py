"""Linear layers and convolutions in 8 bits, twice as fast as in 16 where a CPU has VNNI.

Weights are rounded once, with a scale per output; activations each time, with a scale per row
(convolutions: per image) of their own. Products are summed in whole numbers, which no order of
summing changes: a row comes out the same, bit for bit, whatever rows are beside it.

Shape legend: M rows, I inputs, O outputs, B batch, C channels, H W grid.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Activation = Literal["none", "gelu"]

LARGEST = 127
"""Of a weight: int8 is used symmetrically."""
ZERO = 128
"""What stands for 0 in a row's uint8."""
LEVELS = 255
LINES = 8
"""Of an image, rounded together."""
SMALLEST_SCALE = 1e-12
"""In place of the scale of a row of zeros."""


def has_int8(device: torch.device) -> bool:
    """Whether 8 bits are fast here, and exact: older CPUs saturate sums of pairs."""
    return (
        device.type == "cpu"
        and torch.backends.mkldnn.is_available()
        and bool(torch.cpu._is_vnni_supported())
    )


class Rounded(nn.Module):
    """Stands in for a layer, to draw with. Neither trains, nor is saved or moved."""

    @property
    def num_bytes(self) -> int:
        held = [value for value in vars(self).values() if isinstance(value, Tensor)]
        return sum(tensor.numel() * tensor.element_size() for tensor in held)

    def _save_to_state_dict(self, *_: object) -> None:
        raise ValueError("profile: a model in 8 bits only draws, save it before that")


class Int8Linear(Rounded):
    """Of a linear layer."""

    def __init__(self, linear: nn.Linear, *, bias_O: Tensor | None = None) -> None:
        """`bias_O` where the bias is not in the layer."""
        super().__init__()
        weight_OI, self._scale_O = _rounded(linear.weight.detach())
        self._weight = torch.ops.onednn.qlinear_prepack(weight_OI, None)
        self._zero_O = torch.zeros(linear.out_features, dtype=torch.int64)
        bias_O = linear.bias if bias_O is None else bias_O
        self._bias_O = bias_O.detach().clone()

    def forward(self, x: Tensor, activation: Activation = "none") -> Tensor:
        """In the dtype of `x`, float32 or bfloat16; GELU is the tanh approximation."""
        x_MI = x.reshape(-1, x.shape[-1])
        scale_M1 = (x_MI.abs().amax(-1, keepdim=True).float() / LARGEST).clamp_(min=SMALLEST_SCALE)
        # Adding a half, then cutting off, rounds: all that is rounded is above 0 by then.
        half = scale_M1.new_tensor(ZERO + 0.5)
        rounded_MI = torch.addcmul(half, x_MI.float(), scale_M1.reciprocal()).to(torch.uint8)
        y_MO: Tensor = torch.ops.onednn.qlinear_pointwise(
            *(rounded_MI, 1.0, ZERO, self._weight, self._scale_O, self._zero_O, None),
            *(1.0, 0, x.dtype, "none", [], ""),
        )
        y_MO = torch.addcmul(self._bias_O.to(x.dtype), y_MO, scale_M1.to(x.dtype))
        if activation == "gelu":
            y_MO = F.gelu(y_MO, approximate="tanh")
        return y_MO.view(*x.shape[:-1], -1)


class Int8Conv2d(Rounded):
    """Of a convolution."""

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        assert conv.groups == 1, "what a group is worth here has not been tried"
        weight_OIYX, self._scale_O = _rounded(conv.weight.detach())
        self._places = [list(conv.stride), list(conv.padding), list(conv.dilation), 1]
        self._weight = torch.ops.onednn.qconv_prepack(
            weight_OIYX.contiguous(memory_format=torch.channels_last),
            *(self._scale_O, 1.0, ZERO, *self._places, None),
        )
        self._zero_O = torch.zeros(conv.out_channels, dtype=torch.int64)
        self._bias_O = None if conv.bias is None else conv.bias.detach().float().clone()

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """In the dtype of `x_BCHW`, float32 or bfloat16."""
        images = [self._image(image_1CHW) for image_1CHW in x_BCHW.split(1)]
        return images[0] if len(images) == 1 else torch.cat(images)

    def _image(self, x_1CHW: Tensor) -> Tensor:
        # After SiLU, as here, hardly anything is below 0, so 0 need not be in the middle.
        low, high = min(float(x_1CHW.amin()), 0.0), max(float(x_1CHW.amax()), 0.0)
        scale = max((high - low) / LEVELS, SMALLEST_SCALE)
        # Rounded down, so that nothing is cut off above 255.
        zero = math.floor(-low / scale)
        steps, half = torch.tensor(1 / scale), torch.tensor(zero + 0.5)
        rounded = torch.empty_like(x_1CHW, dtype=torch.uint8)
        # A few lines at a time: all pixels in float32 would be the most that a decoder holds.
        parts = zip(x_1CHW.split(LINES, 2), rounded.split(LINES, 2), strict=True)
        for lines, rounded_lines in parts:
            rounded_lines.copy_(torch.addcmul(half, lines.float(), steps))
        y_1CHW: Tensor = torch.ops.onednn.qconv2d_pointwise(
            *(rounded, scale, zero, self._weight, self._scale_O, self._zero_O),
            *(self._bias_O, *self._places, 1.0, 0, x_1CHW.dtype, "none", [], ""),
        )
        return y_1CHW


def _rounded(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Whole numbers in int8, and what one is worth, per output (the first axis)."""
    weight = weight.float()
    largest_O = weight.abs().amax(tuple(range(1, weight.dim())))
    scale_O = (largest_O / LARGEST).clamp(min=SMALLEST_SCALE)
    return (weight / scale_O.view(-1, *[1] * (weight.dim() - 1))).round().to(torch.int8), scale_O
