import { loadableTypes } from "../check/loadable-types.ts";
import { isDead } from "../journal/holder.ts";
import { type DamagedRun, Journal, type RunRow } from "../journal/journal.ts";
import { stepTypes } from "../journal/step-types.ts";
import type { Library } from "../types.ts";
import type { Proposal } from "../view/completion.ts";
import { stateDirOf } from "./config.ts";
import type { Front } from "./front.ts";
import { isResumable } from "./resumable.ts";
import { loadRegistry } from "./user-steps.ts";

/** The newest runs that are looked through. */
const MAX_RUNS = 200;
/** More proposals are no help. */
const MAX_SHOWN = 50;

/**
 * Proposals where a `format` is wanted: a `run` (of a runbook that takes runs back, those that it can take back), one that is
 * `resumable`, a `member` of the cluster that is named, a `kind` of documents, a `topic` of help beside commands and runbooks; else the names of documents of a kind (`check`,
 * their last parts), or what one of its keys may be (`check.group`).
 */
export async function completionValues(
  front: Front,
  library: Library,
  {
    format,
    runbook,
    cluster,
  }: { format: string; runbook?: string | undefined; cluster?: string | undefined },
): Promise<readonly Proposal[]> {
  switch (format) {
    case "member":
      return words(await front.memberNames(stateDirOf(front), cluster).catch(() => []));
    case "run":
      return runs(front, await typesTakenBackBy(front, runbook));
    case "resumable":
      return runs(front, undefined, (row) => !("damaged" in row) && isResumable(row));
    case "kind":
      return words(new Set(["runbook", ...library.entries().map(({ kind }) => kind)]));
    case "topic":
      return words(new Set(["authoring", "steps", ...(await loadRegistry(front)).names()]));
  }
  const [kind, key] = format.split(".");
  if (key === undefined)
    return words(library.entries(kind).map(({ name }) => name.split("/").at(-1) ?? name));
  const types = await loadableTypes(await loadRegistry(front));
  const schema = types.find(({ document }) => document?.kind === kind)?.document?.schema;
  return words((schema?.properties?.[key]?.enum ?? []).map(String));
}

function words(values: Iterable<string>): Proposal[] {
  return [...values].toSorted().map((word) => ({ word }));
}

/** The step types that `runbook` takes back; undefined when it takes back none. */
async function typesTakenBackBy(
  front: Front,
  runbook: string | undefined,
): Promise<string[] | undefined> {
  if (runbook === undefined) return undefined;
  const command = runbook.replaceAll("/", " ");
  const types = await loadableTypes(await loadRegistry(front));
  const found = types
    .filter(({ takeBack }) => takeBack === command || takeBack?.startsWith(`${command} `))
    .map(({ type }) => type);
  return found.length === 0 ? undefined : found;
}

/** The newest first. */
function runs(
  front: Front,
  types: readonly string[] | undefined,
  fits: (row: RunRow | DamagedRun) => boolean = () => true,
): Proposal[] {
  try {
    const journal = Journal.toLookAt(stateDirOf(front), front.secrets);
    try {
      const rows = journal.runs(MAX_RUNS).filter(fits);
      const acted =
        types &&
        stepTypes(
          journal.db,
          rows.map(({ id }) => id),
        );
      return rows
        .filter(
          (row) =>
            !acted || (!isDryRun(row) && acted.get(row.id)?.some((type) => types!.includes(type))),
        )
        .slice(0, MAX_SHOWN)
        .map((row) => ({ word: row.id, description: describe(row) }));
    } finally {
      journal.close();
    }
  } catch {
    // `pgdba runs` tells what is wrong with the journal; the other words are completed all the same.
    return [];
  }
}

function isDryRun(row: RunRow | DamagedRun): boolean {
  return !("damaged" in row) && row.plan;
}

function describe(row: RunRow | DamagedRun): string {
  if ("damaged" in row) return "damaged";
  const status = row.status === "running" && isDead(row.holder) ? "dead" : row.status;
  return `${row.runbook} on ${row.target.name}, ${status}`;
}
