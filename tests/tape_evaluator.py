"""The reference for tests of traced functions."""

from mmlfast._reference.tape import evaluate

__all__ = ["evaluate"]
