/** The kinds of panels that the dashboards are made of. */
import { StackingConfigBuilder, StackingMode } from "@grafana/grafana-foundation-sdk/common";
import * as common from "@grafana/grafana-foundation-sdk/common";
import {
  AnnotationQueryBuilder,
  DashboardBuilder,
  DashboardCursorSync,
  DashboardLinkBuilder,
  DashboardLinkType,
  DatasourceVariableBuilder,
  type DataTransformerConfig,
  QueryVariableBuilder,
  RowBuilder,
  ThresholdsConfigBuilder,
  ThresholdsMode,
  type ValueMapping,
  VariableHide,
  VariableRefresh,
  VariableSort,
} from "@grafana/grafana-foundation-sdk/dashboard";
import { DataqueryBuilder, PromQueryFormat } from "@grafana/grafana-foundation-sdk/prometheus";
import { PanelBuilder as Stat } from "@grafana/grafana-foundation-sdk/stat";
import { PanelBuilder as StateTimeline } from "@grafana/grafana-foundation-sdk/statetimeline";
import { PanelBuilder as Table } from "@grafana/grafana-foundation-sdk/table";
import { PanelBuilder as TimeSeries } from "@grafana/grafana-foundation-sdk/timeseries";

/** Of one cluster, and of those of its members that are chosen. */
export const C = `cluster="$cluster"`;
export const I = `cluster="$cluster",instance=~"$instance"`;

const SOURCE = { type: "prometheus", uid: "${datasource}" };

export interface Query {
  expr: string;
  legend: string;
}
export const q = (expr: string, legend = "{{instance}}"): Query => ({ expr, legend });

/** The lines at which alerts begin: the same series that the alerts compare with. */
export const limits = (check: string, ...params: string[]): Query[] =>
  params.map((param) =>
    q(`pgdba:threshold{check="${check}",param="${param}"}`, `${param.split("_")[0]} from`),
  );

const query = ({ expr, legend }: Query, index: number): DataqueryBuilder =>
  new DataqueryBuilder()
    .datasource(SOURCE)
    .refId(String.fromCharCode(65 + index))
    .expr(expr)
    .legendFormat(legend);

interface Text {
  title: string;
  description: string;
  unit: string;
}

const LINES = [
  ["warning from", "orange"],
  ["critical from", "red"],
] as const;

/**
 * Values over time; `wide` takes the whole row. `fromZero`: the axis begins there, and not at the least value. `small`: what is usual is far below the lines at which alerts begin, and would lie on the axis beside them: above this
 * value the axis is logarithmic.
 */
export function graph(
  { title, description, unit }: Text,
  queries: Query[],
  {
    wide = false,
    stacked = false,
    max,
    small,
    fromZero = true,
  }: { wide?: boolean; stacked?: boolean; max?: number; small?: number; fromZero?: boolean } = {},
): TimeSeries {
  const panel = new TimeSeries()
    .title(title)
    .description(description)
    .unit(unit)
    .datasource(SOURCE)
    .height(8)
    .span(wide ? 24 : 12)
    .lineWidth(1)
    .fillOpacity(stacked ? 30 : 8)
    .showPoints(common.VisibilityMode.Never)
    .legend(
      new common.VizLegendOptionsBuilder()
        .displayMode(common.LegendDisplayMode.List)
        .placement(common.LegendPlacement.Bottom)
        .showLegend(true)
        .calcs([]),
    )
    .tooltip(
      new common.VizTooltipOptionsBuilder()
        .mode(common.TooltipDisplayMode.Multi)
        .sort(common.SortOrder.Descending),
    )
    .targets(queries.map(query));
  if (fromZero) panel.min(0);
  if (max !== undefined) panel.max(max);
  if (small !== undefined)
    panel.scaleDistribution(
      new common.ScaleDistributionConfigBuilder()
        .type(common.ScaleDistribution.Symlog)
        .log(10)
        .linearThreshold(small),
    );
  if (stacked) panel.stacking(new StackingConfigBuilder().mode(StackingMode.Normal));
  for (const [name, color] of LINES)
    if (queries.some(({ legend }) => legend === name))
      panel.overrideByName(name, [
        { id: "color", value: { mode: "fixed", fixedColor: color } },
        { id: "custom.lineStyle", value: { fill: "dash", dash: [8, 6] } },
        { id: "custom.fillOpacity", value: 0 },
        { id: "custom.stacking", value: { mode: "none", group: "A" } },
      ]);
  return panel;
}

export const longestLockWait = (): TimeSeries =>
  graph(
    {
      title: "Longest lock wait",
      description: "How long the session that has waited longest for a lock has waited",
      unit: "s",
    },
    [
      q(`max by (cluster) (pgdba_lock_wait_seconds_max{${C}})`, "longest wait"),
      ...limits("lock-waits", "warning", "critical"),
    ],
    { small: 0.1 },
  );

/** One figure of now. Colours are for what has no threshold of an alert: there the alert itself is shown. */
export function figure(
  { title, description, unit }: Text,
  expr: Query,
  {
    span = 4,
    names = false,
    steps = [{ value: null as unknown as number, color: "blue" }],
    mappings = [],
  }: {
    span?: number;
    names?: boolean;
    steps?: { value: number; color: string }[];
    mappings?: ValueMapping[];
  } = {},
): Stat {
  return new Stat()
    .title(title)
    .description(description)
    .unit(unit)
    .datasource(SOURCE)
    .height(4)
    .span(span)
    .textMode(names ? common.BigValueTextMode.Name : common.BigValueTextMode.Value)
    .colorMode(common.BigValueColorMode.Value)
    .graphMode(common.BigValueGraphMode.None)
    .reduceOptions(
      new common.ReduceDataOptionsBuilder().calcs(["lastNotNull"]).values(false).fields(""),
    )
    .thresholds(new ThresholdsConfigBuilder().mode(ThresholdsMode.Absolute).steps(steps))
    .mappings(mappings)
    .noValue("unknown")
    .targets([query(expr, 0).instant()]);
}

/** A state of each member over time. */
export const states = (
  { title, description, unit }: Text,
  queries: Query[],
  mappings: ValueMapping[],
  { wide = false } = {},
): StateTimeline =>
  new StateTimeline()
    .title(title)
    .description(description)
    .unit(unit)
    .datasource(SOURCE)
    .height(8)
    .span(wide ? 24 : 12)
    .mappings(mappings)
    .mergeValues(true)
    .rowHeight(0.8)
    .showValue(common.VisibilityMode.Auto)
    .targets(queries.map(query));

/** Of a column of a table, by the name that it is shown with. */
export interface Column {
  name: string;
  unit?: string;
  mappings?: ValueMapping[];
}

/** Values of now, a row each. */
export function table(
  { title, description, unit }: Text,
  queries: Query[],
  transformations: DataTransformerConfig[],
  {
    span = 12,
    height = 8,
    columns = [],
  }: { span?: number; height?: number; columns?: Column[] } = {},
): Table {
  const panel = new Table()
    .title(title)
    .description(description)
    .unit(unit)
    .datasource(SOURCE)
    .height(height)
    .span(span)
    .showHeader(true)
    .transformations(transformations)
    .targets(
      queries.map((one, index) => query(one, index).instant().format(PromQueryFormat.Table)),
    );
  for (const { name, unit: own, mappings } of columns)
    panel.overrideByName(name, [
      ...(own === undefined ? [] : [{ id: "unit", value: own }]),
      ...(mappings === undefined ? [] : [{ id: "mappings", value: mappings }]),
    ]);
  return panel;
}

export const valueMap = (
  options: Record<string, { text: string; color: string }>,
): ValueMapping[] => [
  {
    type: "value",
    options: Object.fromEntries(
      Object.entries(options).map(([value, one], index) => [value, { ...one, index }]),
    ),
  } as ValueMapping,
];

type Panel = Parameters<DashboardBuilder["withPanel"]>[0] & { id(id: number): unknown };

/** A dashboard of named rows of panels. */
export function dashboard(
  uid: string,
  { title, description }: { title: string; description: string },
  rows: Record<string, Panel[]>,
): DashboardBuilder {
  const variable = (name: string, label: string, expr: string): QueryVariableBuilder =>
    new QueryVariableBuilder(name)
      .label(label)
      .datasource(SOURCE)
      .query({ query: expr, refId: `${name}s` })
      .refresh(VariableRefresh.OnTimeRangeChanged)
      .sort(VariableSort.AlphabeticalAsc);
  const built = new DashboardBuilder(title)
    .uid(uid)
    .description(description)
    .tags(["pgdba", "postgresql"])
    .readonly()
    .timezone("browser")
    .tooltip(DashboardCursorSync.Crosshair)
    .refresh("30s")
    .time({ from: "now-3h", to: "now" })
    .link(
      new DashboardLinkBuilder("pgdba")
        .type(DashboardLinkType.Dashboards)
        .tags(["pgdba"])
        .asDropdown(false)
        .keepTime(true)
        .includeVars(true),
    )
    .withVariable(
      new DatasourceVariableBuilder("datasource")
        .label("Data source")
        .type("prometheus")
        .hide(VariableHide.DontHide),
    )
    .withVariable(
      variable("cluster", "Cluster", `label_values(up{job=~"postgres|patroni"}, cluster)`),
    )
    .withVariable(
      variable(
        "instance",
        "Member",
        `label_values(up{job=~"postgres|patroni",cluster="$cluster"}, instance)`,
      )
        .multi(true)
        .includeAll(true)
        .current({ selected: true, text: ["All"], value: ["$__all"] }),
    )
    .annotation(
      new AnnotationQueryBuilder()
        .name("Another member leads")
        .datasource(SOURCE)
        .enable(true)
        .iconColor("purple")
        .expr(`ALERTS{alertname="LeaderChanged",alertstate="firing",${C}}`)
        .titleFormat("Another member leads"),
    );
  let panelId = 0;
  for (const [index, [name, panels]] of Object.entries(rows).entries()) {
    built.withRow(new RowBuilder(name).id(1000 + index));
    for (const panel of panels) {
      panel.id(++panelId);
      built.withPanel(panel);
    }
  }
  return built;
}
