"""One line that tells how a training is going: what matters of TRL's metrics, as they come."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tqdm import tqdm
from transformers import TrainerCallback

__all__ = ["Progress"]

SHOWN = {
    "loss": "loss",
    "reward": "reward",
    "reward_drawn": "reward",
    "eval_judge/right": "held-out",
    "eval_accuracy": "held-out",
    "held_out_accuracy": "held-out",
    "held_out_auc": "AUC",
    "held_out_auc_within": "within cases",
    "completions/mean_length": "tokens",
    "kl": "KL",
    "zero_variance/drawn": "no signal",
}
"""Metric -> what the line calls it; in RL the loss says nothing and is left out."""


class Progress(TrainerCallback):
    """Shows a bar with the latest metrics on standard error."""

    def __init__(self) -> None:
        self.bar: Any = None
        self.latest: dict[str, str] = {}

    def on_train_begin(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        if state.is_world_process_zero:
            self.bar = tqdm(total=state.max_steps, initial=state.global_step, unit="update", dynamic_ncols=True)

    def on_step_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        if self.bar is not None:
            self.bar.update(state.global_step - self.bar.n)

    def on_log(self, args: Any, state: Any, control: Any, logs: Mapping[str, Any] | None = None, **more: Any) -> None:
        if self.bar is None or not logs:
            return
        said = {SHOWN[name]: value for name, value in logs.items() if name in SHOWN and value is not None}
        if "reward" in said:
            said.pop("loss", None)
        self.latest |= {name: f"{value:.3g}" for name, value in said.items()}
        self.bar.set_postfix(self.latest)

    def on_train_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        if self.bar is not None:
            self.bar.close()
