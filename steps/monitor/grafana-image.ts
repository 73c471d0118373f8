import { PgdbaError } from "../../engine/errors.ts";
import type { Json, StepContext } from "../../engine/types.ts";
import { defineStep } from "../define.ts";
import { GRAFANA_SECRET } from "./include/grafana.ts";
import { entryOf } from "./node/entry.ts";

const USUAL = "grafana/grafana";
const INSTEAD =
  "Bring one to the Engine (`docker pull` or `docker load`) and name it by --grafana-image. Without one leave --grafana out: `pgdba monitor files /DIR` writes provisioning and dashboards for a Grafana that runs elsewhere, and imports them there with --grafana-url.";

export default defineStep({
  type: "monitor.grafana-image",
  summary: "See that the Docker Engine has the image of a Grafana that is to run",
  docs: `It stands before whatever changes a server. The image is that which is named, else that of the Grafana that runs already, else, where one is \`wanted\`, \`${USUAL}\`. What the Engine has is
taken; else it is to pull it. \`image\` is null where there is no Grafana, and none is wanted.`,
  example: `- monitor.grafana-image: {wanted: true, image: "grafana/grafana:12.3.0"}
`,
  effect: "change",
  idempotent: true,
  interruptible: true,
  risk: "change",
  locks: "none",
  input: {
    type: "object",
    additionalProperties: false,
    properties: {
      wanted: { type: "boolean", default: false },
      image: { type: ["string", "null"], minLength: 1, description: "Its name; then it is wanted" },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["image"],
    properties: { image: { type: ["string", "null"] } },
  },
  async run(ctx, { wanted = false, image: named = null }) {
    const image = await imageOf(ctx, wanted, named as string | null);
    if (image === null) {
      ctx.unchanged();
      return { image };
    }
    const { haveGrafanaImage } = await import("../../providers/nodes/docker/grafana.ts");
    const progress = (one: Parameters<StepContext["progress"]>[0]) => ctx.progress(one);
    const by = { signal: ctx.signal, progress, hint: INSTEAD };
    if (!(await haveGrafanaImage(ctx.env, image, by))) ctx.unchanged();
    return { image };
  },
  async plan(ctx, { wanted = false, image = null }): Promise<Json> {
    return { image: await imageOf(ctx, wanted, image as string | null) };
  },
  // An image is of use to others.
  undo: async (ctx) => ctx.unchanged(),
});

/** @throws PgdbaError step_refused: one runs whose password is not known here */
async function imageOf(
  ctx: StepContext,
  wanted: boolean,
  named: string | null,
): Promise<string | null> {
  const { name: cluster, data } = await entryOf(ctx);
  const { grafanaThere } = await import("../../providers/nodes/docker/grafana.ts");
  const there = await grafanaThere({ env: ctx.env, cluster });
  if (there !== null && data.secrets?.[GRAFANA_SECRET] === undefined)
    throw new PgdbaError(
      "step_refused",
      `There is a Grafana of ${cluster} already (${there.container}), whose password this state folder does not have`,
      {
        hint: "Run it with the state folder that has made it, or `pgdba monitor remove` first: that takes it away.",
        nothingDone: true,
      },
    );
  return named ?? there?.image ?? (wanted ? USUAL : null);
}
