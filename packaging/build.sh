#!/bin/sh
# The release build. Where the crates lie on this machine does not get into the programs, so that two
# builds of one commit are the same, here or there, with vendored crates or without.
# Usage: build.sh [ARGUMENTS OF CARGO BUILD]
set -eu
cd "$(dirname "$0")/.."

cargo=${CARGO:-cargo}
if [ -d vendor ]; then
    crates=$PWD/vendor
else
    $cargo fetch --quiet --locked
    crates=$(echo "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*/)
fi
for directory in $crates; do
    RUSTFLAGS="${RUSTFLAGS-} --remap-path-prefix=${directory%/}=/crates"
done
export RUSTFLAGS
exec $cargo build --release --locked "$@"
