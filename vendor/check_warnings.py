"""Compile every file of csrc/ for its warnings alone; exit with 1 if there is one."""

from __future__ import annotations

import subprocess
import sys
import sysconfig

import fetch
import native


def main() -> int:
    fetch.fetch()
    compiler = (sysconfig.get_config_var("CC") or "cc").split()
    failed = []
    for path in sorted(native.CSRC.glob("*.c")):
        flags = [*native.COMMON_FLAGS, *native.RELEASE_FLAGS, *native.our_source(path).flags]
        # -O3 and a real (discarded) object: some warnings come from the optimiser.
        command = [*compiler, *flags, "-Werror", "-c", str(path), "-o", "/dev/null"]
        if subprocess.run(command).returncode != 0:
            failed.append(path.name)
    print(f"csrc: warnings in {', '.join(failed)}" if failed else "csrc: no warnings")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
