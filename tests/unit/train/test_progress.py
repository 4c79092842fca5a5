"""The line that tells how a training is going."""

from types import SimpleNamespace

from thinkscore.train._progress import Progress, ends, silent


def log(progress, step, **metrics):
    state = SimpleNamespace(is_world_process_zero=True, global_step=step, max_steps=40)
    progress.on_log(None, state, None, {name.replace("__", "/"): value for name, value in metrics.items()})


def test_lines_come_now_and_then_and_always_with_held_out_figures(capsys):
    progress = Progress()
    for step in range(1, 5):
        log(progress, step, loss=0.5, reward=0.9, reward_drawn=0.25, kl=0.001)
    log(progress, 4, eval_judge__right=0.75)
    log(progress, 4, train_runtime=3.0)
    assert capsys.readouterr().err.splitlines() == [
        "update 2 of 40: reward 0.25, KL 0.001",
        "update 4 of 40: reward 0.25, KL 0.001",
        "update 4 of 40: reward 0.25, KL 0.001, held-out 0.75",
    ]


def test_the_ends_of_a_log_are_those_of_each_metric():
    rows = [{"loss": 2.0, "step": 1}, {"loss": 1.0, "step": 2}, {"held_out_accuracy": 0.5}, {"held_out_accuracy": 0.75}]
    assert ends(rows) == {"loss": (2.0, 1.0), "held-out": (0.5, 0.75)}


def test_a_run_whose_groups_never_differ_has_no_signal():
    assert silent([{"frac_reward_zero_std": 1.0}, {"frac_reward_zero_std": 1.0}, {"train_runtime": 3.0}])
    assert not silent([{"frac_reward_zero_std": 1.0}, {"frac_reward_zero_std": 0.5}])
    assert not silent([{"loss": 1.0}])
