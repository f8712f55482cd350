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
# # A run of Deliberate Practice from scratch
#
# Algorithm 1 of the paper, start to end, in about three minutes: a classifier trains on generated clothes
# only; when real validation images say that it has stopped improving, it asks for harder ones. Beside it the two runs that it
# must be compared with: static training, which has all its images from the start, and omega = 0, which adds plain images
# by the same rule. Needs nothing but the repository. The loop itself is `dp/practice/loop.py`, and `docs/method.md` has it
# beside the paper's text.

# %%
import warnings
from dataclasses import replace

warnings.filterwarnings("ignore", message="IProgress not found")

import matplotlib.pyplot as plt
import torch

from dp import (
    CLASSES,
    GuidanceConfig,
    PracticeConfig,
    bundled_generator,
    run_practice,
    test_images,
    validation_images,
)

plt.rcParams.update({"figure.dpi": 70, "axes.spines.top": False, "axes.spines.right": False})

# %% [markdown]
# ## Settings
#
# N = 300 images at the start, k = 4 additions of P = 50. Everything else is as in the recorded experiments
# (`experiments/studies/settings.py`), but that the runs are a tenth as long, and so are validated more often (every 30
# iterations) with a patience of 1: this shows how it works, not which is better.

# %%
practice = PracticeConfig(
    seed=7,
    n_initial=300,
    n_per_round=50,
    rounds=4,
    iterations=600,
    validate_every=30,
    patience=1,
)
late = replace(practice, guidance=GuidanceConfig(omega=0.0))
static = replace(late, n_initial=500, rounds=0, n_per_round=0)

# %% [markdown]
# ## Run
#
# `run_practice` gives the outcomes (the finished run, and branch-outs where they are asked for) and the final state: learner,
# pool, and the log.

# %%
results = {}
for name, config in (("static", static), ("omega = 0", late), ("DP", practice)):
    outcomes, state = run_practice(config, bundled_generator(config), validation_images(), test_images)
    results[name] = outcomes[-1], state
    print(f"{name:9} {len(state.pool):5,} images, test accuracy {outcomes[-1].test_accuracy:.1f}%")

# %% [markdown]
# ## What happened
#
# Each dashed line is an addition. The training loss jumps up there, as the new images are hard; accuracy on real images
# follows it up. Patience asked for some of the additions, and an even schedule made those that were overdue, so that all
# runs end with as many images.

# %%
colours = {"static": "#555555", "omega = 0": "#0072B2", "DP": "#D55E00"}
figure, axes = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
for name, (_, state) in results.items():
    iterations = [entry["iteration"] for entry in state.log]
    axes[0].plot(iterations, [entry["train_loss"] for entry in state.log], color=colours[name], label=name)
    axes[1].plot(iterations, [entry["validation_accuracy"] for entry in state.log], color=colours[name], label=name)
for addition in results["DP"][1].additions:
    for axis in axes:
        axis.axvline(addition["iteration"], color=colours["DP"], linestyle="--", linewidth=0.7)
axes[0].set(xlabel="iteration", ylabel="training loss (nats)", ylim=(0.5, 1.2))
axes[1].set(xlabel="iteration", ylabel="real validation accuracy (%)", ylim=(60, None))
axes[0].legend();

# %%
for addition in results["DP"][1].additions:
    print(f"iteration {addition['iteration']:5,}: {addition['pool_size']:5,} images, asked for by {addition['trigger']}")

# %% [markdown]
# ## The pool
#
# Every image knows its seed, its round, and what the learner that ordered it made of it: its entropy there, and whether
# it was right. Guided images are harder than plain ones to the learner of their time.

# %%
for name in ("omega = 0", "DP"):
    pool = results[name][1].pool.samples
    added = pool[pool.rounds > 0]
    wrong = (added.correct == 0).float().mean()
    print(f"{name:9} additions: mean entropy {added.entropy.mean():.2f} nats, {wrong:.0%} misclassified at birth")

# %%
pool = results["DP"][1].pool.samples
figure, axes = plt.subplots(4, 10, figsize=(9, 4.1), layout="constrained")
for row, round_ in enumerate((0, 0, 4, 4)):
    for label in range(10):
        index = ((pool.rounds == round_) & (pool.labels == label)).nonzero()[row % 2, 0]
        axis = axes[row, label]
        axis.imshow(pool.images[index, 0], cmap="gray", vmin=0, vmax=255)
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set_visible(False)
        if row == 0:
            axis.set_title(CLASSES[label], fontsize=8)
        if label == 0:
            axis.set_ylabel("initial" if round_ == 0 else "last addition", fontsize=8)

# %% [markdown]
# ## Which is better?
#
# One seed and so short a run cannot say. The recorded runs do, with several seeds, longer, at each method's own best
# settings too, on shifted test images and beside pruning: `python -m experiments verdicts`, or the report that
# `make figures` writes.

# %%
for name, (outcome, state) in results.items():
    print(f"{name:9} {outcome.test_accuracy:.1f}% with {len(state.pool):,} images")
