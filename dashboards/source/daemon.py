"""The daemon itself, for whoever runs it: is it there, does it keep what it is sent, is it heard, has it room."""

from grafana_foundation_sdk.builders import stat, timeseries
from grafana_foundation_sdk.builders.dashboard import Dashboard

from . import parts
from .parts import latest, query

OWN = '{job="fournines",instance=~"$instance"}'


def quantile(share: str, histogram: str, more: str = "") -> str:
    """A quantile of what was timed around each instant, by daemon."""
    of = f'{histogram}_bucket{{job="fournines",instance=~"$instance"{more}}}'
    return f"histogram_quantile({share}, sum by (instance, le) (rate({of}[$__rate_interval])))"


def dashboard() -> Dashboard:
    made = parts.dashboard(
        "daemon",
        "the daemon itself",
        "Whether each daemon is there, keeps what it is sent, is heard, and has room. What is wrong here has a runbook"
        " in docs/runbooks.",
        "now-6h",
    )
    instance = parts.label_variable("instance", "Instance", "Daemons that Prometheus scrapes.", 'up{job="fournines"}')
    made = made.with_variable(instance).link(parts.board_link("Board", "/"))
    panels = (
        answers(), version(), receivers(), own_alerts(), events(), ingest(), refused(), paging(), sent(), waiting(),
        journal(), unwritten(), journal_size(), resources(), scrape(),
    )  # fmt: skip
    for panel in panels:
        made = made.with_panel(panel)
    return made


def answers() -> stat.Panel:
    panel = parts.placed(
        parts.figures(),
        "Answers Prometheus",
        "That it does says nothing of the way to the people on call: for that the Watchdog alert fires always, and a"
        " dead man's switch outside must raise the alarm when it stops coming.",
        6,
        4,
    )
    return panel.with_target(query(f"up{OWN}", "{{instance}}")).mappings(
        parts.words(_1=("yes", "green"), _0=("no", "red"))
    )


def version() -> stat.Panel:
    panel = parts.placed(
        parts.figures(),
        "Version and running for",
        "The version of each daemon, and the time since its process started.",
        6,
        4,
    )
    running = (
        f"(time() - process_start_time_seconds{OWN}) * on (instance) group_left (version) fournines_build_info{OWN}"
    )
    return panel.with_target(latest(running, "{{instance}}: {{version}}")).unit("s").decimals(0)


def receivers() -> stat.Panel:
    panel = parts.placed(
        parts.figures(),
        "Receivers of alerts",
        "Whether the last request to each Alertmanager or webhook went well. Its name is that of the configuration.",
        6,
        4,
    )
    panel = panel.with_target(query(f"min by (receiver) (fournines_receiver_up{OWN})", "{{receiver}}"))
    return panel.mappings(parts.words(_1=("takes alerts", "green"), _0=("does not", "red"))).no_value("none told yet")


def own_alerts() -> stat.Panel:
    panel = parts.placed(
        parts.figures(),
        "Alerts about the daemon",
        "Rules of deploy/prometheus/fournines.rules.yml that fire, or are about to. Each has a runbook of its name.",
        6,
        4,
    )
    expr = 'count by (alertname, alertstate) (ALERTS{source="fournines-self"})'
    panel = panel.with_target(latest(expr, "{{alertname}}, {{alertstate}}")).decimals(0).no_value("none")
    return panel.thresholds(parts.steps((1, "red")))


def events() -> timeseries.Panel:
    panel = parts.placed(
        parts.lines(),
        "Events taken in",
        "Events in each second by what became of them. applied: durable and in the figures. kept: durable, and of no"
        " figure. duplicate, rejected and too_old change none.",
        8,
        8,
    )
    expr = f"sum by (outcome) (rate(fournines_events_total{OWN}[$__rate_interval]))"
    return panel.with_target(query(expr, "{{outcome}}")).unit("cps").min(0)


def ingest() -> timeseries.Panel:
    panel = parts.placed(
        parts.lines(),
        "Answering events",
        "From the arrival of a request with events to its answer, which is sent once they are durable: half and 99 of"
        " 100 were within this time. Empty while nothing comes in.",
        8,
        8,
    )
    panel = panel.with_target(query(quantile("0.99", "fournines_ingest_duration_seconds"), "{{instance}}: 99 of 100"))
    return (
        panel.with_target(query(quantile("0.5", "fournines_ingest_duration_seconds"), "{{instance}}: half", "B"))
        .unit("s")
        .min(0)
    )


def refused() -> timeseries.Panel:
    panel = parts.placed(
        parts.lines(),
        "Requests refused",
        "Requests with events that were refused as a whole, in the five minutes before each instant, by reason. full"
        " and unavailable: the sender comes again. Empty as long as there was none.",
        8,
        8,
    )
    expr = f"sum by (reason) (increase(fournines_ingest_refused_total{OWN}[5m]))"
    return panel.with_target(query(expr, "{{reason}}")).decimals(0).min(0)


def paging() -> timeseries.Panel:
    panel = parts.placed(
        parts.lines(),
        "From event to receiver",
        "From the receipt of the event, or the instant of the deadline, that made an alert fire, to the receiver's"
        " acceptance: 99 of 100 of the quarter of an hour before each instant. Dashed: the target in force. Empty while"
        " none began to fire.",
        8,
        8,
    )
    of = f"rate(fournines_event_to_alert_seconds_bucket{OWN}[15m])"
    panel = panel.with_target(
        query(f"histogram_quantile(0.99, sum by (instance, le) ({of}))", "{{instance}}: 99 of 100")
    )
    return parts.with_limit(panel.unit("s").min(0), 'max(fournines_target{target="event_to_alert_p99"})', "target")


def sent() -> timeseries.Panel:
    panel = parts.placed(
        parts.lines(),
        "Alerts sent",
        "Alerts in each second by receiver and outcome, told again while they fire. failed is tried again; refused and"
        " given_up are not.",
        8,
        8,
    )
    expr = f"sum by (receiver, outcome) (rate(fournines_alerts_sent_total{OWN}[$__rate_interval]))"
    return panel.with_target(query(expr, "{{receiver}}: {{outcome}}")).unit("cps").min(0)


def waiting() -> timeseries.Panel:
    panel = parts.placed(
        parts.lines(),
        "Alerts firing, waiting and withheld",
        "firing: held as firing, the watchdog not counted. waiting: due to a receiver and not taken by it yet."
        " withheld: not told in the five minutes before each instant, by reason; shed means that there were too many.",
        8,
        8,
    )
    withheld = f"sum by (receiver, reason) (increase(fournines_alerts_suppressed_total{OWN}[5m]))"
    return (
        panel.with_target(query(f"fournines_alerts_firing{OWN}", "{{instance}}: firing"))
        .with_target(query(f"sum by (receiver) (fournines_alerts_pending{OWN})", "{{receiver}}: waiting", "B"))
        .with_target(query(withheld, "{{receiver}}: withheld, {{reason}}", "C"))
        .decimals(0)
        .min(0)
    )


def journal() -> timeseries.Panel:
    panel = parts.placed(
        parts.lines(),
        "Writing to the disk",
        "commit: 99 of 100 commits of the journal were durable within this time; producers wait for it. Empty while"
        " nothing comes in. checkpoint: the mean of those of the hour before each instant, beside everything else.",
        8,
        8,
    )
    took = (
        f"rate(fournines_checkpoint_duration_seconds_sum{OWN}[1h]) /"
        f" rate(fournines_checkpoint_duration_seconds_count{OWN}[1h])"
    )
    panel = panel.with_target(
        query(quantile("0.99", "fournines_journal_commit_duration_seconds"), "{{instance}}: commit, 99 of 100")
    )
    return panel.with_target(query(took, "{{instance}}: checkpoint, mean", "B")).unit("s").min(0)


def unwritten() -> timeseries.Panel:
    panel = parts.placed(
        parts.lines(),
        "Not in a checkpoint",
        "Batches of the journal after the last checkpoint: what a start applies again. It falls at each checkpoint; one"
        " that only grows means that none is written.",
        4,
        8,
    )
    expr = f"fournines_journal_sequence{OWN} - fournines_checkpoint_sequence{OWN}"
    return panel.with_target(query(expr, "{{instance}}")).decimals(0).min(0)


def journal_size() -> timeseries.Panel:
    panel = parts.placed(
        parts.lines(),
        "Journal",
        "The size of the journal's file. It is kept for ever unless storage.keep_for or storage.keep_bytes says"
        " otherwise.",
        4,
        8,
    )
    return panel.with_target(query(f"fournines_journal_bytes{OWN}", "{{instance}}")).unit("bytes").min(0)


def resources() -> timeseries.Panel:
    panel = parts.placed(
        parts.lines(),
        "Share of processor and of open files",
        "processor: seconds of it used in each second, of all cores. files: open ones of those that the process may"
        " have.",
        4,
        8,
    )
    files = f"process_open_fds{OWN} / process_max_fds{OWN}"
    panel = panel.with_target(
        query(f"rate(process_cpu_seconds_total{OWN}[$__rate_interval])", "{{instance}}: processor")
    )
    return panel.with_target(query(files, "{{instance}}: files", "B")).unit("percentunit").min(0)


def scrape() -> timeseries.Panel:
    panel = parts.placed(
        parts.lines(),
        "Memory",
        "Memory that the process holds. It grows with services and their outages, not with time.",
        4,
        8,
    )
    return panel.with_target(query(f"process_resident_memory_bytes{OWN}", "{{instance}}")).unit("bytes").min(0)
