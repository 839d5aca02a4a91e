"""Times mmlfast beside every installed peer; see bench/README.md."""

from bench.harness.case import Case, Faster, Goal, Job, Setup, Share, Within

__all__ = ["Case", "Faster", "Goal", "Job", "Setup", "Share", "Within"]
