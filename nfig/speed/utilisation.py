"""How near the transformer comes to the machine's own rate of matrix products.

Counted are matrix products alone, attention's included; timed is all that leads from a band's
inputs to its logits, without sampling and embedding.

Shape legend: B batch rows, C latent channels, l tokens of one band.
"""

from __future__ import annotations

import torch

from nfig.config import ModelConfig
from nfig.model import NFIGModel
from nfig.speed.clock import Times, now


def transformer_flops(config: ModelConfig, *, batch_size: int) -> int:
    """Of one guided generation; a multiply-add is two."""
    width, depth = config.transformer.width, config.transformer.depth
    tokens = [side * side for side in config.tokenizer.grid_sides]
    rows, total = 2 * batch_size, sum(tokens)
    # Queries, keys and values, their projection, and the MLP's two of four times the width.
    linear = rows * total * depth * width * width * (3 + 1 + 2 * 4)
    word = rows * (total - tokens[0]) * config.tokenizer.latent_channels * width
    modulations = rows * width * width * (6 * depth + 2)
    seen = sum(count * sum(tokens[: band + 1]) for band, count in enumerate(tokens))
    attention = rows * depth * 2 * seen * width
    head = batch_size * total * width * config.tokenizer.codebook_size
    return 2 * (linear + word + modulations + attention + head)


@torch.no_grad()
def time_transformer(model: NFIGModel, batch_size: int) -> Times:
    """One guided generation's worth: seconds per band, the class's modulations in the first."""
    transformer, tokenizer, device = model.transformer, model.config.tokenizer, model.device
    seconds = []
    started = now(device)
    labels_B = torch.arange(2 * batch_size, device=device) % model.config.transformer.num_classes
    condition, cache = transformer.condition(labels_B), transformer.new_cache(2 * batch_size)
    for band, side in enumerate(tokenizer.grid_sides):
        shape = (2 * batch_size, side * side, tokenizer.latent_channels)
        inputs_BlC = torch.zeros(shape, device=device) if band else None
        states_BlD = transformer.band_states(band, inputs_BlC, condition, cache)
        transformer.logits(states_BlD[:batch_size])
        seconds.append(now(device) - started)
        started = now(device)
    return Times(parts=tuple(seconds), total=sum(seconds))
