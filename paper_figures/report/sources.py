"""Which result files an exhibit is made from, by which command, and which of them are not there."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from dp.utils.errors import UserError
from experiments.engine.results import Job, folder, load, state
from experiments.profiles import profile as profile_of
from experiments.studies import jobs_of, tuning
from paper_figures.drawing.shared import command


@dataclass(frozen=True)
class Source:
    """The results of one study.

    Attributes:
        command: what makes them.
        folders: they are in, relative to the repository where they are recorded in it.
        present, expected: how many there are, and how many the profile asks for.
        absent: those that are neither there nor unreadable, by study/name.
        stale: those made with other settings or other weights than the profile's.
        damaged: a line for each file that is not as it was written.
        left_over: files in the study's folders that the profile asks for no longer, by study/name; they are drawn too.
        commits: that made them, abbreviated.
        seconds: of all runs together, as measured by each, on whatever else that machine was doing.
    """

    command: str
    folders: tuple[str, ...]
    present: int
    expected: int
    absent: tuple[str, ...]
    stale: tuple[str, ...]
    damaged: tuple[str, ...]
    left_over: tuple[str, ...]
    commits: tuple[str, ...]
    seconds: float


@cache
def source(study: str, profile: str) -> Source:
    """The results that there are of a study."""
    if study == "live":
        return _of("make figures", "live", [])
    try:
        jobs = jobs_of(profile_of(profile), (study,))
    except UserError as error:  # some studies ask what others have found: a file of those is damaged
        return Source(command(study, profile), (), 0, 0, (), (), (str(error),), (), (), 0.0)
    if not jobs:
        waits = f"what this study is to run depends on results that are absent; see {command('tuning', profile)}"
        return Source(command(study, profile), (), 0, 0, (), (), (waits,), (), (), 0.0)
    return _of(command(study, profile), profile, jobs)


def _of(made_by: str, profile: str, jobs: list[Job]) -> Source:
    found: dict[str, list[str]] = {"present": [], "stale": [], "absent": [], "damaged": []}
    for job in jobs:
        try:
            found[state(profile, job)].append(f"{job.study}/{job.name}")
        except UserError as error:
            found["damaged"].append(str(error))
    folders = list(dict.fromkeys(job.study for job in jobs)) or [profile]
    commits: Counter[str] = Counter()
    seconds, left_over = 0.0, []
    wanted = {f"{job.study}/{job.name}" for job in jobs}
    for name in folders:
        try:
            results = load(profile, name)
        except UserError:
            continue  # its line is among the damaged
        if jobs and (asked_for := _asked_for(profile)):
            left_over += sorted({f"{name}/{stem}" for stem in results} - asked_for)
        for stem, result in results.items():
            if not jobs or f"{name}/{stem}" in wanted:
                commits[(result["made_by"]["commit"] or "unknown")[:10]] += 1
                seconds += result["made_by"]["seconds"]
    where = folder(profile)
    shown = [str(where.relative_to(where.parents[2]) / name) if profile == "cpu" else name for name in folders]
    return Source(
        made_by,
        tuple(shown),
        len(found["present"]) + len(found["stale"]),
        len(jobs),
        tuple(found["absent"]),
        tuple(found["stale"]),
        tuple(found["damaged"]),
        tuple(left_over),
        tuple(commit for commit, _ in commits.most_common()),
        seconds,
    )


@cache
def _asked_for(profile: str) -> set[str]:
    """All results of a profile, by study/name; none if that is open: a file is damaged, or a search not finished."""
    settings = profile_of(profile)
    try:
        search = settings.settings(tuning.STUDY)
        if tuning.found(search, profile).keys() != set(search.learners):
            return set()
        return {f"{job.study}/{job.name}" for job in jobs_of(settings)}
    except UserError:
        return set()


def remarks(sources: Iterable[Source]) -> list[str]:
    """Tell a reader which of the results behind an exhibit are absent, stale or damaged."""
    lines = []
    for each in sources:
        if each.absent:
            lines.append(
                f"not made yet: {len(each.absent)} of {each.expected} results of this study "
                f"({_names(each.absent)}); make them with {each.command}"
            )
        if each.stale:
            lines.append(
                f"made with other settings or weights than the profile has now: {len(each.stale)} of {each.expected} "
                f"results of this study ({_names(each.stale)}); make them anew with {each.command}"
            )
        if each.left_over:
            lines.append(f"drawn though the profile does not ask for them: {_names(each.left_over)}; remove them")
        lines += each.damaged
    return lines


def _names(names: tuple[str, ...], shown: int = 3) -> str:
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more
