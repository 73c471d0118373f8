/** Runs a loop of steps with large outputs, to be started with a small limit on file sizes; prints what acted and what is on record. */
import { Harness } from "../run/harness.ts";

const h = new Harness();
h.on = { a: () => ({ text: Array.from({ length: 3_000 }, () => Math.random()).join() }) };
const items = Array.from({ length: 60 }, (_, n) => n);
const ran = await h.run(`steps: [{id: a, foreach: ${JSON.stringify(items)}, fake.act: {}}]\n`);
const acted = h.calls.filter((call) => call.startsWith("act ")).map((call) => call.slice(4));
const recorded = h.journal.steps("run-1").map(({ path }) => path);
process.stdout.write(JSON.stringify({ exit: ran.exit, code: ran.error?.code, acted, recorded }));
h.close();
