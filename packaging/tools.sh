#!/bin/sh
# Installs from Debian's (or Ubuntu's) packages what a task needs and the machine lacks.
# Usage: tools.sh build|demo|test|memory|packages|package-test|dist
set -eu

build="gcc libc6-dev libpam0g-dev make"
demo="$build openssh-client openssh-sftp-server expect oathtool"
test="$demo binutils bsdutils dropbear-bin e2fsprogs faketime git groff keyutils lftp libpam-google-authenticator
    libpam-oath login man-db mount openssh-server openssl passwd putty-tools python3 python3-venv rsync strace
    sudo util-linux zbar-tools"
memory="$build valgrind"

packages="$build binutils debhelper dpkg-dev python3 rpm"
package_test="$packages debootstrap expect fail2ban iproute2 lintian man-db oathtool openssh-client
    selinux-policy-dev shellcheck systemd util-linux"
dist="git xz-utils"

case "${1-}" in
    build) wanted=$build ;;
    demo) wanted=$demo ;;
    test) wanted=$test ;;
    memory) wanted=$memory ;;
    packages) wanted=$packages ;;
    package-test) wanted=$package_test ;;
    dist) wanted=$dist ;;
    *) echo "usage: $0 build|demo|test|memory|packages|package-test|dist" >&2; exit 2 ;;
esac

missing=""
for package in $wanted; do
    status=$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null || true)
    [ "$status" = "install ok installed" ] || missing="$missing $package"
done
if [ -n "$missing" ]; then
    sudo=""
    if [ "$(id -u)" != 0 ]; then
        sudo="sudo"
        if ! command -v sudo >/dev/null || ! sudo true; then
            echo "Only root can install what is missing: apt-get install$missing" >&2
            exit 1
        fi
    fi
    echo "Installing:$missing"
    # No service of a newly installed package is to start by itself.
    $sudo env DEBIAN_FRONTEND=noninteractive sh -c '
        apt-get update -q
        restore=""
        if [ ! -e /usr/sbin/policy-rc.d ]; then
            restore=yes
            printf "#!/bin/sh\nexit 101\n" > /usr/sbin/policy-rc.d
            chmod 755 /usr/sbin/policy-rc.d
        fi
        status=0
        apt-get install -q -y --no-install-recommends "$@" || status=$?
        [ -z "$restore" ] || rm -f /usr/sbin/policy-rc.d
        exit $status
    ' sh $missing
fi

# Debian 12's own cargo is 1.63.
version=$(cargo --version 2>/dev/null | cut -d ' ' -f 2 || true)
if [ "$(printf '%s\n' 1.89 "${version:-0}" | sort -V | head -n 1)" != 1.89 ]; then
    echo "Rust 1.89 or later is needed, and cargo here is ${version:-missing}: install it with rustup, then try again" >&2
    exit 1
fi
