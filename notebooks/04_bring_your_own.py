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
# # Your own pictures
#
# A folder of pictures, one subfolder per class, is all that is needed: a small generator is trained on them, and a
# classifier then practises on what it makes. Here the pictures are drawn on the spot. Everything is smaller than it should
# be, so that this takes minutes; `docs/extending.md` does the same at the sizes that are meant.

# %%
import colorsys
import json
import os
import subprocess
import sys
import tempfile
from base64 import b64decode
from io import BytesIO
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "2")

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image, ImageDraw

plt.rcParams["figure.dpi"] = 80
os.chdir(tempfile.mkdtemp())

# %% [markdown]
# ## 300 pictures in three classes
#
# Boats, houses and trees of all colours, sizes and places, 32 pixels wide: 60 of each class to train on, 20 to tell when
# training has stopped improving, 20 for the end. Yours: `PICTURES/train/CLASS/anything.jpg`, and so on.

# %%
FINE = 4  # drawn four times as large, so that edges are smooth


def picture(name, rng):
    """A house, a tree or a boat, somewhere, of some size, in some colours."""

    def colour(low, high):
        return tuple(int(255 * each) for each in colorsys.hsv_to_rgb(rng.uniform(), rng.uniform(0.35, 1), rng.uniform(low, high)))

    side = 32 * FINE
    canvas = Image.new("RGB", (side, side), colour(0.6, 1))
    draw = ImageDraw.Draw(canvas)
    ground = rng.uniform(0.65, 0.85)
    draw.rectangle([0, ground * side, side, side], fill=colour(0.3, 0.8))
    size, x = rng.uniform(0.3, 0.6), rng.uniform(0.3, 0.7)
    wide, high = rng.uniform(0.35, 0.5), rng.uniform(0.5, 0.8)
    round_ = [(wide * np.cos(a), high + 0.4 * np.sin(a)) for a in np.linspace(0, 2 * np.pi, 12)]
    parts = {  # two shapes each, from the middle of the foot upwards
        "house": (
            [(-wide, -0.1), (-wide, high), (wide, high), (wide, -0.1)],
            [(-wide - 0.1, high), (0, high + 0.5), (wide + 0.1, high)],
        ),
        "tree": ([(-0.08, -0.1), (-0.08, 0.5), (0.08, 0.5), (0.08, -0.1)], round_),
        "boat": (
            [(-wide - 0.1, 0.2), (-wide + 0.1, -0.15), (wide - 0.1, -0.15), (wide + 0.1, 0.2)],
            [(-0.02, 0.25), (-0.02, high + 0.6), (wide, 0.25)],
        ),
    }
    for points in parts[name]:
        draw.polygon([((x + size * u) * side, (ground - size * v) * side) for u, v in points], fill=colour(0.2, 0.9))
    return canvas.resize((32, 32), Image.Resampling.LANCZOS)


rng = np.random.default_rng(0)
for part, count in (("train", 60), ("validation", 20), ("test", 20)):
    for name in ("boat", "house", "tree"):
        folder = Path("PICTURES", part, name)
        folder.mkdir(parents=True)
        for i in range(count):
            picture(name, rng).save(folder / f"{i}.png")


def show(rows, names):
    """Rows of images, each with a name."""
    figure, axes = plt.subplots(len(rows), len(rows[0]), figsize=(9, 0.95 * len(rows)), squeeze=False, layout="constrained")
    for line, images, name in zip(axes, rows, names):
        for axis, image in zip(line, images):
            axis.imshow(image)
            axis.set(xticks=[], yticks=[])
        line[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=8)


names = ["boat", "house", "tree"]
show([[Image.open(f"PICTURES/train/{name}/{i}.png") for i in range(10)] for name in names], names)

# %% [markdown]
# ## A generator of them
#
# `dp train-generator GENERATOR --images PICTURES/train`, here with few iterations. Its model card says how good it is,
# measured beside every fifth picture, which it has not seen.


# %%
def dp(command):
    """Run a command of dp, as in a terminal."""
    done = subprocess.run([sys.executable, "-m", "dp", *command.split()], capture_output=True, text=True)
    print(done.stdout or done.stderr)


dp(
    "train-generator GENERATOR --images PICTURES/train --config.vae-iterations 400 "
    "--config.unet-iterations 500 --config.oracle-iterations 150"
)
card = Path("GENERATOR/README.md").read_text()
print(card[card.index("**Measured.**") : card.index("**Settings.**")])

# %% [markdown]
# ## Practise
#
# A classifier learns from generated images alone. Whenever its accuracy on the validation pictures stops improving, the
# generator makes images that it finds hard. `dp watch PRACTICE` shows a page of it meanwhile.

# %%
dp(
    "run PRACTICE --pipeline GENERATOR --validation PICTURES/validation --test PICTURES/test "
    "--n-initial 90 --n-per-round 30 --rounds 2 --iterations 300 --validate-every 20"
)
for each in json.loads(Path("PRACTICE/result.json").read_text())["additions"]:
    print(f"iteration {each['iteration']}: {each['pool_size']} images, asked for by {each['trigger']}")

# %% [markdown]
# ## What it finds hard
#
# The same seeds, guided more and more by the classifier as it was at the last addition.

# %%
dp("grid PRACTICE --learners 1 --per-class 3 --omegas 0 0.2 0.4")
guided = json.loads(Path("PRACTICE/grid.json").read_text())["guided"]
omegas = sorted({each["omega"] for each in guided})
show(
    [[Image.open(BytesIO(b64decode(each["png"]))) for each in guided if each["omega"] == omega] for omega in omegas],
    [f"ω = {omega:g}" for omega in omegas],
)
for omega in omegas:
    print(f"omega {omega:g}: mean entropy {np.mean([each['entropy'] for each in guided if each['omega'] == omega]):.2f} nats")
