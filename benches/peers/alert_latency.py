"""The measuring side of alert_latency.sh: posts events, shows the same outages as an exporter, and stamps what arrives.

    alert_latency.py people PORT FOURNINES SAMPLES      event to people: the webhooks behind Alertmanager
    alert_latency.py api PORT FOURNINES SAMPLES RATE    event to Alertmanager's API, while RATE events a second come in
    alert_latency.py load FOURNINES RATE SECONDS        the RATE events a second

Rows of the table go to standard output, everything else to standard error. All stamps are of one monotonic clock.
"""

import http.client
import json
import random
import signal
import subprocess
import sys
import threading
import time
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SEED = 7
# The peers' rules are in so many groups: each group is evaluated at another offset from the scrape, so that the run
# does not hang on one lucky or unlucky offset.
SHARDS = 5
# Seconds between two outages. They are random and no part of any interval.
GAP_PEOPLE = (0.1, 0.5)
GAP_API = (0.05, 0.25)
# A scrape and an evaluation 15 s each, and what comes on top.
STRAGGLERS_SECONDS_MAX = 45
HEARD_SECONDS_MAX = 60
CONNECTIONS = 4
BODY_EVENTS = 1000
LOAD_SERVICES = 2000
LOAD_WARM_SECONDS = 3
# As long as a time written with milliseconds.
TIME_MARK = b"____-__-__T__:__:__.___Z"

PATHS = {"fournines": "fournines", "p1": "Prometheus, 1 s", "p15": "Prometheus, 15 s"}


def say(text):
    print(f"    {text}", file=sys.stderr, flush=True)


def rfc3339():
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Stamps:
    """When each service went down, and when each path first told of it."""

    def __init__(self):
        self.lock = threading.Lock()
        self.up = {}
        self.down_at = {}
        self.told_at = {}
        self.heard = {}

    def told(self, path, labels, at):
        service = labels.get("service") or labels.get("scope")
        with self.lock:
            self.told_at.setdefault((path, service), at)

    def missing(self, paths):
        with self.lock:
            return [(p, s) for p in paths for s in self.down_at if (p, s) not in self.told_at]

    def milliseconds(self, path):
        return sorted((self.told_at[path, s] - at) * 1e3 for s, at in self.down_at.items())


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    stamps = None

    def do_GET(self):
        """The exporter: /metrics/p1 and /metrics/p15 say the same, and count who has asked."""
        path = self.path.rsplit("/", 1)[1]
        with self.stamps.lock:
            self.stamps.heard[path] = self.stamps.heard.get(path, 0) + 1
            rows = [
                f'service_up{{service="{service}",shard="{number % SHARDS}"}} {up}\n'
                for number, (service, up) in enumerate(self.stamps.up.items())
            ]
        self.answer("# TYPE service_up gauge\n" + "".join(rows), "text/plain; version=0.0.4")

    def do_POST(self):
        """The webhooks /hook/PATH, and an Alertmanager's API."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        at = time.monotonic()
        self.answer("{}", "application/json")
        said = json.loads(body)
        hook = self.path.startswith("/hook/")
        if not hook:
            self.stamps.heard["api"] = self.stamps.heard.get("api", 0) + 1
        for alert in said["alerts"] if hook else said:
            labels = alert["labels"]
            if not hook and labels["alertname"] == "ServiceInterruption":
                self.stamps.told("api", labels, at)
            elif hook and alert["status"] == "firing":
                self.stamps.told(self.path.rsplit("/", 1)[1], labels, at)

    def answer(self, text, kind):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_):
        pass


def serve(port, stamps):
    Handler.stamps = stamps
    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()


class Producer:
    """Posts to the daemon over one connection, and waits until what it posted is durable."""

    def __init__(self, address):
        self.connection = http.client.HTTPConnection(address, timeout=30)
        self.connection.connect()

    def post(self, body, kind):
        self.connection.request("POST", "/api/v1/events", body, {"Content-Type": kind})
        answer = self.connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            return answer.status, 0
        return 200, json.loads(text)["accepted"]


def take_down(stamps, producer, services, gap, dice):
    """Every service once, at random offsets: the gauge flips and the event is posted at the same instant."""
    for service in services:
        time.sleep(dice.uniform(*gap))
        event = {"type": "outage.started", "time": rfc3339(), "service": service}
        body = json.dumps(event)
        with stamps.lock:
            stamps.up[service] = 0
            stamps.down_at[service] = time.monotonic()
        status, accepted = producer.post(body, "application/json")
        if (status, accepted) != (200, 1):
            sys.exit(f"an outage was not taken: status {status}")


def wait_until_heard(stamps, wanted):
    until = time.monotonic() + HEARD_SECONDS_MAX
    while any(stamps.heard.get(path, 0) < times for path, times in wanted.items()):
        if time.monotonic() > until:
            sys.exit(f"nobody asks or tells: {stamps.heard}")
        time.sleep(0.1)


def wait_for(paths, stamps):
    until = time.monotonic() + STRAGGLERS_SECONDS_MAX
    while missing := stamps.missing(paths):
        if time.monotonic() > until:
            sys.exit(f"never told: {len(missing)}, such as {missing[:3]}")
        time.sleep(0.1)


def percentile(values, share):
    """The nearest rank: a value that was measured."""
    return values[max(0, -int(-share * len(values) // 1) - 1)]


def figures(values):
    return percentile(values, 0.5), percentile(values, 0.99), values[-1]


def people(port, fournines, samples):
    stamps, dice = Stamps(), random.Random(SEED)
    services = [f"net/{number:04}" for number in range(samples)]
    stamps.up = dict.fromkeys(services, 1)
    serve(port, stamps)
    # The second scrape: both know every service to be up.
    wait_until_heard(stamps, {"p1": 2, "p15": 2})
    say(f"{samples} outages")
    take_down(stamps, Producer(fournines), services, GAP_PEOPLE, dice)
    say("stragglers")
    wait_for(PATHS, stamps)
    own = figures(stamps.milliseconds("fournines"))
    for path, name in PATHS.items():
        values = stamps.milliseconds(path)
        p50, p99, most = figures(values)
        ratios = f"{p50 / own[0]:.0f} | {p99 / own[1]:.0f}" if path != "fournines" else "1 | 1"
        print(f"| {name} | {len(values)} | {p50:.1f} | {p99:.1f} | {most:.1f} | {ratios} |")


def api(port, fournines, samples, rate):
    stamps, dice = Stamps(), random.Random(SEED)
    serve(port, stamps)
    # Its sign of life. The daemon was there first, and tries again after a while.
    wait_until_heard(stamps, {"api": 1})
    services = [f"net/{rate}/{number:04}" for number in range(samples)]
    load, reached = None, 0
    if rate:
        seconds = LOAD_WARM_SECONDS + samples * sum(GAP_API) / 2
        load = subprocess.Popen(
            [sys.executable, __file__, "load", fournines, str(rate), f"{seconds:.0f}"],
            stdout=subprocess.PIPE,
            text=True,
        )
        time.sleep(LOAD_WARM_SECONDS)
    try:
        take_down(stamps, Producer(fournines), services, GAP_API, dice)
        wait_for(["api"], stamps)
        if load:
            told = json.loads(load.communicate(timeout=60)[0])
            reached, refused = told["accepted"] / told["seconds"], told["refused"]
            say(f"{told['accepted']} events accepted in {told['seconds']:.1f} s, {refused} bodies refused")
    finally:
        if load and load.poll() is None:
            load.kill()
            load.wait()
    values = stamps.milliseconds("api")
    p50, p99, most = figures(values)
    print(f"| {rate} | {reached:.0f} | {len(values)} | {p50:.2f} | {p99:.2f} | {most:.2f} |")


def load(fournines, rate, seconds):
    """Latency samples of other services. The bodies are made before; only their time is put in when they are sent."""
    dice = random.Random(SEED)

    def body():
        one = '{{"type":"latency","time":"{}","service":"load/{:04}","ms":{:.3f}}}\n'
        rows = range(BODY_EVENTS)
        return "".join(
            one.format(TIME_MARK.decode(), dice.randrange(LOAD_SERVICES), dice.lognormvariate(3, 0.5)) for _ in rows
        ).encode()

    bodies = [body() for _ in range(50)]
    totals = {"accepted": 0, "refused": 0}
    lock = threading.Lock()
    step = BODY_EVENTS * CONNECTIONS / rate
    began = time.monotonic()

    def run(number):
        producer = Producer(fournines)
        due = began + step * number / CONNECTIONS
        turn = number
        while due < began + seconds:
            time.sleep(max(0, due - time.monotonic()))
            if time.monotonic() > began + seconds:
                return
            filled = bodies[turn % len(bodies)].replace(TIME_MARK, rfc3339().encode())
            status, accepted = producer.post(filled, "application/x-ndjson")
            with lock:
                totals["accepted"] += accepted
                totals["refused"] += status != 200
            due += step
            turn += CONNECTIONS

    threads = [threading.Thread(target=run, args=(number,)) for number in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps(totals | {"seconds": time.monotonic() - began}))


def main():
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    # Threads take turns often, so that a stamp does not wait for another thread's turn.
    sys.setswitchinterval(0.0005)
    command, *rest = sys.argv[1:]
    if command == "people":
        people(int(rest[0]), rest[1], int(rest[2]))
    elif command == "api":
        api(int(rest[0]), rest[1], int(rest[2]), int(rest[3]))
    elif command == "load":
        load(rest[0], int(rest[1]), float(rest[2]))
    else:
        sys.exit(__doc__)


main()
