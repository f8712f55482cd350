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
# Deliberate Practice needs three things of yours: a diffusers pipeline, a classifier, and a folder of real pictures, one
# subfolder a class, to tell when training has stopped improving. Here stand-ins take their places, made on the spot; where
# yours go is said at each. About two minutes on two cores, nothing is downloaded.

# %%
import os

os.environ.setdefault("OMP_NUM_THREADS", "2")

import tempfile
import warnings
from pathlib import Path

warnings.filterwarnings("ignore", message="IProgress not found")

import matplotlib.pyplot as plt
import timm
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

from dp import (
    CLASSES,
    Generator,
    GuidanceConfig,
    HuggingFaceClassifier,
    ImageSet,
    PracticeConfig,
    Preprocess,
    bundled_pipeline,
    entropy,
    guide,
    image_folder,
    run_practice,
    validation_images,
)

torch.set_num_threads(2)
torch.manual_seed(0)
plt.rcParams["figure.dpi"] = 80
folder = Path(tempfile.mkdtemp())

# %% [markdown]
# ## A folder of pictures
#
# `pictures/CLASS/anything.png`: yours. Here: 200 real photographs of each class of Fashion-MNIST.

# %%
real = validation_images()
for label, name in enumerate(CLASSES):
    (folder / "pictures" / name).mkdir(parents=True)
    for i in (real.labels == label).nonzero()[:200, 0].tolist():
        Image.fromarray(real.images[i, 0].numpy()).save(folder / "pictures" / name / f"{i}.png")

pictures = image_folder(folder / "pictures", CLASSES, (1, 32, 32))  # resized to channels, height, width
print(f"{len(pictures):,} pictures, {tuple(pictures.images.shape[1:])}")
half = torch.randperm(len(pictures))
train, held_out = half[:1000], half[1000:]

# %% [markdown]
# ## A classifier of timm
#
# Any model with gradients that takes images in [-1, 1], the range of diffusion models. timm's and Hugging Face's want
# another range and another size; `Preprocess` does that inside the graph, so that guidance sees through it. Yours would be
# `timm.create_model("vit_base_patch16_224", pretrained=True)` with `Preprocess.of(model)`; this one is one of timm's
# smallest, trained for a minute on half of the folder.

# %%
model = timm.create_model("test_efficientnet", in_chans=1, num_classes=10)
mean, std = [0.29], [0.35]
classifier = nn.Sequential(Preprocess(64, mean, std), model)
optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
for _ in range(250):
    index = train[torch.randint(len(train), (64,))]
    loss = F.cross_entropy(classifier(pictures.images[index] / 127.5 - 1), pictures.labels[index])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
classifier.eval().requires_grad_(False)
with torch.no_grad():
    right = classifier(pictures.images[held_out] / 127.5 - 1).argmax(1) == pictures.labels[held_out]
print(f"{right.float().mean():.0%} of the other half recognised")

# %% [markdown]
# ## One line: what does it find hard?
#
# The pipeline may be any of diffusers', with its own sampler: Stable Diffusion too (README).

# %%
pipe = bundled_pipeline()  # yours: DiffusionPipeline.from_pretrained(...)


def show(classifier, omegas=(0.0, 0.1, 0.3)):
    """The same ten images, guided ever more strongly, with the classifier's entropy."""
    figure, axes = plt.subplots(len(omegas), 10, figsize=(9, 1.15 * len(omegas)), layout="constrained")
    for row, omega in zip(axes, omegas, strict=True):
        seeds = [torch.Generator().manual_seed(seed) for seed in range(10)]
        with guide(pipe, classifier, omega=omega, interval=(0.0, 1.0)):
            images = pipe(list(range(10)), generator=seeds, output_type="pt").images * 2 - 1
        hardness = entropy(classifier(images))
        for axis, image, h in zip(row, images, hardness, strict=True):
            axis.imshow(image[0], cmap="gray", vmin=-1, vmax=1)
            axis.set_xlabel(f"{h:.2f}", fontsize=7, labelpad=1)
            axis.set(xticks=[], yticks=[])
        row[0].set_ylabel(f"ω = {omega:g}", fontsize=8)
        print(f"omega {omega:g}: mean entropy {hardness.mean():.2f} nats")


show(classifier)

# %% [markdown]
# ## A classifier of Hugging Face
#
# Saved by `save_pretrained` or fetched by its hub id; `HuggingFaceClassifier` gives its logits. This one has random
# weights, so what it finds hard means nothing: it shows the wiring.

# %%
from transformers import AutoModelForImageClassification, ResNetConfig

small = ResNetConfig(num_channels=1, embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], num_labels=10)
AutoModelForImageClassification.from_config(small).save_pretrained(folder / "hf")

model = AutoModelForImageClassification.from_pretrained(folder / "hf")  # yours: a folder or a hub id
hub = nn.Sequential(Preprocess(32, mean, std), HuggingFaceClassifier(model)).eval().requires_grad_(False)
show(hub, (0.0, 0.3))

# %% [markdown]
# ## Practise with them
#
# Now a learner trains on generated images from scratch: a timm architecture by name, your folder in two halves, one to
# tell when it has stopped improving and one for the end. On the command line, in a folder that survives anything:
#
#     dp run RUN --pipeline PIPELINE --classes NAMES... --validation PICTURES --test OTHERS --learner resnet18
#
# Any module from crops in [-1, 1] to logits can be given as `net=`.

# %%
generator = Generator(bundled_pipeline(), guidance_scale=2.0, steps=10)
config = PracticeConfig(
    learner="test_efficientnet",
    n_initial=400,
    n_per_round=100,
    rounds=3,
    iterations=300,
    validate_every=30,
    guidance=GuidanceConfig(0.1, (0.0, 1.0)),
)
validation = ImageSet(pictures.images[train], pictures.labels[train])
test = ImageSet(pictures.images[held_out], pictures.labels[held_out])
outcomes, state = run_practice(config, generator, validation, lambda: test)
print(f"{len(state.pool)} generated images, {outcomes[-1].test_accuracy:.0f}% of real pictures recognised")

# %% [markdown]
# ## Take the images elsewhere
#
# A pool in a run folder is exported as a folder of pictures, or as Parquet files that `datasets` loads:
#
#     dp pool export RUN/pool --out FOLDER
#
# In memory they are plain tensors: `state.pool.samples.images`, with label, seed, round, omega and entropy of each.

# %%
samples = state.pool.samples
print(samples.images.shape, samples.images.dtype)
for round_ in range(1, 4):
    mine = samples[samples.rounds == round_]
    print(f"round {round_}: {len(mine)} images, omega {mine.omega[0]:.2g}, mean entropy {mine.entropy.nanmean():.2f} nats")
