#!/bin/sh
# What the packages say of themselves: the workspace's version, and the moment of the commit, which stands
# in for the time wherever a build would write the time down. In a source tarball every file has it.
# Usage: about.sh version|epoch
set -eu
cd "$(dirname "$0")/.."

case "${1-}" in
    version)
        sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"$/\1/p' Cargo.toml
        ;;
    epoch)
        if [ -n "${SOURCE_DATE_EPOCH-}" ]; then
            echo "$SOURCE_DATE_EPOCH"
        elif [ -e .git ]; then
            git log -1 --format=%ct
        else
            stat -c %Y Cargo.lock
        fi
        ;;
    *) echo "usage: $0 version|epoch" >&2; exit 2 ;;
esac
