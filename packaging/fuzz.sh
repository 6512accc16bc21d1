#!/bin/sh
# The fuzz targets of fuzz/, one after the other, beginning with fuzz/seeds and with what earlier runs found
# worth keeping (in the target directory). Wants a nightly toolchain.
# Usage: fuzz.sh [smoke] [TARGET...]
#   FUZZ_SECONDS    for each target; 300 without it, 2 in a smoke run
#   FUZZ_SANITIZER  address, for instance. None without it: nothing here is unsafe, and more is tried in a second
set -eu
cd "$(dirname "$0")/.."
seconds=${FUZZ_SECONDS:-300}
# An input that takes so many seconds is a finding: these read what strangers send.
timeout=20
if [ "${1-}" = smoke ]; then
    shift
    seconds=${FUZZ_SECONDS:-2}
    # By the clock on the wall, on a machine that is busy with other tests.
    timeout=120
fi
if ! cargo fuzz --version >/dev/null 2>&1; then
    cargo install --quiet --locked cargo-fuzz --version 0.13.1
fi
work=${CARGO_TARGET_DIR:-$PWD/target}/fuzz
triple=$(rustc -vV | sed -n 's/^host: //p')
export CARGO_TARGET_DIR="$work"

cargo +nightly fuzz build --sanitizer "${FUZZ_SANITIZER:-none}"
if [ $# = 0 ]; then
    # Names of targets are words.
    # shellcheck disable=SC2046
    set -- $(cargo +nightly fuzz list)
fi

failed=""
for target in "$@"; do
    mkdir -p "$work/corpus/$target" "$work/found"
    log=$work/$target.log
    status=0
    "$work/$triple/release/$target" "$work/corpus/$target" "fuzz/seeds/$target" \
        -max_total_time="$seconds" -timeout="$timeout" -rss_limit_mb=1024 -print_final_stats=1 -verbosity=1 \
        -artifact_prefix="$work/found/$target-" > "$log" 2>&1 || status=$?
    executed=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    covered=$(sed -n 's/.*cov: \([0-9]*\) ft: \([0-9]*\).*/\1 edges, \2 features/p' "$log" | tail -n 1)
    if [ "$status" = 0 ]; then
        printf '%-22s %10s runs, %s\n' "$target" "$executed" "$covered"
    else
        tail -n 40 "$log" >&2
        printf '%-22s FOUND SOMETHING: %s\n' "$target" "$(ls -t "$work/found/$target-"* 2>/dev/null | head -n 1)"
        failed="$failed $target"
    fi
done
if [ -n "$failed" ]; then
    echo "Found something:$failed. What found it goes to fuzz/seeds once it is mended." >&2
    exit 1
fi
