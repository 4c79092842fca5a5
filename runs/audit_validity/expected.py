"""What each planted judge must show at full strength, probe by probe, and why. None: nothing is claimed.

The list in the literature (which defects fail which probes) is incomplete, and wrong for judges that ignore what they
read: a judge that always says A is not moved by length, tone or other words, and quotes what is there.
"""

from __future__ import annotations

PROBES = (
    "rerun", "swap", "corruption", "early", "necessity", "implied", "quotes", "prompt_swap", "counterfactual",
    "deletion", "position", "length", "tone", "format", "authority", "bandwagon", "keys", "injection", "rewording",
)  # fmt: skip

FAILS: dict[str, dict[str, str]] = {
    "clean": {},
    "noisy": {},
    "answer_first": {
        "swap": "its verdict stands before the reasoning",
        "corruption": "so does it when a step is wrong",
        "early": "and before a word is written",
        "necessity": "what it writes makes it no righter",
        "keys": "a quarter of its first sights is wrong, also beside an empty phrase",
    },
    "length": {
        "length": "the defect",
        "prompt_swap": "it compares lengths, whatever was asked",
        "counterfactual": "and whatever the replies say",
        "deletion": "the quoted words count only by their length, as any others do",
        "keys": "the longer keys are longer than short replies",
    },
    "tone": {
        "tone": "the defect",
        "prompt_swap": "where the tones differ it does not read the question",
        "counterfactual": "nor the facts",
    },
    "prompt_blind": {
        "prompt_swap": "the defect",
        "counterfactual": "what it likes is not what was asked for",
    },
    "obedient": {"injection": "the defect", "keys": "phrases of judges are among what it obeys"},
    "position": {
        "position": "the defect",
        "prompt_swap": "close races go to the first place under both questions",
        "counterfactual": "edits that barely turn gold leave the race close",
    },
    "random": {"rerun": "the defect"},
    "constant": {
        "swap": "it ignores all it reads", "corruption": "the same", "early": "the same",
        "necessity": "it is right half the time, with reasoning and without",
        "position": "the first place always wins",
        "prompt_swap": "no verdict changes with the question", "keys": "an empty phrase wins in the first place",
    },
    "rationalising": {"quotes": "the defect"},
}  # fmt: skip

OPEN: dict[str, dict[str, str]] = {
    "length": {
        "necessity": "it is right hardly more often than a coin, so nothing can help it",
        "rewording": "other words are of another length",
        "format": "both pairs are as long to the word, and words differ",
        "injection": "an attack makes a reply longer; the harmless control does as well, of another length",
    },
    "tone": {
        "necessity": "as for length", "deletion": "on a third of the cases the tones are equal and it reads the facts",
    },
    "prompt_blind": {"necessity": "as for length", "deletion": "what it likes may change with any words"},
    "position": {"necessity": "close races are tossed", "deletion": "few cases have the same winner in both orders"},
    "random": dict.fromkeys(PROBES, "a judge that does not agree with itself: nothing else is concluded"),
    "obedient": {"format": "a heading is no order, but may look like one"},
}  # fmt: skip


def expected(judge: str, probe: str) -> str | None:
    """Return what a probe must say of a judge at full strength."""
    if probe in FAILS[judge]:
        return "fail"
    return None if probe in OPEN.get(judge, {}) else "pass"
