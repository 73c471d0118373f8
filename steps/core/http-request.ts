import { PgdbaError, withNothingDone } from "../../engine/errors.ts";
import { parseDuration } from "../../engine/shared/units.ts";
import type { Effect, Json, JsonSchema, StepContext } from "../../engine/types.ts";
import { defineStep } from "../define.ts";
import { readBody } from "../../engine/shared/read-body.ts";
import { follow, type Parse, parsed } from "./http/response.ts";
import { exchangeError, statusError, timeoutError } from "./http/errors.ts";
import { type RequestInput, requestInit, target } from "./http/request-init.ts";

interface Input extends RequestInput {
  timeout?: string;
  ok_status?: number[];
  parse?: Parse;
  max_bytes?: number;
}

const MAX_BYTES = 1024 * 1024;

const properties = {
  status: { type: "integer" },
  headers: {
    type: "object",
    additionalProperties: { type: "string" },
    description: "Names in lower case",
  },
  duration_ms: { type: "integer" },
} satisfies Record<string, JsonSchema>;
const required = Object.keys(properties);
const bodies: Record<string, JsonSchema> = { json: {}, text: { type: "string" } };

export default defineStep({
  type: "http.request",
  summary: "Ask an HTTP server",
  docs: `The answer is in \`output.json\` when it is JSON, else in \`output.text\`; \`parse: json\` insists on it.

- A status outside \`ok_status\` (by default 200 to 299) fails the step.
- Credentials come from the environment: \`headers_env: {Authorization: MY_API_AUTHORIZATION}\` sends the value of that
  variable as the whole header. A URL with a password in it is refused.
- Only GET and HEAD follow a redirect, and only to the same scheme, host and port: headers go to nobody else.
- GET and HEAD count as reading; everything else is a change.
- An answer longer than \`max_bytes\` is an error, not cut short.`,
  example: `- http.request:
    url: http://127.0.0.1:8008/health
    ok_status: [200, 503]
    timeout: 2s
`,
  oneAct: true,
  effect: (input: Input): Effect => (reads(input) ? "read" : "change"),
  idempotent: repeatable,
  input: {
    type: "object",
    properties: {
      method: {
        enum: ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"],
        default: "GET",
        "x-lang": "static",
      },
      url: {
        type: "string",
        pattern: "^https?://",
        description: "With scheme: `http://` or `https://`",
      },
      headers: { type: "object", additionalProperties: { type: "string" } },
      headers_env: {
        type: "object",
        additionalProperties: { type: "string" },
        description:
          "Header to the name of the environment variable that holds its value, for secrets",
      },
      query: {
        type: "object",
        additionalProperties: { type: ["string", "number", "boolean"] },
        description: "Added to the URL, encoded",
      },
      body: { description: "Sent as JSON" },
      text: { type: "string", description: "Sent as it is, instead of `body`" },
      timeout: {
        type: "string",
        format: "duration",
        default: "30s",
        description: "For the whole exchange, redirects included",
      },
      ok_status: {
        type: "array",
        items: { type: "integer", minimum: 100, maximum: 599 },
        minItems: 1,
        description: "Statuses that mean success; by default 200 to 299",
      },
      parse: { enum: ["auto", "json", "text", "none"], default: "auto", "x-lang": "static" },
      max_bytes: { type: "integer", minimum: 1, maximum: 64 * MAX_BYTES, default: MAX_BYTES },
      tls: {
        type: "object",
        properties: {
          ca_file: {
            type: "string",
            description: "PEM file of the authority to trust instead of the system's",
          },
          server_name: { type: "string", description: "The name to expect in the certificate" },
        },
        additionalProperties: false,
      },
    },
    required: ["url"],
    additionalProperties: false,
  },
  output: {
    type: "object",
    properties: { ...properties, ...bodies },
    required,
    additionalProperties: false,
  },
  outputFor(input: Json): JsonSchema {
    const { parse = "auto" } = input as unknown as Input;
    const body = parse === "auto" ? bodies : parse === "none" ? {} : { [parse]: bodies[parse]! };
    return {
      type: "object",
      properties: { ...properties, ...body },
      required: parse === "auto" ? required : [...required, ...Object.keys(body)],
      additionalProperties: false,
    };
  },
  lint(input: Json) {
    const { body, text, method = "GET" } = input as unknown as Input;
    const rule = "http-body";
    if (body !== undefined && text !== undefined) {
      return [{ path: ["text"], rule, message: "`body` and `text` exclude each other" }];
    }
    if ((body !== undefined || text !== undefined) && (method === "GET" || method === "HEAD")) {
      return [
        { path: ["method"], rule, message: `${method} takes no body`, hint: "Add `method: POST`." },
      ];
    }
    return [];
  },
  async run(ctx: StepContext, input: Input) {
    const url = target(input);
    const where = `${input.method ?? "GET"} ${url.origin}${url.pathname}`;
    const init = await requestInit(ctx, input).catch((error: unknown) => {
      throw error instanceof PgdbaError ? withNothingDone(error) : error;
    });
    const ms = parseDuration(input.timeout ?? "30s");
    const before = ctx.clock.monotonic();
    const deadline = AbortSignal.timeout(ms);
    init.signal = AbortSignal.any([ctx.signal, deadline]);
    try {
      const response = await follow(url, init, reads(input));
      const hint = "Raise `max_bytes`, or ask for less.";
      const body = await readBody(where, response, input.max_bytes ?? MAX_BYTES, hint);
      if (!accepted(response.status, input.ok_status)) throw statusError(where, response, body);
      return {
        status: response.status,
        headers: Object.fromEntries(response.headers),
        duration_ms: Math.round(ctx.clock.monotonic() - before),
        ...parsed(where, input.parse ?? "auto", response, body),
      };
    } catch (error) {
      ctx.signal.throwIfAborted();
      if (error instanceof PgdbaError) throw error;
      if (deadline.aborted) throw timeoutError(where, ms, repeatable(input));
      throw exchangeError(where, error, repeatable(input));
    }
  },
  async plan(_ctx: StepContext, input: Input) {
    const url = target(input);
    const sends = input.text ?? input.body;
    return {
      method: input.method ?? "GET",
      url: url.href,
      ...(sends === undefined ? {} : { sends }),
    };
  },
});

function reads({ method = "GET" }: Input): boolean {
  return method === "GET" || method === "HEAD";
}

/** RFC 9110 §9.2.2. */
function repeatable(input: Input): boolean {
  return reads(input) || input.method === "PUT" || input.method === "DELETE";
}

function accepted(status: number, ok: number[] | undefined): boolean {
  return ok ? ok.includes(status) : status >= 200 && status <= 299;
}
