"""The http engine against a real vLLM server over the packaged judge, whose every number our own decoder knows."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec
import numpy as np
import pytest

from thinkscore.engines._base import Engine
from thinkscore.engines._decoder import Decoder
from thinkscore.engines._tokens import Tokens
from thinkscore.engines.embedded import PACKAGED, Embedded
from thinkscore.errors import ThinkscoreError
from thinkscore.judge import Judge, make_engine, make_protocol, tally
from thinkscore.lab import world
from thinkscore.types import Case, Completion, Failure, Prompt, Sampling, Tally

pytestmark = pytest.mark.peer
T = TypeVar("T")

CASES, N = 200, 4
SAMPLING = Sampling(max_tokens=400)
CLOSE = 1e-3
"""How near two log-probabilities must be; float32 in two orders of summation gives about 1e-5."""


@pytest.fixture
def uri(vllm, monkeypatch):
    monkeypatch.setenv("THINKSCORE_API_KEY", vllm.key)
    # 16 requests of 4 samples are what the server runs at a time.
    return f"{vllm.url}?model={vllm.model}&n={N}&logprobs=1&concurrency=16"


@pytest.fixture(scope="module")
def decoder():
    return Decoder(PACKAGED), Tokens(PACKAGED)


def using(engine: Engine, work: Callable[[Engine], Awaitable[T]]) -> T:
    async def run() -> T:
        await engine.open()
        try:
            return await work(engine)
        finally:
            await engine.close()

    return asyncio.run(run())


def prompts(n: int, seed: int = 31) -> list[Prompt]:
    protocol = make_protocol("rm_r1")
    rendered = [protocol.render(case, (0, 1)) for case in world.make(seed, "test", n)]
    return [msgspec.structs.replace(prompt, sampling=SAMPLING, seed=index) for index, prompt in enumerate(rendered)]


def distance(decoder: tuple[Decoder, Tokens], prompt: Prompt, completion: Completion) -> float:
    """The largest difference between the log-probability that came and ours, over the tokens of a completion."""
    model, tokens = decoder
    head = tokens.render(prompt.messages)
    start = len(tokens.encode(head + prompt.prefill))
    ids = [*tokens.encode(head + completion.text), *(tokens.ends if completion.finish == "stop" else ())]
    logits_TV = model.logits(ids)[start - 1 : -1].astype(np.float64)
    logprobs_TV = logits_TV - np.logaddexp.reduce(logits_TV, axis=-1, keepdims=True)
    assert completion.logprobs is not None
    assert len(completion.logprobs) == len(ids) - start > 0
    return float(np.abs(logprobs_TV[np.arange(len(ids) - start), ids[start:]] - completion.logprobs).max())


def test_pairs_are_judged_and_every_token_is_as_likely_as_our_decoder_says(uri, decoder):
    """k = 2n, so that each of the two orders of a pair is one request with n choices."""
    cases = list(world.make(77, "test", CASES))
    started = time.monotonic()
    with Judge("rm_r1", uri, f"vote:k={2 * N}", seed=5, max_tokens=SAMPLING.max_tokens) as judge:
        judged = list(judge.run(cases))
    seconds = time.monotonic() - started
    protocol = make_protocol("rm_r1")
    votes = [(case, verdict) for case, judgment in judged for verdict in judgment.verdicts]
    far = [distance(decoder, protocol.render(case, verdict.order), verdict.completion) for case, verdict in votes]
    choices = Counter(verdict.completion.drawn and verdict.completion.drawn[1] for _, verdict in votes)
    unread = sum(isinstance(verdict.outcome, Failure) for _, verdict in votes)
    counted = sum((tally(case, judgment) for case, judgment in judged), Tally())
    written = sum(verdict.completion.usage.completion_tokens for _, verdict in votes)
    print(
        f"\nvLLM, {len(judged)} pairs, {len(votes)} verdicts ({unread} unread), {written} tokens in {seconds:.0f} s: "
        f"accuracy {counted.accuracy_all:.3f}, largest difference of a log-probability {max(far):.1e}"
    )
    assert len(votes) == CASES * 2 * N
    assert choices == dict.fromkeys(range(N), CASES * 2)
    assert written == sum(len(verdict.completion.logprobs) for _, verdict in votes)
    assert max(far) < CLOSE
    assert counted.n == CASES and counted.accuracy_all > 0.9 and unread < 0.02 * len(votes)


def test_given_text_is_as_likely_as_our_decoder_says(uri):
    """Both verdict texts of each pair, and one that goes on after a begun answer."""
    asked = prompts(20)
    pairs = [(prompt, text) for prompt in asked for text in prompt.verdicts]
    prefill, rest = "<type>Chat</type>\n<rubric>\n", "gift is candy (1)\n"
    pairs += [(msgspec.structs.replace(prompt, prefill=prefill), rest) for prompt in asked]

    async def score(engine: Engine) -> list[float]:
        return await engine.logprobs(*zip(*pairs, strict=True))

    theirs, ours = using(make_engine(uri), score), using(Embedded(), score)
    far = np.abs(np.subtract(theirs, ours)).max()
    print(f"\nvLLM, {len(pairs)} given texts: largest difference of a log-probability {far:.1e}")
    assert min(ours) < -1
    assert far < CLOSE


def test_a_begun_answer_is_continued(uri, decoder):
    begun = "<type>Chat</type>\n<rubric>\ngift is"
    asked = [msgspec.structs.replace(prompt, prefill=begun) for prompt in prompts(8)]
    completions = using(make_engine(uri), lambda engine: engine.generate(asked))
    assert all(completion.text.startswith(begun + " ") for completion in completions)
    assert max(map(distance, [decoder] * len(asked), asked, completions)) < CLOSE


def test_a_greedy_answer_is_that_of_our_decoder(uri):
    """Several samples at temperature 0 too, which the server refuses to draw with one request."""
    greedy = Sampling(temperature=0, max_tokens=300)
    asked = [
        msgspec.structs.replace(prompt, sampling=greedy, sample=sample) for prompt in prompts(6) for sample in (0, 1)
    ]
    theirs = using(make_engine(uri), lambda engine: engine.generate(asked))
    ours = using(Embedded(), lambda engine: engine.generate(asked))
    assert [completion.error for completion in theirs] == [None] * len(asked)
    assert [completion.text for completion in theirs] == [completion.text for completion in ours]


def test_what_does_not_fit_is_a_failure_of_its_kind(uri, decoder):
    """A prompt that is longer than what the model reads, and one that leaves no room for an answer."""
    model, tokens = decoder
    protocol, (case,) = make_protocol("rm_r1"), world.make(31, "test", 1)

    def of_length(length: int) -> Case:
        room = length - len(tokens.encode(tokens.render(protocol.render(case, (0, 1)).messages)))
        longer = case.candidates[0] + " the" * room
        return msgspec.structs.replace(case, id=f"long-{length}", candidates=(longer, case.candidates[1]))

    reads = model.config.max_positions
    cases = [of_length(reads - 100), of_length(reads), of_length(2 * reads)]
    with Judge("rm_r1", uri, "vote:k=2") as judge:
        fits, full, over = (judgment.verdicts[0] for judgment in judge.judge(cases))
    assert fits.completion.finish != "error" and fits.completion.usage.prompt_tokens == reads - 100
    for verdict in (full, over):
        assert isinstance(verdict.outcome, Failure) and verdict.outcome.kind == "too_long"
        assert str(reads) in verdict.outcome.detail


def test_what_is_wrong_with_an_address_is_said_before_the_first_case(uri, vllm, monkeypatch):
    wrong = [
        (uri, "another", "refuses the key in THINKSCORE_API_KEY"),
        (uri, "", "put it in the environment as THINKSCORE_API_KEY"),
        (uri.replace(vllm.model, "another"), vllm.key, f"it serves {vllm.model}"),
        (uri.replace("/v1", "/v2"), vllm.key, "usually ends in /v1"),
    ]
    for address, key, said in wrong:
        monkeypatch.setenv("THINKSCORE_API_KEY", key)
        with Judge("rm_r1", address) as judge, pytest.raises(ThinkscoreError, match=said) as caught:
            judge.compare("one", "two", "three")
        assert vllm.key not in str(caught.value)
