/**
 * The time that a new cluster on Docker takes, by phase, and the memory that its idle containers use: `bun bench/docker-stack.ts [times]`.
 * Images are built first, so that the first time does not count them.
 */
import { availableParallelism, loadavg } from "node:os";
import { docker } from "../tests/support/docker.ts";
import { Live } from "../tests/support/live.ts";
import { removePlaces } from "../tests/e2e/support.ts";
import { median } from "./measure.ts";

const times = Number(process.argv[2] ?? 3);
const say = (line: string) => process.stdout.write(`${line}\n`);
const load = () => loadavg()[0]!.toFixed(1);
const phases: Record<string, number[]> = {};

/** Of the Engine's words, such as `39.5MiB / 23.5GiB`. */
function mebibytes(text: string): number {
  const [, value, unit] = /^([\d.]+)([KMG])iB/.exec(text) ?? [];
  return Number(value) * ({ K: 1 / 1024, M: 1, G: 1024 }[unit ?? ""] ?? Number.NaN);
}

say(`${new Date().toISOString()}, ${availableParallelism()} CPUs`);

try {
  for (let n = 0; n <= times; n++) {
    const live = new Live("docker", `stack-${n}`);
    try {
      const begun = performance.now();
      const { seconds } = await live.init();
      const whole = { ...seconds, whole: (performance.now() - begun) / 1000 };
      say(`${n === 0 ? "first, with images" : n}: ${JSON.stringify(whole)}; load ${load()}`);
      if (n > 0)
        for (const [phase, value] of Object.entries(whole))
          (phases[phase] ??= []).push(Number(value));
      if (n === times) {
        await Bun.sleep(20_000);
        const names = (await docker("ps", "-q", "--filter", `label=pgdba.cluster=${live.name}`))
          .split("\n")
          .filter((id) => id !== "");
        const shape = "{{.Name}}\t{{.MemUsage}}";
        const text = await docker("stats", "--no-stream", "--format", shape, ...names);
        const used = text.split("\n").map((line) => mebibytes(line.split("\t")[1] ?? ""));
        say(text);
        say(`idle: ${used.reduce((sum, one) => sum + one, 0).toFixed(0)} MiB in all`);
      }
    } finally {
      if (live.entry() !== undefined) await live.destroy();
      await live.close();
    }
  }
} finally {
  removePlaces();
}
for (const [phase, values] of Object.entries(phases))
  say(
    `${phase.padEnd(8)} median ${median(values).toFixed(1)} s, max ${Math.max(...values).toFixed(1)} s`,
  );
