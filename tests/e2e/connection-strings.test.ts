import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { cli, filesBelow, place, removePlaces, runbooks, write } from "./support.ts";

setDefaultTimeout(300_000);
afterAll(removePlaces);

const PASSWORD = "s3cret+pw";
const URI = `postgres://app:${encodeURIComponent(PASSWORD)}@db.invalid:5432/shop`;
const CONNINFO = `host=db.invalid password=${PASSWORD} dbname=shop`;

test("a URI or a connection string in place of one part of it is refused, not repeated and not looked up", async () => {
  const p = place(
    runbooks({ "t/look": "summary: s\nrisk: read\nneeds: [postgres]\nsteps:\n  - set: {a: 1}\n" }),
  );
  const of = (host: string) =>
    `ownership: connected\nlabels: []\npostgres: {host: ${JSON.stringify(host)}, user: app}\n`;
  write(p.home, {
    "clusters/uri.yaml": of(URI),
    "clusters/conninfo.yaml": of(CONNINFO),
    "clusters/login.yaml": of(`//app:${PASSWORD}@db.invalid`),
  });
  const asked: [args: string[], env: Record<string, string>, code: string][] = [
    [["--host", URI], {}, "invalid_param"],
    [["--host", CONNINFO], {}, "invalid_param"],
    [["--host", `app:${PASSWORD}@db.invalid`], {}, "invalid_param"],
    [["--host", "db.invalid", "--database", URI], {}, "invalid_param"],
    [["--host", "db.invalid", "--port", URI], {}, "invalid_param"],
    [["--host", "db.invalid", "--user", CONNINFO], {}, "invalid_param"],
    [["--cluster", URI], {}, "invalid_param"],
    ...["", "//"].flatMap((before): typeof asked => {
      const login = `${before}app:${PASSWORD}@db.invalid`;
      return [
        ...["--host", "--user", "-d", "--port", "--cluster"].map((flag): (typeof asked)[number] => [
          [flag, login],
          {},
          "invalid_param",
        ]),
        ...["PGDBA_PG_USER", "PGUSER", "PGDATABASE", "PGDBA_PG_HOST", "PGPORT"].map(
          (name): (typeof asked)[number] => [[], { [name]: login }, "invalid_param"],
        ),
      ];
    }),
    [["--cluster", `app:${PASSWORD}`], {}, "invalid_param"],
    [["--host", `//${PASSWORD}@db.invalid`], {}, "invalid_param"],
    [["--cluster", "login"], {}, "invalid_config"],
    [["--cluster", "uri"], {}, "invalid_config"],
    [["--cluster", "conninfo"], {}, "invalid_config"],
    [[], { PGHOST: URI }, "invalid_param"],
    [[], { PGDBA_PG_HOST: "db.invalid", PGDATABASE: CONNINFO }, "invalid_param"],
    [[URI], {}, "usage"],
  ];
  const all = await Promise.all(
    asked.map(async ([args, env]) => cli(["t", "look", ...args], p, { env })),
  );
  for (const [n, ran] of all.entries()) {
    expect({ args: asked[n]![0], code: ran.envelope.error?.code as string }).toEqual({
      args: asked[n]![0],
      code: asked[n]![2],
    });
    expect(ran.stdout + ran.stderr).not.toContain("s3cret");
  }
  for (const text of filesBelow(p.home).values())
    if (!text.includes("ownership")) expect(text).not.toContain("s3cret");
});

test("an empty flag is refused: it does not mean what was not given", async () => {
  const p = place(
    runbooks({
      "t/say": `summary: s\nrisk: read\nparams: {text: {type: string, required: true}}\nsteps: [{id: a, set: {text: params.text}}]\noutput: {text: steps.a.output.text}\n`,
    }),
  );
  const env = { PGHOST: "db.invalid", PGPORT: "1" };
  const say = ["t", "say", "--text", "x"];
  const names = ["cluster", "host", "port", "user", "database", "runbooks", "config", "events"];
  const asked = [
    ...[...names, "confirm", "format", "lock-wait"].map((name) => [...say, `--${name}=`]),
    [...say, "-d", ""],
    [...say, "--runbooks", p.cwd, "--runbooks", ""],
    ["run", "t/say", "--text", "x", "--host", ""],
    ["list", "--runbooks="],
    ["resume", "x", "--assume="],
    ["lab", "up", "--host="],
    ["--config="],
  ];
  const all = await Promise.all(asked.map((args) => cli(args, p, { env })));
  for (const [n, { exit, envelope }] of all.entries())
    expect({ args: asked[n]!, exit, error: envelope.error }).toMatchObject({
      exit: 2,
      error: {
        code: "invalid_param",
        message: expect.stringMatching(/^--?[a-z-]+ is empty$/),
        hint: expect.stringContaining("leave it out"),
      },
    });
  // A parameter's text may be empty.
  const said = await cli(["t", "say", "--text="], p);
  expect(said.envelope).toMatchObject({ error: null, data: { text: "" } });
});

test("the file of --events is a regular one, or is made", async () => {
  const p = place(
    runbooks({ "t/act": "summary: s\nrisk: change\nsteps:\n  - exec: {argv: [touch, acted]}\n" }),
  );
  const made = (name: string) => join(p.root, name);
  expect(Bun.spawnSync(["mkfifo", made("fifo")]).exitCode).toBe(0);
  mkdirSync(made("folder"));
  writeFileSync(made("file"), "before\n");
  symlinkSync(made("file"), made("link"));
  for (const [file, says] of [
    [made("fifo"), /is a FIFO, not a file/],
    [made("folder"), /is a folder, not a file/],
    [made("link"), /is a symbolic link, not a file/],
    ["/dev/full", /is a device, not a file/],
    ["/dev/stdout", /not a file/],
    [made("none/events"), /ENOENT/],
  ] as const) {
    const { exit, envelope } = await cli(["t", "act", "--events", file], p);
    expect({ file, exit, error: envelope.error }).toMatchObject({
      exit: 2,
      error: { code: "usage", message: expect.stringMatching(says), hint: expect.any(String) },
    });
  }
  expect(existsSync(join(p.cwd, "acted"))).toBe(false);
  expect((await cli(["t", "act", "--events", made("file")], p)).exit).toBe(0);
  expect(readFileSync(made("file"), "utf8")).toMatch(/^before\n\{.*"run\.finished"/s);
  expect((await cli(["t", "act", "--events", made("new")], p)).exit).toBe(0);
  expect(statSync(made("new")).mode & 0o777).toBe(0o600);
});

test("a password equal to a word of ours masks no key, state, id or code", async () => {
  const p = place(
    runbooks({
      "t/status": `summary: s\nrisk: read\nparams: {word: {type: string, secret: true, required: true}}
steps:
  - {id: status, set: {a: 1}}
  - {id: failed, exec: {argv: ["false"], effect: read}}
`,
    }),
  );
  for (const word of ["status", "failed", "command_failed", "steps"]) {
    const { envelope, exit } = await cli(["t", "status", "--word", "env:WORD"], p, {
      env: { WORD: word },
    });
    expect(exit).toBe(1);
    expect(envelope.error).toMatchObject({
      code: "command_failed",
      step: "failed",
      run: {
        runbook: "t/status",
        status: "failed",
        steps: [
          { id: "status", status: "ok" },
          { id: "failed", status: "failed", error: { code: "command_failed" } },
        ],
      },
    } as never);
  }
});
