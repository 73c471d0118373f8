import { compile } from "../../check/compile.ts";
import { VERIFIED_BACKUP } from "../../check/danger.ts";
import { PgdbaError } from "../../errors.ts";
import { describeHolder } from "../../journal/holder.ts";
import { Journal, type RunRow, type Said } from "../../journal/journal.ts";
import { damagedRecord } from "../../journal/rows.ts";
import type { Doc, Library, Runbook, StepRegistry } from "../../types.ts";
import { invalid } from "../closure.ts";
import { commandAgain } from "../again.ts";
import type { Parsed } from "../args.ts";
import type { Command } from "../command.ts";
import { stateDirOf } from "../config.ts";
import { findRun } from "../find-run.ts";
import type { TargetFlags } from "../front.ts";
import { libraryOf } from "../library.ts";
import { isAtWork, isResumable, isUnwound } from "../resumable.ts";
import { loadRegistry } from "../user-steps.ts";
import { withSecrets } from "../secret-params.ts";
import { namesDatabase, openTarget, startRun, TARGET_FLAGS } from "../start-run.ts";
import { commandName } from "../run-runbook.ts";

export default {
  name: "resume",
  place: 8,
  summary: "Continue a run that was cut short",
  usage: "<run id> [--assume PATH=done|not_done] [--give-up]",
  takes: "resumable",
  flags: {
    assume: {
      type: "string",
      multiple: true,
      summary: "Say whether a step was done, when pgdba can't find out itself",
    },
    "give-up": {
      type: "boolean",
      summary: "Do not go on: take back what the run has done",
    },
  },
  async run(front, parsed, words) {
    const [id, more] = words;
    if (!id) throw new PgdbaError("usage", "Which run?", { hint: "`pgdba runs` lists them." });
    refuseIgnored(id, parsed.flags, more);
    const assumed = readAssumed((parsed.flags["assume"] as string[] | undefined) ?? []);
    const library = libraryOf(front, (parsed.flags["runbooks"] as string[] | undefined) ?? []);
    const registry = await loadRegistry(front);
    const journal = new Journal(stateDirOf(front), front.secrets);
    let handedOver = false;
    try {
      const found = findRun(journal, id);
      checkTarget(found, parsed.flags);
      const row = parsed.flags["give-up"] === true ? givenUp(found) : found;
      const docs = journal.docs(row.id);
      checkResumable(row, docs.get(row.runbook), journal);
      // Either of the two may be the damaged one.
      if (!docs.has(row.runbook)) throw damagedRecord(`run ${row.id}`, ["runbook", "docs"]);
      const runbooks = await frozenRunbooks(docs, library, registry);
      const runbook = runbooks.get(row.runbook)!;
      const params = withSecrets(runbook.params, row.params, front.env, front.secrets);
      const targetFlags = row.target.flags as TargetFlags;
      const target = await openTarget(front, targetFlags, {
        resumes: true,
        anyDatabase: namesDatabase(runbook),
      });
      handedOver = true;
      return await startRun(
        front,
        { ...parsed.flags, ...targetFlags },
        { library, registry, acts: true, journal },
        {
          command: commandName(runbook.name),
          runbook,
          runbooks,
          params,
          recordedParams: row.params,
          target,
          targetFlags,
          backups: backupsOf(row, runbooks),
          plan: false,
          resume: { row, assumed },
        },
      );
    } finally {
      if (!handedOver) journal.close();
    }
  },
} satisfies Command;

/** A run that is told so goes the way of one that was told to stop. */
const givenUp = (row: RunRow): RunRow => ({ ...row, cancelled: row.cancelled ?? "--give-up" });

function readAssumed(given: string[]): Map<string, Said> {
  const answers = new Map<string, Said>();
  for (const text of given) {
    const at = text.lastIndexOf("=");
    const path = text.slice(0, at);
    const said = text.slice(at + 1);
    if (at <= 0 || (said !== "done" && said !== "not_done")) {
      throw new PgdbaError("usage", `--assume can't be ${text.slice(0, 100)}`, {
        hint: "Write --assume PATH=done or PATH=not_done.",
      });
    }
    if ((answers.get(path) ?? said) !== said) {
      throw new PgdbaError("usage", `--assume says both of ${path}: done and not_done`, {
        hint: "Look at the target, and give one answer.",
      });
    }
    answers.set(path, said);
  }
  return answers;
}

/** Refuses flags and words that would be ignored: a user who asks for a dry run must not get a real one. */
function refuseIgnored(id: string, flags: Parsed["flags"], more: string | undefined): void {
  if (flags["plan"] === true)
    throw new PgdbaError("usage", "resume has no dry run: --plan can't be given here", {
      hint: `\`pgdba runs ${id}\` shows what was done and what is open. Without --plan, resume acts.`,
    });
  if (more === undefined) return;
  throw new PgdbaError("usage", `resume takes one run id, and no ${JSON.stringify(more)}`, {
    hint: "A run goes on with the parameters that it was begun with.",
  });
}

function checkTarget(row: RunRow, flags: Parsed["flags"]): void {
  const own = row.target.flags as Record<string, unknown>;
  const other = TARGET_FLAGS.filter((key) => flags[key] !== undefined && flags[key] !== own[key]);
  if (other.length === 0) return;
  const given = other.map((key) => `--${key}`).join(", ");
  throw new PgdbaError(
    "usage",
    `${row.id} works on ${row.target.name}; ${given} can't change that`,
    {
      hint: `Write \`pgdba resume ${row.id}\` without it, or start a new run there.`,
    },
  );
}

function checkResumable(row: RunRow, doc: Doc | undefined, journal: Journal): void {
  const anew = `Start it anew: ${commandAgain(row, doc)}`;
  if (row.plan) throw new PgdbaError("usage", `${row.id} was a dry run`, { hint: anew });
  // If its process can't be seen from here, the lock decides.
  if (isAtWork(row)) {
    throw new PgdbaError("lock_held", `${describeHolder(row.id, row.holder)} is still at work`, {
      hint: "Wait for it, or stop it there first.",
    });
  }
  if (isResumable(row)) return;
  const ended = isUnwound(row) ? "interrupted, and taken back" : row.status;
  throw new PgdbaError("usage", `${row.id} ended (${ended}); there is nothing to resume`, {
    hint: hintOf(row, journal) ?? anew,
  });
}

/** What a run that failed behind a point of no return said itself: what it has done is in force, and to do it all again is seldom what is wanted. */
function hintOf({ id, error }: RunRow, journal: Journal): string | null {
  const isKept = [...journal.seen(id).values()].some(({ kept }) => kept === true);
  return error?.hint && isKept ? `It failed with: ${error.message}. ${error.hint}` : null;
}

/** The backup that precedes the run, as it was decided when it began; for older records by what its runbooks say. */
function backupsOf({ judged }: RunRow, runbooks: ReadonlyMap<string, Runbook>): string[] {
  if (judged) return judged.backup === null ? [] : [judged.backup];
  return [...runbooks.values()]
    .filter(({ gives }) => gives.includes(VERIFIED_BACKUP))
    .map(({ name }) => name);
}

/** The runbooks as they were when the run began: what has been edited since does not count. */
async function frozenRunbooks(
  docs: ReadonlyMap<string, Doc>,
  library: Library,
  registry: StepRegistry,
): Promise<Map<string, Runbook>> {
  const frozen: Library = {
    entries: (kind) => library.entries(kind),
    find: (name) =>
      docs.has(name)
        ? { name, kind: "runbook", layer: "builtin", file: docs.get(name)!.file, overrides: [] }
        : library.find(name),
    load: async (name) => docs.get(name) ?? library.load(name),
  };
  const runbooks = new Map<string, Runbook>();
  for (const doc of docs.values()) {
    const { runbook, diagnostics } = await compile(doc, { registry, library: frozen });
    if (!runbook) throw invalid(doc.name, diagnostics);
    runbooks.set(doc.name, runbook);
  }
  return runbooks;
}
