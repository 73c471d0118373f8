import { validateParams } from "../../engine/check/params.ts";
import { compile } from "../../engine/check/compile.ts";
import { paramFlags, paramValues, parseFlags } from "../../engine/cli/args.ts";
import { otherRunbook } from "../../engine/cli/named-target.ts";
import { COMMANDS } from "../../engine/cli/commands/_index.ts";
import type { Runbook, StepRegistry } from "../../engine/types.ts";
import { loaders } from "../../steps/_registry.ts";
import { libraryWith } from "../runbooks/health/support.ts";

const registry: StepRegistry = {
  names: () => Object.keys(loaders),
  has: (type) => Object.hasOwn(loaders, type),
  get: async (type) => (await loaders[type]!()).default,
};

/** All runbooks that are built in, by name. */
export async function builtIn(): Promise<Map<string, Runbook>> {
  const library = libraryWith();
  const runbooks = new Map<string, Runbook>();
  for (const { name } of library.entries("runbook")) {
    const { runbook } = await compile(await library.load(name), { registry, library });
    runbooks.set(name, runbook!);
  }
  return runbooks;
}

/** What is wrong with a command line, taken as a shell and then pgdba take it; null when it would run. */
export async function fault(
  words: string[],
  runbooks: ReadonlyMap<string, Runbook>,
): Promise<string | null> {
  const [first = "", second = "", third = ""] = words;
  try {
    if (Object.hasOwn(COMMANDS, first)) {
      const { default: command } = await COMMANDS[first]!.load();
      if (first !== "run") {
        parseFlags(words, command.flags ?? {});
        return null;
      }
    }
    const long = `${first}/${second}/${third}`;
    const count = runbooks.has(long) ? 3 : 2;
    const name = first === "run" ? second : count === 3 ? long : `${first}/${second}`;
    if (name === "NAME") return null;
    const runbook = runbooks.get(name);
    if (runbook === undefined) return `there is no runbook ${name}`;
    const other = otherRunbook(runbook.params, words);
    const { params } = other === undefined ? runbook : runbooks.get(other)!;
    const parsed = parseFlags(words, paramFlags(params));
    const bare = parsed.words.slice(count);
    validateParams(params, paramValues(params, parsed, bare));
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}

/** The words of a line as sh reads them. */
export async function wordsOf(line: string): Promise<string[]> {
  const child = Bun.spawn(["sh", "-c", `printf '%s\\0' ${line}`], { stdout: "pipe" });
  return (await new Response(child.stdout).text()).split("\0").slice(0, -1);
}
