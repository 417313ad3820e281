"""Incidents, the limits of the procedure, and why pages went out."""

from grafana_foundation_sdk.builders import bargauge, stat, timeseries
from grafana_foundation_sdk.builders.dashboard import Dashboard

from . import parts
from .parts import latest, query

MTTR = 'max by (window) (fournines_group_mttr_seconds{group="all"})'
LIMIT = 'scalar(max(fournines_target{target="repair"}))'


def dashboard() -> Dashboard:
    made = parts.dashboard(
        "incidents",
        "incidents and clocks",
        "How many interruptions, of which level and cause, and whether the limits of the procedure were kept. Each"
        " incident with its stages, levels and reasons is on the board.",
        "now-7d",
    )
    made = made.link(parts.board_link("Incidents", "/incidents")).link(parts.board_link("Drills", "/drills"))
    made = made.link(parts.board_link("Policy in force", "/policy"))
    for panel in (
        now_open(),
        closed(),
        breached(),
        over_time(),
        breaches_over_time(),
        causes(),
        repairs(),
        reasons(),
        limits(),
    ):
        made = made.with_panel(panel)
    return made


def now_open() -> stat.Panel:
    panel = parts.placed(
        parts.figures(),
        "Open, by level",
        "Incidents that are not restored, by the level they have now. Drills are not counted.",
        8,
        4,
    )
    panel = panel.with_target(query("max by (level) (fournines_incidents_open)", "{{level}}")).decimals(0)
    panel = panel.thresholds(parts.steps((1, "orange")))
    return panel.links([parts.board_link("Incidents on the board", "/incidents")])


def closed() -> stat.Panel:
    panel = parts.placed(
        parts.figures(),
        "Closed in the time shown, by level",
        "Incidents whose restoration was confirmed within the time that the dashboard shows, by the level that they had"
        " then.",
        8,
        4,
    )
    expr = "sum by (level) (max by (level, cause) (increase(fournines_incidents_total[$__range])))"
    return panel.with_target(latest(expr, "{{level}}")).decimals(0).no_value("none")


def breached() -> stat.Panel:
    panel = parts.placed(
        parts.figures(),
        "Breaches in the time shown, by clock",
        "Limits that passed: response (nobody acknowledged), repair (not restored), and every other clock of the"
        " procedure. What was reported after its limit had passed counts once the restoration is confirmed. A clock"
        " stopped late stays breached.",
        8,
        4,
    )
    expr = "max by (clock) (increase(fournines_clock_breaches_total[$__range]))"
    return panel.with_target(latest(expr, "{{clock}}")).decimals(0).thresholds(parts.steps((0.5, "red")))


def over_time() -> timeseries.Panel:
    panel = parts.placed(
        parts.lines(stacked=True),
        "Open incidents",
        "Incidents that were not restored, by the level that they had at each instant, on top of each other.",
        12,
        8,
    )
    return panel.with_target(query("max by (level) (fournines_incidents_open)", "{{level}}")).decimals(0).min(0)


def breaches_over_time() -> timeseries.Panel:
    panel = parts.placed(
        parts.lines(),
        "Breaches within an hour",
        "Limits that passed in the hour before each instant, by clock.",
        12,
        8,
    )
    expr = "max by (clock) (increase(fournines_clock_breaches_total[1h]))"
    return panel.with_target(query(expr, "{{clock}}")).decimals(0).min(0)


def causes() -> bargauge.Panel:
    panel = parts.placed(
        parts.bars(),
        "Closed in the time shown, by cause",
        "Incidents whose restoration was confirmed within the time that the dashboard shows, by the cause known then:"
        " equipment, technical, congestion, human, external or unknown. Empty with none.",
        8,
        8,
    )
    expr = "sort_desc(sum by (cause) (max by (level, cause) (increase(fournines_incidents_total[$__range]))))"
    return panel.with_target(latest(expr, "{{cause}}")).decimals(0).min(0)


def repairs() -> bargauge.Panel:
    panel = parts.placed(
        parts.bars(),
        "MTTR of all services, by window",
        "Mean of end - start over the outages of all services that ended in each window. Time on hold is never left"
        " out. Kept: within the limit of a repair that is in force, which is drawn beside it.",
        8,
        8,
    )
    panel = parts.kept_and_broken(panel, f"{MTTR} <= {LIMIT}", f"{MTTR} > {LIMIT}", "window").unit("s").min(0)
    return panel.with_target(latest('max(fournines_target{target="repair"})', "limit", "limit"))


def reasons() -> timeseries.Panel:
    panel = parts.placed(
        parts.lines(stacked=True),
        "Why alerts fired",
        "Alerts that began to fire in the hour before each instant, by the reason that the engine gave. Sending one"
        " again does not count.",
        8,
        8,
    )
    expr = 'max by (reason) (increase(fournines_effects_total{kind="fire"}[1h]))'
    return panel.with_target(query(expr, "{{reason}}")).decimals(0).min(0)


def limits() -> bargauge.Panel:
    panel = parts.placed(
        parts.bars(),
        "Limits in force",
        "The limits of response and repair of the manual's profile or of the configuration, with the clause each comes"
        " from. A shorter one for some service, group or tier is on the board, under policy.",
        24,
        4,
    )
    expr = 'max by (target, clause) (fournines_target{target=~"response|repair"})'
    return panel.with_target(latest(expr, "{{target}}, {{clause}}")).unit("s").min(0)
