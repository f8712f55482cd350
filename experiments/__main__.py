"""Run studies, see what is recorded, judge the paper's claims.

python -m experiments run                     # compute what is absent or stale of the cpu profile
python -m experiments run scaling ablation    # some studies
python -m experiments status                  # how many results of each study are present, stale or absent, and hours
python -m experiments check theory            # compute recorded results again, compare them number by number
python -m experiments verdicts --json         # what the results say of each of the paper's claims
python -m experiments table > results.csv     # a row per trained learner: settings, accuracies, costs
python -m experiments live                    # a short live run
"""

from dp.utils.command_line import run_command


def main() -> None:
    """Run the command line; its libraries are imported here, so that a missing one is told in a line."""
    from experiments.commands import command_line

    command_line()


if __name__ == "__main__":
    run_command(main)
