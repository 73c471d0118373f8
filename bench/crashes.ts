/**
 * pgdba is killed in the middle of what it does to a real cluster, and resumed: `bun bench/crashes.ts [trials] [first seed] [provider]`.
 * A trial holds when the run ends well or is taken back whole, when nobody's clients stay held back, and when no acknowledged row is lost.
 */
import { Live } from "../tests/support/live.ts";
import { removePlaces } from "../tests/e2e/support.ts";
import { startWriter } from "../tests/support/writer.ts";

const trials = Number(process.argv[2] ?? 20);
const first = Number(process.argv[3] ?? 1);
const provider = process.argv[4] ?? "docker";
const say = (line: string) => process.stdout.write(`${line}\n`);

const ACTS = ["trigger", "add", "init", "destroy"] as const;
type Act = (typeof ACTS)[number];

/** The same numbers for the same seed (mulberry32). */
function numbers(seed: number): () => number {
  let state = seed * 0x9e3779b9;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

function wordsOf(act: Act, live: Live, leader: string | undefined): string[] {
  const { name } = live;
  const other = live.servers().find((node) => node !== leader) ?? "pg2";
  return {
    trigger: ["failover", "trigger", "--target", other],
    add: ["replica", "add"],
    init: [
      "cluster",
      "init",
      "--generate-secrets",
      "--provider",
      provider,
      "--app-database",
      "app",
    ],
    destroy: ["cluster", "destroy", `--confirm=${name}`, `--without-backup=${name}`],
  }[act];
}

/** Begins it, kills it some steps later, and gives the run's id; null when it was quicker. */
async function killed(live: Live, words: string[], chance: () => number): Promise<string | null> {
  const running = live.begin(...words);
  const steps = 1 + Math.floor(chance() * 14);
  const delay = Math.floor(chance() * chance() * 12_000);
  let over = false;
  const ended = running.ended().then(() => (over = true));
  while (!over && (running.stderr.match(/^start /gm) ?? []).length < steps) await Bun.sleep(5);
  await Promise.race([Bun.sleep(delay), ended]);
  if (over) return null;
  running.signal("SIGKILL");
  await ended;
  const at = (running.stderr.match(/^start \S+/gm) ?? []).at(-1);
  say(`  killed ${delay} ms after ${at ?? "nothing"}`);
  return /run (\d{8}-\d{6}-\w+)/.exec(running.stderr)?.[1] ?? null;
}

async function trial(live: Live, act: Act, chance: () => number): Promise<string[]> {
  const problems: string[] = [];
  const exists = live.entry() !== undefined;
  const leader = exists ? await live.settled() : undefined;
  const writer = act === "trigger" ? await startWriter(live.writer()) : undefined;
  const id = await killed(live, wordsOf(act, live, leader), chance);
  if (writer !== undefined) {
    // Nobody resumes yet: the cap alone lets them go.
    const held = writer.now();
    await writer.next(60_000).catch(() => problems.push("clients stayed held back for 60 s"));
    say(`  clients went on ${(writer.now() - held).toFixed(0)} ms after the kill`);
  }
  if (id !== null) {
    const { exit, envelope } = await live.run("resume", id);
    if (exit !== 0 && exit !== 5)
      problems.push(`resume: exit ${exit} ${JSON.stringify(envelope.error).slice(0, 600)}`);
    say(`  resumed: exit ${exit}`);
  }
  if (live.entry() !== undefined) {
    const now = await live.settled();
    if (writer !== undefined) {
      await writer.next(60_000).catch(() => problems.push("no write after the resume"));
      await writer.stop();
      const { host, port } = live.entry()!.nodes!.find(({ name }) => name === now)!.reach!;
      const client = await live.client(host, Number(port), "app");
      const { lost } = await writer.check(client);
      await client.end();
      if (lost.length > 0) problems.push(`${lost.length} acknowledged rows are lost`);
    }
    const there = (await (await live.nodes()).list()).map(({ node }) => node).toSorted();
    const known = live
      .entry()!
      .nodes!.map(({ name }) => name)
      .toSorted();
    if (there.join() !== known.join())
      problems.push(`there are ${there.join()}, and registered ${known.join()}`);
  } else {
    const left = (await (await live.nodes()).list()).map(({ node }) => node);
    if (left.length > 0) problems.push(`left behind: ${left.join()}`);
  }
  return problems;
}

const live = new Live(provider);
let held = 0;
const begun = performance.now();
try {
  for (let seed = first; seed < first + trials; seed++) {
    const chance = numbers(seed);
    const act = ACTS[seed % ACTS.length]!;
    if (act === "init" && live.entry() !== undefined) await live.destroy();
    if (act !== "init" && live.entry() === undefined) await live.init("--rto", "fast");
    say(`seed ${seed}: ${act}`);
    const problems = await trial(live, act, chance).catch((error: unknown) => [String(error)]);
    for (const problem of problems) say(`  BROKE: ${problem}`);
    if (problems.length === 0) held += 1;
    else if (live.entry() !== undefined) await live.destroy();
    for (const node of live.servers().filter((name) => name > "pg3"))
      await live.run("replica", "remove", node);
  }
} finally {
  if (live.entry() !== undefined) await live.destroy();
  await live.close();
  removePlaces();
}
say(`${held} of ${trials} held, in ${((performance.now() - begun) / 60_000).toFixed(1)} min`);
process.exitCode = held === trials ? 0 : 1;
