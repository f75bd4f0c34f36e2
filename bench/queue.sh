#!/bin/bash
# queue.sh BUILD [MESSAGES]: a queue of MESSAGES (100000) to 1,000 domains, one in ten of which is dead (nobody listens), drained by Debian's
# Postfix and then by Posthorn: how fast, with how much memory. Both are told where the domains are by the same transport map: each has an
# address of its own on loopback. Both have 100 connections, 10 to a destination. While the queue is filled no domain can be reached: Postfix defers
# by its settings, Posthorn finds all hosts dead; then they are told to try again.
# SIDES="postfix posthorn" by default.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "$1" && pwd)
messages=${2:-100000}
sides=${SIDES:-postfix posthorn}
work=$(mktemp -d /tmp/posthorn-queue.XXXXXX)
chmod 755 "$work"
server=
finish() {
	[ -z "$server" ] || kill "$server" 2>/dev/null || true
	[ ! -d "$work/pf" ] || postfix -c "$work/pf" stop >/dev/null 2>&1 || true
	[ -n "${KEEP:-}" ] || rm -rf "$work"
}
trap finish EXIT

for i in $(seq 0 999); do
	port=2526
	[ $((i % 10)) = 0 ] && port=2527
	echo "d$i.queue.test smtp:[127.1.$((i / 250)).$((i % 250 + 1))]:$port"
done >"$work/transport"

run_postfix() {
	mkdir -p "$work/pf" "$work/spool" "$work/data"
	chown postfix "$work/data"
	cat >"$work/pf/main.cf" <<-CF
		compatibility_level = 3.6
		queue_directory = $work/spool
		data_directory = $work/data
		command_directory = /usr/sbin
		daemon_directory = /usr/lib/postfix/sbin
		myhostname = mx.example.test
		mydestination =
		mynetworks = 127.0.0.0/8
		inet_interfaces = 127.0.0.1
		inet_protocols = ipv4
		transport_maps = hash:$work/transport
		maillog_file = $work/pf.log
		maillog_file_prefixes = /
		smtp_tls_security_level = none
		smtpd_client_connection_count_limit = 0
		default_process_limit = 100
		default_destination_concurrency_limit = 10
	CF
	postmap "hash:$work/transport"
	sed -e 's/^smtp      inet .*/127.0.0.1:2525 inet n - n - - smtpd/' /usr/share/postfix/master.cf.dist >"$work/pf/master.cf"
	sed -i -E 's/^([a-z].*(unix|inet|unix-dgram) +[-ny] +[-ny] +)y /\1n /' "$work/pf/master.cf"
	postfix -c "$work/pf" start >/dev/null 2>&1
	sleep 2
	/usr/bin/python3 "$here/bench.py" --smtp 2525 --pids "$(tr -d ' ' <"$work/spool/pid/master.pid")" --watch qmgr \
		--hold "postconf -c $work/pf -e defer_transports=smtp && postfix -c $work/pf reload 2>/dev/null && sleep 1" \
		--release "postconf -c $work/pf -e defer_transports= && postfix -c $work/pf reload 2>/dev/null && sleep 1 && postqueue -c $work/pf -f" \
		"queue:$messages"
	postfix -c "$work/pf" stop >/dev/null 2>&1
}

run_posthorn() {
	offset=21000
	config=$work/posthorn/posthorn.yaml
	"$build/posthorn" setup --demo "$work/posthorn" --port-offset $offset >/dev/null
	cat >>"$config" <<-CF

		smtp:
		  trusted_networks:
		    - 127.0.0.0/8
		relay:
		  concurrency: 100
		log:
		  level: warning
	CF
	"$build/posthorn" import aliases "$work/transport" --format transport --config "$config" >/dev/null
	"$build/posthorn" serve --config "$config" 2>"$work/posthorn.log" &
	server=$!
	for _ in $(seq 100); do
		"$build/posthorn" status --config "$config" 2>/dev/null | grep -c running | grep -qx 6 && break
		sleep 0.1
	done
	/usr/bin/python3 "$here/bench.py" --smtp $((offset + 25)) --pids $server --watch "role relay" \
		--release "$build/posthorn queue retry --all --config $config >/dev/null" "queue:$messages"
	kill $server
	wait $server || true
	server=
}

for side in $sides; do
	echo "== $side"
	"run_$side" | tee "$work/$side.json"
done
