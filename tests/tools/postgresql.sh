#!/bin/sh
# A private PostgreSQL server for tests: postgresql.sh DIR start|stop
#
# Everything is in DIR (made if missing): the cluster, its log, and the Unix socket, which is the only way in. Durable as a real one
# (fsync on). `start` prints the URL of an empty database "posthorn". Started by root, the server runs as the user nobody, as whom
# DIR must be reachable. Exit status 77: PostgreSQL's programs aren't there.
set -eu

dir=$1
action=$2
programs=
for candidate in /usr/lib/postgresql/*/bin; do
	[ -x "$candidate/initdb" ] && programs=$candidate
done
if [ -z "$programs" ]; then
	echo "PostgreSQL's programs (package postgresql) are not installed" >&2
	exit 77
fi

as_user() {
	if [ "$(id -u)" = 0 ]; then
		setpriv --reuid=nobody --regid=nogroup --clear-groups env HOME="$dir" LC_ALL=C "$@"
	else
		env LC_ALL=C "$@"
	fi
}

case $action in
start)
	mkdir -p "$dir"
	dir=$(cd "$dir" && pwd)
	cd /
	if [ ! -e "$dir/cluster/PG_VERSION" ]; then
		[ "$(id -u)" = 0 ] && chown nobody:nogroup "$dir"
		as_user "$programs/initdb" -D "$dir/cluster" -U posthorn -A trust -E UTF8 --locale=C >"$dir/initdb.log" 2>&1
		cat >>"$dir/cluster/postgresql.conf" <<-END
			listen_addresses = ''
			unix_socket_directories = '$dir'
			shared_buffers = 64MB
			max_connections = 60
			fsync = on
		END
	fi
	as_user "$programs/pg_ctl" -D "$dir/cluster" -l "$dir/server.log" -w -t 60 start >/dev/null
	as_user "$programs/psql" -q -h "$dir" -U posthorn -d postgres -tAc "SELECT 1 FROM pg_database WHERE datname = 'posthorn'" |
		grep -q 1 || as_user "$programs/createdb" -h "$dir" -U posthorn posthorn
	echo "postgresql://posthorn@/posthorn?host=$dir"
	;;
stop)
	dir=$(cd "$dir" && pwd)
	cd /
	as_user "$programs/pg_ctl" -D "$dir/cluster" -m "${3:-fast}" -w -t 60 stop >/dev/null
	;;
*)
	echo "usage: postgresql.sh DIR start | stop [smart|fast|immediate]" >&2
	exit 2
	;;
esac
