"""Hatchling's build hook: the C core goes into every wheel, compiled, and as sources beside it.

An editable install gets the compiled core in the checkout itself and reads the checkout's own sources.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class NativeBuildHook(BuildHookInterface[Any]):
    """Builds for the machine that runs pip, with the pinned compiler from the build requirements."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compiles what is missing or stale; ``version`` is ``standard`` or ``editable``."""
        root = Path(self.root)
        sys.path.insert(0, str(root / "host"))
        try:
            from bitwave import native
        finally:
            sys.path.pop(0)
        built = [native.host_library(), native.m4_elf("clang")]
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{native.host_target().wheel_tag}"
        if version == "editable":
            return
        # The file names carry the digest of the sources, so exactly these go in, not an older build beside them.
        wanted = {str(path): f"bitwave/_native/{path.name}" for path in built}
        firmware = native.firmware_root()
        for path in sorted(firmware.rglob("*")):
            relative = path.relative_to(firmware)
            if path.is_file() and not any(part.startswith(".") or part == "build" for part in relative.parts):
                wanted[str(path)] = f"bitwave/_firmware/{relative.as_posix()}"
        build_data["force_include"].update(wanted)
