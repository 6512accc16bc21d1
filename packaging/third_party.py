#!/usr/bin/env python3
"""What is linked into the programs: its licences and its list.

Usage: third_party.py copyright|sbom EPOCH

`copyright` is Debian's machine-readable copyright file, format 1.0; `sbom` a bill of materials, CycloneDX
1.5. Both come from cargo's metadata and the crates' own licence files. A licence that is not known here
is an error: somebody has to look at it.
"""

import datetime
import json
import os
import pathlib
import re
import subprocess
import sys
import tomllib

ROOT = pathlib.Path(__file__).resolve().parent.parent
SHIPPED = ["pam_module", "admin_cli", "ssh_frontend"]
# SPDX to the short names that Debian uses.
DEBIAN_NAMES = {"MIT": "Expat", "Apache-2.0": "Apache-2.0", "BSD-3-Clause": "BSD-3-clause", "Zlib": "Zlib"}
DEBIAN_NAMES |= {name: name for name in ["ISC", "Unicode-3.0", "Unlicense", "BSD-2-clause", "CC0-1.0", "0BSD"]}
DEBIAN_NAMES |= {"LLVM-exception": "LLVM-exception"}
OURS = "The otpgate maintainers"


def metadata():
    target = subprocess.run(["rustc", "-vV"], check=True, capture_output=True, text=True).stdout
    target = re.search(r"^host: (.*)$", target, re.MULTILINE).group(1)
    command = [os.environ.get("CARGO", "cargo"), "metadata", "--format-version=1", "--locked"]
    command += [f"--filter-platform={target}"]
    output = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout
    return json.loads(output)


def linked(known):
    """(packages that are linked in, {package: what it links}), ours included."""
    packages = {package["id"]: package for package in known["packages"]}
    nodes = {node["id"]: node for node in known["resolve"]["nodes"]}
    waiting = [identity for identity, package in packages.items() if package["name"] in SHIPPED]
    arrows = {}
    while waiting:
        identity = waiting.pop()
        if identity in arrows or "proc-macro" in kinds(packages[identity]):
            continue
        needed = [
            dependency["pkg"]
            for dependency in nodes[identity]["deps"]
            if any(kind["kind"] is None for kind in dependency["dep_kinds"])
        ]
        arrows[identity] = [other for other in needed if "proc-macro" not in kinds(packages[other])]
        waiting += needed
    found = [packages[identity] for identity in arrows]
    return sorted(found, key=lambda package: (package["name"], package["version"])), arrows


def kinds(package):
    return {kind for target in package["targets"] for kind in target["kind"]}


def is_ours(package):
    return package["source"] is None


# --- the copyright file ---------------------------------------------------------------------------


def licence_files(package):
    directory = pathlib.Path(package["manifest_path"]).parent
    wanted = re.compile(r"(LICEN[CS]E|COPYING|COPYRIGHT|NOTICE|UNLICENSE)", re.IGNORECASE)
    return [path for path in sorted(directory.iterdir()) if path.is_file() and wanted.match(path.name)]


def holders(package):
    """The copyright lines of its licence files; its authors where these have none."""
    lines = []
    for path in licence_files(package):
        for line in path.read_text(errors="replace").splitlines():
            line = line.strip(" /*#;\t")
            noted = re.match(r"(?:copyright|©)\s*(?:\(c\)|©|:)?\s*(.*)", line, re.IGNORECASE)
            name = re.sub(r"[.,]?\s*All rights reserved\.?", "", noted.group(1)) if noted else ""
            if is_a_holder(name) and name not in lines:
                lines.append(name)
    authors = [re.sub(r"\s*<.*>", "", author) for author in package["authors"]]
    return lines or authors or [f"the authors of {package['name']}"]


def is_a_holder(text):
    """Years and a name: not the licence's own words about copyright, not its template."""
    if text.isupper() or re.search(r"\[yyyy\]|\{yyyy\}|<year>|\[year\]", text):
        return False
    return bool(re.match(r"(?:(?:19|20)\d\d\b.*[A-Za-z]{2}|[A-Z][\w.]+ [A-Z]\w+.*|Individual contributors)", text))


def debian_expression(package):
    if "(" in package["license"]:
        sys.exit(f"third_party.py: {package['name']}: write {package['license']} by hand")
    words = package["license"].replace("/", " OR ").split()
    joined = {"OR": "or", "AND": "and", "WITH": "with"}
    return " ".join(joined.get(word) or DEBIAN_NAMES[word] for word in words)


def licence_texts(packages):
    """One text of each licence that occurs, without the copyright lines."""
    texts = {"Expat": body(ROOT / "LICENSE-MIT")}
    texts["Apache-2.0"] = (
        "On Debian systems the full text of the Apache License, version 2.0, is in\n"
        "/usr/share/common-licenses/Apache-2.0. It is also in LICENSE-APACHE of the source."
    )
    for package in packages:
        for path in licence_files(package):
            for name in [DEBIAN_NAMES[word] for word in re.findall(r"[\w.-]+", package["license"]) if word in DEBIAN_NAMES]:
                if name not in texts and is_text_of(name, path.read_text(errors="replace")):
                    texts[name] = body(path)
    return texts


def is_text_of(name, text):
    marks = {
        "BSD-3-clause": "Neither the name",
        "BSD-2-clause": "Redistributions in binary form",
        "ISC": "Permission to use, copy, modify, and/or distribute",
        "Zlib": "This software is provided 'as-is'",
        "Unicode-3.0": "UNICODE LICENSE V3",
        "Unlicense": "This is free and unencumbered software",
        "0BSD": "Permission to use, copy, modify, and/or distribute",
        "CC0-1.0": "CC0 1.0 Universal",
        "LLVM-exception": "LLVM Exceptions to the Apache 2.0 License",
    }
    words = " ".join(text.split())
    return name in marks and marks[name] in words and (len(words) < 4000 or name == "LLVM-exception")


def body(path):
    text = path.read_text(errors="replace")
    # The exception alone: the licence that it is an exception to is told apart.
    lines = re.split(r"-+ LLVM Exceptions to the Apache 2.0 License -+", text)[-1].splitlines()
    kept = [line.rstrip() for line in lines if not re.match(r"\s*(copyright|\(c\)|©)\b", line, re.IGNORECASE)]
    return "\n".join(kept).strip()


def indented(lines):
    return lines[:1] + [" " * len("Copyright:") + line for line in lines[1:]]


def field(name, lines):
    head, *rest = lines
    return "\n".join([f"{name}: {head}".rstrip()] + [f" {line}" if line.strip() else " ." for line in rest])


def copyright_file(epoch):
    known = metadata()
    packages, _ = linked(known)
    theirs = [package for package in packages if not is_ours(package)]
    year = datetime.datetime.fromtimestamp(epoch, datetime.timezone.utc).year
    stanzas = [
        "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n"
        "Upstream-Name: otpgate\n"
        + field(
            "Comment",
            [
                "",
                "The programs are linked statically with the crates below vendor/, which the source",
                "tarball holds. Build scripts, macros and what only tests use are not listed: nothing",
                "of them is in the packages.",
            ],
        ),
        f"Files: *\nCopyright: {year} {OURS}\nLicense: Expat or Apache-2.0",
    ]
    used = {"Expat", "Apache-2.0"}
    for package in theirs:
        expression = debian_expression(package)
        used |= set(re.split(r" or | and | with ", expression))
        stanzas.append(
            f"Files: vendor/{package['name']}/*\n"
            + field("Copyright", indented(holders(package)))
            + f"\nLicense: {expression}\nComment: {package['name']} {package['version']}"
        )
    texts = licence_texts(theirs)
    if missing := used - texts.keys():
        sys.exit(f"third_party.py: no text was found of {', '.join(sorted(missing))}")
    stanzas += [field("License", [name, *texts[name].splitlines()]) for name in sorted(used)]
    print("\n\n".join(stanzas))


# --- the bill of materials ------------------------------------------------------------------------


def reference(package):
    return f"pkg:cargo/{package['name']}@{package['version']}"


def component(package, checksums):
    described = {
        "type": "library",
        "bom-ref": reference(package),
        "name": package["name"],
        "version": package["version"],
        "licenses": [{"expression": package["license"].replace("/", " OR ")}],
    }
    if not is_ours(package):
        described["purl"] = reference(package)
        checksum = checksums[(package["name"], package["version"])]
        described["hashes"] = [{"alg": "SHA-256", "content": checksum}]
    return described


def sbom(epoch):
    known = metadata()
    packages, arrows = linked(known)
    by_identity = {package["id"]: package for package in packages}
    with open(ROOT / "Cargo.lock", "rb") as lock:
        locked = tomllib.load(lock)["package"]
    checksums = {(entry["name"], entry["version"]): entry.get("checksum") for entry in locked}
    version = next(package["version"] for package in packages if package["name"] == "admin_cli")
    when = datetime.datetime.fromtimestamp(epoch, datetime.timezone.utc)
    bill = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "timestamp": when.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "component": {
                "type": "application",
                "bom-ref": "otpgate",
                "name": "otpgate",
                "version": version,
                "licenses": [{"expression": "MIT OR Apache-2.0"}],
            },
        },
        "components": [component(package, checksums) for package in packages],
        "dependencies": [
            {"ref": "otpgate", "dependsOn": sorted(reference(p) for p in packages if p["name"] in SHIPPED)}
        ]
        + [
            {"ref": reference(package), "dependsOn": sorted(reference(by_identity[i]) for i in arrows[package["id"]])}
            for package in packages
        ],
    }
    print(json.dumps(bill, indent=1))


if __name__ == "__main__":
    {"copyright": copyright_file, "sbom": sbom}[sys.argv[1]](int(sys.argv[2]))
