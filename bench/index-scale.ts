/** How long index advice takes by the number of statements, and what it comes to: `bun bench/index-scale.ts [number...]`. */
import suggest from "../steps/index/suggest.ts";
import { bench } from "../tests/steps/index/support.ts";
import { SHOP, shopStatements } from "./index-workloads.ts";

interface Advice {
  suggestions: unknown[];
  bytes: number;
  cost: { saved_percent: number };
  search: { not_tried: number };
  effort: { candidates: number; plans: number };
}

const sizes = process.argv.slice(2).map(Number);
const on = await bench({});
try {
  for (const sql of SHOP) await on.client.query(sql);
  await on.client.query("VACUUM ANALYZE");
  for (const count of sizes.length > 0 ? sizes : [66, 190, 1000, 5000]) {
    const begun = performance.now();
    const workload = shopStatements(count);
    const advice = (await suggest.run(on.context(), { workload })) as unknown as Advice;
    const seconds = (performance.now() - begun) / 1000;
    const { suggestions, bytes, cost, search, effort } = advice;
    process.stdout.write(
      `${count} statements: ${seconds.toFixed(1)} s, ${effort.plans} plans, ${effort.candidates} candidates, ${search.not_tried} not tried; ${suggestions.length} indexes, ${(bytes / 2 ** 20).toFixed(1)} MB, ${cost.saved_percent} % less\n`,
    );
  }
} finally {
  await on.stop();
}
