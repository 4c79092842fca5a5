"""Training recipes, one readable file each, and the rewards, for TRL's own trainers too; recipes need torch."""

from ._rewards import Paid, Reward, consistent, reward_function

__all__ = ["Paid", "Reward", "consistent", "reward_function"]
