import { beforeAll, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { COMMANDS } from "../engine/cli/commands/_index.ts";
import type { Runbook } from "../engine/types.ts";
import type { Check } from "../steps/health/check/check.ts";
import type { Facts } from "../steps/health/examine/facts.ts";
import { remedyOf } from "../steps/health/findings/remedy.ts";
import { libraryWith } from "./runbooks/health/support.ts";
import { builtIn, fault, wordsOf } from "./support/command-lines.ts";
import { fakeContext } from "./support/context.ts";
import { clientOf, sharedServer } from "./support/postgres.ts";

const root = join(import.meta.dir, "..");
let runbooks: Map<string, Runbook>;

beforeAll(async () => {
  runbooks = await builtIn();
});

/** A server as a remedy sees it: PostgreSQL's own settings, and a machine that is known. */
const FACTS = {
  origins: {},
  restarting: [],
  patroni: false,
  role: "primary",
  database: "a;b",
  version: 18,
  primary: {
    known: true,
    more: { max_connections: 200 },
    words: "max_connections = 200",
    set: false,
    next_known: true,
    next: { max_connections: 200 },
    next_words: "max_connections = 100, the primary 200",
  },
  flags: "--cluster a",
  machine: { memory: "64GB", memory_bytes: 64 * 1024 ** 3 },
} as unknown as Facts;
/** The same, whose primary has nothing more than it. */
const EQUAL = {
  ...FACTS,
  primary: { known: true, more: null, words: "", set: false },
} as unknown as Facts;

const PATRONI = {
  ...EQUAL,
  patroni: true,
  primary: { ...EQUAL.primary, set: true },
} as unknown as Facts;

/** The command of a check for a row whose columns are all a figure, small or large, or all a text, whichever it understands; or what is wrong. */
async function commandOf(
  check: Check,
  server = FACTS,
): Promise<{ words: string[]; wrong: string | null }> {
  const target = { flags: ["--host", "/tmp/a b", "--user", "o'neill"] };
  const columns = [...JSON.stringify(check.remedy).matchAll(/\brow\.(\w+)/g)];
  const params = Object.fromEntries(
    Object.entries(check.params ?? {}).map(([name, spec]) => [name, spec.default]),
  );
  let wrong: string | null = null;
  // A column that is empty may be what a command goes by, such as the owner of a value of one's own.
  const names = [undefined, ...new Set(columns.map(([, name]) => name))];
  // The large figure is beyond every threshold that a command waits for.
  const values = [64, 1e12, "64", 'a;b "c"', { work_mem: "64MB" }, true];
  for (const [value, empty] of values.flatMap((one) => names.map((name) => [one, name] as const))) {
    const row = Object.fromEntries(columns.map(([, name]) => [name!, name === empty ? "" : value]));
    // No figure and no text is a moment.
    if (row["started"] === value) row["started"] = "2026-01-01T00:00:00.000000Z";
    try {
      const vars = { row, params, server };
      const words = await wordsOf(remedyOf(fakeContext({ target }), check, vars).command ?? "");
      wrong = words[0] === "pgdba" ? await fault(words.slice(1), runbooks) : "there is none";
      if (wrong === null) return { words, wrong };
    } catch (error) {
      wrong = (error as Error).message;
    }
  }
  if (server === PATRONI) return { words: [], wrong };
  return commandOf(check, server === EQUAL ? PATRONI : EQUAL);
}

/** The check with each of the runbooks that its remedy names, alone. */
function eachRunbook(check: Check): Check[] {
  const { runbooks = {}, runbook, also = [], ...rest } = check.remedy ?? {};
  const { settings: _, params: __, ...words } = rest;
  return [
    ...(runbook === undefined ? [] : [{ ...check, remedy: { ...rest, runbook } }]),
    ...[
      ...Object.entries(runbooks),
      ...also.map(({ runbook: name, params }) => [name, params] as const),
    ].map(([name, params]) => ({
      ...check,
      remedy: { ...words, runbooks: { [name]: params } },
    })),
  ];
}

test("the commands that checks advise are complete, and so is what they set", async () => {
  const library = libraryWith();
  const settings = new Set<string>();
  const faults: string[] = [];
  let commands = 0;
  for (const { name } of library.entries("check")) {
    const check = (await library.load(name)).data as unknown as Check;
    for (const one of eachRunbook(check)) {
      commands += 1;
      const { words, wrong } = await commandOf(one);
      if (wrong !== null) faults.push(`${name}: ${wrong}`);
      else expect(words.join(" ")).toContain("--host /tmp/a b --user o'neill");
      // Those of a table are storage parameters.
      const at = words.includes("--table") ? -1 : words.indexOf("--settings");
      if (at > 0) for (const key of Object.keys(JSON.parse(words[at + 1] ?? ""))) settings.add(key);
    }
  }
  expect(faults).toEqual([]);
  expect(commands).toBeGreaterThan(15);
  const client = await clientOf(await sharedServer(18));
  const { rows } = await client.query("select name from pg_settings");
  await client.end();
  const known = new Set(rows.map((row: { name: string }) => row.name));
  // A name that comes from the row is what stands for it.
  expect([...settings].filter((key) => !["64", "true"].includes(key) && !known.has(key))).toEqual(
    [],
  );
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
      const wrong = await fault(words, runbooks);
      if (wrong !== null) faults.push(`${file}: ${line}: ${wrong}`);
    }
  }
  expect(faults).toEqual([]);
  expect(commands).toBeGreaterThan(30);
});

/** The command lines of a page: those of its blocks for a shell, and what stands in backticks and begins with pgdba. */
function commandsOf(page: string): string[] {
  const text = readFileSync(join(root, page), "utf8");
  const blocks = [...text.matchAll(/```sh\n([\s\S]*?)```/g)].flatMap(([, block]) =>
    block!
      .replaceAll("\\\n", " ")
      .split("\n")
      .map((line) => line.replace(/\s#\s.*/, ""))
      .flatMap((line) => line.split(/ && | \| /)),
  );
  const inline = [...text.replace(/```[\s\S]*?```/g, "").matchAll(/`([^`]*)`/g)].map(([, code]) =>
    code!.replace(/\s+/g, " "),
  );
  return [...blocks, ...inline].flatMap(
    (line) => /^\s*(?:npx |\w+=\S* )?pgdba (\S.*)$/.exec(line)?.[1] ?? [],
  );
}

/** Words that stand for a value, in lines that are no whole commands. */
const STANDING_FOR: readonly [RegExp, string][] = [
  [/(?<=--settings )…/, "'{}'"],
  [/\bPID\b/, "1"],
  [/\bTIME\b/, "2026-01-01T00:00:00Z"],
];

test("the commands that the pages show are commands with flags that there are", async () => {
  const faults: string[] = [];
  let commands = 0;
  const pages = ["README.md", ...readdirSync(join(root, "docs")).map((name) => `docs/${name}`)];
  for (const page of pages) {
    for (const found of commandsOf(page)) {
      // Runbooks of a team, what is done beside the data, and names of several commands are none of these.
      if (/^(team|wal|work)\b|<|\\\|/.test(found)) continue;
      commands += 1;
      const line = STANDING_FOR.reduce((all, [word, value]) => all.replace(word, value), found);
      const wrong = await fault(await wordsOf(line), runbooks);
      if (wrong !== null) faults.push(`${page}: ${found}: ${wrong}`);
    }
  }
  expect(faults).toEqual([]);
  expect(commands).toBeGreaterThan(150);
});
