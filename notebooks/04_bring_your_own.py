# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Your own pictures, your own classifier
#
# From a folder of pictures to images that a classifier finds hard, without Stable Diffusion and without a download: a small
# generator is trained on the pictures, and the practice loop asks it for what its learner is unsure of. The pictures are
# drawn here; yours take their place. About four minutes on one core, because everything is shorter than it should be:
# [docs/extending.md](../docs/extending.md) has the same commands at their proper length and what they gave.

# %%
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

warnings.filterwarnings("ignore", message="IProgress not found")

import matplotlib.pyplot as plt
import numpy as np
import timm
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw
from torch import nn

from dp import HuggingFaceClassifier, Preprocess, entropy, guide, image_folder, load_pipeline

torch.manual_seed(0)
plt.rcParams["figure.dpi"] = 80
folder = Path(tempfile.mkdtemp())

# %% [markdown]
# ## Pictures
#
# `pictures/train/CLASS/anything.png`, and others in `validation`, to tell when training has stopped improving, and in `test`
# for the end. Yours may be of any size, grey or coloured, in 2 to 100 classes of 15 or more.

# %%
CLASSES = ("boat", "house", "tree")
GROUND = {"boat": (40, 90, 150), "house": (110, 150, 80), "tree": (120, 150, 70)}
MAIN = {"boat": (170, 70, 60), "house": (215, 190, 150), "tree": (60, 120, 60)}
OTHER = {"boat": (240, 235, 225), "house": (160, 70, 50), "tree": (100, 70, 45)}


def drawn(kind: str, rng: np.random.Generator, side: int = 64) -> Image.Image:
    """Draw a boat, a house or a tree, in colours, of a size and at a place of its own."""

    def near(colour):
        return tuple(int(value) for value in np.clip(colour + rng.normal(0, 35, 3), 0, 255))

    s = 4 * side
    picture = Image.new("RGB", (s, s), near((135, 185, 225)))
    draw = ImageDraw.Draw(picture)
    horizon, x, h = s * rng.uniform(0.6, 0.8), s * rng.uniform(0.3, 0.7), s * rng.uniform(0.35, 0.55)
    y = horizon + s * rng.uniform(0.02, 0.12)
    draw.rectangle((0, horizon, s, s), fill=near(GROUND[kind]))
    main, other = near(MAIN[kind]), near(OTHER[kind])
    if kind == "boat":
        w = h * rng.uniform(0.6, 0.9)
        draw.polygon([(x - w / 2, y - h / 5), (x + w / 2, y - h / 5), (x + w / 3, y), (x - w / 3, y)], main)
        draw.polygon([(x, y - h), (x, y - h / 4), (x + w * rng.choice([-0.45, 0.45]), y - h / 4)], other)
    elif kind == "house":
        w = h * rng.uniform(0.6, 1.0)
        draw.rectangle((x - w / 2, y - h * 0.6, x + w / 2, y), main)
        draw.polygon([(x - w * 0.6, y - h * 0.6), (x + w * 0.6, y - h * 0.6), (x, y - h)], other)
    else:
        r = h * rng.uniform(0.25, 0.35)
        draw.rectangle((x - h / 16, y - h / 2, x + h / 16, y), other)
        draw.ellipse((x - r, y - h, x + r, y - h + 2 * r), main)
    return picture.resize((side, side), Image.Resampling.BOX)


rng = np.random.default_rng(0)
for part, count in (("train", 60), ("validation", 20), ("test", 20)):
    for kind in CLASSES:
        place = folder / "pictures" / part / kind
        place.mkdir(parents=True)
        for i in range(count):
            drawn(kind, rng).save(place / f"{i}.png")


def show(rows, labels, below=None):
    """Rows of images float [n, 3, H, W] in 0 .. 1, with a number below each."""
    figure, axes = plt.subplots(len(rows), len(rows[0]), figsize=(9, 1.15 * len(rows)), layout="constrained", squeeze=False)
    for k, (row, images, label) in enumerate(zip(axes, rows, labels, strict=True)):
        for i, (axis, image) in enumerate(zip(row, images, strict=True)):
            axis.imshow(image.permute(1, 2, 0))
            axis.set(xticks=[], yticks=[])
            if below is not None:
                axis.set_xlabel(f"{below[k][i]:.2f}", fontsize=7, labelpad=1)
        row[0].set_ylabel(label, fontsize=8)


pictures = image_folder(folder / "pictures" / "train")
show([pictures.images[pictures.labels == k][:10] / 255 for k in range(3)], CLASSES)

# %% [markdown]
# ## A generator of them, and practice with it
#
# The commands as one would type them, but shorter, and with images of 32 pixels. Each goes on where it was stopped.


# %%
def command(words: str) -> None:
    """Run a command as a shell would, and print what it says."""
    done = subprocess.run([sys.executable, "-m", *words.split()], cwd=folder, capture_output=True, text=True)
    print(done.stdout or done.stderr)  # what went wrong, if nothing was said


command(
    "dp train-generator generator --images pictures/train --side 32 "
    "--vae-iterations 250 --unet-iterations 400 --unet-batch 16 --oracle-iterations 30"
)

# %%
command(
    "dp run practice --pipeline generator --validation pictures/validation --test pictures/test "
    "--n-initial 90 --n-per-round 30 --rounds 2 --iterations 100 --validate-every 20"
)
command("dp evaluate practice")

# %% [markdown]
# `dp grid practice` then draws what guidance makes of the same seeds, with a slider over omega and a map of the pool;
# `dp watch practice` shows a run while it goes on. A pool is exported by `dp pool export practice/pool --out FOLDER`.
#
# ## One line: what does a classifier of your own find hard?
#
# Any model with gradients that takes images in [-1, 1], the range of diffusion models. timm's and Hugging Face's want
# another range and another size; `Preprocess` does that inside the graph, so that guidance sees through it. Yours would be
# `timm.create_model("vit_base_patch16_224", pretrained=True)` with `Preprocess.of(model)`; this one is one of timm's
# smallest, trained for a few seconds on the pictures. The pipeline may be any of diffusers', with its own sampler.

# %%
model = timm.create_model("test_efficientnet", num_classes=3)
mean, std = [0.5] * 3, [0.25] * 3
classifier = nn.Sequential(Preprocess(64, mean, std), model)
optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
for _ in range(60):
    index = torch.randint(len(pictures), (64,))
    loss = F.cross_entropy(classifier(pictures.images[index] / 127.5 - 1), pictures.labels[index])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
classifier.eval().requires_grad_(False)

others = image_folder(folder / "pictures" / "test")
with torch.no_grad():
    right = classifier(others.images / 127.5 - 1).argmax(1) == others.labels
print(f"{right.float().mean():.0%} of other pictures recognised")

# %%
pipe = load_pipeline(folder / "generator")  # or any: DiffusionPipeline.from_pretrained(...)


def guided(classifier, omegas=(0.0, 0.1, 0.3)):
    """The same nine images, guided ever more strongly, with the classifier's entropy in nats below."""
    rows, hardness = [], []
    for omega in omegas:
        seeds = [torch.Generator().manual_seed(seed) for seed in range(9)]
        with guide(pipe, classifier, omega=omega, interval=(0.0, 1.0)):
            rows.append(pipe([0, 1, 2] * 3, generator=seeds, output_type="pt").images)
        hardness.append(entropy(classifier(rows[-1] * 2 - 1)))
    show(rows, [f"ω = {omega:g}" for omega in omegas], hardness)


guided(classifier)

# %% [markdown]
# A classifier of Hugging Face, saved by `save_pretrained` or fetched by its hub id: `HuggingFaceClassifier` gives its
# logits. This one has random weights, so what it finds hard means nothing: it shows the wiring.

# %%
from transformers import AutoModelForImageClassification, ResNetConfig
from transformers.utils import logging

logging.disable_progress_bar()
small = ResNetConfig(num_channels=3, embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], num_labels=3)
AutoModelForImageClassification.from_config(small).save_pretrained(folder / "hf")

model = AutoModelForImageClassification.from_pretrained(folder / "hf")  # yours: a folder or a hub id
guided(nn.Sequential(Preprocess(32, mean, std), HuggingFaceClassifier(model)).eval().requires_grad_(False), (0.0, 0.3))
