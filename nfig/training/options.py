"""How a training goes: sizes, rates and when it ends."""

from __future__ import annotations

from dataclasses import dataclass

DEVICES = ("cpu", "cuda", "auto")
OPTIMIZERS = ("adamw", "muon")


@dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """Raises ValueError that names the bad field.

    Paper: Adam, rate 8e-5, batches of 768, 350 epochs. The defaults, AdamW and a cosine, are for
    small models and for minutes or hours.
    """

    epochs: float | None = None
    """Times to see the data. Either this or `minutes`."""
    minutes: float | None = None
    """Time of training, over all its resumed parts. Either this or `epochs`."""
    batch_size: int = 64
    """Images that are in memory at once, over all processes."""
    accumulate: int = 1
    """Batches whose mean gradient makes one step; a step sees `images_per_step`."""
    optimizer: str = "adamw"
    """Or "muon", for transformers (nfig.training.optimizers)."""
    learning_rate: float = 1e-3
    """At the peak, after warming up."""
    final_learning_rate: float = 0.02
    """Share of the peak that is left at the end of the cosine."""
    warmup_steps: int = 100
    betas: tuple[float, float] = (0.9, 0.95)
    weight_decay: float = 0.05
    """For matrices and convolutions; biases, gains and embeddings have none."""
    clip_norm: float = 1.0
    """Largest norm of a step's gradient."""
    ema_decay: float = 0.999
    """Of the averaged weights, which are those that are kept."""
    autocast: bool = True
    """Compute in bfloat16 where that is safe."""
    seed: int = 0
    device: str = "cpu"
    """Or "cuda", or "auto" (nfig.training.devices). A run may be resumed on another one."""
    checkpoint_minutes: float = 2.0
    """Between saved states."""
    evaluate_minutes: float = 10.0
    """Between evaluations, each with a picture."""

    def __post_init__(self) -> None:
        if (self.epochs is None) == (self.minutes is None):
            raise ValueError("give either epochs or minutes")
        if self.device not in DEVICES:
            raise ValueError(f"device must be one of {', '.join(DEVICES)}: {self.device!r}")
        if self.optimizer not in OPTIMIZERS:
            raise ValueError(
                f"optimizer must be one of {', '.join(OPTIMIZERS)}: {self.optimizer!r}"
            )
        positive = ("epochs", "minutes", "batch_size", "accumulate", "learning_rate", "clip_norm")
        for name in positive:
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name} must be above 0: {value}")
        for name in ("final_learning_rate", "ema_decay"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be from 0 to 1: {getattr(self, name)}")
        for name in ("weight_decay", "warmup_steps", "checkpoint_minutes", "evaluate_minutes"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative: {getattr(self, name)}")

    @property
    def images_per_step(self) -> int:
        return self.batch_size * self.accumulate
