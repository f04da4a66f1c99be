"""How large the baseline of a served model is.

The paper compares its transformer of depth 16 with VAR of depth 20: a quarter deeper, and by VAR's
own rule (width and heads in proportion to depth) a quarter wider. The rule holds at any size, in
the proportions of the served model: from depth 6, width 192 it gives depth 8, width 256.
"""

from __future__ import annotations

import math
from dataclasses import replace

from nfig.config import PRESETS, ModelConfig, SamplingDefaults, TransformerConfig

DEEPER = 1.25
TOP_K, TOP_P, GUIDANCE_SCALE = 900, 0.96, 1.5
"""VAR's sampling, as its repository evaluates."""


def baseline_config(config: ModelConfig) -> ModelConfig:
    """VAR beside a served model: same bands, tokens and codebook, a quarter deeper."""
    served = config.transformer
    depth = math.floor(DEEPER * served.depth + 0.5)
    heads = max(1, round(served.num_heads * depth / served.depth))
    transformer = TransformerConfig(
        depth=depth,
        width=round(served.width / served.depth * depth / heads) * heads,
        num_heads=heads,
        num_classes=served.num_classes,
        class_dropout=served.class_dropout,
    )
    tokenizer = replace(
        config.tokenizer,
        quantization="area",
        basis="dct",
        band_edges="nyquist",
        palette_size=0,
        encoder="cnn",
        vit_width=384,
        vit_depth=12,
        preview_channels=0,
    )
    sampling = SamplingDefaults(
        guidance_scale=GUIDANCE_SCALE,
        top_k=min(TOP_K, config.tokenizer.codebook_size),
        top_p=TOP_P,
    )
    preset = PRESETS.get(f"var-d{depth}")
    if preset is not None:
        preset_tokenizer = replace(preset.tokenizer, preview_channels=0)
        if (preset.transformer, preset_tokenizer) == (transformer, tokenizer):
            return preset
    name = f"{config.name}-var-d{depth}"
    return ModelConfig(name=name, tokenizer=tokenizer, transformer=transformer, sampling=sampling)
