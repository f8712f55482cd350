"""Studies and profiles: what is asked, and at which scale."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from experiments.engine.results import Job

Settings = TypeVar("Settings")


@dataclass(frozen=True)
class Study(Generic[Settings]):
    """A question and the results that answer it.

    Attributes:
        name: what the command line and the exhibits call the study.
        settings: those of the cpu profile, whose results are recorded in the repository.
        jobs: lists the results to have, given settings and the profile that they are of. Most studies need the
            settings alone; those that go on from what other studies have found look it up in the profile.
    """

    name: str
    settings: Settings
    jobs: Callable[[Settings, "Profile"], list[Job]]


@dataclass(frozen=True)
class Profile:
    """The settings of all studies at one scale.

    Attributes:
        name: the folder of its results.
        changed: settings by the name of a study, where they are not the study's own.
    """

    name: str
    changed: Mapping[str, Any] = field(default_factory=dict)

    def settings(self, study: Study[Settings]) -> Settings:
        """Return the settings of a study in this profile."""
        return self.changed.get(study.name, study.settings)
