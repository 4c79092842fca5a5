"""What vLLM's and SGLang's /classify are sent, and what is read from their replies."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from thinkscore.engines._classify import Sglang, Vllm, classify
from thinkscore.errors import BadInput
from thinkscore.types import Message

TALK = (Message("user", "Tea or coffee?"), Message("assistant", "Tea."))


def vllm_reply(*rows: list[float]) -> object:
    """Write a reply as vLLM 0.33 does."""
    data = [{"index": i, "label": "LABEL_0", "probs": row, "num_classes": len(row)} for i, row in enumerate(rows)]
    usage = {"prompt_tokens": 9, "total_tokens": 9, "completion_tokens": 0}
    reply = {"id": "classify-1", "object": "list", "created": 1, "model": "m", "data": data, "usage": usage}
    return json.loads(json.dumps(reply))


def test_vllm_is_asked_for_raw_values_of_one_conversation() -> None:
    asked = classify("vllm")
    assert (asked.path, asked.many) == ("/classify", 1)
    assert asked.body("m", [TALK]) == {
        "model": "m",
        "messages": [{"role": "user", "content": "Tea or coffee?"}, {"role": "assistant", "content": "Tea."}],
        "use_activation": False,
    }


def test_values_are_read_in_the_order_of_their_index() -> None:
    reply = vllm_reply([-1.5], [3], [0.25])
    assert isinstance(reply, dict)
    reply["data"].reverse()
    assert Vllm().values(reply, 3) == [-1.5, 3.0, 0.25]


@pytest.mark.parametrize(
    "reply",
    [
        vllm_reply([0.2, 0.8]),
        vllm_reply([0.5], [0.5]),
        vllm_reply(),
        {"object": "error", "message": "no such model"},
        {"data": [{"index": 0}]},
        {"data": [{"index": 0, "probs": [None]}]},
        {"data": [{"index": 0, "probs": [True]}]},
        {"data": "text"},
        [],
        None,
    ],
    ids=str,
)
def test_a_reply_without_one_number_per_conversation_is_refused(reply: object) -> None:
    with pytest.raises(BadInput):
        Vllm().values(reply, 1)


def test_sglang_is_sent_tokens_with_one_start_token(scorer: Path) -> None:
    transformers = pytest.importorskip("transformers")
    asked = classify("sglang", str(scorer))
    tokenizer = transformers.AutoTokenizer.from_pretrained(scorer)
    turns = [{"role": message.role, "content": message.content} for message in TALK]
    ids = tokenizer.apply_chat_template(turns, return_dict=False)
    assert asked.body("m", [TALK, TALK]) == {"model": "m", "input_ids": [ids, ids]}
    start = tokenizer.bos_token_id
    as_text = tokenizer(tokenizer.apply_chat_template(turns, tokenize=False))["input_ids"]
    assert (ids.count(start), as_text.count(start)) == (1, 2), "a server that gets the text would read two"


def test_sglang_replies_with_a_list_or_for_one_with_an_object(scorer: Path) -> None:
    asked = Sglang(scorer)
    item = {"embedding": [23.125], "meta_info": {"id": "x", "prompt_tokens": 9, "e2e_latency": 0.1}}
    assert asked.values([item, {"embedding": [-3.5]}], 2) == [23.125, -3.5]
    assert asked.values(item, 1) == [23.125]
    for reply in ([{"embedding": [0.1, 0.2]}], {"error": {"message": "too long"}}, [item, item]):
        with pytest.raises(BadInput):
            asked.values(reply, 1)


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="tokenizer=DIR"):
        classify("sglang")
    with pytest.raises(BadInput, match=r"no tokenizer\.json"):
        classify("sglang", str(tmp_path))
    with pytest.raises(BadInput, match="values=vllm or values=sglang; got 'tgi'"):
        classify("tgi")
