"""The authors' ways of reading, on texts that were worked out by hand."""

import json

import pytest

from thinkscore.judge import Judge, make_protocol
from thinkscore.types import Case, Completion, Failure, Message, Scores, Winner

ANSWER_A, ANSWER_B = "<answer>[[A]]</answer>", "<answer>[[B]]</answer>"  # 22 characters each


def read(name, parser, text, finish="stop", n=2, **more):
    protocol = make_protocol(name, parser=parser)
    case = Case("c", (Message("user", "which?"),), tuple(f"reply {i}" for i in range(n)))
    completion = Completion(text, finish=finish, **more)
    outcome = protocol.parse(completion, protocol.render(case, tuple(range(n)))).outcome
    return outcome.kind if isinstance(outcome, Failure) else outcome


@pytest.mark.parametrize(("name", "end"), [("rm_r1", "<|im_end|>"), ("rm_r1_think", "<｜end▁of▁sentence｜>")])
def test_the_reward_reads_80_characters_of_which_the_end_of_turn_is_a_part(name, end):
    fits = "." * (80 - 22 - len(end))
    for closing in ("", end):  # a server leaves the end of turn out, or not
        assert read(name, "official_reward", f"{ANSWER_A}{fits}{closing}") == Winner(0)
        assert read(name, "official_reward", f"{ANSWER_A}{fits}.{closing}") == "no_verdict"


def test_a_text_that_was_cut_has_no_end_of_turn():
    assert read("rm_r1", "official_reward", ANSWER_A + "." * 58, "length") == Winner(0)
    assert read("rm_r1", "official_reward", ANSWER_A + "." * 59, "length") == "truncated"


def test_models_end_their_turns_with_different_lengths():
    text = ANSWER_A + "." * 45
    assert read("rm_r1", "official_reward", text) == Winner(0)
    assert read("rm_r1_think", "official_reward", text) == "no_verdict"


@pytest.mark.parametrize("name", ["rm_r1", "rm_r1_think"])
def test_the_window_holds_the_verdict_alone(name):
    assert read(name, "official_reward", f"{ANSWER_A}{'.' * 60}{ANSWER_B}") == Winner(1)
    assert read(name, "official_reward", f"{ANSWER_A} {ANSWER_B}") == "ambiguous"
    assert read(name, "official_reward", "[[A]]") == "no_verdict"
    assert read(name, "official_reward", "<answer> [[A]] </answer>") == "no_verdict"


@pytest.mark.parametrize("name", ["rm_r1", "rm_r1_think"])
def test_the_evaluation_reads_thinking_whether_it_came_apart_or_not(name):
    assert read(name, "official_eval", f"<think>[[B]]?</think>{ANSWER_A}") == "ambiguous"
    assert read(name, "official_eval", ANSWER_A, reasoning="[[B]]?") == "ambiguous"
    assert read(name, "official_eval", "fine", reasoning="so [[B]]") == Winner(1)
    assert read(name, "official_eval", "So [[A]], I think") == Winner(0)
    assert read(name, "official_eval", "[[ A ]]") == "no_verdict"
    assert read(name, "official_eval", "still thinking", "length") == "truncated"


def test_thinking_that_came_apart_fills_the_window_of_the_reward_as_the_authors_saw_it():
    thought = f"so {ANSWER_B}"
    # in front of the answer stand "\n</think>\n\n", 11 characters: with 22 + 11 + 22 + 10 both verdicts are in the 80
    assert read("rm_r1", "official_reward", ANSWER_A, reasoning=thought) == "ambiguous"
    assert read("rm_r1", "official_reward", "." * 15 + ANSWER_A, reasoning=thought) == "ambiguous"
    assert read("rm_r1", "official_reward", "." * 16 + ANSWER_A, reasoning=thought) == Winner(0)


BOXES = {  # text: (official_eval, official_reward)
    "<think>a</think>\\boxed{Assistant 1}": (Winner(0), Winner(0)),
    "<think>a</think>\\boxed{Assistant 1} \\boxed{Assistant 2}": (Winner(1), Winner(1)),
    "a</think>\\boxed{Assistant 2}": (Winner(1), "no_verdict"),
    "\\boxed{Assistant 2}": ("no_verdict", "no_verdict"),
    "<think>\\boxed{Assistant 2}</think>fine": ("no_verdict", "no_verdict"),
    "<think>a</think>\\boxed{Assistant 1}</think>": (Winner(0), Winner(0)),
    "<think>a</think>x</think>\\boxed{Assistant 1}": ("no_verdict", "no_verdict"),
    "<think>a</think>\\boxed{ Assistant 1}": ("no_verdict", Winner(0)),
    "<think>a</think>\\boxed{assistant 1}": ("no_verdict", "no_verdict"),
    "<think>a</think>\\boxed{\\textbf{Assistant 2}}": ("no_verdict", Winner(1)),
    "<think>a</think>\\boxed{Solution 2}": ("no_verdict", Winner(1)),
    "<think>a</think>\\boxed{Assistant 12}": ("no_verdict", "no_verdict"),
    "<think>a</think>\\boxed{2}": ("no_verdict", Winner(1)),
    "<think>a</think>\\boxed{3}": ("no_verdict", "no_verdict"),
    "<think>a</think>\\boxed{Assistant 1": ("no_verdict", "no_verdict"),
    "<think>a</think>\\boxed{Assistant 1} and \\boxed": ("no_verdict", "no_verdict"),
    "<think>a</think>\\fbox{Assistant 1}": ("no_verdict", "no_verdict"),
    "<think>a</think>}{\\boxed{Assistant 1}": (Winner(0), Winner(0)),
}


@pytest.mark.parametrize("text", BOXES)
def test_the_authors_of_rrm_read_the_last_box_after_the_first_closing_tag(text):
    assert (read("rrm", "official_eval", text), read("rrm", "official_reward", text)) == BOXES[text]


def test_thinking_that_came_apart_has_both_tags():
    for parser in ("official_eval", "official_reward"):
        assert read("rrm", parser, "\\boxed{Assistant 2}", reasoning="hm") == Winner(1)


LISTS = {
    "Scores: \\boxed{8, 5}": (8.0, 5.0),
    "Scores: \\\\boxed{8, 5}": (8.0, 5.0),
    "Scores: [8, 5]": (8.0, 5.0),
    "\\boxed{8, 5} and then [1, 2]": (1.0, 2.0),
    "\\boxed{8, five, 5}": (8.0, 5.0),
    "\\boxed{ 8.5 ,-5e0 }": (8.5, -5.0),
    "\\boxed{8, 5} [x]": "no_verdict",
    "\\boxed{8, 5} [1]": "wrong_arity",
    "\\boxed{8, 5, 2}": "wrong_arity",
    "\\boxed{nan, 5}": "out_of_range",
    "\\boxed{inf, 5}": "out_of_range",
    "boxed{8, 5}": "no_verdict",
    "": "no_verdict",
}


@pytest.mark.parametrize("text", LISTS)
def test_the_published_reader_of_scores_takes_the_last_list(text):
    outcome = read("deepseek_grm", "official_eval", text)
    assert (outcome.scores if isinstance(outcome, Scores) else outcome) == LISTS[text]


@pytest.mark.parametrize("name", ["rm_r1", "rm_r1_think", "rrm", "deepseek_grm"])
def test_a_failed_call_is_a_failure_to_every_parser(name):
    protocol = make_protocol(name)
    case = Case("c", (Message("user", "which?"),), ("a", "b"))
    verdict = protocol.render(case, (0, 1)).verdicts[0]
    for parser in protocol.parsers:
        assert read(name, parser, verdict, "error", error="refused") == "engine_error"


def test_a_judge_reads_with_the_parser_that_it_is_given(tmp_path):
    file = tmp_path / "texts.jsonl"
    file.write_text(json.dumps({"case_id": "c", "text": f"[[A]] or [[B]]?</think>{ANSWER_A}"}) + "\n")
    case = Case("c", (Message("user", "which?"),), ("a", "b"))
    read = {}
    for parser in ("strict", "official_eval", "official_reward"):
        with Judge("rm_r1", f"replay:{file}", parser=parser) as judge:
            (judgment,) = judge.judge([case])
        read[parser] = judgment.winner if judgment.failure is None else judgment.failure.kind
    assert read == {"strict": 0, "official_eval": "ambiguous", "official_reward": 0}
