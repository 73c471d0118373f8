/**
 * The figures of the engine beside what a user would use instead, all in one run: `npm run bench`.
 * Peers come from Debian: patroni, ansible-core, check-postgres. One that is not installed is said to be.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { checkPostgres } from "./check-postgres.ts";
import { clusterStatus } from "./cluster-status.ts";
import { installed, report, type Row, timeCommand } from "./measure.ts";

const RUNS = 7;
const FURTHER = 200;
const PEER_FURTHER = 20;

const pgdba = join(import.meta.dir, "../engine/pgdba");
const root = mkdtempSync(join(tmpdir(), "pgdba-bench-"));
const env = {
  PGDBA_HOME: join(root, "home"),
  ANSIBLE_LOCALHOST_WARNING: "false",
  ANSIBLE_INVENTORY_UNPARSED_WARNING: "false",
};
const runbooks = join(root, "runbooks/bench");
mkdirSync(runbooks, { recursive: true });

function runbook(name: string, step: string, count: number, risk: string): void {
  const steps = Array.from({ length: count }, () => `  - ${step}`).join("\n");
  writeFileSync(
    join(runbooks, `${name}.yaml`),
    `summary: bench\nrisk: ${risk}\nsteps:\n${steps}\n`,
  );
}

function playbook(name: string, task: string, count: number): string {
  const file = join(root, `${name}.yml`);
  const tasks = Array.from({ length: count }, () => `    - ${task}`).join("\n");
  writeFileSync(
    file,
    `- hosts: localhost\n  connection: local\n  gather_facts: false\n  tasks:\n${tasks}\n`,
  );
  return file;
}

const ours = (name: string) =>
  timeCommand(
    [pgdba, "run", `bench/${name}`, "--runbooks", join(root, "runbooks"), "-q"],
    RUNS,
    env,
  );
const ansible = installed("ansible-playbook");
const theirs = (file: string) =>
  ansible ? timeCommand([ansible, file], 3, env) : Promise.resolve(null);
const slope = (many: number | null, one: number | null, steps: number) =>
  many === null || one === null ? null : (many - one) / steps;

runbook("noop1", "set: {x: 1}", 1, "read");
runbook("noopn", "set: {x: 1}", 1 + FURTHER, "read");
runbook("exec1", "exec: {argv: ['true']}", 1, "change");
runbook("execn", "exec: {argv: ['true']}", 1 + FURTHER, "change");

try {
  const rows: Row[] = [];
  const list = await timeCommand([pgdba, "list"], RUNS, env);
  for (const [name, argv] of [
    ["patronictl version", ["patronictl", "version"]],
    ["ansible --version", ["ansible", "--version"]],
  ] as const) {
    const path = installed(argv[0]);
    const peer = path ? await timeCommand([path, argv[1]], 3, env) : null;
    rows.push({
      what: "pgdba list, cold",
      ours_ms: list,
      peer: name,
      peer_ms: peer,
      atMost_ms: 50,
      atLeast: 1,
    });
  }
  const noop1 = await ours("noop1");
  const debug1 = await theirs(playbook("debug1", "debug: {msg: x}", 1));
  rows.push({
    what: "1-step no-op run, cold, journalled",
    ours_ms: noop1,
    peer: "ansible-playbook, 1 debug",
    peer_ms: debug1,
    atLeast: 5,
  });
  const debugN = await theirs(playbook("debugn", "debug: {msg: x}", 1 + PEER_FURTHER));
  rows.push({
    what: "each further no-op step, durable",
    ours_ms: slope(await ours("noopn"), noop1, FURTHER)!,
    peer: "ansible debug task",
    peer_ms: slope(debugN, debug1, PEER_FURTHER),
    atLeast: 50,
    atMost_ms: 0.5,
  });
  const exec1 = await ours("exec1");
  const command1 = await theirs(playbook("command1", "command: 'true'", 1));
  const commandN = await theirs(playbook("commandn", "command: 'true'", 1 + PEER_FURTHER));
  rows.push({
    what: "each further local command",
    ours_ms: slope(await ours("execn"), exec1, FURTHER)!,
    peer: "ansible command task",
    peer_ms: slope(commandN, command1, PEER_FURTHER),
    atLeast: 40,
  });
  rows.push(await checkPostgres(pgdba, root, env));
  rows.push(...(await clusterStatus(pgdba, root, env)));
  const { text, missed } = report(rows);
  process.stdout.write(`${text}\n`);
  process.exitCode = missed === 0 ? 0 : 1;
} finally {
  await Bun.spawn([pgdba, "lab", "down", "--remove"], {
    env: { ...process.env, ...env },
    stdout: "ignore",
    stderr: "ignore",
  }).exited;
  rmSync(root, { recursive: true, force: true });
}
