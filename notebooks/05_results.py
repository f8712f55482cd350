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
# # Reading the results
#
# Every number in the report comes from a JSON file under `experiments/results`. This notebook reads them without any help
# and then with the project's own functions: curves, data efficiency, verdicts. Whatever is recorded when it runs is shown.

# %%
import json
import warnings
from collections import defaultdict
from pathlib import Path

warnings.filterwarnings("ignore", message="IProgress not found")

import matplotlib.pyplot as plt
import numpy as np

from experiments import verdicts
from experiments.engine import results
from experiments.analysis.efficiency import efficiency, equivalents, fit
from experiments.analysis.table import curve, rows, table

plt.rcParams.update({"figure.dpi": 70, "axes.spines.top": False, "axes.spines.right": False})
folder = results.folder("cpu")
for study in sorted(path for path in folder.iterdir() if path.is_dir()):
    print(f"{study.name:24} {len(list(study.glob('*.json'))):4} results")

# %% [markdown]
# ## One file
#
# What was asked (`config`), what it depends on (`inputs`: checksums), what made it (`made_by`), what came out, and a
# checksum of all that.

# %%
path = folder / "scaling-equal-convnet" / "DP-1000-seed0.json"
result = json.loads(path.read_text())
print({name: type(value).__name__ for name, value in result.items()})
print(result["made_by"])
print({name: result["config"][name] for name in ("seed", "n_initial", "n_per_round", "rounds", "iterations", "lr")})
for outcome in result["outcomes"]:
    print({name: value for name, value in outcome.items() if name not in ("test_predictions", "shift_accuracy")})

# %% [markdown]
# The log of the run, and what asked for each addition.

# %%
log, additions = result["log"], result["additions"]
figure, axis = plt.subplots(figsize=(6, 2.6), layout="constrained")
axis.plot([e["iteration"] for e in log], [e["validation_accuracy"] for e in log], color="#D55E00")
for addition in additions:
    axis.axvline(addition["iteration"], color="#D55E00" if addition["trigger"] == "patience" else "#AAAAAA", lw=0.8, ls="--")
axis.set(xlabel="iteration", ylabel="real validation accuracy (%)", ylim=(70, None))
axis.set_title("additions: patience (orange), schedule (grey)", fontsize=9);

# %% [markdown]
# ## A scaling curve by hand

# %%
accuracy = defaultdict(list)
for path in sorted((folder / "scaling-equal-convnet").glob("static-*.json")):
    run = json.loads(path.read_text())
    accuracy[run["config"]["n_initial"]].append(run["outcomes"][0]["test_accuracy"])
for size, values in sorted(accuracy.items()):
    print(f"{size:6,} images: {np.mean(values):.2f}% (sd {np.std(values, ddof=1):.2f}, {len(values)} seeds)")

# %% [markdown]
# ## The same from the results table
#
# The table has a row per trained learner, of all studies, with its settings and what it has reached
# (`python -m experiments table` prints it; `help(experiments.analysis.table)` says what its columns are).

# %%
results_table = table("cpu")
of_study = results_table[results_table.study == "scaling-equal-convnet"]
of_study.groupby(["method", "images"]).test_accuracy.agg(["mean", "std", "size"]).round(2)

# %% [markdown]
# `rows` has a study's rows as plain dicts, `curve` the accuracies of a method by size. `efficiency` says how many more
# images static training needs at its best; `equivalents` says it at each size of Deliberate Practice.

# %%
runs = rows("cpu", "scaling-equal-convnet")
static, dp = curve(runs, "static"), curve(runs, "DP")
print(efficiency(static, dp))
for each in equivalents(static, dp):
    reached = "never reached by static" if each.static_size is None else f"static needs {each.static_size:,.0f}"
    print(f"DP with {each.dp_size:5,} images: {each.accuracy:.1f}%, {reached}")

# %%
figure, axis = plt.subplots(figsize=(6, 3), layout="constrained")
for name, values, colour in (("static", static, "#555555"), ("DP", dp, "#D55E00")):
    means = [np.mean(v) for v in values.values()]
    spreads = [np.std(v, ddof=1) if len(v) > 1 else 0 for v in values.values()]
    axis.errorbar(list(values), means, spreads, fmt="o", color=colour, capsize=2, label=name)
    found = fit(values)
    if found:
        a, b, c = found
        sizes = np.geomspace(min(values), max(values))
        axis.plot(sizes, a - b * sizes**-c, color=colour, lw=1)
axis.set(xscale="log", xlabel="generated training images", ylabel="real test accuracy (%)")
axis.legend();

# %% [markdown]
# ## Which images does a run get right?
#
# Each result has the prediction for every test image, a digit each, so anything can be asked afterwards: here, accuracy
# by class.

# %%
from dp import CLASSES, test_images
from experiments.analysis.hard_images import correct

right = {m: correct(r["test_predictions"] for r in runs if r["method"] == m and r["images"] == 4000) for m in ("static", "DP")}
labels = test_images().labels.numpy()
print(f"{'':12} static     DP   (4,000 images, percent)")
for label, name in enumerate(CLASSES):
    print(f"{name:12} {100 * right['static'][:, labels == label].mean():6.1f} {100 * right['DP'][:, labels == label].mean():6.1f}")

# %% [markdown]
# ## What it means for the paper's claims
#
# Computed by rules (`experiments/verdicts`), each with an effect and its interval.

# %%
for each in verdicts.verdicts("cpu"):
    effect = "" if each.effect is None else f"{each.effect:.3g}"
    print(f"{each.id:4} {each.verdict:20} {effect}")
