"""Chat completions on the wire: the body that is sent and what is read from replies of several servers."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinkscore.engines._address import read_address
from thinkscore.engines._chat import Dialect, Overflow, Problem, body, overflow, read_reply, too_long
from thinkscore.fit import overflow as share_too_long
from thinkscore.types import Case, Completion, Message, Prompt, Sampling, Usage

CASE = Case("c", (Message("user", "?"),), ("a", "b"))
PROMPT = Prompt(CASE, "rm_r1", (Message("system", "judge"), Message("user", "?")), (0, 1), seed=2**62 + 5)
VLLM = Dialect("vllm", "m", 512)


def sent(uri: str = "http://a/v1", dialect: Dialect = VLLM, prompts: int = 1, **changes: object) -> dict[str, object]:
    prompt = Prompt(**{**{f: getattr(PROMPT, f) for f in PROMPT.__struct_fields__}, **changes})  # type: ignore[arg-type]
    return dict(json.loads(body([prompt] * prompts, read_address(uri), dialect, 700)))


def test_the_body_holds_messages_sampling_and_seed() -> None:
    said = sent(sampling=Sampling(0.6, 0.9))
    assert said["messages"] == [{"role": "system", "content": "judge"}, {"role": "user", "content": "?"}]
    assert (said["model"], said["temperature"], said["top_p"], said["max_tokens"]) == ("m", 0.6, 0.9, 700)
    assert 0 <= int(str(said["seed"])) < 2**31
    assert "n" not in said and "logprobs" not in said


def test_several_samples_are_one_request() -> None:
    assert sent(prompts=4)["n"] == 4


def test_a_checkpoints_own_sampling_defaults_are_switched_off_where_they_exist() -> None:
    assert (sent()["top_k"], sent()["repetition_penalty"]) == (-1, 1.0)
    assert "top_k" not in sent(dialect=Dialect("openai", "m"))
    assert sent("http://a/v1?body.top_k=20")["top_k"] == 20


def test_options_of_thinking_models_are_passed_on() -> None:
    said = sent("http://a/v1?effort=high&thinking=64&template.enable_thinking=true&logprobs=1")
    assert (said["reasoning_effort"], said["thinking_token_budget"], said["logprobs"]) == ("high", 64, True)
    assert said["chat_template_kwargs"] == {"enable_thinking": True}


def test_openai_itself_has_another_name_for_the_limit() -> None:
    said = sent("https://api.openai.com/v1", Dialect("openai", "m"))
    assert said["max_completion_tokens"] == 700
    assert "max_tokens" not in said


def test_a_begun_answer_is_a_final_message_to_continue() -> None:
    said = sent(prefill="<eval>")
    assert said["messages"][-1] == {"role": "assistant", "content": "<eval>"}  # type: ignore[index]
    assert (said["continue_final_message"], said["add_generation_prompt"]) == (True, False)


def reply(*messages: dict[str, object], finish: str = "stop", usage: object = None, logprobs: object = None) -> bytes:
    choices = [{"message": m, "finish_reason": finish, "logprobs": logprobs} for m in messages]
    return json.dumps({"choices": choices, "usage": usage}).encode()


def one(data: bytes, prompt: Prompt = PROMPT) -> Completion:
    answer = read_reply(data, [prompt])
    assert isinstance(answer, list)
    return answer[0]


@pytest.mark.parametrize("field", ["reasoning", "reasoning_content"])
def test_thinking_is_read_under_both_names(field: str) -> None:
    read = one(reply({"content": "[[A]]", field: "hm"}))
    assert (read.text, read.reasoning, read.finish) == ("[[A]]", "hm", "stop")


def test_content_in_parts_is_joined() -> None:
    assert one(reply({"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]})).text == "ab"


def test_what_follows_a_prefill_is_put_behind_it() -> None:
    prompt = Prompt(CASE, "rm_r1", PROMPT.messages, (0, 1), prefill="<answer>")
    assert one(reply({"content": "[[A]]"}), prompt).text == "<answer>[[A]]"


def test_logprobs_are_those_of_the_tokens() -> None:
    assert one(reply({"content": "ab"}, logprobs={"content": [{"logprob": -1}, {"logprob": -0.5}]})).logprobs == (
        -1,
        -0.5,
    )
    assert one(reply({"content": "ab"}, logprobs={"content": None})).logprobs is None


def test_choices_are_taken_by_their_index() -> None:
    choices = [{"index": i, "message": {"content": str(i)}, "finish_reason": "stop"} for i in (2, 0, 1)]
    answer = read_reply(json.dumps({"choices": choices}).encode(), [PROMPT] * 3)
    assert isinstance(answer, list)
    assert [completion.text for completion in answer] == ["0", "1", "2"]


@pytest.mark.parametrize("usage", [None, {"prompt_tokens": 5, "completion_tokens": 201}])
def test_one_empty_answer_of_several_spoils_no_other(usage: object) -> None:
    data = reply({"content": "x" * 400}, {"content": ""}, {"content": "y" * 400}, usage=usage)
    answer = read_reply(data, [PROMPT] * 3)
    assert isinstance(answer, list)
    assert [len(completion.text) for completion in answer] == [400, 0, 400]


def test_cut_thinking_is_an_answer_that_was_cut() -> None:
    read = one(reply({"content": None, "reasoning": "hm"}, finish="length"))
    assert (read.text, read.finish) == ("", "length")


def test_a_filtered_answer_is_an_error_that_was_paid() -> None:
    read = one(reply({"content": ""}, finish="content_filter", usage={"prompt_tokens": 3, "completion_tokens": 2}))
    assert read.finish == "error"
    assert read.usage == Usage(1, 3, 2)


UNREADABLE = [b"", b"{", b"<html>", b"[]", b"{}", b'{"choices": []}', reply({"content": "x"})[:-9]]
EMPTY = [reply({"content": ""}), reply({"content": "x"}, finish="abort")]


@pytest.mark.parametrize("data", UNREADABLE + EMPTY)
def test_what_is_no_answer_is_asked_for_again(data: bytes) -> None:
    answer = read_reply(data, [PROMPT])
    assert isinstance(answer, Problem)
    assert answer.retry
    assert not answer.fatal


@given(st.lists(st.text(max_size=30), min_size=1, max_size=8), st.integers(0, 5000), st.integers(0, 5000))
def test_the_shares_of_a_request_add_up_to_its_cost(texts: list[str], read: int, written: int) -> None:
    data = reply(
        *({"content": f"x{text}"} for text in texts), usage={"prompt_tokens": read, "completion_tokens": written}
    )
    answer = read_reply(data, [PROMPT] * len(texts))
    assert isinstance(answer, list)
    assert sum((completion.usage for completion in answer), Usage()) == Usage(len(texts), read, written)


@given(st.binary(max_size=200))
def test_any_bytes_are_an_answer_or_a_problem(data: bytes) -> None:
    answer = read_reply(data, [PROMPT])
    assert isinstance(answer, Problem) or all(isinstance(item, Completion) for item in answer)


# What servers say of a request that does not fit; the numbers are what we must read.
TOO_LONG = {
    "vLLM, prompt": (
        "This model's maximum context length is 512 tokens. However, your prompt contains at least 513 input tokens",
        Overflow(None, 512),
    ),
    "vLLM, both": (
        "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens "
        "(3000 in the messages, 2000 in the completion).",
        Overflow(3000, 4096, True),
    ),
    "vLLM, newer": (
        "You passed 4097 input tokens and requested 1024 output tokens. However, the model's context length is only "
        "4096 tokens",
        Overflow(4097, 4096, True),
    ),
    "vLLM, no room for an answer": (
        "max_tokens must be at least 1, got 0. (parameter=max_tokens)",
        Overflow(None, None),
    ),
    "SGLang": (
        "The input (5000 tokens) is longer than the model's context length (4096 tokens).",
        Overflow(5000, 4096),
    ),
    "SGLang, both": (
        "Requested token count exceeds the model's maximum context length of 4096 tokens. You requested a total of "
        "5000 tokens: 3000 tokens from the input messages and 2000 tokens for the completion.",
        Overflow(3000, 4096, True),
    ),
    "OpenAI": (
        "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens.",
        Overflow(9000, 8192),
    ),
    "vLLM, with the answer": (
        "This model's maximum context length is 2000 tokens. However, you requested 1900 output tokens and your prompt "
        "contains at least 101 input tokens, for a total of at least 2001 tokens.",
        Overflow(None, 2000, True),
    ),
    "llama.cpp": (
        "the request exceeds the available context size. try increasing the context size",
        Overflow(None, None),
    ),
}


@pytest.mark.parametrize(("message", "expected"), TOO_LONG.values(), ids=TOO_LONG)
def test_servers_are_understood_when_a_request_does_not_fit(message: str, expected: Overflow) -> None:
    assert overflow(f"HTTP 400: {message}") == expected


def test_an_answer_is_made_to_fit_if_the_prompt_does() -> None:
    assert Overflow(3000, 4096, True).room(2000) == 1096
    assert Overflow(5000, 4096).room(2000) is None
    assert Overflow(None, 2000, True).room(1900) == 0
    assert Overflow(None, 2000, True).room(0) is None
    assert Overflow(None, 2000).room(1900) is None


@pytest.mark.parametrize("message", ["HTTP 429: too many requests", "HTTP 400: n must be 1 when using greedy sampling"])
def test_other_errors_are_not_about_length(message: str) -> None:
    assert overflow(message) is None


def test_the_words_of_an_overflow_are_those_that_cases_are_shortened_by() -> None:
    stated = Completion(finish="error", error=too_long(Overflow(9000, 8192), VLLM))
    unstated = Completion(finish="error", error=too_long(Overflow(None, None), Dialect(model="m")))
    assert share_too_long(stated) == pytest.approx(1 - 0.95 * 4096 / 9000)
    assert share_too_long(unstated) == 0.5
