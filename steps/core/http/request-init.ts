import { X509Certificate } from "node:crypto";
import { resolve } from "node:path";
import { PgdbaError } from "../../../engine/errors.ts";
import { readBytes } from "../../../engine/shared/read-file.ts";
import type { Json, StepContext } from "../../../engine/types.ts";

/** All authorities that a system trusts are some 250 kB. */
const MAX_BYTES = 4 * 1024 * 1024;

/** The part of the input that says what to send. */
export interface RequestInput {
  method?: string;
  url: string;
  headers?: Record<string, string>;
  headers_env?: Record<string, string>;
  query?: Record<string, string | number | boolean>;
  body?: Json;
  text?: string;
  tls?: { ca_file?: string; server_name?: string };
}

/** @throws PgdbaError invalid_param | secret_exposed */
export function target(input: RequestInput): URL {
  const url = URL.canParse(input.url) ? new URL(input.url) : null;
  // fetch would also read files and buckets.
  if (url?.protocol !== "http:" && url?.protocol !== "https:") {
    throw new PgdbaError("invalid_param", "not an http or https URL", {
      hint: "Write it like http://host:8008/path.",
    });
  }
  if (url.username !== "" || url.password !== "") {
    throw new PgdbaError("secret_exposed", "the URL holds credentials", {
      hint: "Send them in a header, from the environment: `headers_env`.",
      nothingDone: true,
    });
  }
  for (const [name, value] of Object.entries(input.query ?? {}))
    url.searchParams.append(name, String(value));
  return url;
}

/** @throws PgdbaError missing_secret | io_failed | invalid_param */
export async function requestInit(
  ctx: StepContext,
  input: RequestInput,
): Promise<BunFetchRequestInit> {
  const headers = headersOf(ctx, input);
  const init: BunFetchRequestInit = { method: input.method ?? "GET", headers, redirect: "manual" };
  if (input.text !== undefined) init.body = input.text;
  else if (input.body !== undefined) {
    init.body = JSON.stringify(input.body);
    if (!Object.keys(headers).some((name) => name.toLowerCase() === "content-type")) {
      headers["content-type"] = "application/json";
    }
  }
  if (input.tls) init.tls = await tlsOptions(ctx, input.tls);
  return init;
}

function headersOf(ctx: StepContext, input: RequestInput): Record<string, string> {
  const headers: Record<string, string> = { ...input.headers };
  for (const [header, name] of Object.entries(input.headers_env ?? {})) {
    const value = ctx.env[name];
    if (!value) {
      throw new PgdbaError("missing_secret", `environment variable ${name} is not set`, {
        hint: `It must hold the value of the header ${header}.`,
      });
    }
    ctx.secret(value);
    headers[header] = value;
  }
  return headers;
}

async function tlsOptions(ctx: StepContext, tls: NonNullable<RequestInput["tls"]>) {
  const options: NonNullable<BunFetchRequestInit["tls"]> & { serverName?: string } = {};
  if (tls.server_name !== undefined) options.serverName = tls.server_name;
  if (tls.ca_file !== undefined) {
    const path = resolve(ctx.cwd, tls.ca_file);
    const pem = readBytes(path, { maxBytes: MAX_BYTES, hint: "Correct `tls.ca_file`." });
    try {
      // fetch would say of a file that is no certificate that the server does not answer.
      new X509Certificate(pem);
    } catch (cause) {
      throw new PgdbaError("invalid_param", `${path} holds no PEM certificate`, {
        cause,
        hint: "Correct `tls.ca_file`.",
      });
    }
    options.ca = pem.toString("utf8");
  }
  return options;
}
