/** All tests with bun's coverage, and the check that engine and steps are covered well: `npm test`. Arguments go to `bun test`. */
import {
  chmodSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  type StatsFs,
  statfsSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";

const LEAST_PERCENT = 90;
/** More files than these that fail are no want of time. */
const MOST_AGAIN = 5;
/** Linux's shared memory, and TMPFS_MAGIC of statfs(2). */
const SHM = "/dev/shm";
const TMPFS = 0x01021994;
/** Several times what three files at a time need. */
const ROOM_BYTES = 12 * 1024 ** 3;
const FOLDERS = ["engine", "steps"];
const SUMMARY = /^\d+ tests? (?:failed|skipped):/;
const root = join(import.meta.dir, "..");
const only = process.argv.slice(2);
const memory = memoryFolder();
process.on("exit", () => {
  if (memory !== undefined) rmSync(memory, { recursive: true, force: true, maxRetries: 10 });
});
let running: Bun.Subprocess | undefined;
for (const signal of ["SIGINT", "SIGTERM"])
  process.on(signal, () => {
    running?.kill();
    process.exit(130);
  });

const { code, said } = await bunTest([
  ...only,
  // Three at a time on two cores, for much of it is waiting; files share the servers of their process.
  "--parallel=3",
  "--no-isolate",
  "--coverage",
  "--coverage-reporter=lcov",
  "--coverage-dir=coverage",
]);

const count = (word: string) => Number(new RegExp(`^ *(\\d+) ${word}$`, "m").exec(said)?.[1] ?? 0);
const [passed, failed, skipped] = [count("pass"), count("fail"), count("skip")];
/** Outside of a test, as in a file that can't be loaded. */
const errors = count("errors?");
let covered = true;
if (only.length === 0) {
  for (const folder of FOLDERS) {
    const { hit, found } = lines(folder);
    const percent = found === 0 ? 0 : (100 * hit) / found;
    const enough = percent >= LEAST_PERCENT;
    covered &&= enough;
    process.stdout.write(
      `coverage of ${folder}: ${percent.toFixed(1)} % of ${found} lines${enough ? "" : `, less than ${LEAST_PERCENT} %`}\n`,
    );
  }
}
let passedAtLast = code === 0;
if (failed > 0) {
  process.stdout.write(`\nWhy tests failed:\n${failures(said).join("\n")}\n`);
  const files = failedFiles(said);
  // Real clusters of three files at a time on a few cores: what fails for want of time passes alone, what is broken fails again.
  if (errors === 0 && files.length <= MOST_AGAIN) {
    process.stdout.write(`\nOnce more, one after the other: ${files.join(" ")}\n`);
    const again = await bunTest(files);
    passedAtLast = again.code === 0;
    const said = passedAtLast ? "Passed only when repeated" : "Failed again";
    process.stdout.write(`\n${said}: ${files.join(" ")}\n`);
  }
}
const repeated = passedAtLast && failed > 0;
const outcome = repeated ? `${failed} passed only when repeated, 0 failed` : `${failed} failed`;
process.stdout.write(`${passed} passed, ${outcome}, ${skipped} skipped\n`);
process.exit(passedAtLast ? (covered && passed > 0 ? 0 : 1) : code === 0 ? 1 : code);

/**
 * Where tests keep their files: in the machine's memory, where it has room for them and programs may be run from there: a data directory
 * that is made and removed on a disk takes several times as much CPU. Undefined: where they are without it.
 */
function memoryFolder(): string | undefined {
  if (process.env["TMPDIR"] !== undefined) return undefined;
  let found: StatsFs;
  try {
    found = statfsSync(SHM);
  } catch {
    return undefined;
  }
  const free = Math.min(found.bavail * found.bsize, availableMemory());
  if (found.type !== TMPFS || free < ROOM_BYTES) return undefined;
  const folder = mkdtempSync(join(SHM, "pgdba-"));
  // The account that the servers run as must get through.
  chmodSync(folder, 0o755);
  const program = join(folder, "program");
  writeFileSync(program, "#!/bin/sh\n", { mode: 0o755 });
  try {
    if (Bun.spawnSync([program]).success) return folder;
  } catch {
    // It may not be run.
  }
  rmSync(folder, { recursive: true });
  return undefined;
}

function availableMemory(): number {
  const [, kilobytes] = /^MemAvailable: +(\d+) kB$/m.exec(readFileSync("/proc/meminfo", "utf8"))!;
  return Number(kilobytes) * 1024;
}

/** One run of `bun test`: its exit code, and what it said of each test, which is also shown as it comes. */
async function bunTest(args: string[]): Promise<{ code: number; said: string }> {
  // Of the tests that a file runs at once: each is a program or more, and twenty would keep one another waiting for too long.
  const bounds = ["--max-concurrency=4", "--timeout", "180000"];
  const child = Bun.spawn([process.execPath, "test", ...args, ...bounds], {
    cwd: root,
    // Programs that tests start are the bundle, as users have it; each takes a third less CPU than the sources.
    env: { ...process.env, PGDBA_SOURCE: "", ...(memory === undefined ? {} : { TMPDIR: memory }) },
    stdin: "ignore",
    stdout: "inherit",
    stderr: "pipe",
  });
  running = child;
  let said = "";
  const decoder = new TextDecoder();
  for await (const chunk of child.stderr) {
    process.stderr.write(chunk);
    said += decoder.decode(chunk, { stream: true });
  }
  return { code: await child.exited, said };
}

function failedFiles(text: string): string[] {
  const files = new Set<string>();
  let file = "";
  for (const line of text.split("\n")) {
    // At the end the failures are listed once more, without their files.
    if (SUMMARY.test(line)) break;
    if (/^tests\/.*:$/.test(line)) file = line.slice(0, -1);
    if (line.startsWith("(fail)")) files.add(file);
  }
  return [...files];
}

/** What was printed for each test that failed, at most 60 lines each: the end of a log is all that some readers see. */
function failures(text: string): string[] {
  const found: string[] = [];
  let block: string[] = [];
  let file = "";
  for (const line of text.split("\n")) {
    if (SUMMARY.test(line)) break;
    if (/^tests\/.*:$/.test(line)) file = line;
    block.push(line);
    if (!/^\((pass|fail|skip|todo)\)/.test(line)) continue;
    if (line.startsWith("(fail)")) found.push(file, ...block.slice(-60));
    block = [];
  }
  return found;
}

/** Lines found and hit in the files of a folder, from lcov's DA records; a file that no test loads does not appear. */
function lines(folder: string): { hit: number; found: number } {
  let inside = false;
  let hit = 0;
  let found = 0;
  for (const line of readFileSync(join(root, "coverage/lcov.info"), "utf8").split("\n")) {
    if (line.startsWith("SF:"))
      inside = line.slice(3).replace(`${root}/`, "").startsWith(`${folder}/`);
    if (!inside || !line.startsWith("DA:")) continue;
    found += 1;
    if (!line.endsWith(",0")) hit += 1;
  }
  return { hit, found };
}
