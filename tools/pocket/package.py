"""Put a built pair into the package: weights, tokenizer, manifest, training log and figure."""

import hashlib
import json
import shutil
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd

from tools.pocket.train_drafter import RECIPES
from tools.pocket.train_target import DEEP_PHASES, SHALLOW, WIDE_PHASES

PACKAGED = (
    "target/config.json",
    "target/generation_config.json",
    "target/model.safetensors",
    "target/tokenizer.json",
    "target/tokenizer_config.json",
    "target/chat_template.jinja",
    "drafter/config.json",
    "drafter/generation_config.json",
    "drafter/model.safetensors",
)
TARGET_PHASES = tuple(phase.name for phase in (SHALLOW, *DEEP_PHASES, *WIDE_PHASES))
PHASES = (*TARGET_PHASES, *(recipe.name for recipe in RECIPES))
MAX_BYTES = 25_000_000


def package(built: Path, destination: Path) -> None:
    """Copy the pair in `built` to `destination` and write the manifest of its sha256 sums.

    Raises:
        ValueError: The pair is larger than the repository allows.
    """
    sums = {}
    total = 0
    for name in PACKAGED:
        data = (built / name).read_bytes()
        total += len(data)
        sums[name] = hashlib.sha256(data).hexdigest()
        (destination / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(built / name, destination / name)
    if total > MAX_BYTES:
        raise ValueError(f"the pair has {total:,} bytes, at most {MAX_BYTES:,} may be shipped")
    manifest = {"name": "pocket", "bytes": total, "sha256": sums}
    text = json.dumps(manifest, indent=2) + "\n"
    (destination / "manifest.json").write_text(text, encoding="utf-8", newline="\n")


def report(built: Path, destination: Path) -> None:
    """Copy the training logs and draw their figure."""
    destination.mkdir(parents=True, exist_ok=True)
    logs = {}
    for phase in PHASES:
        # A pair that the run began from has the others.
        if (log := built / f"{phase}.csv").exists():
            shutil.copyfile(log, destination / log.name)
        logs[phase] = pd.read_csv(destination / f"{phase}.csv")
    figure, (losses, agreement) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    start = 0
    for phase, style in zip(
        TARGET_PHASES, ("-", "--", "-.", ":", "-", "--", "-.", ":"), strict=True
    ):
        log = logs[phase]
        losses.plot(log["step"] + start, log["loss"], style, label=phase)
        if "held_out_loss" in log:
            measured = log.dropna(subset="held_out_loss")
            label = "held-out" if phase == TARGET_PHASES[0] else None
            losses.plot(measured["step"] + start, measured["held_out_loss"], "k.", label=label)
        start += int(log["step"].iloc[-1])
    losses.set(title="target", xlabel="step", ylabel="nats per answer token", yscale="log")
    losses.legend(fontsize="small", ncols=2)
    for column in [name for name in logs["drafter"] if name.startswith("draft_")]:
        agreement.plot(logs["drafter"]["step"], logs["drafter"][column], label=column)
    agreement.set(title="drafter", xlabel="step", ylabel="drafts the target agrees with")
    agreement.legend()
    figure.savefig(destination / "training.png", dpi=80, metadata={"Software": None})
