"""Every file of a plug-in folder keeps the promises of its seam. A new file is tested by existing."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Mapping, Sequence

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thinkscore import plugins
from thinkscore.engines._base import Engine
from thinkscore.errors import BadInput, ThinkscoreError
from thinkscore.lab import world
from thinkscore.protocols._base import Protocol
from thinkscore.protocols._meta import Form
from thinkscore.scaling._base import Ask, Move, State, Strategy, parse_strategy
from thinkscore.scaling._driver import at_once, decide
from thinkscore.types import (
    Case,
    Completion,
    Criterion,
    Failure,
    Judgment,
    Line,
    Message,
    Note,
    Outcome,
    Prompt,
    Sampling,
    Scores,
    Tie,
    Trace,
    Usage,
    Verdict,
    Winner,
)

PROTOCOLS = plugins.names("protocols")
ENGINES = [(folder, name) for folder in ("engines", "doubles") for name in plugins.names(folder)]
STRATEGIES = plugins.names("scaling")
PARSERS = [(name, parser) for name in PROTOCOLS for parser in plugins.load("protocols", name, Protocol).parsers]
ORDERS = [(0, 1), (1, 0)]
QUESTION = (Message("user", "What is 2 + 2? Answer with one number."),)
CASE = Case("sum", QUESTION, ("The answer is 4.", "The answer is 5."), gold=(1.0, 0.0))
TRACE = Trace(
    task=Line("Chat"),
    thinking=(Line("Both are short."), Line("One is right.")),
    rubric=(Criterion("the number is right", weight=3.0), Criterion("one number only", weight=1.0)),
    justification=(Line("Only the number was asked for."),),
    solution=(Line("2 + 2 is 4."),),
    evaluation=(
        Note("The answer is 4.", candidate=0, quote=True),
        Note("right", candidate=0),
        Note("The answer is 5.", candidate=1, quote=True),
        Note("wrong", candidate=1),
    ),
)


def protocol(name: str) -> Protocol:
    return plugins.load("protocols", name, Protocol)()


def best(outcome: Outcome) -> int | None:
    """Name the one best candidate; None for a tie or a failure."""
    if isinstance(outcome, Winner):
        return outcome.winner
    if isinstance(outcome, Scores):
        given_scores = [score for score in outcome.scores if score is not None]
        top = [i for i, score in enumerate(outcome.scores) if score == max(given_scores)]
        return top[0] if len(top) == 1 else None
    return None


def read(asked: Protocol, text: str, order: Sequence[int] = (0, 1), finish: str = "stop") -> Outcome:
    return asked.parse(Completion(text=text, finish=finish), asked.render(CASE, order)).outcome  # type: ignore[arg-type]


def without_detail(outcome: Outcome) -> Outcome:
    """Forget the sentence of a failure; its kind is what an example states."""
    return Failure(outcome.kind) if isinstance(outcome, Failure) else outcome


def expressible(asked: Protocol) -> list[Outcome]:
    """List the outcomes over two candidates that a protocol can write: of everybody's, and of its own examples."""
    outcomes: list[Outcome] = []
    own = [example.outcome for example in asked.examples]
    for outcome in (Winner(0), Winner(1), Tie(), Scores((8.0, 3.0)), Scores((2.0, 9.0)), Scores((5.0, 5.0)), *own):
        try:
            asked.write(outcome, TRACE, (0, 1))
        except BadInput:
            continue
        outcomes.append(outcome)
    return outcomes


# ---- protocols


@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_protocol_file_is_one_whole_class(name: str) -> None:
    loaded = plugins.load("protocols", name, Protocol)
    assert issubclass(loaded, Protocol)
    assert not inspect.isabstract(loaded)
    assert loaded().id == name
    least, most = loaded.arity
    assert 1 <= least <= most


@pytest.mark.parametrize(("name", "parser"), PARSERS)
def test_examples_are_read_as_stated(name: str, parser: str) -> None:
    asked = plugins.load("protocols", name, Protocol)(parser=parser)
    prompt = asked.render(CASE, (0, 1))
    for example in asked.examples:
        stated = example.others.get(parser, example.outcome)
        said = Completion(example.text, example.reasoning, example.finish)
        assert without_detail(asked.parse(said, prompt).outcome) == without_detail(stated), example


@pytest.mark.parametrize(("name", "parser"), [pair for pair in PARSERS if pair[1] != "strict"])
def test_examples_show_where_parsers_disagree(name: str, parser: str) -> None:
    examples = plugins.load("protocols", name, Protocol).examples
    differ = [example.others[parser] for example in examples if parser in example.others]
    assert any(isinstance(outcome, Failure) for outcome in differ), "reads less than we do"
    assert any(not isinstance(outcome, Failure) for outcome in differ), "reads more than we do, or something else"
    assert not [example for example in examples if set(example.others) - {p for n, p in PARSERS if n == name}]
    assert not [example for example in examples if example.outcome in example.others.values()], "no disagreement"


@pytest.mark.parametrize("name", PROTOCOLS)
def test_an_unknown_parser_is_refused_with_the_known_ones(name: str) -> None:
    with pytest.raises(BadInput, match=f"{name} has the parsers strict"):
        plugins.load("protocols", name, Protocol)(parser="lenient")


@pytest.mark.parametrize("name", PROTOCOLS)
def test_examples_show_verdicts_and_failures(name: str) -> None:
    outcomes = [example.outcome for example in protocol(name).examples]
    assert {best(outcome) for outcome in outcomes} >= {0, 1}
    assert {outcome.kind for outcome in outcomes if isinstance(outcome, Failure)} >= {"no_verdict", "truncated"}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_prompt_carries_case_order_and_protocol(name: str, order: tuple[int, ...]) -> None:
    prompt = protocol(name).render(CASE, order)
    assert (prompt.case, prompt.protocol, prompt.order) == (CASE, name, order)
    seen = [*prompt.messages, *(message for talk in prompt.conversations for message in talk)]
    shown = "\n".join(message.content for message in seen)
    places = [shown.index(CASE.candidates[i]) for i in order]
    assert places == sorted(places)
    assert QUESTION[0].content in shown


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("name", PROTOCOLS)
def test_verdicts_of_a_prompt_are_read_as_their_place(name: str, order: tuple[int, ...]) -> None:
    asked = protocol(name)
    texts = asked.render(CASE, order).verdicts
    assert [best(read(asked, text, order)) for text in texts] == list(order)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("name", PROTOCOLS)
def test_parse_inverts_write(name: str, order: tuple[int, ...]) -> None:
    asked = protocol(name)
    outcomes = expressible(asked)
    assert {best(outcome) for outcome in outcomes} >= {0, 1}
    for outcome in outcomes:
        text = asked.write(outcome, TRACE, order)
        verdict = asked.parse(Completion(text=text), asked.render(CASE, order))
        assert verdict.outcome == outcome, text
        again = asked.write(verdict.outcome, verdict.trace, order)
        assert again == text
        asked_for = " ".join(message.content for message in asked.render(CASE, order).messages)
        for line in verdict.trace.lines():
            stated = line.span == (0, 0) and line.text in asked_for  # criteria that were given, not found
            assert stated or any(line.text.startswith(said.text) for said in TRACE.lines()), line


@pytest.mark.parametrize("name", PROTOCOLS)
def test_spans_point_at_what_was_written(name: str) -> None:
    asked = protocol(name)
    text = asked.write(expressible(asked)[0], TRACE, (0, 1))
    verdict = asked.parse(Completion(text=text), asked.render(CASE, (0, 1)))
    asked_for = " ".join(message.content for message in asked.render(CASE, (0, 1)).messages)
    for line in verdict.trace.lines():
        start, end = line.span
        assert text[start:end].startswith(line.text) or (line.span == (0, 0) and line.text in asked_for), line


@pytest.mark.parametrize("name", PROTOCOLS)
def test_failures_cannot_be_written(name: str) -> None:
    with pytest.raises(BadInput):
        protocol(name).write(Failure("no_verdict"), TRACE, (0, 1))


@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_failed_call_is_a_failure(name: str) -> None:
    asked = protocol(name)
    prompt = asked.render(CASE, (0, 1))
    for text in ("", prompt.verdicts[0]):
        outcome = asked.parse(Completion(text=text, finish="error", error="refused"), prompt).outcome
        assert isinstance(outcome, Failure)
        assert outcome.kind == "engine_error"


@pytest.mark.parametrize("name", PROTOCOLS)
@settings(max_examples=60, deadline=None, derandomize=True)
@given(data=st.data())
def test_any_text_is_read_without_raising(name: str, data: st.DataObject) -> None:
    asked = protocol(name)
    pieces = [piece for example in asked.examples for piece in (example.text, example.text[: len(example.text) // 2])]
    parts = data.draw(st.lists(st.sampled_from(pieces) | st.text(max_size=30), max_size=5))
    finish = data.draw(st.sampled_from(["stop", "length"]))
    outcome = read(asked, "".join(parts), finish=finish)
    if isinstance(outcome, Winner):
        assert outcome.winner in (0, 1)
    if isinstance(outcome, Scores):
        assert len(outcome.scores) == 2


@pytest.mark.parametrize("name", PROTOCOLS)
def test_too_few_or_many_candidates_are_refused(name: str) -> None:
    asked = protocol(name)
    least, most = asked.arity
    with pytest.raises(BadInput):
        asked.render(CASE, ())
    for n in {least - 1, most + 1} - {0}:
        if n < 100:
            with pytest.raises(BadInput):
                asked.render(Case("n", QUESTION, tuple(f"reply {i}" for i in range(n))), range(n))


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_forced_reading_leads_into_the_verdicts(name: str, order: tuple[int, ...]) -> None:
    asked = protocol(name)
    prompt = asked.render(CASE, order)
    thought = "Both are short.\nOne is right."
    if prompt.conversations:  # a scalar head writes nothing that a verdict could be forced after
        with pytest.raises(BadInput):
            asked.readout(prompt, thought)
        return
    readout = asked.readout(prompt, thought)
    stem = readout.prefill.removeprefix(thought).lstrip("\n")
    labels = [
        max((c for c in readout.continuations.values() if text.startswith(stem + c)), key=len, default="")
        for text in prompt.verdicts
    ]
    assert all(labels), f"{stem!r} + {labels} leads into none of {prompt.verdicts}"
    assert len(set(labels)) == len(labels)


@pytest.mark.parametrize("name", PROTOCOLS)
def test_reward_pays_only_what_gold_confirms(name: str) -> None:
    asked = protocol(name)
    prompt = asked.render(CASE, (0, 1))
    right, wrong = (asked.parse(Completion(text=text), prompt) for text in prompt.verdicts)
    unread = asked.parse(Completion(text="", finish="length"), prompt)
    paid = [asked.reward(verdict, (1.0, 0.0)) for verdict in (right, wrong, unread)]
    assert paid[0] > paid[1]
    assert paid[2] <= paid[1]
    assert all(isinstance(value, float) for value in paid)


# ---- engines


def prompts() -> list[Prompt]:
    """Make prompts that differ in case, order and protocol, so that a wrong order of answers shows."""
    decided = (case for case in world.make(7, "test", 100) if case.gold and case.gold[0] != case.gold[1])
    written = [name for name in PROTOCOLS if not protocol(name).render(CASE, (0, 1)).conversations]
    made = [
        protocol(name).render(case, order) for name, case in zip(written, decided, strict=False) for order in ORDERS
    ]
    assert len(made) == len(written) * len(ORDERS)
    short = Sampling(max_tokens=24)
    return [msgspec.structs.replace(prompt, seed=seed, sampling=short) for seed, prompt in enumerate(made)]


def with_engine(folder: str, name: str, *batches: Sequence[Prompt]) -> list[list[Completion]]:
    """Open an engine from its name alone and complete each batch; skip one that needs more, if it says so plainly."""

    async def run() -> list[list[Completion]]:
        try:
            engine = plugins.load(folder, name, Engine)("")
            await engine.open()
        except ThinkscoreError as error:
            assert str(error).strip()
            pytest.skip(f"{name}: {error}")
        try:
            return [await engine.generate(batch) for batch in batches]
        finally:
            await engine.close()

    return asyncio.run(run())


def said(completions: Sequence[Completion]) -> list[tuple[str, str, str | None]]:
    return [(completion.text, completion.finish, completion.error) for completion in completions]


@pytest.mark.parametrize(("folder", "name"), ENGINES)
def test_an_engine_file_is_one_whole_class(folder: str, name: str) -> None:
    loaded = plugins.load(folder, name, Engine)
    assert issubclass(loaded, Engine)
    assert not inspect.isabstract(loaded)
    assert loaded.batch >= 1
    assert loaded.parallel >= 1


@pytest.mark.parametrize(("folder", "name"), ENGINES)
def test_an_engine_answers_in_order(folder: str, name: str) -> None:
    asked = prompts()
    straight, turned, nothing = with_engine(folder, name, asked, [*asked[1:], asked[0]], [])
    assert len(straight) == len(asked)
    assert len(set(said(straight))) > 1, "all answers are the same: an order could not show"
    assert said(turned) == [*said(straight)[1:], said(straight)[0]]
    assert nothing == []


@pytest.mark.parametrize(("folder", "name"), ENGINES)
def test_one_bad_item_spoils_no_other(folder: str, name: str) -> None:
    good = prompts()[:2]
    endless = msgspec.structs.replace(good[0], messages=(Message("user", "2 + 2 is 4. " * 50_000),), seed=7)
    (alone,), (first, bad, last) = with_engine(folder, name, good[:1], [good[0], endless, good[1]])
    assert said([first]) == said([alone])
    assert isinstance(bad, Completion)
    assert isinstance(last, Completion)
    assert last.finish != "error"


@pytest.mark.parametrize(("folder", "name"), ENGINES)
def test_an_answer_starts_with_its_prefill(folder: str, name: str) -> None:
    asked = [msgspec.structs.replace(prompt, prefill="First, ") for prompt in prompts()[:2]]
    (answers,) = with_engine(folder, name, asked)
    assert all(answer.text.startswith("First, ") or answer.finish == "error" for answer in answers)
    assert all((answer.error is not None) == (answer.finish == "error") for answer in answers)


# ---- strategies


GOLD = {2: (0.0, 1.0), 3: (0.0, 1.0, 0.5)}


def case_of(n: int) -> Case:
    return Case(f"of-{n}", QUESTION, tuple(f"reply {i}" for i in range(n)), gold=GOLD[n])


def answer(case: Case, order: tuple[int, ...], *, readable: bool = True) -> Verdict:
    """Answer one ask with what gold says about the candidates shown, or with a failure."""
    gold = case.gold or ()
    outcome = Winner(max(order, key=lambda i: gold[i])) if readable else Failure("no_verdict")
    return Verdict(case.id, order, outcome, Trace(), Completion("x", usage=Usage(calls=1, completion_tokens=3)))


class Agreeing:
    """Answers every question as gold does, or not at all."""

    def __init__(self, readable: bool) -> None:
        self.readable = readable

    async def ask(self, case: Case, asks: Sequence[Ask]) -> list[Verdict]:
        for ask in asks:
            assert len(set(ask.order)) == len(ask.order) and set(ask.order) <= set(range(len(case.candidates)))
        found = [answer(case, ask.order, readable=self.readable) for ask in asks]
        return [msgspec.structs.replace(one, by=ask.by) for one, ask in zip(found, asks, strict=True)]

    async def weigh(self, case: Case, verdicts: Mapping[int, Verdict], form: Form) -> list[Verdict]:
        values = {place: -float(place) if self.readable else None for place in verdicts}
        return [
            msgspec.structs.replace(verdict, value=values[place], looked=Usage()) for place, verdict in verdicts.items()
        ]

    async def read(self, case: Case, verdicts: Mapping[int, Verdict]) -> list[Verdict]:
        return [
            msgspec.structs.replace(verdict, expected=self._expected(case, verdict), looked=Usage())
            for verdict in verdicts.values()
        ]

    def _expected(self, case: Case, verdict: Verdict) -> tuple[float, ...] | None:
        won = verdict.outcome
        return tuple(float(i == won.winner) for i in range(len(case.candidates))) if isinstance(won, Winner) else None


class Pure(Strategy):
    """Watches that a step depends on its arguments alone, and never wants nothing."""

    def __init__(self, strategy: Strategy) -> None:
        self.strategy = strategy

    def step(self, state: State, left: int | None = None) -> Move:
        move = self.strategy.step(state, left)
        assert move == self.strategy.step(state, left)
        assert move, "a strategy that wants nothing stops"
        return move

    def fold(self, case: Case, verdicts: Sequence[Verdict], stop_reason: str) -> Judgment:
        return self.strategy.fold(case, verdicts, stop_reason)


def drive(strategy: Strategy, case: Case, *, readable: bool, left: int | None = None) -> Judgment:
    """Ask what a strategy wants until it stops, at most `left` verdicts, and fold."""
    return at_once(decide(Pure(strategy), case, Agreeing(readable), seed=5, most=left))


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_strategy_reads_its_own_text(name: str) -> None:
    strategy = parse_strategy(name)
    assert type(strategy) is plugins.load("scaling", name, Strategy)
    assert parse_strategy(str(strategy)) == strategy


@pytest.mark.parametrize("n", GOLD)
@pytest.mark.parametrize("name", STRATEGIES)
def test_a_strategy_follows_verdicts_that_agree(name: str, n: int) -> None:
    judgment = drive(parse_strategy(name), case_of(n), readable=True)
    assert judgment.winner == 1
    assert judgment.scores is not None and len(judgment.scores) == n
    assert judgment.scores[1] == max(judgment.scores)
    assert judgment.confidence is not None and 0 <= judgment.confidence <= 1
    assert judgment.failure is None
    assert judgment.stop_reason


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_strategy_makes_nothing_of_failures(name: str) -> None:
    judgment = drive(parse_strategy(name), case_of(2), readable=False)
    assert (judgment.scores, judgment.winner, judgment.confidence) == (None, None, None)
    assert isinstance(judgment.failure, Failure)


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_failure_votes_for_nobody(name: str) -> None:
    strategy, case = parse_strategy(name), case_of(3)
    judgment = drive(strategy, case, readable=True)
    lost = answer(case, judgment.verdicts[0].order, readable=False)
    more = strategy.fold(case, [*judgment.verdicts, lost], judgment.stop_reason)
    assert (more.scores, more.winner, more.confidence) == (judgment.scores, judgment.winner, judgment.confidence)
    assert more.verdicts == (*judgment.verdicts, lost)


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_judgment_holds_all_verdicts_and_their_cost(name: str) -> None:
    judgment = drive(parse_strategy(name), case_of(2), readable=True)
    calls = len(judgment.verdicts)
    assert calls >= 1
    assert judgment.usage == Usage(calls=calls, completion_tokens=3 * calls)
    assert (judgment.case_id, judgment.strategy) == ("of-2", str(parse_strategy(name)))


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_strategy_stays_within_its_budget(name: str) -> None:
    assert len(drive(parse_strategy(name), case_of(2), readable=True, left=0).verdicts) == 0
    assert len(drive(parse_strategy(name), case_of(2), readable=True, left=1).verdicts) <= 1


# ---- the folders


def test_the_folders_are_found() -> None:
    assert set(PROTOCOLS) >= {"deepseek_grm", "rm_r1", "rrm", "verdict_only"}
    assert set(ENGINES) >= {("engines", "embedded"), ("engines", "scripted")}
    assert set(STRATEGIES) >= {"vote"}
    names = [*PROTOCOLS, *STRATEGIES, *(name for _, name in ENGINES)]
    assert not [name for name in names if name.startswith("_")]
