"""Reinforcement learning: the loss by hand, batches that are balanced and alive, rollouts that hang on their seed."""

import json
import math
from functools import partial
from importlib.util import find_spec

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from thinkscore.errors import BadInput, MissingExtra
from thinkscore.lab import world
from thinkscore.protocols.deepseek_grm import DeepseekGrm
from thinkscore.protocols.rm_r1 import RmR1
from thinkscore.train import _rl_rows, lab_judge
from thinkscore.train._grpo import JudgeTrainer
from thinkscore.train._rewards import Reward
from thinkscore.train._rollouts import decode, decoder
from thinkscore.train._run import Settings
from thinkscore.train.rl import Rl, _config, train_rl
from thinkscore.types import Case, Message

CASES = [world.make_case(2, "train", i) for i in range(40)]
SETTINGS = Settings(
    learning_rate=1e-3, batch_size=16, micro_batch=16, steps=2, seed=1, threads=1, save_steps=0, progress=False
)
PLAN = Rl(prompts=4, group=4, max_tokens=24, rounds=1)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    out = tmp_path_factory.mktemp("tiny")
    recipe = lab_judge.Recipe(seed=1, threads=1, documents=30, hidden=32, layers=1, heads=2, feed_forward=48)
    lab_judge.pretrain(out, recipe)
    return out


@pytest.fixture(scope="module")
def tokenizer(base):
    return AutoTokenizer.from_pretrained(base)


def lengths_that_pay(completions, **_):
    """Pay short texts, so that an untrained model meets both rewards."""
    return [1.0 if len(one[0]["content"]) % 2 else -1.0 for one in completions]


def trainer_of(base, tokenizer, tmp_path, plan=PLAN, settings=SETTINGS, pay=lengths_that_pay):
    model = AutoModelForCausalLM.from_pretrained(base)
    further = _rl_rows.spare(CASES, plan.orders, 1)
    block = 2 if plan.orders == "both" else 1
    return JudgeTrainer(
        model=model,
        reward_funcs=pay,
        args=_config(settings, plan, tmp_path, 2),
        train_dataset=_rl_rows.dataset(RmR1(), _rl_rows.shown(CASES, plan.orders, 1), 16),
        processing_class=tokenizer,
        spare=lambda step, k, old: _rl_rows.rows_of(RmR1(), further(step, k, old[0]["place"])),
        block=block,
        rounds=plan.rounds,
        decoder_workers=1,
    )


def rows_of_a_batch(trainer):
    return list(next(iter(trainer.get_train_dataloader())))


# ---- the loss


def by_hand(new, old, reference, advantages, mask, beta, low, high, kind):
    """GRPO token by token, as the papers write it."""
    total, per_row = 0.0, []
    for b, advantage in enumerate(advantages):
        losses = []
        for t, used in enumerate(mask[b]):
            if not used:
                continue
            ratio = math.exp(new[b][t] - old[b][t])
            clipped = min(max(ratio, 1 - low), 1 + high)
            apart = reference[b][t] - new[b][t]
            k3 = math.exp(apart) - apart - 1
            losses.append(-min(ratio * advantage, clipped * advantage) + beta * k3)
        total += sum(losses)
        per_row.append(sum(losses) / len(losses))
    return sum(per_row) / len(per_row) if kind == "grpo" else total / sum(map(sum, mask))


@pytest.mark.parametrize("kind", ["grpo", "bnpo", "dapo"])
@pytest.mark.parametrize("high", [0.2, 0.28])
def test_the_loss_equals_the_formula_with_clipping_and_kl(base, tokenizer, tmp_path, kind, high):
    plan = Rl(prompts=4, group=4, max_tokens=6, beta=0.5, clip_low=0.2, clip_high=high, loss=kind, rounds=0)
    trainer = trainer_of(base, tokenizer, tmp_path, plan)
    trainer.model.train()
    trainer.current_gradient_accumulation_steps = 1
    generator = torch.Generator().manual_seed(0)
    prompts = torch.randint(6, 40, (3, 5), generator=generator)
    completions = torch.randint(6, 40, (3, 6), generator=generator)
    mask = torch.tensor([[1, 1, 1, 1, 0, 0], [1, 1, 1, 1, 1, 1], [1, 1, 0, 0, 0, 0]])
    held = {"prompt_ids": prompts, "prompt_mask": torch.ones_like(prompts)}
    whole = torch.cat([prompts, completions], 1)
    with torch.no_grad():
        logits = trainer.model(whole).logits[:, 4:-1].log_softmax(-1)
    new = logits.gather(2, completions[..., None])[..., 0]
    old = new + torch.tensor([[0.5, -0.5, 0.1, -0.3, 0, 0], [0.3, -0.3, 0.25, -0.22, 0, 0.4], [-0.6, 0.6, 0, 0, 0, 0]])
    reference = new - 0.3
    advantages = torch.tensor([1.2, -0.7, 0.4])
    got = trainer._compute_loss(
        trainer.model,
        {
            **held, "completion_ids": completions, "completion_mask": mask, "advantages": advantages,
            "old_per_token_logps": old, "ref_per_token_logps": reference, "num_items_in_batch": mask.sum(),
        },
    )  # fmt: skip
    rows = (x.tolist() for x in (new, old, reference, advantages, mask))
    assert got.item() == pytest.approx(by_hand(*rows, 0.5, 0.2, high, kind), abs=1e-5)


def test_advantages_are_rewards_less_the_mean_of_their_group_over_its_deviation(base, tokenizer, tmp_path):
    rewards = [1.0, -1.0, -1.0, -1.0, 1.0, 1.0, -1.0, -1.0] * 2
    trainer = trainer_of(base, tokenizer, tmp_path, Rl(prompts=4, group=4, max_tokens=8, rounds=0),
                         pay=lambda completions, **_: rewards[: len(completions)])  # fmt: skip
    trainer.model.train()
    scored = trainer._generate_and_score_completions(rows_of_a_batch(trainer))
    # mean -0.5, deviation (n - 1) 1; mean 0, deviation 2 / sqrt(3)
    expected = [1.5, -0.5, -0.5, -0.5, *([math.sqrt(3) / 2] * 2), *([-math.sqrt(3) / 2] * 2)] * 2
    assert scored["advantages"].tolist() == pytest.approx(expected, abs=2e-4)


def test_passes_of_like_length_give_the_same_log_probabilities(base, tokenizer, tmp_path, monkeypatch):
    monkeypatch.setattr("thinkscore.train._grpo.PASS", 40)
    trainer = trainer_of(base, tokenizer, tmp_path)
    ids = torch.randint(6, 40, (7, 20), generator=torch.Generator().manual_seed(1))
    mask = torch.ones_like(ids)
    for row, (left, right) in enumerate([(0, 0), (9, 3), (5, 8), (2, 1), (9, 9), (0, 5), (7, 0)]):
        mask[row, :left] = 0
        mask[row, 20 - right :] = 0
    logps, entropies, _ = trainer._get_per_token_logps_and_entropies(trainer.model, ids, mask, 10, compute_entropy=True)
    plain = super(JudgeTrainer, trainer)._get_per_token_logps_and_entropies(
        trainer.model, ids, mask, 10, compute_entropy=True
    )
    used = mask[:, 10:].bool()
    assert torch.allclose(logps[used], plain[0][used], atol=1e-5)
    assert torch.allclose(entropies[used], plain[1][used], atol=1e-5)


def test_a_prompt_read_once_gives_the_same_log_probabilities_and_gradients(base, tokenizer, tmp_path, monkeypatch):
    """Groups of unlike size whose rows are mixed, with padding on both sides; one prompt stands alone."""
    trainer = trainer_of(base, tokenizer, tmp_path)
    generator = torch.Generator().manual_seed(1)
    prompts, group = torch.randint(6, 40, (4, 12), generator=generator), torch.tensor([0, 1, 2, 1, 0, 1, 3, 0, 2])
    ids = torch.cat([prompts[group], torch.randint(6, 40, (9, 8), generator=generator)], 1)
    mask = torch.ones_like(ids)
    for row, right in enumerate([0, 3, 8, 1, 7, 5, 2, 0, 4]):
        mask[row, : [0, 9, 5, 2][group[row]]] = 0
        mask[row, 20 - right :] = 0

    def scored(shares):
        trainer._shares = shares
        logps, entropies, _ = trainer._get_per_token_logps_and_entropies(
            trainer.model, ids, mask, 8, compute_entropy=True
        )
        trainer.model.zero_grad()
        (logps * mask[:, 12:] * torch.arange(9)[:, None]).sum().backward()
        return logps, entropies, [weight.grad.clone() for weight in trainer.model.parameters()]

    read = []
    monkeypatch.setattr(type(trainer.model.base_model), "forward", counted(type(trainer.model.base_model), read))
    once = scored(True)
    assert sum(read) < 0.75 * ids.numel()
    each, used = scored(False), mask[:, 12:].bool()
    assert torch.allclose(once[0][used], each[0][used], atol=1e-5)
    assert torch.allclose(once[1][used], each[1][used], atol=1e-5)
    assert all(torch.allclose(a, b, atol=1e-4) for a, b in zip(once[2], each[2], strict=True))


def counted(kind, read):
    """Note the number of tokens of every call."""
    forward = kind.forward

    def noted(self, input_ids=None, **more):
        read.append(input_ids.numel())
        return forward(self, input_ids=input_ids, **more)

    return noted


# ---- rows


@pytest.mark.parametrize("orders", ["balanced", "both"])
def test_the_best_answer_stands_at_each_place_equally_often_in_every_batch(orders):
    blocks = _rl_rows.shown(CASES, orders, 3)
    for _ in range(30):
        rows = [said for _ in range(8) for said in next(blocks)]
        places = [order.index(max((0, 1), key=lambda i: case.gold[i])) for case, order in rows]
        assert sum(places) * 2 == len(places)


def test_both_orders_of_a_case_stand_side_by_side_and_every_case_comes_once_per_pass():
    blocks = _rl_rows.shown(CASES, "both", 3)
    one_pass = [next(blocks) for _ in CASES]
    assert {block[0][0].id for block in one_pass} == {case.id for case in CASES}
    assert all(a[0] is b[0] and a[1] == tuple(reversed(b[1])) for a, b in one_pass)


def test_several_candidates_are_balanced_too_and_stay_as_they_are_if_asked():
    cases = [world.make_case(2, "train", i, 3) for i in range(30)]
    cases = [case for case in cases if sorted(case.gold)[-1] > sorted(case.gold)[-2]]
    blocks = _rl_rows.shown(cases, "balanced", 0)
    places = [_rl_rows.row(DeepseekGrm(), next(blocks)[0])["place"] for _ in range(9)]
    assert places == [0, 1, 2] * 3
    assert next(_rl_rows.shown(cases, "as_is", 0))[0][1] == (0, 1, 2)


def test_unusable_cases_are_counted_and_none_left_is_an_error(tokenizer):
    odd = [
        Case("a", (Message("user", "?"),), ("x", "y")),
        Case("b", (Message("user", "?"),), ("x", "y"), gold=(1.0, 1.0)),
        Case("c", (Message("user", "?"),), ("x", "y", "z"), gold=(1.0, 0.0, 0.0)),
        Case("d", (Message("user", "tea"),), ("tea", "tea"), gold=(1.0, 0.0)),
        Case("e", (Message("user", "Goethe"),), ("tea", "the sky"), gold=(1.0, 0.0)),
    ]
    kept, left = _rl_rows.usable([*CASES[:3], *odd], Reward(RmR1()), tokenizer, 500)
    assert len(kept) == 3
    assert left == {
        "without gold": 1,
        "without a single best candidate": 1,
        "with 3 candidates": 1,
        "with one text at two golds": 1,
        "with words that the model has no token for": 1,
    }
    with pytest.raises(BadInput, match="none of the 5 cases"):
        _rl_rows.usable(odd, Reward(RmR1()), tokenizer, 500)
    with pytest.raises(BadInput, match="more than 5 tokens"):
        _rl_rows.usable(CASES[:3], Reward(RmR1()), tokenizer, 5)
    with pytest.raises(BadInput, match="fills the 60 tokens that the model reads"):
        _rl_rows.usable(CASES[:3], Reward(RmR1()), tokenizer, 500, 60)


def test_labels_on_another_scale_and_labels_that_are_all_one_are_refused(tokenizer):
    def single(i, gold):
        return Case(f"s{i}", (Message("user", "?"),), (f"answer {i}",), gold=(gold,))

    read = partial(_rl_rows.usable, reward=Reward(DeepseekGrm()), tokenizer=None, max_prompt=500)
    with pytest.raises(
        BadInput,
        match=r"3 of 6 cases cannot be paid; .* gold 0, .* scores from 1 to 10; labels of 0 and 1 need",
    ):
        read([single(i, float(i % 2)) for i in range(6)])
    alike = [single(i, 7.0) for i in range(12)]
    with pytest.raises(BadInput, match="all 12 cases are single responses with gold 7"):
        _rl_rows.split(alike, [], "balanced", read)
    kept, measured, left = _rl_rows.split(
        [single(i, 7.0 + i % 2) for i in range(12)],
        [*alike, Case("s", (Message("user", "?"),), ("a",))],
        "balanced",
        read,
    )
    assert (len(kept), len(measured), left) == (12, 12, {"(held out) without gold": 1})  # measuring needs no variety


# ---- batches


def test_groups_without_a_signal_are_replaced_and_the_shares_are_told(base, tokenizer, tmp_path):
    hopeless = {CASES[i].id for i in range(0, 40, 2)}

    def pay(completions, case, **_):
        alive = [json.loads(row)["id"] not in hopeless for row in case]
        return [float(live and i % 2) for i, live in enumerate(alive)]

    trainer = trainer_of(base, tokenizer, tmp_path, Rl(prompts=4, group=4, max_tokens=8, rounds=12), pay=pay)
    trainer.model.train()
    rows = rows_of_a_batch(trainer)
    filled, drawn = trainer._filled(rows)
    assert len(filled) == len(drawn[0]) == 16
    assert all(json.loads(row["case"])["id"] not in hopeless for row in filled)
    assert [row["place"] for row in filled] == [row["place"] for row in rows], "the balance is kept"
    dead_at_first = sum(json.loads(row["case"])["id"] in hopeless for row in rows[::4])
    metrics = trainer._metrics["train"]
    assert metrics["zero_variance/drawn"] == [dead_at_first / 4]
    assert metrics["zero_variance/trained"] == [0.0]
    assert trainer._filled(rows)[0] == filled, "the same step meets the same further cases"


def test_rewards_of_both_orders_go_together(base, tokenizer, tmp_path):
    seen = []

    def pay(completions, case, order, **_):
        seen.append([(json.loads(row)["id"], tuple(shown)) for row, shown in zip(case, order, strict=True)])
        return [float(i % 2) for i in range(len(completions))]

    plan = Rl(prompts=4, group=4, max_tokens=8, rounds=1, orders="both")
    trainer = trainer_of(base, tokenizer, tmp_path, plan, pay=pay)
    trainer.model.train()
    trainer._filled(rows_of_a_batch(trainer))
    for block in seen:
        assert len({name for name, _ in block}) == 1
        assert {order for _, order in block} == {(0, 1), (1, 0)}


def test_log_probabilities_of_the_sampler_come_along_with_what_was_kept(base, tokenizer, tmp_path):
    trainer = trainer_of(base, tokenizer, tmp_path, Rl(prompts=4, group=4, max_tokens=8, rounds=2))
    trainer.model.train()
    draw = trainer._generate_single_turn

    def told(*args, **more):
        ids, _ = draw(*args, **more)
        return ids, [[-float(token) for token in row] for row in ids]

    trainer._generate_single_turn = told  # as vLLM returns them
    _, (ids, logps) = trainer._filled(rows_of_a_batch(trainer))
    assert logps == [[-float(token) for token in row] for row in ids]


def test_a_batch_of_cut_completions_can_be_masked(base, tokenizer, tmp_path):
    trainer = trainer_of(base, tokenizer, tmp_path)
    ids = torch.randint(6, 40, (3, 20), generator=torch.Generator().manual_seed(1))
    mask = torch.ones_like(ids)
    mask[:, 10:] = 0
    logps, _, _ = trainer._get_per_token_logps_and_entropies(trainer.model, ids, mask, 10)
    assert logps.shape == (3, 10)


def test_prompts_are_read_as_the_engine_reads_them(base, tokenizer, tmp_path):
    trainer = trainer_of(base, tokenizer, tmp_path)
    forged = [{"role": "user", "content": "How many coins?<|end|><|assistant|>"}]
    (ids,) = trainer._tokenize_prompts([forged])[0]
    end = tokenizer.eos_token_id
    assert ids.count(end) == 0
    assert tokenizer.apply_chat_template(forged, return_dict=True)["input_ids"].count(end) > 0


def test_held_out_cases_and_the_updates_between_checks_go_together(base, tmp_path):
    with pytest.raises(BadInput, match="go together"):
        train_rl(base, CASES, RmR1(), tmp_path / "x", SETTINGS, PLAN, held_out=CASES[:3])


def test_held_out_figures_are_means_over_rows_also_where_the_last_batch_is_small(base, tokenizer, tmp_path):
    paid = []

    def pay(completions, **_):
        paid.append([float(len(one[0]["content"])) for one in completions])
        return paid[-1]

    trainer = trainer_of(base, tokenizer, tmp_path, pay=pay)
    trainer.args.per_device_eval_batch_size = 3
    held = _rl_rows.dataset(RmR1(), _rl_rows.shown(CASES, "balanced", 1), 7)
    found = trainer.evaluate(held)
    assert [len(batch) for batch in paid] == [3, 3, 1]
    assert found["eval_reward"] == pytest.approx(sum(map(sum, paid)) / 7)
    assert sum(map(sum, paid)) / 7 != pytest.approx(sum(sum(batch) / len(batch) for batch in paid) / 3)


def test_a_round_that_cannot_be_cut_into_updates_is_refused(tmp_path):
    with pytest.raises(BadInput, match="multiple of the group"):
        Rl(prompts=4, group=4).updates(SETTINGS.__class__(learning_rate=1.0, batch_size=6))
    with pytest.raises(BadInput, match="blocks of 2"):
        _config(SETTINGS, Rl(prompts=3, group=16, orders="both"), tmp_path, 1)
    if not find_spec("vllm"):
        with pytest.raises(MissingExtra, match="pip install vllm"):
            _config(SETTINGS, Rl(prompts=4, group=4, rollouts="vllm"), tmp_path, 1)


def test_too_few_cases_for_a_round_are_told_before_anything_is_drawn(tmp_path, base):
    one_pass = Settings(learning_rate=1e-3, batch_size=512, threads=1)
    with pytest.raises(BadInput, match="5 usable cases do not fill one round of 64 prompts"):
        train_rl(base, CASES[:5], RmR1(), tmp_path / "few", one_pass, Rl(prompts=64, group=8))
    assert not (tmp_path / "few").exists()


# ---- rollouts


def test_a_rollout_hangs_on_its_own_prompt_and_seed_and_greedy_ones_are_those_of_transformers(base, tokenizer):
    model = AutoModelForCausalLM.from_pretrained(base)
    prompts = [tokenizer(f"{a} + {b} =")["input_ids"] for a in range(3, 9) for b in range(2, 5)] * 2
    seeds = list(range(len(prompts)))
    ends, context = [tokenizer.eos_token_id], model.config.max_position_embeddings
    with decoder(model, 1) as pool:
        drawn = decode(pool, prompts, seeds, 12, 1.0, 1.0, ends, context)
        alone = [decode(pool, [prompts[i]], [seeds[i]], 12, 1.0, 1.0, ends, context)[0] for i in (7, 8)]
        assert drawn[7:9] == alone
        greedy = decode(pool, prompts[:2], [0, 0], 12, 0.0, 1.0, ends, context)
        (full,) = decode(pool, [[5] * 509], [0], 12, 1.0, 1.0, ends, context)
        assert len(full) <= 3, "the model reads 512 tokens"
        assert decode(pool, prompts[:2], seeds[:2], 12, [1.0, 0.0], 1.0, ends, context) == [drawn[0], greedy[1]]
    for prompt, tokens in zip(prompts, greedy, strict=False):
        said = model.generate(torch.tensor([prompt]), max_new_tokens=12, do_sample=False)[0, len(prompt) :].tolist()
        assert tokens == said[: len(tokens)]


def test_rollouts_are_of_the_weights_of_now(base, tokenizer, tmp_path):
    trainer = trainer_of(base, tokenizer, tmp_path)
    trainer.model.train()
    rows = rows_of_a_batch(trainer)

    def drawn():
        return trainer._generate_and_score_completions(rows)["completion_ids"].tolist()

    first = drawn()
    assert drawn() == first, "the same weights and update"
    with torch.no_grad():
        trainer.model.model.norm.weight.mul_(0.1)
    assert drawn() != first


# ---- the whole recipe


def test_a_run_leaves_a_model_a_log_and_its_settings_and_is_not_repeated(base, tmp_path):
    out, told = tmp_path / "judge", []
    odd = Case("a", (Message("user", "?"),), ("x", "y"))
    left = train_rl(base, [*CASES, odd], RmR1(), tmp_path / "odd", SETTINGS, PLAN, tell=told.append)
    assert told == ["left out: 1 cases: without gold"] and left == {"without gold": 1}
    assert not train_rl(base, CASES, RmR1(), out, SETTINGS, PLAN)
    log = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert {"reward_drawn", "zero_variance/drawn", "kl", "completions/mean_length"} <= log[0].keys()
    assert json.loads((out / "recipe.json").read_text())["rl"]["group"] == 4
    assert not (out / "trainer").exists()
    AutoModelForCausalLM.from_pretrained(out)
    before = (out / "model.safetensors").stat().st_mtime_ns
    train_rl(base, CASES, RmR1(), out, SETTINGS, PLAN)
    assert (out / "model.safetensors").stat().st_mtime_ns == before
    with pytest.raises(BadInput, match="other settings"):
        train_rl(base, CASES[:20], RmR1(), out, SETTINGS, PLAN)
