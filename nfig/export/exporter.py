"""Fills a model repository with a checkpoint, so that Triton can serve it.

The repository's `config.pbtxt` and `model.py` files are committed and fit every checkpoint; export
adds the weights, the config and, last of all, a manifest with the SHA-256 of each file. Without a
manifest that fits, `verified_folder` refuses to serve, so a half-written export never answers.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

from nfig import checkpoint
from nfig.config import ModelConfig, Profile
from nfig.export.contract import BATCH_SIZES, CONTRACTS

MANIFEST = "manifest.json"
CARD = "model.json"


def export_model(
    checkpoint_dir: Path, repository_dir: Path, *, profile: Profile | None = None
) -> Path:
    """Exports a checkpoint folder into a model repository; returns the path of the model card.

    In another profile than the checkpoint's own (nfig.profile), config and digest are others too.
    Raises ValueError if either is not what it should be; nothing has been written then.
    """
    model = checkpoint.load(checkpoint_dir)
    config = replace(model.config, profile=profile or model.config.profile)
    for contract in CONTRACTS:
        if not (repository_dir / contract.name / "config.pbtxt").is_file():
            raise ValueError(
                f"{repository_dir} is not a model repository: no {contract.name}/config.pbtxt"
            )
    card = repository_dir / CARD
    card.unlink(missing_ok=True)
    digests = {
        _export_files(checkpoint_dir, repository_dir / contract.name / "1", config)
        for contract in CONTRACTS
    }
    _write(card, card_fields(config, digest=digests.pop()))
    return card


def verified_folder(folder: Path) -> Path:
    """The folder itself, if it holds one whole export. Raises ValueError that says why not."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"no whole export in {folder}: run `nfig export`") from None
    for name, digest in manifest["files"].items():
        if not (folder / name).is_file() or _sha256(folder / name) != digest:
            raise ValueError(f"{folder / name} is not what was exported: run `nfig export` again")
    return folder


def card_fields(config: ModelConfig, *, digest: str) -> dict[str, object]:
    """The model card: what a service may know of a model without loading it."""
    tokenizer, sampling = config.tokenizer, config.sampling
    classes = range(config.transformer.num_classes)
    return {
        "id": config.name,
        "digest": digest,
        "image_size": tokenizer.image_size,
        "grid_sides": list(tokenizer.grid_sides),
        "latent_channels": tokenizer.latent_channels,
        "codebook_size": tokenizer.codebook_size,
        "class_names": list(config.class_names) or [str(label) for label in classes],
        "guidance_scale": sampling.guidance_scale,
        "top_k": sampling.top_k,
        "top_p": sampling.top_p,
        "temperature": sampling.temperature,
        "batch_sizes": list(BATCH_SIZES),
    }


def _export_files(checkpoint_dir: Path, folder: Path, config: ModelConfig) -> str:
    """Returns the digest."""
    folder.mkdir(parents=True, exist_ok=True)
    # From here to the new manifest there is no export to serve.
    (folder / MANIFEST).unlink(missing_ok=True)
    for old in folder.glob("*.safetensors"):
        old.unlink()
    for name in (checkpoint.CONFIG, checkpoint.WEIGHTS):
        # Never written in place: a server that runs has the old weights mapped.
        partial = folder / f".{name}.partial"
        shutil.copyfile(checkpoint_dir / name, partial)
        if name == checkpoint.CONFIG:
            _set_config(partial, config)
        os.replace(partial, folder / name)
    files = {name: _sha256(folder / name) for name in (checkpoint.CONFIG, checkpoint.WEIGHTS)}
    digest = checkpoint.digest(folder)
    _write(folder / MANIFEST, {"digest": digest, "files": files})
    return digest


def _set_config(file: Path, config: ModelConfig) -> None:
    # Byte for byte as it was where nothing changes: a digest is of bytes.
    if ModelConfig.from_json(file.read_text(encoding="utf-8")) != config:
        file.write_text(config.to_json(), encoding="utf-8")


def _write(path: Path, values: dict[str, object]) -> None:
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
    os.replace(partial, path)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
