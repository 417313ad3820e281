"""What the dashboards share: the data source, variables, links, and panels that are told apart by text before colour.

No query of a figure is in here. A panel about the network takes the `max` or `min` of all daemons that Prometheus
scrapes, since two that are fed the same events say the same; one about the daemon itself shows each by its `instance`.
"""

from typing import TypeVar

from grafana_foundation_sdk.builders import bargauge, prometheus, stat, statetimeline, table, timeseries
from grafana_foundation_sdk.builders import common as common_builders
from grafana_foundation_sdk.builders.dashboard import (
    CustomVariable,
    Dashboard,
    DashboardLink,
    DatasourceVariable,
    FieldColor,
    QueryVariable,
    TextBoxVariable,
    ThresholdsConfig,
)
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    BigValueGraphMode,
    BigValueTextMode,
    DataSourceRef,
    GraphDrawStyle,
    LegendDisplayMode,
    LegendPlacement,
    LineStyle,
    SortOrder,
    StackingMode,
    TooltipDisplayMode,
    VisibilityMode,
    VizOrientation,
)
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    DataTransformerConfig,
    DynamicConfigValue,
    FieldColorModeId,
    Threshold,
    ThresholdsMode,
    ValueMap,
    ValueMapping,
    ValueMappingResult,
    VariableOption,
    VariableRefresh,
    VariableSort,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

# Where Grafana finds the Prometheus that scrapes the daemon: the viewer's choice.
DATASOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")

# The board as it listens without any configuration. README.md says how to change it for everybody.
BOARD = "http://127.0.0.1:9940"

# The shortest step of a panel: figures do not come more often than they are scraped.
STEP = "15s"

# Series of one panel at most: more lines than these are read by nobody.
LINES_MAX = 10
ROWS_MAX = 20

AnyPanel = TypeVar("AnyPanel", bargauge.Panel, stat.Panel, statetimeline.Panel, table.Panel, timeseries.Panel)
LinedPanel = TypeVar("LinedPanel", bargauge.Panel, stat.Panel)


# ---- Dashboards ----


def dashboard(name: str, title: str, description: str, since: str = "now-24h") -> Dashboard:
    """A dashboard without panels, with what all have: data source, the board's address, the way to the others."""
    others = DashboardLink("fournines").type(DashboardLinkType.DASHBOARDS).tags(["fournines"]).include_vars(True)
    others = others.keep_time(True).icon("dashboard")
    return (
        Dashboard(f"fournines: {title}")
        .uid(f"fournines-{name}")
        .description(description)
        .tags(["fournines", "sla"])
        .timezone("browser")
        .time(since, "now")
        .refresh("30s")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .link(others)
        .with_variable(DatasourceVariable("datasource").label("Data source").type("prometheus"))
        .with_variable(
            TextBoxVariable("board")
            .label("Board")
            .description(
                "Where the daemon's own pages are, for the links to them: its server.external_url, without a slash at"
                " the end."
            )
            .default_value(BOARD)
            .current(VariableOption(text=BOARD, value=BOARD))
        )
    )


def board_link(title: str, path: str) -> DashboardLink:
    """A link to a page of the board. `raw`, since Grafana percent-encodes what it fills into links."""
    link = DashboardLink(title).type(DashboardLinkType.LINK).url("${board:raw}" + path)
    return link.icon("external link").target_blank(True)


def window_variable() -> CustomVariable:
    chosen = "30d"
    windows = ["1h", "24h", "7d", "30d", "90d"]
    return (
        CustomVariable("window")
        .label("Window")
        .description("The rolling window of the figures; it ends at each instant shown.")
        .values(",".join(windows))
        .current(VariableOption(selected=True, text=chosen, value=chosen))
        .options([VariableOption(selected=name == chosen, text=name, value=name) for name in windows])
    )


def label_variable(name: str, label: str, description: str, of: str, several: bool = True) -> QueryVariable:
    """A variable of the values that the label `name` has in the series `of`."""
    query = f"label_values({of}, {name})"
    variable = (
        QueryVariable(name)
        .label(label)
        .description(description)
        .datasource(DATASOURCE)
        .query({"query": query, "refId": "PrometheusVariableQueryEditor-VariableQuery"})
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_ASC)
        .multi(several)
        .include_all(several)
    )
    if several:
        # `.*` and not thousands of names in one query.
        variable = variable.all_value(".*").current(VariableOption(selected=True, text=["All"], value=["$__all"]))
    return variable


# ---- Queries ----


def query(expr: str, legend: str, ref: str = "A") -> prometheus.Dataquery:
    """A query over the time shown."""
    return prometheus.Dataquery().datasource(DATASOURCE).expr(expr).legend_format(legend).ref_id(ref).range()


def latest(expr: str, legend: str, ref: str = "A") -> prometheus.Dataquery:
    """A query as of the end of the time shown."""
    return prometheus.Dataquery().datasource(DATASOURCE).expr(expr).legend_format(legend).ref_id(ref).instant()


# ---- Panels ----


def placed(panel: AnyPanel, title: str, description: str, width: int, height: int) -> AnyPanel:
    return panel.title(title).description(description).datasource(DATASOURCE).interval(STEP).span(width).height(height)


def steps(*later: tuple[float, str], base: str = "text") -> ThresholdsConfig:
    """Colours from a value on. `text` is the theme's own, which says nothing."""
    all_steps = [Threshold(color=base)] + [Threshold(value=value, color=color) for value, color in later]
    return ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(all_steps)


def words(**said: tuple[str, str]) -> list[ValueMapping]:
    """What is shown instead of a number, with its colour: `_0=("down", "red")`."""
    named = enumerate(said.items())
    options = {value[1:]: ValueMappingResult(text=text, color=color, index=n) for n, (value, (text, color)) in named}
    return [ValueMap(options=options)]


# A promise is kept as long as its budget is not overspent: the verdict is by the target of each, overrides included.
VERDICT = words(_1=("kept", "green"), _0=("broken", "red"))
STATE = words(_1=("up", "green"), _0=("down", "red"), _2=("neither", "blue"))


def figures(*, graph: bool = False) -> stat.Panel:
    """Large figures, each with its name: what is meant is read, the colour only helps to find it."""
    return (
        stat.Panel()
        .color_mode(BigValueColorMode.VALUE)
        .graph_mode(BigValueGraphMode.AREA if graph else BigValueGraphMode.NONE)
        .text_mode(BigValueTextMode.VALUE_AND_NAME)
        .reduce_options(common_builders.ReduceDataOptions().calcs(["lastNotNull"]).values(False).fields(""))
        .thresholds(steps())
        .color_scheme(FieldColor().mode(FieldColorModeId.THRESHOLDS))
    )


def bars() -> bargauge.Panel:
    return (
        bargauge.Panel()
        .orientation(VizOrientation.HORIZONTAL)
        .reduce_options(common_builders.ReduceDataOptions().calcs(["lastNotNull"]).values(False).fields(""))
        .thresholds(steps(base="blue"))
        .color_scheme(FieldColor().mode(FieldColorModeId.THRESHOLDS))
    )


def lines(*, stacked: bool = False) -> timeseries.Panel:
    panel = (
        timeseries.Panel()
        .draw_style(GraphDrawStyle.LINE)
        .line_width(1)
        .fill_opacity(10 if stacked else 0)
        .show_points(VisibilityMode.NEVER)
        .legend(
            common_builders.VizLegendOptions()
            .display_mode(LegendDisplayMode.TABLE)
            .placement(LegendPlacement.BOTTOM)
            .calcs(["lastNotNull", "max"])
            .show_legend(True)
        )
        .tooltip(common_builders.VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.DESCENDING))
        .color_scheme(FieldColor().mode(FieldColorModeId.PALETTE_CLASSIC))
    )
    if stacked:
        panel = panel.stacking(common_builders.StackingConfig().mode(StackingMode.NORMAL).group("A"))
    return panel


def with_limit(panel: timeseries.Panel, expr: str, name: str) -> timeseries.Panel:
    """Draws a target as a dashed line with a name of its own, from the series in force and not from a number here."""
    return panel.with_target(query(expr, name, "limit")).override_by_query("limit", dashed())


def dashed() -> list[DynamicConfigValue]:
    return [
        DynamicConfigValue("custom.lineStyle", LineStyle(fill="dash", dash=[10, 10])),
        DynamicConfigValue("color", {"mode": "fixed", "fixedColor": "orange"}),
    ]


def fixed(color: str) -> list[DynamicConfigValue]:
    return [DynamicConfigValue("color", {"mode": "fixed", "fixedColor": color})]


def kept_and_broken(panel: LinedPanel, kept: str, broken: str, label: str) -> LinedPanel:
    """Two queries, of what keeps its promise and of what does not, so that legend and colour say the same."""
    return (
        panel.with_target(latest(kept, f"{{{{{label}}}}}: kept", "kept"))
        .with_target(latest(broken, f"{{{{{label}}}}}: broken", "broken"))
        .override_by_query("kept", fixed("green"))
        .override_by_query("broken", fixed("red"))
    )


# ---- Tables ----


class Column:
    """A column of a table: one figure of everything that has a row."""

    def __init__(self, title: str, expr: str, width: int, *properties: DynamicConfigValue) -> None:
        self.title = title
        self.expr = expr
        self.properties = [DynamicConfigValue("custom.width", width), *properties]


def unit(name: str, decimals: int) -> list[DynamicConfigValue]:
    return [DynamicConfigValue("unit", name), DynamicConfigValue("decimals", decimals)]


def said(mappings: list[ValueMapping]) -> list[DynamicConfigValue]:
    return [DynamicConfigValue("mappings", mappings), DynamicConfigValue("custom.cellOptions", {"type": "color-text"})]


def link(title: str, url: str, *, elsewhere: bool = False) -> dict[str, object]:
    return {"title": title, "url": url, "targetBlank": elsewhere}


def to_service(field: str) -> list[dict[str, object]]:
    """The links of a service's name: its dashboard, and its page on the board."""
    name = "${__data.fields." + field + ":percentencode}"
    return [
        link(
            "Dashboard of the service",
            f"/d/fournines-service?${{__url_time_range}}&var-service={name}&${{board:queryparam}}&${{window:queryparam}}",
        ),
        link("The service on the board", f"${{board:raw}}/services/{name}", elsewhere=True),
    ]


def rows(label: str, title: str, columns: list[Column], links: list[dict[str, object]]) -> table.Panel:
    """A table with a row for each value of a label, sorted by the first column, lowest first."""
    names = {label: title}
    panel = table.Panel()
    for n, column in enumerate(columns):
        ref = chr(ord("A") + n)
        names["Value" if len(columns) == 1 else f"Value #{ref}"] = column.title
        panel = panel.with_target(latest(column.expr, "", ref).format(PromQueryFormat.TABLE))
        panel = panel.override_by_name(column.title, column.properties)
    if links:
        panel = panel.override_by_name(title, [DynamicConfigValue("links", links)])
    order = {name: n for n, name in enumerate(names)}
    options = {"excludeByName": {"Time": True}, "indexByName": order, "renameByName": names}
    return (
        panel.with_transformation(DataTransformerConfig(id_val="merge", options={}))
        .with_transformation(DataTransformerConfig(id_val="organize", options=options))
        .sort_by([common_builders.TableSortByFieldState().display_name(columns[0].title).desc(False)])
    )
