#!/bin/bash
# run.sh BUILD [COMMAND...]: what `make bench` does: the same work on Posthorn and on Debian's Postfix + Dovecot (LMTP, Maildir, their default
# durability), in one run on this machine, one after the other, and the ratios. Needs root (for Postfix). Everything is on loopback.
# COMMANDs are bench.py's; MESSAGES is what the mailbox for the sync lines is filled with besides (30000).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "$1" && pwd)
shift
fill=${MESSAGES:-30000}
commands=${*:-inbound1 inbound100 relay:2526 fill:$fill sync append logins idle:1000 pop3}
work=$(mktemp -d /tmp/posthorn-bench.XXXXXX)
chmod 755 "$work"
server=
finish() {
	[ -z "$server" ] || kill "$server" 2>/dev/null || true
	"$here/peer-postfix-dovecot.sh" "$work/peer" stop >/dev/null 2>&1 || true
	[ -n "${KEEP:-}" ] || rm -rf "$work"
}
trap finish EXIT

# ---- the peers ----
mkdir -p "$work/peer"
"$here/peer-postfix-dovecot.sh" "$work/peer" start maildir >/dev/null 2>&1
sleep 2
pids=$(cat "$work/peer/spool/pid/master.pid" | tr -d ' '),$(cat "$work/peer/dc/run/master.pid")
echo "== Postfix + Dovecot"
# shellcheck disable=SC2086
/usr/bin/python3 "$here/bench.py" --pids "$pids" $commands | tee "$work/peer.json"
"$here/peer-postfix-dovecot.sh" "$work/peer" stop >/dev/null 2>&1

# ---- Posthorn, with the peers' rules: loopback may relay, all that is not local goes to the sink ----
offset=21000
"$build/posthorn" setup --demo "$work/posthorn" --port-offset $offset >/dev/null
cat >>"$work/posthorn/posthorn.yaml" <<CF

smtp:
  trusted_networks:
    - 127.0.0.0/8
relay:
  smarthost: 127.0.0.1:2526
  smarthost_tls: none
limits:
  connections: 20000
log:
  level: warning
CF
for i in $(seq 0 99); do echo "u$i@example.test,secret"; done >"$work/users.csv"
"$build/posthorn" account add --batch "$work/users.csv" --config "$work/posthorn/posthorn.yaml" >/dev/null
"$build/posthorn" serve --config "$work/posthorn/posthorn.yaml" 2>"$work/posthorn.log" &
server=$!
for _ in $(seq 100); do
	"$build/posthorn" status --config "$work/posthorn/posthorn.yaml" 2>/dev/null | grep -c running | grep -qx 6 && break
	sleep 0.1
done
echo "== Posthorn"
# shellcheck disable=SC2086
/usr/bin/python3 "$here/bench.py" --smtp $((offset + 25)) --imap $((offset + 143)) --imaps $((offset + 993)) --pop3 $((offset + 110)) --pids $server $commands |
	tee "$work/posthorn.json"

/usr/bin/python3 - "$work/peer.json" "$work/posthorn.json" <<'PY'
import json, sys
peer, ours = ({(r := json.loads(l))["name"]: r for l in open(p) if l.startswith("{")} for p in sys.argv[1:])
print("\n| line | Postfix + Dovecot | Posthorn | times better |\n| --- | ---: | ---: | ---: |")
for name, p in peer.items():
    o = ours.get(name)
    if not o:
        continue
    if "per_cpu_second" in p:
        a, b, unit, ratio = p["per_cpu_second"], o["per_cpu_second"], "per CPU second", o["per_cpu_second"] / max(p["per_cpu_second"], 1e-9)
    else:
        a, b, unit, ratio = p["value"], o["value"], p["unit"], p["value"] / max(o["value"], 1e-9)
    print(f"| {name} ({unit}) | {a} | {b} | {ratio:.1f} |")
    if "cpu" in p:
        print(f"| {name} (server CPU s) | {p['cpu']} | {o['cpu']} | {p['cpu'] / max(o['cpu'], 0.005):.1f} |")
PY
