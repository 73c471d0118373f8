import { afterAll, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { cli, place, removePlaces, runbooks, runId, Running } from "./support.ts";

afterAll(removePlaces);

const ASKS = `summary: s
risk: change
params:
  text: {type: string}
  limit: {type: integer, default: 5}
  tags: {type: array, items: {type: string}}
  force: {type: boolean, default: false}
  from_file: {type: string}
  token: {type: string, secret: true}
steps:
  - id: busy
    exec: {argv: [sh, -c, 'echo begun >&2; touch begun; sleep 60']}
  - id: after
    exec: {argv: [touch, after]}
`;

test("resume refuses what it would ignore, and does nothing then", async () => {
  const p = place(runbooks({ "t/asks": ASKS }));
  const child = new Running(["t", "asks"], p);
  await child.said("start busy");
  child.signal("SIGINT");
  child.signal("SIGTERM");
  const id = runId(await child.done());
  const refused = async (...args: string[]) => {
    const ran = await cli(["resume", id, "--assume", "busy=done", ...args], p);
    expect(ran.exit).toBe(2);
    expect(ran.envelope.error?.code).toBe("usage");
    return `${ran.envelope.error?.message} ${ran.envelope.error?.hint}`;
  };
  expect(await refused("--plan")).toContain(`pgdba runs ${id}`);
  expect(await refused("--host", "other.example")).toContain("--host");
  expect(await refused("--cluster", "other")).toContain("--cluster");
  expect(await refused("--user", "u", "--database", "d")).toContain("--user, --database");
  expect(await refused("--text", "new")).toContain("--text");
  expect(await refused("again")).toContain('"again"');
  const shown = await cli(["runs", id], p);
  expect(shown.envelope.data).toMatchObject({ status: "interrupted", answers: [] });
  expect(existsSync(join(p.cwd, "after"))).toBe(false);
});

test("a run that ended can be started anew with the command that the hint gives", async () => {
  const p = place(runbooks({ "t/asks": ASKS.replace("sleep 60", "exit 3") }));
  const env = { TOKEN: "s3cr3t-value" };
  const given = ["--text", "it's $HOME", "--limit", "7", "--tags", "a b", "--tags", "c", "--force"];
  given.push("--from-file=-x", "--token", "env:TOKEN");
  const ran = await cli(["t", "asks", ...given], p, { env });
  expect(ran.exit).toBe(1);
  const again = await cli(["resume", runId(ran)], p, { env });
  expect(again.exit).toBe(2);
  const hint = again.envelope.error!.hint!;
  expect(hint).toBe(
    "Start it anew: pgdba run t/asks --text 'it'\\''s $HOME' --limit 7 --tags 'a b' --tags c --force --from-file=-x --token env:TOKEN",
  );
});

test("a run that failed behind a point of no return says what to do next, and not to do it all again", async () => {
  const kept = `summary: s
risk: change
steps:
  - id: moved
    exec: {argv: [touch, moved]}
    keep: true
  - assert:
      that: "false"
      message: it does not stream
      hint: Write team/finish.
`;
  const p = place(runbooks({ "t/kept": kept }));
  const id = runId(await cli(["t", "kept"], p));
  const { exit, envelope } = await cli(["resume", id], p);
  expect([exit, envelope.error?.code]).toEqual([2, "usage"]);
  expect(envelope.error?.hint).toContain("it does not stream. Kept: moved");
  expect(envelope.error?.hint).toContain("Write team/finish.");
  expect(envelope.error?.hint).not.toContain("anew");
});
