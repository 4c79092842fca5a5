"""What every recipe does around its trainer: settings, arguments, resuming, and what a finished folder holds.

OUT/ is a model folder that `hf:OUT` (and, for small Qwen3 models, `embedded:OUT`) runs. Beside the weights it holds
`recipe.json` (every setting and what was trained on) and `log.jsonl` (the metrics, one row per report). Checkpoints
are in OUT/trainer until the run is done; the same command goes on from the last one.
"""

from __future__ import annotations

import json
import os
import shutil
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import torch
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    Trainer,
)
from transformers.integrations.integration_utils import (
    INTEGRATION_TO_CALLBACK,
    get_available_reporting_integrations,
)
from transformers.utils.logging import disable_progress_bar

from ..engines._hf_files import first_line, look_for
from ..errors import BadInput, EngineUnavailable

__all__ = [
    "Settings",
    "arguments",
    "begin",
    "check_trackers",
    "done",
    "finish",
    "load_model",
    "load_tokenizer",
    "lora",
    "start",
]


SCHEDULES = (
    "constant",
    "constant_with_warmup",
    "linear",
    "cosine",
    "cosine_with_restarts",
    "polynomial",
    "inverse_sqrt",
)
"""Those of transformers that need nothing but a number of steps."""
DTYPES = ("float32", "bfloat16", "float16")


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """How to train, whatever the recipe. The published values are in `presets.toml`."""

    learning_rate: float
    """Highest rate of AdamW."""
    batch_size: int
    """Rows per update, over all processes."""
    micro_batch: int = 1
    """Rows per forward pass and process."""
    epochs: float = 1.0
    """Passes over the rows."""
    steps: int = -1
    """Updates; if above 0 it overrides `epochs`."""
    schedule: str = "constant_with_warmup"
    """Learning-rate schedule, by the names of transformers."""
    final: float = 0.0
    """Share of the learning rate that a falling schedule (linear, cosine) ends at."""
    warmup: float = 0.0
    """Steps of warm-up; below 1 a share of all steps."""
    weight_decay: float = 0.0
    betas: tuple[float, float] = (0.9, 0.999)
    clip_norm: float = 1.0
    """Gradients are scaled down to this norm."""
    seed: int = 0
    threads: int = 0
    """CPU threads; 0 leaves it to torch."""
    lora: int = 0
    """Rank of a LoRA adapter on all linear layers (merged in the saved model); 0 trains all weights."""
    bf16: bool = False
    """Compute in bfloat16 (weights stay as `dtype` says)."""
    dtype: str = "float32"
    """Number format of the weights."""
    checkpointing: bool = False
    """Recompute activations to save memory."""
    save_steps: int = 50
    """Updates between checkpoints; 0 keeps none."""
    report_to: tuple[str, ...] = ()
    """Trackers besides log.jsonl, by the names of transformers: tensorboard, wandb, trackio."""
    progress: bool = True
    """Whether to show a progress bar."""

    def __post_init__(self) -> None:
        """Raise `BadInput` for what no trainer takes, before anything is claimed or paid."""
        if self.learning_rate < 0:
            raise BadInput(f"a learning rate is 0 or more; got {self.learning_rate:g}")
        for what, got, known in (("schedule", self.schedule, SCHEDULES), ("number format", self.dtype, DTYPES)):
            if got not in known:
                raise BadInput(f"the {what} is one of {', '.join(known)}; got {got!r}")
        for tracker in self.report_to:
            if tracker not in INTEGRATION_TO_CALLBACK:
                raise BadInput(f"there is no tracker {tracker!r}; try tensorboard, wandb or trackio")

    @property
    def accumulation(self) -> int:
        """Forward passes per update and process. Raises `BadInput` if the batch cannot be cut evenly."""
        per_pass = self.micro_batch * int(os.environ.get("WORLD_SIZE", "1"))
        if self.batch_size % per_pass:
            raise BadInput(f"a batch of {self.batch_size} rows cannot be cut into passes of {per_pass} (rows of one "
                           "pass times processes); give a multiple, or another --micro-batch")  # fmt: skip
        return self.batch_size // per_pass


def start(settings: Settings) -> None:
    """Set the number of threads, and leave what is shown to us: no bars for loading and saving."""
    disable_progress_bar()
    # TRL 1.16 and peft 0.21 use names that transformers 5.23 deprecates
    warnings.filterwarnings("ignore", ".*gradient_checkpointing", FutureWarning)
    if settings.threads:
        torch.set_num_threads(settings.threads)


def check_trackers(settings: Settings) -> None:
    """Raise `BadInput` for a tracker that is not installed."""
    for tracker in set(settings.report_to).difference(get_available_reporting_integrations()):
        raise BadInput(f"the tracker {tracker} is not installed; run: pip install {tracker}")


def arguments(settings: Settings, out: Path) -> dict[str, Any]:
    """Return what any of TRL's configurations (all are TrainingArguments) takes from the settings.

    Raises `BadInput` for what does not fit together and for a tracker that is not installed.
    """
    check_trackers(settings)
    return {
        "output_dir": str(out / "trainer"),
        "per_device_train_batch_size": settings.micro_batch,
        "gradient_accumulation_steps": settings.accumulation,
        "num_train_epochs": settings.epochs,
        "max_steps": settings.steps,
        "learning_rate": settings.learning_rate,
        **_schedule(settings),
        # a rate that only rises has no schedule
        "warmup_steps": min(settings.warmup, settings.steps - 1) if settings.steps > 0 else settings.warmup,
        "weight_decay": settings.weight_decay,
        "adam_beta1": settings.betas[0],
        "adam_beta2": settings.betas[1],
        "max_grad_norm": settings.clip_norm,
        "seed": settings.seed,
        "bf16": settings.bf16,
        "activation_checkpointing": settings.checkpointing,
        "save_strategy": "steps" if settings.save_steps else "no",
        "save_steps": settings.save_steps or 1,
        "save_total_limit": 2,
        "logging_steps": 1,
        "report_to": list(settings.report_to) or "none",
        "disable_tqdm": True,
        "use_cpu": not torch.cuda.is_available(),
        "dataloader_pin_memory": torch.cuda.is_available(),
    }


def _schedule(settings: Settings) -> dict[str, Any]:
    if not settings.final:
        return {"lr_scheduler_type": settings.schedule}
    if settings.schedule == "linear":
        kwargs = {"lr_end": settings.final * settings.learning_rate, "power": 1.0}
        return {"lr_scheduler_type": "polynomial", "lr_scheduler_kwargs": kwargs}
    if settings.schedule == "cosine":
        kwargs = {"min_lr_rate": settings.final}
        return {"lr_scheduler_type": "cosine_with_min_lr", "lr_scheduler_kwargs": kwargs}
    raise BadInput(f"the schedule {settings.schedule!r} has no end; a final share goes with linear or cosine")


def begin(out: Path, recipe: Mapping[str, object]) -> str | None:
    """Claim OUT for this recipe; return the checkpoint to go on from, None to start anew.

    Raises `BadInput` if OUT holds a run with other settings, or anything that is no run.
    """
    text = json.dumps(recipe, indent=2, default=_recorded, sort_keys=True) + "\n"
    file = out / "recipe.json"
    if file.is_file():
        if file.read_text() == text:
            return _last_checkpoint(out / "trainer")
        if not _untouched(out):
            raise BadInput(f"{out} holds a run with other settings or data (compare {file}); give another --out, or "
                           "delete it to start anew")  # fmt: skip
    elif out.exists() and not out.is_dir():
        raise BadInput(f"{out} is a file; --out is the folder of the trained model")
    elif out.exists() and any(item.name != "recipe.partial" for item in out.iterdir()):
        raise BadInput(f"{out} is no empty folder and holds no run; give another --out")
    out.mkdir(parents=True, exist_ok=True)
    if int(os.environ.get("RANK", "0")) == 0:
        file.with_suffix(".partial").write_text(text)
        file.with_suffix(".partial").replace(file)  # at once: other processes may be looking
    return None


def _untouched(out: Path) -> bool:
    """Tell whether a claim is all that OUT holds: no server answered, so no journal has a manifest yet."""
    names = [item.name for item in out.iterdir()]
    begun = any(name.endswith(".manifest.json") for name in names)
    return not begun and all(name.startswith("recipe.") or ".journal" in name for name in names)


def _last_checkpoint(folder: Path) -> str | None:
    """Find the last checkpoint that is whole: a kill may have come while one was written."""
    found = [file.parent for file in folder.glob("checkpoint-*/trainer_state.json") if _is_json(file)]
    return str(max(found, key=lambda place: int(place.name.rpartition("-")[2]))) if found else None


def _is_json(file: Path) -> bool:
    """Tell whether the file, the last that a checkpoint gets, was written to its end."""
    try:
        json.loads(file.read_text())
    except ValueError:
        return False
    return True


def _recorded(value: object) -> object:
    """Write what is no JSON yet, without how a run is watched: that may change when it goes on."""
    built = msgspec.to_builtins(value)
    if isinstance(value, Settings):
        built = {name: item for name, item in built.items() if name not in ("progress", "report_to")}
    return built


def done(out: Path) -> bool:
    """Tell whether OUT holds a finished model."""
    return (out / "log.jsonl").is_file()


def finish(trainer: Trainer, tokenizer: PreTrainedTokenizerBase, out: Path) -> None:
    """Save model, tokenizer and metrics in OUT, the adapter merged; then drop the checkpoints."""
    model = trainer.accelerator.unwrap_model(trainer.model)
    if hasattr(model, "merge_and_unload"):
        trainer.model = model.merge_and_unload()
    trainer.save_model(str(out))
    if trainer.is_world_process_zero():
        tokenizer.save_pretrained(out)
        (out / "training_args.bin").unlink(missing_ok=True)
        rows = [entry for entry in trainer.state.log_history if len(entry) > 2]
        (out / "log.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in rows))
        shutil.rmtree(out / "trainer", ignore_errors=True)
    trainer.accelerator.wait_for_everyone()  # every process may read what the first one wrote


def load_tokenizer(model: str | Path) -> PreTrainedTokenizerBase:
    """Load a model's tokenizer.

    Raises `EngineUnavailable` if there is no model or tokenizer, `BadInput` if it has no chat template or no end token.
    """
    look_for(str(model))
    try:
        tokenizer = AutoTokenizer.from_pretrained(model)
    except Exception as error:  # transformers and tokenizers raise their own
        raise EngineUnavailable(f"the tokenizer of {model} cannot be loaded: {first_line(error)}") from error
    if len(tokenizer) <= len(tokenizer.all_special_ids):  # transformers makes an empty one where there are no files
        raise BadInput(f"{model} holds no tokenizer; copy tokenizer.json and tokenizer_config.json of its base there")
    if tokenizer.chat_template is None:
        raise BadInput(f"the tokenizer of {model} has no chat template; add chat_template.jinja to its folder")
    if tokenizer.eos_token is None:
        raise BadInput(f"the tokenizer of {model} has no end token; set eos_token")
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_model(model: str | Path, settings: Settings, *, scalar: bool = False) -> PreTrainedModel:
    """Load weights to train; with `scalar` under a new head of one number."""
    auto = AutoModelForSequenceClassification if scalar else AutoModelForCausalLM
    how: dict[str, Any] = {"num_labels": 1} if scalar else {}
    try:
        loaded, found = auto.from_pretrained(model, dtype=settings.dtype, output_loading_info=True, **how)
    except Exception as error:
        raise EngineUnavailable(f"the model {model} cannot be loaded: {first_line(error)}") from error
    if found["missing_keys"] and not scalar:  # transformers would make them up
        lacking = ", ".join(sorted(found["missing_keys"])[:3])
        raise BadInput(f"{model} writes no text: it lacks {lacking}; start from a causal language model")
    return loaded


def lora(settings: Settings, task: str = "CAUSAL_LM") -> Any:
    """Return the adapter's configuration, None if all weights are trained."""
    if not settings.lora:
        return None
    from peft import LoraConfig

    return LoraConfig(r=settings.lora, lora_alpha=2 * settings.lora, target_modules="all-linear", task_type=task)
