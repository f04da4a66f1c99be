"""A model to measure with, whose weights are never in memory twice or wider than they are drawn in.

PyTorch makes a layer in float32, starts its weights at random, and only then may they be cast.
Here parameters are made on the device "meta", which has no memory, and filled in their own dtype.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn.modules.module import register_module_parameter_registration_hook
from torch.overrides import TorchFunctionMode

from nfig.config import ModelConfig
from nfig.model import NFIGModel
from nfig.precision import to_dtype

LARGEST = 0.03


@contextmanager
def without_weights() -> Iterator[None]:
    """Modules that are made meanwhile have parameters on "meta"; buffers and all else are there."""

    def on_meta(_: nn.Module, __: str, parameter: nn.Parameter) -> nn.Parameter | None:
        if parameter is None or parameter.is_meta:
            return None
        return nn.Parameter(parameter.to("meta"), requires_grad=False)

    # Its type leaves out that what a hook returns takes the parameter's place.
    handle = register_module_parameter_registration_hook(on_meta)  # type: ignore[arg-type]
    try:
        with _Unstarted():
            yield
    finally:
        handle.remove()


class _Unstarted(TorchFunctionMode):
    """Leaves out what changes a tensor without memory: PyTorch would load much to do nothing."""

    def __torch_function__(
        self, function: Any, _: Any, arguments: tuple[Any, ...] = (), options: Any = None
    ) -> Any:
        options = options or {}
        name = getattr(function, "__name__", "")
        if name.endswith("_") and not name.endswith("__"):
            first = next(iter((*arguments, *options.values())), None)
            if isinstance(first, torch.Tensor) and first.is_meta:
                return first
        return function(*arguments, **options)


def random_model(
    config: ModelConfig,
    *,
    device: torch.device,
    dtype: str,
    finish: Callable[[nn.Module], None] | None = None,
) -> NFIGModel:
    """To measure with: weights at random, in eval mode, without gradients.

    `finish` changes each module as soon as it and its children have weights, so that those before
    and after are never there together. Raises ValueError on an unknown dtype.
    """
    with without_weights():
        model = NFIGModel(config)
    to_dtype(model, dtype)

    def fill(module: nn.Module) -> None:
        for name, parameter in list(module.named_parameters(recurse=False)):
            filled = torch.empty(parameter.shape, dtype=parameter.dtype, device=device)
            filled.uniform_(-LARGEST, LARGEST)
            setattr(module, name, nn.Parameter(filled, requires_grad=False))
        for name, buffer in list(module.named_buffers(recurse=False)):
            setattr(module, name, buffer.to(device))
        if finish is not None:
            finish(module)

    return model.apply(fill).eval()
