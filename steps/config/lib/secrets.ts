import type { StepContext } from "../../../engine/types.ts";
import type { Setting } from "./settings.ts";

/** A password inside a connection string, as keyword or in a URL. */
const PASSWORD = /\bpassword\s*=\s*(?:'((?:[^'\\]|\\.)*)'|([^\s'&]+))|:\/\/[^\s:@/]*:([^\s@/]+)@/gi;

/** Registers the passwords inside a value, so that nothing shows them. */
export function hidePasswords(ctx: StepContext, text: string | null): void {
  for (const [, quoted, bare, url] of (text ?? "").matchAll(PASSWORD)) {
    for (const secret of [quoted, bare, url])
      if (secret !== undefined && secret !== "") ctx.secret(secret);
  }
}

/** The same for settings as the server has them, such as `primary_conninfo`. Gives them back. */
export function hideSecrets(
  ctx: StepContext,
  settings: Map<string, Setting>,
): Map<string, Setting> {
  for (const setting of settings.values()) {
    if (setting.vartype !== "string") continue;
    for (const text of [setting.setting, setting.reset_val]) hidePasswords(ctx, text);
  }
  return settings;
}
