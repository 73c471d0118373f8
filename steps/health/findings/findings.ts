import { toPgdbaError } from "../../../engine/errors.ts";
import type { JsonObject, StepContext } from "../../../engine/types.ts";
import type { Found } from "./causes.ts";
import { type Judged, textOf } from "../examine/judge.ts";
import { type Manners, type Remedy, remedyOf, type Vars } from "./remedy.ts";
import { GROUPS, SEVERITIES, type Severity } from "../check/words.ts";

export interface Finding {
  check: string;
  title: string;
  group: string;
  /** The worst severity of itself and its consequences. */
  severity: Severity;
  /** The database in which it was found, when the check looks at one. */
  database: string | null;
  object: string | null;
  message: string;
  evidence: JsonObject;
  why: string;
  remedy: Remedy;
  estimated: boolean;
  /** The user could not see everything the check looks at. */
  partial: boolean;
  /** The number of them in all, when not all are listed. */
  total: number | null;
  /** The number of like findings that were merged; the worst of them is shown. */
  count: number;
  /** The others. */
  alike: { object: string | null; severity: Severity; message: string }[];
  /** All causes that it may have; it stands below the first. */
  caused_by: { check: string; object: string | null }[];
  /** The findings that go away with it. */
  consequences: Finding[];
}

/** Findings of one check that are listed in one place, and of those that are alike. */
const LISTED = 50;

/** Causes with their consequences below them, what is alike made one, worst first. @throws PgdbaError expression_failed */
export function findingsOf(ctx: StepContext, found: readonly Found[], manners: Manners): Finding[] {
  const below = Map.groupBy(found, ({ cause }) => cause);
  const list = (some: readonly Found[]): Finding[] => {
    const groups = Map.groupBy(some, (one) => groupOf(ctx, one));
    const findings = [...groups.values()].map((alike) =>
      merged(
        ctx,
        manners,
        alike.toSorted((a, b) => rank(a.judged.severity) - rank(b.judged.severity)),
        list(alike.flatMap((one) => below.get(one) ?? [])),
      ),
    );
    const perCheck = Map.groupBy(inOrder(findings), ({ check }) => check);
    return inOrder([...perCheck.values()].flatMap(shortened));
  };
  return list(below.get(null) ?? []);
}

/** A list of findings of one check, no longer than may be. */
function shortened(findings: Finding[]): Finding[] {
  if (findings.length <= LISTED) return findings;
  return findings.slice(0, LISTED).map((finding) => ({ ...finding, total: findings.length }));
}

/** The key by which findings are merged; each stays by itself where the check gives none. */
function groupOf(ctx: StepContext, one: Found): unknown {
  const { check, facts } = one.judged;
  if (check.merge === undefined) return one;
  return JSON.stringify([check.name, facts.database, ctx.render(check.merge, varsOf(one.judged))]);
}

/** Merges findings that are `alike` into one, the worst first. */
function merged(
  ctx: StepContext,
  manners: Manners,
  alike: readonly Found[],
  consequences: Finding[],
): Finding {
  const [worst, ...others] = alike as readonly [Found, ...Found[]];
  const { judged } = worst;
  const { check, row, partial, total, facts } = judged;
  const severity = worstOf([judged.severity, ...consequences.map((finding) => finding.severity)]);
  const rows = others.slice(0, LISTED).map((one) => ({
    object: textOf(ctx, check.object, varsOf(one.judged)),
    severity: one.judged.severity ?? severity,
    message: ctx.render(check.message, varsOf(one.judged)),
  }));
  const message = ctx.render(check.message, varsOf(judged));
  return {
    check: check.name,
    title: check.title,
    group: check.group,
    severity,
    database: check.scope === "database" ? facts.database : null,
    object: textOf(ctx, check.object, varsOf(judged)),
    message: alike.length === 1 ? message : `${message} (the worst of ${alike.length} alike)`,
    evidence: evidenceOf(row),
    why: check.why,
    remedy: worst.cause === null ? remedyForAll(ctx, manners, alike) : afterCause(ctx, worst.cause),
    estimated: check.estimated ?? false,
    partial,
    total,
    count: alike.length,
    alike: rows,
    caused_by: distinct(alike.flatMap(({ causes }) => causes)).map((cause) => ({
      check: cause.check.name,
      object: textOf(ctx, cause.check.object, varsOf(cause)),
    })),
    consequences,
  };
}

/** The remedy for all findings that are alike: the words and the command for the worst, the statements for each. */
function remedyForAll(ctx: StepContext, manners: Manners, alike: readonly Found[]): Remedy {
  const [worst, ...others] = alike.map(({ judged }) => remedyOrWhy(ctx, judged, manners)) as [
    Remedy,
    ...Remedy[],
  ];
  const statements = [
    ...new Set([worst, ...others].flatMap(({ sql }) => (sql === null ? [] : [sql]))),
  ];
  const more = statements.length - LISTED;
  const lines = [...statements.slice(0, LISTED), ...(more > 0 ? [`-- and ${more} more`] : [])];
  return { ...worst, sql: lines.join("\n") || null };
}

/** The finding stays, and all others, where an expression or text of its remedy fails. */
function remedyOrWhy(ctx: StepContext, judged: Judged, manners: Manners): Remedy {
  try {
    return remedyOf(ctx, judged.check, varsOf(judged), manners);
  } catch (thrown) {
    const { code, message } = toPgdbaError(thrown);
    if (code !== "expression_failed") throw thrown;
    const text = `What mends it can't be told: ${message}`;
    ctx.warn(`${judged.check.name}: ${text}`);
    return wordsAlone(text);
  }
}

/** A remedy for the finding alone has no effect, or not for long, while its cause is there. */
function afterCause(ctx: StepContext, { judged }: Found): Remedy {
  const object = textOf(ctx, judged.check.object, varsOf(judged));
  const cause = object === null ? judged.check.name : `${judged.check.name}, ${object}`;
  const text = `Mend its cause first (${cause}), then look again.`;
  return wordsAlone(text);
}

function wordsAlone(text: string): Remedy {
  return { text, sql: null, runbook: null, params: null, command: null, also: [], by_hand: null };
}

/** Columns that serve the list, or the message or remedy, which are shown by themselves. */
const NO_EVIDENCE = /^(total|remedy|settings|family|comment|unseen.*)$/;

function evidenceOf(row: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(row).filter(([name]) => !NO_EVIDENCE.test(name)));
}

function varsOf({ row, params, facts }: Judged): Vars {
  return { row, params, server: facts };
}

function distinct(found: readonly Found[]): Judged[] {
  return [...new Set(found.map(({ judged }) => judged))].slice(0, LISTED);
}

const rank = (severity: Severity | null): number =>
  severity === null ? SEVERITIES.length : SEVERITIES.indexOf(severity);

/** A cause that is nothing by itself is as bad as what it leads to. */
function worstOf(severities: readonly (Severity | null)[]): Severity {
  return SEVERITIES[Math.min(...severities.map(rank))] ?? "info";
}

/** Worst first, what has consequences before what has none, then in the order of the manual; within a check as its rows came. */
function inOrder(findings: Finding[]): Finding[] {
  const alone = ({ consequences }: Finding): number => (consequences.length === 0 ? 1 : 0);
  return findings.toSorted(
    (a, b) =>
      rank(a.severity) - rank(b.severity) ||
      alone(a) - alone(b) ||
      GROUPS.indexOf(a.group) - GROUPS.indexOf(b.group) ||
      a.check.localeCompare(b.check, "en"),
  );
}

/** The findings and all their consequences. */
export function flat<T extends { consequences?: T[] }>(findings: readonly T[]): T[] {
  return findings.flatMap((finding) => [finding, ...flat(finding.consequences ?? [])]);
}
