#!/usr/bin/env python3
"""CHANGELOG.md as a Debian changelog or as the one of an rpm.

Usage: changelog.py deb|rpm VERSION-REVISION EPOCH

What is not released yet is the version that is being built. The name that signs is the Maintainer of
packaging/debian/control.
"""

import datetime
import email.utils
import pathlib
import re
import sys
import textwrap

ROOT = pathlib.Path(__file__).resolve().parent.parent


def maintainer():
    control = (ROOT / "packaging/debian/control").read_text()
    return re.search(r"^Maintainer: (.*)$", control, re.MULTILINE).group(1)


def entries():
    """(version or None, date or None, [line]) of each heading that has lines, newest first."""
    found = []
    kind = ""
    for line in (ROOT / "CHANGELOG.md").read_text().splitlines():
        if heading := re.match(r"## \[(.*?)\](?: - (\S+))?$", line):
            version, date = heading.groups()
            found.append((None if version == "Unreleased" else version, date, []))
        elif line.startswith("### "):
            kind = line[4:]
        elif found and line.startswith("- "):
            found[-1][2].append(f"{kind}: {line[2:]}")
        elif found and line.startswith("  ") and found[-1][2]:
            found[-1][2][-1] += " " + line.strip()
    return [entry for entry in found if entry[2]]


def moment(date, epoch):
    if date is None:
        return datetime.datetime.fromtimestamp(epoch, datetime.timezone.utc)
    day = datetime.date.fromisoformat(date)
    return datetime.datetime(day.year, day.month, day.day, 12, tzinfo=datetime.timezone.utc)


def wrapped(lines, indent, mark):
    fill = {"width": 78, "break_long_words": False, "break_on_hyphens": False}
    start, rest = " " * indent + mark + " ", " " * (indent + 2)
    return [textwrap.fill(line, initial_indent=start, subsequent_indent=rest, **fill) for line in lines]


def main():
    form, current, epoch = sys.argv[1], sys.argv[2], int(sys.argv[3])
    signed = maintainer()
    for position, (version, date, lines) in enumerate(entries()):
        # The newest heading is what is being built, whether it has its number already or not.
        full = current if position == 0 else f"{version}-1"
        when = moment(date, epoch)
        if form == "deb":
            print(f"otpgate ({full}) unstable; urgency=medium\n")
            print("\n".join(wrapped(lines, 2, "*")))
            print(f"\n -- {signed}  {email.utils.format_datetime(when)}\n")
        else:
            print(f"* {when:%a %b %d %Y} {signed} - {full}")
            print("\n".join(wrapped([line.replace("%", "%%") for line in lines], 0, "-")) + "\n")


main()
