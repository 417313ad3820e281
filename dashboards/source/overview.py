"""What a NOC's wall and whoever comes on shift look at first: what is out, and who suffers most."""

from grafana_foundation_sdk.builders import stat, table, timeseries
from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.models.dashboard import DynamicConfigValue

from . import parts
from .parts import Column, latest, query

SERVICES = '{service=~"$service",window="$window"}'
GROUPS = '{group=~"$group",window="$window"}'
ALL = '{group="all",window="$window"}'

WORST_SERVICES = f"bottomk({parts.ROWS_MAX}, min by (service) (fournines_service_availability_ratio{SERVICES}))"
WORST_GROUPS = f"bottomk({parts.ROWS_MAX}, min by (group) (fournines_group_availability_ratio{GROUPS}))"


def dashboard() -> Dashboard:
    made = parts.dashboard(
        "overview",
        "overview",
        "What is out, and what the promise amounts to over $window. Figures over a window are computed by the daemon,"
        " exactly and by event time; nothing is computed from samples here.",
    )
    made = (
        made.with_variable(parts.window_variable())
        .with_variable(
            parts.label_variable(
                "group", "Group", "Groups with series of their own.", "fournines_group_availability_ratio"
            )
        )
        .with_variable(
            parts.label_variable(
                "service", "Service", "Services with series of their own.", "fournines_service_availability_ratio"
            )
        )
        .link(parts.board_link("Board", "/"))
        .link(parts.board_link("Services", "/services"))
        .link(parts.board_link("Reports", "/reports"))
    )
    for panel in (now_open(), down(), breached(), promise(), known()):
        made = made.with_panel(panel)
    return (
        made.with_panel(worst_services())
        .with_panel(worst_groups())
        .with_panel(availability())
        .with_panel(open_over_time())
    )


def now_open() -> stat.Panel:
    panel = parts.placed(
        parts.figures(),
        "Open incidents by level",
        "Incidents that are not restored, by the level they have now: first (major), second (larger), third (general)."
        " An incident is all outages of one cause; flapping within the reopen time is one. Drills are not counted. The"
        " figure links to the board.",
        9,
        4,
    )
    panel = panel.with_target(query("max by (level) (fournines_incidents_open)", "{{level}}")).decimals(0)
    panel = panel.links([parts.board_link("Incidents on the board", "/incidents")])
    for level, name, color in (
        ("first", "First (major)", "red"),
        ("second", "Second (larger)", "orange"),
        ("third", "Third (general)", "yellow"),
    ):
        thresholds = parts.steps((1, color)).build()
        properties = [DynamicConfigValue("displayName", name), DynamicConfigValue("thresholds", thresholds)]
        panel = panel.override_by_name(level, properties)
    return panel


def down() -> stat.Panel:
    panel = parts.placed(
        parts.figures(graph=True),
        "Services down",
        "Chosen services with an outage of severity down open. Degraded ones are up; ones in maintenance, and those"
        " whose feed is silent, are neither and not counted.",
        4,
        4,
    )
    expr = 'sum(min by (service) (fournines_service_up{service=~"$service"}) == bool 0) or vector(0)'
    panel = panel.with_target(query(expr, "down")).decimals(0).thresholds(parts.steps((1, "red")))
    return panel.links([parts.board_link("Services on the board", "/services")])


def breached() -> stat.Panel:
    panel = parts.placed(
        parts.figures(),
        "Clocks breached in the time shown",
        "Limits of the procedure that passed within the time that the dashboard shows: of response, repair and whatever"
        " else has a clock. What was reported after its limit had passed counts once the restoration is confirmed.",
        4,
        4,
    )
    expr = "sum(max by (clock) (increase(fournines_clock_breaches_total[$__range])))"
    return panel.with_target(latest(expr, "breaches")).decimals(0).thresholds(parts.steps((0.5, "red")))


def promise() -> stat.Panel:
    panel = parts.placed(
        parts.figures(),
        "All services, $window",
        "Of the group `all`, by users: availability, net of maintenance and silence; and whether the promise holds,"
        " which it does as long as the downtime allowed by the target in force is not overspent.",
        4,
        4,
    )
    left = f"min(fournines_group_error_budget_remaining_ratio{ALL})"
    return (
        panel.with_target(query(f"min(fournines_group_availability_ratio{ALL})", "availability"))
        .with_target(query(f"{left} >= bool 0", "promise", "B"))
        .override_by_name("availability", parts.unit("percentunit", 5))
        .override_by_name("promise", [DynamicConfigValue("mappings", parts.VERDICT)])
    )


def known() -> stat.Panel:
    panel = parts.placed(
        parts.figures(),
        "Services known",
        "Services that the daemon knows, and those without series of their own because there are more than"
        " metrics.max_services: they are in groups, on the board and in the API, and missing from every panel by"
        " service.",
        3,
        4,
    )
    panel = panel.with_target(query("max(fournines_services)", "known")).decimals(0)
    return panel.with_target(query("max(fournines_services_left_out)", "left out", "B"))


def columns(of: str, label: str, selector: str, worst: str) -> list[Column]:
    """Figures over the window of the worst, the same for services and for groups."""

    def figure(name: str, pick: str) -> str:
        return f"{pick} by ({label}) (fournines_{of}_{name}{selector}) and on ({label}) {worst}"

    left = figure("error_budget_remaining_ratio", "min")
    return [
        Column("Availability", worst, 125, *parts.unit("percentunit", 5)),
        Column("Promise", f"({left}) >= bool 0", 85, *parts.said(parts.VERDICT)),
        Column("Budget left", left, 105, *parts.unit("percentunit", 1)),
        Column("Downtime", figure("downtime_seconds", "max"), 105, *parts.unit("s", 1)),
        Column("MTTR", figure("mttr_seconds", "max"), 105, *parts.unit("s", 1)),
    ]


def worst_services() -> table.Panel:
    state = f'min by (service) (fournines_service_up{{service=~"$service"}}) and on (service) {WORST_SERVICES}'
    shown = [
        *columns("service", "service", SERVICES, WORST_SERVICES),
        Column("State", state, 75, *parts.said(parts.STATE)),
    ]
    return parts.placed(
        parts.rows("service", "Service", shown, parts.to_service("Service")),
        "Worst services, $window",
        f"The {parts.ROWS_MAX} chosen services with the lowest availability. Availability: 1 - downtime / (window less"
        " maintenance and silence). Promise: kept while the budget by the service's own target is not overspent."
        " Budget left: the share of the downtime that its target allows and that is unspent; below zero it is"
        " overspent. MTTR: mean of end - start over the outages that ended in the window; empty with none. State:"
        " empty in maintenance and while the feed is silent. A name links to the service.",
        14,
        11,
    )


def worst_groups() -> table.Panel:
    return parts.placed(
        parts.rows("group", "Group", columns("group", "group", GROUPS, WORST_GROUPS), []),
        "Worst groups, $window",
        f"The {parts.ROWS_MAX} chosen groups with the lowest availability, by users: `all`, the catalogue's groups,"
        " regions, tiers and kinds. Columns as beside; downtime is that of a group's average user.",
        10,
        11,
    )


def availability() -> timeseries.Panel:
    panel = parts.placed(
        parts.lines(),
        "Availability of groups, $window",
        f"Availability over the window that ends at each instant, of the {parts.LINES_MAX} chosen groups with the"
        " lowest. Dashed: the general target in force; what a group is promised instead is not drawn. An event that"
        " comes late corrects the figure from its arrival on, not the line before: the API has what was right then"
        " (`at`).",
        14,
        9,
    )
    expr = f"bottomk({parts.LINES_MAX}, min by (group) (fournines_group_availability_ratio{GROUPS}))"
    panel = panel.with_target(query(expr, "{{group}}")).unit("percentunit").decimals(5).max(1)
    return parts.with_limit(panel, 'max(fournines_target{target="availability"})', "target")


def open_over_time() -> timeseries.Panel:
    panel = parts.placed(
        parts.lines(stacked=True),
        "Open incidents",
        "Incidents that were not restored, by the level that they had at each instant, on top of each other.",
        10,
        9,
    )
    return panel.with_target(query("max by (level) (fournines_incidents_open)", "{{level}}")).decimals(0).min(0)
