"""Reference statistics of a data set by a network: what standard benchmarks publish.

An `.npz` file with `mu` and `sigma`, such as that which guided-diffusion publishes for ImageNet,
and the network that they are of. What else is in the file is not looked at.

Shape legend: F features.
"""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nfig.evaluation import frechet
from nfig.evaluation.comparison import ImageSets
from nfig.evaluation.features import extract
from nfig.evaluation.onnx_network import OnnxNetwork
from nfig.training.reporting import Reporter


@dataclass(frozen=True, kw_only=True, eq=False)
class Reference:
    mean_F: frechet.Floats
    cov_FF: frechet.Floats
    network: OnnxNetwork
    identity: dict[str, str]
    """SHA-256 of both files."""


def load_reference(statistics: Path, network: Path, *, image_size: int) -> Reference:
    """Raises ValueError that names the file and what is wrong with it."""
    loaded = OnnxNetwork(network, image_size=image_size)
    mean_F, cov_FF = _read(statistics)
    found = loaded(torch.zeros(1, 3, image_size, image_size)).shape[1]
    if found != len(mean_F):
        raise ValueError(
            f"network: {network} gives {found} features, the statistics are of {len(mean_F)}"
        )
    return Reference(
        mean_F=mean_F,
        cov_FF=cov_FF,
        network=loaded,
        identity={"statistics": _digest(statistics), "network": _digest(network)},
    )


def reference_figures(
    reference: Reference, images: ImageSets, *, reporter: Reporter
) -> dict[str, Any]:
    """Fréchet distances to the statistics; the floor is that of the held-out images."""
    gaussian = frechet.Gaussian(reference.mean_F, reference.cov_FF)
    sets = {
        "floor": images.held_out.pixels,
        "samples": images.samples.pixels,
        "reconstructions": images.reconstructions,
    }
    figures = {}
    for name, pixels in sets.items():
        features = extract(reference.network, pixels, what=f"reference, {name}", reporter=reporter)
        figures[name] = asdict(frechet.estimate_from(gaussian, features))
    return figures


def _read(file: Path) -> tuple[frechet.Floats, frechet.Floats]:
    try:
        with np.load(file, allow_pickle=False) as opened:
            mean_F, cov_FF = opened["mu"], opened["sigma"]
    except FileNotFoundError:
        raise ValueError(f"statistics: no file {file}") from None
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"statistics: {file} is not an .npz file with mu and sigma ({error})"
        ) from None
    if mean_F.ndim != 1 or cov_FF.shape != (len(mean_F), len(mean_F)):
        raise ValueError(
            f"statistics: mu and sigma in {file} must be F and F x F numbers: "
            f"{mean_F.shape}, {cov_FF.shape}"
        )
    return mean_F.astype(np.float64), cov_FF.astype(np.float64)


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
