import { PgdbaError } from "../../errors.ts";
import { Journal } from "../../journal/journal.ts";
import { complete, completion, type CompletionFacts, type Shell } from "../../view/completion.ts";
import { GLOBAL_FLAGS } from "../args.ts";
import type { Command, Result } from "../command.ts";
import { stateDirOf } from "../config.ts";
import type { Front } from "../front.ts";
import { libraryOf } from "../library.ts";
import { COMMANDS } from "./index.ts";
import { outlineOf } from "./list.ts";

const SHELLS: readonly Shell[] = ["bash", "zsh", "fish"];
const TAKES: Record<string, "runbook" | "run" | readonly string[]> = {
  run: "runbook",
  show: "runbook",
  lint: "runbook",
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
  const proposals = complete(words, await facts(front));
  return { exit: 0, text: proposals.join("\n"), raw: true };
}

async function facts(front: Front): Promise<CompletionFacts> {
  const library = libraryOf(front, []);
  const stateDir = stateDirOf(front);
  const runbooks: { name: string; params: CompletionFacts["runbooks"][number]["params"] }[] = [];
  for (const entry of library.entries("runbook")) {
    try {
      runbooks.push({ name: entry.name, params: (await outlineOf(front, library, entry)).specs });
    } catch {
      // A runbook that does not compile is still a name that lint and show take.
      runbooks.push({ name: entry.name, params: {} });
    }
  }
  return {
    commands: [
      ...Object.keys(COMMANDS).map((name) => ({
        name,
        ...(TAKES[name] ? { takes: TAKES[name] } : {}),
      })),
      ...front.extras.map((extra) => ({
        name: extra.name,
        flags: extra.flags,
        takes: Object.keys(extra.actions),
      })),
    ],
    runbooks,
    clusters: await front.clusterNames(stateDir),
    runs: recentRuns(front, stateDir),
    flags: GLOBAL_FLAGS,
  };
}

function recentRuns(front: Front, stateDir: string): string[] {
  try {
    const journal = Journal.toLookAt(stateDir, front.secrets);
    try {
      return journal.runs(50).map((row) => row.id);
    } finally {
      journal.close();
    }
  } catch {
    // `pgdba runs` tells what is wrong with the journal; the other words are completed all the same.
    return [];
  }
}
