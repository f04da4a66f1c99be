"""The card of a checkpoint: what it was trained on, how, for how long, and how well it does.

`training.json` holds the facts, one entry per training in order; `README.md` is written from it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from nfig import checkpoint
from nfig.config import ModelConfig, TokenizerConfig
from nfig.training.run_folder import RunFolder

RECIPE = "training.json"


def read_recipe(folder: Path) -> dict[str, Any]:
    """The facts kept beside a checkpoint, empty if there are none."""
    file = folder / RECIPE
    if not file.exists():
        return {}
    recipe: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return recipe


def write_card(folder: Path, run: RunFolder, *, step: int, seconds: float) -> None:
    """Adds the run to the facts of the trainings before it and writes the card anew."""
    facts = run.facts()
    trainings = list(facts["recipe_so_far"].get("trainings", []))
    trainings.append(
        {
            "kind": facts["kind"],
            "steps": step,
            "hours": round(seconds / 3600, 2),
            "options": facts["options"],
            "images": facts["data"]["images"],
            "data_digest": facts["data"]["digest"],
            "held_out": _last_held_out(run.records(), step=step),
        }
    )
    recipe = {"trainings": trainings, "attribution": facts["attribution"]}
    (folder / RECIPE).write_text(json.dumps(recipe, indent=2) + "\n", encoding="utf-8")
    config = ModelConfig.from_dict(facts["config"])
    digest = checkpoint.digest(folder)
    (folder / checkpoint.CARD).write_text(_card(config, recipe, digest), encoding="utf-8")


def _last_held_out(records: list[dict[str, Any]], *, step: int) -> dict[str, Any]:
    found = [r for r in records if "held_out" in r and r["step"] <= step]
    return {"step": found[-1]["step"], **found[-1]["held_out"]} if found else {}


def _card(config: ModelConfig, recipe: dict[str, Any], digest: str) -> str:
    tokenizer, transformer, sampling = config.tokenizer, config.transformer, config.sampling
    grid_sides = ", ".join(str(side) for side in tokenizer.grid_sides)
    lines = [
        f"# {config.name}",
        "",
        f"Draws {tokenizer.image_size} x {tokenizer.image_size} RGB images of "
        f"{transformer.num_classes} classes, from low to high frequency.",
        "",
        f"- Digest (SHA-256 over config and weights): `{digest}`",
        f"- Tokenizer: {tokenizer.num_bands} bands with grid sides {grid_sides} "
        f"({tokenizer.num_tokens} tokens), {tokenizer.codebook_size} codes "
        f"of {tokenizer.latent_channels} channels, {_cut(tokenizer)}",
        f"- Transformer: depth {transformer.depth}, width {transformer.width}, "
        f"{transformer.num_heads} heads",
        f"- Defaults of sampling: guidance {sampling.guidance_scale}, top-k {sampling.top_k}, "
        f"top-p {sampling.top_p}, temperature {sampling.temperature}",
        f"- Classes: {', '.join(config.class_names)}",
        "- Weights: 16 bit; averages over the last steps",
        "",
        "## Training",
    ]
    for training in recipe["trainings"]:
        lines += ["", *_training_lines(training)]
    if recipe["attribution"]:
        lines += ["", "## Attribution", "", recipe["attribution"].strip()]
    return "\n".join(lines) + "\n"


def _cut(tokenizer: TokenizerConfig) -> str:
    """How the latent is cut into bands."""
    if tokenizer.quantization == "area":
        return "area quantization as in VAR"
    literal = ", literal band edges" if tokenizer.band_edges == "literal" else ""
    return f"basis {tokenizer.basis}{literal}"


def _training_lines(training: dict[str, Any]) -> list[str]:
    options = ", ".join(
        f"{name} {value}" for name, value in training["options"].items() if value is not None
    )
    held_out = ", ".join(f"{name} {value}" for name, value in training["held_out"].items())
    return [
        f"### {training['kind'].capitalize()}",
        "",
        f"- {training['steps']} steps in {training['hours']} hours; {training['images']} images, "
        f"held-out ones included (data digest `{training['data_digest'][:16]}`)",
        f"- Options: {options}",
        f"- Held out: {held_out or 'not measured'}",
    ]
