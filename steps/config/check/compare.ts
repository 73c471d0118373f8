import { textOf, type Wanted } from "../../settings-file.ts";
import { byImportance, type Importance, importanceOf } from "./importance.ts";
import { neededFor, type Setting } from "../../../providers/postgres/settings.ts";
import { humanValue, readValue, sameValue } from "../../../providers/postgres/setting-value.ts";

export interface Difference {
  name: string;
  current: string | null;
  other: string | null;
  importance: Importance;
  takes_effect: ReturnType<typeof neededFor>;
  description: string;
}

export interface Comparison {
  differences: Difference[];
  same: number;
  /** Names that only one side knows: another version, or another extension. */
  only_here: string[];
  only_there: string[];
}

/** Settings that name a server rather than tune it, or that describe a transaction under way. */
const OWN = new Set([
  "application_name",
  "cluster_name",
  "config_file",
  "data_directory",
  "external_pid_file",
  "hba_file",
  "ident_file",
  "in_hot_standby",
  "is_superuser",
  "listen_addresses",
  "port",
  "primary_conninfo",
  "primary_slot_name",
  "session_authorization",
  "transaction_deferrable",
  "transaction_isolation",
  "transaction_read_only",
  "unix_socket_directories",
]);

/** A server's settings against wanted values, which may be a part of them, and may have been saved from another server. Pure. */
export function compareWith(settings: ReadonlyMap<string, Setting>, wanted: Wanted): Comparison {
  const there: string[] = [];
  const rows: Row[] = [];
  for (const [name, value] of wanted) {
    const setting = settings.get(name.toLowerCase());
    if (setting === undefined) there.push(name);
    else if (OWN.has(name.toLowerCase())) continue;
    // Taking a setting out leaves PostgreSQL's own default, as far as can be told.
    else rows.push({ setting, other: value === null ? setting.boot_val : textOf(value) });
  }
  return { ...compare(rows), only_here: [], only_there: there };
}

/** A server's settings against another server's. Pure. */
export function compareServers(
  here: ReadonlyMap<string, Setting>,
  there: ReadonlyMap<string, Setting>,
): Comparison {
  const rows: Row[] = [];
  for (const [key, setting] of here) {
    const other = there.get(key);
    if (other === undefined || OWN.has(key)) continue;
    // In their own units: another build may have another page size.
    rows.push({ setting, other: humanValue(other, other.reset_val ?? other.setting) });
  }
  const names = (from: ReadonlyMap<string, Setting>, not: ReadonlyMap<string, Setting>): string[] =>
    [...from].filter(([key]) => !not.has(key)).map(([, { name }]) => name);
  return { ...compare(rows), only_here: names(here, there), only_there: names(there, here) };
}

interface Row {
  setting: Setting;
  other: string | null;
}

function compare(rows: Row[]): Pick<Comparison, "differences" | "same"> {
  const differing = rows.flatMap(({ setting, other }) => {
    const now = setting.reset_val ?? setting.setting;
    if (other !== null && sameValue(setting, now, other)) return [];
    const difference: Difference = {
      name: setting.name,
      current: humanValue(setting, now),
      other: other === null ? null : humanValue(setting, other),
      importance: importanceOf(setting),
      takes_effect: neededFor(setting.context),
      description: setting.short_desc,
    };
    return [{ difference, factor: factor(setting, now, other ?? "") }];
  });
  return {
    differences: differing.toSorted(byImportance).map(({ difference }) => difference),
    same: rows.length - differing.length,
  };
}

/** The factor between two numbers, from 1. A value that is no number, or that switches something off, counts as the largest factor. */
function factor(setting: Setting, one: string, other: string): number {
  const [a, b] = [readValue(setting, one), readValue(setting, other)];
  if (!("value" in a && "value" in b)) return Infinity;
  if (typeof a.value !== "number" || typeof b.value !== "number" || a.value <= 0 || b.value <= 0)
    return Number.MAX_VALUE;
  return Math.max(a.value, b.value) / Math.min(a.value, b.value);
}
