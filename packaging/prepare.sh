#!/bin/sh
# Makes a source tree one that dpkg-buildpackage and rpmbuild take as it is: debian/ and otpgate.spec, with
# version, changelog and copyright filled in.
# Usage: prepare.sh DIRECTORY [REVISION]
set -eu
here=$(cd "$(dirname "$0")" && pwd)
tree=$(cd "$1" && pwd)
revision=${2:-1}
version=$("$here/about.sh" version)
epoch=$("$here/about.sh" epoch)

rm -rf "$tree/debian"
cp -R "$here/debian" "$tree/debian"
"$here/changelog.py" deb "$version-$revision" "$epoch" > "$tree/debian/changelog"
"$here/third_party.py" copyright "$epoch" > "$tree/debian/copyright"
# debhelper knows where units belong in its release of Debian.
cp "$here/systemd/otpgate-sshd.service" "$tree/debian/otpgate-sshd.service"
cp "$here/systemd/otpgate-sshd-keygen.service" "$tree/debian/otpgate-sshd.otpgate-sshd-keygen.service"
cp "$here/systemd/otpgate-seal-key.service" "$tree/debian/otpgate.otpgate-seal-key.service"
cp "$tree/debian/copyright" "$tree/THIRD-PARTY"

# A spec file cannot include what scripts share, so that is put in.
{
    echo "%global version_of_workspace $version"
    echo "%global release_of_package $revision"
    echo "%global in_use %{expand:"
    cat "$here/in-use.sh"
    echo "}"
    cat "$here/rpm/otpgate.spec"
    "$here/changelog.py" rpm "$version-$revision" "$epoch"
} > "$tree/otpgate.spec"
