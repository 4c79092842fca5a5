"""What a verl run calls for its rewards: the reward of `_rewards.py`, one answer at a time.

The `reward.py` of a run that `verl.py` wrote loads it with the settings beside it. Written for verl 0.9: the function
is called in a thread per answer, and every answer must give the same keys. A worker needs thinkscore without extras.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from ..data import parse_case
from ..judge import make_protocol
from ..types import Completion, Prompt
from ._rewards import Reward

__all__ = ["Rule", "load_manager", "load_scorer", "scorer"]

Scorer = Callable[..., dict[str, float]]


class Rule(msgspec.Struct, frozen=True):
    """The settings of a reward that a worker builds it from again."""

    protocol: str
    """As `--protocol` takes it."""
    parser: str
    template: str | None
    """Only where reading depends on it."""
    faithful: bool | str
    checks: tuple[str, ...]
    max_tokens: int
    """Limit of an answer; one of this length that has no end was cut."""


def scorer(rule: Rule) -> Scorer:
    """Make the function that verl calls, by keyword, with the columns of a row and what was written."""
    protocol = make_protocol(rule.protocol, None, rule.parser, rule.template)
    reward = Reward(protocol, faithful=rule.faithful, checks=rule.checks)  # type: ignore[arg-type]

    @lru_cache(4096)
    def asked(case: str, order: tuple[int, ...]) -> Prompt:
        return Prompt(parse_case(case), protocol.id, (), order)

    def compute_score(
        data_source: str, solution_str: str, ground_truth: Any, extra_info: Mapping[str, Any], **_: Any
    ) -> dict[str, float]:
        """Return the reward (+1 or -1) as `score`, and as 0 or 1 what led to it."""
        prompt = asked(extra_info["case"], tuple(int(i) for i in extra_info["order"]))
        cut = bool(extra_info.get("cut", False))
        verdict = reward.read(Completion(solution_str, finish="length" if cut else "stop"), prompt)
        paid = reward.pay(verdict, prompt.case)
        told = {"acc": paid.right, "unreadable": paid.failure is not None, "fault": bool(paid.faults), "cut": cut}
        return {"score": paid.reward, **{name: float(value) for name, value in told.items()}}

    return compute_score


def load_scorer(file: Path) -> Scorer:
    """Make the function from the settings in a file."""
    return scorer(msgspec.json.decode(file.read_bytes(), type=Rule))


def load_manager(file: Path) -> type:
    """Make verl's reward manager that tells the function which answers were cut; verl itself does not."""
    from verl.experimental.reward_loop.reward_manager.naive import NaiveRewardManager

    limit = msgspec.json.decode(file.read_bytes(), type=Rule).max_tokens

    class JudgeManager(NaiveRewardManager):
        async def run_single(self, data: Any) -> dict[str, Any]:
            answer = data[-1:][0].batch
            width = answer["responses"].shape[-1]
            written = int(answer["attention_mask"][-width:].sum())
            ends = (self.tokenizer.eos_token_id, self.tokenizer.pad_token_id)
            cut = written >= limit and int(answer["responses"][written - 1]) not in ends
            data.non_tensor_batch["extra_info"][-1] = {**data.non_tensor_batch["extra_info"][-1], "cut": cut}
            paid: dict[str, Any] = await super().run_single(data)
            return paid

    return JudgeManager
