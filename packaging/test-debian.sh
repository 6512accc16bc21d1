#!/bin/sh
# What an administrator does with the Debian packages, from a clean system to a protected login and back, in
# a root directory, a network and processes of its own. Nothing of this machine is touched.
# Usage: test-debian.sh PACKAGES EARLIER ARCHIVE
#   PACKAGES   the directory with the packages
#   EARLIER    one with packages of an earlier version
#   ARCHIVE    where debootstrap.sh keeps its clean system
set -eu
here=$(cd "$(dirname "$0")" && pwd)

if [ -z "${OTPGATE_INSIDE-}" ]; then
    root=$(mktemp -d)
    # Outside of every namespace, so that it is done whatever happens inside. Mounts went with theirs.
    trap 'rm -rf --one-file-system "$root"' EXIT INT TERM
    "$here/debootstrap.sh" "$3" "$root"
    mkdir -p "$root/packages/new" "$root/packages/earlier"
    for package in libpam-otpgate otpgate otpgate-sshd; do
        cp "$1/$package"_*.deb "$root/packages/new/$package.deb"
        cp "$2/$package"_*.deb "$root/packages/earlier/$package.deb"
    done
    OTPGATE_INSIDE=$root unshare --mount --net --pid --mount-proc --ipc --uts --fork --kill-child \
        "$here/test-debian.sh"
    exit 0
fi

root=$OTPGATE_INSIDE
clean="env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive"
module=$root/usr/lib/$(dpkg-architecture -q DEB_HOST_MULTIARCH)/security/pam_otpgate.so
log=$root/var/log/authpriv
step() { printf '\n--- %s\n' "$1"; }
fail() { echo "test-debian: $1" >&2; tail -n 20 "$log" >&2 2>/dev/null || true; exit 1; }
# shellcheck disable=SC2086 # several words
inside() { chroot "$root" $clean "$@"; }
# What a command says, which has to fail.
refused() { if said=$("$@" 2>&1); then fail "this should have been refused: $*"; fi; }
contains() { case "$1" in *"$2"*) ;; *) fail "\"$2\" is not in: $1" ;; esac; }

hostname clean
mount --make-rprivate /
mount -t proc proc "$root/proc"
mount -t tmpfs tmpfs "$root/run"
mount -t tmpfs tmpfs "$root/dev"
for node in null zero full random urandom tty; do
    touch "$root/dev/$node"
    mount --bind "/dev/$node" "$root/dev/$node"
done
mkdir "$root/dev/pts"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
ip link set lo up
mkdir "$root/run/sshd"
"$here/authpriv.py" "$root/dev/log" "$log" &

step "a clean system: alice logs in with her password"
inside useradd --create-home --shell /bin/bash alice
echo 'alice:correct horse' | inside chpasswd
# As an administrator would have it who lets people log in by PAM.
inside ssh-keygen -A > /dev/null
# Waits for a minute at most.
wait_until() {
    for _ in $(seq 600); do
        if "$@"; then return; fi
        sleep 0.1
    done
    fail "waited in vain: $*"
}
# It is written once sshd listens.
pid_file="$root/run/sshd.pid"
sshd() { inside /usr/sbin/sshd -o PidFile=/run/sshd.pid; wait_until [ -s "$pid_file" ]; }
reload() {
    pid=$(cat "$pid_file")
    rm "$pid_file"
    kill -HUP "$pid"
    wait_until [ -s "$pid_file" ]
}
# What the client is asked and what becomes of it; without a code only the password is given.
login() { "$here/login.exp" alice 'correct horse' "${1-}"; }
gets_in() { said=$(login "$@") || fail "alice does not get in: $said"; contains "$said" "uid=1000(alice)"; }
gets_not_in() { if said=$(login "$@"); then fail "alice gets in: $said"; fi; }
sshd
gets_in

step "installing: nothing asks for a code, nothing is started"
before=$(cat "$root"/etc/pam.d/* | cksum)
inside apt-get install -q -y /packages/earlier/libpam-otpgate.deb /packages/earlier/otpgate.deb \
    > "$root/apt.log" 2>&1 || { cat "$root/apt.log" >&2; fail "apt-get install"; }
[ "$(cat "$root"/etc/pam.d/* | cksum)" = "$before" ] || fail "installing changed a PAM file"
[ "$(stat -c '%a %u' "$root/var/lib/otpgate")" = "700 0" ] || fail "/var/lib/otpgate is not root's alone"
gets_in
inside dpkg -s otpgate | sed -n '/^Version/p'

step "the manual pages say what to type"
for page in otpgate otpgate-setup otpgate-enroll otpgate.toml pam_otpgate; do
    inside man -P cat "$page" > "$root/page" 2>&1 || fail "there is no page $page"
    [ "$(wc -l < "$root/page")" -gt 20 ] || fail "the page $page is short: $(cat "$root/page")"
done

step "otpgate init, enroll, setup sshd"
inside otpgate init
secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP
early_in_a_step() { [ $(($(date +%s) % 30)) -lt 15 ]; }
code() { oathtool --totp -b "$secret" --now "$(date -u '+%F %T UTC') $1"; }
echo "$secret" | inside otpgate enroll alice --secret-from - --no-confirm --qr none > "$root/enrolled"
recovery_code=$(grep -oE '([0-9A-Z]{5}-){4}[0-9A-Z]{5}' "$root/enrolled" | head -n 1)
inside otpgate setup sshd --require
reload
# Warnings there are: a key alone lets in. Errors are another exit status.
inside otpgate check > "$root/check" || [ $? = 1 ] || fail "otpgate check: $(cat "$root/check")"
gets_not_in
gets_not_in 000000
contains "$said" "Verification code:"
# The code before is right for the rest of this step.
wait_until early_in_a_step
gets_in "$(code '- 30 seconds')"
grep -q 'result=accepted user=alice source=127.0.0.1 service=sshd' "$log" || fail "the log does not say so"

step "fail2ban's filter finds the wrong code, and not the right one"
mkdir "$root/filters"
cp /etc/fail2ban/filter.d/common.conf "$root"/etc/fail2ban/filter.d/*.conf "$root/filters/"
contains "$(fail2ban-regex "$log" "$root/filters/otpgate.conf")" "Failregex: 1 total"

step "upgrading: secrets, used codes, PAM lines and configuration stay"
echo '# mine' >> "$root/etc/otpgate/otpgate.toml"
used=$(code 'now')
gets_in "$used"
secrets=$(cd "$root/var/lib/otpgate" && find accounts -type f -exec cksum {} +)
inside apt-get install -q -y /packages/new/libpam-otpgate.deb /packages/new/otpgate.deb \
    > "$root/apt.log" 2>&1 || { cat "$root/apt.log" >&2; fail "apt-get install"; }
inside dpkg -s otpgate | sed -n '/^Version/p'
[ "$(cd "$root/var/lib/otpgate" && find accounts -type f -exec cksum {} +)" = "$secrets" ] || fail "secrets changed"
tail -n 1 "$root/etc/otpgate/otpgate.toml" | grep -q mine || fail "the configuration was overwritten"
gets_not_in "$used"
gets_in "$(code '+ 30 seconds')"

step "interrupted half-way: unpacked and not configured, then both again"
inside dpkg --unpack /packages/new/otpgate.deb > /dev/null
inside otpgate show alice > /dev/null
inside dpkg --configure -a > /dev/null
inside dpkg -i /packages/new/otpgate.deb /packages/new/libpam-otpgate.deb > /dev/null
inside otpgate show alice > /dev/null

step "the server: installed, tested, started by hand"
inside apt-get install -q -y /packages/new/otpgate-sshd.deb > "$root/apt.log" 2>&1 \
    || { cat "$root/apt.log" >&2; fail "apt-get install otpgate-sshd"; }
cp "$root"/etc/fail2ban/filter.d/otpgate-sshd.conf "$root/filters/"
inside getent passwd _otpgate-sshd || fail "there is no user _otpgate-sshd"
[ ! -e "$root/etc/systemd/system/multi-user.target.wants/otpgate-sshd.service" ] || fail "it was enabled"
inside otpgate-sshd --generate-host-key
inside otpgate-sshd --test || fail "otpgate-sshd --test"
for page in otpgate-sshd otpgate-sshd.toml; do
    inside man -P cat "$page" > "$root/page" 2>&1 || fail "there is no page $page"
done
inside otpgate-sshd --help | grep -oE -- '--[a-z][a-z-]+' | while read -r option; do
    inside man -P cat otpgate-sshd | sed 's/.\x08//g' | grep -q -e "$option" || fail "$option is not in otpgate-sshd(8)"
done
# shellcheck disable=SC2086 # several words
chroot "$root" $clean otpgate-sshd &
server=$!
listens() { [ -n "$(ss -H -ltn "sport = :$1")" ]; }
wait_until listens 2222
OTPGATE_PORT=2222 gets_not_in 000000
OTPGATE_PORT=2222 gets_in "$recovery_code"
contains "$(fail2ban-regex "$log" "$root/filters/otpgate-sshd.conf")" "Failregex: 1 total"
kill -TERM "$server"
wait "$server" || fail "otpgate-sshd ended with status $?"

step "removing is refused while it would lock people out"
for packages in "otpgate" "libpam-otpgate" "otpgate libpam-otpgate otpgate-sshd"; do
    # shellcheck disable=SC2086 # several words
    refused inside apt-get remove -q -y $packages
    contains "$said" "otpgate setup sshd --undo"
    [ -e "$module" ] || fail "the module is gone"
done
refused inside dpkg --force-depends --remove libpam-otpgate
contains "$said" "Without the module nobody could log in"
echo "$said"
inside otpgate show alice > /dev/null || fail "the command is gone"

step "and back: setup --undo, remove, log in without a code"
inside dpkg --configure -a
inside otpgate setup sshd --undo
reload
inside apt-get remove -q -y otpgate libpam-otpgate > "$root/apt.log" 2>&1 \
    || { cat "$root/apt.log" >&2; fail "apt-get remove"; }
[ -e "$root/var/lib/otpgate/accounts" ] || fail "removing took the secrets"
gets_in

step "purging leaves nothing"
inside dpkg --purge otpgate-sshd otpgate libpam-otpgate
for left in /var/lib/otpgate /etc/otpgate /etc/pam.d/otpgate-sshd /etc/fail2ban; do
    [ ! -e "$root$left" ] || fail "$left is still there"
done
[ "$(cat "$root"/etc/pam.d/* | cksum)" = "$before" ] || fail "the PAM files are not what they were"
inside dpkg --purge otpgate-sshd otpgate libpam-otpgate
gets_in

step "asked to, it removes in use, and says so"
inside dpkg -i /packages/new/libpam-otpgate.deb > /dev/null
echo 'auth required pam_otpgate.so' > "$root/etc/pam.d/other-service"
refused inside dpkg --remove libpam-otpgate
inside env OTPGATE_REMOVE_IN_USE=yes dpkg --remove libpam-otpgate
[ ! -e "$module" ] || fail "it was not removed"

step "all of it worked"
