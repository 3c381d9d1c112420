"""Train YOLO26n from scratch on rendered cartons, without downloads, on a CPU or the given device.

    python models/carton/train.py --data /tmp/cartons --count 6000 --runs /tmp/runs --name coarse --imgsz 320 --epochs 4
    python models/carton/train.py --data /tmp/cartons-dense --dense --count 3000 --seed 3 --size 800x450 --runs /tmp/runs \\
        --name fine --weights /tmp/runs/coarse/weights/last.pt --imgsz 640 --epochs 1 --lr 0.0008 --fine --square --batch 6
    python models/carton/train.py --runs /tmp/runs --name coarse --resume

Frames missing from --data are rendered first. Batches keep the frames' shape (16:9 at 320 is 320x192), so most of the
time goes into many cheap steps; the short --fine --square run at 640 teaches the size and the grey bars with which the
model is used. Each epoch leaves RUNS/NAME/weights/{last,best}.pt and a row in results.csv. Needs the package's `train`
extra.
"""

import argparse
import math
import multiprocessing
import os
import sys
import time
from pathlib import Path
from typing import Any

from render import parse_size, render

VALIDATION_SEED = 90_000
VALIDATION_COUNT = 120
WARMUP_STEPS = 150


def write_data_file(data: Path, runs: Path, name: str) -> Path:
    """A data.yaml naming the training set and a small held-back set (own seed) for the epoch log."""
    held_back = runs / "validation"
    render(held_back, VALIDATION_COUNT, VALIDATION_SEED, 640, 360, 1)
    names = (data / "data.yaml").read_text().split("names:\n")[1]
    path = runs / f"{name}.yaml"
    path.write_text(f"train: {data.resolve() / 'images'}\nval: {held_back.resolve() / 'images'}\nnames:\n{names}")
    return path


class Schedule:
    """Learning rate and loss balance by progress through the budget, step by step rather than epoch by epoch.

    The rate rises for WARMUP_STEPS, then falls on half a cosine to 3 %. The exported one-to-one branch gains weight on
    the way; a fine-tune starts where the coarse run ended.
    """

    def __init__(self, fine: bool) -> None:
        self.steps = 0
        self.first_share = 0.2 if fine else 0.8
        self.began = 0.0

    def start(self, trainer: Any) -> None:
        trainer.model.criterion = trainer.model.init_criterion()
        self.steps = trainer.start_epoch * len(trainer.train_loader)
        self.began = time.monotonic()

    def step(self, trainer: Any) -> None:
        if trainer.args.time:
            progress = (time.monotonic() - self.began) / (trainer.args.time * 3600)
        else:
            progress = self.steps / (trainer.args.epochs * len(trainer.train_loader))
        self.steps += 1
        progress = min(progress, 1.0)
        factor = 0.03 + 0.97 * 0.5 * (1 + math.cos(math.pi * progress))
        factor *= min(1.0, self.steps / WARMUP_STEPS)
        for group in trainer.optimizer.param_groups:
            group["lr"] = group["initial_lr"] * factor
        many = self.first_share + (0.1 - self.first_share) * progress
        trainer.model.criterion.o2m, trainer.model.criterion.o2o = many, 1 - many


def use_bfloat16(trainer: Any) -> None:
    """The trainer's own bf16 mode is for CUDA only; on a CPU the forward pass and loss run under autocast instead."""
    import torch

    trainer.model.forward = torch.autocast(trainer.device.type, torch.bfloat16)(trainer.model.forward)


def report(trainer: Any) -> None:
    scores = {key.split("/")[-1]: round(float(value), 4) for key, value in trainer.metrics.items()}
    if "box_loss" not in scores:
        return  # the trainer's closing validation of best.pt
    print(f"epoch {trainer.epoch + 1} of {trainer.epochs}: {scores}", flush=True)


def follow(model: Any, schedule: Schedule) -> None:
    model.add_callback("on_train_start", schedule.start)
    model.add_callback("on_train_batch_start", schedule.step)
    model.add_callback("on_fit_epoch_end", report)


def settings(given: argparse.Namespace, data: Path) -> dict[str, Any]:
    return {
        "data": str(data), "epochs": given.epochs, "time": given.time_hours, "imgsz": given.imgsz, "batch": given.batch,
        "nbs": given.batch, "rect": not given.square, "seed": given.seed, "deterministic": False, "device": given.device,
        "workers": given.workers, "project": str(given.runs.resolve()), "name": given.name, "exist_ok": True,
        "amp": False, "pretrained": given.weights is not None,
        "plots": False, "save": True, "cache": False,
        "optimizer": "AdamW", "lr0": given.lr, "momentum": 0.9, "weight_decay": 0.0005, "warmup_epochs": 0.0,
        "mosaic": 0.5 if given.square else 0.0, "close_mosaic": 0, "scale": 0.25 if given.fine else 0.5,
        "translate": 0.1, "degrees": 0.0, "fliplr": 0.5, "flipud": 0.0,
        "hsv_h": 0.02, "hsv_s": 0.4, "hsv_v": 0.3, "erasing": 0.0,
    }  # fmt: skip


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of renders, filled when frames are missing")
    parser.add_argument("--count", type=int, default=6000, help="frames in the training set (default 6000)")
    parser.add_argument("--size", type=parse_size, default=(640, 360), metavar="WxH", help="of rendered frames")
    parser.add_argument("--dense", action="store_true", help="render with damage on nearly every carton")
    parser.add_argument("--seed", type=int, default=1, help="of the renders and of the training (default 1)")
    parser.add_argument("--runs", type=Path, required=True, help="folder for checkpoints and logs")
    parser.add_argument("--name", default="carton", help="of this run, below --runs")
    parser.add_argument("--weights", type=Path, help="start from this checkpoint instead of from scratch")
    parser.add_argument("--fine", action="store_true", help="fine-tune: milder scaling, loss on the exported branch")
    parser.add_argument("--square", action="store_true", help="square letterboxed input, half of it four-frame mosaics")
    parser.add_argument("--resume", action="store_true", help="go on with RUNS/NAME/weights/last.pt")
    parser.add_argument("--imgsz", type=int, default=320, help="longer side in pixels (default 320)")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--time-hours", type=float, help="wall-clock budget; overrides --epochs")
    parser.add_argument("--batch", type=int, default=10)
    parser.add_argument("--lr", type=float, default=0.0015)
    parser.add_argument("--device", default="cpu", help="as ultralytics names it: cpu, 0, ...")
    parser.add_argument(
        "--bf16", action="store_true", help="bfloat16 products: about 1.6 times faster where the CPU has them"
    )
    parser.add_argument("--workers", type=int, default=1, help="loader processes")
    given = parser.parse_args()
    if not given.resume and given.data is None:
        parser.error("--data is needed unless --resume is given")
    return given


def main() -> int:
    given = arguments()
    given.runs.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("YOLO_CONFIG_DIR", str(given.runs.resolve()))
    os.environ.setdefault("YOLO_OFFLINE", "true")
    from ultralytics import YOLO  # after the environment is set: it reads both at import

    last = given.runs / given.name / "weights" / "last.pt"
    if given.resume:
        model = YOLO(str(last))
        follow(model, Schedule(given.fine))
        if given.bf16:
            model.add_callback("on_train_start", use_bfloat16)
        model.train(resume=True)
        return 0
    render(given.data, given.count, given.seed, given.size[0], given.size[1], multiprocessing.cpu_count(), given.dense)
    data = write_data_file(given.data, given.runs, given.name)
    model = YOLO(str(given.weights) if given.weights else "yolo26n.yaml")
    follow(model, Schedule(given.fine))
    if given.bf16:
        model.add_callback("on_train_start", use_bfloat16)
    model.train(**settings(given, data))
    return 0


if __name__ == "__main__":
    sys.exit(main())
