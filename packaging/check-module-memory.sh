#!/bin/sh
# The module in an application in C, through whole PAM cycles: the release build under valgrind, and one with
# AddressSanitizer, whose runtime and leak detector the application brings along. libpam's own leaks would be
# found too; on these ways it has none. Wants the release build
# (packaging/build.sh), gcc, valgrind and a nightly toolchain.
set -eu
cd "$(dirname "$0")/.."
target_dir=${CARGO_TARGET_DIR:-$PWD/target}
triple=$(rustc -vV | sed -n 's/^host: //p')
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM
otpgate=$target_dir/release/otpgate
SECRET=MFRGGZDFMZTWQ2LKNNWG23TPOBYXE43U

# A service for each way of asking, with this module.
services() {
    mkdir -p "$work/pam.d"
    ours="$1 config=$work/otpgate.toml no_delay"
    service() {
        {
            printf 'auth required %s\n' "$2"
            [ -z "${3-}" ] || printf 'auth required %s\n' "$3"
            printf 'account required %s\naccount required pam_permit.so\n' "$ours"
            printf 'password optional %s\npassword required pam_permit.so\n' "$ours"
            printf 'session required %s\nsession required pam_permit.so\n' "$ours"
        } > "$work/pam.d/$1"
    }
    service code "$ours"
    service nullok "$ours nullok" pam_permit.so
    service grace "$ours grace=1h"
    service ask_password "$ours ask_password"
    service forward_pass "$ours forward_pass"
    service users_file "$ours user=$(id -u) secret=$work/home/\${USER}"
    service misspelt "$ours nulok"
}

# A fresh store: alice, and dave, of whose state only half is left.
store() {
    rm -rf "${work:?}/state" "${work:?}/home"
    printf 'state_dir = "%s/state"\n' "$work" > "$work/otpgate.toml"
    chmod 644 "$work/otpgate.toml"
    "$otpgate" --config "$work/otpgate.toml" init >/dev/null
    for user in alice dave; do
        echo "$SECRET" | "$otpgate" --config "$work/otpgate.toml" enroll "$user" \
            --hotp --counter 1 --secret-from - --no-confirm --qr none >/dev/null 2>&1
    done
    truncate -s 4096 "$work/state/state/dave"
    mkdir -m 700 "$work/home"
    printf '%s\n" HOTP_COUNTER 1\n" RATE_LIMIT 10 30\n12345678\n' $SECRET > "$work/home/carol"
    chmod 600 "$work/home/carol"
}

code() { echo "$SECRET" | "$otpgate" code --secret-from - --hotp --counter "$1"; }

# service, user, what pam_authenticate() returns, answers. Those that are let in come first: after three
# failures one has to wait.
cycles() {
    tab=$(printf '\t')
    sed "s/ \{1,\}/$tab/g; s/LONG/$(head -c 600 /dev/zero | tr '\0' 9)/" <<END
code alice 0 $(code 1)
code alice 7 $(code 1)
forward_pass alice 0 pass$(code 2)
ask_password alice 0 pass $(code 3)
grace alice 0 $(code 4)
grace alice 0
users_file carol 0 $(code 1)
users_file carol 0 12345678
users_file carol 7 12345678
users_file carol 7 -
users_file nobody 7 123456
code alice 7 -
code alice 7 !
code alice 7 LONG
ask_password alice 7 pass -
forward_pass alice 7 pass
code bob 7 123456
code bob 7 -
nullok bob 0
code dave 9 123456
misspelt alice 3
code alice 7 000000
code alice 7 nonsense
code alice 7 $(code 5)x
code alice 7 000000
code alice 7 000000
END
}

# watched TOOL COMMAND...: all cycles under a tool, whose own exit status is 99.
watched() {
    tool=$1
    shift
    store
    status=0
    cycles | "$@" "$work/pam.d" > "$work/results" 2> "$work/report" || status=$?
    if [ "$status" != 0 ]; then
        cat "$work/report" "$work/results" >&2
        echo "$tool: status $status" >&2
        exit 1
    fi
    # A tool that sees nothing would be content as well.
    status=0
    "$@" "$work/pam.d" leak > /dev/null 2> "$work/report" < /dev/null || status=$?
    if [ "$status" != 99 ]; then
        cat "$work/report" >&2
        echo "$tool did not notice a leak (status $status)" >&2
        exit 1
    fi
    echo "$(wc -l < "$work/results") PAM cycles, no leak and no bad access: $tool"
}

services "$target_dir/release/libpam_otpgate.so"
gcc -g -O1 -Wall -Wextra -Werror -o "$work/cycles" tests/memory/cycles.c -lpam
watched valgrind valgrind --quiet --error-exitcode=99 --leak-check=full --keep-debuginfo=yes \
    --errors-for-leak-kinds=definite,indirect,possible --show-leak-kinds=definite,indirect,possible \
    "$work/cycles"

# Flags and directory are those of check-memory.sh, so that what is compiled there is used here.
RUSTFLAGS="-Zsanitizer=address -Clink-args=-rdynamic" CARGO_TARGET_DIR="$target_dir/address" \
    cargo +nightly build --quiet --locked -p pam_module --target "$triple"
services "$target_dir/address/$triple/debug/libpam_otpgate.so"
runtime=$(rustc +nightly --print sysroot)/lib/rustlib/$triple/lib/librustc-nightly_rt.asan.a
gcc -g -O1 -Wall -Wextra -Werror -rdynamic -o "$work/with-asan" tests/memory/cycles.c -lpam \
    -Wl,--whole-archive "$runtime" -Wl,--no-whole-archive -lpthread -ldl -lrt -lm
export ASAN_OPTIONS=exitcode=99:detect_leaks=1 LSAN_OPTIONS="exitcode=99:print_suppressions=0"
watched AddressSanitizer "$work/with-asan"
