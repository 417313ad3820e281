#!/usr/bin/env bash
# From the event to people: this daemon, and the usual path of exporter, Prometheus and rule.
#
#   benches/peers/alert_latency.sh                    210 outages, then 100 000 events a second
#   benches/peers/alert_latency.sh SAMPLES [RATE]     others
#   FOURNINES=path benches/peers/alert_latency.sh     that binary, instead of building the release one
#
# First: an outage is posted to the daemon, and at the same instant the gauge of an exporter flips, which one Prometheus
# scrapes and holds against its rules every second, and another every 15 s. All three tell the same real Alertmanager
# (group_wait 0s), which calls a webhook. What is measured is from the post to that call.
# Second: from the post to the moment at which Alertmanager's API is called, without and with other events coming in,
# each body of them answered when it is durable.
#
# It takes some three minutes and talks to loopback only. The table goes to standard output, everything else to standard
# error.

set -euo pipefail
# A job of its own process group can be ended together with what it has started.
set -m
# A decimal point is a point.
export LC_ALL=C
readonly BINARY=${FOURNINES:+$(realpath "$FOURNINES")}
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

readonly SAMPLES=${1:-210}
readonly RATE=${2:-100000}
readonly SHARDS=5
readonly READY_TENTHS_MAX=300

step=""
jobs=()
folder=$(mktemp -d "${TMPDIR:-/tmp}/peers-alerts.XXXXXXXX")

finish() {
    local status=$?
    trap - EXIT
    local job
    for job in "${jobs[@]}"; do
        end_group "$job"
    done
    if ((status != 0)); then
        local log
        for log in "$folder"/*.log; do
            [[ -e $log ]] || continue
            printf '%s:\n' "${log##*/}" >&2
            tail -n 5 "$log" >&2
        done
        printf '\nalert_latency.sh: FAILED (exit %d) in the step: %s, after %d s\n' \
            "$status" "${step:-start}" "$SECONDS" >&2
    fi
    rm -rf "$folder"
    exit "$status"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Ends a job with all that it has started, and waits for that.
end_group() {
    kill -TERM -- "-$1" 2>/dev/null || true
    wait "$1" 2>/dev/null || true
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
    for program in prometheus prometheus-alertmanager curl python3; do
        command -v "$program" >/dev/null 2>&1 || missing+=("$program")
    done
    if ((${#missing[@]} > 0)); then
        die "Missing: ${missing[*]}" "tests/run installs Prometheus, Alertmanager and curl."
    fi
    [[ $SAMPLES =~ ^[1-9][0-9]*$ && $RATE =~ ^[1-9][0-9]*$ ]] ||
        die "Usage: benches/peers/alert_latency.sh [SAMPLES] [RATE]"
}

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# Starts a command in the background with its output in NAME.log.
start() {
    local name=$1
    shift
    "$@" >"$folder/$name.log" 2>&1 &
    jobs+=($!)
}

# Waits until the last started job answers at URL.
until_ready() {
    local url=$1 try=0
    until curl --silent --fail --output "$folder/ready" "$url"; do
        if ! kill -0 "${jobs[-1]}" 2>/dev/null || ((try++ > READY_TENTHS_MAX)); then
            die "nothing is ready at $url"
        fi
        sleep 0.1
    done
}

# Runs a part of the measuring side.
measure() {
    python3 benches/peers/alert_latency.py "$@" &
    jobs+=($!)
    wait $!
}

start_alertmanager() {
    cat >"$folder/alertmanager.yml" <<YAML
route:
  receiver: nobody
  routes:
    - {receiver: fournines, matchers: [alertname = "ServiceInterruption"], group_by: [incident], group_wait: 0s}
    - {receiver: p1, matchers: [path = "p1"], group_by: [service], group_wait: 0s}
    - {receiver: p15, matchers: [path = "p15"], group_by: [service], group_wait: 0s}
receivers:
  - name: nobody
  - {name: fournines, webhook_configs: [{url: "http://127.0.0.1:$sink/hook/fournines"}]}
  - {name: p1, webhook_configs: [{url: "http://127.0.0.1:$sink/hook/p1"}]}
  - {name: p15, webhook_configs: [{url: "http://127.0.0.1:$sink/hook/p15"}]}
YAML
    alertmanager=$(free_port)
    start alertmanager prometheus-alertmanager --config.file="$folder/alertmanager.yml" --cluster.listen-address= \
        --storage.path="$folder/alertmanager" --web.listen-address="127.0.0.1:$alertmanager"
    until_ready "http://127.0.0.1:$alertmanager/-/ready"
}

# A Prometheus NAME that scrapes and evaluates at INTERVAL.
start_prometheus() {
    local name=$1 interval=$2 port shard
    port=$(free_port)
    cat >"$folder/$name.yml" <<YAML
global: {scrape_interval: $interval, scrape_timeout: 1s, evaluation_interval: $interval, external_labels: {path: $name}}
rule_files: [$name.rules.yml]
alerting: {alertmanagers: [{static_configs: [{targets: ["127.0.0.1:$alertmanager"]}]}]}
scrape_configs:
  - {job_name: exporter, metrics_path: /metrics/$name, static_configs: [{targets: ["127.0.0.1:$sink"]}]}
YAML
    echo "groups:" >"$folder/$name.rules.yml"
    for ((shard = 0; shard < SHARDS; shard++)); do
        echo "  - {name: shard-$shard, rules: [{alert: ServiceDown, expr: 'service_up{shard=\"$shard\"} == 0'}]}"
    done >>"$folder/$name.rules.yml"
    start "$name" prometheus --config.file="$folder/$name.yml" --storage.tsdb.path="$folder/$name" \
        --web.listen-address="127.0.0.1:$port"
    until_ready "http://127.0.0.1:$port/-/ready"
}

# A daemon NAME that tells the Alertmanager at PORT.
start_fournines() {
    local name=$1 told=$2
    daemon=127.0.0.1:$(free_port)
    cat >"$folder/$name.toml" <<TOML
[server]
listen = "$daemon"
[storage]
path = "$folder/$name"
[[alerting.alertmanagers]]
url = "http://127.0.0.1:$told"
TOML
    start "$name" "$fournines" serve -c "$folder/$name.toml"
    until_ready "http://$daemon/readyz"
}

begin "Needs"
check_needs
if [[ -n $BINARY ]]; then
    fournines=$BINARY
else
    begin "Release binary"
    cargo build --release --locked --quiet --bin fournines
    fournines=${CARGO_TARGET_DIR:-target}/release/fournines
fi
[[ -x $fournines ]] || die "There is no program $fournines"
sink=$(free_port)

begin "Alertmanager, two Prometheus, fournines"
start_alertmanager
start_prometheus p1 1s
start_prometheus p15 15s
start_fournines people "$alertmanager"
begin "Event to people"
measure people "$sink" "$daemon" "$SAMPLES" >"$folder/people.rows"
# What the second part does not need must not compete with it.
for job in "${jobs[@]}"; do
    end_group "$job"
done
jobs=()

begin "Event to Alertmanager's API, quiet"
for rate in 0 "$RATE"; do
    ((rate == 0)) || begin "Event to Alertmanager's API, $rate events a second"
    sink=$(free_port)
    start_fournines "api-$rate" "$sink"
    measure api "$sink" "$daemon" "$SAMPLES" "$rate" >>"$folder/api.rows"
    end_group "${jobs[0]}"
    jobs=()
done

printf '%s; %d cores; %s; %s; %s\n\n' "$(awk -F ': ' '/^model name/ { print $2; exit }' /proc/cpuinfo)" "$(nproc)" \
    "$(prometheus --version 2>&1 | sed -n '1s/ (.*//p')" \
    "$(prometheus-alertmanager --version 2>&1 | sed -n '1s/ (.*//p')" "$("$fournines" --version)"
echo '| event to webhook | samples | p50, ms | p99, ms | largest, ms | p50, times | p99, times |'
echo '|---|---:|---:|---:|---:|---:|---:|'
cat "$folder/people.rows"
echo
echo "| event to Alertmanager's API, events a second aimed at | reached | samples | p50, ms | p99, ms | largest, ms |"
echo '|---:|---:|---:|---:|---:|---:|'
cat "$folder/api.rows"
