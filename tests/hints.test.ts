import { beforeAll, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { validateParams } from "../engine/check/params.ts";
import { compile } from "../engine/check/compile.ts";
import { paramFlags, paramValues, parseFlags } from "../engine/cli/args.ts";
import { COMMANDS } from "../engine/cli/commands/_index.ts";
import type { Runbook, StepRegistry } from "../engine/types.ts";
import type { Check } from "../steps/health/check/check.ts";
import type { Facts } from "../steps/health/examine/facts.ts";
import { remedyOf } from "../steps/health/findings/remedy.ts";
import { loaders } from "../steps/_registry.ts";
import { libraryWith } from "./runbooks/health/support.ts";
import { fakeContext } from "./support/context.ts";
import { clientOf, sharedServer } from "./support/postgres.ts";

const root = join(import.meta.dir, "..");
const registry: StepRegistry = {
  names: () => Object.keys(loaders),
  has: (type) => Object.hasOwn(loaders, type),
  get: async (type) => (await loaders[type]!()).default,
};
const runbooks = new Map<string, Runbook>();

beforeAll(async () => {
  const library = libraryWith();
  for (const { name } of library.entries("runbook")) {
    const { runbook } = await compile(await library.load(name), { registry, library });
    runbooks.set(name, runbook!);
  }
});

/** What is wrong with a command line, taken as a shell and then pgdba take it; null when it would run. */
async function fault(words: string[]): Promise<string | null> {
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
    const { params } = runbook;
    const parsed = parseFlags(words, paramFlags(params));
    const bare = parsed.words.slice(count);
    validateParams(params, paramValues(params, parsed, bare));
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}

/** The words of a line as sh reads them. */
async function wordsOf(line: string): Promise<string[]> {
  const child = Bun.spawn(["sh", "-c", `printf '%s\\0' ${line}`], { stdout: "pipe" });
  return (await new Response(child.stdout).text()).split("\0").slice(0, -1);
}

/** A server as a remedy sees it: PostgreSQL's own settings, and a machine that is known. */
const FACTS = {
  origins: {},
  restarting: [],
  patroni: false,
  role: "primary",
  version: 18,
  primary: { known: true, more: { max_connections: 200 }, words: "max_connections = 200" },
  machine: { memory: "64GB", memory_bytes: 64 * 1024 ** 3 },
} as unknown as Facts;

/** The command of a check for a row whose columns are all a figure, or all a text, whichever it understands; or what is wrong. */
async function commandOf(check: Check): Promise<{ words: string[]; wrong: string | null }> {
  const target = { flags: ["--host", "/tmp/a b", "--user", "o'neill"] };
  const columns = [...JSON.stringify(check.remedy).matchAll(/\brow\.(\w+)/g)];
  const params = Object.fromEntries(
    Object.entries(check.params ?? {}).map(([name, spec]) => [name, spec.default]),
  );
  let wrong: string | null = null;
  // A column that is empty may be what a command goes by, such as the owner of a value of one's own.
  const names = [undefined, ...new Set(columns.map(([, name]) => name))];
  const values = [64, "64", 'a;b "c"', { work_mem: "64MB" }, true];
  for (const [value, empty] of values.flatMap((one) => names.map((name) => [one, name] as const))) {
    const row = Object.fromEntries(columns.map(([, name]) => [name!, name === empty ? "" : value]));
    try {
      const vars = { row, params, server: FACTS };
      const words = await wordsOf(remedyOf(fakeContext({ target }), check, vars).command ?? "");
      wrong = words[0] === "pgdba" ? await fault(words.slice(1)) : "there is none";
      if (wrong === null) return { words, wrong };
    } catch (error) {
      wrong = (error as Error).message;
    }
  }
  return { words: [], wrong };
}

test("the commands that checks advise are complete, and so is what they set", async () => {
  const library = libraryWith();
  const settings = new Set<string>();
  const faults: string[] = [];
  let commands = 0;
  for (const { name } of library.entries("check")) {
    const check = (await library.load(name)).data as unknown as Check;
    if (check.remedy?.runbook === undefined) continue;
    commands += 1;
    const { words, wrong } = await commandOf(check);
    if (wrong !== null) faults.push(`${name}: ${wrong}`);
    else expect(words.slice(-4)).toEqual(["--host", "/tmp/a b", "--user", "o'neill"]);
    const at = words.indexOf("--settings");
    if (at > 0) for (const key of Object.keys(JSON.parse(words[at + 1] ?? ""))) settings.add(key);
  }
  expect(faults).toEqual([]);
  expect(commands).toBeGreaterThan(15);
  const client = await clientOf(await sharedServer(18));
  const { rows } = await client.query("select name from pg_settings");
  await client.end();
  const known = new Set(rows.map((row: { name: string }) => row.name));
  // A name that comes from the row is the figure that stands for it.
  expect([...settings].filter((key) => key !== "64" && !known.has(key))).toEqual([]);
});

test("the commands that errors advise are commands with flags that there are", async () => {
  const faults: string[] = [];
  let commands = 0;
  for (const file of ["engine", "providers", "steps"].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".ts"))
      .map((name) => join(folder, name)),
  )) {
    const text = readFileSync(join(root, file), "utf8");
    for (const [, found] of text.matchAll(/\\?`pgdba (\S[^`\\\n]*)\\?`/g)) {
      // `<resource> <action>` is how help names them all.
      const line = found!.replace(/\$\{[^}]*\}/g, "X").replace(/ ?<.*|\[.*/, "");
      if (line === "" || line.includes("|") || line.startsWith("RESOURCE")) continue;
      // A template within a template is cut in half; what is done beside the data is no runbook.
      if (line.includes("${") || /^(wal|work)\b/.test(line)) continue;
      commands += 1;
      const words = await wordsOf(line.replace(/[A-Za-z]+=done/, "'$&'"));
      if (words[0] === "X" || (words.length === 1 && !Object.hasOwn(COMMANDS, words[0]!))) continue;
      const wrong = await fault(words);
      if (wrong !== null) faults.push(`${file}: ${line}: ${wrong}`);
    }
  }
  expect(faults).toEqual([]);
  expect(commands).toBeGreaterThan(30);
});
