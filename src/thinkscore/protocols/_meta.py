"""What a meta reward model reads: a case as it was judged, and then the judge's trace; its one number ranks traces.

Source: the meta RM of DeepSeek-GRM (SPCT, arXiv 2504.02495, section 4.2 and appendix G): a scalar head reads context,
candidates, and principles and critique as the answering turn. Theirs are shown in a plainer prompt than the judge's,
to fit the model: that is the form "plain" here, in our wording. The form "prompt" keeps the judge's own prompt, so
that a model which starts from the judge reads what it knows.
"""

from __future__ import annotations

from typing import Literal, get_args

from ..errors import BadInput
from ..types import Completion, Message, Prompt
from ._text import block, guarded, question_block

__all__ = ["Form", "conversation", "form_of", "trace_text"]

Form = Literal["prompt", "plain"]
"""Shown before the trace: the judge's own prompt, or only conversation and candidates."""

_TASK = "How good is the judgment of these responses that follows?"


def conversation(prompt: Prompt, text: str, form: Form = "prompt") -> tuple[Message, ...]:
    """Return what a scalar head reads of one trace: candidates stand in the order in which the judge saw them."""
    said = Message("assistant", text)
    if form == "prompt":
        return (*prompt.messages, said)
    shown = [
        block(f"response_{place}", guarded(prompt.case.candidates[i], "escape"))
        for place, i in enumerate(prompt.order, start=1)
    ]
    return Message("user", "\n\n".join([_TASK, question_block(prompt.case, "escape"), *shown])), said


def form_of(name: str) -> Form:
    """Check the name of a form. Raises `BadInput`."""
    for form in get_args(Form):
        if name == form:
            return form  # type: ignore[no-any-return]
    raise BadInput(f"the form of a meta reward model is prompt (the judge's own) or plain; got {name!r}")


def trace_text(completion: Completion) -> str:
    """Return the trace as one text: thinking that the engine reports apart stands in front, in think tags."""
    return completion.whole()
