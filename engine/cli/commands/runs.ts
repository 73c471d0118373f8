import { resolve } from "node:path";
import { PgdbaError } from "../../errors.ts";
import { isDead } from "../../journal/holder.ts";
import { type DamagedRun, Journal, type RunRow } from "../../journal/journal.ts";
import { auditOf } from "../../journal/verify.ts";
import { writeWhole } from "../../shared/write-file.ts";
import type { ErrorRecord, Json, JsonObject } from "../../types.ts";
import type { Parsed } from "../args.ts";
import type { Command } from "../command.ts";
import { stateDirOf } from "../config.ts";
import { findRun } from "../find-run.ts";
import type { Front } from "../front.ts";
import { libraryOf } from "../library.ts";
import { loadRegistry } from "../user-steps.ts";
import { runRecord } from "../run-record.ts";
import { verifyRuns } from "../verify-runs.ts";

const DEFAULT_LIMIT = 20;

export default {
  name: "runs",
  place: 7,
  summary: "List the runs, show one in full, or verify that none was rewritten",
  usage: "[<run id> | verify] [--cluster NAME] [--limit N] [--html FILE] [--head HASH]",
  takes: "run",
  flags: {
    limit: { type: "string", summary: "How many of the newest (20)" },
    html: {
      type: "string",
      file: true,
      summary: "Write a self-contained report of one run to this file",
    },
    head: {
      type: "string",
      summary: "Of verify: a hash of an old envelope, which must be in the audit yet",
    },
  },
  async run(front, parsed, words) {
    const journal = Journal.toLookAt(stateDirOf(front), front.secrets);
    try {
      const [id] = words;
      const { html, head } = parsed.flags;
      if (id === "verify") return verifyRuns(journal, head);
      if (head !== undefined)
        throw new PgdbaError("usage", "--head belongs to `pgdba runs verify`", {
          hint: "pgdba runs verify --head HASH",
        });
      if (id === undefined) {
        if (html !== undefined)
          throw new PgdbaError("usage", "--html needs a run id", {
            hint: "pgdba runs ID --html FILE",
          });
        return {
          exit: 0,
          data: {
            runs: journal
              .runs(limitOf(parsed.flags["limit"]), (run) => ranOn(run, parsed.flags))
              .map(listed),
          },
        };
      }
      const row = findRun(journal, id);
      if (!ranOn(row, parsed.flags))
        throw new PgdbaError("unknown_run", `Run ${row.id} was on another target`, {
          hint: "Name that one, or none.",
        });
      const record = runRecord(row, journal.steps(row.id, { past: true }));
      if (typeof html !== "string")
        return {
          exit: 0,
          data: {
            ...record,
            error: await errorAtTarget(front, parsed.flags, row),
            interrupted: isOrphan(row),
            answers: journal.answers(row.id).map(({ holder, ...answer }) => ({
              ...answer,
              by: `${holder.user}@${holder.host}`,
            })),
            audit: auditOf(journal.db, row.id),
          } as unknown as Json,
        };
      const { runReport } = await import("../../view/html.ts");
      const file = resolve(front.cwd, html);
      await writeWhole(file, runReport(front.secrets.redactRecord(record)));
      return { exit: 0, data: { run: row.id, file } };
    } finally {
      journal.close();
    }
  },
} satisfies Command;

/** The error of a run, whose hint names the run's target in its commands. */
async function errorAtTarget(
  front: Front,
  flags: Parsed["flags"],
  { error, target }: RunRow,
): Promise<ErrorRecord | null> {
  if (!error?.hint?.includes("pgdba ")) return error;
  const { recordAt } = await import("../hints/at-target.ts");
  const at = {
    flags: Object.entries(target.flags).flatMap(([name, value]) => [`--${name}`, String(value)]),
    library: libraryOf(front, (flags["runbooks"] as string[] | undefined) ?? []),
    registry: () => loadRegistry(front),
  };
  return recordAt(front, at, error);
}

/** Whether a run was on the cluster or server that flags name; true where they name none. */
function ranOn(run: RunRow | DamagedRun, { cluster, host, port }: Parsed["flags"]): boolean {
  const wanted = Object.entries({ cluster, host, port }).filter(([, value]) => value !== undefined);
  if (wanted.length === 0) return true;
  if ("damaged" in run) return false;
  const { name, flags } = run.target;
  const said: Record<string, unknown> = { ...flags };
  return wanted.every(
    ([flag, value]) => String(said[flag]) === value || (flag === "cluster" && name === value),
  );
}

/** True for a run that says `running` while its process is gone: it waits for `pgdba resume`. */
function isOrphan(row: RunRow): boolean {
  return row.status === "running" && isDead(row.holder);
}

function listed(row: RunRow | DamagedRun): JsonObject {
  if ("damaged" in row) return { ...row, status: "damaged" };
  return {
    id: row.id,
    runbook: row.runbook,
    target: row.target.name,
    status: isOrphan(row) ? "dead" : row.status,
    ...(row.judged === null ? {} : { locks: row.judged.locks }),
    exit: row.exit,
    started_at: row.started_at,
    duration_ms: row.duration_ms,
  };
}

function limitOf(value: unknown): number {
  if (value === undefined) return DEFAULT_LIMIT;
  const limit = Number(value);
  if (Number.isInteger(limit) && limit > 0 && limit <= 1000) return limit;
  throw new PgdbaError("usage", "--limit takes a whole number from 1 to 1000", {
    hint: "pgdba runs --limit 50",
  });
}
