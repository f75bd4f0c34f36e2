#!/bin/bash
# install-packages.sh SET...: installs the Debian packages of those sets that are not there yet. Sets: build test bench fuzz lint.
# Nothing is installed that is there already; as root, or through sudo.
# php-cgi is for Roundcube: with it "php" doesn't bring Apache.
set -eu

packages() {
	case $1 in
	build) echo gcc libc6-dev pkg-config meson ninja-build libssl-dev libsqlite3-dev libpq-dev libunbound-dev libcurl4-openssl-dev libzstd-dev zlib1g-dev \
		libcyaml-dev libyaml-dev uthash-dev libcmocka-dev libseccomp-dev libargon2-dev libcjose-dev libjansson-dev libcrypt-dev libidn2-dev libicu-dev dns-root-data ;;
	test) echo python3 python3-milter opendkim opendkim-tools rspamd postgrey postfix-policyd-spf-python libgnutls-dane0 libnsl2 python3-pytest python3-pytest-xdist postgresql swaks libnet-ssleay-perl isync neomutt offlineimap3 fetchmail getmail6 mpop libsasl2-modules gsasl curl openssl sqlite3 procps iproute2 postfix bsd-mailx git-email libmailtools-perl php-cli php-cgi roundcube-core roundcube-sqlite3 roundcube-plugins thunderbird evolution xvfb xdotool dbus-daemon gnome-keyring libsecret-tools procmail maildrop poppler-utils catdoc dovecot-imapd nsd ldnsutils libasan8 libtsan2 libubsan1 \
		m4 libevent-2.1-7 libdb5.3 libldap-2.5-0 liblockfile1 libwrap0 ;; # what OpenSMTPD and Sendmail need, which the tests unpack
	bench) echo python3 python3-pytest postfix libevent-2.1-7 libdb5.3 dovecot-imapd dovecot-lmtpd dovecot-pop3d gcc openssl procps ;;
	fuzz) echo clang libclang-rt-14-dev ;;
	lint) echo clang clang-format clang-tidy python3 ;;
	*) echo "install-packages.sh: unknown set '$1' (build test bench fuzz lint)" >&2; exit 2 ;;
	esac
}

wanted=""
for set in "$@"; do
	wanted="$wanted $(packages "$set")"
done
missing=""
for package in $wanted; do
	dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

run=""
if [ "$(id -u)" != 0 ]; then
	command -v sudo >/dev/null || { echo "Please install as root: apt-get install$missing" >&2; exit 1; }
	run=sudo
fi
echo "Installing:$missing"
$run apt-get update -qq
# shellcheck disable=SC2086
$run env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
