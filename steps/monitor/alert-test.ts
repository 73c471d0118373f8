import { PgdbaError } from "../../engine/errors.ts";
import { parseYaml } from "../../engine/shared/yaml.ts";
import type { Json, StepContext } from "../../engine/types.ts";
import type { MonitoringAccess } from "../../providers/monitoring/client.ts";
import { defineStep } from "../define.ts";
import { milliseconds } from "../sql/session.ts";
import type { Heard } from "./watch/alerts.ts";
import { notificationsIn } from "./watch/notifications.ts";

const ALERT = "PgdbaTest";
const POLL_MS = 250;
/** It ends by itself after this, also when pgdba dies. */
const LASTS_MS = 10 * 60_000;

export default defineStep({
  type: "monitor.alert-test",
  summary: "Send one alert through to whoever hears of alerts, named as a test, and end it",
  docs: `The alert \`PgdbaTest\` goes to Alertmanager with the label \`pgdba_test\`, by the way of all alerts of its severity, without their waiting and grouping. The step ends when
the receivers' servers have taken it; \`wait\` is how long they are given. Alertmanager counts what it sends by kind of receiver and not by alert: another alert that
is sent in the same moment counts as well. At last the alert is ended, which receivers hear of, too.`,
  example: `- monitor.alert-test: {severity: critical}
`,
  effect: "change",
  idempotent: true,
  risk: "change",
  locks: "none",
  needs: ["monitoring"],
  input: {
    type: "object",
    additionalProperties: false,
    properties: {
      severity: { type: "string", enum: ["warning", "critical"], default: "critical" },
      wait: { type: "string", format: "duration", default: "60s" },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["alert", "receivers", "integrations", "sent", "seconds"],
    properties: {
      alert: { type: "string" },
      receivers: { type: "array", items: { type: "string" } },
      integrations: {
        type: "array",
        items: { type: "string" },
        description: "The kinds of servers that it was sent to",
      },
      sent: { type: "integer", description: "Requests that those servers have taken" },
      seconds: { type: "number", description: "From the alert until they had taken it" },
    },
  },
  async run(ctx, { severity = "critical", wait = "60s" }) {
    const monitoring = await ctx.use("monitoring");
    const labels = labelsOf(ctx, severity);
    const before = await counted(monitoring);
    const begun = ctx.clock.monotonic();
    await send(ctx, monitoring, labels, LASTS_MS);
    try {
      const { receivers, silenced } = await heardBy(ctx, monitoring);
      if (silenced.length > 0)
        throw new PgdbaError(
          "step_failed",
          `The alert is silenced, and nobody hears of it: ${silenced.join(", ")}`,
          {
            hint: "`pgdba monitor silence list` shows silences, `pgdba monitor silence end ID` ends one.",
          },
        );
      const integrations = await integrationsOf(monitoring, receivers);
      if (integrations.length === 0)
        throw new PgdbaError(
          "step_failed",
          `Nobody hears of alerts: ${receivers.join(", ") || "no receiver"} of Alertmanager has nothing that it is sent to`,
          {
            hint: "`pgdba monitor setup --receiver https://HOST/PATH` sets where alerts are posted to.",
          },
        );
      const end = begun + (milliseconds(wait) ?? 0);
      for (;;) {
        const now = await counted(monitoring);
        const kinds = new Set(integrations);
        const sum = (of: "taken" | "failed"): number =>
          [...kinds].reduce((all, kind) => all + (now[of][kind] ?? 0) - (before[of][kind] ?? 0), 0);
        const sent = sum("taken");
        if (sent >= integrations.length)
          return {
            alert: ALERT,
            receivers,
            integrations,
            sent,
            seconds: (ctx.clock.monotonic() - begun) / 1000,
          };
        if (ctx.clock.monotonic() >= end)
          throw new PgdbaError(
            "step_failed",
            `The alert did not reach its receivers within ${wait}: ${sent} of ${integrations.length} (${integrations.join(", ")}) have taken it, and ${sum("failed")} attempts failed`,
            {
              hint: "Alertmanager's log says what those servers answer. Check the URLs of `--receiver` as they are reached from the node that monitors.",
            },
          );
        await ctx.clock.sleep(POLL_MS, ctx.signal);
      }
    } finally {
      await send(ctx, monitoring, labels, 0).catch((error: unknown) => {
        ctx.warn(`The alert ends by itself, in 10 minutes: ${(error as Error).message}`);
      });
    }
  },
  async plan(ctx, { severity = "critical" }): Promise<Json> {
    return { sends: ALERT, labels: labelsOf(ctx, severity) };
  },
  async undo(ctx, { severity = "critical" }) {
    await send(ctx, await ctx.use("monitoring"), labelsOf(ctx, severity), 0);
  },
});

function labelsOf(ctx: StepContext, severity: string): Record<string, string> {
  return { alertname: ALERT, cluster: ctx.target.cluster!, severity, pgdba_test: ctx.run.id };
}

async function send(
  ctx: StepContext,
  monitoring: MonitoringAccess,
  labels: Record<string, string>,
  lastsMs: number,
): Promise<void> {
  const now = ctx.clock.now().getTime();
  await monitoring.tell("alertmanager", "POST", "/api/v2/alerts", [
    {
      labels,
      annotations: {
        summary: "A test of the way of alerts: nothing is wrong",
        description: `A test by pgdba of ${labels["cluster"]}, run ${labels["pgdba_test"]}. Nothing has to be done.`,
      },
      startsAt: new Date(now - 1000).toISOString(),
      endsAt: new Date(now + lastsMs).toISOString(),
    },
  ]);
}

async function heardBy(ctx: StepContext, monitoring: MonitoringAccess) {
  const query = { filter: `pgdba_test=${JSON.stringify(ctx.run.id)}` };
  const heard = (await monitoring.ask("alertmanager", "/api/v2/alerts", {
    query,
  })) as unknown as Heard[];
  return {
    receivers: [...new Set(heard.flatMap(({ receivers }) => receivers.map(({ name }) => name)))],
    silenced: heard.flatMap(({ status }) => status.silencedBy),
  };
}

/** The kinds of what these receivers are sent to, one for each of it: `webhook` for an entry of `webhook_configs`. */
async function integrationsOf(
  monitoring: MonitoringAccess,
  names: readonly string[],
): Promise<string[]> {
  const status = (await monitoring.ask("alertmanager", "/api/v2/status")) as unknown as {
    config: { original: string };
  };
  const { receivers = [] } = (await parseYaml(status.config.original, "alertmanager.yml", {
    code: "http_failed",
  })) as { receivers?: Record<string, unknown>[] };
  return receivers
    .filter(({ name }) => names.includes(String(name)))
    .flatMap((receiver) =>
      Object.entries(receiver).flatMap(([key, list]) =>
        key.endsWith("_configs") && Array.isArray(list)
          ? list.map(() => key.slice(0, -"_configs".length))
          : [],
      ),
    );
}

/** The requests that servers have taken and refused until now, by kind. */
async function counted(monitoring: MonitoringAccess) {
  return notificationsIn(await monitoring.text("alertmanager", "/metrics"));
}
