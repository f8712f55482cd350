"""Command line: ``python -m theory --help``.

Examples::

    python -m theory error --d 350 --n 1000 --ridge 0.01 --alignment 0.9 --rule keep-hard --threshold 0.7 --json
    python -m theory simulate --d 350 --n 1000 --rule keep-hard --kept-fraction 0.5 --replicates 20
    python -m theory sweep --d 350 --n 500,1000,2000,4000 --tune-ridge
    python -m theory error --d 260 --n 2000 --alignment 0.7 --label-noise 0.15 --agreeing --loss logistic
    python -m theory error --d 350 --n 1000 --ridge 0.01 --generator-alignment 0.7 --real 200
    python -m theory error --d 350 --n 1000 --ridge 0.01 --decay 1 --test-decay 0.5
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from theory.checks import ArgumentError, integer
from theory.error import general_error, isotropic_error
from theory.losses.loss import LOSSES
from theory.mixtures import Population, dense_mixture, mixture_error
from theory.rules.selection import KeepAll, KeepEasy, KeepHard, Rule, Tempered
from theory.sampling.simulate import banded, dense, dense_general
from theory.scaling import best_isotropic, best_rounds, local_exponents, power_law
from theory.search import BUDGETS, Best

Row = dict[str, Any]
EXACT = ("test_error", "kept_fraction", "overlap", "squared_norm", "finite_size")  # columns of an exact error
RULES = {  # name: the options it uses
    "keep-all": (),
    "keep-hard": ("threshold", "kept_fraction"),
    "keep-easy": ("threshold", "kept_fraction"),
    "tempered": ("kept_fraction", "omega", "level", "scale"),
}
DEFAULTS = {  # of options that are refused where they would do nothing, so that it must be seen whether they are given
    "ridge": 0.0,
    "alignment": 1.0,
    "generator_alignment": 1.0,
    "label_noise": 0.0,
    "loss": "squared",
    "omega": 1.0,
    "scale": 1.0,
    "teacher": "flat",
    "budget": "pool",
    "rounds": 4,
}


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}. Try {self.prog} --help.\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns the exit code: 0, 2 for a bad argument, 130 for Ctrl-C."""
    if sys.stdout is None:  # closed by the caller, who wants nothing of what is printed
        sys.stdout = open(os.devnull, "w")
    options = _parser().parse_args(arguments)
    try:
        _complete(options)
        options.run(options)
    except (ArgumentError, OSError, RuntimeError) as error:
        if isinstance(error, BrokenPipeError):  # the reader of a pipe has gone: not an error
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        print(f"theory: {error}", file=sys.stderr)
        return 2
    except MemoryError:
        print(
            "theory: n, d: found a setting too large for memory. Lower them; of the methods, banded needs the least.",
            file=sys.stderr,
        )
        return 2
    except KeyboardInterrupt:
        print("theory: interrupted; nothing more was written.", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m theory", description="Exact theory of learning from hard examples.")
    commands = parser.add_subparsers(required=True, metavar="error|simulate|sweep")

    model = _Parser(add_help=False)
    model.add_argument("--d", type=int, required=True, help="input dimension")
    model.add_argument("--ridge", type=float, help="ridge penalty; 0 is the limit of small ones (default 0)")
    model.add_argument("--alignment", type=float, help="cosine of pruner and labels (default 1)")
    model.add_argument("--generator-alignment", type=float, help="cosine of generator and truth (default 1)")
    model.add_argument("--label-noise", type=float, metavar="ETA", help="probability that a label flips (default 0)")
    model.add_argument("--agreeing", action="store_true", help="keep only rows whose label is the pruner's")
    model.add_argument("--loss", choices=LOSSES, help="loss of the classifier (default squared)")
    rule = _Parser(add_help=False)
    rule.add_argument("--rule", choices=list(RULES), default="keep-all")
    rule.add_argument("--threshold", type=float, help="margin threshold of keep-hard or keep-easy")
    rule.add_argument("--kept-fraction", type=float, help="fraction kept, instead of a threshold or a level")
    rule.add_argument("--omega", type=float, help="exponent of tempered, above 0 for hard rows (default 1)")
    rule.add_argument("--level", type=float, help="factor of tempered (default 1)")
    rule.add_argument("--scale", type=float, help="logits per standard deviation, tempered (default 1)")
    pool = _Parser(add_help=False)
    pool.add_argument("--n", type=int, required=True, help="pool size BEFORE pruning")
    pool.add_argument("--decay", type=float, help="power-law covariance with eigenvalues k^-DECAY (default isotropic)")
    pool.add_argument("--teacher", choices=["aligned", "flat"], help="with --decay (default flat)")
    pool.add_argument("--test-decay", type=float, help="with --decay: that of the inputs tested on (default the same)")
    pool.add_argument("--real", type=int, metavar="ROWS", help="rows labelled by the truth and all kept, beside the n")
    output = _Parser(add_help=False)
    form = output.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON")
    form.add_argument("--csv", type=Path, metavar="FILE", help="write CSV to FILE")

    error = commands.add_parser("error", parents=[model, rule, pool, output], help="exact test error of one setting")
    error.set_defaults(run=_error)
    simulate = commands.add_parser("simulate", parents=[model, rule, pool, output], help="the same, by sampling")
    simulate.add_argument("--replicates", type=int, default=10, help="independent draws (default 10)")
    simulate.add_argument("--seed", type=int, default=0)
    methods = "default banded; dense with --decay, --real or logistic loss"
    simulate.add_argument("--method", choices=["banded", "dense"], help=methods)
    simulate.set_defaults(run=_simulate)
    sweep = commands.add_parser("sweep", parents=[model, output], help="error and local exponents over n")
    sweep.add_argument("--n", required=True, help="sizes, separated by commas")
    sweep.add_argument("--budget", choices=BUDGETS, help="what n counts (default pool; selected if adaptive)")
    sweep.add_argument("--policy", default="best", help="a kept fraction, best (default), or adaptive")
    sweep.add_argument("--rounds", type=int, help="rounds of the adaptive policy (default 4)")
    sweep.add_argument("--plot", type=Path, metavar="FILE", help="also draw error and exponents (needs matplotlib)")
    sweep.add_argument("--tune-ridge", action="store_true", help="tune the ridge at every size instead of --ridge")
    sweep.set_defaults(run=_sweep)
    return parser


def _complete(options: argparse.Namespace) -> None:
    """Refuse options that would do nothing, and give those that are left out their defaults."""
    idle: dict[str, str] = {}  # option: what does not use it
    if "rule" in options:
        for name in ("threshold", "kept_fraction", "omega", "level", "scale"):
            if name not in RULES[options.rule]:
                idle[name] = options.rule
    if "decay" in options and options.decay is None:
        idle |= dict.fromkeys(("teacher", "test_decay"), "an isotropic covariance")
    if "policy" in options and options.policy == "adaptive":
        settings = ("ridge", "alignment", "generator_alignment", "label_noise", "agreeing", "loss")
        idle |= dict.fromkeys(settings, "the adaptive policy")
        if options.budget == "pool":
            idle["budget"] = "the adaptive policy"
        options.budget = options.budget or "selected"
    elif "policy" in options:
        idle["rounds"] = "a policy that is not adaptive"
        if options.tune_ridge:
            idle["ridge"] = "--tune-ridge"
    for name, user in idle.items():
        given = getattr(options, name)
        if given is not None and given is not False:
            raise ArgumentError(
                f"{name.replace('_', '-')}: found {getattr(options, name)}, but {user} does not use it. Leave it out."
            )
    for name, value in DEFAULTS.items():
        if getattr(options, name, value) is None:
            setattr(options, name, value)


def _rule(options: argparse.Namespace) -> Rule:
    name, threshold, kept = options.rule, options.threshold, options.kept_fraction
    if name in ("keep-hard", "keep-easy"):
        kind = KeepHard if name == "keep-hard" else KeepEasy
        if (threshold is None) == (kept is None):
            raise ArgumentError(f"threshold, kept-fraction: expected exactly one of them with {name}.")
        if kept is None:
            return kind(threshold, agreeing=options.agreeing)
        return kind.keeping(kept, agreeing=options.agreeing)
    if name == "tempered":
        if kept is None and options.level is None and options.omega < 0:
            raise ArgumentError(
                "omega: below 0 a level of 1 keeps everything. Give --kept-fraction or --level as well."
            )
        if kept is None:
            level = 1.0 if options.level is None else options.level
            return Tempered(options.omega, level, options.scale, agreeing=options.agreeing)
        if options.level is not None:
            raise ArgumentError("level, kept-fraction: expected at most one of them.")
        return Tempered.keeping(kept, options.omega, options.scale, agreeing=options.agreeing)
    return KeepAll(agreeing=options.agreeing)


def _setting(options: argparse.Namespace) -> tuple[dict[str, Any], Row]:
    """Keywords of the library call, and the columns that describe it."""
    angles = {"alignment": options.alignment, "generator_alignment": options.generator_alignment}
    training = {"ridge": options.ridge, "label_noise": options.label_noise, "loss": options.loss}
    about = {"d": options.d, "n": options.n, **training, "rule": options.rule, "agreeing": options.agreeing, **angles}
    about |= {name: value for name in ("real", "test_decay") if (value := getattr(options, name)) is not None}
    if options.decay is None and options.real is None:
        return {"d": options.d, "n": options.n, **training, **angles}, about
    decay = options.decay or 0.0
    vectors: dict[str, Any] = power_law(d=options.d, decay=decay, teacher=options.teacher, **angles)
    if options.decay is not None:
        about |= {"decay": options.decay, "teacher": options.teacher}
    if options.test_decay is not None:
        vectors["test_covariance"] = power_law(d=options.d, decay=options.test_decay, teacher="flat")["covariance"]
    return {"n": options.n, **training, **vectors}, about


def _mixed(options: argparse.Namespace, setting: dict[str, Any]) -> tuple[list[Population], dict[str, Any]]:
    """Real rows beside those of a setting, and the other keywords of a mixture."""
    of_rows = ("n", "covariance", "pruner", "generator", "label_noise")
    synthetic = Population(_rule(options), **{name: setting[name] for name in of_rows})
    rows = integer("real", options.real, 1)
    real = replace(synthetic, rule=KeepAll(), n=rows, generator=setting["truth"], label_noise=0.0)
    return [real, synthetic], {name: value for name, value in setting.items() if name not in of_rows}


def _error(options: argparse.Namespace) -> None:
    setting, about = _setting(options)
    if options.real is not None:
        populations, others = _mixed(options, setting)
        exact = mixture_error(populations, **others)
    else:
        exact = (general_error if "covariance" in setting else isotropic_error)(_rule(options), **setting)
    _write(options, {name: float(getattr(exact, name)) for name in EXACT} | about)


def _simulate(options: argparse.Namespace) -> None:
    setting, about = _setting(options)
    fast = "covariance" not in setting and options.loss == "squared"
    method = options.method or ("banded" if fast else "dense")
    if method == "banded" and not fast:
        raise ArgumentError("method: banded is for isotropic pools and squared loss. Use dense, or leave it out.")
    if method == "banded":
        setting.pop("loss")
    drawn = {"replicates": options.replicates, "seed": options.seed}
    if options.real is not None:
        populations, others = _mixed(options, setting)
        run = dense_mixture(populations, **others, **drawn)
    else:
        draw = dense_general if "covariance" in setting else banded if method == "banded" else dense
        run = draw(_rule(options), **setting, **drawn)
    row: Row = {
        "test_error": run.mean,
        "standard_error": run.standard_error,
        "kept_fraction": float(run.kept.mean()) / (options.n + (options.real or 0)),
        **about,
        "method": method,
        "seed": options.seed,
    }
    _write(options, row | {"replicates": [float(x) for x in run.replicates] if options.json else options.replicates})


def _sweep(options: argparse.Namespace) -> None:
    try:
        sizes = np.array([float(part) for part in options.n.split(",")])
        fractions = None if options.policy in ("best", "adaptive") else [float(options.policy)]
    except ValueError:
        raise ArgumentError(
            f"n, policy: found {options.n!r} and {options.policy!r}, expected sizes separated by commas, and a number, "
            "best or adaptive."
        ) from None
    if options.policy == "adaptive":
        history = best_rounds(d=options.d, n=sizes, rounds=options.rounds)
        _finish(options, [row for k, best in enumerate(history) for row in _sweep_rows(options, sizes, best, k + 1)])
        return
    search: dict[str, Any] = {} if fractions is None else {"fractions": fractions, "easy": False}
    if not options.tune_ridge:
        search |= {"ridges": [options.ridge], "relative_ridge": False}
    best = best_isotropic(
        d=options.d,
        n=sizes,
        budget=options.budget,
        alignment=options.alignment,
        generator_alignment=options.generator_alignment,
        label_noise=options.label_noise,
        agreeing=options.agreeing,
        loss=options.loss,
        **search,
    )
    _finish(options, _sweep_rows(options, sizes, best, 1))


def _finish(options: argparse.Namespace, rows: list[Row]) -> None:
    if options.plot is not None:
        _plot(options.plot, rows)
    _write(options, rows)


def _plot(path: Path, rows: list[Row]) -> None:
    """Draw errors and, where there are any, local exponents over n, a line for each round."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ArgumentError("plot: found no matplotlib, expected it installed. Run pip install matplotlib.") from None
    columns = ["test_error", *(["exponent"] if "exponent" in rows[0] else [])]
    figure = Figure(figsize=(4 * len(columns), 3.4), layout="constrained")
    axes = figure.subplots(1, len(columns), squeeze=False)[0]
    rounds = list(dict.fromkeys(row["round"] for row in rows))
    for axis, column in zip(axes, columns, strict=True):
        for k in rounds:
            mine = [row for row in rows if row["round"] == k]
            axis.plot([row["n"] for row in mine], [row[column] for row in mine], "o-", markersize=3, label=f"round {k}")
        axis.set(xscale="log", xlabel=f"rows of the budget ({rows[0]['budget']})", ylabel=column.replace("_", " "))
        axis.grid(alpha=0.25)
    axes[0].set_yscale("log")
    axes[0].set_title(f"d = {rows[0]['d']}, {rows[0]['loss']} loss, policy {rows[0]['policy']}", fontsize=9)
    if len(rounds) > 1:
        axes[0].legend(fontsize=7)
    try:
        figure.savefig(path, dpi=150)
    except ValueError as error:
        raise ArgumentError(f"plot: found {path.name!r}, expected the name of a picture. {error}.") from None


def _sweep_rows(options: argparse.Namespace, sizes: np.ndarray, best: Best, rounds: int) -> list[Row]:
    fitted = local_exponents(sizes, best.test_error, window=3) if len(sizes) > 2 else None
    rows = []
    for i, n in enumerate(sizes):
        row: Row = {"n": float(n), "budget": options.budget, "test_error": float(best.test_error[i]), "round": rounds}
        kept = float(best.kept_fraction[i])
        row |= {"kept_fraction": kept, "kept": "all" if kept == 1 else "easy" if best.easy[i] else "hard"}
        row |= {"ridge": float(best.ridge[i]), "d": options.d, "policy": options.policy}
        row |= {"label_noise": options.label_noise, "agreeing": options.agreeing, "loss": options.loss}
        if fitted is not None:
            row |= {"exponent": float(fitted[0][i]), "exponent_spread": float(fitted[1][i])}
        rows.append(row)
    return rows


def _write(options: argparse.Namespace, rows: Row | list[Row]) -> None:
    """One object or many: JSON or CSV where asked; by default lines for one object, CSV on standard output for many."""
    rows = [_in_words(row) for row in rows] if isinstance(rows, list) else _in_words(rows)
    if options.json:
        print(json.dumps(rows, indent=None if isinstance(rows, list) else 2, allow_nan=False))
    elif options.csv:
        with options.csv.open("w", newline="") as file:
            _write_csv(file, rows if isinstance(rows, list) else [rows])
    elif isinstance(rows, list):
        _write_csv(sys.stdout, rows)
    else:
        for name, value in rows.items():
            print(f"{name}: {value:.6g}" if isinstance(value, float) else f"{name}: {value}")
    sys.stdout.flush()


def _in_words(row: Row) -> Row:
    """Put in words what JSON has no number for: the norm at the interpolation threshold, a lone replicate's error."""
    words = {"nan": "undefined", "inf": "infinite"}
    return {name: words.get(str(value), value) for name, value in row.items()}


def _write_csv(file: Any, rows: list[Row]) -> None:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.DictWriter(file, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)


if __name__ == "__main__":
    sys.exit(main())
