import { complete, completionLines, type CompletionFacts } from "../view/completion.ts";
import { GLOBAL_FLAGS } from "./args.ts";
import type { Command, Commands, Result } from "./command.ts";
import { completionValues } from "./completion-values.ts";
import { stateDirOf } from "./config.ts";
import type { Front } from "./front.ts";
import { libraryOf } from "./library.ts";
import { outlineOf } from "./outline.ts";

/** Gives the scripts their proposals at every Tab, one per line. */
export async function completeWords(
  front: Front,
  words: string[],
  commands: Commands,
): Promise<Result> {
  const proposals = await complete(words, await facts(front, words, commands));
  return { exit: 0, text: completionLines(proposals), raw: true };
}

async function facts(front: Front, words: string[], known: Commands): Promise<CompletionFacts> {
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
  // Only the flags of the command that is typed are needed.
  const typed = await Promise.all(
    words
      .filter((word) => Object.hasOwn(known, word))
      .map(async (word) => [word, (await known[word]!.load()).default] as const),
  );
  const loaded = new Map<string, Command>(typed);
  return {
    commands: Object.entries(known).map(([name, { summary }]) => {
      const { flags, takes } = loaded.get(name) ?? {};
      return { name, summary, ...(flags && { flags }), ...(takes && { takes }) };
    }),
    runbooks,
    documents: library
      .entries()
      .filter(({ kind }) => kind !== "runbook")
      .map(({ name }) => name),
    clusters: await front.clusterNames(stateDir),
    flags: GLOBAL_FLAGS,
    valuesOf: (format, runbook) =>
      completionValues(front, library, { format, runbook, cluster: clusterIn(words) }),
  };
}

/** The cluster that the words typed so far name. */
function clusterIn(words: readonly string[]): string | undefined {
  const at = words.findLastIndex((word) => word === "--cluster" || word.startsWith("--cluster="));
  const word = words[at];
  return word === "--cluster" ? words[at + 1] : word?.slice("--cluster=".length);
}
