/**
 * Drills of every fault on a cluster of containers in strict synchronous mode, each `times` times, by turns: `bun bench/chaos.ts [times] [cluster] [words of faults]`.
 * Without a cluster one is made, with disks of a size, and destroyed in the end; a cluster that is there is one of this state folder, and labelled `test`. One verified
 * backup is taken before all. Each drill is one line as soon as it has ended, and the table is shown after each round, so that a run which is broken off has told what it found. A drill that
 * proves nothing (`unknown`, as on a busy machine) is done once more, and both count. First of all it is measured how late a fault ends that nobody takes back; the word `late` does that alone.
 */
import { availableParallelism, loadavg } from "node:os";
import { cli, removePlaces, type Ran } from "../tests/e2e/support.ts";
import { Live, runIn } from "../tests/support/live.ts";
import { median } from "./measure.ts";

const times = Number(process.argv[2] ?? 20);
const [name, ...words] = process.argv.slice(3);
const say = (line: string) => process.stdout.write(`${line}\n`);
const load = () => loadavg()[0]!.toFixed(1);

/** Those that harm less come first. */
const FAULTS: [string, ...string[]][] = [
  ["slow-replica", "--how", "replay"],
  ["slow-replica", "--how", "receiver"],
  ["dcs-loss", "--count", "1"],
  ["dcs-loss", "--count", "2", "--allow-majority"],
  ["kill-node", "--host", "standby", "--how", "power"],
  ["kill-node", "--host", "leader", "--how", "postgres"],
  ["kill-node", "--host", "leader", "--how", "patroni"],
  ["kill-node", "--host", "leader", "--how", "node"],
  ["kill-node", "--host", "leader", "--how", "power"],
  ["kill-node", "--host", "leader", "--how", "freeze"],
  ...["dcs", "peers", "clients", "all"].flatMap((from) =>
    ["both", "in", "out"].map((way): [string, ...string[]] =>
      // oxfmt-ignore
      ["partition", "--isolate", "leader", "--from", from, "--direction", way],
    ),
  ),
  ["partition", "--isolate", "leader", "--from", "all", "--flap", "5s"],
  ["partition", "--isolate", "standby", "--from", "all"],
  ["disk-full", "--which", "dcs"],
  ["disk-full", "--which", "data", "--host", "standby"],
  ["disk-full", "--which", "data", "--host", "leader"],
  ["disk-full", "--which", "wal", "--host", "leader"],
  ...["heap", "index", "misdirected", "zero", "truncate", "wal", "backup"].map(
    (how): [string, ...string[]] => ["corrupt", "--how", how],
  ),
  ["corrupt", "--how", "zero", "--host", "all"],
  ["corrupt", "--how", "heap", "--host", "all"],
];
const isLateAlone = words.includes("late");
const chosen = isLateAlone
  ? []
  : FAULTS.filter((fault) => words.every((word) => fault.join(" ").includes(word)));
/** Where somebody has to be replaced, for longer than Patroni's ttl of 20 s; the others show at once what they do. Damaged data are repaired, and not waited for. */
const ELECTS = /--how (node|power|freeze|patroni)|partition .* --from (all|dcs)|--which wal/;
function lasting(fault: string): string[] {
  if (fault.startsWith("corrupt")) return [];
  return ["--hold", ELECTS.test(fault) ? "30s" : "15s", "--for", "3m"];
}

interface Drilled {
  verdict: string;
  restored: number | null;
  gaps: Record<string, number>;
  lost: number;
  duplicate: number;
  dirty: number;
  writable: number;
  why: string;
  /** What the drill expected beside what must hold. */
  unexpected?: string[];
}

const NOTHING = { restored: null, gaps: {}, lost: 0, duplicate: 0, dirty: 0, writable: 0 };

async function drill(live: Live, fault: readonly string[], seed: number): Promise<Drilled> {
  const hold = [...lasting(fault.join(" ")), "--seed", String(seed)];
  const meant = ["--i-know-what-i-am-doing", `--without-backup=${live.name}`];
  let ran: Ran;
  try {
    ran = await live.run("chaos", ...fault, ...hold, ...meant);
  } catch (error) {
    // It hangs, and was killed: whatever is in force is taken back before the next one.
    await live.run("chaos", "heal", "--all");
    return { ...NOTHING, verdict: "hung", why: String(error).slice(0, 500) };
  }
  const { envelope } = ran;
  const data = (envelope.data ?? {}) as any;
  const unsupported = envelope.error?.code === "unsupported";
  return {
    verdict: unsupported ? "skipped" : (data.verdict ?? "unknown"),
    unexpected: data.unexpected ?? [],
    restored: data.restored_seconds ?? null,
    gaps: Object.fromEntries((data.gaps ?? []).map((one: any) => [one.way, one.longest_gap_ms])),
    lost: data.lost ?? 0,
    duplicate: data.duplicate ?? 0,
    dirty: data.dirty ?? 0,
    writable: data.most_writable ?? 0,
    why: envelope.error?.message ?? "",
  };
}

/** Long enough to be done before it ends, also on a busy machine. */
const LASTS_MS = 30_000;
const HEALED_MS = 60_000;
const LATE_NODE = "etcd3";

/** From its deadline until it is gone, ms, less than nothing when it is gone earlier; nobody but its healer ends it. */
async function lateness(live: Live, how: "freeze" | "kill" | "partition"): Promise<number> {
  const nodes = await live.nodes();
  // What the trial before has left may still be starting.
  await nodes.start(LATE_NODE);
  const until = { id: `late-${crypto.randomUUID().slice(0, 8)}`, afterMs: LASTS_MS };
  const node = LATE_NODE;
  let deadline: string;
  if (how === "partition") {
    const what = { from: { nodes: ["pg1"] }, direction: "both" } as const;
    ({ deadline } = await nodes.partition(node, what, until));
  } else {
    const inverse = how === "freeze" ? { thaw: node } : { start: node };
    ({ deadline } = await nodes.arm(inverse, until));
    await (how === "freeze" ? nodes.freeze(node) : nodes.kill(node, "node"));
  }
  const ends = Date.parse(deadline);
  try {
    for (;;) {
      const gone =
        how === "partition"
          ? (await nodes.armed()).some(({ id, state }) => id === until.id && state === "healed")
          : !["frozen", "stopped"].includes((await nodes.state(node)).running);
      if (gone) return Date.now() - ends;
      if (Date.now() > ends + HEALED_MS) throw new Error(`${how} has not ended`);
      await Bun.sleep(20);
    }
  } finally {
    await nodes.heal({ id: until.id });
  }
}

/** The same of a drill of which pgdba is killed with SIGKILL while the fault is in force. */
async function latenessKilled(live: Live): Promise<number> {
  const nodes = await live.nodes();
  const times = ["--for", "30s", "--hold", "29s", "--least", "100", "--steady", "1s"];
  const meant = ["--i-know-what-i-am-doing", `--without-backup=${live.name}`];
  const what = ["chaos", "partition", "--isolate", "standby", "--from", "peers"];
  const child = live.begin(...what, ...times, ...meant);
  await child.said("start held");
  child.signal("SIGKILL");
  const { stderr } = await child.ended();
  const run = runIn(stderr)!;
  try {
    const first = (await nodes.armed()).find(({ labels }) => labels.run === run);
    if (first?.state !== "armed") throw new Error(`the fault had ended before: ${first?.state}`);
    const ends = Date.parse(first.deadline);
    for (;;) {
      const now = (await nodes.armed()).find(({ id }) => id === first.id);
      if (now?.state === "healed") return Date.now() - ends;
      if (Date.now() > ends + HEALED_MS) throw new Error(`it is ${now?.state} still`);
      await Bun.sleep(20);
    }
  } finally {
    // It proves nothing any more, and takes away what its clients wrote.
    await cli(["resume", run, "--format", "json"], live.place, { limitMs: 300_000 });
  }
}

const LATE = {
  "freeze, ended by its healer alone": (live: Live) => lateness(live, "freeze"),
  "kill, the same": (live: Live) => lateness(live, "kill"),
  "partition, the same": (live: Live) => lateness(live, "partition"),
  "partition of a drill whose pgdba was killed": latenessKilled,
};

/** A trial that fails is told, and the others go on. */
async function measureLateness(live: Live): Promise<void> {
  say(
    "\n| ends by its deadline | trials | late, ms: least | median | max | failed |\n|---|---|---|---|---|---|",
  );
  for (const [how, measure] of Object.entries(LATE)) {
    const late: number[] = [];
    const failed: string[] = [];
    for (let n = 0; n < Math.max(3, times); n++)
      await measure(live).then(
        (ms) => late.push(ms),
        (error: unknown) => failed.push(String(error)),
      );
    const told =
      late.length === 0 ? ["–", "–", "–"] : [Math.min(...late), median(late), Math.max(...late)];
    say(`| ${[how, late.length, ...told, failed.join("; ") || "none"].join(" | ")} |`);
    if (failed.length > 0) bad += 1;
  }
}

function table(all: Map<string, Drilled[]>): void {
  const seconds = (ms: number[]) => (ms.length === 0 ? "–" : (Math.max(...ms) / 1000).toFixed(1));
  say(
    "\n| fault | drills | redundancy back, s: median / max | longest gap, s: direct / pooled | lost | duplicate | dirty | writable, most | not valid |",
  );
  say("|---|---|---|---|---|---|---|---|---|");
  for (const [fault, done] of all) {
    const back = done.flatMap(({ restored }) => restored ?? []);
    const gap = (way: string) => seconds(done.flatMap(({ gaps }) => gaps[way] ?? []));
    const sum = (of: "lost" | "duplicate" | "dirty") => done.reduce((n, one) => n + one[of], 0);
    const odd = done.filter(({ verdict }) => verdict !== "valid").map(({ verdict }) => verdict);
    const restored =
      back.length === 0 ? "–" : `${median(back).toFixed(1)} / ${Math.max(...back).toFixed(1)}`;
    say(
      `| ${[`\`${fault}\``, done.length, restored, `${gap("direct")} / ${gap("pooled")}`, sum("lost"), sum("duplicate"), sum("dirty"), Math.max(...done.map(({ writable }) => writable)), odd.join(", ") || "none"].join(" | ")} |`,
    );
  }
}

const live = Live.onDocker(name);
const all = new Map<string, Drilled[]>();
const MOST_TRIES = 2;
let bad = 0;
try {
  say(`${new Date().toISOString()}, ${availableParallelism()} CPUs, load ${load()}`);
  if (name === undefined) {
    const sizes = JSON.stringify({ data_size: "1g", wal_size: "512m", dcs_size: "300m" });
    await live.init("--rto", "fast", "--sync-mode", "strict", "--label", "test", "--place", sizes);
    await live.well("backup", "setup");
  }
  if (words.length === 0 || isLateAlone) await measureLateness(live);
  if (chosen.length > 0) {
    const { verified } = await live.well("backup", "create");
    if (verified !== true) throw new Error("the backup is not verified");
  }
  for (let n = 1; n <= times && chosen.length > 0; n++) {
    for (const fault of chosen) {
      const key = fault.join(" ");
      for (let tried = 1; tried <= MOST_TRIES; tried++) {
        const done = await drill(live, fault, n + 100 * (tried - 1));
        all.set(key, [...(all.get(key) ?? []), done]);
        say(
          `${n}.${tried} ${new Date().toISOString()} ${key}: ${JSON.stringify(done)}; load ${load()}`,
        );
        if (done.verdict === "unknown" && tried < MOST_TRIES) continue;
        if (!["valid", "skipped"].includes(done.verdict)) bad += 1;
        break;
      }
    }
    table(all);
  }
} finally {
  if (name === undefined && live.entry() !== undefined) await live.destroy();
  await live.close();
  removePlaces();
}
say(`\n${new Date().toISOString()}, load ${load()}`);
process.exitCode = bad === 0 ? 0 : 1;
