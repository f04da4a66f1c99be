"""Large tensors leave no gaps behind, whatever was freed before them."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

SCRIPT = """
import sys
import torch
from pathlib import Path
from nfig.heap import map_large_tensors

def held():
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(fields["VmRSS"].split()[0]) // 1024

if sys.argv[1] == "mapped":
    map_large_tensors()
torch.ones(31 * 2**20, dtype=torch.uint8)  # freed at once: glibc learns that such are no rarity
before = held()
large, small = [], []
for _ in range(10):
    large.append(torch.ones(20 * 2**20, dtype=torch.uint8))
    small.append(torch.ones(2**16, dtype=torch.uint8))  # stays, above the large one
large.clear()
print(held() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc alone can be told")
def test_what_was_large_goes_back_to_the_system() -> None:
    left = {}
    for kind in ("mapped", "untold"):
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, kind], capture_output=True, text=True, check=True
        )
        left[kind] = int(done.stdout)
    assert left["mapped"] < 20 < left["untold"]
