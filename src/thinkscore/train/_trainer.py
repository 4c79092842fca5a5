"""What our trainers do in a way of their own: the order of rows, the optimizer, and what is shown.

AdamW drives all weights, or Muon (K. Jordan, 2024) the hidden matrices: on the lab's models it needs about half of the
steps. The rest is left to the trainers of transformers and TRL.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.utils.data import Sampler
from transformers import PrinterCallback, Trainer

from ._progress import Progress
from ._run import Settings

__all__ = ["MuonAdamW", "OwnTrainer"]


class OwnTrainer(Trainer):
    """A trainer to mix into others, before them."""

    def ready(self, sampler: Sampler[int], settings: Settings, muon_lr: float | None) -> None:
        """Set what is ours, before it trains: with `muon_lr` Muon drives the hidden matrices at that rate."""
        self.sampler, self.settings, self.muon_lr = sampler, settings, muon_lr
        self.remove_callback(PrinterCallback)
        if settings.progress:
            self.add_callback(Progress())

    def _get_train_sampler(self, train_dataset: Any = None) -> Sampler[int]:
        return self.sampler

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        if self.muon_lr and self.optimizer is None:
            self.optimizer: Any = MuonAdamW(self.model, self.settings, self.muon_lr)
        made: torch.optim.Optimizer = super().create_optimizer(model)
        return made

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        Trainer._save_checkpoint(self, model, trial)  # TRL's writes a model card as well


class MuonAdamW(torch.optim.Optimizer):
    """Muon for hidden matrices, AdamW for embeddings, norms and heads, as one optimizer."""

    def __init__(self, model: torch.nn.Module, settings: Settings, muon_lr: float) -> None:
        given = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
        ends = ("embed", "head", "score")
        hidden = [p for name, p in given if p.ndim == 2 and not any(end in name for end in ends)]
        known = {id(p) for p in hidden}
        other = [p for _, p in given if id(p) not in known]
        decay = settings.weight_decay
        self.parts: list[torch.optim.Optimizer] = [torch.optim.Muon(hidden, lr=muon_lr, weight_decay=decay)]
        if other:
            self.parts.append(
                torch.optim.AdamW(other, lr=settings.learning_rate, weight_decay=decay, betas=settings.betas)
            )
        super().__init__(self._groups(), {})

    def _groups(self) -> list[dict[str, Any]]:
        """Return the groups of the parts themselves, so that a scheduler that sets a rate here sets it there."""
        return [group for part in self.parts for group in part.param_groups]

    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        loss = closure() if closure is not None else None
        for part in self.parts:
            part.step()
        return loss

    def state_dict(self) -> dict[str, Any]:
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        for part, state in zip(self.parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)
        self.param_groups = self._groups()  # a part that loads makes new ones
