"""Whole trainings by name: from data and config to a checkpoint, resumable at any time.

A run is published from its averaged weights, at its end or at any saved state before.
"""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from nfig import checkpoint
from nfig.config import ModelConfig
from nfig.data import HELD_OUT_PER_CLASS, LabelledImages
from nfig.model import NFIGModel
from nfig.tokenizer import FRVAE
from nfig.tokenizer.dinov2 import DinoWeights, read_dinov2
from nfig.tokenizer.vit import ViTEncoder
from nfig.training import processes
from nfig.training.card import read_recipe, write_card
from nfig.training.decoder_trainer import DecoderTask
from nfig.training.devices import device_named
from nfig.training.loop import TrainingResult, train
from nfig.training.options import TrainingOptions
from nfig.training.preview_trainer import PreviewTask
from nfig.training.reporting import Reporter
from nfig.training.run_folder import RunFolder
from nfig.training.schedule import Shares
from nfig.training.terms import LossTerms
from nfig.training.tokenizer_trainer import TokenizerTask
from nfig.training.transformer_trainer import TransformerTask, assemble
from nfig.transformer import NextFrequencyTransformer

TOKENIZER_FOLDER = "tokenizer"
"""Inside a transformer's run: the checkpoint whose tokens it predicts."""
MODEL_FOLDER = "model"
"""Inside a decoder's run, or a preview decoder's: the checkpoint that gets it."""
CACHED_IMAGES = "tokens.pt"


def train_tokenizer(  # noqa: PLR0913 - all but two are keywords
    config: ModelConfig,
    data: LabelledImages,
    *,
    run: RunFolder,
    options: TrainingOptions,
    reporter: Reporter,
    start_from: Path | None = None,
    held_out: int = HELD_OUT_PER_CLASS,
    attribution: str = "",
    terms: LossTerms | None = None,
    encoder_weights: Path | None = None,
) -> TrainingResult:
    """Begins or resumes the run; `start_from` is a checkpoint whose tokenizer is trained further,
    `encoder_weights` a file of DINOv2's, which makes the encoder a vision transformer.

    Raises ValueError if data and config do not fit, or the run is another training.
    """
    _check_data(config, data)
    device = device_named(options.device)
    dino = _dino(encoder_weights, start_from)
    if dino is not None:
        config = dataclasses.replace(config, tokenizer=dino.encoder_of(config.tokenizer))
    config = dataclasses.replace(config, class_names=data.class_names)
    training, rest = _split(data, held_out, options)
    recipe = {} if start_from is None else read_recipe(start_from)
    tokenizer = _first_tokenizer(config, start_from, dino, seed=options.seed)
    with processes.main_first():
        facts = _facts("tokenizer", config, data, options, recipe, attribution)
        facts["options"].update(terms.changed() if terms else {})
        if dino is not None:
            facts["options"]["encoder_weights"] = dino.digest
        run.begin(facts)
    task = TokenizerTask(
        tokenizer.to(device),
        training=training,
        held_out=rest,
        autocast=options.autocast,
        learnt_codebook=start_from is not None,
        accumulate=options.accumulate,
        terms=terms,
    )
    return train(task, options, run, reporter)


def train_transformer(  # noqa: PLR0913 - all but two are keywords
    config: ModelConfig,
    data: LabelledImages,
    *,
    tokenizer_from: Path,
    run: RunFolder,
    options: TrainingOptions,
    reporter: Reporter,
    further: bool = False,
    self_correction: float = 0.0,
    held_out: int = HELD_OUT_PER_CLASS,
    attribution: str = "",
    compiled: bool = False,
) -> TrainingResult:
    """Begins or resumes the run; the tokenizer's config is that of its checkpoint. `further`: the
    transformer that the checkpoint has is trained on, in place of a new one. `self_correction`: the
    largest share of an image's tokens that are mistakes of its own (nfig.training.self_correction).

    Raises ValueError if the parts do not fit, or the run is another training.
    """
    if not 0 <= self_correction <= 1:
        raise ValueError(f"self_correction must be from 0 to 1: {self_correction}")
    tokenizer_config, tokenizer = checkpoint.load_tokenizer(tokenizer_from)
    config = dataclasses.replace(
        config, tokenizer=tokenizer_config.tokenizer, class_names=data.class_names
    )
    _check_data(config, data)
    device = device_named(options.device)
    training, rest = _split(data, held_out, options)
    recipe = read_recipe(tokenizer_from)
    facts = _facts("transformer", config, data, options, recipe, attribution)
    chosen = {"further": further, "self_correction": self_correction}
    facts["options"].update({name: value for name, value in chosen.items() if value})
    with processes.main_first():
        run.begin({**facts, "tokenizer_digest": checkpoint.digest(tokenizer_from)})
        _keep(tokenizer_from, run.path / TOKENIZER_FOLDER)
    torch.manual_seed(options.seed)
    model = NFIGModel(config)
    model.tokenizer.load_state_dict(tokenizer.state_dict())
    model.tokenizer.eval().requires_grad_(False)
    if further:
        model.transformer.load_state_dict(_first_transformer(config, tokenizer_from).state_dict())
    task = TransformerTask(
        model.to(device),
        training=training,
        held_out=rest,
        autocast=options.autocast,
        token_cache=run.path / CACHED_IMAGES,
        self_correction=self_correction,
        compiled=compiled,
    )
    with _rough_products(options.autocast):
        return train(task, options, run, reporter)


def train_decoder(
    data: LabelledImages,
    *,
    model_from: Path,
    run: RunFolder,
    options: TrainingOptions,
    reporter: Reporter,
    palette_size: int | None = None,
    held_out: int = HELD_OUT_PER_CLASS,
    attribution: str = "",
) -> TrainingResult:
    """Begins or resumes the run, which gives the checkpoint `model_from` a decoder that draws
    sharper; its tokens stay as they are. With another `palette_size` the decoder is a new one that
    starts from what fits of the old.

    Raises ValueError if data and checkpoint do not fit, or the run is another training.
    """
    model = checkpoint.load(model_from)
    if palette_size is not None:
        torch.manual_seed(options.seed)
        model = _with_options(model, palette_size=palette_size)
    _check_data(model.config, data)
    device = device_named(options.device)
    training, rest = _split(data, held_out, options)
    recipe = read_recipe(model_from)
    facts = _facts("decoder", model.config, data, options, recipe, attribution)
    with processes.main_first():
        run.begin({**facts, "model_digest": checkpoint.digest(model_from)})
        _keep(model_from, run.path / MODEL_FOLDER)
    torch.manual_seed(options.seed)
    task = DecoderTask(
        model.tokenizer.to(device),
        training=training,
        held_out=rest,
        autocast=options.autocast,
        token_cache=run.path / CACHED_IMAGES,
        accumulate=options.accumulate,
    )
    return train(task, options, run, reporter)


def train_preview_decoder(
    data: LabelledImages,
    *,
    model_from: Path,
    channels: int,
    run: RunFolder,
    options: TrainingOptions,
    reporter: Reporter,
    held_out: int = HELD_OUT_PER_CLASS,
    attribution: str = "",
) -> TrainingResult:
    """Begins or resumes the run, which gives the checkpoint `model_from` a light decoder of
    previews, or trains the one of that width that it has; all else stays as it is.

    Raises ValueError if data and checkpoint do not fit, or the run is another training.
    """
    if channels < 1:
        raise ValueError(f"channels must be a multiple of 4: {channels}")
    torch.manual_seed(options.seed)
    model = _with_options(checkpoint.load(model_from), preview_channels=channels)
    _check_data(model.config, data)
    training, rest = _split(data, held_out, options)
    recipe = read_recipe(model_from)
    facts = _facts("preview decoder", model.config, data, options, recipe, attribution)
    with processes.main_first():
        run.begin({**facts, "model_digest": checkpoint.digest(model_from)})
        _keep(model_from, run.path / MODEL_FOLDER)
    task = PreviewTask(
        model.tokenizer,
        training=training,
        held_out=rest,
        autocast=options.autocast,
        token_cache=run.path / CACHED_IMAGES,
    )
    return train(task, options, run, reporter)


def publish(run: RunFolder, folder: Path) -> str:
    """Writes the run's averaged weights, as last saved, as a checkpoint; returns its digest.

    A tokenizer's run gives a checkpoint with a tokenizer alone. Raises ValueError if the run has
    saved nothing yet.
    """
    facts = run.facts()
    state = run.load_state()
    if state is None:
        raise ValueError(f"run: {run.path} has no saved state yet")
    config = ModelConfig.from_dict(facts["config"])
    if facts["kind"] == "tokenizer":
        tokenizer = FRVAE(config.tokenizer)
        tokenizer.load_state_dict(state["averaged"])
        checkpoint.save_tokenizer(config, tokenizer, folder)
    elif facts["kind"] == "decoder":
        model = checkpoint.load(run.path / MODEL_FOLDER)
        model = _with_options(model, palette_size=config.tokenizer.palette_size)
        model.tokenizer.decoder.load_state_dict(state["averaged"])
        checkpoint.save(model, folder)
    elif facts["kind"] == "preview decoder":
        model = checkpoint.load(run.path / MODEL_FOLDER)
        model = _with_options(model, preview_channels=config.tokenizer.preview_channels)
        assert model.tokenizer.preview_decoder is not None
        model.tokenizer.preview_decoder.load_state_dict(state["averaged"])
        checkpoint.save(model, folder)
    else:
        transformer = NextFrequencyTransformer(config.transformer, config.tokenizer)
        transformer.load_state_dict(state["averaged"])
        _, tokenizer = checkpoint.load_tokenizer(run.path / TOKENIZER_FOLDER)
        checkpoint.save(assemble(config, tokenizer, transformer), folder)
    write_card(folder, run, step=state["step"], seconds=state["seconds"])
    return checkpoint.digest(folder)


def _keep(source: Path, folder: Path) -> None:
    """Copies a checkpoint into a run, so that it can be resumed and published by itself."""
    if not folder.exists():
        shutil.copytree(source, folder)


def _with_options(model: NFIGModel, **options: Any) -> NFIGModel:
    """The model with these options of its tokenizer, which keeps the weights that fit."""
    tokenizer_config = dataclasses.replace(model.config.tokenizer, **options)
    if tokenizer_config == model.config.tokenizer:
        return model
    changed = NFIGModel(dataclasses.replace(model.config, tokenizer=tokenizer_config))
    weights = changed.state_dict()
    kept = {
        name: weight
        for name, weight in model.state_dict().items()
        if name in weights and weight.shape == weights[name].shape
    }
    changed.load_state_dict({**weights, **kept})
    return changed


def _dino(file: Path | None, start_from: Path | None) -> DinoWeights | None:
    if file is not None and start_from is not None:
        raise ValueError("encoder_weights: the tokenizer of start_from has an encoder already")
    return None if file is None else read_dinov2(file)


def _first_tokenizer(
    config: ModelConfig, start_from: Path | None, dino: DinoWeights | None, *, seed: int
) -> FRVAE:
    if start_from is None:
        torch.manual_seed(seed)
        tokenizer = FRVAE(config.tokenizer)
        if dino is not None:
            assert isinstance(tokenizer.encoder, ViTEncoder)
            dino.fill(tokenizer.encoder)
        return tokenizer
    started_config, tokenizer = checkpoint.load_tokenizer(start_from)
    started, tokenizer.preview_decoder = started_config.tokenizer, None
    if dataclasses.replace(started, preview_channels=0) != config.tokenizer:
        raise ValueError(f"start_from: {start_from} has a tokenizer of another config")
    return tokenizer.train().requires_grad_(True)


def _first_transformer(config: ModelConfig, folder: Path) -> NextFrequencyTransformer:
    started = checkpoint.load(folder)
    if started.config.transformer != config.transformer:
        raise ValueError(f"further: the transformer of {folder} has another config")
    return started.transformer


@contextmanager
def _rough_products(wanted: bool) -> Iterator[None]:
    """Rounds what float32 matrix products multiply: autocast leaves the head, a quarter of all."""
    before = torch.get_float32_matmul_precision()
    if wanted:
        torch.set_float32_matmul_precision("medium")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def _check_data(config: ModelConfig, data: LabelledImages) -> None:
    if data.image_size != config.tokenizer.image_size:
        raise ValueError(
            f"data: images are {data.image_size} pixels wide, "
            f"the model draws {config.tokenizer.image_size}"
        )
    if len(data.class_names) != config.transformer.num_classes:
        raise ValueError(
            f"data: {len(data.class_names)} classes, the model has {config.transformer.num_classes}"
        )


def _split(
    data: LabelledImages, held_out: int, options: TrainingOptions
) -> tuple[LabelledImages, LabelledImages]:
    """As `LabelledImages.split`. Raises ValueError if batches of this size cannot be shared."""
    training, rest = data.split(held_out)
    Shares(options, num_examples=len(training))
    return training, rest


def _facts(
    kind: str,
    config: ModelConfig,
    data: LabelledImages,
    options: TrainingOptions,
    recipe: dict[str, Any],
    attribution: str,
) -> dict[str, Any]:
    """Of a run, as plain JSON values."""
    plain_options = dataclasses.asdict(options)
    plain_options["betas"] = list(options.betas)
    del plain_options["device"]
    for name, default in (("accumulate", 1), ("optimizer", "adamw")):
        if plain_options[name] == default:
            # Younger than the first runs, which must not be taken for other trainings.
            del plain_options[name]
    return {
        "kind": kind,
        "config": config.to_dict(),
        "options": plain_options,
        "data": {"digest": data.digest, "images": len(data)},
        "attribution": attribution,
        "recipe_so_far": recipe,
    }
