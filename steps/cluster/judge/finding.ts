import type { Gathered } from "../gather/cluster.ts";
import type { Beside } from "./beside.ts";
import type { Holder, MemberNow } from "./members.ts";

export const SEVERITIES = ["critical", "warning", "info"] as const;
export interface Finding {
  check: string;
  title: string;
  severity: (typeof SEVERITIES)[number];
  object: string | null;
  message: string;
  remedy: { text: string };
}

export interface Judging {
  gathered: Gathered;
  holder: Holder;
  members: readonly MemberNow[];
  beside: Beside;
}

export type Severity = Finding["severity"];

/** A finding by its parts; `text` is what to do. */
export function finding({ text, ...what }: Omit<Finding, "remedy"> & { text: string }): Finding {
  return { ...what, remedy: { text } };
}

export function sizeText(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  const at = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(1, bytes)) / 10));
  const value = bytes / 1024 ** at;
  return `${at === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[at]}`;
}
