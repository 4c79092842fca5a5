"""How a training is going: what matters of TRL's metrics, as a bar on a terminal and as lines elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from tqdm import tqdm
from transformers import TrainerCallback

__all__ = ["Progress", "ends", "silent"]

SHOWN = {
    "loss": "loss",
    "reward": "reward",
    "reward_drawn": "reward",
    "eval_judge/right": "held-out",
    "held_out_accuracy": "held-out",
    "held_out_auc": "AUC",
    "held_out_auc_within": "within cases",
    "completions/mean_length": "tokens",
    "kl": "KL",
    "frac_reward_zero_std": "no signal",
    "zero_variance/drawn": "no signal",
}
"""Metric -> what it is called; in RL the loss says nothing and is left out."""
LINES = 20
"""So many lines where there is no terminal."""


class Progress(TrainerCallback):
    """Shows the latest metrics on standard error."""

    def __init__(self) -> None:
        self.bar: Any = None
        self.latest: dict[str, str] = {}
        self.told = 0

    def on_train_begin(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        if state.is_world_process_zero and state.global_step:
            print(f"goes on after update {state.global_step} of {state.max_steps}", file=sys.stderr, flush=True)
        if state.is_world_process_zero and sys.stderr.isatty():
            self.bar = tqdm(total=state.max_steps, initial=state.global_step, unit="update", dynamic_ncols=True)

    def on_step_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        if self.bar is not None:
            self.bar.update(state.global_step - self.bar.n)

    def on_log(self, args: Any, state: Any, control: Any, logs: Mapping[str, Any] | None = None, **more: Any) -> None:
        if not (logs and state.is_world_process_zero):
            return
        said = _said(logs)
        self.latest |= {name: f"{value:.3g}" for name, value in said.items()}
        if self.bar is not None:
            self.bar.set_postfix(self.latest)
        elif "held-out" in said or (said and self._due(state)):
            self.told = state.global_step
            line = ", ".join(f"{name} {value}" for name, value in self.latest.items())
            print(f"update {state.global_step} of {state.max_steps}: {line}", file=sys.stderr, flush=True)

    def _due(self, state: Any) -> bool:
        """Tell whether it is time for a line."""
        late = state.global_step - self.told >= state.max_steps / LINES
        return bool(late or state.global_step == state.max_steps)

    def on_train_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        if self.bar is not None:
            self.bar.close()


def _said(logs: Mapping[str, Any]) -> dict[str, float]:
    # Of a batch that was refilled the first draw tells how good the judge is.
    later = {"reward", "frac_reward_zero_std"} if "reward_drawn" in logs else set()
    known = {name: value for name, value in logs.items() if name not in later}
    said = {SHOWN[name]: value for name, value in known.items() if name in SHOWN and value is not None}
    return {name: value for name, value in said.items() if name != "loss" or "reward" not in said}


def silent(rows: list[dict[str, Any]]) -> bool:
    """Tell whether no update of a reinforcement learning had a signal, so that nothing can have been learned."""
    shares = [row["frac_reward_zero_std"] for row in rows if "frac_reward_zero_std" in row]
    return bool(shares) and min(shares) == 1


def ends(rows: list[dict[str, Any]]) -> dict[str, tuple[float, float]]:
    """Return what each metric was at first and at last, by what it is called."""
    found: dict[str, tuple[float, float]] = {}
    for row in rows:
        for name, value in _said(row).items():
            found[name] = (found.get(name, (value, value))[0], value)
    return found
