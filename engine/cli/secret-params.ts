import { secretRefs } from "../check/params.ts";
import { valueSchema } from "../check/scope.ts";
import { validate } from "../check/validate.ts";
import { PgdbaError, toPgdbaError } from "../errors.ts";
import { readText } from "../shared/read-file.ts";
import type { Secrets } from "../secrets.ts";
import type { JsonObject, ParamSpec } from "../types.ts";
import type { Environment } from "./front.ts";

/** A key with its chain of certificates is some kB. */
const MAX_BYTES = 1024 * 1024;

/**
 * The parameters with each secret reference replaced by its value, which is registered for masking.
 * @throws PgdbaError missing_secret naming all that are missing at once | invalid_param for those that their schema does not allow
 */
export function withSecrets(
  params: Record<string, ParamSpec>,
  values: JsonObject,
  env: Environment,
  secrets: Secrets,
): JsonObject {
  const out: JsonObject = { ...values };
  const missing: string[] = [];
  const unfit: string[] = [];
  for (const ref of secretRefs(params, values)) {
    const { value, lacks } = "env" in ref ? fromVariable(ref.env, env) : fromFile(ref.file);
    if (value === undefined) {
      missing.push(`${lacks} (${ref.param})`);
      continue;
    }
    secrets.add(value);
    // The fault is named without the value.
    for (const { message } of validate(valueSchema(params[ref.param]!), value, ref.param))
      unfit.push(message.replace(/, got [^]*$/, ""));
    out[ref.param] = value;
  }
  if (unfit.length > 0)
    throw new PgdbaError("invalid_param", `A secret is not valid: ${unfit.join("; ")}`, {
      hint: "Look at the variable or the file that holds it.",
    });
  if (missing.length === 0) return out;
  throw new PgdbaError("missing_secret", `These secrets are missing: ${missing.join(", ")}`, {
    hint: "Set the variables, or write the files, then run again.",
  });
}

type Found = { value: string; lacks?: undefined } | { value?: undefined; lacks: string };

function fromVariable(name: string, env: Environment): Found {
  const value = env[name];
  return value ? { value } : { lacks: `environment variable ${name}` };
}

function fromFile(file: string): Found {
  try {
    const value = readText(file, { maxBytes: MAX_BYTES }).replace(/\r?\n$/, "");
    return value === "" ? { lacks: `${file} is empty` } : { value };
  } catch (error) {
    return { lacks: toPgdbaError(error).message };
  }
}
