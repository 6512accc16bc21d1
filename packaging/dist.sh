#!/bin/sh
# The source tarball of the commit that is checked out, with every crate in it, so that it builds without a
# network. Two of one commit are the same, byte for byte.
# Usage: dist.sh DESTINATION
set -eu
mkdir -p "$1"
destination=$(cd "$1" && pwd)
cd "$(dirname "$0")/.."

if [ ! -e .git ]; then
    echo "dist.sh: this is no checkout of the repository, so there is no commit to make a tarball of" >&2
    exit 1
fi
if [ -n "$(git status --porcelain)" ]; then
    echo "dist.sh: what is not committed is not in the tarball" >&2
fi
version=$(packaging/about.sh version)
epoch=$(git log -1 --format=%ct)
export LC_ALL=C TZ=UTC
umask 022

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM
tree=$work/otpgate-$version
git archive --prefix="otpgate-$version/" HEAD | tar -C "$work" -x
mkdir "$tree/.cargo"
# The names of the crates' directories have the versions, as cargo's own cache has them: see build.sh.
(cd "$tree" && "${CARGO:-cargo}" vendor --locked --versioned-dirs vendor > .cargo/config.toml 2> "$work/vendor.log") \
    || { cat "$work/vendor.log" >&2; exit 1; }

# Two thirds of it would be for Windows. Cargo wants to see these crates, and never what is in them.
for crate in "$tree"/vendor/windows*; do
    find "$crate" -mindepth 1 ! -name Cargo.toml ! -name .cargo-checksum.json ! -iname 'license*' -delete 2>/dev/null || true
    mkdir -p "$crate/src"
    : > "$crate/src/lib.rs"
    sed -i 's/"files":{[^}]*}/"files":{}/' "$crate/.cargo-checksum.json"
done

# debian/ and otpgate.spec, so that the tools of a distribution take it as it is.
SOURCE_DATE_EPOCH=$epoch "$tree/packaging/prepare.sh" "$tree"

tarball=$destination/otpgate-$version.tar.xz
tar -C "$work" --sort=name --format=gnu --mtime="@$epoch" --owner=0 --group=0 --numeric-owner --mode=go-w \
    -cf - "otpgate-$version" | xz -6 -T 1 > "$tarball"
ls -l "$tarball"
