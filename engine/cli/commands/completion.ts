import { PgdbaError } from "../../errors.ts";
import { Journal } from "../../journal/journal.ts";
import {
  complete,
  completionLines,
  type CompletionFacts,
  type Proposal,
} from "../../view/completion.ts";
import { completion, type Shell } from "../../view/completion-scripts.ts";
import { GLOBAL_FLAGS } from "../args.ts";
import type { Command, Result } from "../command.ts";
import { stateDirOf } from "../config.ts";
import type { Front } from "../front.ts";
import { libraryOf } from "../library.ts";
import type { Library } from "../../types.ts";
import { COMMANDS } from "./index.ts";
import { outlineOf } from "./list.ts";

const SHELLS: readonly Shell[] = ["bash", "zsh", "fish"];
const TAKES: Record<string, CompletionFacts["commands"][number]["takes"]> = {
  run: "runbook",
  show: "document",
  lint: "document",
  test: "runbook",
  runs: "run",
  resume: "run",
  help: "runbook",
  completion: SHELLS,
};

export default {
  summary: "Completion script for a shell",
  usage: "bash|zsh|fish",
  async run(_front, _parsed, words) {
    const shell = SHELLS.find((one) => one === words[0]);
    if (!shell) {
      throw new PgdbaError("usage", "For which shell?", {
        hint: `pgdba completion ${SHELLS.join("|")}`,
      });
    }
    // A script to be sourced: the one output that is never an envelope, unless JSON is asked for.
    return {
      exit: 0,
      data: { script: completion(shell) },
      text: completion(shell).trimEnd(),
      raw: true,
    };
  },
} satisfies Command;

/** What the scripts call at every Tab: proposals, one per line. */
export async function completeWords(front: Front, words: string[]): Promise<Result> {
  const proposals = await complete(words, await facts(front));
  return { exit: 0, text: completionLines(proposals), raw: true };
}

async function facts(front: Front): Promise<CompletionFacts> {
  const library = libraryOf(front, []);
  const stateDir = stateDirOf(front);
  const runbooks: CompletionFacts["runbooks"][number][] = [];
  for (const entry of library.entries("runbook")) {
    try {
      const { summary, specs } = await outlineOf(front, library, entry);
      runbooks.push({ name: entry.name, summary, params: specs });
    } catch {
      // A runbook that does not compile is still a name that lint and show take.
      runbooks.push({ name: entry.name, params: {} });
    }
  }
  return {
    commands: [
      ...Object.entries(COMMANDS).map(([name, { summary }]) => ({
        name,
        summary,
        ...(TAKES[name] ? { takes: TAKES[name] } : {}),
      })),
      ...front.extras.map((extra) => ({
        name: extra.name,
        summary: extra.summary,
        flags: extra.flags,
        takes: Object.keys(extra.actions),
      })),
    ],
    runbooks,
    documents: library
      .entries()
      .filter(({ kind }) => kind !== "runbook")
      .map(({ name }) => name),
    clusters: await front.clusterNames(stateDir),
    runs: recentRuns(front, stateDir),
    flags: GLOBAL_FLAGS,
    valuesOf: (format) => documentValues(front, library, format),
  };
}

/** For `check` the last parts of the names of all checks, for `check.group` what a check may have as its group. */
async function documentValues(front: Front, library: Library, format: string): Promise<Proposal[]> {
  const [kind, key] = format.split(".");
  if (key === undefined)
    return library.entries(kind).map(({ name }) => ({ word: name.split("/").at(-1) ?? name }));
  for (const type of front.registry.names()) {
    const { document } = await front.registry.get(type);
    if (document?.kind !== kind) continue;
    return (document?.schema.properties?.[key]?.enum ?? []).map((value) => ({
      word: String(value),
    }));
  }
  return [];
}

function recentRuns(front: Front, stateDir: string): Proposal[] {
  try {
    const journal = Journal.toLookAt(stateDir, front.secrets);
    try {
      return journal.runs(50).map((row) => ({
        word: row.id,
        description: "damaged" in row ? "damaged" : `${row.runbook}, ${row.status}`,
      }));
    } finally {
      journal.close();
    }
  } catch {
    // `pgdba runs` tells what is wrong with the journal; the other words are completed all the same.
    return [];
  }
}
