import type { JsonObject } from "../../../engine/types.ts";

/** One thing that is due. */
export interface Due {
  severity: "critical" | "warning" | "info";
  object: string | null;
  why: string;
  runbook: string | null;
  params: JsonObject | null;
  /** Among those that are equally bad, the lower first. */
  order: number;
  command?: string | null;
  sql?: string | null;
  /** The database that it is to be done in, where it is another one than that of the connection. */
  database?: string;
}

/** A row of maintenance/tables. */
export interface KnownTable {
  name: string;
  rows: number;
  dead: number;
  changed: number;
  age: number;
  mxid_age: number;
  freeze_percent: number;
  autovacuum: boolean;
  vacuumed_by: number | null;
  allowed: boolean;
  freeze: string;
  vacuum: string;
  analyze: string;
}

export interface KnownDatabase {
  database: string;
  age: number;
  mxid_age: number;
  /** Of autovacuum_freeze_max_age, or of that of multixacts, where that is more. */
  freeze_percent: number;
  connectable: boolean;
}

/** Half of the ids that there are. */
const HALF = 1_000_000_000;
/** Dead or changed rows from which it is a warning, as in the checks dead-rows and statistics-stale. */
const MANY = 10_000;
const MANY_PERCENT = 20;
const HELD = "end first what holds vacuum back: it removes no row that died since that began";

/** What is due for a table, and whether somebody holds back what it is to achieve: freezing renews what a vacuum does, and a vacuum by default analyses too. */
export function ofTable(table: KnownTable, held = false): Due[] {
  const { name, freeze, vacuum, analyze } = table;
  const why = (reasons: string[]): string =>
    [...reasons.filter((one) => one !== ""), ...notes(table)].join("; ");
  const one = { object: name, params: { table: [name] } };
  const wait = held && vacuum !== "" && table.dead > 0 ? HELD : "";
  const many = (count: number): boolean =>
    count >= MANY && count * 100 >= MANY_PERCENT * Math.max(table.rows, 1);
  if (freeze !== "") {
    const severity =
      Math.max(table.age, table.mxid_age) >= HALF
        ? "critical"
        : table.freeze_percent >= 100
          ? "warning"
          : "info";
    const froze: Due = {
      ...one,
      severity,
      why: why([freeze, vacuum, wait]),
      runbook: "maintenance/freeze",
      order: 0,
    };
    return analyze === "" ? [froze] : [froze, analyzed()];
  }
  if (vacuum === "") return analyze === "" ? [] : [analyzed()];
  const severity = many(table.dead) || !table.autovacuum ? "warning" : "info";
  return [
    {
      ...one,
      severity,
      why: why([vacuum, wait, analyze]),
      runbook: "maintenance/vacuum",
      order: 1,
    },
  ];

  function analyzed(): Due {
    const severity = many(table.changed) || !table.autovacuum ? "warning" : "info";
    return { ...one, severity, why: why([analyze]), runbook: "maintenance/analyze", order: 2 };
  }
}

/** Another database whose ids are running out. */
export function ofDatabase({
  database,
  age,
  mxid_age,
  freeze_percent,
  connectable,
}: KnownDatabase): Due[] {
  const what = age >= mxid_age ? `${age} transactions` : `${mxid_age} multixacts`;
  const closed = connectable
    ? ""
    : "; nobody may connect to it: alter database … allow_connections true first";
  return [
    {
      severity:
        Math.max(age, mxid_age) >= HALF ? "critical" : freeze_percent >= 100 ? "warning" : "info",
      object: `database ${database}`,
      why: `its oldest is ${what} old (${freeze_percent} % of what autovacuum allows)${closed}`,
      runbook: "maintenance/freeze",
      params: {},
      order: 0,
      database,
    },
  ];
}

function notes({ autovacuum, vacuumed_by, allowed }: KnownTable): string[] {
  return [
    ...(autovacuum ? [] : ["autovacuum is off for it"]),
    ...(vacuumed_by === null ? [] : [`process ${vacuumed_by} vacuums it now`]),
    ...(allowed ? [] : ["this role may not do it"]),
  ];
}
