"""Everything about one service, for whoever was called because of it."""

from grafana_foundation_sdk.builders import bargauge, stat, statetimeline, timeseries
from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.models.common import VisibilityMode

from . import parts
from .parts import query

ONE = '{service="$service"}'
WINDOW = '{service="$service",window="$window"}'
# 2 where it is neither up nor down, but known.
UP = (
    f"min by (service) (fournines_service_up{ONE})"
    ' or 2 + 0 * max by (service) (fournines_service_downtime_seconds{service="$service",window="90d"})'
)
AVAILABILITY = f"min by (window) (fournines_service_availability_ratio{ONE})"
LEFT = f"min by (window) (fournines_service_error_budget_remaining_ratio{ONE})"
MTTR = f"max by (window) (fournines_service_mttr_seconds{ONE})"
LIMIT = 'scalar(max(fournines_target{target="repair"}))'


def dashboard() -> Dashboard:
    made = parts.dashboard(
        "service",
        "service",
        "One service: whether it is up, what its promise amounts to, and how long repairs took. Outages, stages and"
        " reasons are on its page of the board.",
    )
    service = parts.label_variable(
        "service",
        "Service",
        "Services with series of their own: the largest offenders where there are more than metrics.max_services.",
        'fournines_service_availability_ratio{window="1h"}',
        several=False,
    )
    made = made.with_variable(parts.window_variable()).with_variable(service)
    made = made.link(parts.board_link("This service on the board", "/services/${service:percentencode}"))
    for panel in (state(), availability_by_window(), budget_by_window()):
        made = made.with_panel(panel)
    return (
        made.with_panel(up_and_down())
        .with_panel(availability())
        .with_panel(downtime())
        .with_panel(burn())
        .with_panel(repairs())
    )


def state() -> stat.Panel:
    panel = parts.placed(
        parts.figures(),
        "State",
        "Up, or down: an outage of severity down is open. A degraded service is up. Neither: it is in maintenance, or"
        " its feed is silent.",
        4,
        5,
    )
    return panel.with_target(query(UP, "{{service}}")).mappings(parts.STATE)


def availability_by_window() -> stat.Panel:
    panel = parts.placed(
        parts.figures(),
        "Availability by window",
        "1 - downtime / (window less maintenance and silence), over each rolling window that ends now, and whether the"
        " promise is kept: by the service's own target, unrounded.",
        10,
        5,
    )
    kept, broken = (f"{AVAILABILITY} and on (window) {LEFT} {sign} 0" for sign in (">=", "<"))
    return parts.kept_and_broken(panel, kept, broken, "window").unit("percentunit").decimals(5)


def budget_by_window() -> bargauge.Panel:
    panel = parts.placed(
        parts.bars(),
        "Budget left by window",
        "The share of the downtime that the target allows in each window and that is unspent. 100 % is untouched; below"
        " zero it is overspent, and the promise broken for that window.",
        10,
        5,
    )
    panel = parts.kept_and_broken(panel, f"{LEFT} >= 0", f"{LEFT} < 0", "window")
    return panel.unit("percentunit").decimals(1).min(0).max(1)


def up_and_down() -> statetimeline.Panel:
    panel = parts.placed(
        statetimeline.Panel(),
        "Up and down",
        "As Prometheus saw it at each scrape: an outage between two scrapes is not in it, and one that was reported"
        " late begins late. The exact times are on the board. Neither: it is in maintenance, or its feed is silent.",
        24,
        4,
    )
    panel = panel.with_target(query(UP, "{{service}}")).mappings(parts.STATE)
    return panel.show_value(VisibilityMode.ALWAYS).row_height(0.8)


def availability() -> timeseries.Panel:
    panel = parts.placed(
        parts.lines(),
        "Availability, $window",
        "Over the window that ends at each instant. Dashed: the general target in force; a target of the service's own"
        " is not drawn, but the verdicts above are by it.",
        12,
        8,
    )
    panel = panel.with_target(query(f"min by (service) (fournines_service_availability_ratio{WINDOW})", "{{service}}"))
    panel = panel.unit("percentunit").decimals(5).max(1)
    return parts.with_limit(panel, 'max(fournines_target{target="availability"})', "target")


def downtime() -> timeseries.Panel:
    panel = parts.placed(
        parts.lines(),
        "Downtime by window",
        "Downtime in each window that ends at each instant, outside maintenance. It rises second by second while an"
        " outage is open, and falls as old ones leave the window.",
        12,
        8,
    )
    expr = f"max by (window) (fournines_service_downtime_seconds{ONE})"
    return panel.with_target(query(expr, "{{window}}")).unit("s").min(0)


def burn() -> timeseries.Panel:
    panel = parts.placed(
        parts.lines(),
        "Burn rate",
        "How many times as fast as the target allows the budget was spent in the window. 1 spends it exactly by the end"
        " of the window; 0 spends nothing.",
        12,
        8,
    )
    panel = panel.with_target(
        query('max by (window) (fournines_service_burn_rate{service="$service",window=~"1h|24h|7d"})', "{{window}}")
    )
    return parts.with_limit(panel.min(0), "vector(1)", "as fast as the target allows")


def repairs() -> bargauge.Panel:
    panel = parts.placed(
        parts.bars(),
        "MTTR by window",
        "Mean of end - start over the outages that ended in each window; a window without any is missing. Time on hold"
        " is never left out. Kept: within the limit of a repair that is in force, drawn beside it; one for the service"
        " alone is not looked at.",
        12,
        8,
    )
    panel = parts.kept_and_broken(panel, f"{MTTR} <= {LIMIT}", f"{MTTR} > {LIMIT}", "window").unit("s").min(0)
    return panel.with_target(parts.latest('max(fournines_target{target="repair"})', "limit", "limit"))
