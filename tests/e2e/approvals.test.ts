import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { userOf } from "../../engine/approval/owned.ts";
import { type Approval, readPrivate, signApproval } from "../../engine/approval/approval.ts";
import {
  at,
  cli,
  type Place,
  place,
  removePlaces,
  type Ran,
  runbooks,
  stepTypes,
  write,
} from "./support.ts";

setDefaultTimeout(300_000);
afterAll(removePlaces);

const TOUCH = `summary: Touch a file.
risk: disruptive
params: {file: {type: string, default: touched}}
steps:
  - exec: {argv: [touch, "\${params.file}"]}
`;
const ASKS = `summary: Ask in the middle.
risk: change
steps:
  - exec: {argv: [touch, before]}
  - confirm: {question: "Go on?"}
  - exec: {argv: [touch, after]}
`;

/** A place where an agent needs the approval of whoever has the key of `alice`. */
async function guarded(): Promise<Place & { key: string; asAgent: Options }> {
  const p = place(runbooks({ "team/touch": TOUCH, "team/ask": ASKS }));
  const key = join(p.root, "alice.pem");
  const made = await cli(["approve", "--new-key", key], p);
  const policy = `approvals: ${join(p.root, "approvals")}
rules:
  - match: {caller: agent, risk: [change, disruptive, destructive]}
    action: approve
    by: {keys: {alice: "${String(at(made.envelope, "data", "public_key"))}"}}
    reason: An agent changes nothing alone
`;
  write(p.root, { "etc/policy.yaml": policy });
  return { ...p, key, asAgent: { env: { PGDBA_CALLER: "agent" } } };
}
interface Options {
  env: Record<string, string>;
}

const requestOf = ({ envelope }: Ran) => String(at(envelope, "error", "data", "request"));
const said = ({ exit, envelope }: Ran) => ({ exit, code: envelope.error?.code ?? null });

test("an agent asks, a person approves, and it is done once", async () => {
  const p = await guarded();
  const acted = () => existsSync(join(p.cwd, "touched"));
  // What it could say by itself counts for nothing.
  const asked = await cli(["team", "touch", "--yes"], p, p.asAgent);
  expect(said(asked)).toEqual({ exit: 4, code: "approval_needed" });
  const id = requestOf(asked);
  const run = ["team", "touch", "--yes", "--approval", id];
  expect(said(await cli(run, p, p.asAgent))).toEqual({ exit: 4, code: "approval_needed" });
  expect(acted()).toBe(false);
  // Without a terminal and without a key it is only shown.
  const shown = await cli(["approve", id], p);
  expect(said(shown)).toEqual({ exit: 4, code: "approval_needed" });
  expect(at(shown.envelope, "data", "parts", "step exec_1")).toMatchObject({ status: "previewed" });
  expect(at(shown.envelope, "data", "parts", "parameter file")).toBe("touched");
  const list = await cli(["approve"], p);
  expect(at(list.envelope, "data", "requests", 0)).toMatchObject({ id, run: "team/touch" });

  const approved = await cli(["approve", id, "--key", p.key, "--yes"], p);
  expect(approved).toMatchObject({ exit: 0, envelope: { data: { by: "alice" } } });
  const ran = await cli(run, p, p.asAgent);
  expect(said(ran)).toEqual({ exit: 0, code: null });
  expect(acted()).toBe(true);
  const record = await cli(["runs", String(at(ran.envelope, "data", "run", "id"))], p);
  expect(at(record.envelope, "data", "audit", 0)).toMatchObject({
    kind: "began",
    approval: id,
    about: { said: { approved: [{ by: "alice", how: "key" }] } },
  });

  rmSync(join(p.cwd, "touched"));
  const again = await cli(run, p, p.asAgent);
  expect(said(again)).toEqual({ exit: 3, code: "policy_refused" });
  expect(again.envelope.error?.message).toContain("was used by run");
  expect(acted()).toBe(false);
  expect(said(await cli(["runs", "verify"], p))).toEqual({ exit: 0, code: null });
  // A person is asked for nothing, and a plan is a read.
  expect(
    said(await cli(["team", "touch", "--yes"], p, { env: { PGDBA_CALLER: "human" } })).exit,
  ).toBe(0);
  expect(said(await cli(["team", "touch", "--plan"], p, p.asAgent)).exit).toBe(0);
});

test("whatever has changed since is named, and nothing is done", async () => {
  const p = await guarded();
  const id = requestOf(await cli(["team", "touch"], p, p.asAgent));
  await cli(["approve", id, "--key", p.key, "--yes"], p);
  const run = (...more: string[]) =>
    cli(["team", "touch", "--approval", id, ...more], p, p.asAgent);
  const differ = async (ran: Promise<Ran>) => {
    const { exit, envelope } = await ran;
    return [exit, at(envelope, "error", "data", "differ")];
  };
  expect(await differ(run("--file", "other"))).toEqual([3, ["parameter file", "step exec_1"]]);
  expect(await differ(run("--without-backup", "x"))).toEqual([3, ["flags and policy"]]);
  write(p.cwd, { ".pgdba/runbooks/team/touch.yaml": `${TOUCH}# changed\n` });
  expect(await differ(run())).toEqual([3, ["runbook team/touch"]]);
  write(p.cwd, { ".pgdba/runbooks/team/touch.yaml": TOUCH });
  const policy = join(p.root, "etc/policy.yaml");
  const before = readFileSync(policy, "utf8");
  writeFileSync(policy, before.replace("alone", "at all"));
  expect(await differ(run())).toEqual([3, ["flags and policy"]]);
  writeFileSync(policy, before);
  expect(existsSync(join(p.cwd, "touched"))).toBe(false);
  expect(said(await run()).exit).toBe(0);
});

test("an approval that was forged, altered, or has expired is none", async () => {
  const p = await guarded();
  const id = requestOf(await cli(["team", "touch"], p, p.asAgent));
  const run = () => cli(["team", "touch", "--approval", id], p, p.asAgent);
  const given = await cli(["approve", id, "--key", p.key, "--yes"], p);
  const file = String(at(given.envelope, "data", "file"));
  const good = JSON.parse(readFileSync(file, "utf8")) as Approval;
  const put = (approval: Approval) => writeFileSync(file, JSON.stringify(approval));
  const key = readPrivate(readFileSync(p.key, "utf8"), p.key);
  const hour = 3600_000;
  const later = (ms: number) => new Date(Date.now() + ms).toISOString();

  put({ ...good, expires_at: new Date(Date.parse(good.at) + 1000).toISOString() });
  await Bun.sleep(10);
  const refused = await run();
  expect(refused.exit).toBe(4);
  expect(refused.envelope.error?.message).toMatch(/signature|expired/);
  put({ ...good, at: later(1000), expires_at: later(10_000) });
  expect((await run()).envelope.error?.message).toContain("its signature is not of that key");
  put(signApproval({ ...good, at: later(-hour), expires_at: later(-hour / 2) }, key));
  expect((await run()).envelope.error?.message).toContain("longer than 15 minutes");
  put(signApproval({ ...good, at: later(-hour), expires_at: later(-hour + 600_000) }, key));
  expect((await run()).envelope.error?.message).toContain("it expired at");
  put(signApproval({ ...good, request: "other" }, key));
  expect((await run()).envelope.error?.message).toContain("no approval of this request");
  // The agent's own key is not in the policy, and its own word proves nothing.
  const own = join(p.root, "own.pem");
  await cli(["approve", "--new-key", own], p);
  expect(said(await cli(["approve", id, "--key", own, "--yes"], p)).code).toBe("policy_refused");
  put(signApproval(good, readPrivate(readFileSync(own, "utf8"), own)));
  expect((await run()).envelope.error?.message).toContain("its signature is not of that key");
  expect(existsSync(join(p.cwd, "touched"))).toBe(false);
  put(good);
  expect((await run()).exit).toBe(0);
});

test("a run that asks in the middle is not answered by the agent itself", async () => {
  const p = await guarded();
  const id = requestOf(await cli(["team", "ask"], p, p.asAgent));
  await cli(["approve", id, "--key", p.key, "--yes"], p);
  const waits = await cli(["team", "ask", "--approval", id], p, p.asAgent);
  expect(said(waits)).toEqual({ exit: 4, code: "approval_needed" });
  const run = String(at(waits.envelope, "error", "run", "id"));
  const resumed = await cli(["resume", run, "--yes"], p, p.asAgent);
  expect(said(resumed)).toEqual({ exit: 4, code: "approval_needed" });
  expect(existsSync(join(p.cwd, "after"))).toBe(false);
  const second = requestOf(resumed);
  expect(second).not.toBe(id);
  // Whoever approves reads the question, and approves the answer that was given.
  const shown = await cli(["approve", second, "--no-input"], p);
  expect(at(shown.envelope, "data", "parts", "question")).toBe("Go on?");
  await cli(["approve", second, "--key", p.key, "--yes"], p);
  const other = await cli(["resume", run, "--approval", second], p, p.asAgent);
  expect(said(other).code).toBe("policy_refused");
  const done = await cli(["resume", run, "--yes", "--approval", second], p, p.asAgent);
  expect(said(done)).toEqual({ exit: 0, code: null });
  expect(existsSync(join(p.cwd, "after"))).toBe(true);
  expect(said(await cli(["runs", "verify"], p)).exit).toBe(0);
});

test("a file that a parameter names is covered, and so is the folder", async () => {
  const p = await guarded();
  const settings = join(p.cwd, "settings.txt");
  write(p.cwd, {
    ".pgdba/runbooks/team/file.yaml": `summary: Takes a file.
risk: change
params: {from: {type: string, format: file}}
steps:
  - exec: {argv: [cp, "\${params.from}", copy]}
`,
    "settings.txt": "as shown",
    "sub/settings.txt": "as shown",
    "sub/.pgdba/runbooks/none": "",
  });
  const command = ["team", "file", "--from", "settings.txt"];
  const id = requestOf(await cli(command, p, p.asAgent));
  await cli(["approve", id, "--key", p.key, "--yes"], p);
  writeFileSync(settings, "another");
  const changed = await cli([...command, "--approval", id], p, p.asAgent);
  expect(at(changed.envelope, "error", "data", "differ")).toEqual(["file settings.txt"]);
  writeFileSync(settings, "as shown");
  const elsewhere = { ...p, cwd: join(p.cwd, "sub") };
  const folders = ["--runbooks", join(p.cwd, ".pgdba/runbooks")];
  const moved = await cli([...command, ...folders, "--approval", id], elsewhere, p.asAgent);
  expect(at(moved.envelope, "error", "data", "differ")).toContain("folder");
  expect(existsSync(join(p.cwd, "copy"))).toBe(false);
  expect(said(await cli([...command, "--approval", id], p, p.asAgent)).exit).toBe(0);
});

test("what is no request keeps nobody from those that are", async () => {
  const p = await guarded();
  const id = requestOf(await cli(["team", "touch"], p, p.asAgent));
  const requests = join(p.home, "requests");
  const good = JSON.parse(readFileSync(join(requests, `${id}.json`), "utf8")) as object;
  const broken: Record<string, unknown> = {
    "a-1": { ...good, id: "a-1", parts: null },
    "a-2": { ...good, id: "a-2", created_at: 7 },
    "a-3": { ...good, id: "a-3", why: "x", approvers: null },
    "a-4": { ...good, id: "a-4", parts: { caller: { users: "root" }, target: [] } },
    "a-5": [],
    "a-6": "{",
  };
  for (const [name, text] of Object.entries(broken))
    writeFileSync(
      join(requests, `${name}.json`),
      typeof text === "string" ? text : JSON.stringify(text),
    );
  symlinkSync("nowhere", join(requests, "a-7.json"));
  Bun.spawnSync(["mkfifo", join(requests, "a-8.json")]);
  const listed = await cli(["approve"], p);
  expect(at(listed.envelope, "data", "requests")).toMatchObject([{ id }]);
  expect(said(await cli(["approve", "a-1", "--key", p.key, "--yes"], p)).code).toBe("unknown_run");
  // The next one that asks tidies up beside them.
  expect(said(await cli(["team", "touch"], p, p.asAgent)).code).toBe("approval_needed");
});

test("what changes by itself, and the id of the plan, are no part of what is approved", async () => {
  const p = await guarded();
  write(p.root, {
    ...stepTypes({
      "team.fetch": `effect: "change", risk: "change", async run() { return {}; }, varies: ["free"],
        async plan(ctx) { return { into: "scratch-" + ctx.run.id, free: performance.now(), how: "same" }; }`,
    }),
    ...runbooks({
      "team/fetch": "summary: Fetch.\nrisk: change\nsteps: [{id: f, team.fetch: {}}]\n",
    }),
  });
  const id = requestOf(await cli(["team", "fetch"], p, p.asAgent));
  const given = await cli(["approve", id], p);
  expect(at(given.envelope, "data", "parts", "step f", "preview")).toEqual({
    into: "scratch-RUN",
    how: "same",
  });
  await cli(["approve", id, "--key", p.key, "--yes"], p);
  expect(said(await cli(["team", "fetch", "--approval", id], p, p.asAgent))).toEqual({
    exit: 0,
    code: null,
  });
});

test("who asks is not named as one who may approve", async () => {
  const p = place(runbooks({ "team/touch": TOUCH }));
  const own = userOf(process.getuid!());
  const asked = async (...users: string[]) => {
    const policy = { rules: [{ match: { caller: "agent" }, action: "approve", by: { users } }] };
    write(p.root, { "etc/policy.yaml": JSON.stringify(policy) });
    const { envelope } = await cli(["team", "touch"], p, { env: { PGDBA_CALLER: "agent" } });
    expect(at(envelope, "error", "data", "approvers")).toEqual(users.filter((one) => one !== own));
    return envelope.error?.hint;
  };
  expect(await asked(own, "54321")).toStartWith("54321 sees");
  expect(await asked(own)).toStartWith("Somebody whom the policy names, and who does not ask");
});
