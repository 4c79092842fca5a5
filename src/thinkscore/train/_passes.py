"""Forward passes over rollouts: rows of like length together, and a prompt read once for all of its completions.

A group of G completions shares its prompt, which is most of a judge's tokens. The keys and values of all but its last
token are worked out once and handed to each row; gradients flow back through them, so that nothing changes but the
work. Exact for models whose layers all attend to everything before them.

Axes: B rows, W columns (prompt, padded on the left, then completion, padded on the right), P prompt columns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch

__all__ = ["after_prompts", "can_share", "passes", "together"]


def can_share(model: Any) -> bool:
    """Tell whether all that a model keeps of a prompt is keys and values, one for each token."""
    config = model.config.get_text_config()
    layers = getattr(config, "layer_types", None) or ["full_attention"]
    windowed = getattr(config, "sliding_window", None) and getattr(config, "use_sliding_window", True)
    return set(layers) == {"full_attention"} and not windowed and not getattr(model, "_is_stateful", False)


def together(ids_BP: Any, widths_B: Any) -> Any:
    """Return each row's length (B) as that of the longest row with its prompt: sorted by it, a group stays together."""
    _, group_B = torch.unique(ids_BP, dim=0, return_inverse=True)
    longest = torch.zeros(int(group_B.max()) + 1, dtype=widths_B.dtype, device=widths_B.device)
    return longest.scatter_reduce(0, group_B, widths_B, "amax")[group_B]


def passes(places: Any, widths_B: Any, most: int) -> Iterator[Any]:
    """Cut places, shortest row first, into passes of about `most` tokens."""
    start = 0
    for end in range(1, len(places) + 1):
        if end == len(places) or (end + 1 - start) * int(widths_B[places[end]]) > most:
            yield places[start:end]
            start = end


def after_prompts(model: Any, ids_BW: Any, mask_BW: Any, prompt: int) -> Callable[..., Any] | None:
    """Read each prompt once but for its last token; None if every row has its own.

    `prompt` is P. Returns the model as it is called with what is left: W - P + 1 columns of ids and mask.
    """
    before = prompt - 1
    both = torch.cat([ids_BW[:, :before], mask_BW[:, :before]], 1)
    prompts, row_B = torch.unique(both, dim=0, return_inverse=True)
    if len(prompts) == len(row_B) or not before:
        return None
    ids, mask = prompts.split(before, 1)
    cache = model(input_ids=ids, attention_mask=mask, use_cache=True, logits_to_keep=1).past_key_values
    cache.batch_select_indices(row_B)

    def go_on(attention_mask: Any, **inputs: Any) -> Any:
        return model(attention_mask=mask_BW, past_key_values=cache, **inputs)

    return go_on
