import { PgdbaError } from "../../errors.ts";
import { complete, completionLines, type CompletionFacts } from "../../view/completion.ts";
import { completion, type Shell } from "../../view/completion-scripts.ts";
import { GLOBAL_FLAGS } from "../args.ts";
import type { Command, Result } from "../command.ts";
import { completionValues } from "../completion-values.ts";
import { stateDirOf } from "../config.ts";
import type { Front } from "../front.ts";
import { libraryOf } from "../library.ts";
import { COMMANDS } from "./index.ts";
import { outlineOf } from "./list.ts";

const SHELLS: readonly Shell[] = ["bash", "zsh", "fish"];
export default {
  summary: "Completion script for a shell",
  usage: "bash|zsh|fish",
  takes: SHELLS,
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
  const proposals = await complete(words, await facts(front, words));
  return { exit: 0, text: completionLines(proposals), raw: true };
}

async function facts(front: Front, words: string[]): Promise<CompletionFacts> {
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
  // Only of the command that is typed its flags are needed.
  const typed = await Promise.all(
    words
      .filter((word) => Object.hasOwn(COMMANDS, word))
      .map(async (word) => [word, (await COMMANDS[word]!.load()).default] as const),
  );
  const loaded = new Map<string, Command>(typed);
  return {
    commands: [
      ...Object.entries(COMMANDS).map(([name, { summary }]) => {
        const { flags, takes } = loaded.get(name) ?? {};
        return { name, summary, ...(flags && { flags }), ...(takes && { takes }) };
      }),
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
    flags: GLOBAL_FLAGS,
    valuesOf: (format, runbook) => completionValues(front, library, format, runbook),
  };
}
