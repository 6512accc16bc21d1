#!/bin/sh
# Mutation testing: one thing wrong at a time in what decides over logins, and some test has to notice. What no
# test can notice stands in otp_core/MUTANTS.md with the reason; anything else that survives is an error.
# Takes hours. Usage: mutants.sh [ARGUMENTS OF CARGO MUTANTS]
set -eu
cd "$(dirname "$0")/.."
if ! cargo mutants --version >/dev/null 2>&1; then
    cargo install --quiet --locked cargo-mutants --version 27.1.0
fi
out=${CARGO_TARGET_DIR:-target}/mutants
mkdir -p "$out"
explained=otp_core/MUTANTS.md
survivors=""

# of NAME PACKAGE FILE... -- WHICH TESTS: the tests of one package, over some of its files.
of() {
    name=$1 package=$2
    shift 2
    files=""
    while [ "$1" != -- ]; do
        files="$files -f $1"
        shift
    done
    shift
    # 2: some survived; 3: some did not end, which is noticed.
    # shellcheck disable=SC2086 # words are wanted
    nice -n 19 cargo mutants --jobs 1 --no-shuffle --minimum-test-timeout 120 --output "$out/$name" \
        $files --package "$package" --test-package "$package" $arguments -- "$@" || [ $? -le 3 ]
    sed 's/:[0-9]*:[0-9]*: /: /' "$out/$name/mutants.out/missed.txt" > "$out/$name.missed"
    while IFS= read -r missed; do
        grep -qF "\`$missed\`" "$explained" || survivors="$survivors
$missed"
    done < "$out/$name.missed"
}

arguments=$*
of policy otp_core otp_core/src/policy.rs otp_core/src/policy/verdict.rs otp_core/src/throttle.rs otp_core/src/state.rs -- --lib --test decisions
of files otp_core otp_core/src/store/files.rs -- --lib --test files_store --test locks --test half_there --test two_slots --test sealed_store
of outcome pam_login pam_login/src/outcome.rs -- --lib
if [ -n "$survivors" ]; then
    echo "No test noticed these, and $explained does not explain them:$survivors" >&2
    exit 1
fi
echo "Every mutant was noticed, or is explained."
