"""What may still go wrong before a promise is broken, and how fast it is spent."""

from grafana_foundation_sdk.builders import bargauge, stat, table, timeseries
from grafana_foundation_sdk.builders.dashboard import Dashboard, DashboardLink

from . import parts
from .parts import Column, latest, query

GROUPS = '{group=~"$group",window="$window"}'
SERVICES = '{window="$window"}'
OF_GROUPS = f"min by (group) (fournines_group_error_budget_remaining_ratio{GROUPS})"
OF_SERVICES = f"min by (service) (fournines_service_error_budget_remaining_ratio{SERVICES})"


def dashboard() -> Dashboard:
    made = parts.dashboard(
        "budgets",
        "budgets",
        "Error budgets over $window: (1 - target) of the window, less maintenance and silence, may be downtime. Each by"
        " its own target. The daemon itself pages when one is at risk, burns too fast or is spent.",
        "now-7d",
    )
    group = parts.label_variable(
        "group", "Group", "Groups with series of their own.", "fournines_group_availability_ratio"
    )
    made = made.with_variable(parts.window_variable()).with_variable(group)
    made = made.link(parts.board_link("Services", "/services")).link(parts.board_link("Policy in force", "/policy"))
    for panel in (spent(), of_all(), least_groups(), least_services(), left(), burn(), targets(), long_term()):
        made = made.with_panel(panel)
    return made


def spent() -> stat.Panel:
    panel = parts.placed(
        parts.figures(),
        "Promises broken, $window",
        "How many chosen groups, and how many services with series of their own, have spent more than their budget of"
        " the window.",
        8,
        4,
    )
    panel = panel.with_target(latest(f"count({OF_GROUPS} < 0) or vector(0)", "groups"))
    panel = panel.with_target(latest(f"count({OF_SERVICES} < 0) or vector(0)", "services", "B"))
    return panel.decimals(0).thresholds(parts.steps((1, "red")))


def of_all() -> stat.Panel:
    panel = parts.placed(
        parts.figures(),
        "All services: budget left by window",
        "Of the group `all`, by users. 100 % is untouched; below zero it is overspent, and the promise broken for that"
        " window.",
        16,
        4,
    )
    left_of_all = 'min by (window) (fournines_group_error_budget_remaining_ratio{group="all"})'
    panel = parts.kept_and_broken(panel, f"{left_of_all} >= 0", f"{left_of_all} < 0", "window")
    return panel.unit("percentunit").decimals(1)


def least(of: str, title: str, description: str, label: str) -> bargauge.Panel:
    panel = parts.placed(parts.bars(), title, description, 12, 10)
    lowest = f"bottomk({parts.ROWS_MAX}, {of})"
    panel = parts.kept_and_broken(panel, f"sort({lowest} >= 0)", f"sort({lowest} < 0)", label)
    return panel.unit("percentunit").decimals(1).min(0).max(1)


def least_groups() -> bargauge.Panel:
    return least(
        OF_GROUPS,
        "Groups with the least left, $window",
        f"The {parts.ROWS_MAX} chosen groups with the smallest share of their budget left, those that keep their"
        " promise and those that do not. Below zero the bar is empty and the figure says by how much.",
        "group",
    )


def least_services() -> bargauge.Panel:
    panel = least(
        OF_SERVICES,
        "Services with the least left, $window",
        f"The {parts.ROWS_MAX} services with the smallest share of their budget left, each by its own target. A bar"
        " links to the service.",
        "service",
    )
    name = "${__field.labels.service:percentencode}"
    own = DashboardLink("Dashboard of the service").url(
        f"/d/fournines-service?${{__url_time_range}}&var-service={name}&${{board:queryparam}}"
    )
    board = DashboardLink("The service on the board").url(f"${{board:raw}}/services/{name}").target_blank(True)
    return panel.data_links([own, board])


def left() -> timeseries.Panel:
    panel = parts.placed(
        parts.lines(),
        "Budget left of groups, $window",
        f"The share that is left of the window that ends at each instant, of the {parts.LINES_MAX} chosen groups with"
        " the least. Dashed: all is spent.",
        12,
        9,
    )
    panel = (
        panel.with_target(query(f"bottomk({parts.LINES_MAX}, {OF_GROUPS})", "{{group}}"))
        .unit("percentunit")
        .decimals(1)
        .max(1)
    )
    return parts.with_limit(panel, "vector(0)", "spent")


def burn() -> timeseries.Panel:
    panel = parts.placed(
        parts.lines(),
        "Burn rate of groups over 1 h",
        f"How many times as fast as the target allows the budget was spent in the last hour, of the {parts.LINES_MAX}"
        " chosen groups that burn fastest. Dashed: as fast as the target allows.",
        12,
        9,
    )
    expr = f'topk({parts.LINES_MAX}, max by (group) (fournines_group_burn_rate{{group=~"$group",window="1h"}}))'
    return parts.with_limit(
        panel.with_target(query(expr, "{{group}}")).min(0), "vector(1)", "as fast as the target allows"
    )


def targets() -> table.Panel:
    value = Column("In base units", "max by (target, clause) (fournines_target)", 130, *parts.unit("none", 4))
    panel = parts.rows("target", "Target", [value], [])
    return parts.placed(
        panel,
        "Targets in force",
        "Every target with the clause that it comes from. Ratios: at least; times in seconds: at most; counts: exactly."
        " What holds for some services, groups or tiers only is on the board, under policy.",
        10,
        10,
    )


def long_term() -> timeseries.Panel:
    panel = parts.placed(
        parts.lines(),
        "Availability of groups, the least of each hour",
        f"The lowest figure of the hour before each instant, of the {parts.LINES_MAX} chosen groups with the lowest,"
        " for looking back over years: the series that deploy/prometheus/fournines.recording.yml records, and that a"
        " long-term store keeps. Empty without these rules.",
        14,
        10,
    )
    expr = f"bottomk({parts.LINES_MAX}, min by (group) (group_window:fournines_group_availability_ratio:min1h{GROUPS}))"
    return panel.with_target(query(expr, "{{group}}")).unit("percentunit").decimals(5).max(1)
