import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { cli, filesBelow, place, removePlaces, runbooks, write } from "./support.ts";

setDefaultTimeout(30_000);
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
  write(p.home, { "clusters/uri.yaml": of(URI), "clusters/conninfo.yaml": of(CONNINFO) });
  const asked: [args: string[], env: Record<string, string>, code: string][] = [
    [["--host", URI], {}, "invalid_param"],
    [["--host", CONNINFO], {}, "invalid_param"],
    [["--host", `app:${PASSWORD}@db.invalid`], {}, "invalid_param"],
    [["--host", "db.invalid", "--database", URI], {}, "invalid_param"],
    [["--host", "db.invalid", "--port", URI], {}, "invalid_param"],
    [["--host", "db.invalid", "--user", CONNINFO], {}, "invalid_param"],
    [["--cluster", URI], {}, "invalid_param"],
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
