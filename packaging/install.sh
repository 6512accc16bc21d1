#!/bin/sh
# Puts everything that the packages hold where it belongs, below a directory.
# Usage: install.sh debian|rpm PROGRAMS MODULE_DIRECTORY DESTINATION
#   PROGRAMS           where the release build left its files
#   MODULE_DIRECTORY   where libpam of the target looks for modules
set -eu

family=$1
programs=$(cd "$2" && pwd)
module_directory=$3
mkdir -p "$4"
destination=$(cd "$4" && pwd)
cd "$(dirname "$0")/.."

case "$family" in
    debian)
        pam_file=examples/pam.d/otpgate-sshd
        sftp_server=/usr/lib/openssh/sftp-server
        zsh=/usr/share/zsh/vendor-completions
        ;;
    rpm)
        pam_file=packaging/rpm/otpgate-sshd.pam
        sftp_server=/usr/libexec/openssh/sftp-server
        zsh=/usr/share/zsh/site-functions
        ;;
    *) echo "usage: $0 debian|rpm PROGRAMS MODULE_DIRECTORY DESTINATION" >&2; exit 2 ;;
esac

# put MODE FILE PATH
put() {
    install -D -m "$1" "$2" "$destination$3"
}

put 644 "$programs/libpam_otpgate.so" "$module_directory/pam_otpgate.so"
put 755 "$programs/otpgate" /usr/bin/otpgate
# SSH_ASKPASS takes a program without arguments.
ln -s otpgate "$destination/usr/bin/otpgate-askpass"
put 755 "$programs/otpgate-sshd" /usr/sbin/otpgate-sshd

# Cargo leaves the symbols of a program whose package has optimisation of its own.
strip --strip-unneeded "$destination$module_directory/pam_otpgate.so" "$destination/usr/bin/otpgate" \
    "$destination/usr/sbin/otpgate-sshd"

put 644 examples/otpgate.toml /etc/otpgate/otpgate.toml
# The one default that differs between distributions: where OpenSSH keeps its sftp-server.
sed "s#^sftp_server = .*#sftp_server = \"$sftp_server\"#" examples/otpgate-sshd.toml \
    > "$destination/etc/otpgate/otpgate-sshd.toml"
chmod 644 "$destination/etc/otpgate/otpgate-sshd.toml"
put 644 "$pam_file" /etc/pam.d/otpgate-sshd

if [ "$family" = rpm ]; then
    for unit in otpgate-sshd otpgate-sshd-keygen otpgate-seal-key; do
        put 644 packaging/systemd/$unit.service /usr/lib/systemd/system/$unit.service
    done
fi
put 644 packaging/systemd/otpgate-sshd.sysusers /usr/lib/sysusers.d/otpgate-sshd.conf
put 644 packaging/systemd/otpgate.tmpfiles /usr/lib/tmpfiles.d/otpgate.conf

for filter in otpgate otpgate-sshd; do
    put 644 packaging/fail2ban/$filter.conf /etc/fail2ban/filter.d/$filter.conf
done
for source in te fc; do
    put 644 packaging/selinux/otpgate.$source /usr/share/otpgate/selinux/otpgate.$source
done

mkdir -p "$destination/usr/share/man/man1"
"$programs/otpgate" man --out "$destination/usr/share/man/man1"
for page in packaging/man/*; do
    put 644 "$page" "/usr/share/man/man${page##*.}/${page##*/}"
done

mkdir -p "$destination/usr/share/bash-completion/completions" "$destination$zsh" \
    "$destination/usr/share/fish/vendor_completions.d"
"$programs/otpgate" completions bash > "$destination/usr/share/bash-completion/completions/otpgate"
"$programs/otpgate" completions zsh > "$destination$zsh/_otpgate"
"$programs/otpgate" completions fish > "$destination/usr/share/fish/vendor_completions.d/otpgate.fish"

samples=/usr/share/doc/otpgate/examples
samples_to_copy=$(cd examples && find HELPDESK.md ansible.cfg askpass.toml channels clients pam.d/combined \
    pam.d/sshd pam.d/sshd-enrol pam.d/sshd-password-first pam.d/sudo policies sshd_config.d -type f ! -name '*.pyc')
for sample in $samples_to_copy; do
    put 644 "examples/$sample" "$samples/$sample"
done
put 644 packaging/fail2ban/jail.conf "$samples/fail2ban/jail.d/otpgate.conf"
