"""The test server over real connections: what it serves, its script, streams, scalar heads and refusals."""

from __future__ import annotations

import asyncio
import json
import math
import re
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import aiohttp
import pytest

from thinkscore.doubles.server import ChatRequest, Record, Server, serve_in_thread
from thinkscore.engines._base import Engine
from thinkscore.errors import BadInput
from thinkscore.judge import make_protocol
from thinkscore.lab import world
from thinkscore.types import Case, Completion, Failure, Message, Prompt, Winner

CASE = next(iter(world.make(0, "test", 1)))
RM_R1 = make_protocol("rm_r1").render(CASE, (0, 1))
CONTINUED = {"continue_final_message": True, "add_generation_prompt": False}
HELLO = [{"role": "user", "content": "Say hello."}]
WORDS = "one two three four five"

Reply = tuple[int, Any]
Ask = Callable[..., Awaitable[Reply]]
Talk = Callable[..., Any]
Once = Callable[..., Reply]
Chat = Callable[..., dict[str, Any]]


def messages_of(prompt: Prompt) -> list[dict[str, str]]:
    return [{"role": message.role, "content": message.content} for message in prompt.messages]


def texts(reply: dict[str, Any]) -> list[str]:
    return [choice["message"]["content"] for choice in reply["choices"]]


# ---- what is served


async def get(url: str, **headers: str) -> tuple[int, str, str]:
    async with aiohttp.ClientSession() as client, client.get(url, headers=headers) as response:
        return response.status, response.content_type, await response.text()


@pytest.mark.parametrize(("options", "limit"), [({}, None), ({"max_model_len": 77}, 77), ({"engine": "embedded"}, 512)])
def test_the_model_is_listed_with_its_context_length(options: dict[str, Any], limit: int | None) -> None:
    with serve_in_thread(model="mine", **options) as server:
        status, _, text = asyncio.run(get(server.url + "/models"))
        (entry,) = json.loads(text)["data"]
        assert (status, entry["id"], entry["object"], entry["max_model_len"]) == (200, "mine", "model", limit)
        assert entry["owned_by"] == "vllm"
        assert server.uri == server.url + "?model=mine"


def test_an_unknown_path_is_not_found() -> None:
    with serve_in_thread() as server:
        assert asyncio.run(get(server.url + "/nothing"))[0] == 404
        assert asyncio.run(get(server.url.removesuffix("/v1") + "/health"))[0] == 200


def test_a_port_in_use_is_one_clear_error() -> None:
    with serve_in_thread() as server, pytest.raises(BadInput, match="give another port"):  # noqa: SIM117
        with serve_in_thread(port=int(server.url.split(":")[2].split("/")[0])):
            pass


def test_an_engine_and_an_answer_are_too_much() -> None:
    with pytest.raises(BadInput, match="one of the two"):
        Server(engine="embedded", answer="yes")


# ---- the script


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
@pytest.mark.parametrize("name", ["rm_r1", "rrm", "deepseek_grm", "verdict_only"])
def test_a_made_up_verdict_is_read_by_the_protocol_that_asked(chat: Chat, name: str, order: tuple[int, ...]) -> None:
    protocol = make_protocol(name)
    prompt = protocol.render(CASE, order)
    fields = {"messages": messages_of(prompt), "n": 12, "seed": 5}
    first, again = (texts(chat(fields)) for _ in range(2))
    outcomes = [protocol.parse(Completion(text), prompt).outcome for text in first]
    assert first == again
    assert not any(isinstance(outcome, Failure) for outcome in outcomes)
    assert len(set(map(repr, outcomes))) > 1
    other = texts(chat({**fields, "seed": 6}))
    assert other != first


def test_a_list_of_responses_gets_as_many_scores(chat: Chat) -> None:
    protocol = make_protocol("deepseek_grm")
    case = Case("five", (Message("user", "Which word is shortest?"),), ("a", "bb", "ccc", "dddd", "eeeee"))
    prompt = protocol.render(case, range(5))
    (text,) = texts(chat({"messages": messages_of(prompt)}))
    assert len(protocol.parse(Completion(text), prompt).outcome.scores) == 5


FOREIGN = {
    "rm_r1": "Decide which chatbot is better and end with <answer>[[A]]</answer> or <answer>[[B]]</answer>.",
    "rrm": "Think, then write \\boxed{Assistant 1} or \\boxed{Assistant 2}.",
    "deepseek_grm": "[The Begin of Response 1]\nx\n[The End of Response 1]\n[The Begin of Response 2]\ny\n"
    "[The End of Response 2]\nGive all scores in order, as \\boxed{x, x}.",
}


@pytest.mark.parametrize("name", FOREIGN)
def test_the_form_of_the_verdict_is_enough_to_know_what_is_asked(chat: Chat, name: str) -> None:
    protocol = make_protocol(name)
    (text,) = texts(chat({"messages": [{"role": "user", "content": FOREIGN[name]}]}))
    outcome = protocol.parse(Completion(text), protocol.render(CASE, (0, 1))).outcome
    assert not isinstance(outcome, Failure)


def test_a_named_protocol_wins_over_what_the_messages_look_like(chat: Chat) -> None:
    (text,) = texts(chat({"messages": messages_of(RM_R1)}, protocol="rrm"))
    assert "\\boxed{Assistant" in text


def test_a_request_for_no_verdict_is_told_so(chat: Chat) -> None:
    assert "No verdict was asked for" in texts(chat())[0]


def test_without_a_seed_every_attempt_differs_and_a_new_server_repeats_them(talk: Talk) -> None:
    async def ask_thrice(_: Server, ask: Ask) -> list[list[str]]:
        return [texts((await ask(messages=messages_of(RM_R1), n=8))[1]) for _ in range(3)]

    first = talk(ask_thrice)
    assert first[0] != first[1] != first[2]
    assert talk(ask_thrice) == first
    assert talk(ask_thrice, seed=1) != first


def test_a_text_is_cut_at_max_tokens_and_counted(chat: Chat) -> None:
    reply = chat({"n": 2, "max_completion_tokens": 3, "max_tokens": 9}, answer=WORDS)
    assert texts(reply) == ["one two three"] * 2
    assert [choice["finish_reason"] for choice in reply["choices"]] == ["length"] * 2
    assert reply["usage"] == {"prompt_tokens": 2, "completion_tokens": 6, "total_tokens": 8}
    whole = chat({"max_tokens": 5}, answer=WORDS)
    assert (texts(whole), whole["choices"][0]["finish_reason"]) == ([WORDS], "stop")


def test_a_function_sees_the_request_and_the_choice(chat: Chat) -> None:
    def answer(request: ChatRequest, index: int) -> str:
        return f"{request.messages[-1].text} {request.seed} {request.temperature} {index}"

    parts = [{"type": "text", "text": "Say "}, {"type": "text", "text": "it."}]
    fields = {"messages": [{"role": "developer", "content": "x"}, {"role": "user", "content": parts}], "n": 2}
    reply = chat({**fields, "seed": 4, "temperature": 0.5}, answer=answer)
    assert texts(reply) == ["Say it. 4 0.5 0", "Say it. 4 0.5 1"]
    assert [choice["index"] for choice in reply["choices"]] == [0, 1]


@pytest.mark.parametrize(
    ("prefill", "answer"), [("one two", " three four five"), ("zero", WORDS)], ids=["its start", "something else"]
)
def test_a_prefill_is_continued_and_not_repeated(chat: Chat, prefill: str, answer: str) -> None:
    messages = [*HELLO, {"role": "assistant", "content": prefill}]
    assert texts(chat({"messages": messages, **CONTINUED}, answer=WORDS)) == [answer]


@pytest.mark.parametrize("prefill", ["<type>Chat</type>\n<rubric>\n", "I think so.\n<answer>", "I think"])
def test_a_made_up_verdict_goes_on_from_a_prefill(chat: Chat, prefill: str) -> None:
    messages = [*messages_of(RM_R1), {"role": "assistant", "content": prefill}]
    (text,) = texts(chat({"messages": messages, **CONTINUED}))
    assert isinstance(make_protocol("rm_r1").parse(Completion(prefill + text), RM_R1).outcome, Winner)
    assert "<answer><answer>" not in prefill + text


# ---- streams and thinking


def events(raw: str) -> list[dict[str, Any]]:
    lines = [line.removeprefix("data: ") for line in raw.split("\n\n") if line]
    assert lines.pop() == "[DONE]"
    return [json.loads(line) for line in lines]


async def raw_post(url: str, fields: dict[str, Any]) -> tuple[str, str]:
    async with aiohttp.ClientSession() as client, client.post(url + "/chat/completions", json=fields) as response:
        return response.content_type, await response.text()


def test_a_stream_says_the_same_as_a_whole_answer() -> None:
    fields = {"model": "judge", "messages": messages_of(RM_R1), "n": 2, "seed": 3}
    with serve_in_thread(reasoning="reasoning", answer="<think>\nhm\n</think>\n" + WORDS) as server:
        kind, raw = asyncio.run(
            raw_post(server.url, {**fields, "stream": True, "stream_options": {"include_usage": True}})
        )
        _, whole = asyncio.run(raw_post(server.url, fields))
    assert kind == "text/event-stream"
    *chunks, last = events(raw)
    expected = json.loads(whole)
    assert (last["choices"], last["usage"]) == ([], expected["usage"])
    for choice in expected["choices"]:
        deltas = [chunk["choices"][0] for chunk in chunks if chunk["choices"][0]["index"] == choice["index"]]
        joined = {
            key: "".join(delta["delta"].get(key, "") for delta in deltas) for key in ("role", "content", "reasoning")
        }
        assert joined == choice["message"]
        assert [delta["finish_reason"] for delta in deltas] == [None] * (len(deltas) - 1) + ["stop"]


@pytest.mark.parametrize("field", ["reasoning", "reasoning_content"])
@pytest.mark.parametrize(
    ("text", "thought", "rest"),
    [
        ("<think>\nhm\n</think>\n\nyes", "hm", "yes"),
        ("hm\n</think>yes", "hm", "yes"),
        ("<think>hm and", "hm and", None),
        ("yes", None, "yes"),
    ],
    ids=["whole", "opened by the template", "cut", "no thinking"],
)
def test_thinking_is_split_off_where_asked_for(
    chat: Chat, field: str, text: str, thought: str | None, rest: str | None
) -> None:
    (choice,) = chat(answer=text, reasoning=field)["choices"]
    assert (choice["message"].get(field), choice["message"]["content"]) == (thought, rest)
    assert texts(chat(answer=text)) == [text]


# ---- scalar heads


def value(conversation: object) -> float:
    return float(len(str(conversation))) / 10


TEXTS, TURNS = ["first text", "second"], [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}]


def test_classify_in_vllm_form_gives_raw_values_or_probabilities(once: Once) -> None:
    raw = once("/classify", {"model": "judge", "input": TEXTS, "use_activation": False}, value=value)[1]
    assert [entry["probs"] for entry in raw["data"]] == [[1.0], [0.6]]
    assert [(entry["index"], entry["num_classes"]) for entry in raw["data"]] == [(0, 1), (1, 1)]
    assert (raw["object"], raw["model"]) == ("list", "judge")
    squashed = once("/classify", {"model": "judge", "input": TEXTS}, value=value)[1]
    assert squashed["data"][1]["probs"] == [pytest.approx(1 / (1 + math.exp(-0.6)))]


@pytest.mark.parametrize(
    ("fields", "seen"),
    [
        ({"input": "one"}, ["one"]),
        ({"input": [1, 2]}, [[1, 2]]),
        ({"input": [[1, 2], [3]]}, [[1, 2], [3]]),
        ({"messages": TURNS}, [TURNS]),
    ],
    ids=["text", "ids", "lists of ids", "messages"],
)
def test_classify_takes_every_form_of_input(once: Once, fields: dict[str, Any], seen: list[object]) -> None:
    got: list[object] = []

    def record(conversation: object) -> float:
        got.append(conversation)
        return 0.0

    assert once("/classify", {"model": "judge", **fields}, value=record)[0] == 200
    assert got == seen


def test_classify_in_sglang_forms(once: Once) -> None:
    native = once("/classify", {"text": TEXTS}, value=value)[1]
    assert [entry["embedding"] for entry in native] == [[1.0], [0.6]]
    # a softmax over one class, as SGLang computes it: no use for a scalar head
    one = once("/v1/classify", {"model": "judge", "input": TEXTS}, value=value)[1]
    assert [entry["probs"] for entry in one["data"]] == [[1.0], [1.0]]


def test_a_made_up_value_depends_on_the_text_alone(once: Once) -> None:
    fields = {"model": "judge", "input": TEXTS, "use_activation": False}
    first, again = (once("/classify", fields)[1]["data"] for _ in range(2))
    assert first == again
    assert first[0]["probs"] != first[1]["probs"]


class Head(Engine):
    """A scalar head."""

    async def generate(self, prompts: Sequence[Prompt]) -> list[Completion]:
        return [Completion(finish="error", error="it only scores") for _ in prompts]

    async def values(self, conversations: Sequence[Sequence[Message]]) -> list[float | Failure]:
        return [float(len(turns)) for turns in conversations]


def test_an_engines_own_scalar_head_scores_conversations(once: Once) -> None:
    fields = {"model": "judge", "messages": TURNS, "use_activation": False}
    assert once("/classify", fields, engine=Head())[1]["data"][0]["probs"] == [2.0]
    status, reply = once("/classify", {"model": "judge", "input": "x"}, engine=Head())
    assert (status, "send messages" in reply["error"]["message"]) == (400, True)
    assert once("/classify", fields, engine="embedded")[0] == 400


# ---- requests that are turned away


REFUSED = {
    "wrong model": ({"model": "other"}, {}, 404, "model_not_found", "`other` does not exist"),
    "no key": ({}, {"api_key": "secret"}, 401, "invalid_api_key", "Incorrect API key"),
    "no choice": ({"n": 0}, {}, 400, 400, "at least 1"),
    "no room": ({"max_tokens": 0}, {}, 400, 400, "at least 1"),
    "no messages": ({"messages": []}, {}, 400, 400, "at least one message"),
    "unknown role": ({"messages": [{"role": "tool", "content": "x"}]}, {}, 400, 400, "roles are"),
    "wrong type": ({"messages": "hello"}, {}, 400, 400, "cannot be read"),
    "nothing to continue": (CONTINUED, {}, 400, 400, "needs an assistant message"),
    "continued and opened": ({"continue_final_message": True}, {}, 400, 400, "add_generation_prompt=false"),
}


@pytest.mark.parametrize(("fields", "options", "status", "code", "said"), REFUSED.values(), ids=REFUSED)
def test_refusals_have_openai_error_bodies(
    talk: Talk, fields: dict[str, Any], options: dict[str, Any], status: int, code: object, said: str
) -> None:
    async def ask_once(server: Server, ask: Ask) -> tuple[Reply, list[Record]]:
        return await ask(**fields), list(server.requests.values())

    (got, reply), records = talk(ask_once, **options)
    assert got == status
    assert set(reply["error"]) == {"message", "type", "param", "code"}
    assert reply["error"]["code"] == code
    assert said in reply["error"]["message"]
    assert records == [Record(attempts=1, refused=1)]


def test_a_key_opens_every_endpoint() -> None:
    with serve_in_thread(api_key="secret") as server:
        assert asyncio.run(get(server.url + "/models"))[0] == 401
        assert asyncio.run(get(server.url + "/models", Authorization="Bearer secret"))[0] == 200


OVERFLOWS = {
    "prompt and answer": (17, {"max_tokens": 4}, 20, "you requested 4 output tokens", "at least 17 input", "least 21 "),
    "prompt alone": (30, {}, 20, "you requested 1 output tokens", "at least 20 input tokens", "at least 21 tokens"),
    "answer alone": (1, {"max_tokens": 50}, 20, "requested 50 output", "at least 0 input", "at least 50 tokens"),
}


@pytest.mark.parametrize(("words", "fields", "limit", "asked", "prompt", "total"), OVERFLOWS.values(), ids=OVERFLOWS)
def test_an_overflow_is_told_in_vllm_words_with_its_numbers(
    once: Once, words: int, fields: dict[str, Any], limit: int, asked: str, prompt: str, total: str
) -> None:
    text = " ".join(["word"] * words)
    status, reply = once(
        fields={"messages": [{"role": "user", "content": text}], **fields}, max_model_len=limit, answer="yes"
    )
    message = reply["error"]["message"]
    assert status == 400
    assert message.startswith(f"This model's maximum context length is {limit} tokens. However, ")
    assert asked in message
    assert prompt in message
    assert total in message
    assert (reply["error"]["type"], reply["error"]["param"]) == ("BadRequestError", "input_tokens")


def test_what_just_fits_is_answered(chat: Chat) -> None:
    fields = {"messages": [{"role": "user", "content": " ".join(["word"] * 16)}], "max_tokens": 4}
    assert texts(chat(fields, max_model_len=20, answer="yes")) == ["yes"]


def test_without_a_limit_an_answer_fills_the_context(chat: Chat) -> None:
    assert texts(chat({"messages": [{"role": "user", "content": "a b"}]}, max_model_len=5, answer=WORDS)) == [
        "one two three"
    ]


def test_html_answers_everything() -> None:
    with serve_in_thread(html=True) as server:
        status, kind, text = asyncio.run(get(server.url + "/models"))
        assert (status, kind) == (200, "text/html")
        assert "<html>" in text
        assert asyncio.run(raw_post(server.url, {"model": "judge", "messages": HELLO}))[0] == "text/html"


# ---- from a shell


def command(*flags: str) -> subprocess.Popen[str]:
    line = [sys.executable, "-m", "thinkscore.doubles.server", "--port", "0", *flags]
    return subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_the_command_serves_until_it_is_told_to_stop() -> None:
    with command("--answer", "yes", "--faults", "500=0", "--latency", "0-0.01", "--for", "60") as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:\d+/v1", line)
        assert found is not None, line
        _, text = asyncio.run(raw_post(found[0], {"model": "judge", "messages": HELLO}))
        assert texts(json.loads(text)) == ["yes"]
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "")
    assert "1 requests with 1 bodies: 1 answered, 0 refused, 0 faults" in out


def test_the_command_stops_by_itself() -> None:
    with command("--for", "0.1") as process:
        out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "")
    assert "0 requests" in out


@pytest.mark.parametrize("flags", [["--faults", "quiet=1"], ["--latency", "soon"], ["--engine", "nothing"]])
def test_the_command_names_a_bad_flag(flags: list[str]) -> None:
    with command(*flags) as process:
        _, err = process.communicate(timeout=30)
    assert process.returncode == 2
    assert err.startswith("error: got ")
