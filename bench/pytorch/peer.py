"""Times Plume's training step beside PyTorch's, in turns, on the same weights and batch.

    python peer.py PROGRAM [--threads 2] [--rounds 5] [--json FILE]

PROGRAM is plume_training_step. Each case runs in two fresh processes, which take steps in turn; a round is one step
of each. Both must report the same loss in every round. Memory is the most that a process held, and the same without
what it held before it built the model (PyTorch itself)."""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

CASES = [("2 x 64 tokens, 1 image", 64, 1), ("2 x 256 tokens, 4 images", 256, 4)]


def process_bytes(field):
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith(field + ":"):
                return int(line.split()[1]) * 1024
    return 0


def read_safetensors(path):
    import torch

    kinds = {"F32": torch.float32, "I64": torch.int64}
    with open(path, "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        header.pop("__metadata__", None)
        out = {}
        for name, entry in header.items():
            data = bytearray(file.read(entry["data_offsets"][1] - entry["data_offsets"][0]))
            out[name] = torch.frombuffer(data, dtype=kinds[entry["dtype"]]).reshape(entry["shape"])
    return out


def work(path, threads):
    """The other process: the protocol of training_step.cpp."""
    import torch

    from flamingo import Flamingo

    torch.set_num_threads(threads)
    before = process_bytes("VmRSS")
    model = Flamingo()
    stored = read_safetensors(path)
    images, ids, labels = (stored.pop("batch." + name) for name in ("images", "ids", "labels"))
    model.load_state_dict(stored, strict=True)
    del stored
    optimizer = torch.optim.AdamW(model.groups(0.1), lr=1e-5, fused=True)
    trained = [p for p in model.parameters() if p.requires_grad]
    print(json.dumps({"ready": True, "version": torch.__version__}), flush=True)
    for line in sys.stdin:
        if line.strip() == "memory":
            print(json.dumps({"peak": process_bytes("VmHWM"), "before": before}), flush=True)
            continue
        times = [time.perf_counter()]
        loss = model.loss(images, ids, labels)
        times.append(time.perf_counter())
        loss.backward()
        times.append(time.perf_counter())
        norm = torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        times.append(time.perf_counter())
        forward, backward, update = (b - a for a, b in zip(times, times[1:]))
        answer = {"seconds": times[-1] - times[0], "loss": loss.item(), "norm": norm.item()}
        print(json.dumps(answer | {"forward": forward, "backward": backward, "update": update}), flush=True)


class Worker:
    def __init__(self, command):
        environment = os.environ | {"OMP_WAIT_POLICY": "passive"}
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        self.hello = self.read()

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"{self.process.args[0]} ended with status {self.process.wait()}")
        return json.loads(line)

    def ask(self, what):
        self.process.stdin.write(what + "\n")
        self.process.stdin.flush()
        return self.read()

    def end(self):
        self.process.stdin.close()
        self.process.wait()


def compare(name, tokens, images, options):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "case.safetensors")
        plume = Worker([options.program, str(tokens), str(images), path, str(options.threads)])
        torch = Worker([sys.executable, __file__, "--work", path, "--threads", str(options.threads)])
    workers = {"plume": plume, "pytorch": torch}
    rows = {who: [] for who in workers}
    for round_ in range(options.rounds + 1):
        for who, worker in workers.items():
            rows[who].append(worker.ask("step"))
        a, b = rows["plume"][-1], rows["pytorch"][-1]
        if not abs(a["loss"] - b["loss"]) <= 1e-3 * abs(b["loss"]):
            sys.exit(f"{name}: step {round_}: losses {a['loss']} and {b['loss']} are not those of one model")
    memory = {who: worker.ask("memory") for who, worker in workers.items()}
    for worker in workers.values():
        worker.end()
    out = {"case": name, "threads": options.threads, "rounds": options.rounds, "pytorch": torch.hello["version"]}
    for who in workers:
        kept = rows[who][1:]  # the first step makes its memory
        for part in ("seconds", "forward", "backward", "update"):
            out[f"{who}.{part}"] = statistics.median(row[part] for row in kept)
        out[f"{who}.peak"] = memory[who]["peak"]
        out[f"{who}.model_peak"] = memory[who]["peak"] - memory[who]["before"]
    out["last losses"] = [rows[who][-1]["loss"] for who in workers]
    ratios = [b["seconds"] / a["seconds"] for a, b in zip(rows["plume"][1:], rows["pytorch"][1:])]
    out["speed"] = statistics.median(ratios)
    return out


def show(row):
    print(f"\n{row['case']}, {row['threads']} threads, PyTorch {row['pytorch']}")
    print(f"  {'':22}{'Plume':>10}{'PyTorch':>10}{'ratio':>8}")
    for part in ("seconds", "forward", "backward", "update"):
        a, b = row[f"plume.{part}"], row[f"pytorch.{part}"]
        print(f"  {part if part != 'seconds' else 'step':<18} s  {a:10.3f}{b:10.3f}{b / a:8.2f}")
    for part, label in (("peak", "peak memory"), ("model_peak", "without the runtime")):
        a, b = row[f"plume.{part}"], row[f"pytorch.{part}"]
        print(f"  {label:<19}GB {a / 1e9:9.2f}{b / 1e9:10.2f}{b / a:8.2f}")
    print(f"  PyTorch / Plume, median of {row['rounds']} rounds: {row['speed']:.2f}", flush=True)


def main():
    parser = argparse.ArgumentParser(description="Plume's training step beside PyTorch's")
    parser.add_argument("program", nargs="?", help="plume_training_step")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", help="also write the figures here")
    parser.add_argument("--work", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        return work(options.work, options.threads)
    if not options.program:
        parser.error("the path of plume_training_step is missing")
    rows = []
    for case in CASES:
        rows.append(compare(*case, options))
        show(rows[-1])
    if options.json:
        with open(options.json, "w") as file:
            json.dump(rows, file, indent=2)


if __name__ == "__main__":
    main()
