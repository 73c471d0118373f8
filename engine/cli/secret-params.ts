import { readFileSync } from "node:fs";
import { secretRefs } from "../check/params.ts";
import { PgdbaError } from "../errors.ts";
import type { Secrets } from "../secrets.ts";
import type { JsonObject, ParamSpec } from "../types.ts";
import type { Environment } from "./front.ts";

/**
 * The parameters with each secret reference replaced by its value, which is registered for masking.
 * @throws PgdbaError missing_secret naming all that are missing at once
 */
export function withSecrets(
  params: Record<string, ParamSpec>,
  values: JsonObject,
  env: Environment,
  secrets: Secrets,
): JsonObject {
  const out: JsonObject = { ...values };
  const missing: string[] = [];
  for (const ref of secretRefs(params, values)) {
    const value = "env" in ref ? env[ref.env] : readSecretFile(ref.file);
    if (value === undefined || value === "") {
      missing.push(
        "env" in ref
          ? `environment variable ${ref.env} (${ref.param})`
          : `file ${ref.file} (${ref.param})`,
      );
      continue;
    }
    secrets.add(value);
    out[ref.param] = value;
  }
  if (missing.length === 0) return out;
  throw new PgdbaError("missing_secret", `These secrets are not there: ${missing.join(", ")}`, {
    hint: "Set the variables, or write the files, then run again.",
  });
}

function readSecretFile(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8").replace(/\r?\n$/, "");
  } catch {
    return undefined;
  }
}
