"""Training text: inside the closed vocabulary, inside the size budget, held-out questions never in it."""

import pytest
from transformers import AutoTokenizer

from thinkscore.lab import world
from thinkscore.train import _lab_rows, _tokenizer


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    out = tmp_path_factory.mktemp("tokenizer")
    rows = list(_lab_rows.traces(0, 300))
    texts = [text for row in rows for text in (row.messages[0].content.split("\n")[0], row.messages[1].content)]
    _tokenizer.build(
        [*texts, *(row.prefill + row.completion for row in rows), *map("".join, _lab_rows.documents(0, 300))], out
    )
    return AutoTokenizer.from_pretrained(out)


def test_every_text_of_other_seeds_is_inside_the_vocabulary_and_comes_back_exactly(tokenizer):
    texts = [row.messages[1].content + row.prefill + row.completion for row in _lab_rows.traces(9, 500)]
    texts += map("".join, _lab_rows.documents(9, 500))
    for split in ("test", "ood"):
        texts += ["\n".join((case.messages[0].content, *case.candidates)) for case in world.make(9, split, 300, 4)]
    for text in texts:
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        assert tokenizer.unk_token_id not in ids, text
        assert tokenizer.decode(ids) == text


def test_the_chat_template_shows_the_first_line_of_the_instructions_alone(tokenizer):
    messages = [{"role": "system", "content": "Judge.\nLong rules"}, {"role": "user", "content": "Who?"}]
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    assert text == "<|system|>Judge.<|user|>Who?<|assistant|>"


def test_pairs_stay_within_the_size_budget(tokenizer):
    for index in range(1500):
        row = _lab_rows.trace_row(4, index)
        if "response_3" in row.messages[1].content:
            continue
        messages = [{"role": message.role, "content": message.content} for message in row.messages]
        prompt = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        assert len(tokenizer(prompt, add_special_tokens=False)["input_ids"]) <= 160
        assert len(tokenizer(row.prefill + row.completion, add_special_tokens=False)["input_ids"]) + 1 <= 140


def test_a_carried_trace_reads_as_one_trace_with_the_oracle_agreeing(tokenizer):
    carried = [row for row in _lab_rows.traces(6, 400) if row.prefill]
    assert 0.1 < len(carried) / 400 < 0.3
    for row in carried:
        assert row.completion
        assert "\x00" not in row.prefill + row.completion


def test_training_cases_are_training_cases():
    for index in range(300):
        row = _lab_rows.trace_row(2, index)
        question = row.messages[1].content.split("\n")[1]
        found = [(family, family.read(question)) for family in world.FAMILIES.values()]
        family, facts = next((family, facts) for family, facts in found if facts is not None)
        assert world.split_of(family.canonical(facts)) == "train"
