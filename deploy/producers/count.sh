#!/bin/sh
# Counts the payloads of a JSONL file through Weighbridge's inbox, with redis-cli and nothing else.
#
#     REDIS_CLI='redis-cli -u redis://127.0.0.1:6379' sh count.sh payloads.jsonl > results.jsonl
#
# Prints the replies in the payloads' order, a JSON line each. Exits with 3 if any of them is no
# count. The contract is queue/PROTOCOL.md.
set -eu

cli=${REDIS_CLI:-redis-cli -u ${REDIS_URL:-redis://127.0.0.1:6379}}
prefix="{${WEIGHBRIDGE_NAMESPACE:-weighbridge}}:1:"
give_up_s=${GIVE_UP_S:-3600}
run="sh-$(date +%s)-$$" # ids must be fresh: a used one would find the old reply
failed=0

# Runs a command until the server answers it: writing a request twice does no harm. redis-cli tells
# of an error in its output, -e in its status; -x takes the last argument from the input file.
surely() {
    input=$1
    shift
    until $cli --no-raw -e "$@" <"$input" >"$said"; do
        cat "$said" >&2
        [ "$(date +%s)" -lt "$ends" ] || exit 4
        sleep 1
    done
}

# Prints a reply, or nothing after five seconds without one. A bell may be lost with the connection
# that carried it, its reply stays for an hour.
await() {
    $cli --raw BLPOP "${prefix}bell:$1" 5 2>/dev/null | sed -n 2p
}

said=$(mktemp)
payload=$(mktemp)
trap 'rm -f "$said" "$payload"' EXIT
ends=$(($(date +%s) + give_up_s))

number=0
while IFS= read -r line || [ -n "$line" ]; do
    number=$((number + 1))
    printf '%s' "$line" >"$payload"
    surely "$payload" -x XADD "${prefix}inbox" '*' id "$run-$number" bell 1 payload
done <"${1:-/dev/stdin}"

asked=$number number=0
while [ "$number" -lt "$asked" ]; do
    number=$((number + 1))
    reply=
    while [ -z "$reply" ]; do
        reply=$(await "$run-$number" || true)
        [ -n "$reply" ] || reply=$($cli --raw GET "${prefix}reply:$run-$number" 2>/dev/null || true)
        case $reply in
            '{'*) ;;
            *) reply= ;;
        esac
        if [ -z "$reply" ] && [ "$(date +%s)" -ge "$ends" ]; then
            reply='{"id":"'"$run-$number"'","status":"failed","code":"no_reply"}'
        fi
        [ -n "$reply" ] || sleep 1 # BLPOP comes back at once while the server is away
    done
    case $reply in
        *'"status":"counted"'*) ;;
        *) failed=3 ;;
    esac
    printf '%s\n' "$reply"
done
exit $failed
