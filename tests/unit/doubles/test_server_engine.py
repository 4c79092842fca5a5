"""Engines behind the test server: the same samples as without it, log-probabilities, shared batches."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec
import pytest

from thinkscore.doubles.server import Server
from thinkscore.engines._base import Engine
from thinkscore.engines.embedded import Embedded
from thinkscore.judge import make_protocol
from thinkscore.lab import world
from thinkscore.seeds import derive_seed
from thinkscore.types import Completion, Prompt, Sampling, Usage, Winner

CASE = next(iter(world.make(0, "test", 1)))
RM_R1 = make_protocol("rm_r1").render(CASE, (0, 1))
CONTINUED = {"continue_final_message": True, "add_generation_prompt": False}

Reply = tuple[int, Any]
Ask = Callable[..., Awaitable[Reply]]
Talk = Callable[..., Any]
Once = Callable[..., Reply]
Chat = Callable[..., dict[str, Any]]


def messages_of(prompt: Prompt) -> list[dict[str, str]]:
    return [{"role": message.role, "content": message.content} for message in prompt.messages]


def texts(reply: dict[str, Any]) -> list[str]:
    return [choice["message"]["content"] for choice in reply["choices"]]


def embedded(prompts: Sequence[Prompt], use: str = "generate", *args: Any) -> Any:
    async def main() -> Any:
        engine = Embedded()
        await engine.open()
        try:
            return await getattr(engine, use)(prompts, *args)
        finally:
            await engine.close()

    return asyncio.run(main())


def test_choices_of_the_embedded_judge_are_its_own_samples(chat: Chat) -> None:
    fields = {"n": 4, "seed": 11, "temperature": 0.9, "top_p": 0.95, "max_tokens": 40, "logprobs": True}
    reply = chat({"messages": messages_of(RM_R1), **fields}, engine="embedded")
    sampling = Sampling(0.9, 0.95, 40)
    own = embedded(
        [msgspec.structs.replace(RM_R1, sampling=sampling, seed=derive_seed(11, i), sample=i) for i in range(4)]
    )
    assert texts(reply) == [completion.text for completion in own]
    assert [choice["finish_reason"] for choice in reply["choices"]] == [completion.finish for completion in own]
    assert reply["usage"]["prompt_tokens"] == own[0].usage.prompt_tokens
    assert reply["usage"]["completion_tokens"] == sum(completion.usage.completion_tokens for completion in own)
    for choice, completion in zip(reply["choices"], own, strict=True):
        entries = choice["logprobs"]["content"]
        assert tuple(entry["logprob"] for entry in entries) == completion.logprobs


def test_log_probabilities_name_their_tokens_and_rivals(chat: Chat) -> None:
    reply = chat(
        {"messages": messages_of(RM_R1), "seed": 1, "logprobs": True, "top_logprobs": 3, "temperature": 0},
        engine="embedded",
    )
    entries = reply["choices"][0]["logprobs"]["content"]
    assert "".join(entry["token"] for entry in entries[:-1]) == texts(reply)[0]  # the last one ends the text
    for entry in entries:
        assert bytes(entry["bytes"]).decode() == entry["token"]
        assert entry["top_logprobs"][0]["token"] == entry["token"]
        values = [rival["logprob"] for rival in entry["top_logprobs"]]
        assert len(values) == 3
        assert values == sorted(values, reverse=True)
        assert sum(map(math.exp, values)) <= 1 + 1e-9
        assert values[0] == pytest.approx(entry["logprob"], abs=1e-4)


def test_the_log_probability_of_a_continuation_can_be_read_off_the_prompt(chat: Chat) -> None:
    prefill, said = "<type>Chat</type>\n<answer>", "[[A]]</answer>"
    fields = {"prompt_logprobs": 2, "max_tokens": 1, **CONTINUED}
    turns = [*messages_of(RM_R1), {"role": "assistant", "content": prefill + said}]
    tokens = chat({"messages": turns, **fields}, engine="embedded")["prompt_logprobs"]
    before = [*messages_of(RM_R1), {"role": "assistant", "content": prefill}]
    head = len(chat({"messages": before, **fields}, engine="embedded")["prompt_logprobs"])
    assert tokens[0] is None
    chosen = [next(iter(token.values())) for token in tokens[head:]]
    assert "".join(token["decoded_token"] for token in chosen) == said
    own = embedded([msgspec.structs.replace(RM_R1, prefill=prefill)], "logprobs", [said])
    assert sum(token["logprob"] for token in chosen) == pytest.approx(own[0], abs=1e-4)
    for token in tokens[1:]:
        ranks = {entry["rank"]: entry["logprob"] for entry in token.values()}
        assert {1, 2} <= set(ranks)
        assert ranks[1] == max(ranks.values())


def test_the_embedded_judge_carries_a_prefill_on(chat: Chat) -> None:
    prefill = "<type>Reasoning</type>\n<solution>\n"
    messages = [*messages_of(RM_R1), {"role": "assistant", "content": prefill}]
    reply = chat({"messages": messages, "seed": 2, **CONTINUED}, engine="embedded")
    prompt = msgspec.structs.replace(RM_R1, prefill=prefill, seed=derive_seed(2, 0), sampling=Sampling(1.0, 1.0, 300))
    assert prefill + texts(reply)[0] == embedded([prompt])[0].text


def test_what_an_engine_cannot_answer_is_a_bad_request_with_its_reason(once: Once) -> None:
    status, reply = once(engine="embedded")
    assert (status, reply["error"]["type"]) == (400, "BadRequestError")
    assert "lab cases only" in reply["error"]["message"]


class Slow(Engine):
    """Answers one batch at a time and remembers the batches."""

    batch, parallel = 4, 1

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[list[Prompt]] = []
        self.closed = 0

    async def generate(self, prompts: Sequence[Prompt]) -> list[Completion]:
        self.batches.append(list(prompts))
        await asyncio.sleep(0.05)
        return [Completion(f"{prompt.messages[0].content} {prompt.sample}", usage=Usage(1, 5, 2)) for prompt in prompts]

    async def close(self) -> None:
        self.closed += 1


def test_requests_that_wait_share_the_batches_of_any_engine(talk: Talk) -> None:
    engine = Slow()

    async def ask_all(_: Server, ask: Ask) -> list[Reply]:
        names = [[{"role": "user", "content": name}] for name in "abcdefg"]
        return await asyncio.gather(*(ask(messages=messages, n=2) for messages in names))

    replies = talk(ask_all, engine=engine)
    assert [texts(reply) for _, reply in replies] == [[f"{name} 0", f"{name} 1"] for name in "abcdefg"]
    assert len(engine.batches) < 7
    assert max(map(len, engine.batches)) == 4
    assert engine.closed == 1


def test_an_engine_without_tokens_refuses_log_probabilities(once: Once) -> None:
    status, reply = once(fields={"logprobs": True}, engine=Slow())
    assert status == 400
    assert "log-probabilities" in reply["error"]["message"]


def test_the_oracle_reads_its_case_back_from_the_messages(chat: Chat) -> None:
    reply = chat({"messages": messages_of(RM_R1)}, engine="oracle:")
    outcome = make_protocol("rm_r1").parse(Completion(texts(reply)[0]), RM_R1).outcome
    assert CASE.gold is not None
    assert outcome == Winner(CASE.gold.index(max(CASE.gold)))
