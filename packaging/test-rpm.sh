#!/bin/sh
# The rpms in a root directory of their own: what they bring, and that a removal which would lock people out
# is refused. What they depend on is not there, so rpm is not asked for it.
# Usage: test-rpm.sh PACKAGES ARCHIVE
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(mktemp -d)
trap 'rm -rf --one-file-system "$root"' EXIT INT TERM
fail() { echo "test-rpm: $1" >&2; exit 1; }

for package in libpam-otpgate otpgate otpgate-sshd; do
    file=$(echo "$1/$package"-[0-9]*.rpm)
    rpm -K --nosignature "$file" > /dev/null || fail "$file is damaged"
    for tag in LICENSE SUMMARY DESCRIPTION; do
        [ -n "$(rpm -qp --qf "%{$tag}" "$file")" ] || fail "$file has no $tag"
    done
done
needs() { rpm -qp --requires "$1"-[0-9]*.rpm | grep -q "$2" || fail "$1 does not require $2"; }
(
    cd "$1"
    needs libpam-otpgate '^libpam\.so\.0()'
    needs libpam-otpgate '^libgcc_s\.so\.1()'
    needs otpgate '^libpam-otpgate'
    needs otpgate-sshd '^otpgate('
)

"$here/debootstrap.sh" "$2" "$root"
before=$(cat "$root"/etc/pam.d/* | cksum)
rpm --root "$root" --initdb
rpm --root "$root" --install --nodeps "$1"/*.rpm
rpm --root "$root" --verify --nodeps --all || fail "what was unpacked is not what was packed"
bits=$([ "$(getconf LONG_BIT)" = 32 ] || echo 64)
module=/usr/lib$bits/security/pam_otpgate.so
for file in "$module" /usr/bin/otpgate /usr/sbin/otpgate-sshd /etc/otpgate/otpgate.toml \
    /etc/otpgate/otpgate-sshd.toml /etc/pam.d/otpgate-sshd /usr/lib/systemd/system/otpgate-sshd.service; do
    [ "$(stat -c %u:%g "$root$file")" = 0:0 ] || fail "$file is not there, or not root's"
done
chroot "$root" otpgate --version
chroot "$root" getent passwd _otpgate-sshd || fail "there is no user _otpgate-sshd"
rm "$root/etc/pam.d/otpgate-sshd.rpmnew" 2>/dev/null || true

echo "auth required pam_otpgate.so" > "$root/etc/pam.d/other-service"
for package in "otpgate-sshd otpgate libpam-otpgate" "libpam-otpgate"; do
    # shellcheck disable=SC2086 # several words
    if said=$(rpm --root "$root" --erase --nodeps $package 2>&1); then
        fail "removing $package was not refused"
    fi
    echo "$said" | grep -q "pam_otpgate.so is in use" || fail "no reason was given: $said"
    [ -e "$root$module" ] || fail "the module is gone"
done
rm "$root/etc/pam.d/other-service"
installed=$(rpm --root "$root" -qa)
# shellcheck disable=SC2086 # several words
rpm --root "$root" --erase $installed
[ ! -e "$root$module" ] || fail "the module is still there"
[ "$(cat "$root"/etc/pam.d/* | cksum)" = "$before" ] || fail "PAM files were changed"
echo "the rpms are as they should be"
