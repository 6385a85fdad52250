"""A run that was interrupted and resumed ends in the same bits; several processes end in the same numbers."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers import run
from safetensors.torch import load_file
from test_strategies import embedding, make_trainer
from tiny_model import make_model

STRATEGIES: dict[str, dict[str, Any]] = {
    "frozen": {},
    "finetune": {"embedding_strategy": "finetune", "embedding_anchor": 0.5},
    "two_stage": {"embedding_strategy": "two_stage", "unfreeze_at": "5 steps", "unfreeze_warmup_steps": 2},
    "gradual, sparse": {
        "embedding_strategy": "two_stage",
        "unfreeze_at": "3 steps",
        "gradual": True,
        "sparse_embedding_updates": True,
        "embedding_anchor": 0.5,
    },
    "finetune, random": {"embedding_strategy": "finetune", "train_sampling_strategy": "random"},
}


SLOW = ("frozen", "finetune, random")  # simpler, or like another


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in SLOW else ()) for name in STRATEGIES]
)
def test_resumed_from_every_step(tmp_path: Path, name: str) -> None:
    options = {
        **STRATEGIES[name],
        "num_train_epochs": 2,  # of four steps
        "gradient_accumulation_steps": 2,
        "per_device_train_batch_size": 6,
        "save_strategy": "steps",
        "save_steps": 1,
        "save_total_limit": None,
        "load_best_model_at_end": False,
    }
    whole = make_trainer(tmp_path / "whole", **options)
    whole.train()
    assert whole.state.global_step == 8
    for step in range(1, 8):
        resumed = make_trainer(tmp_path / "resumed", **{**options, "save_strategy": "no"})
        resumed.train(resume_from_checkpoint=str(tmp_path / f"whole/checkpoint-{step}"))
        for (weight, expected), got in zip(
            whole.model.state_dict().items(), resumed.model.state_dict().values(), strict=True
        ):
            assert torch.equal(got, expected), (step, weight)
        assert resumed.model.config.freeze_embeddings == (name == "frozen")
        assert embedding(resumed.model).requires_grad == (name != "frozen")
    saved = make_model().from_pretrained(tmp_path / "whole/checkpoint-8")
    assert embedding(saved).requires_grad == (name != "frozen")


PROGRAM = """
import json, os, sys
from pathlib import Path
import torch
sys.path.insert(0, {tests!r})
from safetensors.torch import save_file
from test_resuming import STRATEGIES
from test_strategies import make_trainer, rows, NO_DROPOUT
from tiny_model import make_model
folder, options = Path(sys.argv[1]), json.loads(sys.argv[2])
for number, strategy in enumerate(STRATEGIES.values()):
    model = make_model(problem_type="single_label_classification", **NO_DROPOUT)
    trainer = make_trainer(folder, model, **options, **strategy)
    trainer.train()
    folder.mkdir(exist_ok=True)
    loss = trainer.evaluate(rows(47))["eval_loss"]
    (folder / f"{{number}}.loss").write_text(str(loss))
    save_file(model.state_dict(), folder / f"{{number}}.{{trainer.args.process_index}}")
torch.distributed.destroy_process_group()
os._exit(0)  # after several runs in one process, threads of torch's at times abort its ordinary end
"""


@pytest.mark.slow
def test_two_processes_stay_in_step_and_equal_one(tmp_path: Path) -> None:
    """47 rows in steps of 12 leave 11 over, which two processes can't share evenly."""
    program = tmp_path / "program.py"
    program.write_text(PROGRAM.format(tests=str(Path(__file__).parent)), encoding="utf-8")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    for processes, batch, accumulation in ((2, 3, 2), (1, 12, 1)):
        options = {
            "num_train_epochs": 2,
            "lr_scheduler_type": "constant",
            "per_device_train_batch_size": batch,
            "gradient_accumulation_steps": accumulation,
            "per_device_eval_batch_size": 5,
        }
        done = run(
            sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", processes,
            program, tmp_path / str(processes), json.dumps(options), env=environment,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-3000:]
    before = make_model().state_dict()
    for number, name in enumerate(STRATEGIES):
        one = load_file(tmp_path / f"1/{number}.0")
        alone, together = (float((tmp_path / f"{processes}/{number}.loss").read_text()) for processes in (1, 2))
        assert together == pytest.approx(alone, rel=1e-4), name
        first, second = (load_file(tmp_path / f"2/{number}.{rank}") for rank in range(2))
        for weight, expected in one.items():
            assert torch.equal(first[weight], second[weight]), (name, weight)
            assert torch.allclose(first[weight], expected, atol=2e-5), (name, weight)
            moves = name != "frozen" or "embeddings" not in weight
            assert torch.equal(expected, before[weight]) != moves, (name, weight)
