#!/bin/sh
# A clean Debian (or Ubuntu) of the release of this machine, from where apt has its packages. It is made
# once, and kept as an archive.
# Usage: debootstrap.sh ARCHIVE DIRECTORY
set -eu
archive=$1
directory=$2
. /etc/os-release

# What the packages depend on, so that no network is needed afterwards, and a server to protect.
wanted=openssh-server,openssh-sftp-server,systemd,man-db

if [ ! -e "$archive" ]; then
    mirror=$(apt-get indextargets --format '$(CODENAME) $(COMPONENT) $(REPO_URI)' 'Created-By: Packages' \
        | awk -v release="$VERSION_CODENAME" '$1 == release && $2 == "main" { print $3; exit }')
    if [ -z "$mirror" ]; then
        echo "debootstrap.sh: apt has no source for $VERSION_CODENAME main" >&2
        exit 1
    fi
    proxy=
    eval "$(apt-config shell proxy Acquire::http::Proxy)"
    [ -z "$proxy" ] || export http_proxy="$proxy"
    echo "A clean $ID $VERSION_CODENAME"
    new=$(mktemp -d)
    if ! debootstrap --variant=minbase --include="$wanted" "$VERSION_CODENAME" "$new" "$mirror" > "$new.log" 2>&1; then
        cat "$new.log" >&2
        rm -rf "$new" "$new.log"
        exit 1
    fi
    mkdir -p "$(dirname "$archive")"
    tar -C "$new" --exclude=./var/cache/apt --exclude=./var/lib/apt/lists -cf "$archive.new" .
    mv "$archive.new" "$archive"
    rm -rf "$new" "$new.log"
fi
tar -C "$directory" -xpf "$archive"
chmod 755 "$directory"
