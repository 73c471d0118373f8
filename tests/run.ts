/** All tests with bun's coverage, and the check that engine and steps are covered well: `npm test`. Arguments go to `bun test`. */
import { readFileSync } from "node:fs";
import { join } from "node:path";

const LEAST_PERCENT = 90;
const FOLDERS = ["engine", "steps"];
const root = join(import.meta.dir, "..");
const only = process.argv.slice(2);

const argv = [
  process.execPath,
  "test",
  ...only,
  // Two at a time, for much of it is waiting; files share the servers of their process.
  "--parallel=2",
  "--no-isolate",
  // Of the tests that a file runs at once: each is a program or more, and twenty would keep one another waiting for too long.
  "--max-concurrency=4",
  // A busy machine is no failure.
  "--timeout",
  "90000",
  "--coverage",
  "--coverage-reporter=lcov",
  "--coverage-dir=coverage",
];
const child = Bun.spawn(argv, { cwd: root, stdin: "ignore", stdout: "inherit", stderr: "pipe" });
let said = "";
const decoder = new TextDecoder();
for await (const chunk of child.stderr) {
  process.stderr.write(chunk);
  said += decoder.decode(chunk, { stream: true });
}
const code = await child.exited;

const count = (word: string) => Number(new RegExp(`^ *(\\d+) ${word}$`, "m").exec(said)?.[1] ?? 0);
const [passed, failed, skipped] = [count("pass"), count("fail"), count("skip")];
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
if (failed > 0) process.stdout.write(`\nWhy tests failed:\n${failures(said).join("\n")}\n`);
process.stdout.write(`${passed} passed, ${failed} failed, ${skipped} skipped\n`);
process.exit(code !== 0 ? code : covered && passed > 0 ? 0 : 1);

/** What was printed for each test that failed, at most 60 lines each: the end of a log is all that some readers see. */
function failures(text: string): string[] {
  const found: string[] = [];
  let block: string[] = [];
  let file = "";
  for (const line of text.split("\n")) {
    if (/^\d+ tests? (failed|skipped):/.test(line)) break;
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
