#!/usr/bin/env python3
"""Makes tests/golden/train: a training checkpoint by PyTorch, and the parameters one step later.

    torch_checkpoint.py make START FOLDER     START: a checkpoint of tests/train/small_model.hpp, for names and shapes
    torch_checkpoint.py step FILE OUT         takes FILE, by anyone, one step further; the parameters go to OUT

Parameters, groups, optimizer and schedule are those of the reference's training script; gradients are a formula that the
test repeats: sin(1 + i + 10 p) / 100 for element i of the parameter of index p, in double.
"""
import sys
from functools import partial

import torch

TRAINED_ROWS = [18, 19]
RATE, DECAY, WARMUP = 1e-2, 0.1, 2


def warmup_then_constant(step, *, num_warmup_steps):
    return min(1.0, step / num_warmup_steps)


class Run:
    def __init__(self, state):
        self.root = torch.nn.Module()
        order = sorted(state, key=lambda name: name.startswith("lang_encoder."))  # stable: perceiver first
        for name in order:
            if name == "lang_encoder.lm_head.weight":
                continue  # tied
            *path, last = name.split(".")
            module = self.root
            for part in path:
                if not hasattr(module, part):
                    module.add_module(part, torch.nn.Module())
                module = getattr(module, part)
            value = torch.nn.Parameter(state[name].clone(), requires_grad="embed_positions" not in name)
            module.register_parameter(last, value)
        named = [(n, p) for n, p in self.root.named_parameters() if p.requires_grad]
        self.groups = [[p for n, p in named if "gated_cross_attn" in n], [p for n, p in named if "gated_cross_attn" not in n]]
        self.table = next(p for n, p in named if n.endswith("embed_tokens.weight"))
        self.optimizer = torch.optim.AdamW(
            [{"params": self.groups[0], "weight_decay": DECAY}, {"params": self.groups[1], "weight_decay": 0.0}], lr=RATE
        )
        self.scheduler = torch.optim.lr_scheduler.LambdaLR(
            self.optimizer, partial(warmup_then_constant, num_warmup_steps=WARMUP)
        )

    def step(self):
        for index, p in enumerate(self.groups[0] + self.groups[1]):
            i = torch.arange(p.numel(), dtype=torch.float64)
            gradient = torch.sin(1 + i + 10 * index) / 100
            if p is self.table:  # as the reference masks it: the rows that train count from 0
                rows = torch.arange(len(TRAINED_ROWS) * p.shape[1], dtype=torch.float64)
                gradient = torch.zeros(p.shape, dtype=torch.float64)
                gradient[TRAINED_ROWS] = (torch.sin(1 + rows + 10 * index) / 100).reshape(len(TRAINED_ROWS), -1)
            p.grad = gradient.reshape(p.shape).to(p.dtype)
        self.optimizer.step()
        self.scheduler.step()

    def state_dict(self, prefix=""):
        out = {prefix + k: v for k, v in self.root.state_dict().items()}
        out[prefix + "lang_encoder.lm_head.weight"] = out[prefix + "lang_encoder.model.decoder.embed_tokens.weight"]
        return out

    def go_on(self, file):
        self.optimizer.load_state_dict(file["optimizer_state_dict"])
        self.scheduler.load_state_dict(file["lr_scheduler_state_dict"])


def read(path):
    return torch.load(path, map_location="cpu", weights_only=True)


def make(start, folder):
    run = Run(read(start)["model_state_dict"])
    for _ in range(3):
        run.step()
    torch.save(
        {
            "epoch": 4,
            "model_state_dict": run.state_dict("module."),
            "optimizer_state_dict": run.optimizer.state_dict(),
            "lr_scheduler_state_dict": run.scheduler.state_dict(),
        },
        folder + "/torch-checkpoint.pt",
    )
    run.step()
    torch.save(run.state_dict(), folder + "/torch-next.pt")


def step(path, out):
    file = read(path)
    run = Run({k.replace("module.", ""): v for k, v in file["model_state_dict"].items()})
    run.go_on(file)
    run.step()
    print("epoch", file["epoch"], "step", run.scheduler.last_epoch, "learning rates", run.scheduler.get_last_lr())
    torch.save(run.state_dict(), out)


if __name__ == "__main__":
    {"make": make, "step": step}[sys.argv[1]](*sys.argv[2:])
