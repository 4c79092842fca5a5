"""The packaged judge: it loads in transformers, decides held-out lab cases rightly, and means what it writes.

The bars are well below what its card states, so that chance does not fail them; the card's numbers come from `runs/`.
"""

import asyncio

import msgspec
import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from thinkscore.engines.embedded import PACKAGED, Embedded
from thinkscore.judge import Judge
from thinkscore.lab import oracle, world
from thinkscore.protocols.rm_r1 import RmR1
from thinkscore.types import Completion, Prompt, Sampling, Winner

GREEDY = Sampling(temperature=0, max_tokens=200)


def prompts(n, seed=31, split="test"):
    protocol = RmR1()
    rendered = [protocol.render(case, (0, 1)) for case in world.make(seed, split, n)]
    return [msgspec.structs.replace(prompt, sampling=GREEDY) for prompt in rendered]


def generated(asked: list[Prompt]) -> list[Completion]:
    async def run():
        engine = Embedded()
        await engine.open()
        try:
            return await engine.generate(asked)
        finally:
            await engine.close()

    return asyncio.run(run())


@pytest.fixture(scope="module")
def reference():
    return AutoModelForCausalLM.from_pretrained(PACKAGED).eval(), AutoTokenizer.from_pretrained(PACKAGED)


def test_it_is_small_and_loads_unchanged_in_transformers(reference):
    model, tokenizer = reference
    assert (PACKAGED / "model.safetensors").stat().st_size < 10_000_000
    assert 1_000_000 < sum(p.numel() for p in model.parameters()) < 2_000_000
    assert model.config.model_type == "qwen3"
    assert model.generation_config.use_cache
    for prompt in prompts(50):
        text = "\n".join((prompt.messages[-1].content, *prompt.verdicts))
        assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_its_greedy_text_and_logprobs_are_those_of_transformers(reference):
    model, tokenizer = reference
    asked = prompts(12)
    for prompt, completion in zip(asked, generated(asked), strict=True):
        messages = [{"role": message.role, "content": message.content} for message in prompt.messages]
        head = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        start = len(tokenizer(head)["input_ids"])
        ids = [*tokenizer(head + completion.text)["input_ids"], tokenizer.eos_token_id]
        with torch.no_grad():
            logprobs = torch.log_softmax(model(torch.tensor([ids])).logits[0].double(), -1)
        top = logprobs[start - 1 : -1].topk(2).values
        chosen = logprobs[start - 1 : -1].gather(1, torch.tensor(ids[start:])[:, None])[:, 0]
        clear = top[:, 0] - top[:, 1] > 1e-3
        assert torch.equal(chosen[clear], top[clear, 0])
        assert np.allclose(chosen.numpy(), completion.logprobs, atol=1e-4)


@pytest.mark.parametrize(
    ("protocol", "bar"),
    [
        ("rm_r1", 0.8),
        pytest.param("rrm", 0.75, marks=pytest.mark.slow),
        pytest.param("deepseek_grm", 0.75, marks=pytest.mark.slow),
    ],
)
def test_it_decides_held_out_pairs_of_a_fresh_seed(protocol, bar):
    with Judge(protocol, "embedded", "vote:k=4", seed=5) as judge:
        judged = list(judge.run(world.make(4242, "test", 60)))
    right = sum(judgment.winner == case.gold.index(max(case.gold)) for case, judgment in judged)
    assert right >= bar * 60
    assert sum(judgment.failure is not None for _, judgment in judged) <= 1


def test_a_wrong_step_turns_the_verdict_where_it_turns_the_oracle():
    """Reasoning cases: end the solution one line early with the number that the worse reply gives."""
    protocol, asked, before = RmR1(), [], []
    for prompt in prompts(150, seed=77):
        case = prompt.case
        if case.tags["family"] != "reasoning":
            continue
        trace, scores = oracle.judge(case, (0, 1))
        worse = scores.index(min(scores))
        wrong = oracle.read(case).answers[worse]
        steps = [line.text for line in trace.solution]
        head, _, _ = steps[-1].rpartition(" ")
        steps[-1] = f"{head} {wrong}"
        prefill = "<type>Reasoning</type>\n<solution>\n" + "\n".join(steps)
        asked.append(msgspec.structs.replace(prompt, prefill=prefill))
        before.append(1 - worse)
    turned = [
        protocol.parse(completion, prompt).outcome == Winner(1 - winner)
        for completion, prompt, winner in zip(generated(asked), asked, before, strict=True)
    ]
    assert len(turned) > 40
    assert sum(turned) >= 0.6 * len(turned)
