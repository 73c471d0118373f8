import { defineStep } from "../define.ts";
import { figuresOf, gridOf, onGrid, sparkline } from "./watch/history.ts";

const NUMBER = { type: ["number", "null"] } as const;

export default defineStep({
  type: "monitor.history",
  summary:
    "Lag, transactions, connections, cache and WAL of a cluster over some time, from Prometheus",
  docs: `Each figure is one series: lag that of the standby which is furthest behind, all else that of the primary of each moment. \`values\` are evenly apart, \`step_seconds\`; null is where
Prometheus has none. A figure that it has nothing of in all that time is left out, such as WAL of a server that Patroni does not run.`,
  example: `- monitor.history: {window: 1h}
`,
  effect: "read",
  idempotent: true,
  needs: ["monitoring"],
  input: {
    type: "object",
    additionalProperties: false,
    required: ["window"],
    properties: {
      window: { type: "string", format: "duration", description: "How far back, until now" },
      points: { type: "integer", minimum: 2, maximum: 1000, default: 40 },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["from", "to", "step_seconds", "figures"],
    properties: {
      from: { type: "string" },
      to: { type: "string" },
      step_seconds: { type: "integer" },
      figures: {
        type: "array",
        items: {
          type: "object",
          additionalProperties: false,
          required: ["what", "unit", "now", "least", "most", "course", "values"],
          properties: {
            what: { type: "string" },
            unit: { type: "string" },
            now: { ...NUMBER, description: "The newest that is known" },
            least: NUMBER,
            most: NUMBER,
            course: {
              type: "string",
              description: "A bar for each value, from the least to the most",
            },
            values: { type: "array", items: NUMBER },
          },
        },
      },
    },
  },
  async run(ctx, { window, points = 40 }) {
    const monitoring = await ctx.use("monitoring");
    const grid = gridOf(ctx.clock.now(), window, points);
    const query = {
      start: String(grid.start),
      end: String(grid.end),
      step: String(grid.step),
    };
    // All at once: a slow one takes its time once, and not for each of them.
    const told = await Promise.all(
      figuresOf(ctx.target.cluster!, grid.step).map(async ({ what, unit, expr }) => {
        const { result } = (await monitoring.ask("prometheus", "/api/v1/query_range", {
          query: { query: expr, ...query },
        })) as unknown as { result: { values: [number, string][] }[] };
        return { what, unit, values: onGrid(grid, result[0]?.values ?? []) };
      }),
    );
    const figures = told.flatMap(({ what, unit, values }) => {
      const known = values.filter((one): one is number => one !== null);
      if (known.length === 0) return [];
      const [now, least, most] = [known.at(-1)!, Math.min(...known), Math.max(...known)];
      return [{ what, unit, now, least, most, course: sparkline(values), values }];
    });
    const at = (seconds: number): string => new Date(seconds * 1000).toISOString();
    return { from: at(grid.start), to: at(grid.end), step_seconds: grid.step, figures };
  },
});
