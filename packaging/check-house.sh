#!/bin/sh
# Rules of the house that no compiler knows.
set -eu
fail=0
say() { echo "check-house: $1" >&2; fail=1; }

# Raw pointers stay in pam_ffi; the workspace forbids them, this sees attempts to allow them again.
if git grep -nE '\bunsafe (fn|impl|extern|\{)|allow\(unsafe_code\)' -- '*.rs' ':!pam_ffi' ; then
    say "unsafe code outside pam_ffi"
fi
if git grep -nE 'todo!\(|unimplemented!\(|FIXME|#\[ignore' -- '*.rs'; then
    say "unfinished code or ignored tests"
fi
# The wall clock is read in one place.
if git grep -nE 'SystemTime::now|Timestamp::now' -- '*.rs' ':!otp_core/src/clock.rs' ':!tests' ':!*/tests/*'; then
    say "the wall clock is read outside otp_core/src/clock.rs"
fi
# Files are one idea each.
git ls-files '*.rs' | grep -v '/tests/' | while read -r file; do
    lines=$(wc -l < "$file")
    if [ "$lines" -gt 700 ]; then
        echo "check-house: $file has $lines lines" >&2
        exit 1
    fi
done || fail=1
# Mail, HTTP and TLS are the command's business: nothing of it is loaded into sshd.
for crate in lettre ureq rustls tokio russh; do
    if cargo tree --locked --offline --quiet --package pam_module --edges normal --prefix none |
        grep -q "^$crate v"; then
        say "$crate is linked into the module"
    fi
done
# What the README promises is there.
for target in demo test; do
    grep -q "make $target" README.md || say "README.md does not name make $target"
    grep -q "^$target:" Makefile || say "the Makefile has no target $target"
done
exit $fail
