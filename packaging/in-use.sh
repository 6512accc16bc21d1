# Part of the scripts that run before a removal. A 'required' line whose module is gone refuses every
# login, root's too, so nothing that such a line needs goes away while the line is there.
# No backslashes or percent signs in here, and no backticks: rpm would read them too.

# The PAM files that load the module. That of otpgate-sshd counts as long as its server is there.
files_in_use() {
    for file in /etc/pam.conf /etc/pam.d/* /usr/lib/pam.d/*; do
        case "$file" in
            *.dpkg-* | *.ucf-* | *.rpmsave | *.rpmnew | *.rpmorig | *.bak | *~) continue ;;
            */otpgate-sshd) command -v otpgate-sshd >/dev/null || continue ;;
        esac
        if [ -f "$file" ] && grep -q '^[^#]*pam_otpgate[.]so' "$file"; then
            echo "$file"
        fi
    done
}

# The way out of this file.
cure() {
    if command -v otpgate >/dev/null && [ -f "/etc/pam.d/${1##*/}" ]; then
        echo "    otpgate setup ${1##*/} --undo"
    else
        echo "    take the lines with pam_otpgate.so out of $1"
    fi
}

# $1: what would happen.
refuse_while_in_use() {
    files=$(files_in_use)
    [ -n "$files" ] || return 0
    {
        echo
        echo "otpgate: pam_otpgate.so is in use. $1"
        if [ "${OTPGATE_REMOVE_IN_USE-}" = yes ]; then
            echo "OTPGATE_REMOVE_IN_USE=yes is set, so it is done all the same. Keep a root session open, and now:"
        else
            echo "So nothing is removed. First:"
        fi
        for file in $files; do
            cure "$file"
        done
        echo "    systemctl reload ssh      (or sshd)"
        if [ "${OTPGATE_REMOVE_IN_USE-}" != yes ]; then
            echo "Log in once more from elsewhere, then remove again. With OTPGATE_REMOVE_IN_USE=yes in the"
            echo "environment it is removed whatever happens to logins."
        fi
        echo
    } >&2
    [ "${OTPGATE_REMOVE_IN_USE-}" = yes ] || exit 1
}
