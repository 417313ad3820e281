"""What calendar periods of the recorded streams came to, by plain interval arithmetic on whole microseconds.

It shares nothing with the daemon but the definitions in the README. Run it in this folder to write each set's
`periods.json` anew.
"""

import datetime
import json
import zoneinfo

ZONE = "Asia/Shanghai"
SETS = {
    "github-status": ["2025-12", "2026-01", "2026-02", "2026-03", "2026-Q1", "2025"],
    "lanl-8-13": ["2003-11", "2004-05", "2004-Q2", "2004"],
}
LIMITS = [60, 300, 900, 1800, 3600, 7200, 14400, 28800, 86400]


def micros(text):
    moment = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    since = moment - datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
    return (since.days * 86400 + since.seconds) * 1_000_000 + since.microseconds


def bounds(period):
    zone = zoneinfo.ZoneInfo(ZONE)
    if "-Q" in period:
        year, month, length = int(period[:4]), int(period[-1]) * 3 - 2, 3
    elif "-" in period:
        year, month, length = int(period[:4]), int(period[5:]), 1
    else:
        year, month, length = int(period), 1, 12
    end = (year + (month + length - 1) // 12, (month + length - 1) % 12 + 1)
    return [micros(datetime.datetime(y, m, 1, tzinfo=zone).isoformat()) for y, m in [(year, month), end]]


def outages(folder):
    """Every outage as (service, start, end or None, key, cause); services that are known."""
    events = [json.loads(line) for line in open(folder + "/events.ndjson")]
    services = {event["service"] for event in events}
    try:
        services |= {line.split(",")[0] for line in open(folder + "/services.csv").read().splitlines()[1:]}
    except FileNotFoundError:
        pass
    marks = {}
    for event in events:
        if event["type"] in ("outage.started", "outage.ended"):
            ends = event["type"] == "outage.ended"
            mark = (micros(event["time"]), ends, event.get("cause"))
            marks.setdefault((event["service"], event.get("outage", "")), []).append(mark)
    found = []
    for (service, key), said in marks.items():
        start = cause = None
        for at, ends, what in sorted(said, key=lambda mark: mark[:2]):
            if not ends and start is None:
                start, cause = at, what
            elif ends and start is not None:
                found.append((service, start, at, key, what or cause or "unknown"))
                start = None
        if start is not None:
            found.append((service, start, None, key, cause or "unknown"))
    return found, services


def rank(values, percent):
    return values[max(-(-len(values) * percent // 100), 1) - 1] / 1e6 if values else None


def period_of(all_outages, services, since, until):
    own = {}
    for outage in all_outages:
        own.setdefault(outage[0], []).append(outage)
    figures, repairs, causes = {}, [], {}
    for service in sorted(services):
        known = own.get(service, [])
        begun = [o for o in known if since <= o[1] < until]
        ended = sorted(o[2] - o[1] for o in known if o[2] is not None and since < o[2] <= until)
        cuts = sorted({min(max(at, since), until) for o in known for at in (o[1], o[2] or until)})
        down = 0
        for start, end in zip(cuts, cuts[1:]):
            open_ones = [o for o in known if o[1] <= start and (o[2] is None or o[2] >= end)]
            if open_ones:
                down += end - start
                first = min(open_ones, key=lambda o: (o[1], o[3]))
                causes.setdefault(first[4], [0, 0])[1] += end - start
        for outage in begun:
            causes.setdefault(outage[4], [0, 0])[0] += 1
        repairs += ended
        if down or begun or ended:
            figures[service] = {
                "downtime_seconds": down / 1e6,
                "availability": 1 - down / (until - since),
                "outages": len(begun),
                "repairs": len(ended),
                "mttr_seconds": sum(ended) / len(ended) / 1e6 if ended else None,
            }
    repairs.sort()
    down = sum(round(one["downtime_seconds"] * 1e6) for one in figures.values())
    within = [sum(1 for r in repairs if r <= limit * 1_000_000) for limit in LIMITS] + [len(repairs)]
    return {
        "services": figures,
        "network": {
            "services": len(services),
            "availability": 1 - down / (until - since) / len(services),
            "outages": sum(one["outages"] for one in figures.values()),
        },
        "repairs": {
            "count": len(repairs),
            "mean_seconds": sum(repairs) / len(repairs) / 1e6 if repairs else None,
            "p50_seconds": rank(repairs, 50),
            "p95_seconds": rank(repairs, 95),
            "max_seconds": repairs[-1] / 1e6 if repairs else None,
            "buckets": [b - a for a, b in zip([0] + within, within)],
        },
        "causes": {name: {"outages": n, "downtime_seconds": d / 1e6} for name, (n, d) in sorted(causes.items())},
    }


for folder, periods in SETS.items():
    found, services = outages(folder)
    computed = [{"period": period, **period_of(found, services, *bounds(period))} for period in periods]
    with open(folder + "/periods.json", "w") as answer:
        json.dump({"time_zone": ZONE, "computed": computed}, answer, indent=1, ensure_ascii=False)
        answer.write("\n")
