#!/bin/sh
# Two builds from the source tarball, in different places and without a network, give the same packages, byte
# for byte.
# Usage: test-reproducible.sh DIRECTORY
#   DIRECTORY   where `make dist` left the tarball
set -eu
here=$(cd "$(dirname "$0")" && pwd)
version=$("$here/about.sh" version)
tarball=$(cd "$1" && pwd)/otpgate-$version.tar.xz
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM

for place in one another/place; do
    mkdir -p "$work/$place" "$work/$place.cargo"
    tar -C "$work/$place" -xJf "$tarball"
    echo "Building in $place"
    CARGO_HOME=$work/$place.cargo CARGO_TARGET_DIR=$work/$place/programs CARGO_NET_OFFLINE=true \
        unshare --net "$work/$place/otpgate-$version/packaging/build.sh" --quiet --offline
    CARGO_HOME=$work/$place.cargo CARGO_NET_OFFLINE=true unshare --net \
        "$work/$place/otpgate-$version/packaging/packages.sh" "$work/$place/programs/release" "$work/$place/packages"
done
status=0
for file in "$work"/one/packages/*; do
    cmp "$file" "$work/another/place/packages/${file##*/}" || status=1
done
(cd "$work/one/packages" && sha256sum -- *)
exit $status
