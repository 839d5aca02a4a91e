"""Warnings of this library. Its errors are those of Python and NumPy."""

from __future__ import annotations


class ConvergenceWarning(UserWarning):
    """An iteration stopped before it reached its tolerance. The answer is what there was, and says how good it is."""
