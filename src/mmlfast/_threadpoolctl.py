"""The controller through which threadpoolctl reads and sets our number of threads."""

from __future__ import annotations

import threadpoolctl


class MmlfastController(threadpoolctl.LibController):  # type: ignore[misc]
    """Finds the compiled core among the loaded libraries by the two functions that it exports."""

    user_api = "mmlfast"
    internal_api = "mmlfast"
    filename_prefixes = ("_core",)
    check_symbols = ("mmlfast_get_num_threads", "mmlfast_set_num_threads")

    def get_num_threads(self) -> int:
        return int(self.dynlib.mmlfast_get_num_threads())

    def set_num_threads(self, num_threads: int) -> None:
        self.dynlib.mmlfast_set_num_threads(int(num_threads))

    def get_version(self) -> str:
        from mmlfast import _core

        return _core.__version__

    def set_additional_attributes(self) -> None:
        pass


_registered = False


def register() -> None:
    global _registered
    if not _registered:
        threadpoolctl.register(MmlfastController)
        _registered = True
