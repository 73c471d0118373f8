import { PgdbaError } from "../../../engine/errors.ts";
import type { Doc, JsonObject } from "../../../engine/types.ts";
import { VERSIONS } from "./check-schema.ts";
import { SEVERITIES } from "./words.ts";

/** One health check as written; see `CHECK_SCHEMA` for what each key means. */
export interface Check {
  /** Last part of the document's name. */
  name: string;
  /** Its SQL came with pgdba. */
  shipped?: boolean;
  title: string;
  group: string;
  why: string;
  source?: string;
  versions?: string;
  roles?: string[];
  privilege?: string;
  privilege_mode?: "required" | "partial";
  grant?: string;
  extension?: string;
  requires?: Record<string, string>;
  scope?: "server" | "database";
  machine?: boolean;
  primary?: boolean;
  params?: Record<
    string,
    { type: string; default: number | string | boolean; description?: string }
  >;
  sql: string;
  variants?: { versions?: string; lacking?: string; sql: string }[];
  critical?: string;
  warning?: string;
  info?: string;
  object?: string;
  message: string;
  remedy?: {
    text?: string;
    settings?: string;
    sql?: string;
    runbook?: string;
    params?: string;
    runbooks?: Record<string, string>;
    database?: string;
    by_hand?: string;
    also?: { text: string; runbook: string; params: string }[];
  };
  estimated?: boolean;
  unseen?: { when: string; object?: string; reason: string; hint?: string };
  merge?: string;
  explains?: Record<string, string>;
}

/**
 * A document as a check. `pgdba lint` says all that is wrong with one; here only what a run can't do without is looked at.
 * @param builtin the files of the checks that come with pgdba
 * @throws PgdbaError invalid_runbook
 */
export function readCheck(doc: Doc, builtin: ReadonlySet<string>): Check {
  const check = {
    ...(doc.data as unknown as Check),
    name: doc.name.slice(doc.name.lastIndexOf("/") + 1),
    shipped: isShipped(doc, builtin),
  };
  const missing = ["title", "group", "why", "sql", "message"].filter(
    (key) => typeof (check as unknown as JsonObject)[key] !== "string",
  );
  if (!SEVERITIES.some((severity) => typeof check[severity] === "string"))
    missing.push("critical, warning or info");
  const versions = [check.versions, ...(check.variants ?? []).map((variant) => variant.versions)];
  const bad = versions.find(
    (range) => range !== undefined && !new RegExp(VERSIONS.pattern ?? "").test(range),
  );
  if (missing.length === 0 && bad === undefined) return check;
  const { file, line, column } = doc.at(bad === undefined ? [] : ["versions"]);
  throw new PgdbaError(
    "invalid_runbook",
    bad === undefined
      ? `The check ${doc.name} lacks ${missing.join(", ")}`
      : `${bad} is no range of versions`,
    { hint: "`pgdba lint` shows all that is wrong with it.", where: { file, line, column } },
  );
}

/** A document that extends one of pgdba's, for other thresholds, has its SQL all the same. */
function isShipped(doc: Doc, builtin: ReadonlySet<string>): boolean {
  if (doc.layer === "builtin") return true;
  const variants = Array.isArray(doc.data["variants"]) ? doc.data["variants"] : [];
  const texts = [["sql"], ...variants.map((_, at) => ["variants", at, "sql"])];
  return texts.every((path) => builtin.has(doc.at(path).file));
}
