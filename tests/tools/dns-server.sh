#!/bin/sh
# A private DNS server for tests: dns-server.sh FOLDER PORT ZONE[=signed|=expired]...
#
# Serves FOLDER/ZONE.zone of each zone on 127.0.0.1:PORT until it is told to end; the process is the server (nsd) itself. A signed
# zone's trust anchor stands in FOLDER/ZONE.anchor; an expired zone is one whose signatures are of the past.
set -eu

folder=$1
port=$2
shift 2
cd "$folder"
PATH=$PATH:/usr/sbin

sign() { # ZONE OPTIONS...
	zone=$1
	shift
	key=$(ldns-keygen -a ECDSAP256SHA256 -k "$zone")
	ldns-signzone "$@" -o "$zone" -f "$zone.signed" "$zone.zone" "$key"
	cp "$key.ds" "$zone.anchor"
}

cat >nsd.conf <<END
server:
	ip-address: 127.0.0.1@$port
	username: ""
	chroot: ""
	zonesdir: "$folder"
	database: ""
	zonelistfile: "$folder/zone.list"
	xfrdfile: "$folder/xfrd.state"
	xfrdir: "$folder"
	pidfile: ""
	logfile: "$folder/nsd.log"
	rrl-ratelimit: 0
	rrl-whitelist-ratelimit: 0
remote-control:
	control-enable: no
END
for argument in "$@"; do
	zone=${argument%%=*}
	case $argument in
	*=signed) sign "$zone" ;;
	*=expired) sign "$zone" -i 20200101 -e 20200201 ;;
	*) cp "$zone.zone" "$zone.signed" ;;
	esac
	printf 'zone:\n\tname: "%s"\n\tzonefile: "%s.signed"\n' "$zone" "$zone" >>nsd.conf
done
exec nsd -d -c nsd.conf
