/** What steps have started ends with the engine, however that ends; what can't be caught is found and named by who comes after. */
import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import {
  alive,
  at,
  cli,
  eventually,
  type Place,
  place,
  removePlaces,
  runbooks,
  runId,
  Running,
} from "./support.ts";

setDefaultTimeout(300_000);
afterAll(removePlaces);

const strays: number[] = [];
afterAll(() => {
  for (const pid of strays.filter(alive)) process.kill(pid, "SIGKILL");
});

const HEAD = "summary: s\nrisk: change\n";
/** A step whose script says when it and all it started are there. */
const working = (script: string) => `${HEAD}steps:
  - id: work
    shell:
      script: |
${script
  .trim()
  .split("\n")
  .map((line) => `        ${line}`)
  .join("\n")}
        touch ready
        while :; do sleep 0.2; done
    idempotent: true
`;
/** \`idempotent\` is an input of the step. */
const runbookOf = (script: string) =>
  working(script).replace("\n    idempotent", "\n      idempotent");

function pidsIn(p: Place): number[] {
  const text = readFileSync(join(p.cwd, "pids"), "utf8");
  return text.trim().split("\n").map(Number);
}

async function started(p: Place, name: string): Promise<Running> {
  const running = new Running(["t", name], p);
  await eventually(() => existsSync(join(p.cwd, "ready")), `${name} is at work`);
  return running;
}

/** The engine's keeper, which has a session of its own. */
function keeperOf(engine: number): number {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .find((pid) => {
      try {
        const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
        const parent = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
        return (
          parent === engine && readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("pgdba-keeper")
        );
      } catch {
        return false;
      }
    })!;
}

test.concurrent("kill -9 of the engine ends all that a step has started: what is polite, what is stubborn, what has left its group", async () => {
  const p = place(
    runbooks({
      "t/tree": runbookOf(`
trap '' TERM
cd "$PWD_OF"
echo $$ >> pids
sh -c 'echo $$ >> pids; sleep 61; true' &
setsid sh -c 'echo $$ >> pids; sleep 62; true' &
sh -c 'trap "" TERM; echo $$ >> pids; while :; do sleep 0.2; done' &
while [ "$(wc -l < pids)" -lt 4 ]; do sleep 0.02; done
`).replace("idempotent: true", `idempotent: true\n      env: {PWD_OF: "."}`),
    }),
  );
  const running = await started(p, "tree");
  const tree = pidsIn(p);
  strays.push(...tree);
  expect(tree.filter(alive)).toEqual(tree);
  const keeper = keeperOf(running.pid);
  expect(alive(keeper)).toBe(true);
  running.signal("SIGKILL");
  await running.ended();
  await eventually(() => !tree.some(alive), "the tree has ended");
  await eventually(() => !alive(keeper), "the keeper has ended");
});

test.concurrent("what has become nobody's child is named by the next run, and by the run that goes on", async () => {
  const p = place(
    runbooks({
      "t/daemon": runbookOf(`
sh -c 'setsid sleep 63 >/dev/null 2>&1 & echo $! >> pids'
`),
      "t/next": `${HEAD}steps:\n  - exec: {argv: ["true"]}\n`,
    }),
  );
  const running = await started(p, "daemon");
  const [daemon] = pidsIn(p) as [number];
  strays.push(daemon);
  running.signal("SIGKILL");
  await running.ended();
  expect(alive(daemon)).toBe(true);
  const next = await cli(["t", "next"], p);
  const warnings = at(next.envelope, "data", "run", "warnings") as string[];
  expect(warnings).toContainEqual(
    expect.stringMatching(
      new RegExp(`has left behind what still runs: .*sleep \\(pid ${daemon}\\)`),
    ),
  );
});

test.concurrent("a run does not go on beside what it had started", async () => {
  const p = place(runbooks({ "t/left": runbookOf("echo $$ >> pids") }));
  const running = await started(p, "left");
  const [child] = pidsIn(p) as [number];
  strays.push(child);
  // Whoever ends the keeper ends what would have ended the child.
  process.kill(keeperOf(running.pid), "SIGKILL");
  running.signal("SIGKILL");
  await running.ended();
  const id = at((await cli(["runs"], p)).envelope, "data", "runs", 0, "id") as string;
  expect(alive(child)).toBe(true);
  const refused = await cli(["resume", id], p);
  expect(refused.envelope.error).toMatchObject({
    code: "lock_held",
    message: expect.stringContaining(`bash (pid ${child})`),
    hint: expect.stringContaining(`kill ${child}`),
  } as never);
  process.kill(child, "SIGKILL");
  const resumed = new Running(["resume", id], p);
  await eventually(() => pidsIn(p).length === 2, "the step is repeated");
  resumed.signal("SIGKILL");
  await resumed.ended();
  await eventually(() => !pidsIn(p).some(alive), "the repeated step has ended, too");
});

test.concurrent("a file that was written leaves nothing beside it, also when the engine was killed and the run went on", async () => {
  const p = place(
    runbooks({
      "t/files": `${HEAD}steps:
  - file.write: {path: new.conf, content: a}
  - file.write: {path: old.conf, content: b}
  - id: work
    shell: {script: 'touch ready; while [ ! -e go ]; do sleep 0.1; done', idempotent: true}
`,
    }),
  );
  await Bun.write(join(p.cwd, "old.conf"), "before");
  const running = await started(p, "files");
  running.signal("SIGKILL");
  await running.ended();
  const runs = (await cli(["runs"], p)).envelope;
  await Bun.write(join(p.cwd, "go"), "");
  const resumed = await cli(["resume", at(runs, "data", "runs", 0, "id") as string], p);
  expect(resumed.exit).toBe(0);
  expect(runId(resumed)).toBe(at(runs, "data", "runs", 0, "id") as string);
  expect(readdirSync(p.cwd).toSorted()).toEqual([".pgdba", "go", "new.conf", "old.conf", "ready"]);
});
