import type { StepContext } from "../../../engine/types.ts";
import type { Setting } from "../../../providers/postgres/settings.ts";

/** A password or key inside a value: with its name (`password=x`, `sslpassword='x'`, `PGPASSWORD=x`), as an option, or in a URL. */
const PASSWORD =
  /(?:(?:passw(?:or)?d|passphrase|pwd|secret|token|api_?key|access_?key)\w*["']?\s*[=:]|--(?:password|passphrase|pass|secret|token|api-?key)[\s=]|\bsshpass\s+-p)\s*(?:'((?:[^'\\]|\\.)*)'|"([^"]*)"|([^\s'"&]+))|:\/\/[^\s:@/]*:([^\s@/]+)@|\s-u\s*[^\s:]+:(\S+)/gi;

/** Settings that are a secret, or say how to make one, as a whole. */
const SECRET_NAME = /(?:passphrase_command|password|passwd|secret|token)$/i;

/** The secrets inside a setting's value. */
function secretsIn(name: string, text: string | null): string[] {
  const whole = SECRET_NAME.test(name) ? [text ?? ""] : [];
  const parts = [...(text ?? "").matchAll(PASSWORD)].flatMap(([, ...found]) => found);
  return [...whole, ...parts].filter((secret) => secret !== undefined && secret !== "") as string[];
}

/** True when a value must not be kept in clear. */
export function isSecret(name: string, text: string): boolean {
  return secretsIn(name, text).length > 0;
}

/** Registers the secrets inside a value, so that nothing shows them. */
export function hidePasswords(ctx: StepContext, name: string, text: string | null): void {
  for (const secret of secretsIn(name, text)) ctx.secret(secret);
}

/** The same for settings as the server has them, such as `primary_conninfo`. Gives them back. */
export function hideSecrets(
  ctx: StepContext,
  settings: Map<string, Setting>,
): Map<string, Setting> {
  for (const setting of settings.values()) {
    if (setting.vartype !== "string") continue;
    for (const text of [setting.setting, setting.reset_val]) hidePasswords(ctx, setting.name, text);
  }
  return settings;
}
