#!/usr/bin/env python3
"""Every exposure that `systemd-analyze security` finds in a unit is named in it: exposures.py UNIT."""

import json
import pathlib
import re
import subprocess
import sys

unit = pathlib.Path(sys.argv[1])
command = ["systemd-analyze", "security", "--offline=true", "--json=short", unit]
findings = json.loads(subprocess.run(command, check=False, capture_output=True, text=True).stdout)
comments = "\n".join(line for line in unit.read_text().splitlines() if line.startswith("#"))
exposed = [finding["name"] for finding in findings if finding["set"] is False and finding["exposure"] is not None]
unexplained = sorted({re.sub(r"=.*", "=", name) for name in exposed} - set(re.findall(r"[A-Z]\w+=", comments)))
if not findings or unexplained:
    sys.exit(f"{unit}: neither closed nor explained: {', '.join(unexplained) or 'nothing was measured'}")
print(f"{unit.name}: {len(exposed)} exposures, each explained")
