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
# # Guiding a diffusion model toward what a classifier finds hard
#
# A half-trained classifier steers the repository's own diffusion model (Fashion-MNIST, 32 x 32). What do its images look
# like, and what does it matter when, how strongly and through which decoder it steers? Needs nothing but the repository
# and runs in under two minutes on one core. Conventions and measurements: `docs/guidance.md`.

# %%
import functools
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import time
import warnings

warnings.filterwarnings("ignore", message="IProgress not found")

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from torch import nn
from torchvision.transforms.v2 import CenterCrop

from dp import (
    CLASSES,
    Generator,
    GuidanceConfig,
    build_learner,
    bundled_decoder,
    bundled_oracle,
    bundled_pipeline,
    entropy,
    guide,
)

torch.set_num_threads(1)
pipe = bundled_pipeline()
generator = Generator(pipe, guidance_scale=1.5, steps=10)
PLAIN = GuidanceConfig(omega=0.0)


@torch.no_grad()
def judge(classifier, images):
    """Logits float [B, 10] on finished images uint8 [B, 1, 32, 32]; classifiers take [-1, 1]."""
    return classifier(images / 127.5 - 1)

# %% [markdown]
# ## A half-trained classifier
#
# 400 iterations on 600 generated images: where Deliberate Practice would ask for harder ones.

# %%
torch.manual_seed(0)
pool = generator.generate(torch.arange(600) % 10, list(range(600)))
classifier = nn.Sequential(CenterCrop(28), build_learner("convnet", 10, 1))
optimizer = torch.optim.AdamW(classifier.parameters(), 1e-3)
for _ in range(400):
    index = torch.randint(600, (64,))
    loss = F.cross_entropy(classifier(pool.images[index] / 127.5 - 1), pool.labels[index])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
classifier.eval().requires_grad_(False)
oracle = bundled_oracle()  # trained on real images; only judges

# %% [markdown]
# ## Over omega
#
# Each row is one seed. To its right the same image, guided ever more strongly; below each the classifier's entropy in nats
# (ln 10 = 2.30 is a pure guess). At first hardly a difference is seen: part of the gain is of the adversarial kind, and
# `docs/guidance.md` says how much of it another classifier shares. Then details change. Far to the right artefacts appear
# and entropy falls again: the steps overshoot.

# %%
omegas = (0.0, 0.1, 0.2, 0.3, 0.5, 0.8, 1.2)
labels = torch.tensor([0, 2, 3, 5, 6, 7, 8, 9])
seeds = [11, 12, 13, 14, 15, 16, 17, 18]


def grid(columns, titles, caption=None, size=0.85):
    """Images uint8 or float [n, 1, H, W] a column."""
    n = len(columns[0])
    figure, axes = plt.subplots(n, len(columns), figsize=(size * len(columns), 1.12 * size * n), layout="constrained")
    for j, (column, title) in enumerate(zip(columns, titles, strict=True)):
        for i, image in enumerate(column):
            low, high = (0, 255) if image.dtype == torch.uint8 else (-1, 1)
            axes[i, j].imshow(image[0], cmap="gray", vmin=low, vmax=high)
            axes[i, j].set(xticks=[], yticks=[])
            axes[i, j].spines[:].set_visible(False)
            if caption is not None:
                axes[i, j].set_xlabel(f"{caption[j][i]:.2f}", fontsize=6, labelpad=1)
        axes[0, j].set_title(title, fontsize=8)
    return axes


guided = [generator.generate(labels, seeds, classifier, GuidanceConfig(omega)) for omega in omegas]
axes = grid([each.images for each in guided], [f"ω = {omega:g}" for omega in omegas], [each.entropy for each in guided])
for axis, label in zip(axes[:, 0], labels, strict=True):
    axis.set_ylabel(CLASSES[label], fontsize=7)

# %% [markdown]
# The same over 40 seeds: entropy rises, and what a classifier trained on real images still recognises falls.

# %%
many, many_seeds = torch.arange(40) % 10, list(range(5000, 5040))


def measured(guidance, decoder=None):
    """Mean entropy under the classifier, fraction recognised by the oracle, seconds of processor time."""
    source = Generator(pipe, 1.5, 10, decoder=decoder)
    start = time.process_time()
    images = source.generate(many, many_seeds, classifier, guidance).images
    seconds = time.process_time() - start
    right = (judge(oracle, images).argmax(1) == many).float().mean()
    return entropy(judge(classifier, images)).mean().item(), right.item(), seconds


print("omega  entropy  recognised")
for omega in (0.0, 0.1, 0.3, 0.6, 1.0):
    hardness, right, _ = measured(GuidanceConfig(omega))
    print(f"{omega:5.1f}  {hardness:7.2f}  {right:10.0%}")

# %% [markdown]
# ## What the classifier is asked about
#
# At each step the U-Net's noise prediction gives an estimate of the finished image, x0_hat; the classifier sees that. At
# high noise it is a blur, the mean of much that is still possible, and its entropy says little about the finished image.
# A scheduler's `guidance` is any callable of (x_t, output, t) with a `renew()` for the start of a run, so looking on takes
# a few lines. Guidance by default acts where t < 400 (the last four columns here).


# %%
def watch(omega):
    """Estimates float [3, 1, 32, 32] and times of every step, for three seeds."""
    estimates, times = [], []
    with guide(pipe, classifier, omega):
        step = pipe.scheduler.step

        @functools.wraps(step)
        def watched(output, t, x, **more):
            result = step(output, t, x, **more)
            estimates.append(pipe.decode(result.pred_original_sample))
            times.append(int(t))
            return result

        pipe.scheduler.step = watched
        pipe([3, 6, 9], generator=[torch.Generator().manual_seed(seed) for seed in (1, 2, 3)])
    return estimates, times


(plain, times), (steered, _) = watch(0.0), watch(0.5)
columns = [torch.cat(pair).clamp(-1, 1) for pair in zip(plain, steered, strict=True)]
axes = grid(columns, [f"t = {t}" for t in times])
axes[1, 0].set_ylabel("plain", fontsize=8)
axes[4, 0].set_ylabel("ω = 0.5", fontsize=8);

# %% [markdown]
# ## Early or late
#
# The same change of entropy costs more recognition early: there guidance decides what the image is of. Late, it makes an
# image of the class hard. Strengths are chosen so that the entropies are roughly alike.

# %%
settings = {
    "plain": PLAIN,
    "late: t < 400": GuidanceConfig(0.3, (0.0, 0.4)),
    "middle: 400 - 700": GuidanceConfig(0.5, (0.4, 0.7)),
    "early: t > 700": GuidanceConfig(0.4, (0.7, 1.0)),
    "always": GuidanceConfig(0.1, (0.0, 1.0)),
}
print(f"{'':<20} entropy  recognised")
for name, guidance in settings.items():
    hardness, right, _ = measured(guidance)
    print(f"{name:<20} {hardness:7.2f}  {right:10.0%}")
guided = [generator.generate(labels[:5], seeds[:5], classifier, guidance) for guidance in settings.values()]
grid([each.images for each in guided], [name.split(":")[0] for name in settings], [each.entropy for each in guided], 1.0);

# %% [markdown]
# ## Through which decoder
#
# The classifier needs pixels, the diffusion model works in latents. The VAE that decodes finished images is exact and, at
# 512 pixels, dear; a small distilled network or a linear map gives a gradient as well. Above: what each makes of the
# same latents. Below: what guidance through each achieves at the same omega, and what it costs here, where the VAE is
# small. At full size the difference is larger: `docs/guidance.md`.

# %%
decoders = {"vae": pipe.vae, "tiny": bundled_decoder("tiny"), "linear": bundled_decoder("linear")}
rngs = [torch.Generator().manual_seed(seed) for seed in range(4)]
latents = pipe([0, 3, 7, 9], generator=rngs, output_type="latent").images
with torch.no_grad():
    scaled = latents / pipe.vae.config.scaling_factor, latents, latents  # the cheap ones take them as they come
    decoded = [each.decode(x).sample.clamp(-1, 1) for each, x in zip(decoders.values(), scaled, strict=True)]
grid(decoded, list(decoders), size=1.0)
plt.show()

_, _, unguided = measured(PLAIN)
print("decoder  entropy  recognised   time (plain = 1)")
for name, decoder in decoders.items():
    hardness, right, seconds = measured(GuidanceConfig(0.3), None if name == "vae" else decoder)
    print(f"{name:<7}  {hardness:7.2f}  {right:10.0%}   {seconds / unguided:.2f}")

# %% [markdown]
# ## Down instead of up
#
# Any callable of images can be raised. Minus the entropy makes images easy: typical ones.

# %%
rngs = [torch.Generator().manual_seed(seed) for seed in range(40)]
with guide(pipe, omega=0.3, objective=lambda images: -entropy(classifier(images))):
    easy = pipe(many, generator=rngs, output_type="pt").images
rngs = [torch.Generator().manual_seed(seed) for seed in range(40)]
usual = pipe(many, generator=rngs, output_type="pt").images
with torch.no_grad():
    print(f"plain {entropy(classifier(usual * 2 - 1)).mean():.2f}, guided down {entropy(classifier(easy * 2 - 1)).mean():.2f}")
