import { compile } from "../../check/compile.ts";
import { PgdbaError } from "../../errors.ts";
import { describeHolder, stateOf } from "../../journal/holder.ts";
import { Journal, type RunRow, type Said } from "../../journal/journal.ts";
import { damagedRecord } from "../../journal/rows.ts";
import type { Doc, Library, Runbook, StepRegistry } from "../../types.ts";
import { invalid } from "../closure.ts";
import type { Command } from "../command.ts";
import { stateDirOf } from "../config.ts";
import { findRun } from "../find-run.ts";
import type { TargetFlags } from "../front.ts";
import { libraryOf, loadRegistry } from "../library.ts";
import { withSecrets } from "../secret-params.ts";
import { openTarget, startRun } from "../start-run.ts";
import { commandName } from "./run.ts";

export default {
  summary: "Go on with a run that was cut short",
  usage: "<run id> [--assume PATH=done|not_done]",
  flags: {
    assume: {
      type: "string",
      multiple: true,
      summary: "What you found out about a step that nothing else can tell about",
    },
  },
  async run(front, parsed, words) {
    const [id] = words;
    if (!id) throw new PgdbaError("usage", "Which run?", { hint: "`pgdba runs` lists them." });
    const assumed = readAssumed((parsed.flags["assume"] as string[] | undefined) ?? []);
    const library = libraryOf(front, (parsed.flags["runbooks"] as string[] | undefined) ?? []);
    const registry = await loadRegistry(front);
    const journal = new Journal(stateDirOf(front), front.secrets);
    let handedOver = false;
    try {
      const row = findRun(journal, id);
      checkResumable(row);
      const docs = journal.docs(row.id);
      // Which of the two is damaged, nobody can tell.
      if (!docs.has(row.runbook)) throw damagedRecord(`run ${row.id}`, ["runbook", "docs"]);
      const runbooks = await frozenRunbooks(docs, library, registry);
      const runbook = runbooks.get(row.runbook)!;
      const params = withSecrets(runbook.params, row.params, front.env, front.secrets);
      const targetFlags = row.target.flags as TargetFlags;
      const target = await openTarget(front, targetFlags);
      handedOver = true;
      return await startRun(
        front,
        { ...parsed.flags, ...targetFlags },
        { library, registry, journal },
        {
          command: commandName(runbook.name),
          runbook,
          runbooks,
          params,
          recordedParams: row.params,
          target,
          targetFlags,
          plan: false,
          resume: { row, assumed },
        },
      );
    } finally {
      if (!handedOver) journal.close();
    }
  },
} satisfies Command;

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

function checkResumable(row: RunRow): void {
  if (row.plan) throw new PgdbaError("usage", `${row.id} was a dry run`, { hint: "Run it again." });
  // Where a process can't be seen from here, the lock decides.
  if (row.status === "running" && stateOf(row.holder) === "alive") {
    throw new PgdbaError("lock_held", `${describeHolder(row.id, row.holder)} is still at work`, {
      hint: "Wait for it, or stop it there first.",
    });
  }
  if (["running", "interrupted", "needs_operator"].includes(row.status)) return;
  throw new PgdbaError("usage", `${row.id} ended (${row.status}); there is nothing to resume`, {
    hint: `Run it again: pgdba run ${row.runbook}`,
  });
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
