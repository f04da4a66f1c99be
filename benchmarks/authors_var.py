"""`python -m benchmarks.authors_var --repository PATH`: our VAR baseline beside its authors' code.

PATH is a clone of https://github.com/FoundationVision/VAR. What is there runs as it is, with random
weights, the way its example does: weights in float32 without gradients, automatic casts around all
of it, inference mode. The baseline `as_published` takes turns with it in the same process.

Where weights come to lie in memory is worth a tenth of a band's time, most of which are casts of
weights. So each of the two is built first once, and the means of both orders are compared.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Annotated, Any

import torch
import typer
from torch import nn

from benchmarks.reports import Report, milliseconds
from nfig.config import ModelConfig, preset_named
from nfig.precision import dtype_named
from nfig.speed.clock import Times, measure_in_turn, now
from nfig.speed.contenders import PublishedContender, time_images

LABEL, SEED = 0, 0
LARGEST_RATIO = 1.05
"""That counts as equally fast: runs of the same code differ by as much."""


class AuthorsVAR:
    """Their model; what a band takes is read where the next one's input has been made."""

    def __init__(self, repository: Path, config: ModelConfig, *, device: str, dtype: str) -> None:
        tokenizer, transformer = config.tokenizer, config.transformer
        self.sampling = config.sampling
        self.device, self.dtype = torch.device(device), dtype_named(dtype)
        sys.path.insert(0, str(repository))
        kinds = (nn.Linear, nn.LayerNorm, nn.Conv2d, nn.BatchNorm2d)
        starts = {kind: kind.reset_parameters for kind in kinds}
        vae, var = importlib.import_module("models").build_vae_var(
            V=tokenizer.codebook_size,
            Cvae=tokenizer.latent_channels,
            ch=tokenizer.channels,
            device=device,
            patch_nums=tokenizer.grid_sides,
            num_classes=transformer.num_classes,
            depth=transformer.depth,
        )
        for kind, start in starts.items():  # theirs makes layers start with what memory holds
            kind.reset_parameters = start  # type: ignore[method-assign]
        for module in vae.modules():
            if isinstance(module, nn.Conv2d):
                module.reset_parameters()
        self.model = var.eval().requires_grad_(False)
        self.ends: list[float] = []
        self._watch(vae.quantize)

    def time_image(self) -> Times:
        """Band by band, then the decoder."""
        self.ends = [now(self.device)]
        labels_B = torch.tensor([LABEL], device=self.device)
        casts = torch.autocast(
            self.device.type, dtype=self.dtype, enabled=self.dtype != torch.float32
        )
        with torch.inference_mode(), casts:
            self.model.autoregressive_infer_cfg(
                B=len(labels_B),
                label_B=labels_B,
                cfg=self.sampling.guidance_scale,
                top_k=self.sampling.top_k,
                top_p=self.sampling.top_p,
                g_seed=SEED,
            )
        self.ends.append(now(self.device))
        parts = [end - start for start, end in zip(self.ends[:-1], self.ends[1:], strict=True)]
        return Times(parts=tuple(parts), total=self.ends[-1] - self.ends[0])

    def _watch(self, quantizer: Any) -> None:
        made = quantizer.get_next_autoregressive_input

        def watched(*arguments: Any) -> Any:
            result = made(*arguments)
            self.ends.append(now(self.device))
            return result

        quantizer.get_next_autoregressive_input = watched


def measure(*, repository: Path, preset: str, device: str, dtype: str, repetitions: int) -> Report:
    config = preset_named(preset)

    def theirs() -> AuthorsVAR:
        return AuthorsVAR(repository, config, device=device, dtype=dtype)

    def ours() -> PublishedContender:
        return PublishedContender.random(config, device=torch.device(device), dtype=dtype)

    def in_turn(*, ours_first: bool) -> Sequence[Times]:
        if ours_first:
            published, authors = ours(), theirs()
        else:
            authors, published = theirs(), ours()
        contenders = (authors.time_image, lambda: time_images(published, 1))
        return measure_in_turn(contenders, limit=repetitions)

    orders = [in_turn(ours_first=ours_first) for ours_first in (True, False)]
    authors, published = (_mean(times) for times in zip(*orders, strict=True))
    names = [f"band {band}" for band in range(config.tokenizer.num_bands)]
    columns = zip(
        [*names, "decoder", "total"],
        [*authors.parts, authors.total],
        [*published.parts, published.total],
        strict=True,
    )
    ratio = published.total / authors.total
    return Report(
        name="authors-var",
        parameters={
            "preset": preset,
            "device": device,
            "dtype": dtype,
            "threads": torch.get_num_threads(),
            "torch": str(torch.__version__),
            "disturbed": authors.disturbed or published.disturbed,
        },
        rows=[
            {
                "part": name,
                "authors ms": milliseconds(first),
                "as_published ms": milliseconds(second),
                "ratio": round(second / first, 3),
            }
            for name, first, second in columns
        ],
        verdict=f"demanded: at most {LARGEST_RATIO} times the authors' time; "
        f"met: {ratio <= LARGEST_RATIO}",
    )


def _mean(times: Sequence[Times]) -> Times:
    parts = zip(*(each.parts for each in times), strict=True)
    return Times(
        parts=tuple(fmean(part) for part in parts),
        total=fmean(each.total for each in times),
        disturbed=any(each.disturbed for each in times),
    )


def main(
    repository: Annotated[Path, typer.Option(help="A clone of FoundationVision/VAR.")],
    preset: Annotated[str, typer.Option(help="A VAR of ours.")] = "var-d16",
    device: Annotated[str, typer.Option(help="cpu or cuda; nobody has run cuda yet.")] = "cpu",
    dtype: Annotated[str, typer.Option(help="fp32, bf16 or fp16.")] = "bf16",
    threads: Annotated[int, typer.Option(min=0, help="Of torch; 0: as it likes.")] = 0,
    repetitions: Annotated[int, typer.Option(min=3, help="At most, of each.")] = 15,
) -> None:
    """Our VAR baseline beside its authors' code, band by band."""
    if not (repository / "models" / "var.py").is_file():
        raise typer.BadParameter(f"repository: {repository} is no clone of FoundationVision/VAR")
    if threads:
        torch.set_num_threads(threads)
    report = measure(
        repository=repository,
        preset=preset,
        device=device,
        dtype=dtype,
        repetitions=repetitions,
    )
    report.publish()


if __name__ == "__main__":
    typer.run(main)
