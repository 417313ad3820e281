#!/usr/bin/env bash
# Facts in: this daemon, and VictoriaMetrics.
#
#   benches/peers/ingest.sh                      a million facts, of 1000 and of 100 000 services, the median of 3 runs
#   benches/peers/ingest.sh FACTS [RUNS]         others
#   FOURNINES=path benches/peers/ingest.sh       that binary, instead of building the release one
#
# The same latencies go to both over loopback HTTP, from one client, over four connections, in bodies of some 250 KB:
# to the daemon as NDJSON events, which it answers when they are synced to the disk and counted, and to VictoriaMetrics
# as Prometheus' text, which it answers when they are in its memory. Each run has a fresh server with an empty folder
# and its own defaults. Then events one by one to both, and to the daemon alone what `fournines generate` writes.
#
# It takes some two minutes, talks to loopback only, and needs 1 GB in the target folder, which must be on a real disk.
# The tables go to standard output, everything else to standard error.

set -euo pipefail
# A job of its own process group can be ended together with what it has started.
set -m
# A decimal point is a point.
export LC_ALL=C
readonly BINARY=${FOURNINES:+$(realpath "$FOURNINES")}
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

readonly FACTS=${1:-1000000}
readonly RUNS=${2:-3}
readonly SERVICES=(1000 100000)
readonly BULK_CONNECTIONS=4
readonly BULK_BYTES=250000
readonly SMALL_CONNECTIONS=64
# One small post for so many bulk facts.
readonly SMALL_SHARE=10
readonly READY_TENTHS_MAX=300

step=""
server=""
readonly target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
mkdir -p "$target/tmp"
folder=$(mktemp -d "$target/tmp/peers-ingest.XXXXXXXX")

finish() {
    local status=$?
    trap - EXIT
    end_server
    if ((status != 0)); then
        if [[ -e $folder/server.log ]]; then
            tail -n 5 "$folder/server.log" >&2
        fi
        printf '\ningest.sh: FAILED (exit %d) in the step: %s, after %d s\n' "$status" "${step:-start}" "$SECONDS" >&2
    fi
    rm -rf "$folder"
    exit "$status"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Ends the server, waits for that, and empties its folder.
end_server() {
    if [[ -n $server ]]; then
        kill -TERM -- "-$server" 2>/dev/null || true
        wait "$server" 2>/dev/null || true
        server=""
    fi
    rm -rf "$folder/data"
}

# What is not the table goes to standard error.
begin() {
    step=$1
    printf '==> %s\n' "$step" >&2
}

die() {
    printf '%s\n' "$@" >&2
    exit 1
}

check_needs() {
    local program missing=()
    for program in victoria-metrics curl python3 rustc; do
        command -v "$program" >/dev/null 2>&1 || missing+=("$program")
    done
    if ((${#missing[@]} > 0)); then
        die "Missing: ${missing[*]}" "On Debian: apt-get install victoria-metrics curl python3"
    fi
    [[ $FACTS =~ ^[1-9][0-9]*$ && $RUNS =~ ^[1-9][0-9]*$ ]] || die "Usage: benches/peers/ingest.sh [FACTS] [RUNS]"
    if [[ $(stat -f -c %T "$folder") == tmpfs ]]; then
        die "$folder is in memory, where a sync costs nothing: set CARGO_TARGET_DIR to a folder on a disk"
    fi
}

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# Starts a server in the background, and waits until it answers at PATH.
start() {
    local path=$1 try=0
    shift
    "$@" >"$folder/server.log" 2>&1 &
    server=$!
    until curl --silent --fail --output "$folder/ready" "http://$address$path"; do
        if ! kill -0 "$server" 2>/dev/null || ((try++ > READY_TENTHS_MAX)); then
            die "nothing is ready at http://$address$path"
        fi
        sleep 0.1
    done
}

start_fournines() {
    printf '[server]\nlisten = "%s"\n[storage]\npath = "%s"\n' "$address" "$folder/data" >"$folder/fournines.toml"
    start /readyz "$fournines" serve -c "$folder/fournines.toml"
}

start_victoria() {
    start /health victoria-metrics -storageDataPath="$folder/data" -httpListenAddr="$address"
}

client() {
    "$folder/send" "$@"
}

# Sends FILE to fresh servers of PEER, and keeps the figures of the run with the median of facts a second in NAME.row.
measure() {
    local name=$1 peer=$2 connections=$3 bytes=$4 file=$5 run path media
    if [[ $peer == fournines ]]; then
        path=/api/v1/events media=application/x-ndjson
    else
        path=/api/v1/import/prometheus media=text/plain
    fi
    for ((run = 0; run < RUNS; run++)); do
        begin "$name, run $((run + 1))"
        address=127.0.0.1:$(free_port)
        "start_$peer"
        client post "$address" "$path" "$media" "$server" "$connections" "$bytes" "$file"
        taken "$peer" "$(wc -l <"$file")"
        end_server
    done >"$folder/$name.rows"
    sort -g "$folder/$name.rows" | sed -n "$(((RUNS + 1) / 2))p" >"$folder/$name.row"
}

# Fails unless the server says that it has taken all of COUNT in.
taken() {
    local peer=$1 count=$2 found
    if [[ $peer == fournines ]]; then
        found=$(metric '^fournines_events_total{')
    else
        found=$(metric '^vm_rows_inserted_total{type="prometheus"}')
    fi
    [[ $found == "$count" ]] || die "$peer counted $found of $count facts"
}

# The sum of the metrics that match.
metric() {
    curl --silent --fail "http://$address/metrics" | awk -v name="$1" '$0 ~ name { sum += $NF } END { print sum + 0 }'
}

begin "Needs"
check_needs
if [[ -n $BINARY ]]; then
    fournines=$BINARY
else
    begin "Release binary"
    cargo build --release --locked --quiet --bin fournines
    fournines=$target/release/fournines
fi
[[ -x $fournines ]] || die "There is no program $fournines"
begin "Client"
# It uses nothing but the standard library, so that it need not wait for a second build of the daemon's.
rustc --edition 2024 -C opt-level=3 -o "$folder/send" benches/send.rs

for services in "${SERVICES[@]}"; do
    begin "Facts of $services services"
    client facts events "$services" "$FACTS" >"$folder/events"
    client facts samples "$services" "$FACTS" >"$folder/samples"
    measure "fournines-$services" fournines "$BULK_CONNECTIONS" "$BULK_BYTES" "$folder/events"
    measure "victoria-$services" victoria "$BULK_CONNECTIONS" "$BULK_BYTES" "$folder/samples"
done
head -n "$((FACTS / SMALL_SHARE))" "$folder/events" >"$folder/small"
measure small fournines "$SMALL_CONNECTIONS" 1 "$folder/small"
head -n "$((FACTS / SMALL_SHARE))" "$folder/samples" >"$folder/small"
measure victoria-small victoria "$SMALL_CONNECTIONS" 1 "$folder/small"
begin "Natural mix"
"$fournines" generate --sites 1000 --events "$FACTS" --output "$folder/mix"
measure mix fournines "$BULK_CONNECTIONS" "$BULK_BYTES" "$folder/mix"

printf '%s; %d cores; %s; %s\n\n' "$(awk -F ': ' '/^model name/ { print $2; exit }' /proc/cpuinfo)" "$(nproc)" \
    "victoria-metrics $(dpkg-query -W -f '${Version}' victoria-metrics 2>/dev/null || echo '?')" "$("$fournines" --version)"

# One row: its name, then the figures of FILE.row, and those of the client at the end.
row() {
    awk -F '\t' -v name="$1" '{
        printf "| %s | %d | %s | %d | %s | %s |\n", name, $1, $2, $4, $5, $3
    }' "$folder/$2.row"
}

echo "| $FACTS facts | facts/s | server's CPU, s a million | peak memory, MB | bytes a fact | client's CPU, s a million |"
echo '|---|---:|---:|---:|---:|---:|'
for services in "${SERVICES[@]}"; do
    row "fournines, $services services" "fournines-$services"
    row "VictoriaMetrics, $services services" "victoria-$services"
    paste "$folder/fournines-$services.row" "$folder/victoria-$services.row" | awk -F '\t' '{
        printf "| **fournines / VictoriaMetrics** | **%.2f** | **%.2f** | **%.2f** | %.2f | %.2f |\n",
            $1 / $9, $2 / $10, $4 / $12, $5 / $13, $3 / $11
    }'
done
row "fournines, what \`generate --sites 1000\` writes" mix
echo
echo "| one event a post, $SMALL_CONNECTIONS connections | posts/s | p50, ms | p99, ms | server's CPU, s a million | client's CPU, s a million | peak memory, MB |"
echo '|---|---:|---:|---:|---:|---:|---:|'
small() {
    awk -F '\t' -v name="$1" '{ printf "| %s | %d | %s | %s | %s | %s | %d |\n", name, $6, $7, $8, $2, $3, $4 }' "$folder/$2.row"
}
small fournines small
small VictoriaMetrics victoria-small
paste "$folder/small.row" "$folder/victoria-small.row" | awk -F '\t' '{
    printf "| **fournines / VictoriaMetrics** | **%.2f** | %.2f | %.2f | **%.2f** | %.2f | **%.2f** |\n",
        $6 / $14, $7 / $15, $8 / $16, $2 / $10, $3 / $11, $4 / $12
}'
