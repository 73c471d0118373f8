import { isMapping } from "../json.ts";
import type { Json, JsonObject } from "../types.ts";

/** A finding of a runbook; any other fields may stand beside these. */
export interface Finding {
  severity: string;
  message: string;
  fields: JsonObject;
}

export function asFinding(value: Json): Finding | null {
  if (!isMapping(value)) return null;
  const { severity, message } = value;
  return typeof severity === "string" && typeof message === "string"
    ? { severity, message, fields: value }
    : null;
}

/** The title of a finding, or the name of the check that found it. */
export function findingTitle({ fields }: Finding): string | null {
  for (const key of ["title", "name", "check", "id", "code"]) {
    const value = fields[key];
    if (typeof value === "string" && value !== "") return value;
  }
  return null;
}
