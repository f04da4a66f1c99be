"""`nfig bench`: what its file holds, and what it refuses."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode
from typer.testing import CliRunner

from nfig.cli import app
from nfig.config import PRESETS
from nfig.model import NFIGModel
from nfig.precision import to_precision
from nfig.speed.memory import memory_budget
from nfig.speed.utilisation import time_transformer, transformer_flops
from tests.nfig.speed.test_published_var import CONFIG


@pytest.fixture(autouse=True)
def tiny_presets(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = replace(CONFIG.tokenizer, quantization="frequency")
    monkeypatch.setitem(PRESETS, "tiny", replace(CONFIG, name="tiny", tokenizer=ours))
    monkeypatch.setitem(PRESETS, "tiny-var", replace(CONFIG, name="tiny-var"))


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["bench", *arguments])
    return result.exit_code, result.output


@pytest.mark.parametrize("baseline", ["as_published", "same_code"])
@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
def test_the_file_holds_the_speedup_in_all_and_per_band(
    tmp_path: Path, baseline: str, dtype: str
) -> None:
    file = tmp_path / "bench.json"
    arguments = f"--model tiny --against tiny-var --baseline {baseline} --dtype {dtype}".split()
    code, output = run(
        *arguments, "--batch-sizes", "1,2", "--repetitions", "3", "--json", str(file)
    )
    assert code == 0, output
    values = json.loads(file.read_text())
    assert values["speedup"] == values["results"][0]["speedup"] > 0
    assert len(values["speedup_per_band"]) == CONFIG.tokenizer.num_bands
    assert [each["batch_size"] for each in values["results"]] == [1, 2]
    for each in values["results"]:
        first, second = each["first"], each["second"]
        assert each["speedup"] == pytest.approx(second["seconds"] / first["seconds"])
        assert first["images_per_second"] == pytest.approx(each["batch_size"] / first["seconds"])
        assert len(first["seconds_per_band"]) == CONFIG.tokenizer.num_bands
        transformer, rate = each["transformer"], values["machine"]["gflops"]
        assert len(transformer["seconds_per_band"]) == CONFIG.tokenizer.num_bands
        assert transformer["of_matmul_rate"] == pytest.approx(transformer["gflops"] / rate)
    assert values["machine"]["gflops"] > 0 < values["machine"]["gbytes_per_second"]
    assert values["memory"]["total"] > values["memory"]["weights"] > 0
    assert values["previews"]["added"] > -1
    assert 0 < values["previews"]["first"] < 1 + values["previews"]["added"]
    assert "previews" in output
    assert "speedup" in output
    assert "computed" in output
    assert "at batch 2" in output


def test_the_first_can_draw_fast() -> None:
    options = "--model tiny --against tiny-var --profile fast --repetitions 3"
    code, output = run(*options.split())
    assert code == 0, output
    assert "tiny (fast)" in output


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ("--model none", "preset"),
        ("--model tiny --against tiny", "as_published"),
        ("--model tiny --against tiny-var --baseline best", "baseline"),
        ("--model tiny --against tiny-var --dtype int3", "dtype"),
        ("--model tiny --against tiny-var --batch-sizes 1,x", "batch_sizes"),
        ("--model tiny --against tiny-var --batch-sizes 0", "batch_sizes"),
        ("--model tiny --against tiny-var --repetitions 2", "repetitions"),
        ("--model tiny --against tiny-var --profile quick", "profile"),
        ("--model tiny --against tiny-var --profile fast --dtype fp32", "dtype"),
    ],
)
def test_a_bad_option_is_named(arguments: str, named: str) -> None:
    code, output = run(*arguments.split())
    assert code == 2
    assert named in output


def test_the_transformers_products_are_counted_as_pytorch_counts_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # No rows of zeros, and all in products that PyTorch's counter knows.
    monkeypatch.setattr("nfig.transformer.linear._is_steady", lambda *_: False)
    model = NFIGModel(CONFIG).eval()
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        time_transformer(model, batch_size=2)
    assert counter.get_total_flops() == transformer_flops(CONFIG, batch_size=2)


def test_half_precision_halves_what_is_held_and_keeps_what_sums_and_samples() -> None:
    model = to_precision(NFIGModel(CONFIG).eval(), "bf16")
    assert model.transformer.blocks.parameters().__next__().dtype == torch.bfloat16
    assert model.transformer.head.weight.dtype == torch.float32
    assert model.tokenizer.quantizer.codebook_VC.dtype == torch.float32
    canvas = torch.randn(1, 5, 4, 4)
    with torch.no_grad():
        assert model.tokenizer.decode_canvas(canvas).dtype == torch.float32
    wide, narrow = (
        memory_budget(model, CONFIG, batch_size=2, dtype=dtype)
        for dtype in (torch.float32, torch.bfloat16)
    )
    assert wide.cache == 2 * narrow.cache
    cache = model.transformer.new_cache(4)
    assert cache.num_bytes == narrow.cache
