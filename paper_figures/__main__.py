"""Draw every figure and table from the result files and write the report.

python -m paper_figures                       # build/figures/* and build/report.html
python -m paper_figures --runs FOLDER         # with what a cluster's runs of the paper's rows have reached
python -m paper_figures --theory              # the theory's figures, no report
"""

from dp.utils.command_line import run_command


def main() -> None:
    """Run the command line; its libraries are imported here, so that a missing one is told in a line."""
    from paper_figures.commands import command_line

    command_line()


if __name__ == "__main__":
    run_command(main)
