import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { PGDBA_SOURCE } from "./support/source.ts";

const root = join(import.meta.dir, "..");
let dir: string;

/** The fenced blocks of a page that name the file they are. */
function files(page: string): { file: string; text: string }[] {
  const blocks = readFileSync(join(root, page), "utf8").matchAll(
    /```(?:yaml|ts)\n(?:#|\/\/) file: (\S+)\n([\s\S]*?)```/g,
  );
  return [...blocks].map(([, file, text]) => ({ file: file!, text: text! }));
}

async function pgdba(...args: string[]): Promise<{ exit: number; data: any; error: any }> {
  const child = Bun.spawn([join(root, "engine/pgdba"), ...args], {
    cwd: dir,
    env: {
      ...process.env,
      PGDBA_SOURCE,
      PGDBA_HOME: join(dir, "home"),
      PGDBA_ETC: join(dir, "etc"),
    },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "ignore",
  });
  const out = await new Response(child.stdout).text();
  const { data, error } = JSON.parse(out) as { data: unknown; error: unknown };
  return { exit: await child.exited, data, error };
}

let found: ReturnType<typeof files>;

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "pgdba-docs-"));
  found = [...files("README.md"), ...files("docs/authoring.md"), ...files("docs/approvals.md")];
  expect(found.length).toBeGreaterThan(6);
  for (const { file, text } of found) {
    mkdirSync(dirname(join(dir, file)), { recursive: true });
    writeFileSync(join(dir, file), text);
  }
  writeFileSync(join(dir, "home/config.yaml"), "user_steps: true\n");
  const call =
    "summary: Greets\nrisk: read\nsteps:\n  - id: g\n    team.greet: {name: Ada}\noutput: {text: steps.g.output.text}\n";
  writeFileSync(join(dir, ".pgdba/runbooks/team/greet.yaml"), call);
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

test("every document of the docs lints, with all that is built in", async () => {
  const { exit, data, error } = await pgdba("lint");
  expect(error).toBeNull();
  expect(exit).toBe(0);
  expect(data.checked).toBeGreaterThan(60);
});

test("the test files of the docs pass", async () => {
  const tested = found.flatMap(
    ({ file }) => /^\.pgdba\/runbooks\/(.+)\.test\.yaml$/.exec(file)?.[1] ?? [],
  );
  expect(tested.length).toBeGreaterThanOrEqual(3);
  const { exit, data } = await pgdba("test", ...tested);
  expect(exit).toBe(0);
  expect(new Set(data.cases.map((one: { runbook: string }) => one.runbook))).toEqual(
    new Set(tested),
  );
});

test("the step type of the docs runs, the policy and the cluster of the docs are read", async () => {
  const greeted = await pgdba("run", "team/greet");
  expect(greeted.error).toBeNull();
  expect(greeted.data.text).toBe("hello Ada");
  const cluster = await pgdba("run", "health/check", "--cluster", "orders");
  expect(cluster.error.code).toBe("missing_secret");
});

test("list, help and show know the step types of the user, and a kind that does not exist is told", async () => {
  const { data } = await pgdba("list", "team/greet", "--full");
  expect(data.runbooks).toMatchObject([{ name: "team/greet", summary: "Greets" }]);
  expect((await pgdba("help", "team/greet")).exit).toBe(0);
  expect((await pgdba("help", "team.greet")).data.type).toBe("team.greet");
  expect((await pgdba("help", "steps", "--full")).data.steps).toContainEqual({
    type: "team.greet",
    summary: "Greet somebody",
  });
  expect((await pgdba("list", "--kind", "chek")).error).toMatchObject({
    code: "usage",
    hint: "Did you mean check?",
  });
  const { documents } = (await pgdba("list", "--kind", "check", "running", "out")).data;
  expect(documents.map(({ name }: { name: string }) => name)).toContain(
    "health/checks/sequence-exhausted",
  );
});

test("a step type that breaks its own promise fails", async () => {
  const file = join(dir, ".pgdba/steps/team.liar.ts");
  const greet = readFileSync(join(dir, ".pgdba/steps/team.greet.ts"), "utf8");
  writeFileSync(
    file,
    greet.replaceAll("team.greet", "team.liar").replace("text: stdout", "txet: 1"),
  );
  writeFileSync(
    join(dir, ".pgdba/runbooks/team/liar.yaml"),
    "summary: Lies\nrisk: read\nsteps: [{team.liar: {name: Ada}}]\n",
  );
  const { error } = await pgdba("run", "team/liar");
  expect(error).toMatchObject({ code: "step_failed", step: "team_liar_1" });
  expect(error.message).toContain("`output` lacks `text`");
  rmSync(file);
  rmSync(join(dir, ".pgdba/runbooks/team/liar.yaml"));
});

test("links between pages lead somewhere", () => {
  for (const page of [
    "README.md",
    "AGENTS.md",
    ...readdirSync(join(root, "docs")).map((name) => `docs/${name}`),
  ]) {
    for (const [, target] of readFileSync(join(root, page), "utf8").matchAll(
      /\]\(([a-z][\w./-]*)(?:#[\w-]*)?\)/gi,
    )) {
      const file = Bun.file(join(root, dirname(page), target!));
      expect(file.size, `${page} links to ${target}`).toBeGreaterThan(0);
    }
  }
});
