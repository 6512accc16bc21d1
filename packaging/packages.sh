#!/bin/sh
# The packages, from programs that are compiled already.
# Usage: packages.sh PROGRAMS DESTINATION [REVISION]
#   PROGRAMS      where the release build left its files
#   DESTINATION   *.deb, *.rpm and the bill of materials are put there
set -eu
programs=$(cd "$1" && pwd)
mkdir -p "$2"
destination=$(cd "$2" && pwd)
revision=${3:-1}
cd "$(dirname "$0")/.."

version=$(packaging/about.sh version)
SOURCE_DATE_EPOCH=$(packaging/about.sh epoch)
export SOURCE_DATE_EPOCH LC_ALL=C TZ=UTC
umask 022

# A tree of what packages are made of besides the programs; the rest has been compiled.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM
tree=$work/otpgate-$version
mkdir "$tree"
cp -R packaging examples Cargo.toml README.md SECURITY.md CHANGELOG.md LICENSE-APACHE LICENSE-MIT "$tree/"
packaging/prepare.sh "$tree" "$revision"

echo "Packages for Debian: otpgate $version-$revision"
(
    cd "$tree"
    # The compiler that has built the programs need not be Debian's, so dependencies are not asked for (-d).
    OTPGATE_PROGRAMS=$programs DEB_BUILD_OPTIONS=nocheck dpkg-buildpackage -b -d -us -uc > "$work/deb.log" 2>&1
) || { cat "$work/deb.log" >&2; exit 1; }
grep -i '^dpkg-shlibdeps: warning\|^dh_missing: warning' "$work/deb.log" >&2 || true

echo "Packages for Fedora and its relatives"
rm -rf "$tree/debian"
bits=$(getconf LONG_BIT)
(
    cd "$tree"
    rpmbuild -bb --build-in-place \
        --define "_topdir $work/rpm" --define "programs $programs" \
        --define "_libdir /usr/lib$([ "$bits" = 32 ] || echo 64)" \
        --define "_buildhost localhost" --define "use_source_date_epoch_as_buildtime 1" \
        --define "clamp_mtime_to_source_date_epoch 1" --define "source_date_epoch_from_changelog 0" \
        --define "_binary_payload w9.gzdio" --define "__brp_strip /bin/true" --define "__brp_strip_static_archive /bin/true" \
        --define "_build_name_fmt %%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm" \
        otpgate.spec > "$work/rpm.log" 2>&1
) || { cat "$work/rpm.log" >&2; exit 1; }

packaging/third_party.py sbom "$SOURCE_DATE_EPOCH" > "$destination/otpgate-$version.cdx.json"
mv "$work"/*.deb "$work"/rpm/RPMS/*.rpm "$destination/"
ls -l "$destination"
