"""The guided schedulers, under the name by which pipelines that were saved with an older version look for them.

Import this module before such a pipeline is loaded: diffusers imports no module because a file names it.
"""

from dp.guidance.schedulers import EntropyGuidedDDIMScheduler, EntropyGuidedDPMSolverScheduler, SchedulerMixin

__all__ = ["EntropyGuidedDDIMScheduler", "EntropyGuidedDPMSolverScheduler", "SchedulerMixin"]
