/** The configuration of Alertmanager: the routes of all, with the receivers of this cluster. */
import { parseYaml } from "../../../engine/shared/yaml.ts";
import type { JsonObject } from "../../../engine/types.ts";
import text from "../../../monitoring/alertmanager/alertmanager.yml" with { type: "text" };

interface Receiver {
  name: string;
  webhook_configs?: { url: string; send_resolved: boolean }[];
}

/** Those that people hear of; the third is for a dead man's switch. */
const FOR_PEOPLE: readonly string[] = ["people", "urgent"];

/** `urls`: where alerts are posted to; without any they stand in Alertmanager alone. */
export async function alertmanagerConfig(urls: readonly string[]): Promise<JsonObject> {
  const config = (await parseYaml(text, "alertmanager.yml", { code: "internal" })) as {
    receivers: Receiver[];
  };
  const receivers = config.receivers.map((one) =>
    urls.length === 0 || !FOR_PEOPLE.includes(one.name)
      ? one
      : { ...one, webhook_configs: urls.map((url) => ({ url, send_resolved: true })) },
  );
  return { ...config, receivers } as unknown as JsonObject;
}

/** The routes of this pgdba with the receivers of a configuration that is there, also such as somebody has put into it by hand. */
export async function withReceiversOf(there: string): Promise<JsonObject> {
  const config = await alertmanagerConfig([]);
  const { receivers } = (await parseYaml(there, "alertmanager.yml", {
    code: "step_refused",
  })) as JsonObject;
  return Array.isArray(receivers) ? { ...config, receivers } : config;
}
