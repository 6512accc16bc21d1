#!/bin/sh
# Everything that is asked of the packages. They are built from programs that are compiled already.
# Usage: test-packages.sh PROGRAMS WORK
#   WORK   packages, and a clean system as an archive, are kept there
set -eu
cd "$(dirname "$0")/.."
programs=$1
mkdir -p "$2"
work=$(cd "$2" && pwd)
fail() { echo "test-packages: $1" >&2; exit 1; }
step() { printf '\n=== %s\n' "$1"; }

step "scripts"
shellcheck --severity=warning --exclude=SC2148 packaging/*.sh
shellcheck --severity=warning --shell=sh packaging/debian/*.in packaging/debian/*.postinst \
    packaging/debian/*.prerm packaging/debian/*.postrm
# rpm expands what it finds in scripts.
if grep -n '[\\`%]' packaging/in-use.sh; then
    fail "packaging/in-use.sh has characters that rpm reads"
fi

step "packages, twice: the same, byte for byte"
rm -rf "$work/new" "$work/again" "$work/earlier"
packaging/packages.sh "$programs" "$work/new"
packaging/packages.sh "$programs" "$work/again" > /dev/null
for file in "$work"/new/*; do
    cmp "$file" "$work/again/${file##*/}"
done
rm -rf "$work/again"
packaging/packages.sh "$programs" "$work/earlier" 0 > /dev/null

step "lintian"
lintian --version
lintian --allow-root --fail-on error,warning --info "$work"/new/*.deb

step "manual pages: no warning of man's"
for page in packaging/man/*; do
    said=$(MANWIDTH=80 man --warnings=w -l "$page" 2>&1 > /dev/null)
    [ -z "$said" ] || fail "$page: $said"
done

step "units: every exposure is closed or explained"
for unit in packaging/systemd/*.service; do
    systemd-analyze security --offline=true --no-pager "$unit" | tail -n 1
    packaging/exposures.py "$unit"
done

step "the policy for SELinux compiles"
selinux=$(mktemp -d)
cp packaging/selinux/* "$selinux/"
for distribution in debian redhat; do
    rm -f "$selinux/otpgate.pp"
    make -s -C "$selinux" -f /usr/share/selinux/devel/Makefile DISTRO=$distribution otpgate.pp \
        > "$selinux/log" 2>&1 || { cat "$selinux/log" >&2; fail "$distribution"; }
done
rm -rf "$selinux"

step "the rpms"
packaging/test-rpm.sh "$work/new" "$work/clean.tar"

step "the debs, in a clean system"
packaging/test-debian.sh "$work/new" "$work/earlier" "$work/clean.tar"
