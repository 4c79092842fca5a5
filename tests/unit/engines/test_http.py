"""The http engine against real servers on loopback: our test server with its faults, and odd ones made here."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from thinkscore.budget import Budget, Price
from thinkscore.doubles.server import ChatRequest, Faults, Server, serve_in_thread
from thinkscore.engines import embedded
from thinkscore.engines._forced import read_whole
from thinkscore.engines.http import Http
from thinkscore.errors import BadInput, EngineUnavailable
from thinkscore.journal import read_journal
from thinkscore.judge import Judge
from thinkscore.lab import world
from thinkscore.types import Case, Completion, Failure, Judgment, Message, Prompt, Sampling, Usage, Verdict, Winner

CASES = list(world.make(0, "test", 60))
A, B = "<answer>[[A]]</answer>", "<answer>[[B]]</answer>"
QUICK = "&backoff=0.01"


def judged(uri: str, cases: Sequence[Case] = CASES, strategy: str = "vote:k=1", **options: Any) -> list[Judgment]:
    with Judge("rm_r1", uri, strategy, **options) as judge:
        return list(judge.judge(cases))


def verdicts(judgments: Sequence[Judgment]) -> list[Verdict]:
    return [verdict for judgment in judgments for verdict in judgment.verdicts]


def by_content(request: ChatRequest, choice: int) -> str:
    """Decide by the candidates shown, so that a verdict that is not the server's own shows."""
    return A if hash(json.dumps([turn.text for turn in request.messages])) % 2 else B


def complete(uri: str, *prompts: Prompt) -> list[Completion]:
    async def main() -> list[Completion]:
        engine = Http(uri)
        await engine.open()
        try:
            return await engine.generate(prompts)
        finally:
            await engine.close()

    return asyncio.run(main())


def prompt(text: str = "Say [[A]].", **fields: Any) -> Prompt:
    return Prompt(CASES[0], "rm_r1", (Message("user", text),), (0, 1), **fields)


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@contextmanager
def odd_server(chat: Handler, models: Handler | None = None) -> Iterator[str]:
    """Run a server made of handlers; gives its base address."""

    async def list_models(request: web.Request) -> web.StreamResponse:
        return web.json_response({"data": [{"id": "odd"}]})

    app = web.Application()
    app.router.add_post("/v1/chat/completions", chat)
    app.router.add_get("/v1/models", models or list_models)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    runner = web.AppRunner(app, shutdown_timeout=0)

    async def start() -> int:
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return int(runner.addresses[0][1])

    port = asyncio.run_coroutine_threadsafe(start(), loop).result()
    try:
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def answer(*texts: str, **fields: Any) -> web.Response:
    choices = [{"message": {"role": "assistant", "content": text}, "finish_reason": "stop"} for text in texts]
    return web.json_response({"choices": choices, "usage": {"prompt_tokens": 7, "completion_tokens": 5}, **fields})


# ---- answers


def test_every_verdict_is_the_one_that_the_server_gave() -> None:
    with serve_in_thread(answer=by_content) as server:
        judgments = judged(server.uri)
        assert sum(record.answered for record in server.requests.values()) == len(CASES)
    assert {judgment.case_id for judgment in judgments} == {case.id for case in CASES}
    texts = [verdict.completion.text for verdict in verdicts(judgments)]
    assert set(texts) == {A, B}
    for verdict in verdicts(judgments):
        assert verdict.outcome == Winner(verdict.order[verdict.completion.text == B])


def test_votes_on_one_order_share_a_request() -> None:
    with serve_in_thread() as server:
        read = verdicts(judged(server.uri, CASES[:5], "vote:k=8"))
        assert len(server.requests) == 10
        alone = verdicts(judged(server.uri + "&n=1", CASES[:5], "vote:k=8"))
        assert len(server.requests) == 10 + 40
    for case in CASES[:5]:
        units = [verdict.completion.drawn for verdict in read if verdict.case_id == case.id]
        assert len(set(units)) == 8
        assert Counter(choice for _, choice in units) == dict.fromkeys(range(4), 2)  # type: ignore[misc]
    assert all(verdict.completion.drawn is None for verdict in alone)


def test_a_request_costs_its_prompt_once() -> None:
    with serve_in_thread(answer=A) as server:
        together, alone = (judged(server.uri + more, CASES[:1], "vote:k=8")[0].usage for more in ("", "&n=1"))
    assert together.calls == alone.calls == 8
    assert together.prompt_tokens * 4 == alone.prompt_tokens
    assert together.completion_tokens == alone.completion_tokens


def test_greedy_votes_are_asked_one_by_one() -> None:
    with serve_in_thread(answer=A) as server:
        judged(server.uri, CASES[:1], "vote:k=4", temperature=0.0)
        assert sum(record.attempts for record in server.requests.values()) == 4


def test_a_server_that_draws_one_at_a_time_is_found_out() -> None:
    seen = []

    async def one_choice(request: web.Request) -> web.StreamResponse:
        seen.append((await request.json()).get("n", 1))
        return answer(A)

    with odd_server(one_choice) as url:
        (judgment,) = judged(url, CASES[:1], "vote:k=8")
    assert len(judgment.verdicts) == 8
    assert judgment.failure is None
    assert seen.count(4) == 2
    assert seen.count(1) == 6


def test_a_server_that_refuses_n_is_asked_one_by_one() -> None:
    async def refuses(request: web.Request) -> web.StreamResponse:
        if "n" in await request.json():
            return web.json_response({"error": {"message": "Only one completion choice is allowed"}}, status=400)
        return answer(A)

    with odd_server(refuses) as url:
        (judgment,) = judged(url, CASES[:1], "vote:k=8")
    assert [type(verdict.outcome) for verdict in judgment.verdicts] == [Winner] * 8


def test_thinking_and_logprobs_are_passed_on() -> None:
    with serve_in_thread(answer=f"<think>hm, A</think>{A}", reasoning="reasoning_content") as server:
        (read,) = verdicts(judged(server.uri + "&logprobs=1", CASES[:1]))
    assert read.completion.reasoning == "hm, A"
    assert read.completion.text.strip() == A
    assert read.completion.logprobs is not None
    assert len(read.completion.logprobs) == read.completion.usage.completion_tokens


def test_a_begun_answer_is_continued_by_servers_that_can() -> None:
    with serve_in_thread(answer=f"Let me see. {A}") as server:
        (done,) = complete(server.uri, prompt(prefill="Let me see. "))
        (refused,) = complete(server.uri + "&dialect=openai", prompt(prefill="Let me see. "))
    assert done.text == f"Let me see. {A}"
    assert refused.finish == "error"
    assert "prefill=yes" in (refused.error or "")


def test_values_come_from_the_servers_scalar_head_and_are_replayed(tmp_path: Path) -> None:
    value = lambda conversation: float(len(str(conversation)) % 97)  # noqa: E731
    with serve_in_thread(value=value) as server, Judge("scalar", server.uri, journal=tmp_path / "j") as judge:
        judgments = list(judge.judge(CASES[:20]))
    with Judge("scalar", f"replay:{tmp_path / 'j'}") as judge:
        assert [judgment.scores for judgment in judge.judge(CASES[:20])] == [j.scores for j in judgments]
    assert all(judgment.scores is not None and judgment.failure is None for judgment in judgments)
    assert len({judgment.scores for judgment in judgments}) > 1


def test_values_of_sglang_come_from_token_ids() -> None:
    tokenizer = Path(embedded.__file__).parents[1] / "models" / "embedded"
    seen: list[object] = []

    def value(ids: object) -> float:
        seen.append(ids)
        return float(len(ids))  # type: ignore[arg-type]

    with serve_in_thread(value=value) as server:
        with Judge("scalar", f"{server.uri}&values=sglang&tokenizer={tokenizer}") as judge:
            judgments = list(judge.judge(CASES[:5]))
        without = Judge("scalar", f"{server.uri}&values=sglang")
        with without as judge, pytest.raises(BadInput, match="values=sglang&tokenizer=DIR"):
            list(judge.judge(CASES[:1]))
    assert [judgment.failure for judgment in judgments] == [None] * 5
    assert len(seen) == 10
    assert all(isinstance(ids, list) and all(isinstance(token, int) for token in ids) for ids in seen)


# ---- faults

FAULTS = "429=0.05,500=0.05,reset=0.05,truncated=0.05,stall=0.05,400=0.05,empty=0.03,no_choices=0.02,slow=0.02"


def test_under_faults_nothing_is_lost_doubled_or_made_up(tmp_path: Path) -> None:
    cases = list(world.make(3, "test", 200))
    with serve_in_thread(answer=by_content, faults=Faults.parse(FAULTS, retry_after=0), seed=5) as server:
        uri = server.uri + "&timeout=1&backoff=0.01&retries=20"
        judgments = judged(uri, cases, journal=tmp_path / "j")
        permanent = [record for record in server.requests.values() if "400" in record.faults]
        assert sum(len(record.faults) for record in server.requests.values()) > 40
        assert len(server.requests) == len(cases)
    assert [judgment.case_id for judgment in judgments] == [case.id for case in cases]
    failed = [judgment.failure for judgment in judgments if judgment.failure is not None]
    assert len(failed) == len(permanent) > 0
    assert {failure.kind for failure in failed} == {"engine_error"}
    for verdict in verdicts(judgments):
        if not isinstance(verdict.outcome, Failure):
            assert verdict.outcome == Winner(verdict.order[verdict.completion.text == B])
    assert len(list(read_journal(tmp_path / "j"))) == len(cases) - len(failed)


def test_a_pause_that_the_server_asks_for_is_kept() -> None:
    times: list[float] = []

    async def later(request: web.Request) -> web.StreamResponse:
        times.append(time.monotonic())
        if len(times) == 1:
            return web.Response(status=429, headers={"Retry-After": "1"})
        return answer(A)

    with odd_server(later) as url:
        assert complete(url + "?backoff=0.001", prompt())[0].text == A
    assert times[1] - times[0] >= 1.0


def test_a_stalled_request_ends() -> None:
    with serve_in_thread(faults="stall=1") as server:
        (done,) = complete(server.uri + "&timeout=0.1&retries=1" + QUICK, prompt())
        (record,) = server.requests.values()
        assert record.attempts == 2
    assert done.finish == "error"
    assert "no answer in time" in (done.error or "")


def test_all_attempts_together_have_an_end_too() -> None:
    with serve_in_thread(faults="500=1") as server:
        began = time.monotonic()
        (done,) = complete(server.uri + "&total=0.5&retries=1000" + QUICK, prompt())
        assert time.monotonic() - began < 10
    assert "500" in (done.error or "")


def test_another_server_takes_over() -> None:
    with serve_in_thread(answer=by_content) as good, serve_in_thread(answer=by_content) as bad:
        pool = f"{good.url},{bad.url}?model=judge{QUICK}"
        with Judge("rm_r1", pool) as judge:
            first = list(judge.judge(CASES[:30]))
            assert bad.requests and good.requests
            stop(bad)
            second = list(judge.judge(CASES[30:]))
    assert not [judgment.failure for judgment in first + second if judgment.failure]


def stop(server: Server) -> None:
    """Make a server refuse whatever comes."""
    loop = server._runner.server._loop  # type: ignore[union-attr]
    asyncio.run_coroutine_threadsafe(server._runner.cleanup(), loop).result()  # type: ignore[union-attr]


def test_a_pool_opens_as_long_as_one_server_is_there() -> None:
    with serve_in_thread(answer=A) as server:
        judgments = judged(f"http://127.0.0.1:9/v1,{server.url}?model=judge{QUICK}", CASES[:3])
    assert all(judgment.failure is None for judgment in judgments)


# ---- the end of a run


@pytest.mark.parametrize(("status", "said"), [(401, "HTTP 401"), (403, "HTTP 403"), (404, "HTTP 404")])
def test_a_key_or_model_that_goes_bad_ends_the_run_and_keeps_the_journal(
    tmp_path: Path, status: int, said: str
) -> None:
    count = 0

    async def goes_bad(request: web.Request) -> web.StreamResponse:
        nonlocal count
        count += 1
        return answer(A) if count <= 20 else web.json_response({"error": "no more"}, status=status)

    with odd_server(goes_bad) as url:
        with pytest.raises(EngineUnavailable, match=f"in a row failed: {said}"):
            judged(f"{url}?concurrency=4{QUICK}", journal=tmp_path / "j")
        assert len(list(read_journal(tmp_path / "j"))) == 20
        count = -1000
        assert len(judged(f"{url}?concurrency=4", journal=tmp_path / "j")) == len(CASES)
        assert count == -1000 + len(CASES) - 20


def test_a_single_case_that_is_refused_does_not_end_the_run() -> None:
    async def picky(request: web.Request) -> web.StreamResponse:
        said = await request.json()
        if "case 3" in json.dumps(said):
            return web.json_response({"error": {"message": "not this one"}}, status=400)
        return answer(*[A] * said.get("n", 1))

    cases = [Case(str(i), (Message("user", f"case {i}"),), ("a", "b")) for i in range(6)]
    with odd_server(picky) as url:
        judgments = judged(f"{url}?concurrency=1", cases, "vote:k=8")
    assert [judgment.failure is None for judgment in judgments] == [i != 3 for i in range(6)]


def test_tokens_per_minute_are_those_that_the_server_counted() -> None:
    async def many(request: web.Request) -> web.StreamResponse:
        return answer(A, usage={"prompt_tokens": 50_000, "completion_tokens": 1})

    async def main(url: str) -> None:
        engine = Http(f"{url}?tpm=1000")
        await engine.open()
        await engine.generate([prompt("one")])
        next_one = asyncio.create_task(engine.generate([prompt("two")]))
        done, _ = await asyncio.wait([next_one], timeout=0.3)
        assert not done
        next_one.cancel()
        await engine.close()

    with odd_server(many) as url:
        asyncio.run(main(url))


def test_a_server_that_refuses_every_case_ends_the_run() -> None:
    async def refuses(request: web.Request) -> web.StreamResponse:
        return web.json_response({"error": {"message": "unknown field 'seed'"}}, status=400)

    with odd_server(refuses) as url, pytest.raises(EngineUnavailable, match="unknown field 'seed'"):
        judged(f"{url}?concurrency=4")


def test_a_budget_is_never_exceeded_and_the_rest_says_so(tmp_path: Path) -> None:
    with serve_in_thread(answer=f"some words of reason {A}") as server:
        judgments = judged(
            server.uri, strategy="vote:k=2", budget=Budget(max_tokens=12_000), max_tokens=100, journal=tmp_path / "j"
        )
        paid = sum((record.completion.usage for record in read_journal(tmp_path / "j")), Usage())
    assert 2000 < paid.prompt_tokens + paid.completion_tokens <= 12_000
    refused = [judgment.failure for judgment in judgments if judgment.failure]
    assert refused and all(f.kind == "engine_error" and "budget of 12,000 tokens" in f.detail for f in refused)
    assert any(judgment.failure is None for judgment in judgments)


def test_a_price_must_be_known_before_the_first_call() -> None:
    budget = Budget(max_cost=1.0, prices={"other": Price(1, 1)})
    with serve_in_thread() as server, pytest.raises(BadInput, match="the price file has no 'judge'"):
        judged(server.uri, budget=budget)


def test_a_key_is_in_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", "sk-very-secret")
    with serve_in_thread(api_key="sk-very-secret") as server:
        assert judged(server.uri + "&key=SOME_KEY", CASES[:3], journal=tmp_path / "j")[0].failure is None
    for file in tmp_path.iterdir():
        assert b"sk-very-secret" not in file.read_bytes()


# ---- length


def long_case(letters: int) -> Case:
    return Case("long", (Message("user", "Which is better?"),), ("a word " * (letters // 7), "short"), gold=(1, 0))


def test_a_case_that_is_too_long_fails_or_loses_its_middle(tmp_path: Path) -> None:
    with serve_in_thread(answer=A, max_model_len=2000) as server:
        (failed,) = judged(server.uri, [long_case(40_000)])
        assert failed.failure is not None and failed.failure.kind == "too_long"
        journal = tmp_path / "j"
        (cut,) = judged(server.uri, [long_case(40_000)], journal=journal, too_long="middle")
        assert cut.failure is None
        (verdict,) = cut.verdicts
        assert verdict.completion.cut > 10_000
        (whole,) = judged(server.uri, [long_case(700)], too_long="middle")
        assert whole.verdicts[0].completion.cut == 0
    assert next(read_journal(journal)).completion.cut == verdict.completion.cut


def test_the_answer_is_never_asked_to_be_longer_than_the_model() -> None:
    with serve_in_thread(answer=A, max_model_len=700) as server:
        assert complete(server.uri, prompt())[0].text == A


def test_the_packaged_judge_behind_a_server_gives_its_own_verdicts() -> None:
    cases = CASES[:8]
    with serve_in_thread(engine="embedded") as server:
        served = judged(server.uri, cases, "vote:k=2")
    assert [judgment.failure for judgment in served] == [None] * len(cases)
    assert [judgment.winner for judgment in served] == [judgment.winner for judgment in judged("embedded", cases)]


def test_an_answer_gets_what_room_the_prompt_leaves() -> None:
    limits = []

    async def full(request: web.Request) -> web.StreamResponse:
        limits.append((await request.json())["max_tokens"])
        if limits[-1] > 1000:
            said = "maximum context length is 4096 tokens. However, you requested 11288 tokens (3096 in the messages, "
            return web.json_response({"message": f"This model's {said}8192 in the completion)."}, status=400)
        return answer(A)

    with odd_server(full) as url:
        assert complete(url, prompt(sampling=Sampling(max_tokens=8192)))[0].text == A
    assert limits == [8192, 1000]


# ---- before the first case

WRONG = {
    "nobody there": ("http://127.0.0.1:9/v1", {}, "no server answers at http://127.0.0.1:9/v1"),
    "wrong path": ("{root}/api/v9", {}, "usually ends in /v1"),
    "a web page": ("{url}", {"html": True}, "HTML page"),
    "wrong model": ("{url}?model=gpt-9", {}, "has no model 'gpt-9'; it serves judge"),
    "no key": ("{url}", {"api_key": "k"}, "wants a key: put it in the environment as THINKSCORE_API_KEY"),
    "wrong key": ("{url}?key=BAD_KEY", {"api_key": "k"}, "refuses the key in BAD_KEY"),
}


@pytest.mark.parametrize(("uri", "options", "message"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_with_a_server_is_said_at_once(
    uri: str, options: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("THINKSCORE_API_KEY", raising=False)
    monkeypatch.setenv("BAD_KEY", "other")
    with serve_in_thread(**options) as server:
        address = uri.format(url=server.url, root=server.url.removesuffix("/v1"))
        with pytest.raises(EngineUnavailable) as caught:
            judged(address, CASES[:1])
        assert not server.requests
    assert message in str(caught.value)


def test_a_server_without_a_list_of_models_is_asked_one_token() -> None:
    async def nothing(request: web.Request) -> web.StreamResponse:
        return web.json_response({"detail": "Not Found"}, status=404)

    async def chat(request: web.Request) -> web.StreamResponse:
        return answer(A)

    with odd_server(chat, nothing) as url:
        assert judged(url + "?model=m", CASES[:1])[0].failure is None
        with pytest.raises(EngineUnavailable, match="does not answer as an OpenAI-compatible API"):
            judged(url, CASES[:1])

    async def drops(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    with (
        odd_server(drops, nothing) as url,
        pytest.raises(EngineUnavailable, match="does not answer as an OpenAI-compatible API"),
    ):
        judged(url + "?model=m", CASES[:1])


def test_log_probabilities_of_other_tokens_are_a_problem_of_the_answer() -> None:
    for logprobs in ([None, {"7": {"logprob": -1}}], [None]):
        with pytest.raises(BadInput, match="not those of the prompt's tokens"):
            read_whole({"prompt_token_ids": [1, 2], "prompt_logprobs": logprobs})


def test_a_pool_of_different_models_is_refused() -> None:
    with (
        serve_in_thread(model="a") as one,
        serve_in_thread(model="b") as two,
        pytest.raises(EngineUnavailable, match="must serve one model; got a, b"),
    ):
        judged(f"{one.url},{two.url}", CASES[:1])
