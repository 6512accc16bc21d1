#!/bin/sh
# pam_ffi, the one crate with unsafe code, under Miri and under AddressSanitizer. Both want a nightly
# toolchain. Miri sees what does not call libpam, and the bytes of the state, which the rest stands on;
# AddressSanitizer sees pam_ffi with the real libpam. Last the whole module, in a program that is not Rust.
set -eu
target=$(rustc -vV | sed -n 's/^host: //p')
ran=0

if cargo +nightly miri --version >/dev/null 2>&1 \
    || timeout 300 rustup component add miri rust-src --toolchain nightly >/dev/null 2>&1; then
    cargo +nightly miri test --locked -p pam_ffi --lib
    # Random cases are many enough elsewhere, and so are all lengths and all bits.
    PROPTEST_CASES=1 PROPTEST_DISABLE_FAILURE_PERSISTENCE=true \
        MIRIFLAGS="${MIRIFLAGS-} -Zmiri-env-forward=PROPTEST_CASES -Zmiri-env-forward=PROPTEST_DISABLE_FAILURE_PERSISTENCE" \
        cargo +nightly miri test --locked -p otp_core --lib -- state:: store::slots:: --skip every_ --skip slots::tests::arbitrary
    ran=1
else
    echo "Miri cannot be installed here (rustup component add miri --toolchain nightly)." >&2
fi

if cargo +nightly --version >/dev/null 2>&1; then
    # libpam 1.5.2 itself leaks when a service has no file, so that one test stays out; so does the one about
    # the C library's allocator, which is not there.
    RUSTFLAGS="-Zsanitizer=address -Clink-args=-rdynamic" CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/address" \
        cargo +nightly test --locked -p pam_ffi --target "$target" -- --skip a_service_without_a_file \
        --skip what_was_freed_is_not_kept
    ran=1
else
    echo "There is no nightly toolchain for AddressSanitizer." >&2
fi

if [ "$ran" = 0 ]; then
    echo "Neither Miri nor AddressSanitizer ran: install a nightly toolchain with rustup." >&2
    exit 1
fi

packaging/check-module-memory.sh
