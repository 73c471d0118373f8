import { afterAll, beforeAll, expect, test } from "bun:test";
import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Nodes } from "../../../providers/nodes/contract.ts";
import { putFiles } from "../../../steps/monitor/node/put-files.ts";

const HOME = "/var/lib/pgdba";
const RULES = `${HOME}/monitor/rules`;
/** Says which files it was asked about, and refuses those with this word. */
const TOOL = `#!/bin/sh
echo "$0 $*" >>"$ASKED"
shift
for file; do case $file in */*) if grep -q wrong "$file"; then echo "$file: it is wrong" >&2; exit 1; fi;; esac; done
`;

let base = "";
beforeAll(async () => {
  base = await mkdtemp(join(tmpdir(), "pgdba-put-files-"));
  for (const name of ["promtool", "amtool"]) {
    await writeFile(join(base, name), TOOL);
    await chmod(join(base, name), 0o755);
  }
});
afterAll(() => rm(base, { recursive: true, force: true }));

/** A node whose home lies in our folder; its programs are real. */
const nodes = {
  async exec(_node: string, argv: string[], { stdin }: { stdin: string }) {
    const ran = Bun.spawn(argv, {
      env: { PATH: `${base}:/usr/bin:/bin`, ASKED: join(base, "asked") },
      stdin: Buffer.from(stdin.replaceAll(HOME, join(base, "home"))),
      stdout: "pipe",
      stderr: "pipe",
    });
    const [stdout, stderr] = await Promise.all([ran.stdout.text(), ran.stderr.text()]);
    return { exit_code: await ran.exited, signal: null, stdout, stderr, truncated: false };
  },
} as unknown as Nodes;

const put = async (files: Record<string, string>) =>
  (await putFiles(nodes, "monitor1", new Map(Object.entries(files)))).map((path) =>
    path.replace(join(base, "home"), HOME),
  );
const here = (path: string) => path.replace(HOME, join(base, "home"));
const asked = async () => (await readFile(join(base, "asked"), "utf8")).trim().split("\n");

test("only what is other is put, for its owner alone; one call of a tool judges all of its files, and nothing is put when it refuses one", async () => {
  const [a, b] = [`${RULES}/a.rules.yml`, `${RULES}/b.rules.yml`];
  const routes = `${HOME}/monitor/alertmanager.yml`;
  const targets = `${HOME}/monitor/targets/node.json`;
  const files = {
    [a]: "one\n",
    [b]: "zwei: ß\n",
    [routes]: "routes",
    [targets]: "wrong, yet no rule",
  };
  expect(await put(files)).toEqual([a, b, routes, targets]);
  for (const [path, text] of Object.entries(files)) {
    expect(await readFile(here(path), "utf8")).toBe(text);
    expect((await stat(here(path))).mode & 0o777).toBe(0o600);
  }
  expect(await asked()).toEqual([
    expect.stringMatching(/promtool check rules \S+a\.rules\.yml\.draft \S+b\.rules\.yml\.draft$/),
    expect.stringMatching(/amtool check-config \S+alertmanager\.yml\.draft$/),
  ]);
  expect(await put(files)).toEqual([]);
  expect(await put({ ...files, [b]: "two" })).toEqual([b]);

  const refused = put({ ...files, [a]: "three", [b]: "it is wrong", [targets]: "four" });
  await expect(refused).rejects.toMatchObject({
    code: "step_refused",
    message: expect.stringMatching(
      /^promtool check rules refuses it: \S+b\.rules\.yml\.draft: it is wrong$/,
    ),
  });
  expect(await readFile(here(a), "utf8")).toBe("one\n");
  expect(await readFile(here(b), "utf8")).toBe("two");
  expect((await readdir(here(RULES))).toSorted()).toEqual(["a.rules.yml", "b.rules.yml"]);
});
