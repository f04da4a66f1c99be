"""`python -m nfig.speed.memory_probe CONFIG BATCH DTYPE DEVICE`: prints by how much it has grown.

What `nfig.speed.memory.measure_growth` starts. The config is JSON.
"""

from __future__ import annotations

import sys

import torch

from nfig.speed.memory import peak_bytes


def main(config_json: str, batch_size: str, dtype: str, device: str) -> None:
    before = peak_bytes(torch.device(device))
    from nfig.config import ModelConfig
    from nfig.heap import map_large_tensors
    from nfig.speed.contenders import EngineContender, time_images

    map_large_tensors()
    config = ModelConfig.from_json(config_json)
    contender = EngineContender.random(config, device=torch.device(device), dtype=dtype)
    time_images(contender, int(batch_size))
    sys.stdout.write(f"{peak_bytes(torch.device(device)) - before}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
