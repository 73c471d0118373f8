/** The configuration of Alertmanager. Pure. */
import type { JsonObject } from "../../../engine/types.ts";

/** URLs that alerts are posted to; without any they stand in Alertmanager alone. */
export function alertmanagerConfig(receivers: readonly string[]): JsonObject {
  return {
    route: {
      receiver: "people",
      group_by: ["cluster", "alertname"],
      group_wait: "10s",
      group_interval: "1m",
      repeat_interval: "4h",
      routes: [{ matchers: ['severity="critical"'], repeat_interval: "1h" }],
    },
    inhibit_rules: [
      {
        source_matchers: ['severity="critical"'],
        target_matchers: ['severity="warning"'],
        equal: ["cluster", "alertname", "instance"],
      },
    ],
    receivers: [
      {
        name: "people",
        ...(receivers.length === 0
          ? {}
          : { webhook_configs: receivers.map((url) => ({ url, send_resolved: true })) }),
      },
    ],
  };
}
