#!/usr/bin/env bash
# Rolling availability of 30 days, by a real Prometheus and by this engine, against the exact answer.
#
#   benches/peers/rolling.sh                    1000 services over 30 days
#   benches/peers/rolling.sh SERVICES [DAYS]    other sizes; DAYS is at least 30, the window's length
#
# Both are shown the same seeded outages: Prometheus as one sample a minute, which `promtool` turns into blocks and
# `avg_over_time` averages; the engine as the events themselves, in `fournines replay`. A third, independent
# calculation in whole milliseconds says what is right. Everything in the table is from the one run.
#
# It takes some 46 MB of TMPDIR a million samples, of which there are 43.2 million by default, and talks to
# loopback only.

set -euo pipefail
# A job of its own process group can be ended together with what it has started.
set -m
# A decimal point is a point.
export LC_ALL=C
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

readonly SERVICES=${1:-1000}
readonly DAYS=${2:-30}
readonly END=2026-03-01T00:00:00Z
readonly SEED=7
readonly SAMPLE_SECONDS=60
# The first answer comes before anything is warm; the best says what the machine can do.
readonly TRIES=3
readonly READY_SECONDS_MAX=120

step=""
job=""
server=""
folder=$(mktemp -d "${TMPDIR:-/tmp}/peers-rolling.XXXXXXXX")

finish() {
    local status=$?
    trap - EXIT
    end_group "$job"
    end_group "$server"
    rm -rf "$folder"
    if ((status != 0)); then
        printf '\nrolling.sh: FAILED (exit %d) in the step: %s, after %d s\n' \
            "$status" "${step:-start}" "$SECONDS" >&2
    fi
    exit "$status"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Ends a job with all that it has started, and waits for that, so that nothing writes into the folder any more.
# It is an interrupt since that is what `time` leaves to its child, and then waits for the child.
end_group() {
    [[ -n $1 ]] || return 0
    kill -INT -- "-$1" 2>/dev/null || true
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

# --- What is measured with -------------------------------------------------------------------------------

# Runs a command to its end, in the background so that a signal is heard at once. Its output is NAME.out in the
# folder, NAME.seconds and NAME.kb say how long it took and its peak memory.
measure() {
    local name=$1 began ended
    shift
    began=$EPOCHREALTIME
    /usr/bin/time -f %M -o "$folder/$name.kb" "$@" >"$folder/$name.out" 2>"$folder/$name.err" &
    job=$!
    if ! wait "$job"; then
        job=""
        tail -n 20 "$folder/$name.err" >&2
        die "$1 failed"
    fi
    ended=$EPOCHREALTIME
    job=""
    between "$began" "$ended" >"$folder/$name.seconds"
}

between() { awk -v began="$1" -v ended="$2" 'BEGIN { printf "%.6f\n", ended - began }'; }
smallest() { sort -g -- "$@" | head -n 1; }

# Runs a part of the program below.
world() {
    python3 "$folder/world.py" "$@" &
    job=$!
    wait "$job"
    job=""
}

check_needs() {
    local program missing=()
    for program in prometheus promtool curl python3 cargo /usr/bin/time; do
        command -v "$program" >/dev/null 2>&1 || missing+=("$program")
    done
    if ((${#missing[@]} > 0)); then
        die "Missing: ${missing[*]}" "tests/run installs Prometheus and curl; /usr/bin/time is Debian's package time."
    fi
    [[ $SERVICES =~ ^[1-9][0-9]*$ && $DAYS =~ ^[1-9][0-9]*$ ]] ||
        die "Usage: benches/peers/rolling.sh [SERVICES] [DAYS]"
    ((DAYS >= 30)) || die "DAYS is $DAYS, but the window is 30 days long."
}

# --- The outages, their samples, the exact answer --------------------------------------------------------

write_world() {
    cat >"$folder/world.py" <<'PYTHON'
"""The outages that both are shown, their samples, and the exact answer, in whole milliseconds since 1970."""

import json
import os
import random
import signal
import sys
from datetime import datetime, timedelta, timezone
from fractions import Fraction

SECOND = 1000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
WINDOW = 30 * DAY
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
# How many of a hundred outages are how long. Half of them are shorter than the minute between two samples.
LENGTHS = [
    (50, 5 * SECOND, 50 * SECOND),
    (38, 50 * SECOND, 10 * MINUTE),
    (10, 10 * MINUTE, HOUR),
    (2, HOUR, 6 * HOUR),
]
VERDICTS = {"99.99 %": Fraction(9999, 10000), "99.9 %": Fraction(999, 1000)}


class World:
    def __init__(self, services, days, end, seed):
        self.end = (datetime.fromisoformat(end.replace("Z", "+00:00")) - EPOCH) // timedelta(milliseconds=1)
        self.begin = self.end - days * DAY
        self.days = days
        dice = random.Random(seed)
        self.services = {f"net/{number:06}": self.outages(dice) for number in range(services)}

    def outages(self, dice):
        """One service's outages as (start, end), the end None when it is still going on."""
        found = []
        for _ in range(1 + dice.randrange(6)):
            start, end = self.outage(dice)
            found.append((start, end))
            if dice.randrange(6) == 0:
                # A second one begins while the first goes on, and may outlast it.
                inside = dice.randrange(start + 1, end)
                length = dice.randrange(5 * SECOND, 3 * (end - start) // 2 + 6 * SECOND)
                found.append((inside, min(inside + length, self.end - 1)))
        if dice.randrange(25) == 0:
            found.append((self.end - dice.randrange(30 * SECOND, 90 * MINUTE), None))
        return [(off_minute(start), end and off_minute(end)) for start, end in found]

    def outage(self, dice):
        share = dice.randrange(100)
        for percent, shortest, longest in LENGTHS:
            if share < percent:
                break
            share -= percent
        length = dice.randrange(shortest, longest)
        start = dice.randrange(self.begin, self.end - longest)
        return start, start + length

    def union(self, service):
        """The service's downtime within the window, as stretches apart from one another."""
        stretches = []
        for start, end in sorted((s, self.end if e is None else e) for s, e in self.services[service]):
            if stretches and start <= stretches[-1][1]:
                stretches[-1][1] = max(stretches[-1][1], end)
            else:
                stretches.append([start, end])
        clipped = ((max(s, self.end - WINDOW), e) for s, e in stretches)
        return [(start, end) for start, end in clipped if start < end]


def off_minute(time):
    """No outage begins or ends on a minute: real ones do not."""
    return time + 1 if time % MINUTE == 0 else time


def events(world, path):
    lines = []
    for service, outages in world.services.items():
        for number, (start, end) in enumerate(outages):
            ends = [] if end is None else [(end, 1, "ended")]
            for time, order, kind in [(start, 0, "started"), *ends]:
                stamp = (EPOCH + timedelta(milliseconds=time)).strftime("%Y-%m-%dT%H:%M:%S")
                event = {
                    "type": f"outage.{kind}",
                    "id": f"{service}:{number}:{kind}",
                    "time": f"{stamp}.{time % SECOND:03}Z",
                    "service": service,
                    "outage": f"{number}",
                }
                lines.append((time, order, json.dumps(event)))
    lines.sort()
    with open(path, "w") as file:
        file.writelines(line + "\n" for _, _, line in lines)


def hit(first, step, stretch):
    """Which samples fall into a stretch: the number of its first, and of the first one after it."""
    start, end = stretch
    return -((first - start) // step), -((first - end) // step)


def samples(world, path, step):
    """Every series in order. Samples lie in the middle of their minute: the window then holds the same number of
    them whether Prometheus counts its left edge in, as it does before version 3, or not."""
    first = world.begin + step // 2
    count = (world.end - world.begin) // step
    tails = [f" 1 {(first + number * step) // SECOND}\n" for number in range(count)]
    done = 0
    with open(path, "w") as file:
        file.write("# TYPE service_up gauge\n")
        for service, outages in world.services.items():
            own = tails.copy()
            for start, end in outages:
                low, high = hit(first, step, (start, world.end if end is None else end))
                for number in range(max(low, 0), min(high, count)):
                    own[number] = " 0" + tails[number][2:]
            head = f'service_up{{service="{service}"}}'
            file.write(head + head.join(own))
            done += 1
            if done % 100 == 0 or done == len(world.services):
                print(f"    {done} of {len(world.services)} series", file=sys.stderr)
        file.write("# EOF\n")


def sampled(world, step):
    """The availabilities that samples `step` apart tell, and how many interruptions none of them falls into."""
    first = world.end - WINDOW + step // 2
    told, unseen = {}, 0
    for service in world.services:
        down = 0
        for stretch in world.union(service):
            low, high = hit(first, step, stretch)
            down += high - low
            unseen += high == low
        told[service] = 1 - Fraction(down * step, WINDOW)
    return told, unseen


class Errors:
    """How far an answer is from the exact one."""

    def __init__(self, exact, told):
        assert told.keys() == exact.keys(), "not the same services"
        off = [abs(told[service] - exact[service]) for service in exact]
        self.largest = max(off)
        self.mean = sum(off) / len(off)
        self.wrong = {
            name: sum((told[s] >= target) != (exact[s] >= target) for s in exact) for name, target in VERDICTS.items()
        }

    def rows(self):
        seconds = Fraction(WINDOW, SECOND)
        yield from (f"{float(value * 100):.3g} points" for value in (self.largest, self.mean))
        yield from (f"{float(value * seconds):.3g} s" for value in (self.largest, self.mean))
        yield from (str(count) for count in self.wrong.values())


def compare(world, folder, step):
    def number(name):
        with open(f"{folder}/{name}") as file:
            return float(file.read())

    def document(name):
        with open(f"{folder}/{name}") as file:
            return json.load(file)

    exact = {}
    interruptions = 0
    shortest = WINDOW
    for service in world.services:
        union = world.union(service)
        interruptions += len(union)
        shortest = min([shortest, *(end - start for start, end in union)])
        exact[service] = 1 - Fraction(sum(end - start for start, end in union), WINDOW)

    answer = document("answer.json")["data"]["result"]
    peer = {row["metric"]["service"]: Fraction(float(row["value"][1])) for row in answer}
    counted, unseen = sampled(world, step)
    # Counting the samples gives what averaging them gave, so none was lost on the way, and the answer for a shorter
    # interval can be told by counting.
    assert peer.keys() == counted.keys(), "Prometheus does not know every service"
    assert all(abs(peer[s] - counted[s]) < Fraction(1, 10**9) for s in counted), "Prometheus lost samples"
    quarter, unseen_quarter = sampled(world, 15 * SECOND)
    services = document("replay-1.out")["services"]
    engine = {row["service"]: Fraction(row["windows"]["30d"]["availability"]) for row in services}

    load, ready, first = number("backfill.seconds"), number("ready.seconds"), number("query-1.seconds")
    best = number("query.best")
    whole, whole_best = number("replay-1.seconds"), number("replay.best")
    with open(f"{folder}/engine.seconds") as file:
        engine_load, engine_answer = map(float, file.read().split())
    megabytes = lambda name: f"{number(name) * 1024 / 1e6:.0f} MB"
    spent = {
        "load": (f"{load:.2f} s", f"{engine_load:.3f} s, the engine alone"),
        "start until ready": (f"{ready:.2f} s", "in the load"),
        "answer, first": (f"{first:.3f} s", ""),
        "answer, best of 3": (f"{best:.3f} s", f"{engine_answer * 1e3:.3f} ms, the engine alone"),
        "**answer, times as fast**": ("**1**", f"**{best / engine_answer:.0f}**"),
        "**load and answer together**": (f"**{load + ready + first:.2f} s**", f"**{whole:.3f} s**"),
        "the same, best of 3": (f"{load + ready + best:.2f} s", f"{whole_best:.3f} s"),
        "peak memory, loading": (megabytes("backfill.kb"), "in the whole"),
        "peak memory, answering": (megabytes("prometheus.kb"), megabytes("replay-1.kb")),
    }
    outages = sum(map(len, world.services.values()))
    with open(f"{folder}/events.ndjson") as file:
        lines = sum(1 for _ in file)
    met = {name: sum(value >= target for value in exact.values()) for name, target in VERDICTS.items()}
    print(
        f"{len(exact)} services over {world.days} days, {outages} outages: {lines} events for the engine, "
        f"{number('samples.count') / 1e6:.1f} million samples\n"
        f"({number('samples.bytes') / 1e6:.0f} MB of OpenMetrics, {number('blocks.bytes') / 1e6:.0f} MB of blocks) "
        "for Prometheus. Exactly, "
        + " and ".join(f"{count} services keep {name}" for name, count in met.items())
        + ".\n"
    )
    print("| | Prometheus | fournines |\n|---|---:|---:|")
    for name, (left, right) in spent.items():
        print(f"| {name} | {left} | {right} |")
    peer_name = f"Prometheus, {step // SECOND} s"
    print(f"\n| against the exact answer | {peer_name} | fournines | sampled at 15 s (by counting) |")
    print("|---|---:|---:|---:|")
    names = ["largest difference", "mean difference", "the same in downtime, largest", "the same in downtime, mean"]
    names += [f"wrong verdicts on {name}" for name in VERDICTS]
    told = zip(names, *(Errors(exact, answer).rows() for answer in (peer, engine, quarter)))
    for row in told:
        print("| " + " | ".join(row) + " |")
    # Leaving out even the shortest would show in the service's downtime.
    none_left_out = all(abs(engine[s] - exact[s]) * WINDOW < shortest for s in exact)
    unseen_engine = 0 if none_left_out else "some"
    print(f"| interruptions not seen, of {interruptions} | {unseen} | {unseen_engine} | {unseen_quarter} |")
    print(
        f"\nRatio of the seconds, Prometheus / fournines: load and answer {(load + ready + first) / whole:.0f}; "
        f"Prometheus' first answer alone\nagainst the engine's whole {first / whole:.1f}; the best of each "
        f"{best / whole_best:.1f}."
    )


def main():
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    command, folder, services, days, end, seed, step_seconds = sys.argv[1:]
    world = World(int(services), int(days), end, int(seed))
    step = int(step_seconds) * SECOND
    if command == "events":
        events(world, f"{folder}/events.ndjson")
    elif command == "samples":
        samples(world, f"{folder}/samples.om", step)
    else:
        compare(world, folder, step)


main()
PYTHON
}

# --- The peer --------------------------------------------------------------------------------------------

# By default promtool writes blocks of two hours and reads the whole file again for each. A server that has run for
# long has long blocks; with these the file is read a few times only, which is the best case for the peer.
backfill() {
    measure backfill promtool tsdb create-blocks-from openmetrics --quiet --max-block-duration=744h \
        "$folder/samples.om" "$folder/data"
    stat -c %s "$folder/samples.om" >"$folder/samples.bytes"
    du -s --bytes "$folder/data" | cut -f 1 >"$folder/blocks.bytes"
    # Half of the disk space that is needed is this file, and nothing reads it again.
    rm -f "$folder/samples.om"
}

# The retention is counted back from the newest sample and must be ten times the longest block for Prometheus to
# leave such blocks as they are. The query's samples come near the default limit of 50 million with a thousand
# services, so that limit is raised, and the time limit with it.
start_prometheus() {
    local port samples=$((SERVICES * DAYS * 86400 / SAMPLE_SECONDS)) began
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    url=http://127.0.0.1:$port
    echo "$samples" >"$folder/samples.count"
    : >"$folder/prometheus.yml"
    began=$EPOCHREALTIME
    prometheus --config.file="$folder/prometheus.yml" --storage.tsdb.path="$folder/data" \
        --storage.tsdb.retention.time=$((DAYS + 365))d --query.max-samples=$((samples * 2 + 50000000)) \
        --query.timeout=30m --web.listen-address="127.0.0.1:$port" >"$folder/prometheus.log" 2>&1 &
    server=$!
    until curl --silent --fail --output "$folder/ready" "$url/-/ready"; do
        if ! kill -0 "$server" 2>/dev/null || ((${EPOCHREALTIME%.*} - ${began%.*} > READY_SECONDS_MAX)); then
            tail -n 20 "$folder/prometheus.log" >&2
            die "prometheus did not get ready"
        fi
        sleep 0.02
    done
    between "$began" "$EPOCHREALTIME" >"$folder/ready.seconds"
}

query_prometheus() {
    local try
    for ((try = 1; try <= TRIES; try++)); do
        curl --silent --show-error --fail --get --data-urlencode 'query=avg_over_time(service_up[30d])' \
            --data-urlencode "time=$END" --data-urlencode 'timeout=30m' --output "$folder/answer.json" \
            --write-out '%{time_total}\n' "$url/api/v1/query" >"$folder/query-$try.seconds" &
        job=$!
        wait "$job"
        job=""
    done
    smallest "$folder"/query-*.seconds >"$folder/query.best"
    awk '/^VmHWM:/ { print $2 }' "/proc/$server/status" >"$folder/prometheus.kb"
}

# --- This engine -----------------------------------------------------------------------------------------

# The whole process: reading the events, every figure of five windows, the incidents and alerts, writing all that.
replay() {
    local try
    for ((try = 1; try <= TRIES; try++)); do
        measure "replay-$try" "$fournines" replay --format json --at "$END" "$folder/events.ndjson"
    done
    smallest "$folder"/replay-*.seconds >"$folder/replay.best"
    # The engine alone: taking the same events in, and then the one figure that the query asks for.
    cargo bench --locked --quiet --bench engine -- month "$folder/events.ndjson" "$END" >"$folder/engine.seconds"
}

begin "Needs"
check_needs
url=""
fournines=${CARGO_TARGET_DIR:-target}/release/fournines
begin "Release binary"
cargo build --release --locked --quiet --bin fournines
write_world
sizes=("$folder" "$SERVICES" "$DAYS" "$END" "$SEED" "$SAMPLE_SECONDS")
begin "Outages of $SERVICES services over $DAYS days"
world events "${sizes[@]}"
begin "fournines replay, $TRIES times"
replay
begin "Samples, one a minute"
world samples "${sizes[@]}"
begin "promtool makes blocks of them, which takes a second for every one or two million"
backfill
begin "Prometheus"
start_prometheus
begin "The query, $TRIES times"
query_prometheus
begin "Comparison"
printf '%s; %d cores; %s; %s\n\n' "$(awk -F ': ' '/^model name/ { print $2; exit }' /proc/cpuinfo)" "$(nproc)" \
    "$(prometheus --version 2>&1 | sed -n '1s/ (.*//p')" "$("$fournines" --version)"
world compare "${sizes[@]}"
